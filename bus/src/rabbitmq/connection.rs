//! Connections: opened and given up within bounded time, and rebuilt by those who use them.
//!
//! lapin's own recovery is left off: it takes long to notice that a confirm was lost.

use super::topology::Topology;
use crate::{Error, Result};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use lapin::tcp::{AMQPUriTcpExt, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties, Event};
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long connecting may take, login included.
const CONNECT: Duration = Duration::from_secs(3);
/// How long the broker may take to answer anything else.
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// Seconds between heartbeats, when the URL does not say: a silent broker is given up after twice
/// as long.
const HEARTBEAT: u16 = 5;

/// A broker's address.
#[derive(Clone)]
pub(super) struct Address(AMQPUri);

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self> {
        let mut uri: AMQPUri = url.parse().map_err(Error::Address)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self(uri))
    }

    /// Without the password.
    fn told(&self) -> String {
        format!("{}:{}", self.0.authority.host, self.0.authority.port)
    }
}

/// A live connection. Dropping it ends it at once, whatever state it is in.
pub(super) struct Link {
    connection: Connection,
    socket: Socket,
    ended: AtomicBool,
}

/// The socket under a connection, so that it can be cut: lapin waits for the broker's farewell
/// before it lets go, which from a broker that hangs never comes.
#[derive(Clone, Default)]
struct Socket(Arc<OnceLock<TcpStream>>);

impl Socket {
    fn keep(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let kept = TcpStream::from(socket.try_clone_to_owned()?);
        // There is one socket to a connection.
        let _ = self.0.set(kept);
        Ok(())
    }

    fn cut(&self) {
        if let Some(socket) = self.0.get() {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Cuts a connection that did not come about.
struct CutUnlessOpen(Option<Socket>);

impl Drop for CutUnlessOpen {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            socket.cut();
        }
    }
}

impl Link {
    async fn open(address: &Address, purpose: &str) -> Result<Self> {
        let socket = Socket::default();
        let mut guard = CutUnlessOpen(Some(socket.clone()));
        let connection = bounded(CONNECT, "connecting", connect(address, purpose, &socket)).await?;
        let connection = connection.map_err(|source| Error::Connect {
            address: address.told(),
            source,
        })?;
        guard.0 = None;
        Ok(Self {
            connection,
            socket,
            ended: AtomicBool::new(false),
        })
    }

    pub(super) fn is_up(&self) -> bool {
        !self.ended.load(Ordering::Relaxed) && self.connection.status().connected()
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    pub(super) fn events(&self) -> BoxStream<'static, Event> {
        self.connection.events_listener().boxed()
    }

    pub(super) async fn channel(&self) -> Result<Channel> {
        asked("opening a channel", self.connection.create_channel()).await
    }

    /// Ends it without ceremony; everyone who uses it notices.
    pub(super) fn cut(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.socket.cut();
    }

    /// Says goodbye.
    async fn close(&self) {
        if self.is_up() && !self.is_blocked() {
            // A broker that is gone needs no farewell.
            let _ = asked("saying goodbye", self.connection.close(200, "OK".into())).await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
    }
}

async fn connect(address: &Address, purpose: &str, socket: &Socket) -> lapin::Result<Connection> {
    let runtime = lapin::runtime::default_runtime()?;
    let name = format!("smarttasks {purpose}, process {}", std::process::id());
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let kept = socket.clone();
    Connection::connector(
        address.0.clone(),
        runtime,
        async move |uri: AMQPUri, runtime| {
            let tls = OwnedTLSConfig::default();
            let connecting = async {
                let mut plain = uri.clone();
                plain.scheme = AMQPScheme::AMQP;
                let stream = plain
                    .connect_with_config_async(tls.as_ref(), &runtime)
                    .await?;
                if let AsyncTcpStream::Plain(stream) = &stream {
                    kept.keep(stream.get_ref().as_fd())?;
                }
                match uri.scheme {
                    AMQPScheme::AMQP => Ok(stream),
                    AMQPScheme::AMQPS => stream.into_tls(&uri.authority.host, tls.as_ref()).await,
                }
            };
            let connected = tokio::time::timeout(CONNECT, connecting).await;
            Ok(connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?)
        },
        properties,
    )
    .await
}

/// A connection that all who use it for one purpose share.
pub(super) struct Slot {
    address: Address,
    topology: Topology,
    purpose: &'static str,
    current: Mutex<Weak<Link>>,
}

impl Slot {
    pub(super) fn new(address: Address, topology: Topology, purpose: &'static str) -> Self {
        Self {
            address,
            topology,
            purpose,
            current: Mutex::default(),
        }
    }

    /// The connection, opened if there is none that lives.
    pub(super) async fn get(&self) -> Result<Arc<Link>> {
        let mut current = self.current.lock().await;
        if let Some(link) = current.upgrade()
            && link.is_up()
        {
            return Ok(link);
        }
        let link = Arc::new(Link::open(&self.address, self.purpose).await?);
        metrics::counter!("smarttasks_bus_connections_total", "purpose" => self.purpose)
            .increment(1);
        *current = Arc::downgrade(&link);
        Ok(link)
    }

    /// The same, with everything declared, also what somebody has deleted.
    pub(super) async fn declared(&self) -> Result<Arc<Link>> {
        let link = self.get().await?;
        self.topology.declare(&link).await?;
        Ok(link)
    }
}

/// Lets go of a connection; its last user says goodbye.
pub(super) async fn release(link: Arc<Link>) {
    if let Some(link) = Arc::into_inner(link) {
        link.close().await;
    }
}

/// Awaits an answer of the broker.
pub(super) async fn asked<T>(
    doing: &'static str,
    question: impl Future<Output = lapin::Result<T>>,
) -> Result<T> {
    bounded(ANSWER, doing, question)
        .await?
        .map_err(super::failed(doing))
}

async fn bounded<T>(
    within: Duration,
    doing: &'static str,
    future: impl Future<Output = T>,
) -> Result<T> {
    tokio::time::timeout(within, future)
        .await
        .map_err(|_| Error::Silent(within, doing))
}

/// Delays between attempts: doubling from 100 ms to a second, half of each by chance, so that
/// replicas do not come back all at once.
#[derive(Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let ceiling = 100 * 2u64.pow(self.attempts.min(4));
        self.attempts += 1;
        let half = ceiling.min(1000) / 2;
        // The standard library's only source of chance: the keys of a hasher.
        let chance = RandomState::new().hash_one(self.attempts) % (half + 1);
        Duration::from_millis(half + chance)
    }

    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}
