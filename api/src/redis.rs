//! Redis, where replicas share what may be lost.
//!
//! It may be gone, slow or empty at any moment, and no request may suffer for it: a question has
//! [`RedisSettings::timeout`] to be answered, and after the first that was not, nobody asks for a
//! second. Then, and again every second, a task of its own connects and tries what requests
//! will do; until that works every question has the answer `None`, at once, and whoever asked
//! goes on without.
//!
//! The connection is supervised here rather than by the crate's `ConnectionManager`, which lets
//! requests wait for the connection that it is making and keeps one on which answers stay away.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, Script};
use secrecy::{ExposeSecret, SecretString};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// How long Redis is left alone after it has failed, and how often it is looked at while nobody
/// asks.
const PAUSE: Duration = Duration::from_secs(1);
/// Questions that may wait to be sent.
const WAITING: usize = 1024;

/// Where Redis is, and how it is used.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `redis://…`, or `rediss://…` with TLS; with user and password if it has any.
    pub url: SecretString,
    /// Begins every key.
    pub prefix: String,
    /// How long a request waits for an answer before it goes on without one.
    pub timeout: Duration,
}

impl RedisSettings {
    /// What [`RedisSettings::timeout`] usually is: a hundred times what Redis takes, and little
    /// enough not to be noticed.
    pub const TIMEOUT: Duration = Duration::from_millis(50);

    /// Connects once, and tries what requests do.
    ///
    /// # Errors
    /// What Redis, or the way to it, said.
    pub async fn check(&self) -> Result<(), RedisFailure> {
        Line::new(self)?.connect().await.map(drop)
    }
}

/// Why Redis did not answer.
#[derive(Debug, thiserror::Error)]
pub enum RedisFailure {
    /// It was silent for so long.
    #[error("no answer within {} ms", .0.as_millis())]
    Silent(Duration),
    /// It refused, or cannot be reached.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

/// Redis, answering or not.
pub(crate) struct Redis {
    line: Arc<Line>,
    _keeper: AbortOnDropHandle<()>,
}

struct Line {
    client: Client,
    prefix: String,
    timeout: Duration,
    state: watch::Sender<State>,
}

enum State {
    /// Nobody has tried yet.
    New,
    Up(Arc<MultiplexedConnection>),
    Down,
}

impl Redis {
    /// Connects, and keeps connecting. Returns when that has worked or failed once, so that a
    /// process that finds Redis uses it from its first request on.
    ///
    /// # Errors
    /// The address is not one.
    pub(crate) async fn open(settings: &RedisSettings) -> RedisResult<Self> {
        let line = Arc::new(Line::new(settings)?);
        metrics::gauge!("smarttasks_redis_up").set(0.0);
        metrics::counter!("smarttasks_redis_errors_total").increment(0);
        let keeper = tokio::spawn(keep(Arc::clone(&line)));
        let mut tried = line.state.subscribe();
        // The sender lives as long as the line, so waiting cannot fail.
        let _ = tried.wait_for(|state| !matches!(state, State::New)).await;
        drop(tried);
        Ok(Self {
            line,
            _keeper: AbortOnDropHandle::new(keeper),
        })
    }

    /// Whether it answers, as of a second ago.
    pub(crate) fn answers(&self) -> bool {
        self.line.connection().is_some()
    }

    /// The key of `name`.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.line.prefix)
    }

    /// What Redis answers to `question`; `None` when it is gone or does not answer in time.
    pub(crate) async fn ask<T, F>(
        &self,
        question: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        self.line.ask(question).await
    }
}

impl Line {
    fn new(settings: &RedisSettings) -> RedisResult<Self> {
        // The crate takes the process's provider for TLS; another one that is there is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            client: Client::open(settings.url.expose_secret())?,
            prefix: settings.prefix.clone(),
            timeout: settings.timeout,
            state: watch::Sender::new(State::New),
        })
    }

    fn connection(&self) -> Option<Arc<MultiplexedConnection>> {
        match &*self.state.borrow() {
            State::Up(connection) => Some(Arc::clone(connection)),
            State::New | State::Down => None,
        }
    }

    async fn ask<T, F>(&self, question: impl FnOnce(MultiplexedConnection) -> F) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let connection = self.connection()?;
        let answer = question(MultiplexedConnection::clone(&connection));
        match within(self.timeout, answer).await {
            Ok(answer) => Some(answer),
            Err(failure) => {
                self.lost(&connection, &failure);
                None
            }
        }
    }

    /// A connection on which what requests will do has just worked.
    async fn connect(&self) -> Result<MultiplexedConnection, RedisFailure> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CONNECT))
            .set_pipeline_buffer_size(WAITING);
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let mut connection = within(CONNECT, connecting).await?;
        let probe = Script::new("redis.call('SET', KEYS[1], 1, 'PX', 1000)");
        let probe = probe.key(format!("{}:probe", self.prefix));
        within(self.timeout, probe.invoke_async::<()>(&mut connection)).await?;
        Ok(connection)
    }

    fn found(&self, connection: MultiplexedConnection) {
        self.state.send_replace(State::Up(Arc::new(connection)));
        metrics::gauge!("smarttasks_redis_up").set(1.0);
        tracing::info!("Redis answers: replicas share limits and what they remember");
    }

    fn not_found(&self, failure: &RedisFailure) {
        metrics::counter!("smarttasks_redis_errors_total").increment(1);
        let is_new = self.state.send_if_modified(|state| {
            let is_new = matches!(state, State::New);
            *state = State::Down;
            is_new
        });
        if is_new {
            tell_gone(failure);
        }
    }

    /// Many may have asked on this connection; the first that was not answered says so.
    fn lost(&self, connection: &Arc<MultiplexedConnection>, failure: &RedisFailure) {
        metrics::counter!("smarttasks_redis_errors_total").increment(1);
        let is_first = self.state.send_if_modified(|state| {
            let is_first = matches!(state, State::Up(present) if Arc::ptr_eq(present, connection));
            if is_first {
                *state = State::Down;
            }
            is_first
        });
        if is_first {
            metrics::gauge!("smarttasks_redis_up").set(0.0);
            tell_gone(failure);
        }
    }
}

fn tell_gone(failure: &RedisFailure) {
    tracing::warn!(
        error = %failure,
        "Redis does not answer: each replica counts by itself and asks the database"
    );
}

async fn within<T, F>(limit: Duration, answer: F) -> Result<T, RedisFailure>
where
    F: Future<Output = RedisResult<T>>,
{
    match timeout(limit, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(RedisFailure::Silent(limit)),
    }
}

/// Sees to it that there is a connection.
async fn keep(line: Arc<Line>) {
    loop {
        match line.connect().await {
            Ok(connection) => {
                line.found(connection);
                until_lost(&line).await;
            }
            Err(failure) => line.not_found(&failure),
        }
        sleep(PAUSE).await;
    }
}

async fn until_lost(line: &Line) {
    let mut state = line.state.subscribe();
    while timeout(
        PAUSE,
        state.wait_for(|state| !matches!(state, State::Up(_))),
    )
    .await
    .is_err()
    {
        let ping = async |mut connection: MultiplexedConnection| {
            redis::cmd("PING").query_async::<()>(&mut connection).await
        };
        // One that does not answer is lost by that.
        let _ = line.ask(ping).await;
    }
}
