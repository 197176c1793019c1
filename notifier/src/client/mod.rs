//! The HTTP client for strangers: the one way to whatever a workspace names by a URL.
//!
//! The receiver is a stranger: it may be slow, endless, or an address inside our own network. One
//! deadline covers connecting, head and body; the answer is read only as far as somebody needs it;
//! nothing is followed, unpacked or sent through a proxy; and where a connection may go is decided
//! in the resolver of the very connector that makes it.

#[cfg(test)]
pub(crate) mod receiver;
mod resolve;

use crate::outcome::innermost;
use crate::{Reason, SendError, SetupError, trust};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use ipnet::IpNet;
use reqwest::dns::Resolve;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use resolve::{Guard, Refused, SystemResolver};
use rustls::RootCertStore;
use smarttasks_model::WebhookUrl;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How requests are made.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Private networks that may be reached, also without TLS.
    pub allowed_networks: Vec<IpNet>,
    /// For connecting, head and body together.
    pub timeout: Duration,
    /// What we call ourselves.
    pub user_agent: String,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            allowed_networks: Vec::new(),
            timeout: Duration::from_secs(20),
            user_agent: concat!("SmartTasks/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Makes requests. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct HttpClient {
    /// For `https`: resolves to public addresses and allowed networks.
    secure: Client,
    /// For `http`: resolves to allowed networks only.
    plain: Client,
    settings: Arc<ClientSettings>,
}

/// A request that is ready to be written.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a WebhookUrl,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How much of the answer's body is read at most, in bytes.
    pub(crate) read: usize,
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether that is all of it.
    pub(crate) whole: bool,
}

impl HttpClient {
    /// A client by these settings.
    ///
    /// # Errors
    /// When TLS or the client cannot be set up.
    pub fn new(settings: ClientSettings) -> Result<Self, SetupError> {
        Self::within(settings, Arc::new(SystemResolver), trust::all_roots())
    }

    /// A client for which names and trust are as given.
    pub(crate) fn within(
        settings: ClientSettings,
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

    /// Makes one request, once.
    ///
    /// Once the status has come, an answer whose body is slow, endless or cut short is still that
    /// answer, of which less is known.
    pub(crate) async fn exchange(&self, request: Request<'_>) -> Result<Reply, SendError> {
        let deadline = Instant::now() + self.settings.timeout;
        let url = request.url;
        self.check_literal(url)?;
        let client = match url.is_https() {
            true => &self.secure,
            false => &self.plain,
        };
        let asked = client
            .request(request.method, url.as_url().clone())
            .headers(request.headers)
            .body(request.body);
        let mut response = timeout_at(deadline, asked.send())
            .await
            .map_err(|_| SendError::transient(Reason::TimedOut(self.settings.timeout)))?
            .map_err(|error| no_answer(&error, url))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let (body, whole) = read_start(response, request.read, deadline).await;
        Ok(Reply {
            status,
            headers,
            body,
            whole,
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

/// Sets a header, over one of the same name.
pub(crate) fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Reason> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .ok()
        .zip(HeaderValue::from_str(value).ok());
    let (name, value) = parsed
        .ok_or_else(|| Reason::InvalidRequest(format!("HTTP cannot carry the header {name:?}")))?;
    headers.insert(name, value);
    Ok(())
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

/// At most so many bytes of a body, and whether they are all of it.
async fn read_start(mut response: Response, most: usize, deadline: Instant) -> (Vec<u8>, bool) {
    let mut read = Vec::new();
    loop {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let room = most - read.len();
                read.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    return (read, false);
                }
            }
            Ok(Ok(None)) => return (read, true),
            // A cut connection, or no more time: what was read is what there is.
            _ => return (read, false),
        }
    }
}
