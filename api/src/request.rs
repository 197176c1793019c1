//! Each request from arrival to answer: its id, its trace, its place in the log and the metrics,
//! and an end to it, whatever the route does.

use crate::problem::{ApiError, Code};
use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use smarttasks_model::TraceParent;
use std::any::Any;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// How long a route may take to begin its answer.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);

/// What stands for the path in the log and the metrics when no route matched.
const NO_ROUTE: &str = "none";

/// What a request is known by. An extractor: each request has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    /// The `X-Request-Id`, the caller's or ours.
    pub request_id: String,
    /// This request's span in the caller's trace, or in one of its own.
    pub trace: TraceParent,
}

impl RequestContext {
    fn of(headers: &HeaderMap) -> Self {
        Self {
            request_id: given_id(headers).unwrap_or_else(|| Uuid::new_v4().to_string()),
            trace: given_trace(headers).map_or_else(TraceParent::start, TraceParent::child),
        }
    }
}

/// One to 128 visible ASCII characters: what a log line and a header can both hold.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let sane = (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    sane.then(|| id.to_owned())
}

fn given_trace(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get(TRACEPARENT)?.to_str().ok()?.parse().ok()
}

impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().cloned();
        Ok(known.unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

/// The address at the other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(client_address(&parts.extensions)))
    }
}

/// The address at the other end; `0.0.0.0` for a router that is called without a connection.
pub(crate) fn client_address(extensions: &Extensions) -> IpAddr {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip())
}

/// `router` with everything that each of its requests gets: fallbacks that are problems, a time
/// limit to begin the answer (usually [`TIME_LIMIT`]), an answer even when a route panics, and
/// [`RequestContext`], log and metrics around it all.
pub fn observed(router: Router, time_limit: Duration) -> Router {
    router
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(time_limit, within_time))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(observe))
}

async fn no_route() -> ApiError {
    ApiError::new(
        Code::NotFound,
        "There is nothing at this path; /docs lists what there is.",
    )
}

async fn no_method(method: Method) -> ApiError {
    let detail = format!("{method} is not possible here; the Allow header says what is.");
    ApiError::new(Code::MethodNotAllowed, detail)
}

async fn within_time(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    tokio::time::timeout(limit, next.run(request))
        .await
        .map_err(|_| ApiError::Later {
            code: Code::Timeout,
            detail: format!("No answer within {} seconds.", limit.as_secs()),
            after: Duration::from_secs(5),
        })
}

fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let message = match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload
            .downcast_ref::<&str>()
            .map_or_else(String::new, |message| (*message).to_owned()),
    };
    ApiError::internal(format!("panicked: {message}")).into_response()
}

async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let context = RequestContext::of(request.headers());
    let method = known_method(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| NO_ROUTE.to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!(
        "request",
        request.id = %context.request_id,
        trace.id = %context.trace.trace_id(),
        http.method = method,
        http.route = %route,
    );
    let id = HeaderValue::try_from(&context.request_id);
    request.extensions_mut().insert(context);
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Ok(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    span.in_scope(|| record(method, route, response.status(), started.elapsed()));
    response
}

/// A caller may invent methods without end; metrics may not.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn record(method: &'static str, route: String, status: StatusCode, took: Duration) {
    let millis = took.as_secs_f64() * 1000.0;
    tracing::info!(
        http.status = status.as_u16(),
        duration_ms = millis,
        "{method} {route} {} in {millis:.1} ms",
        status.as_u16()
    );
    let class = match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    };
    let labels = [
        ("method", method.into()),
        ("route", metrics::SharedString::from(route)),
        ("status", class.into()),
    ];
    metrics::counter!("smarttasks_http_requests_total", &labels).increment(1);
    metrics::histogram!("smarttasks_http_request_duration_seconds", &labels)
        .record(took.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::{get, post};
    use http::header;
    use http_body_util::BodyExt;
    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };
    use serde_json::Value;
    use std::future::pending;
    use std::sync::Mutex;
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
        let response = router.oneshot(request).await.unwrap();
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
}
