//! POST bodies with their idempotency key: the same key and body mean the same request.

use crate::app::App;
use crate::caller::Caller;
use crate::extract::ApiJson;
use crate::limit::one_address;
use crate::problem::{ApiError, FieldError};
use crate::request::client_address;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::request::Parts;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use smarttasks_model::{Timestamp, derive_id};
pub use smarttasks_store::idempotency::Key;
use uuid::Uuid;

const HEADER: &str = "idempotency-key";

/// The body of a POST, and the key under which its answer is kept, if the caller gave one.
#[derive(Debug)]
pub struct Post<T> {
    /// The body; an absent one counts as `{}`.
    pub body: T,
    /// The key.
    pub key: Option<Key>,
}

impl<T: DeserializeOwned> FromRequest<App> for Post<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let text = given_key(&parts)?;
        // Who asks is part of the key, so that nobody meets another's answers.
        let principal = match Caller::from_request_parts(&mut parts, app).await {
            Ok(caller) => caller.actor.id.0,
            Err(_) => stranger(&parts),
        };
        let bytes = crate::extract::read_body(body).await?;
        let key = text.map(|text| key_of(&parts, principal, text, &bytes));
        let request = match bytes.is_empty() && !parts.headers.contains_key("content-type") {
            true => {
                let json = http::HeaderValue::from_static("application/json");
                parts.headers.insert("content-type", json);
                Request::from_parts(parts, Body::from("{}"))
            }
            false => Request::from_parts(parts, Body::from(bytes)),
        };
        let ApiJson(body) = ApiJson::from_request(request, app).await?;
        Ok(Self { body, key })
    }
}

/// Stands for somebody unknown: nothing tells them apart but where they are.
fn stranger(parts: &Parts) -> Uuid {
    let address = one_address(client_address(&parts.extensions));
    let epoch = Timestamp::from_unix_millis(0);
    derive_id(epoch, &[b"stranger", address.to_string().as_bytes()])
}

fn given_key(parts: &Parts) -> Result<Option<String>, ApiError> {
    let Some(value) = parts.headers.get(HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let sane = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if sane {
        return Ok(Some(text.to_owned()));
    }
    let detail = "expected 1 to 255 visible ASCII characters, such as a UUID";
    Err(ApiError::invalid([FieldError::at(
        "Idempotency-Key",
        detail,
    )]))
}

fn key_of(parts: &Parts, principal: Uuid, key: String, body: &Bytes) -> Key {
    let mut hash = Sha256::new();
    let target = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    for part in [
        parts.method.as_str().as_bytes(),
        target.as_bytes(),
        body.as_ref(),
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Key {
        principal,
        key,
        request_hash: hash.finalize().into(),
    }
}
