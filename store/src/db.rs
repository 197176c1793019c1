//! The database: one writer, a pool of readers, and what a commit tells the rest of the process.

use crate::entity::outbox;
use crate::group::{self, Call, Job};
use crate::outbox::Outgoing;
use crate::tx::{Committed, OutboxIds, Tx};
use crate::{Error, Result, Vault};
use futures_util::future::BoxFuture;
use sea_orm::sqlx::sqlite::{SqliteAutoVacuum, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, EntityTrait, QueryOrder,
};
use smarttasks_migrations::{Migrator, MigratorTrait};
use smarttasks_model::{Clock, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};

/// Where the data is and how much of it may wait.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The SQLite file.
    pub path: PathBuf,
    /// Above this many pending messages, [`Db::admit`] refuses.
    pub max_pending: i64,
    /// Connections for reading.
    pub readers: u32,
}

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Box<dyn Job>>,
}

/// What the handle and the writer share.
pub(crate) struct Shared {
    pub(crate) writer: DatabaseConnection,
    pub(crate) clock: Clock,
    pub(crate) vault: Vault,
    pub(crate) outbox_ids: OutboxIds,
    reader: DatabaseConnection,
    pending: AtomicI64,
    max_pending: i64,
    handover: Handover,
    timers: Notify,
    commits: watch::Sender<u64>,
}

/// Committed messages on their way to this process's relay.
struct Handover {
    sender: mpsc::Sender<Outgoing>,
    receiver: Mutex<mpsc::Receiver<Outgoing>>,
    /// Set when the relay could not be handed everything and has to look in the table.
    behind: AtomicBool,
}

/// How many committed messages may wait in memory for the relay; the rest wait in the table.
const HANDOVER: usize = 4096;
/// How many writes may wait for their turn.
const JOBS: usize = 1024;
/// How long a request waits for a connection or its turn before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(3);

impl Db {
    /// Opens the database, brings its schema up to date and starts its writer.
    ///
    /// # Errors
    /// When the file cannot be opened or a migration fails.
    pub async fn open(settings: &Settings, clock: Clock, vault: Vault) -> Result<Self> {
        let writer = connect(settings, Access::Write).await?;
        Migrator::up(&writer, None).await?;
        let reader = connect(settings, Access::Read).await?;
        let last = outbox::Entity::find()
            .order_by_desc(outbox::Column::Id)
            .one(&writer)
            .await?;
        let (sender, receiver) = mpsc::channel(HANDOVER);
        let shared = Arc::new(Shared {
            writer,
            clock,
            vault,
            outbox_ids: Arc::new(AtomicI64::new(last.map_or(1, |row| row.id + 1))),
            reader,
            pending: AtomicI64::new(0),
            max_pending: settings.max_pending,
            handover: Handover {
                sender,
                receiver: Mutex::new(receiver),
                // Whatever an earlier process left is in the table only.
                behind: AtomicBool::new(true),
            },
            timers: Notify::new(),
            commits: watch::Sender::new(0),
        });
        let (jobs, queue) = mpsc::channel(JOBS);
        tokio::spawn(group::run(Arc::clone(&shared), queue));
        let db = Self { shared, jobs };
        let pending = crate::outbox::pending(&db).await?;
        let count = i64::try_from(pending.count).unwrap_or(i64::MAX);
        db.shared.pending.store(count, Ordering::Relaxed);
        Ok(db)
    }

    /// Runs `closure` in a transaction and returns once it is on disk.
    ///
    /// The closure may run again after a rollback, so it owns what it uses. It shares its
    /// transaction with the writes that arrive together with it.
    ///
    /// # Errors
    /// Those of the closure; when the database cannot be written, nothing has been changed.
    pub async fn write<T, F>(&self, closure: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let call = Box::new(Call {
            closure,
            value: None,
            reply,
        });
        match tokio::time::timeout(PATIENCE, self.jobs.send(call)).await {
            Ok(Ok(())) => answer.await.unwrap_or(Err(Error::Unavailable(None))),
            Ok(Err(_)) => Err(Error::Unavailable(None)),
            Err(_) => Err(Error::Overloaded {
                retry_after: PATIENCE,
            }),
        }
    }

    /// Refuses when more messages are pending than allowed: a caller that can wait should.
    ///
    /// # Errors
    /// [`Error::Overloaded`].
    pub fn admit(&self) -> Result<()> {
        if self.shared.pending.load(Ordering::Relaxed) >= self.shared.max_pending {
            return Err(Error::Overloaded {
                retry_after: Duration::from_secs(1),
            });
        }
        Ok(())
    }

    /// How many messages are pending.
    pub fn pending_messages(&self) -> i64 {
        self.shared.pending.load(Ordering::Relaxed)
    }

    /// The clock of this database's transactions.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// What seals secrets.
    pub fn vault(&self) -> &Vault {
        &self.shared.vault
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<()> {
        self.reader().execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// Moves the write-ahead log into the database file and gives free pages back to the disk.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn tidy(&self) -> Result<()> {
        self.shared
            .writer
            .execute_unprepared("PRAGMA incremental_vacuum(1000)")
            .await?;
        self.shared
            .writer
            .execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)")
            .await?;
        Ok(())
    }

    /// Counts commits; changes with each.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.shared.commits.subscribe()
    }

    /// Returns once a timer has been written by this process since the last call.
    pub async fn timer_written(&self) {
        self.shared.timers.notified().await;
    }

    /// The next committed message handed over in memory, or `None` when there is nothing to say
    /// but that the table must be read ([`Db::take_behind`]).
    pub async fn handed_over(&self) -> Option<Outgoing> {
        self.shared.handover.receiver.lock().await.recv().await
    }

    /// Whether some messages could only be found in the table; clears the mark.
    pub fn take_behind(&self) -> bool {
        self.shared.handover.behind.swap(false, Ordering::AcqRel)
    }

    #[cfg(test)]
    pub(crate) async fn write_pragma(&self, statement: sea_orm::Statement) -> String {
        let row = self
            .shared
            .writer
            .query_one_raw(statement)
            .await
            .unwrap()
            .unwrap();
        let text: Result<String, _> = row.try_get_by_index(0);
        text.unwrap_or_else(|_| row.try_get_by_index::<i64>(0).unwrap().to_string())
    }

    pub(crate) fn reader(&self) -> &DatabaseConnection {
        &self.shared.reader
    }
}

impl Shared {
    /// Tells the relay, the scheduler and whoever watches that a commit happened.
    pub(crate) fn announce(&self, committed: Committed) {
        let more = i64::try_from(committed.outgoing.len()).unwrap_or(i64::MAX);
        let less = i64::try_from(committed.settled).unwrap_or(i64::MAX);
        self.pending
            .fetch_add(more.saturating_sub(less), Ordering::Relaxed);
        for outgoing in committed.outgoing {
            if self.handover.sender.try_send(outgoing).is_err() {
                self.handover.behind.store(true, Ordering::Release);
            }
        }
        if committed.earliest_timer.is_some() {
            self.timers.notify_one();
        }
        self.commits.send_modify(|count| *count += 1);
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Access {
    Write,
    Read,
}

async fn connect(settings: &Settings, access: Access) -> Result<DatabaseConnection> {
    let path = settings.path.clone();
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(if access == Access::Write {
            1
        } else {
            settings.readers
        })
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_sqlite_opts(move |options| {
            let options = options
                .in_memory(false)
                .shared_cache(false)
                .filename(&path)
                .busy_timeout(PATIENCE)
                .foreign_keys(false)
                .statement_cache_capacity(200);
            match access {
                Access::Read => options.read_only(true),
                Access::Write => options
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .auto_vacuum(SqliteAutoVacuum::Incremental),
            }
        });
    Ok(Database::connect(options).await?)
}

/// Milliseconds as the database keeps them.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}
