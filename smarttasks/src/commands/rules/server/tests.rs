//! A server that answers what it is told to, on a real socket.

use super::*;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

/// Answers requests in turn, and hands over each with its body.
fn answering(answers: Vec<String>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, requests) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(&stream);
            let (mut request, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let header = line.to_lowercase();
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                request.push_str(&line);
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            request.push_str(&String::from_utf8(body).unwrap());
            (&stream).write_all(answer.as_bytes()).unwrap();
            // Nobody listens any more once the test has what it wants.
            let _ = asked.send(request);
        }
    });
    (address, requests)
}

fn answer(head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn json_answer(status: &str, body: &Value) -> String {
    answer(
        &format!("{status}\r\ncontent-type: application/json"),
        &body.to_string(),
    )
}

fn server(address: &str) -> Server {
    let address = PublicUrl::parse(address).unwrap();
    Server {
        client: client(&address).unwrap(),
        address,
        authorization: authorization(&"s3cret".into()).unwrap(),
        workspace: None,
    }
}

fn saved(skip_existing: bool) -> Saved<'static> {
    Saved {
        source: "log(2);",
        skip_existing,
    }
}

async fn refused(answers: Vec<String>) -> String {
    let (address, _requests) = answering(answers);
    let error = server(&address).rules().await.unwrap_err();
    let told = error.to_string();
    assert!(!told.contains("s3cret"), "{told}");
    told.replace(&address, "SERVER")
}

fn rule(number: u32) -> Value {
    json!({
        "id": format!("0193a1b2-0000-7000-8000-00000000000{number}"), "version": number,
        "name": format!("rule {number}"), "triggers": [{ "due": "0" }], "script": "log(1);",
        "stats": {}, "next_occurrences": [],
    })
}

#[tokio::test]
async fn a_list_is_read_to_its_end_and_told_from_its_beginning() {
    let page = |rules: &[u32], next: Value| {
        let rules: Vec<_> = rules.iter().map(|number| rule(*number)).collect();
        json_answer("200 OK", &json!({ "data": rules, "next_cursor": next }))
    };
    let (address, requests) =
        answering(vec![page(&[3, 2], json!("a/b=")), page(&[1], Value::Null)]);
    let rules = server(&address).rules().await.unwrap();
    let versions: Vec<_> = rules.iter().map(|rule| rule.version).collect();
    assert_eq!(versions, [1, 2, 3]);
    let first = requests.recv().unwrap();
    assert!(
        first.starts_with("GET /api/v1/rules?limit=100 HTTP/1.1"),
        "{first}"
    );
    assert!(
        first.contains("authorization: Bearer s3cret\r\n"),
        "{first}"
    );
    let second = requests.recv().unwrap();
    assert!(second.contains("?limit=100&cursor=a%2Fb%3D "), "{second}");

    let same = page(&[1], json!("x"));
    let told = refused(vec![same.clone(), same]).await;
    assert!(told.contains("the same page"), "{told}");
}

#[tokio::test]
async fn what_is_asked_for_later_is_asked_again_with_the_same_key() {
    let later = |status: &str| answer(&format!("{status}\r\nretry-after: 0"), "{}");
    let (address, requests) = answering(vec![
        later("429 Too Many Requests"),
        later("503 Service Unavailable"),
        json_answer("201 Created", &rule(1)),
    ]);
    let mut server = server(&address);
    let workspace = "0193a1b2-0000-7000-8000-000000000009";
    server.workspace = Some(workspace_id(workspace).unwrap());
    assert_eq!(server.create(&saved(false)).await.unwrap().version, 1);
    let asked: Vec<String> = (0..3).map(|_| requests.recv().unwrap()).collect();
    assert_eq!(asked[0], asked[1]);
    assert_eq!(asked[0], asked[2]);
    assert!(asked[0].contains("\r\nidempotency-key: "), "{}", asked[0]);
    assert!(asked[0].contains(workspace), "{}", asked[0]);
}

#[tokio::test]
async fn a_server_that_asks_to_come_later_for_ever_is_given_up() {
    let busy = answer("503 Service Unavailable\r\nretry-after: 0", "no");
    let told = refused(vec![busy; 5]).await;
    assert_eq!(
        told,
        "SERVER answers 503 Service Unavailable; try again later"
    );
    let absurd = answer("429 Too Many Requests\r\nretry-after: 86400", "no");
    let told = refused(vec![absurd]).await;
    assert!(told.contains("answers 429 Too Many Requests"), "{told}");
}

#[tokio::test]
async fn a_change_is_made_only_to_what_was_seen() {
    let refusal = json!({
        "code": "precondition_failed", "title": "x", "status": 412, "type": "x",
        "detail": "The present version is 4.",
    });
    let (address, requests) = answering(vec![
        json_answer("412 Precondition Failed", &refusal),
        answer("204 No Content", ""),
    ]);
    let server = server(&address);
    let seen: RemoteRule = serde_json::from_value(rule(3)).unwrap();
    let error = server.replace(&seen, &saved(true)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused(refusal) if refusal.code == "precondition_failed"),
        "{error}"
    );
    let asked = requests.recv().unwrap();
    assert!(asked.contains("\r\nif-match: \"v3\"\r\n"), "{asked}");
    let (_, body) = asked.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let expected = json!({ "script": "log(2);", "apply_to_existing": false });
    assert_eq!(body, expected);
    server.delete(&seen).await.unwrap();
    let asked = requests.recv().unwrap();
    assert!(asked.starts_with("DELETE /api/v1/rules/0193"), "{asked}");
    assert!(asked.contains("\r\nif-match: \"v3\"\r\n"), "{asked}");
}

#[tokio::test]
async fn answers_that_are_none_say_what_came_instead() {
    let problem = |code: &str, detail: &str| json!({ "code": code, "detail": detail });
    for (answer, expected) in [
        (
            json_answer("401 Unauthorized", &problem("invalid_token", "x")),
            "the token is not accepted by SERVER, or has expired",
        ),
        (
            json_answer("403 Forbidden", &problem("forbidden", "Members only.")),
            "the server refuses: Members only. (forbidden)",
        ),
        (
            json_answer("500 Internal Server Error", &problem("internal", "Oh.")),
            "SERVER answers 500 Internal Server Error: Oh.",
        ),
        (
            answer("502 Bad Gateway\r\ncontent-type: text/html", "<html>"),
            "SERVER answers 502 Bad Gateway; try again later",
        ),
        (
            answer("404 Not Found", "<html>"),
            "SERVER answers 404 Not Found, not as SmartTasks does",
        ),
        (
            answer("200 OK", "<html>"),
            "SERVER does not answer JSON; is it SmartTasks",
        ),
        (
            json_answer(
                "200 OK",
                &json!({ "data": [{ "id": 5 }], "next_cursor": null }),
            ),
            "SERVER answers something that this version does not know",
        ),
        (
            answer(
                "301 Moved Permanently\r\nlocation: https://b.example.com",
                "",
            ),
            "SERVER sends elsewhere (301 Moved Permanently to https://b.example.com)",
        ),
        (String::new(), "SERVER does not answer: "),
    ] {
        let told = refused(vec![answer]).await;
        assert!(told.starts_with(expected), "{told}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = server(&address).rules().await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{address} does not answer: ")),
        "{error}"
    );
    assert!(error.contains("Connection refused"), "{error}");
}

#[test]
fn an_address_and_a_token_are_looked_at_before_they_are_used() {
    let named = |server: &str| {
        let connection = Connection {
            server: Some(server.to_owned()),
            ..Connection::default()
        };
        Server::named(&connection).err().unwrap().to_string()
    };
    let told = named("ftp://example.com");
    assert!(
        told.starts_with("\"ftp://example.com\" is no server: expected"),
        "{told}"
    );
    let told = named("https://ann:s3cret@example.com");
    assert!(
        !told.contains("s3cret") && told.contains("example.com"),
        "{told}"
    );
    for token in ["", "two words", "line\nbreak", "gr\u{fc}n"] {
        let error = authorization(&token.into()).unwrap_err();
        assert!(matches!(error, Error::NoToken(_)), "{error}");
    }
    assert!(format!("{:?}", authorization(&"s3cret".into()).unwrap()).contains("Sensitive"));
    assert!(workspace_id("home").is_err());
}
