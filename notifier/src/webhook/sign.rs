//! Signatures by Standard Webhooks 1.0 (<https://www.standardwebhooks.com>, "Symmetric").

use super::WebhookRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use smarttasks_model::Timestamp;

/// The body of a webhook: `{type, timestamp, data}`. The same content makes the same bytes.
pub fn payload(kind: &str, timestamp: Timestamp, data: &Value) -> Bytes {
    let payload = json!({ "type": kind, "timestamp": timestamp, "data": data });
    payload.to_string().into()
}

/// The `webhook-signature`: one `v1,<base64>` for each key, separated by spaces.
pub(super) fn signatures(request: &WebhookRequest) -> String {
    let keys = std::iter::once(&request.secret).chain(&request.retiring_secrets);
    let each: Vec<String> = keys
        .map(|secret| signature(secret.key(), request))
        .collect();
    each.join(" ")
}

/// HMAC-SHA256 over `id.timestamp.body`.
#[expect(
    clippy::expect_used,
    reason = "HMAC takes a key of any length: RFC 2104, section 2"
)]
fn signature(key: &[u8], request: &WebhookRequest) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    let seconds = request.attempted_at.unix_seconds();
    mac.update(format!("{}.{seconds}.", request.delivery_id).as_bytes());
    mac.update(&request.body);
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}
