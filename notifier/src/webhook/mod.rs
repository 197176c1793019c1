//! The webhook channel: one signed POST by Standard Webhooks 1.0.
//!
//! The receiver is a stranger: it may be slow, endless, or an address inside our own network. One
//! deadline covers connecting, head and body; the answer is read only as far as the log needs it;
//! nothing is followed, unpacked or sent through a proxy; and where a connection may go is decided
//! in the resolver of the very connector that makes it.

mod resolve;
mod sign;
mod verdict;

pub use sign::payload;

use crate::outcome::{innermost, kept_text};
use crate::{Attempt, Reason, SendError, SetupError, trust};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use reqwest::dns::Resolve;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use resolve::{Guard, Refused, SystemResolver};
use rustls::RootCertStore;
use smarttasks_model::{DeliveryId, HeaderSet, SigningSecret, Timestamp, TraceParent, WebhookUrl};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// At most this much of an answer is read, in bytes.
const READ: usize = 16 * 1024;

/// How webhooks are sent.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Private networks that webhooks may reach, also without TLS.
    pub allowed_networks: Vec<IpNet>,
    /// For connecting, head and body together.
    pub timeout: Duration,
    /// What we call ourselves.
    pub user_agent: String,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            allowed_networks: Vec::new(),
            timeout: Duration::from_secs(20),
            user_agent: concat!("SmartTasks/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

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

/// Sends webhooks. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct WebhookSender {
    /// For `https`: resolves to public addresses and allowed networks.
    secure: Client,
    /// For `http`: resolves to allowed networks only.
    plain: Client,
    settings: Arc<WebhookSettings>,
}

impl WebhookSender {
    /// A sender by these settings.
    pub fn new(settings: WebhookSettings) -> Result<Self, SetupError> {
        Self::within(settings, Arc::new(SystemResolver), trust::all_roots())
    }

    /// A sender for which names and trust are as given.
    fn within(
        settings: WebhookSettings,
        resolver: Arc<dyn Resolve>,
        roots: RootCertStore,
    ) -> Result<Self, SetupError> {
        let tls = trust::tls_trusting(roots)?;
        let client = |guard| {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(guard)
                .user_agent(&settings.user_agent)
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .referer(false)
                // Kept just long enough for a burst to one endpoint: idle connections to
                // thousands of endpoints would use up the process's file descriptors.
                .pool_idle_timeout(Duration::from_secs(5))
                .pool_max_idle_per_host(4)
                .build()
        };
        let allowed: Arc<[IpNet]> = settings.allowed_networks.clone().into();
        Ok(Self {
            secure: client(Guard::secure(resolver.clone(), allowed.clone()))?,
            plain: client(Guard::plain(resolver, allowed))?,
            settings: Arc::new(settings),
        })
    }

    /// Sends one webhook, once.
    ///
    /// The status decides: once it has come, an answer whose body is slow, endless or cut short
    /// is still that answer, and only the log has less to show.
    pub async fn send(&self, request: &WebhookRequest) -> Attempt {
        let started = Instant::now();
        let mut attempt = match self.ask(request, started + self.settings.timeout).await {
            Ok(attempt) => attempt,
            Err(error) => Attempt {
                status_code: None,
                duration_ms: 0,
                response: None,
                error: Some(error),
            },
        };
        attempt.duration_ms = started.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        attempt
    }

    async fn ask(&self, request: &WebhookRequest, deadline: Instant) -> Result<Attempt, SendError> {
        let url = &request.url;
        self.check_literal(url)?;
        let client = match url.is_https() {
            true => &self.secure,
            false => &self.plain,
        };
        let post = client
            .post(url.as_url().clone())
            .headers(headers(request).map_err(SendError::Permanent)?)
            .body(request.body.clone());
        let response = timeout_at(deadline, post.send())
            .await
            .map_err(|_| SendError::transient(Reason::TimedOut(self.settings.timeout)))?
            .map_err(|error| no_answer(&error, url))?;
        let status = response.status();
        let error = verdict::judge(status, response.headers(), request.attempted_at).err();
        let body = read_start(response, deadline).await;
        Ok(Attempt {
            status_code: Some(status.as_u16()),
            duration_ms: 0,
            response: kept_text(&body),
            error,
        })
    }

    /// The connector resolves names only: a literal address is connected to as it stands.
    fn check_literal(&self, url: &WebhookUrl) -> Result<(), SendError> {
        let Some(address) = url.literal_address() else {
            return Ok(());
        };
        let allowed = &self.settings.allowed_networks;
        match resolve::may_connect(url.is_https(), address, allowed) {
            true => Ok(()),
            false => {
                let refused = Refused::of([address].into_iter(), allowed);
                Err(SendError::Permanent(refused.reason(url)))
            }
        }
    }
}

/// The owner's headers first, ours over them.
fn headers(request: &WebhookRequest) -> Result<HeaderMap, Reason> {
    let mut headers = HeaderMap::new();
    let mut set = |name: &str, value: &str| {
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .ok()
            .zip(HeaderValue::from_str(value).ok());
        let (name, value) = parsed.ok_or_else(|| {
            Reason::InvalidRequest(format!("HTTP cannot carry the header {name:?}"))
        })?;
        headers.insert(name, value);
        Ok(())
    };
    for (name, value) in request.headers.iter() {
        set(name, value)?;
    }
    set("content-type", "application/json")?;
    set("webhook-id", &request.delivery_id.to_string())?;
    set(
        "webhook-timestamp",
        &request.attempted_at.unix_seconds().to_string(),
    )?;
    set("webhook-signature", &sign::signatures(request))?;
    if let Some(traceparent) = request.traceparent {
        set("traceparent", &traceparent.to_string())?;
    }
    Ok(headers)
}

/// Why there was no answer, from the causes of the client's error.
fn no_answer(error: &reqwest::Error, url: &WebhookUrl) -> SendError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(refusal) = inner.downcast_ref::<Refused>() {
            return SendError::Permanent(refusal.reason(url));
        }
        cause = inner.source();
    }
    let text = innermost(error);
    SendError::transient(match error.is_connect() {
        true => Reason::Connection(text),
        false => Reason::Interrupted(text),
    })
}

async fn read_start(mut response: Response, deadline: Instant) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < READ {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                read.extend_from_slice(&chunk[..chunk.len().min(READ - read.len())])
            }
            // The end, a cut connection, or no more time: what was read is what there is.
            _ => break,
        }
    }
    read
}

#[cfg(test)]
mod tests;
