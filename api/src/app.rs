//! What every handler works with, and how writes reach the store.

use crate::answer::Answer;
use crate::limit::{Logins, Quotas, RateLimits};
use crate::memory::Memory;
use crate::once::Key;
use crate::password::Passwords;
use crate::problem::{ApiError, Code};
use crate::redis::{Redis, RedisSettings};
use crate::sessions::Sessions;
use crate::token::{KeyRing, RefreshKey, SigningKey, TokenError};
use crate::trials::Trials;
use axum::response::Response;
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use smarttasks_model::{Clock, Timestamp, UserId};
use smarttasks_rules::Pool;
use smarttasks_store::approvals::Links;
use smarttasks_store::idempotency::{self, Known};
use smarttasks_store::{Db, Tx, keys};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// What the gateway is told.
pub struct Settings {
    /// Where people reach it, without a slash at the end: the issuer of tokens.
    pub public_url: String,
    /// Requests per minute and user, or none.
    pub quotas: Option<Quotas>,
    /// Whether people may register by themselves.
    pub registration_open: bool,
    /// Private networks that webhooks may reach.
    pub allowed_networks: Vec<IpNet>,
    /// With whom this process shares its database.
    pub sharing: Sharing,
}

/// With whom a process shares its database, and so where it counts and remembers.
#[derive(Clone, Debug)]
pub enum Sharing {
    /// With nobody: in memory.
    Alone,
    /// With other replicas, of which it knows nothing: limits are its own, and it remembers
    /// nothing that a replica may change.
    Database,
    /// With other replicas that use the same Redis: there.
    Redis(RedisSettings),
}

/// What every handler works with; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// The parts of [`App`].
pub struct Inner {
    /// The store.
    pub db: Db,
    /// Where scripts are compiled.
    pub pool: Pool,
    /// What the gateway was told.
    pub settings: Settings,
    pub(crate) keys: Keys,
    pub(crate) refresh_key: RefreshKey,
    pub(crate) links: Links,
    pub(crate) passwords: Passwords,
    pub(crate) logins: Logins,
    pub(crate) limits: RateLimits,
    pub(crate) sessions: Sessions,
    pub(crate) trials: Trials,
    redis: Option<Arc<Redis>>,
}

impl std::ops::Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}

/// What a closure of a write returns.
pub type Written<'a, T> = BoxFuture<'a, smarttasks_store::Result<T>>;

impl App {
    /// The gateway on `db`; makes the first signing key when there is none.
    ///
    /// # Errors
    /// When the signing keys cannot be read or made, or the address of Redis is not one. That
    /// Redis does not answer is no error.
    pub async fn new(db: Db, pool: Pool, settings: Settings) -> Result<Self, StartError> {
        let keys = Keys::load(&db, &settings.public_url).await?;
        let redis = match &settings.sharing {
            Sharing::Redis(redis) => Some(Arc::new(Redis::open(redis).await?)),
            Sharing::Alone | Sharing::Database => None,
        };
        let memory = match (&settings.sharing, &redis) {
            (Sharing::Alone, _) => Memory::own(db.clock()),
            (_, Some(redis)) => Memory::Shared(Arc::clone(redis)),
            (_, None) => Memory::Nowhere,
        };
        Ok(Self(Arc::new(Inner {
            keys,
            refresh_key: RefreshKey::derive(&db.vault().derive_key("refresh tokens")),
            links: Links::new(db.vault(), &settings.public_url),
            passwords: Passwords::new(),
            logins: Logins::new(redis.clone()),
            limits: RateLimits::new(settings.quotas, db.clock(), redis.clone()),
            sessions: Sessions::new(memory),
            trials: Trials::new(Arc::clone(pool.language()))?,
            redis,
            db,
            pool,
            settings,
        })))
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        self.db.clock()
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock().now()
    }

    /// Whether Redis answers, as of a second ago; `None` without one. A process whose Redis is gone
    /// is ready all the same.
    pub fn redis_answers(&self) -> Option<bool> {
        self.redis.as_ref().map(|redis| redis.answers())
    }

    /// Makes every replica ask the database about `user` again: call it after the commit and before
    /// the answer when a login of theirs was ended, or a role of theirs changed.
    pub async fn forget(&self, user: UserId) {
        self.sessions.forget(user).await;
    }

    /// Lets new signing keys take over in time, until told to stop.
    pub async fn keep_keys_fresh(&self, stop: CancellationToken) {
        stop.run_until_cancelled(async {
            loop {
                let look = self.now() + KEY_LOOK;
                self.clock().sleep_until(look, KEY_LOOK).await;
                if let Err(error) = self.keys.rotate().await {
                    tracing::error!(%error, "the signing keys could not be looked at");
                }
            }
        })
        .await;
    }

    /// Writes, unless too much work is pending.
    ///
    /// # Errors
    /// Those of the closure, as problems.
    pub async fn write<T, F>(&self, closure: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a mut Tx) -> Written<'a, T> + Send + 'static,
    {
        self.db.admit()?;
        Ok(self.db.write(closure).await?)
    }

    /// Writes, and then [forgets](App::forget) the user of whom the closure says that something
    /// about them has changed. Goes on when the client goes away: what has committed holds
    /// everywhere.
    ///
    /// # Errors
    /// Those of the closure, as problems.
    pub(crate) async fn write_about<T, F>(&self, closure: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a mut Tx) -> Written<'a, (T, Option<UserId>)> + Send + Sync + 'static,
    {
        let app = self.clone();
        let writing = async move {
            let (value, changed) = app.write(closure).await?;
            if let Some(user) = changed {
                app.forget(user).await;
            }
            Ok(value)
        };
        tokio::spawn(writing.in_current_span())
            .await
            .map_err(ApiError::internal)?
    }

    /// Writes once per idempotency key: a repetition gets the first answer again. The answer
    /// commits with what it answers for.
    ///
    /// # Errors
    /// Those of the closure, as problems; 422 when the key was used for another request.
    pub async fn write_once<F>(&self, key: Option<Key>, closure: F) -> Result<Response, ApiError>
    where
        F: for<'a> Fn(&'a mut Tx) -> Written<'a, Answer> + Send + Sync + 'static,
    {
        let closure = Arc::new(closure);
        let outcome = self
            .write(move |tx| {
                let (key, closure) = (key.clone(), Arc::clone(&closure));
                Box::pin(async move { once(tx, key, &*closure).await })
            })
            .await?;
        match outcome {
            Outcome::First(answer) => Ok(answer.into_response(false)),
            Outcome::Again(answer) => Ok(answer.into_response(true)),
            Outcome::Reused => Err(ApiError::new(
                Code::IdempotencyKeyReused,
                "This Idempotency-Key came with another request in the last 24 hours; take a new one.",
            )),
        }
    }
}

impl App {
    /// Answers a POST that writes nothing; like any other, it is answered once per idempotency
    /// key.
    ///
    /// # Errors
    /// 422 when the key was used for another request.
    pub async fn answer_once<T>(&self, key: Option<Key>, body: T) -> Result<Response, ApiError>
    where
        T: serde::Serialize + Send + Sync + 'static,
    {
        if key.is_none() {
            return Ok(Answer::ok(None, &body)?.into_response(false));
        }
        self.write_once(key, move |_| {
            let answer = Answer::ok(None, &body);
            Box::pin(async move { answer })
        })
        .await
    }
}

enum Outcome {
    First(Answer),
    Again(Answer),
    Reused,
}

async fn once<F>(tx: &mut Tx, key: Option<Key>, closure: &F) -> smarttasks_store::Result<Outcome>
where
    F: for<'a> Fn(&'a mut Tx) -> Written<'a, Answer> + Send + Sync,
{
    let Some(key) = key else {
        return Ok(Outcome::First(closure(tx).await?));
    };
    match idempotency::find(tx, &key).await? {
        Known::Same(answer) => Ok(Outcome::Again(Answer(answer))),
        Known::Other => Ok(Outcome::Reused),
        Known::New => {
            let answer = closure(tx).await?;
            idempotency::keep(tx, &key, &answer.0)?;
            Ok(Outcome::First(answer))
        }
    }
}

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database failed, or a key in it was sealed with another secret key.
    #[error("the signing keys cannot be read: {0}")]
    Store(#[from] smarttasks_store::Error),
    /// A key is not one.
    #[error("a signing key cannot be used: {0}")]
    Key(#[from] TokenError),
    /// The address of Redis is not one.
    #[error(
        "REDIS_URL cannot be used: {0}; write redis://[user:password@]host[:port][/number], or rediss:// for TLS"
    )]
    Redis(#[from] redis::RedisError),
    /// The system gives no thread.
    #[error("no thread for trying rules: {0}")]
    Thread(#[from] std::io::Error),
}

/// The signing keys of the moment.
pub(crate) struct Keys {
    db: Db,
    issuer: String,
    ring: RwLock<Arc<KeyRing>>,
}

/// How often that is looked at; another process may have made a key, too.
const KEY_LOOK: Duration = Duration::from_secs(3600);
/// How old a key is when it begins to sign: by then every replica has looked and can verify with it.
/// The very first signs at once.
const KEY_KNOWN: Duration = Duration::from_secs(2 * 3600);
/// How long a key signs before another takes over.
const KEY_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long it verifies when another has begun to sign: longer than any token lives.
const KEY_OVERLAP: Duration = Duration::from_secs(24 * 3600);

impl Keys {
    async fn load(db: &Db, issuer: &str) -> Result<Self, StartError> {
        let ring = RwLock::new(Arc::new(ring(db, issuer).await?));
        Ok(Self {
            db: db.clone(),
            issuer: issuer.to_owned(),
            ring,
        })
    }

    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a new key take over when the present one is old, and drops those of which no token
    /// is left.
    pub(crate) async fn rotate(&self) -> Result<(), StartError> {
        let ring = Arc::new(ring(&self.db, &self.issuer).await?);
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        Ok(())
    }
}

async fn ring(db: &Db, issuer: &str) -> Result<KeyRing, StartError> {
    let now = db.clock().now();
    let mut stored = keys::list(db).await?;
    let is_old = stored
        .first()
        .is_none_or(|newest| newest.created_at + KEY_AGE <= now);
    // What signed before this one may go, and not what is merely old: nobody may have looked for long.
    let since = stored
        .iter()
        .map(|key| key.created_at)
        .find(|created_at| *created_at + KEY_KNOWN + KEY_OVERLAP <= now);
    let is_past = |key: &keys::SigningKey| since.is_some_and(|since| key.created_at < since);
    if is_old || stored.last().is_some_and(is_past) {
        let seed = *SigningKey::generate()?.seed();
        db.write(move |tx| {
            Box::pin(async move {
                let too_old = tx.now() - KEY_AGE;
                keys::create_if_none_since(tx, uuid::Uuid::new_v4(), &seed, too_old).await?;
                match since {
                    Some(since) => keys::remove_older_than(tx, since).await,
                    None => Ok(0),
                }
            })
        })
        .await?;
        stored = keys::list(db).await?;
    }
    let Some(oldest) = stored.len().checked_sub(1) else {
        let none = smarttasks_store::Error::NotFound("signing key");
        return Err(StartError::Store(none));
    };
    let signing = stored
        .iter()
        .position(|key| key.created_at + KEY_KNOWN <= now)
        .unwrap_or(oldest);
    let mut all = Vec::with_capacity(stored.len());
    for key in stored {
        all.push(SigningKey::from_seed(key.seed)?);
    }
    let signing = all.swap_remove(signing);
    Ok(KeyRing::new(issuer, signing, all)?)
}
