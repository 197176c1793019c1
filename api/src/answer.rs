//! Types into responses: what creating, accepting and reading one thing answer, so that no
//! route spells out headers.

use crate::etag::{IfNoneMatch, etag};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use smarttasks_store::idempotency;

/// The answer to a POST, in the form in which it is also kept for a repetition.
#[derive(Debug)]
pub struct Answer(pub(crate) idempotency::Answer);

impl Answer {
    /// 201 with `Location`, the resource and its version for the `ETag`.
    ///
    /// # Errors
    /// When the resource cannot be written as JSON.
    pub fn created(
        location: String,
        version: impl Into<Option<i64>>,
        body: &impl Serialize,
    ) -> smarttasks_store::Result<Self> {
        Self::of(StatusCode::CREATED, Some(location), version.into(), body)
    }

    /// 202: the work goes on; `body` says under which id to look.
    ///
    /// # Errors
    /// When the body cannot be written as JSON.
    pub fn accepted(body: &impl Serialize) -> smarttasks_store::Result<Self> {
        Self::of(StatusCode::ACCEPTED, None, None, body)
    }

    /// 200 with a resource that was changed and its version, or with what was worked out.
    ///
    /// # Errors
    /// When the body cannot be written as JSON.
    pub fn ok(
        version: impl Into<Option<i64>>,
        body: &impl Serialize,
    ) -> smarttasks_store::Result<Self> {
        Self::of(StatusCode::OK, None, version.into(), body)
    }

    fn of(
        status: StatusCode,
        location: Option<String>,
        version: Option<i64>,
        body: &impl Serialize,
    ) -> smarttasks_store::Result<Self> {
        let body = serde_json::to_vec(body)
            .map_err(|error| smarttasks_store::Error::Unreadable("answer", error.to_string()))?;
        Ok(Self(idempotency::Answer {
            status: status.as_u16(),
            location,
            version,
            body,
        }))
    }

    pub(crate) fn into_response(self, replayed: bool) -> Response {
        let idempotency::Answer {
            status,
            location,
            version,
            body,
        } = self.0;
        let mut response = (
            StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            [(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            )],
            body,
        )
            .into_response();
        let headers = response.headers_mut();
        if let Some(Ok(location)) = location.map(HeaderValue::try_from) {
            headers.insert(header::LOCATION, location);
        }
        if let Some(version) = version {
            headers.insert(header::ETAG, etag(version));
        }
        if replayed {
            headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        response
    }
}

/// One resource with its `ETag`; 304 without a body when the caller has it already.
#[derive(Debug)]
pub struct Versioned<T> {
    version: i64,
    known: bool,
    body: T,
}

impl<T> Versioned<T> {
    /// The resource `body` in version `version`.
    pub fn new(version: i64, body: T) -> Self {
        Self {
            version,
            known: false,
            body,
        }
    }

    /// The same, unless the caller has it.
    #[must_use]
    pub fn unless(self, known: &IfNoneMatch) -> Self {
        Self {
            known: known.has(self.version),
            ..self
        }
    }
}

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let tag = [(header::ETAG, etag(self.version))];
        if self.known {
            (StatusCode::NOT_MODIFIED, tag).into_response()
        } else {
            (tag, Json(self.body)).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    #[test]
    fn a_created_thing_says_where_it_is_and_whether_it_was_said_before() {
        for replayed in [false, true] {
            let answer = Answer::created("/api/v1/tasks/1".to_owned(), 1, &"task").unwrap();
            let response = answer.into_response(replayed);
            assert_eq!(response.status(), 201);
            assert_eq!(response.headers()[header::LOCATION], "/api/v1/tasks/1");
            assert_eq!(response.headers()[header::ETAG], "\"v1\"");
            assert_eq!(
                response.headers().contains_key("idempotent-replayed"),
                replayed
            );
        }
    }

    #[tokio::test]
    async fn a_read_is_empty_when_the_caller_has_the_version() {
        let read = |known: IfNoneMatch| async move { Versioned::new(3, "task").unless(&known) };
        let router: Router = Router::new().route("/", get(read));
        for (tag, status, body) in [("\"v2\"", 200, "\"task\""), ("\"v3\"", 304, "")] {
            let request = Request::get("/").header(header::IF_NONE_MATCH, tag);
            let request = request.body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[header::ETAG], "\"v3\"");
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(bytes, body);
        }
    }
}
