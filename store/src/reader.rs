//! Connections for reading, none of which makes its caller wait for ever.
//!
//! A server that hangs, or a network that swallows what is sent, answers nothing: a statement that
//! has waited longer than the server itself would allow is given up, and the connections are
//! replaced, because those that are stuck would stay so.

use crate::Result;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement, sqlx,
};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a statement may take: three seconds to get a connection, and three by the server's own
/// limit.
const PATIENCE: Duration = Duration::from_secs(7);
/// After so long without a connection to be had, all of them are taken to be stuck.
const NONE_FREE: Duration = Duration::from_secs(10);
/// How long connections that replaced others are given before they are replaced themselves.
const REPLACED_FOR: Duration = Duration::from_secs(10);

/// Makes connections that open when they are first used.
type Connect = Arc<dyn Fn() -> Result<DatabaseConnection> + Send + Sync>;

/// A pool that can be replaced; cheap to clone.
#[derive(Clone)]
pub(crate) struct Reader {
    current: Arc<Mutex<Current>>,
    replace: Option<Connect>,
    backend: DbBackend,
}

struct Current {
    pool: DatabaseConnection,
    /// When it replaced another.
    since: Option<Instant>,
    /// Since when no connection was to be had.
    none_free: Option<Instant>,
}

impl Reader {
    /// Over connections that are never replaced.
    pub(crate) fn fixed(pool: DatabaseConnection) -> Self {
        Self::over(pool, None)
    }

    /// Over what `connect` makes, now and whenever what it made is stuck.
    pub(crate) fn replaceable(connect: Connect) -> Result<Self> {
        Ok(Self::over(connect()?, Some(connect)))
    }

    fn over(pool: DatabaseConnection, replace: Option<Connect>) -> Self {
        Self {
            backend: pool.get_database_backend(),
            current: Arc::new(Mutex::new(Current {
                pool,
                since: None,
                none_free: None,
            })),
            replace,
        }
    }

    /// The pool as it is now.
    pub(crate) fn pool(&self) -> DatabaseConnection {
        self.lock().pool.clone()
    }

    /// Replaces the connections, unless that was done a moment ago.
    pub(crate) fn is_stuck(&self) {
        let Some(connect) = &self.replace else { return };
        let mut current = self.lock();
        let now = Instant::now();
        if current
            .since
            .is_some_and(|since| now < since + REPLACED_FOR)
        {
            return;
        }
        match connect() {
            Ok(fresh) => {
                tracing::warn!("the database does not answer; connecting anew");
                let stuck = std::mem::replace(&mut current.pool, fresh);
                current.since = Some(now);
                current.none_free = None;
                tokio::spawn(stuck.close());
            }
            Err(error) => tracing::error!(%error, "the database cannot be connected to anew"),
        }
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = std::result::Result<T, DbErr>>,
    ) -> std::result::Result<T, DbErr> {
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        match &answer {
            Ok(Err(DbErr::ConnectionAcquire(_))) => self.none_was_free(),
            Ok(_) => self.lock().none_free = None,
            Err(_) => self.is_stuck(),
        }
        answer.unwrap_or_else(|_| Err(no_answer()))
    }

    /// Connections that hang while their users have gone away come back to nobody.
    fn none_was_free(&self) {
        let now = Instant::now();
        let since = *self.lock().none_free.get_or_insert(now);
        if now >= since + NONE_FREE {
            self.is_stuck();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said of a server that has not answered in time.
pub(crate) fn no_answer() -> DbErr {
    let cause = std::io::Error::new(std::io::ErrorKind::TimedOut, "the database does not answer");
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(sqlx::Error::Io(cause))))
}

#[async_trait::async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> std::result::Result<ExecResult, DbErr> {
        self.in_time(self.pool().execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> std::result::Result<ExecResult, DbErr> {
        self.in_time(self.pool().execute_unprepared(sql)).await
    }

    async fn query_one_raw(
        &self,
        statement: Statement,
    ) -> std::result::Result<Option<QueryResult>, DbErr> {
        self.in_time(self.pool().query_one_raw(statement)).await
    }

    async fn query_all_raw(
        &self,
        statement: Statement,
    ) -> std::result::Result<Vec<QueryResult>, DbErr> {
        self.in_time(self.pool().query_all_raw(statement)).await
    }
}
