//! The SMTP server that takes our mails, and the connections to it.
//!
//! lettre's own pool takes a connection back also when a send is abandoned half-way, and its next
//! user would read answers that belong to someone else. Here a connection returns only after the
//! server has taken a whole mail; anything else closes it.

use super::message::Rendered;
use crate::outcome::innermost;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Tls};
use lettre::transport::smtp::extension::ClientId;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// Connections at once: servers limit them by client.
const CONNECTIONS: usize = 8;
/// How long a connection without work is kept; servers close them after some minutes at the
/// earliest (RFC 5321, section 4.5.3.2).
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// Which server, how encrypted, as whom.
pub(super) struct Server {
    /// A name or address.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
    /// How the connection is encrypted.
    pub(super) tls: Tls,
    /// As whom we sign in.
    pub(super) credentials: Option<Credentials>,
    /// Our name in EHLO.
    pub(super) hello: ClientId,
}

/// A server and its connections.
pub(super) struct Relay {
    server: Server,
    timeout: Duration,
    slots: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// What a server said when it took a mail.
pub(super) struct Reply {
    /// Its code, 250.
    pub(super) code: u16,
    /// Its words, often its own id for the mail.
    pub(super) text: String,
}

/// Why a mail was not taken.
pub(super) enum RelayError {
    /// There was no connection to offer it on: name, network, TLS, greeting or sign-in failed.
    Unusable(Error),
    /// The server refused it.
    Refused {
        /// Its code.
        code: u16,
        /// Its words.
        text: String,
    },
    /// The connection ended, or the server spoke nonsense.
    Interrupted(String),
    /// All of it took longer than it may.
    TimedOut(Duration),
}

impl Relay {
    pub(super) fn new(server: Server, timeout: Duration) -> Self {
        Self {
            server,
            timeout,
            slots: Semaphore::new(CONNECTIONS),
            idle: Mutex::default(),
        }
    }

    /// Offers a mail to the server, when one of the connections is free.
    pub(super) async fn send(&self, mail: &Rendered) -> Result<Reply, RelayError> {
        // Never closed, so that this only waits.
        let _slot = self.slots.acquire().await;
        match timeout(self.timeout, self.offer(mail)).await {
            Ok(result) => result,
            Err(_) => Err(RelayError::TimedOut(self.timeout)),
        }
    }

    /// Connects and signs in.
    pub(super) async fn check(&self) -> Result<(), String> {
        match timeout(self.timeout, self.server.connect(self.timeout)).await {
            Ok(Ok(mut connection)) => {
                connection.abort().await;
                Ok(())
            }
            Ok(Err(error)) => Err(innermost(&error)),
            Err(_) => Err(format!("no answer within {} s", self.timeout.as_secs())),
        }
    }

    async fn offer(&self, mail: &Rendered) -> Result<Reply, RelayError> {
        let mut connection = self.connection().await.map_err(RelayError::Unusable)?;
        let taken = connection.send(&mail.envelope, &mail.bytes).await;
        let taken = taken.map_err(|error| match error.status() {
            Some(code) => RelayError::Refused {
                code: code.into(),
                text: innermost(&error),
            },
            None => RelayError::Interrupted(innermost(&error)),
        })?;
        self.idle().push(Idle {
            connection,
            since: Instant::now(),
        });
        let text: Vec<&str> = taken.message().collect();
        Ok(Reply {
            code: taken.code().into(),
            text: text.join("\n"),
        })
    }

    /// One that is still open, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, Error> {
        while let Some(mut parked) = self.take_idle() {
            if parked.test_connected().await {
                return Ok(parked);
            }
        }
        self.server.connect(self.timeout).await
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle();
        idle.retain(|parked| parked.since.elapsed() < LONGEST_IDLE);
        idle.pop().map(|parked| parked.connection)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    async fn connect(&self, timeout: Duration) -> Result<AsyncSmtpConnection, Error> {
        let wrapped = match &self.tls {
            Tls::Wrapper(parameters) => Some(parameters.clone()),
            _ => None,
        };
        let address = (&*self.host, self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(timeout), &self.hello, wrapped, None)
                .await?;
        match &self.tls {
            Tls::Required(parameters) => {
                connection.starttls(parameters.clone(), &self.hello).await?;
            }
            Tls::Opportunistic(parameters) if connection.can_starttls() => {
                connection.starttls(parameters.clone(), &self.hello).await?;
            }
            _ => {}
        }
        if let Some(credentials) = &self.credentials {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, credentials).await?;
        }
        Ok(connection)
    }
}
