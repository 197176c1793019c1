//! Every way a request can be malformed, through real routes.

use super::*;
use axum::Router;
use axum::body::Body;
use axum::routing::{get, patch, post};
use http::{StatusCode, header};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use smarttasks_model::{Email, NewTask, TaskId};
use tower::ServiceExt;

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only whether it can be read matters")]
struct Note {
    title: String,
    #[serde(default)]
    count: u8,
    #[serde(default)]
    fields: Map<String, Value>,
    #[serde(default)]
    to: Vec<Email>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    #[serde(default)]
    tag: Vec<String>,
    min: Option<u32>,
    #[serde(default)]
    overdue: bool,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only whether it can be read matters")]
struct Grant {
    grant_type: String,
}

fn router() -> Router {
    Router::new()
        .route("/notes", post(async |_: ApiJson<Note>| "ok"))
        .route("/notes", patch(async |_: ApiJson<Note>| "ok"))
        .route("/tasks", post(async |_: ApiJson<NewTask>| "ok"))
        .route(
            "/maybe",
            post(async |note: Option<ApiJson<Note>>| note.is_some().to_string()),
        )
        .route("/token", post(async |_: ApiForm<Grant>| "ok"))
        .route("/task/{id}", get(async |_: ApiPath<TaskId>| "ok"))
        .route(
            "/list",
            get(async |list: ListQuery<Filter>| {
                let Filter { tag, min, overdue } = list.filter;
                format!("{tag:?} {min:?} {overdue} {}", list.page.limit())
            }),
        )
}

async fn send(request: http::request::Builder, body: impl Into<Body>) -> (StatusCode, Value) {
    let request = request.body(body.into()).unwrap();
    let response = router().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    if status.is_success() {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        return (status, Value::String(text));
    }
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn post_json(body: impl Into<Body>) -> (StatusCode, Value) {
    let request = Request::post("/notes").header(header::CONTENT_TYPE, "application/json");
    send(request, body).await
}

#[tokio::test]
async fn a_good_body_is_taken() {
    for body in [
        r#"{"title":"a"}"#,
        r#"{"title":"a","count":255,"fields":{"a":{"b":[1,-2,3.5,null]}},"to":["a@b.c"]}"#,
    ] {
        assert_eq!(post_json(body).await.0, 200, "{body}");
    }
    let typed =
        Request::post("/notes").header(header::CONTENT_TYPE, "Application/JSON; charset=utf-8");
    assert_eq!(send(typed, r#"{"title":"a"}"#).await.0, 200);
}

#[tokio::test]
async fn text_that_is_not_json_is_refused_with_its_place() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let mut not_utf8 = br#"{"title":"a"}"#.to_vec();
    not_utf8[10] = 0xff;
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"{\"title\":\"a\"} x".to_vec(),
        b"{\"title\":\"a\",}".to_vec(),
        b"{\"title\":1e400}".to_vec(),
        b"{\"title\":\"a\",\"title\":\"b\"}".to_vec(),
        b"{\"title\":\"a\",\"fields\":{\"x\":[{\"y\":1,\"y\":2}]}}".to_vec(),
        b"{\"title\":\"\\ud800\"}".to_vec(),
        b"{\"title\":\"\\u0000\"}".to_vec(),
        b"{\"title\":NaN}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        deep.into_bytes(),
        not_utf8,
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let (status, problem) = post_json(body).await;
        assert_eq!(status, 400, "{shown}");
        assert_eq!(problem["code"], "malformed_json", "{shown}");
        assert!(problem["errors"][0]["line"].is_u64(), "{shown}: {problem}");
        assert!(problem["errors"][0]["column"].is_u64(), "{shown}");
    }
    let (_, problem) = post_json("{\n  \"title\": oops\n}").await;
    assert_eq!(problem["errors"][0]["line"], 2);
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_refused_with_its_pointer() {
    for (body, pointer, detail) in [
        ("{}", "/title", "is required"),
        (
            r#"{"title":1}"#,
            "/title",
            "expected a string, got a whole number",
        ),
        (r#"{"title":null}"#, "/title", "expected a string, got null"),
        (
            r#"{"title":"a","titel":"b"}"#,
            "/titel",
            "is not known here",
        ),
        (
            r#"{"title":"a","x/y~z":1}"#,
            "/x~1y~0z",
            "is not known here",
        ),
        (
            r#"{"title":"a","count":-1}"#,
            "/count",
            "expected a whole number from 0 to 255, got -1",
        ),
        (
            r#"{"title":"a","count":1.5}"#,
            "/count",
            "expected a whole number from 0 to 255, got a number with a fraction",
        ),
        (
            r#"{"title":"a","fields":[]}"#,
            "/fields",
            "expected an object, got an array",
        ),
        (r#"["a"]"#, "", "expected an object, got an array"),
        (r#""a""#, "", "expected an object, got a string"),
    ] {
        let (status, problem) = post_json(body).await;
        assert_eq!(status, 422, "{body}");
        let error = &problem["errors"][0];
        assert_eq!(
            error,
            &json!({ "pointer": pointer, "detail": detail }),
            "{body}"
        );
    }
    let (_, problem) = post_json(r#"{"title":"a","to":["a@b.c","nobody"]}"#).await;
    assert_eq!(problem["errors"][0]["pointer"], "/to/1");
}

#[tokio::test]
async fn the_nouns_of_the_model_say_what_they_know() {
    let task = |body: &'static str| {
        let request = Request::post("/tasks").header(header::CONTENT_TYPE, "application/json");
        send(request, body)
    };
    let (status, _) =
        task(r#"{"title":"a","priority":"high","due_at":"2026-12-01T09:00:00Z"}"#).await;
    assert_eq!(status, 200);
    for (body, pointer) in [
        (r#"{"title":"a","priority":"asap"}"#, "/priority"),
        (r#"{"title":"a","due_at":"tomorrow"}"#, "/due_at"),
        (r#"{"title":"a","assignee_id":"me"}"#, "/assignee_id"),
        (r#"{"title":"a","id":"1"}"#, "/id"),
    ] {
        let (status, problem) = task(body).await;
        assert_eq!(status, 422, "{body}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let body = r#"{"title":"a"}"#;
    let (status, problem) = send(Request::post("/notes"), body).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (415, &json!("unsupported_media_type"))
    );
    for kind in ["text/plain", "application/merge-patch+json", "\u{fffd}"] {
        let request = Request::post("/notes").header(header::CONTENT_TYPE, kind);
        assert_eq!(send(request, body).await.0, 415, "{kind}");
    }
    for kind in ["application/json", "application/merge-patch+json"] {
        let request = Request::patch("/notes").header(header::CONTENT_TYPE, kind);
        assert_eq!(send(request, body).await.0, 200, "{kind}");
    }
}

#[tokio::test]
async fn a_body_of_three_megabytes_is_refused() {
    let body = format!(r#"{{"title":"{}"}}"#, "a".repeat(3_000_000));
    let (status, problem) = post_json(body).await;
    assert_eq!(status, 413);
    assert_eq!(problem["code"], "body_too_large");
}

#[tokio::test]
async fn an_optional_body_may_be_absent_but_not_broken() {
    assert_eq!(send(Request::post("/maybe"), "").await.1, "false");
    let typed = || Request::post("/maybe").header(header::CONTENT_TYPE, "application/json");
    assert_eq!(send(typed(), "").await.1, "false");
    assert_eq!(send(typed(), r#"{"title":"a"}"#).await.1, "true");
    assert_eq!(send(typed(), "{").await.0, 400);
    assert_eq!(send(Request::post("/maybe"), "{}").await.0, 415);
}

#[tokio::test]
async fn a_query_is_read_or_refused_by_name() {
    let list = |query: &str| send(Request::get(format!("/list?{query}")), "");
    assert_eq!(list("").await.1, "[] None false 50");
    let (_, read) = list("tag=a&min=3&overdue=true&limit=7&tag=b%20c").await;
    assert_eq!(read, "[\"a\", \"b c\"] Some(3) true 7");
    for (query, pointer) in [
        ("limit=-1", "?limit"),
        ("limit=many", "?limit"),
        ("limit=1&limit=2", "?limit"),
        ("colour=red", "?colour"),
        ("min=-3", "?min"),
        ("min=1&min=2", "?min"),
        ("overdue=maybe", "?overdue"),
        ("tag=%00", "?tag"),
        ("tag=%ff", "?tag"),
    ] {
        let (status, problem) = list(query).await;
        assert_eq!(status, 422, "{query}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_an_id_names_nothing() {
    let id = "/task/01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(send(Request::get(id), "").await.0, 200);
    for path in ["/task/1", "/task/%ff", "/task/..%2f..", "/task/null"] {
        let (status, problem) = send(Request::get(path), "").await;
        assert_eq!(status, 404, "{path}");
        assert_eq!(problem["code"], "not_found");
    }
}

#[tokio::test]
async fn a_form_is_refused_in_the_words_of_oauth() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let form = |kind: &str, body: &'static str| {
        send(
            Request::post("/token").header(header::CONTENT_TYPE, kind),
            body,
        )
    };
    assert_eq!(form(FORM, "grant_type=password").await.0, 200);
    for (body, pointer) in [
        ("", "/grant_type"),
        ("grant_type=a&grant_type=b", "/grant_type"),
        ("grant_type=a&colour=red", "/colour"),
    ] {
        let (status, problem) = form(FORM, body).await;
        assert_eq!(status, 400);
        assert_eq!(problem["error"], "invalid_request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let (status, problem) = form("application/json", "{}").await;
    assert_eq!(
        (status.as_u16(), &problem["error"]),
        (415, &json!("invalid_request"))
    );
}
