//! The webhook channel: one signed POST by Standard Webhooks 1.0.

mod sign;

pub use sign::payload;

use crate::client::{HttpClient, Request, set};
use crate::outcome::kept_text;
use crate::{Attempt, Reason, SendError, verdict};
use bytes::Bytes;
use http::{HeaderMap, Method};
use smarttasks_model::{DeliveryId, HeaderSet, SigningSecret, Timestamp, TraceParent, WebhookUrl};
use tokio::time::Instant;

/// At most this much of an answer is read, in bytes.
const READ: usize = 16 * 1024;

/// One webhook to send. A repeat has the same `delivery_id` and body.
pub struct WebhookRequest {
    /// The `webhook-id`, the same over all attempts.
    pub delivery_id: DeliveryId,
    /// Where to.
    pub url: WebhookUrl,
    /// What the endpoint's owner adds.
    pub headers: HeaderSet,
    /// The key that signs.
    pub secret: SigningSecret,
    /// Older keys that still sign beside it while receivers change over.
    pub retiring_secrets: Vec<SigningSecret>,
    /// The JSON, byte for byte as signed; see [`payload`].
    pub body: Bytes,
    /// The trace that caused it.
    pub traceparent: Option<TraceParent>,
    /// The instant of this attempt: the `webhook-timestamp`.
    pub attempted_at: Timestamp,
}

impl HttpClient {
    /// Sends one webhook, once.
    pub async fn send_webhook(&self, webhook: &WebhookRequest) -> Attempt {
        let started = Instant::now();
        let attempt = self.post(webhook).await;
        attempt
            .unwrap_or_else(Attempt::without_answer)
            .since(started)
    }

    async fn post(&self, webhook: &WebhookRequest) -> Result<Attempt, SendError> {
        let request = Request {
            method: Method::POST,
            url: &webhook.url,
            headers: headers(webhook).map_err(SendError::Permanent)?,
            body: webhook.body.clone(),
            read: READ,
        };
        let reply = self.exchange(request).await?;
        let verdict = verdict::of_webhook(reply.status, &reply.headers, webhook.attempted_at);
        Ok(Attempt {
            status_code: Some(reply.status.as_u16()),
            duration_ms: 0,
            response: kept_text(&reply.body),
            error: verdict.err(),
        })
    }
}

/// The owner's headers first, ours over them.
fn headers(webhook: &WebhookRequest) -> Result<HeaderMap, Reason> {
    let mut headers = HeaderMap::new();
    for (name, value) in webhook.headers.iter() {
        set(&mut headers, name, value)?;
    }
    let seconds = webhook.attempted_at.unix_seconds().to_string();
    set(&mut headers, "content-type", "application/json")?;
    set(&mut headers, "webhook-id", &webhook.delivery_id.to_string())?;
    set(&mut headers, "webhook-timestamp", &seconds)?;
    set(
        &mut headers,
        "webhook-signature",
        &sign::signatures(webhook),
    )?;
    if let Some(traceparent) = webhook.traceparent {
        set(&mut headers, "traceparent", &traceparent.to_string())?;
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
