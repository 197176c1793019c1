//! The http channel: a request that a script makes of another system, for whose answer its run
//! waits.
//!
//! It is made by the same client as webhooks are sent, and is not signed: whom a script asks knows
//! nothing of SmartTasks. A repeat can be recognised by its `idempotency-key`.

mod answer;

pub(crate) use answer::no_answer;

use crate::client::{HttpClient, Request, set};
use crate::outcome::kept_text;
use crate::{Attempt, Reason, SendError, verdict};
use http::{HeaderMap, Method};
use serde_json::Value;
use smarttasks_model::{DeliveryId, HeaderSet, HttpRequest, Timestamp, TraceParent, WebhookUrl};
use tokio::time::Instant;

/// The methods that a script may use: not those that make a proxy of the receiver or reflect what
/// it is sent.
const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// One request to make. A repeat has the same `delivery_id`.
pub struct ScriptRequest {
    delivery_id: DeliveryId,
    method: Method,
    url: WebhookUrl,
    headers: HeaderSet,
    body: Option<String>,
    traceparent: Option<TraceParent>,
}

impl ScriptRequest {
    /// Checks what a script has asked for.
    ///
    /// # Errors
    /// What cannot be sent.
    pub fn parse(
        delivery_id: DeliveryId,
        request: &HttpRequest,
        traceparent: Option<TraceParent>,
    ) -> Result<Self, Reason> {
        let invalid = |detail: String| Reason::InvalidRequest(detail);
        let method = METHODS
            .into_iter()
            .find(|method| method.as_str() == request.method)
            .ok_or_else(|| {
                invalid(format!(
                    "method: {:?} is none of {}",
                    request.method,
                    METHODS.map(|method| method.to_string()).join(", ")
                ))
            })?;
        Ok(Self {
            delivery_id,
            method,
            url: request
                .url
                .parse()
                .map_err(|error| invalid(format!("url: {error}")))?,
            headers: HeaderSet::of_request("headers", &request.headers)
                .map_err(|error| invalid(error.to_string()))?,
            body: request.body.clone(),
            traceparent,
        })
    }

    /// Where it goes.
    pub fn url(&self) -> &WebhookUrl {
        &self.url
    }

    fn headers(&self) -> Result<HeaderMap, Reason> {
        let mut headers = HeaderMap::new();
        set(
            &mut headers,
            "idempotency-key",
            &self.delivery_id.to_string(),
        )?;
        for (name, value) in self.headers.iter() {
            set(&mut headers, name, value)?;
        }
        if let Some(traceparent) = self.traceparent {
            set(&mut headers, "traceparent", &traceparent.to_string())?;
        }
        Ok(headers)
    }
}

impl HttpClient {
    /// Makes one request, once; with the answer, when one came, also one that another try may
    /// better.
    pub async fn make_request(
        &self,
        request: &ScriptRequest,
        now: Timestamp,
    ) -> (Attempt, Option<Value>) {
        let started = Instant::now();
        let (attempt, answer) = match self.ask(request, now).await {
            Ok((attempt, answer)) => (attempt, Some(answer)),
            Err(error) => (Attempt::without_answer(error), None),
        };
        (attempt.since(started), answer)
    }

    async fn ask(
        &self,
        request: &ScriptRequest,
        now: Timestamp,
    ) -> Result<(Attempt, Value), SendError> {
        let request = Request {
            method: request.method.clone(),
            url: &request.url,
            headers: request.headers().map_err(SendError::Permanent)?,
            body: request.body.clone().unwrap_or_default().into(),
            read: answer::LONGEST,
        };
        let reply = self.exchange(request).await?;
        let verdict = verdict::of_request(reply.status, &reply.headers, now);
        let attempt = Attempt {
            status_code: Some(reply.status.as_u16()),
            duration_ms: 0,
            response: kept_text(&reply.body),
            error: verdict.err(),
        };
        Ok((attempt, answer::value(&reply)))
    }
}

#[cfg(test)]
mod tests;
