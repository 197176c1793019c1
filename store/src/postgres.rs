//! The shared database: PostgreSQL, written by any number of processes at once.
//!
//! Each write is a transaction of its own, READ COMMITTED, that locks the rows it is going to
//! change. What the server ends because of others (a deadlock, a row that another has just
//! inserted) runs again, so that nobody sees it.

use crate::db::{PATIENCE, Shared};
use crate::reader::no_answer;
use crate::tx::Tx;
use crate::{Conflict, Error, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::{ConnectOptions as _, Connection as _};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, RuntimeErr, SqlxPostgresConnector,
    TransactionTrait, sqlx,
};
use smarttasks_migrations::{Migrator, MigratorTrait};
use std::panic::AssertUnwindSafe;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// How often a write runs again after the server ended its transaction because of another.
const AGAIN: u32 = 5;
/// The delay before the first of them; doubles with each, and half of it is chance.
const FIRST_DELAY: Duration = Duration::from_millis(10);
/// A connection that was idle for longer is tried before it is used: the server may have gone.
const TRIED_AFTER: Duration = Duration::from_secs(1);
/// How long a whole transaction may take: of many statements, each of which has the server's own
/// limit.
const TRANSACTION: Duration = Duration::from_secs(10);
/// What the server ends by itself, in milliseconds: statements, waiting for a lock, and
/// transactions whose process does not go on, so that one that was stopped holds up nobody.
const SERVER_LIMITS: [(&str, &str); 3] = [
    ("statement_timeout", "3000"),
    ("lock_timeout", "2000"),
    ("idle_in_transaction_session_timeout", "5000"),
];
/// The lock under which migrations run: "smarttas" as a number, to be unlike anybody else's.
const MIGRATIONS: i64 = 0x736d_6172_7474_6173;

/// Connections that open when they are first used.
pub(crate) fn pool(url: &str, connections: u32) -> Result<DatabaseConnection> {
    let options = options(url)?.options(SERVER_LIMITS);
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .before_acquire(|connection, idle| {
            Box::pin(async move {
                if idle.idle_for > TRIED_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options);
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

fn options(url: &str) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| Error::Database(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))))?;
    Ok(options
        .application_name("smarttasks")
        .statement_cache_capacity(200)
        .disable_statement_logging())
}

/// Brings the schema up to date, one process after the other: on a connection of its own, because
/// the lock is its session's, and without limits, because an index takes as long as it takes.
pub(crate) async fn migrate(url: &str) -> Result<()> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .connect_with(options(url)?)
        .await
        .map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))?;
    let conn = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
    conn.execute_unprepared(&format!("SELECT pg_advisory_lock({MIGRATIONS})"))
        .await?;
    let migrated = Migrator::up(&conn, None).await;
    // Closing the session gives the lock back, also after a failure.
    conn.close().await?;
    Ok(migrated?)
}

/// The next ids for messages: each number of the sequence stands for so many of them, which costs
/// one statement for all instead of one answer for each row.
pub(crate) const IDS: i64 = 1000;

pub(crate) async fn next_ids(conn: &impl ConnectionTrait) -> Result<i64> {
    let statement = sea_orm::Statement::from_string(
        sea_orm::DbBackend::Postgres,
        "SELECT nextval('outbox_ids')",
    );
    let row = conn.query_one_raw(statement).await?;
    let row = row.ok_or(DbErr::RecordNotFound("outbox_ids".to_owned()))?;
    Ok(row.try_get_by_index::<i64>(0)? * IDS)
}

/// Runs `closure` in a transaction, again when others were in its way.
pub(crate) async fn write<T, F>(shared: &Shared, closure: F) -> Result<T>
where
    T: Send + 'static,
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T>> + Send + 'static,
{
    let mut delay = FIRST_DELAY;
    for _ in 0..AGAIN {
        match bounded(shared, &closure).await {
            Err(error) if is_contention(&error) => {
                tracing::debug!(%error, "a transaction runs again");
                metrics::counter!("smarttasks_database_retries_total").increment(1);
                tokio::time::sleep(jittered(delay)).await;
                delay *= 2;
            }
            outcome => return outcome,
        }
    }
    bounded(shared, &closure).await
}

fn jittered(delay: Duration) -> Duration {
    let chance = getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX));
    delay.mul_f64(0.5 + chance / 2.0)
}

async fn bounded<T, F>(shared: &Shared, closure: &F) -> Result<T>
where
    T: Send + 'static,
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T>> + Send + 'static,
{
    tokio::time::timeout(TRANSACTION, once(shared, closure))
        .await
        .unwrap_or_else(|_| {
            shared.reader.is_stuck();
            Err(no_answer().into())
        })
}

async fn once<T, F>(shared: &Shared, closure: &F) -> Result<T>
where
    T: Send + 'static,
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T>> + Send + 'static,
{
    let conn = shared.reader.pool().begin().await?;
    let now = shared.clock.now();
    let mut tx = Tx::new(conn, now, shared.process.clone(), false);
    let outcome = AssertUnwindSafe(closure(&mut tx)).catch_unwind().await;
    let (pending, _) = tx.take_part();
    let conn = tx.into_conn();
    let value = match outcome {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            conn.rollback().await?;
            return Err(error);
        }
        Err(_) => {
            conn.rollback().await?;
            return Err(Error::Panicked);
        }
    };
    let committed = pending
        .write(&conn, now, &shared.outbox_ids, shared.process.instance)
        .await?;
    conn.commit().await?;
    shared.announce(committed);
    Ok(value)
}

/// Whether the transaction failed because of another one, and would not have without it.
///
/// That a row exists already counts: what the closure looked for before it inserted has come
/// meanwhile, and the next run of the closure finds it.
fn is_contention(error: &Error) -> bool {
    match error {
        Error::Conflict(Conflict::Exists) => true,
        Error::Database(cause) | Error::Unavailable(Some(cause)) => {
            // serialization_failure, deadlock_detected, lock_not_available.
            sql_state(cause)
                .is_some_and(|state| matches!(state.as_str(), "40001" | "40P01" | "55P03"))
        }
        _ => false,
    }
}

fn sql_state(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) =
        error
    else {
        return None;
    };
    let sqlx::Error::Database(cause) = &**cause else {
        return None;
    };
    cause.code().map(|code| code.into_owned())
}
