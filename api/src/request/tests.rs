//! What every request gets.

use super::*;
use axum::routing::{get, post};
use bytes::Bytes;
use http::header;
use http_body_util::BodyExt;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::Value;
use std::future::pending;
use std::sync::Mutex;
use tokio::time::sleep;
use tower::ServiceExt;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn router() -> Router {
    let context =
        async |context: RequestContext| format!("{} {}", context.request_id, context.trace);
    observed(
        Router::new()
            .route("/context", get(context))
            .route(
                "/panic",
                get(async || -> String { panic!("the secret is hunter2") }),
            )
            .route("/tasks/{id}", post(async || "").get(async || "")),
        TIME_LIMIT,
    )
}

async fn send(request: http::request::Builder) -> (StatusCode, HeaderMap, String) {
    send_to(router(), request).await
}

async fn send_to(
    router: Router,
    request: http::request::Builder,
) -> (StatusCode, HeaderMap, String) {
    let request = request.body(Body::empty()).unwrap();
    answer(router.oneshot(request).await.unwrap()).await
}

async fn answer(response: Response) -> (StatusCode, HeaderMap, String) {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    (parts.status, parts.headers, body)
}

fn problem(headers: &HeaderMap, body: &str) -> String {
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    assert!(headers.contains_key(REQUEST_ID));
    let body: Value = serde_json::from_str(body).unwrap();
    body["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_given_id_and_trace_are_kept() {
    let request = Request::get("/context")
        .header(REQUEST_ID, "abc-1")
        .header(TRACEPARENT, TRACE);
    let (_, headers, body) = send(request).await;
    assert_eq!(headers[REQUEST_ID], "abc-1");
    let (id, trace) = body.split_once(' ').unwrap();
    assert_eq!(id, "abc-1");
    assert_eq!(trace[..36], TRACE[..36], "the same trace");
    assert_ne!(trace, TRACE, "another span");
}

#[tokio::test]
async fn without_a_sane_id_and_trace_new_ones_are_made() {
    let long = "x".repeat(129);
    for id in ["", "a b", "\u{e9}", &long] {
        let request = Request::get("/context")
            .header(REQUEST_ID, id)
            .header(TRACEPARENT, "00-0-0-0");
        let (_, headers, body) = send(request).await;
        assert_ne!(headers[REQUEST_ID], id);
        let (made, trace) = body.split_once(' ').unwrap();
        assert_eq!(headers[REQUEST_ID], made);
        assert!(made.parse::<Uuid>().is_ok(), "{made}");
        assert!(trace.parse::<TraceParent>().is_ok(), "{trace}");
    }
    let (_, first, _) = send(Request::get("/context")).await;
    let (_, second, _) = send(Request::get("/context")).await;
    assert_ne!(first[REQUEST_ID], second[REQUEST_ID]);
}

#[tokio::test]
async fn a_panic_is_an_answer_without_its_message() {
    let (status, headers, body) = send(Request::get("/panic")).await;
    assert_eq!(status, 500);
    assert_eq!(problem(&headers, &body), "internal");
    assert!(!body.contains("hunter2"), "{body}");
}

#[tokio::test]
async fn a_route_that_never_answers_is_given_up() {
    let never = Router::new().route("/", get(pending::<String>));
    let impatient = observed(never, Duration::ZERO);
    let (status, headers, body) = send_to(impatient, Request::get("/")).await;
    assert_eq!(status, 503);
    assert_eq!(problem(&headers, &body), "timeout");
    assert_eq!(headers[header::RETRY_AFTER], "5");
}

/// Sends three parts, a while apart, to a route that reads them and then takes a while itself.
async fn send_slowly(apart: Duration, then: Duration) -> (StatusCode, HeaderMap, String) {
    let route = async move |body: Bytes| {
        sleep(then).await;
        format!("{} bytes", body.len())
    };
    let router = observed(Router::new().route("/", post(route)), TIME_LIMIT);
    let part = move |_| async move {
        sleep(apart).await;
        Ok::<_, Infallible>("part")
    };
    let body = Body::from_stream(stream::iter(0..3).then(part));
    let request = Request::post("/").body(body).unwrap();
    answer(router.oneshot(request).await.unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn a_slow_upload_is_the_clients_time_and_not_ours() {
    let second = Duration::from_secs(1);
    let (status, _, body) = send_slowly(second * 3, second * 2).await;
    assert_eq!((status.as_u16(), &*body), (200, "12 bytes"));
    let (status, headers, body) = send_slowly(second * 3, second * 4).await;
    assert_eq!(status, 503);
    assert_eq!(problem(&headers, &body), "timeout");
    let (status, headers, body) = send_slowly(second * 6, second).await;
    assert_eq!(status, 408);
    assert_eq!(problem(&headers, &body), "body_too_slow");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_given_up() {
    let (status, headers, body) = send_slowly(Duration::MAX, Duration::ZERO).await;
    assert_eq!(status, 408);
    assert_eq!(problem(&headers, &body), "body_too_slow");
}

#[tokio::test]
async fn what_does_not_exist_is_a_problem() {
    let (status, headers, body) = send(Request::get("/nowhere")).await;
    assert_eq!(status, 404);
    assert_eq!(problem(&headers, &body), "not_found");
    let (status, headers, body) = send(Request::delete("/tasks/1")).await;
    assert_eq!(status, 405);
    assert_eq!(problem(&headers, &body), "method_not_allowed");
    let allow = headers[header::ALLOW].to_str().unwrap();
    assert!(allow.contains("POST") && allow.contains("GET"), "{allow}");
}

/// Keeps what was counted, as text.
#[derive(Default)]
struct Counted(Mutex<Vec<String>>);

impl Counted {
    fn push(&self, key: &Key) {
        let labels: Vec<&str> = key.labels().map(|label| label.value()).collect();
        let text = format!("{} {}", key.name(), labels.join(" "));
        self.0.lock().unwrap().push(text);
    }
}

impl Recorder for Counted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.push(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.push(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.push(key);
        Histogram::noop()
    }
}

#[test]
fn requests_are_counted_by_route_not_by_path() {
    let counted = Counted::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    metrics::with_local_recorder(&counted, || {
        runtime.unwrap().block_on(async {
            send(Request::get("/tasks/1")).await;
            send(Request::get("/nowhere")).await;
            send(Request::builder().method("BREW").uri("/tasks/1")).await;
        });
    });
    assert_eq!(
        *counted.0.lock().unwrap(),
        [
            "smarttasks_http_requests_total GET /tasks/{id} 2xx",
            "smarttasks_http_request_duration_seconds GET /tasks/{id} 2xx",
            "smarttasks_http_requests_total GET none 4xx",
            "smarttasks_http_request_duration_seconds GET none 4xx",
            "smarttasks_http_requests_total other /tasks/{id} 4xx",
            "smarttasks_http_request_duration_seconds other /tasks/{id} 4xx",
        ]
    );
}
