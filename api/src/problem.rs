//! What a refusal looks like: RFC 9457 `application/problem+json`, the same for every route.
//!
//! Clients branch on `code`, so each is one row of [`Code`], which also documents it: the page
//! at `/docs/problems` and the `type` of every problem come from there.

mod code;

pub use code::Code;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use smarttasks_model::Invalid;
use std::error::Error;
use std::time::Duration;

/// A request that was not carried out, and why.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request was refused for what it is or who sent it.
    #[error("{code}: {detail}")]
    Refused {
        /// What clients branch on.
        code: Code,
        /// What was wrong, where, and what to do.
        detail: String,
        /// The values that were wrong.
        errors: Vec<FieldError>,
    },
    /// The same request may succeed later.
    #[error("{code}: {detail}")]
    Later {
        /// What clients branch on.
        code: Code,
        /// What stands in the way.
        detail: String,
        /// How long to wait.
        after: Duration,
    },
    /// Our fault. The cause is logged when the answer is made and never shown.
    #[error("internal error")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

/// One value that was wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// JSON pointer into the body, such as `/title`; `?limit` for a parameter of the query.
    #[schema(example = "/title")]
    pub pointer: String,
    /// What was wrong and what would be right.
    pub detail: String,
    /// Line within a text, counted from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Column within that line, counted from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

impl FieldError {
    /// The value at `pointer` was wrong.
    pub fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
            ..Self::default()
        }
    }

    /// With a place within the text.
    #[must_use]
    pub fn in_text(self, line: usize, column: usize) -> Self {
        Self {
            line: Some(line),
            column: Some(column),
            ..self
        }
    }
}

impl From<Invalid> for FieldError {
    fn from(invalid: Invalid) -> Self {
        Self::at(invalid.pointer, invalid.detail)
    }
}

/// The body of every refusal (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Where the kind of problem is explained.
    #[serde(rename = "type")]
    #[schema(example = "/docs/problems#not_found")]
    pub kind: String,
    /// The kind of problem, in words.
    #[schema(example = "There is no such thing here")]
    pub title: &'static str,
    /// The status code of the response.
    #[schema(example = 404)]
    pub status: u16,
    /// What was wrong this time, and what to do.
    pub detail: String,
    /// The kind of problem, to branch on.
    #[schema(value_type = String, example = "not_found")]
    pub code: Code,
    /// Each value that was wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl ApiError {
    /// A refusal of the kind `code`.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::Refused {
            code,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// 404: there is no such `what`, or it is not the caller's to know of.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {what}."))
    }

    /// 403: the caller may see it, but not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, detail)
    }

    /// 422: these values are wrong.
    pub fn invalid<E: Into<FieldError>>(errors: impl IntoIterator<Item = E>) -> Self {
        Self::refused_values(Code::Invalid, errors)
    }

    /// A refusal of the kind `code` because of these values.
    pub fn refused_values<E: Into<FieldError>>(
        code: Code,
        errors: impl IntoIterator<Item = E>,
    ) -> Self {
        let errors: Vec<FieldError> = errors.into_iter().map(Into::into).collect();
        Self::Refused {
            code,
            detail: summary(&errors),
            errors,
        }
    }

    /// 429: too much of something; free again after `after`.
    pub fn too_many(code: Code, detail: impl Into<String>, after: Duration) -> Self {
        Self::Later {
            code,
            detail: detail.into(),
            after,
        }
    }

    /// 503: something that is needed does not answer; try again after `after`.
    pub fn unavailable(detail: impl Into<String>, after: Duration) -> Self {
        Self::Later {
            code: Code::Unavailable,
            detail: detail.into(),
            after,
        }
    }

    /// 500 with a cause for the log.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// What clients branch on.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused { code, .. } | Self::Later { code, .. } => *code,
            Self::Internal(_) => Code::Internal,
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // A refusal is about this moment; without this, caches may keep a 404 for a while.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Self::Later { after, .. } = self {
            headers.insert(header::RETRY_AFTER, whole_seconds(*after).into());
        }
        let challenge = match self.code() {
            Code::InvalidToken => "Bearer realm=\"smarttasks\", error=\"invalid_token\"",
            code if code.status() == StatusCode::UNAUTHORIZED => "Bearer realm=\"smarttasks\"",
            _ => return headers,
        };
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        );
        headers
    }

    /// The body to show. The cause of an internal error goes to the log here, once.
    fn into_problem(self) -> Problem {
        let code = self.code();
        let (detail, errors) = match self {
            Self::Refused { detail, errors, .. } => (detail, errors),
            Self::Later { detail, .. } => (detail, Vec::new()),
            Self::Internal(cause) => {
                tracing::error!(error = %Chain(&*cause), "request failed");
                (
                    "Something went wrong on our side. The X-Request-Id of this answer finds \
                     the cause in the log."
                        .to_owned(),
                    Vec::new(),
                )
            }
        };
        Problem {
            kind: format!("/docs/problems#{code}"),
            title: code.title(),
            status: code.status().as_u16(),
            detail,
            code,
            errors,
        }
    }
}

/// The one error in full, or how many there are: `errors` holds them all.
fn summary(errors: &[FieldError]) -> String {
    match errors {
        [] => "The request is not valid.".to_owned(),
        [one] if one.pointer.is_empty() => one.detail.clone(),
        [one] => format!("{}: {}", one.pointer, one.detail),
        many => format!("{} values are not valid; see `errors`.", many.len()),
    }
}

/// Rounded up, so that whoever waits as told is not refused again.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::invalid([invalid])
    }
}

impl From<Vec<Invalid>> for ApiError {
    fn from(invalid: Vec<Invalid>) -> Self {
        Self::invalid(invalid)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let headers = self.headers();
        let problem = self.into_problem();
        problem_response(problem.status, headers, &problem)
    }
}

/// A refusal by a token endpoint: the members of RFC 6749, section 5.2, beside those of a problem.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct OAuthError(#[from] pub ApiError);

#[derive(Serialize)]
struct OAuthProblem {
    error: &'static str,
    error_description: String,
    #[serde(flatten)]
    problem: Problem,
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let headers = self.0.headers();
        let problem = self.0.into_problem();
        let body = OAuthProblem {
            error: problem.code.oauth_error(),
            error_description: problem.detail.clone(),
            problem,
        };
        problem_response(body.problem.status, headers, &body)
    }
}

fn problem_response(status: u16, mut headers: HeaderMap, body: &impl Serialize) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    // Strings and numbers only, so writing cannot fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    (status, headers, body).into_response()
}

/// An error and what caused it, on one line.
struct Chain<'a>(&'a (dyn Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    async fn shown(error: impl IntoResponse) -> (StatusCode, HeaderMap, Value) {
        let (parts, body) = error.into_response().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            parts.status,
            parts.headers,
            serde_json::from_slice(&body).unwrap(),
        )
    }

    #[tokio::test]
    async fn a_refusal_is_a_problem_with_its_values() {
        let error = ApiError::from(Invalid::at("/title", "must not be empty"));
        let (status, headers, body) = shown(error).await;
        assert_eq!(status, 422);
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(
            body,
            json!({
                "type": "/docs/problems#invalid",
                "title": "A value is not valid",
                "status": 422,
                "detail": "/title: must not be empty",
                "code": "invalid",
                "errors": [{ "pointer": "/title", "detail": "must not be empty" }],
            })
        );
    }

    #[tokio::test]
    async fn an_error_in_a_script_has_line_and_column() {
        let at = FieldError::at("/script", "unknown word `tsak`").in_text(3, 7);
        let error = ApiError::refused_values(Code::InvalidScript, [at]);
        let (status, _, body) = shown(error).await;
        assert_eq!(status, 422);
        assert_eq!(body["code"], "invalid_script");
        assert_eq!(body["errors"][0]["line"], 3);
        assert_eq!(body["errors"][0]["column"], 7);
    }

    #[tokio::test]
    async fn the_cause_of_an_internal_error_is_not_shown() {
        let cause = std::io::Error::other("password of the database is hunter2");
        let (status, _, body) = shown(ApiError::internal(cause)).await;
        assert_eq!(status, 500);
        assert_eq!(body["code"], "internal");
        assert!(!body.to_string().contains("hunter2"), "{body}");
    }

    #[tokio::test]
    async fn a_missing_and_a_bad_token_are_challenged_differently() {
        let (status, headers, _) = shown(ApiError::new(Code::Unauthenticated, "x")).await;
        assert_eq!(status, 401);
        assert_eq!(
            headers[header::WWW_AUTHENTICATE],
            "Bearer realm=\"smarttasks\""
        );
        let (status, headers, _) = shown(ApiError::new(Code::InvalidToken, "x")).await;
        assert_eq!(status, 401);
        assert_eq!(
            headers[header::WWW_AUTHENTICATE],
            "Bearer realm=\"smarttasks\", error=\"invalid_token\""
        );
    }

    #[tokio::test]
    async fn retry_after_is_rounded_up() {
        let error = ApiError::unavailable("busy", Duration::from_millis(1_001));
        let (status, headers, _) = shown(error).await;
        assert_eq!(status, 503);
        assert_eq!(headers[header::RETRY_AFTER], "2");
    }

    #[tokio::test]
    async fn the_token_endpoint_speaks_oauth_and_problem_at_once() {
        let error = OAuthError(ApiError::new(Code::InvalidGrant, "Wrong password."));
        let (status, _, body) = shown(error).await;
        assert_eq!(status, 400);
        assert_eq!(body["error"], "invalid_grant");
        assert_eq!(body["error_description"], "Wrong password.");
        assert_eq!(body["code"], "invalid_grant");
        assert_eq!(body["detail"], "Wrong password.");
    }
}
