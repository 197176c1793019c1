//! Requests into types: every way a request can be malformed ends in a problem, never in a
//! plain-text answer of the framework.

mod body;
mod input;
mod json;

use crate::page::{PageParams, PageRequest};
use crate::problem::{ApiError, Code, FieldError, OAuthError};
use axum::extract::{
    FromRequest, FromRequestParts, OptionalFromRequest, OriginalUri, Path, Request,
};
use body::media_type;
use bytes::Bytes;
use http::Method;
use http::request::Parts;
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use std::convert::Infallible;

pub use body::MAX_BODY_BYTES;
pub(crate) use body::read as read_body;

/// A JSON body. `Option<ApiJson<T>>` also takes a request without any body.
///
/// Text that is not JSON is 400 with line and column; a value that does not fit `T`, an unknown
/// field included, is 422 with a JSON pointer.
#[derive(Debug)]
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        check_json_type(&request)?;
        let bytes = body::read(request.into_body()).await?;
        json::parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, ApiError> {
        let typed = check_json_type(&request);
        let bytes = body::read(request.into_body()).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        typed?;
        json::parse(&bytes).map(|body| Some(Self(body)))
    }
}

/// `value` as a `T`, as strictly as a body, for what is put together from several sources.
pub(crate) fn fit<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, FieldError> {
    input::from_json(value)
}

/// Tells `null` (clear, or an error where nothing can be cleared) from absent (leave), for the
/// fields of a merge patch.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn check_json_type(request: &Request) -> Result<(), ApiError> {
    let patch = request.method() == Method::PATCH;
    match media_type(request.headers()).as_deref() {
        Some("application/json") => Ok(()),
        Some("application/merge-patch+json") if patch => Ok(()),
        other => Err(wrong_type(
            other,
            if patch {
                "application/merge-patch+json or application/json"
            } else {
                "application/json"
            },
        )),
    }
}

fn wrong_type(got: Option<&str>, expected: &str) -> ApiError {
    let got = match got {
        Some(got) => format!("The body is declared as {got}"),
        None => "The body has no Content-Type".to_owned(),
    };
    ApiError::new(
        Code::UnsupportedMediaType,
        format!("{got}; send it as {expected}."),
    )
}

/// A form, as OAuth's token endpoints take it; refusals speak OAuth too.
#[derive(Debug)]
pub struct ApiForm<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiForm<T> {
    type Rejection = OAuthError;

    async fn from_request(request: Request, _: &S) -> Result<Self, OAuthError> {
        const FORM: &str = "application/x-www-form-urlencoded";
        let declared = media_type(request.headers());
        if declared.as_deref() != Some(FORM) {
            return Err(wrong_type(declared.as_deref(), FORM).into());
        }
        let bytes: Bytes = body::read(request.into_body()).await?;
        let form = input::from_pairs(input::pairs(&bytes))
            .map_err(|error| ApiError::refused_values(Code::InvalidRequest, [error]))?;
        Ok(Self(form))
    }
}

/// The parameters of the query. Unknown ones are 422, with `?name` for a pointer.
#[derive(Debug)]
pub struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        from_query(query_pairs(parts)).map(Self)
    }
}

/// The query of a list: its filters, and which page is asked for.
///
/// Apart, so that a type of filters need not name `limit` and `cursor`.
#[derive(Debug)]
pub struct ListQuery<F> {
    /// The filters of this list.
    pub filter: F,
    /// `limit` and `cursor`.
    pub page: PageRequest,
}

impl<F: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ListQuery<F> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let (of_page, of_filter) = query_pairs(parts)
            .into_iter()
            .partition(|(name, _)| PageParams::NAMES.contains(&name.as_str()));
        let Ok(OriginalUri(uri)): Result<_, Infallible> =
            OriginalUri::from_request_parts(parts, state).await;
        Ok(Self {
            filter: from_query(of_filter)?,
            page: PageRequest::new(from_query(of_page)?, uri)?,
        })
    }
}

fn query_pairs(parts: &Parts) -> Vec<(String, String)> {
    input::pairs(parts.uri.query().unwrap_or_default().as_bytes())
}

fn from_query<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, ApiError> {
    input::from_pairs(pairs).map_err(|error| {
        ApiError::invalid([FieldError {
            pointer: error.pointer.replacen('/', "?", 1),
            ..error
        }])
    })
}

/// The variable parts of the path. One that cannot be an id names nothing: 404.
#[derive(Debug)]
pub struct ApiPath<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(path)) => Ok(Self(path)),
            Err(rejection) if rejection.status().is_client_error() => Err(ApiError::new(
                Code::NotFound,
                "There is nothing at this path: ids look like 01890a5d-ac96-774b-bcce-b302099a8057.",
            )),
            Err(rejection) => Err(ApiError::internal(rejection)),
        }
    }
}

#[cfg(test)]
mod tests;
