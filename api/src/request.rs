//! Each request from arrival to answer: its id, its trace, its place in the log and the metrics,
//! and an end to it, whatever the route or the client does.

#[cfg(test)]
mod tests;

use crate::problem::{ApiError, Code};
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use smarttasks_model::TraceParent;
use std::any::Any;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// How long we may take to begin the answer. The time that the client takes to send its body is its
/// own.
pub const TIME_LIMIT: Duration = Duration::from_secs(3);

/// How long we wait for the body.
pub const UPLOAD_LIMIT: Duration = Duration::from_secs(10);

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
    let started = Instant::now();
    let upload = Upload::default();
    let request = request.map(|body| upload.watch(body));
    let mut answer = pin!(next.run(request));
    loop {
        let waited = upload.waited();
        tokio::select! {
            answer = &mut answer => return Ok(answer),
            () = sleep_until(started + limit + waited) => {}
        }
        let since = upload.waited();
        if since >= UPLOAD_LIMIT {
            let detail = format!("No body within {} seconds.", UPLOAD_LIMIT.as_secs());
            return Err(ApiError::new(Code::BodyTooSlow, detail));
        }
        if since == waited {
            return Err(ApiError::Later {
                code: Code::Timeout,
                detail: format!("No answer within {} seconds.", limit.as_secs()),
                after: Duration::from_secs(5),
            });
        }
    }
}

/// How long a request waits for its body.
#[derive(Clone, Default)]
struct Upload(Arc<Mutex<Wait>>);

#[derive(Default)]
struct Wait {
    over: Duration,
    since: Option<Instant>,
}

impl Upload {
    /// `body`, with the waiting for each part of it measured.
    fn watch(&self, body: Body) -> Body {
        if body.is_end_stream() {
            return body;
        }
        let upload = self.clone();
        let mut parts = body.into_data_stream();
        Body::from_stream(stream::poll_fn(move |context| {
            let part = parts.poll_next_unpin(context);
            upload.note(part.is_pending());
            part
        }))
    }

    fn note(&self, is_waiting: bool) {
        let mut wait = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = wait.since.take();
        if is_waiting {
            wait.since = since.or_else(|| Some(Instant::now()));
        } else if let Some(since) = since {
            wait.over += since.elapsed();
        }
    }

    fn waited(&self) -> Duration {
        let wait = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wait.over + wait.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
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
