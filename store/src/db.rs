//! The database: how it is opened, read and written, and what a commit tells the rest of the
//! process.

use crate::entity::outbox;
use crate::group::{self, Call, Job};
use crate::outbox::{OutboxIds, Outgoing};
use crate::reader::Reader;
use crate::tx::{Committed, Process, Tx};
use crate::{Error, Result, Vault, postgres, sqlite};
use futures_util::future::BoxFuture;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, QueryOrder, Statement,
};
use smarttasks_migrations::{Migrator, MigratorTrait};
use smarttasks_model::{Clock, Failpoint, Timestamp};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};
use uuid::Uuid;

/// Where the data is and how much of it may wait.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where.
    pub location: Location,
    /// Above this many pending messages, [`Db::admit`] refuses.
    pub max_pending: i64,
}

/// Which database.
#[derive(Clone)]
pub enum Location {
    /// A SQLite file, which this process alone uses.
    File {
        /// Its path.
        path: PathBuf,
        /// Connections for reading.
        readers: u32,
    },
    /// A PostgreSQL server, which other processes use too.
    Server {
        /// Its URL, password and all.
        url: String,
        /// The most connections of this process.
        connections: u32,
    },
}

impl fmt::Debug for Location {
    /// Without the URL, which has a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => f.debug_tuple("File").field(path).finish(),
            Self::Server { connections, .. } => f.debug_tuple("Server").field(connections).finish(),
        }
    }
}

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
    writer: Writer,
}

/// How writes reach the database.
#[derive(Clone)]
enum Writer {
    /// Through the one connection of the embedded database, together.
    Grouped {
        conn: DatabaseConnection,
        jobs: mpsc::Sender<Box<dyn Job>>,
    },
    /// Through any connection, each alone.
    Pooled,
}

/// What the handle and the writer share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) process: Process,
    pub(crate) outbox_ids: OutboxIds,
    pub(crate) reader: Reader,
    /// One connection, only to say that this process lives.
    heart: Reader,
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
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

impl Db {
    /// Opens the database and brings its schema up to date; processes that open the same server's
    /// at the same time wait for each other.
    ///
    /// # Errors
    /// When it cannot be opened or a migration fails.
    pub async fn open(settings: &Settings, clock: Clock, vault: Vault) -> Result<Self> {
        match &settings.location {
            Location::File { path, readers } => {
                let conn = sqlite::writer(path).await?;
                Migrator::up(&conn, None).await?;
                let last = outbox::Entity::find()
                    .order_by_desc(outbox::Column::Id)
                    .one(&conn)
                    .await?;
                let ids = OutboxIds::from(last.map_or(1, |row| row.id + 1));
                let reader = Reader::fixed(sqlite::readers(path, *readers).await?);
                let heart = Reader::fixed(conn.clone());
                let shared = Shared::new(settings, clock, vault, ids, reader, heart);
                let (jobs, queue) = mpsc::channel(JOBS);
                tokio::spawn(group::run(Arc::clone(&shared), conn.clone(), queue));
                let writer = Writer::Grouped { conn, jobs };
                let db = Self { shared, writer };
                db.count_pending().await?;
                Ok(db)
            }
            Location::Server { url, connections } => {
                postgres::migrate(url).await?;
                metrics::counter!("smarttasks_database_retries_total").increment(0);
                let (url, connections) = (url.clone(), *connections);
                let same = url.clone();
                let alone = Arc::new(move || postgres::pool(&same, 1));
                let connect = Arc::new(move || postgres::pool(&url, connections));
                let reader = Reader::replaceable(connect)?;
                let heart = Reader::replaceable(alone)?;
                let ids = OutboxIds::blocks();
                let shared = Shared::new(settings, clock, vault, ids, reader, heart);
                let writer = Writer::Pooled;
                let db = Self { shared, writer };
                db.count_pending().await?;
                Ok(db)
            }
        }
    }

    /// Opens the database as it is, for looking: beside a service that uses it, without bringing
    /// the schema up to date, and, when it is a file, without writing.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn look(settings: &Settings, clock: Clock, vault: Vault) -> Result<Self> {
        let ids = OutboxIds::blocks();
        match &settings.location {
            Location::File { path, readers } => {
                let conn = sqlite::readers(path, *readers).await?;
                let reader = Reader::fixed(conn.clone());
                // Nobody takes jobs: every write is refused.
                let (jobs, _) = mpsc::channel(1);
                let shared = Shared::new(settings, clock, vault, ids, reader.clone(), reader);
                let writer = Writer::Grouped { conn, jobs };
                Ok(Self { shared, writer })
            }
            Location::Server { url, connections } => {
                let reader = Reader::fixed(postgres::pool(url, *connections)?);
                let shared = Shared::new(settings, clock, vault, ids, reader.clone(), reader);
                let writer = Writer::Pooled;
                Ok(Self { shared, writer })
            }
        }
    }

    /// The migrations that have not run yet.
    ///
    /// # Errors
    /// When the database cannot be read, as when none has.
    pub async fn missing_migrations(&self) -> Result<Vec<String>> {
        let applied = Migrator::get_migration_models(&self.reader().pool()).await?;
        let mut missing: Vec<String> = Migrator::migrations()
            .iter()
            .map(|migration| migration.name().to_owned())
            .collect();
        missing.retain(|name| applied.iter().all(|applied| applied.version != *name));
        Ok(missing)
    }

    /// What the server's clock says; a file has none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn server_time(&self) -> Result<Option<Timestamp>> {
        if self.is_embedded() {
            return Ok(None);
        }
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = self.reader().query_one_raw(statement).await?;
        let row = row.ok_or(DbErr::RecordNotFound("the time".to_owned()))?;
        Ok(Some(at(row.try_get_by_index(0)?)))
    }

    /// Whether this process alone uses the database.
    pub fn is_embedded(&self) -> bool {
        matches!(self.writer, Writer::Grouped { .. })
    }

    /// Runs `closure` in a transaction and returns once it is on disk.
    ///
    /// The closure may run again after a rollback, so it owns what it uses. Embedded, it shares its
    /// transaction with the writes that arrive together with it.
    ///
    /// # Errors
    /// Those of the closure; when the database cannot be written, nothing has been changed.
    pub async fn write<T, F>(&self, closure: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        let Writer::Grouped { jobs, .. } = &self.writer else {
            return postgres::write(&self.shared, closure).await;
        };
        let (reply, answer) = oneshot::channel();
        let call = Box::new(Call {
            closure,
            value: None,
            reply,
        });
        match tokio::time::timeout(PATIENCE, jobs.send(call)).await {
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

    /// Counts the pending messages in the table. On a server other processes write and settle
    /// them too, so that this has to be done again and again.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn count_pending(&self) -> Result<()> {
        let count = crate::outbox::count(self).await?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.shared.pending.store(count, Ordering::Relaxed);
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
        &self.shared.process.vault
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<()> {
        self.reader().execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// Moves the write-ahead log into the database file and gives free pages back to the disk; a
    /// server does so by itself.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn tidy(&self) -> Result<()> {
        let Writer::Grouped { conn, .. } = &self.writer else {
            return Ok(());
        };
        conn.execute_unprepared("PRAGMA incremental_vacuum(1000)")
            .await?;
        conn.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)")
            .await?;
        Ok(())
    }

    /// Whether an earlier process wrote this row of the outbox, and left it pending. On a server,
    /// where processes come and go, the broker knows.
    pub fn is_inherited(&self, row: i64) -> bool {
        self.shared.outbox_ids.are_after(row)
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
    pub(crate) async fn write_pragma(&self, statement: Statement) -> String {
        let Writer::Grouped { conn, .. } = &self.writer else {
            panic!("only SQLite has pragmas");
        };
        let row = conn.query_one_raw(statement).await.unwrap().unwrap();
        let text: Result<String, _> = row.try_get_by_index(0);
        text.unwrap_or_else(|_| row.try_get_by_index::<i64>(0).unwrap().to_string())
    }

    /// The name of this process among those that use the database.
    pub(crate) fn instance(&self) -> Uuid {
        self.shared.process.instance
    }

    pub(crate) fn heart(&self) -> &Reader {
        &self.shared.heart
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.shared.reader
    }
}

impl Shared {
    fn new(
        settings: &Settings,
        clock: Clock,
        vault: Vault,
        outbox_ids: OutboxIds,
        reader: Reader,
        heart: Reader,
    ) -> Arc<Self> {
        let (sender, receiver) = mpsc::channel(HANDOVER);
        Arc::new(Self {
            clock,
            process: Process {
                instance: Uuid::new_v4(),
                vault,
            },
            outbox_ids,
            reader,
            heart,
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
        })
    }

    /// Tells the relay, the scheduler and whoever watches that a commit happened.
    pub(crate) fn announce(&self, committed: Committed) {
        if !committed.outgoing.is_empty() {
            Failpoint::Committed.pass();
        }
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

/// Milliseconds as the database keeps them.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}

/// Values bound by one statement for a list that may be longer than statements are.
const LISTED: usize = 1000;

/// A list that may be longer than a statement takes, in parts.
pub(crate) fn chunks<T>(all: impl IntoIterator<Item = T>) -> Vec<Vec<T>> {
    let mut all = all.into_iter().peekable();
    let mut chunks = Vec::new();
    while all.peek().is_some() {
        chunks.push(all.by_ref().take(LISTED).collect());
    }
    chunks
}
