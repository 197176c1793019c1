//! Requests to receivers of every kind, on real sockets.

use super::*;
use crate::client::ClientSettings;
use crate::client::receiver::{Behaviour, Receiver, header};
use smarttasks_model::Clock;
use std::collections::BTreeMap;
use std::time::Duration;

fn client() -> HttpClient {
    HttpClient::new(ClientSettings {
        allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
        timeout: Duration::from_secs(2),
        ..ClientSettings::default()
    })
    .unwrap()
}

fn asked(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&str>) -> HttpRequest {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    HttpRequest {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: headers.collect(),
        body: body.map(str::to_owned),
    }
}

fn id() -> DeliveryId {
    DeliveryId::derived(Timestamp::from_unix_millis(0), &[b"request"])
}

async fn make(request: &HttpRequest) -> (Attempt, Option<Value>) {
    let request = ScriptRequest::parse(id(), request, Some(TraceParent::start())).unwrap();
    client().make_request(&request, Clock::system().now()).await
}

async fn get(answer: &str) -> (Attempt, Value) {
    let receiver = Receiver::that_answers(answer).await;
    let (attempt, answer) = make(&asked("GET", &receiver.url(), &[], None)).await;
    (attempt, answer.unwrap())
}

#[tokio::test]
async fn a_request_is_made_as_it_was_written_and_can_be_recognised() {
    let mut receiver =
        Receiver::that_answers("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await;
    let headers = [("Authorization", "Bearer s3cret"), ("Accept", "text/csv")];
    let request = asked("PATCH", &receiver.url(), &headers, Some(r#"{"a": "ä"}"#));
    let (attempt, answer) = make(&request).await;
    assert!(attempt.succeeded(), "{attempt:?}");
    assert_eq!(answer.unwrap()["status"], 201);

    let seen = receiver.seen.recv().await.unwrap();
    assert!(
        seen.head.starts_with("PATCH /hook?x=1 HTTP/1.1\r\n"),
        "{}",
        seen.head
    );
    assert_eq!(seen.body, "{\"a\": \"ä\"}".as_bytes());
    for (name, value) in [
        ("authorization", "Bearer s3cret"),
        ("accept", "text/csv"),
        ("idempotency-key", &*id().to_string()),
    ] {
        assert_eq!(header(&seen.head, name), Some(value), "{}", seen.head);
    }
    assert!(header(&seen.head, "traceparent").is_some());
    for ours in ["webhook-id", "webhook-signature", "accept-encoding"] {
        assert_eq!(header(&seen.head, ours), None);
    }
}

#[tokio::test]
async fn what_a_script_says_of_its_body_and_itself_holds() {
    let mut receiver = Receiver::that_answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let own = [("Content-Type", "text/csv"), ("Idempotency-Key", "mine")];
    make(&asked("POST", &receiver.url(), &own, Some("a;b"))).await;
    make(&asked("GET", &receiver.url(), &[], None)).await;
    let first = receiver.seen.recv().await.unwrap().head;
    assert_eq!(header(&first, "content-type"), Some("text/csv"));
    assert_eq!(header(&first, "idempotency-key"), Some("mine"));
    let second = receiver.seen.recv().await.unwrap().head;
    assert_eq!(header(&second, "content-type"), None);
}

#[tokio::test]
async fn an_answer_in_json_is_read_and_any_other_is_text() {
    let json = "HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\n\
        X-A: 1\r\nx-a: 2\r\nContent-Length: 12\r\n\r\n{\"ok\": [1]}\n";
    let (attempt, answer) = get(json).await;
    assert_eq!(attempt.status_code, Some(200));
    assert_eq!(answer["json"], serde_json::json!({ "ok": [1] }));
    assert_eq!(answer["body"], "{\"ok\": [1]}\n");
    assert_eq!(answer["headers"]["x-a"], "1, 2");
    assert_eq!(answer.get("truncated"), None);
    assert_eq!(answer.get("error"), None);

    for (kind, body, expected) in [
        ("application/problem+json", "{}", serde_json::json!({})),
        ("application/json", "not", Value::Null),
        ("text/plain", "{}", Value::Null),
        ("application/jsonp", "{}", Value::Null),
    ] {
        let length = body.len();
        let (_, answer) = get(&format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await;
        assert_eq!(
            (&answer["json"], &answer["body"]),
            (&expected, &body.into())
        );
    }
    let (_, nothing) = get("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(
        (&nothing["body"], &nothing["json"]),
        (&"".into(), &Value::Null)
    );
}

#[tokio::test]
async fn refusals_and_redirects_are_answers_and_not_followed() {
    let mut target = Receiver::that_answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    for code in [301, 302, 307, 308, 400, 401, 403, 404, 409, 410, 422] {
        let to = target.url();
        let (attempt, answer) = get(&format!(
            "HTTP/1.1 {code} X\r\nLocation: {to}\r\nContent-Length: 2\r\n\r\nno"
        ))
        .await;
        assert!(
            attempt.succeeded() && !attempt.endpoint_is_gone(),
            "{attempt:?}"
        );
        assert_eq!(
            (&answer["status"], &answer["body"]),
            (&code.into(), &"no".into())
        );
        assert_eq!(answer["headers"]["location"], to);
    }
    assert!(target.seen.try_recv().is_err());
}

#[tokio::test]
async fn who_says_not_now_is_asked_again_and_heard_all_the_same() {
    for code in [408, 425, 429, 500, 502, 503, 504] {
        let (attempt, answer) = get(&format!(
            "HTTP/1.1 {code} X\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy"
        ))
        .await;
        assert!(attempt.is_transient_failure(), "{attempt:?}");
        assert_eq!(attempt.response.as_deref(), Some("busy"));
        assert_eq!(
            (&answer["status"], &answer["body"]),
            (&code.into(), &"busy".into())
        );
        let wait = attempt.error.unwrap().retry_after();
        assert_eq!(wait.is_some(), [429, 503].contains(&code));
    }
    let silent = Receiver::that(Behaviour::HangsUp).await;
    let (attempt, answer) = make(&asked("GET", &silent.url(), &[], None)).await;
    assert!(
        attempt.is_transient_failure() && answer.is_none(),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn of_a_huge_endless_or_broken_answer_the_start_is_kept() {
    let endless = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
    let receiver = Receiver::that(Behaviour::NeverEnds(endless)).await;
    let (attempt, answer) = make(&asked("GET", &receiver.url(), &[], None)).await;
    let answer = answer.unwrap();
    assert_eq!(answer["body"].as_str().unwrap().len(), answer::LONGEST);
    assert_eq!(
        (&answer["truncated"], &answer["json"]),
        (&true.into(), &Value::Null)
    );
    assert_eq!(attempt.response.unwrap().len(), 4_096);

    let (_, cut) = get("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}").await;
    assert_eq!(
        (&cut["body"], &cut["truncated"]),
        (&"{}".into(), &true.into())
    );

    // What is not UTF-8 is replaced, and is longer then.
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n".to_vec();
    bytes.extend([0xff; 40_000]);
    let receiver = Receiver::that(Behaviour::Answers(bytes)).await;
    let (_, answer) = make(&asked("GET", &receiver.url(), &[], None)).await;
    let answer = answer.unwrap();
    let body = answer["body"].as_str().unwrap();
    assert!(body.len() > answer::LONGEST - 3 && body.len() <= answer::LONGEST);
    assert!(body.chars().all(|c| c == '\u{fffd}'));
    assert_eq!(answer["truncated"], true);
}

#[tokio::test]
async fn headers_without_end_are_no_way_into_our_memory() {
    let mut many = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n".to_owned();
    for number in 0..50 {
        many.push_str(&format!("X-{number}: {}\r\n", "y".repeat(1_000)));
    }
    let (_, answer) = get(&format!("{many}\r\n")).await;
    let kept = answer["headers"].to_string().len();
    assert!((10_000..20_000).contains(&kept), "{kept}");
}

#[tokio::test]
async fn what_may_not_be_reached_is_not_asked() {
    for url in [
        "https://10.0.0.1/",
        "https://[::1]/",
        "http://93.184.216.34/",
        "https://169.254.169.254/latest/meta-data/",
    ] {
        let (attempt, answer) = make(&asked("GET", url, &[], None)).await;
        let error = attempt.error.unwrap();
        assert!(matches!(error, SendError::Permanent(_)), "{url}: {error}");
        assert_eq!(answer, None);
    }
}

#[test]
fn what_cannot_be_sent_is_refused_with_its_reason() {
    let fine = "https://example.com/";
    for (request, expected) in [
        (
            asked("get", fine, &[], None),
            "method: \"get\" is none of GET, HEAD, POST",
        ),
        (asked("CONNECT", fine, &[], None), "method: \"CONNECT\""),
        (
            asked("GET", "ftp://example.com/", &[], None),
            "url: has the scheme",
        ),
        (
            asked("GET", "https://ann:pass@example.com/", &[], None),
            "Authorization header",
        ),
        (
            asked("GET", fine, &[("Host", "internal")], None),
            "headers/Host: is set by SmartTasks",
        ),
        (
            asked("GET", fine, &[("X-A", "a\r\nHost: b")], None),
            "headers/X-A: holds a character",
        ),
    ] {
        let refused = ScriptRequest::parse(id(), &request, None).err().unwrap();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    let headers = BTreeMap::from([("Authorization".to_owned(), "s3cret\u{1}".to_owned())]);
    let request = HttpRequest {
        headers,
        ..asked("GET", fine, &[], None)
    };
    let refused = ScriptRequest::parse(id(), &request, None).err().unwrap();
    assert!(!refused.to_string().contains("s3cret"), "{refused}");
}
