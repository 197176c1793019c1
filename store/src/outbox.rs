//! The outbox: a message exists once the transaction that caused it commits.
//!
//! A row is handed to the relay of the process that wrote it, in memory, after the commit.
//!
//! Embedded, one process owns the database, so a row needs no lease: its confirm is the
//! consumer's commit, which deletes it, and after a start the relay pages through what is there.
//!
//! On a server, replicas share the table. A row is committed already leased to its own process's
//! relay, which deletes it once the broker has confirmed it; one whose lease has run out is
//! anyone's ([`claim`]), so that recovery is nothing but a lease expiring.

use crate::entity::{dead_letters, outbox};
use crate::{Db, Error, Result, Tx, postgres};
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use smarttasks_model::{Content, Event, Message, Timestamp};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Which consumers a message is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Queue {
    /// Events, for the engine.
    Events,
    /// Notifications and due deliveries, for the notifier.
    Notifications,
    /// Ranges of sweeps, for the engine; apart from events, which must not wait for them.
    Sweeps,
    /// Runs that may go on, for the engine; apart from events, for which they may have waited.
    Runs,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 4] = [Self::Events, Self::Notifications, Self::Sweeps, Self::Runs];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Notifications => "notifications",
            Self::Sweeps => "sweeps",
            Self::Runs => "runs",
        }
    }

    fn of(message: &Message) -> Self {
        match message {
            Message::Event(_) => Self::Events,
            Message::Notification(_) | Message::Delivery(_) => Self::Notifications,
            Message::Sweep(_) => Self::Sweeps,
            Message::Wake(_) | Message::Waiters(_) | Message::EndRuns(_) => Self::Runs,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.as_str() == name)
    }
}

/// A committed message on its way to its consumers.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its row. Embedded, ids grow in the order of commits; on a server, in that of each process.
    pub id: i64,
    /// Whom it is for.
    pub queue: Queue,
    /// How often its consumers have failed on it.
    pub failures: i32,
    /// When it was committed.
    pub created_at: Timestamp,
    /// What it says.
    pub payload: Payload,
}

/// What a message says, in the form in which its bus carries it.
#[derive(Clone, Debug)]
pub enum Payload {
    /// In this process; `Err` when this version cannot read it.
    Here(Result<Arc<Message>, Arc<str>>),
    /// To a broker.
    Wire(Wire),
}

/// A message as it is written: an event as CloudEvents JSON, else a [`Message`] as JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wire {
    /// By what consumers may choose messages: an event's type, a notification's channel.
    pub routing_key: String,
    /// The JSON.
    pub body: String,
    /// Until when no other relay may publish it.
    pub leased_until: Timestamp,
}

impl Queue {
    /// Reads a message of this queue.
    ///
    /// # Errors
    /// When this version cannot read it.
    pub fn read(self, body: &[u8]) -> serde_json::Result<Message> {
        match self {
            Self::Events => {
                serde_json::from_slice(body).map(|event| Message::Event(Arc::new(event)))
            }
            Self::Notifications | Self::Sweeps | Self::Runs => serde_json::from_slice(body),
        }
    }
}

/// No lease at all, in a table whose rows are leased; the embedded product's rows have 0, and are
/// left out of the index.
const RELEASED: i64 = 1;
/// For how long a row is its relay's.
pub const LEASE: Duration = Duration::from_secs(5);

/// A message as [`Tx::publish`] leaves it, before its transaction gives it an id.
pub(crate) struct Published {
    message: Arc<Message>,
    body: String,
}

impl Published {
    /// `body` is the event's own JSON.
    pub(crate) fn event(event: Event, body: String) -> Self {
        Self {
            message: Arc::new(Message::Event(Arc::new(event))),
            body,
        }
    }

    pub(crate) fn new(message: Message) -> Result<Self> {
        let body = match &message {
            Message::Event(event) => serde_json::to_string(event),
            other => serde_json::to_string(other),
        };
        let body = body.map_err(|error| Error::Unreadable("message", error.to_string()))?;
        Ok(Self {
            message: Arc::new(message),
            body,
        })
    }

    pub(crate) fn into_row(
        self,
        id: i64,
        now: Timestamp,
        backend: DbBackend,
    ) -> (outbox::ActiveModel, Outgoing) {
        let queue = Queue::of(&self.message);
        let routing_key = routing_key(&self.message).to_owned();
        let embedded = backend == DbBackend::Sqlite;
        let leased_until = match embedded {
            true => Timestamp::from_unix_millis(0),
            false => now + LEASE,
        };
        let payload = match embedded {
            true => Payload::Here(Ok(self.message)),
            false => Payload::Wire(Wire {
                routing_key: routing_key.clone(),
                body: self.body.clone(),
                leased_until,
            }),
        };
        let row = outbox::ActiveModel {
            id: Set(id),
            queue: Set(queue.as_str().to_owned()),
            routing_key: Set(routing_key),
            body: Set(self.body),
            failures: Set(0),
            created_at: Set(now.unix_millis()),
            leased_until: Set(leased_until.unix_millis()),
        };
        let outgoing = Outgoing {
            id,
            queue,
            failures: 0,
            created_at: now,
            payload,
        };
        (row, outgoing)
    }
}

/// The ids of the next messages of this process.
pub(crate) struct OutboxIds {
    /// Rows before it are an earlier process's, where one process after the other uses the table.
    first: i64,
    /// The ids left, and whether the database has more; the embedded database is this process's.
    left: Mutex<(Range<i64>, bool)>,
}

impl OutboxIds {
    /// All from here on.
    pub(crate) fn from(first: i64) -> Self {
        Self {
            first,
            left: Mutex::new((first..i64::MAX, false)),
        }
    }

    /// Those that the server gives, in blocks.
    pub(crate) fn blocks() -> Self {
        Self {
            first: 0,
            left: Mutex::new((0..0, true)),
        }
    }

    pub(crate) fn are_after(&self, id: i64) -> bool {
        id < self.first
    }

    pub(crate) async fn take(
        &self,
        conn: &impl ConnectionTrait,
        number: usize,
    ) -> Result<Vec<i64>> {
        let mut ids = Vec::with_capacity(number);
        loop {
            let by_blocks = {
                let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
                ids.extend(left.0.by_ref().take(number - ids.len()));
                left.1
            };
            if ids.len() == number || !by_blocks {
                return Ok(ids);
            }
            let first = postgres::next_ids(conn).await?;
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            left.0 = first..first + postgres::IDS;
        }
    }
}

/// By what other systems may choose messages: an event's type, a notification's channel.
fn routing_key(message: &Message) -> &str {
    match message {
        // It has been told under its own type before, and waits for its turn with one rule.
        Message::Event(event) if event.rule_id.is_some() && !event.kind.is_addressed() => {
            "rule.put_off"
        }
        Message::Event(event) => event.kind.as_str(),
        Message::Notification(notification) => match notification.content {
            Content::Email { .. } | Content::Approval { .. } => "email",
            Content::Webhook { .. } => "webhook",
            Content::Http { .. } => "http",
        },
        Message::Delivery(_) => "delivery",
        Message::Sweep(_) => "sweep",
        Message::Wake(_) | Message::Waiters(_) => "wake",
        Message::EndRuns(_) => "end",
    }
}

impl Outgoing {
    /// A row that this version cannot read is handed on as such, so that it is buried and does
    /// not hold up the others.
    fn here(row: outbox::Model) -> Self {
        let queue = Queue::named(&row.queue);
        let message = match queue {
            None => Err(format!("there is no queue {}", row.queue).into()),
            Some(queue) => queue
                .read(row.body.as_bytes())
                .map(Arc::new)
                .map_err(|error| error.to_string().into()),
        };
        Self {
            id: row.id,
            queue: queue.unwrap_or(Queue::Events),
            failures: row.failures,
            created_at: Timestamp::from_unix_millis(row.created_at),
            payload: Payload::Here(message),
        }
    }

    fn to_broker(row: outbox::Model, leased_until: Timestamp) -> Self {
        Self {
            id: row.id,
            queue: Queue::named(&row.queue).unwrap_or(Queue::Events),
            failures: row.failures,
            created_at: Timestamp::from_unix_millis(row.created_at),
            payload: Payload::Wire(Wire {
                routing_key: row.routing_key,
                body: row.body,
                leased_until,
            }),
        }
    }
}

/// The oldest pending messages with ids above `after`.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(db: &Db, after: i64, limit: u64) -> Result<Vec<Outgoing>> {
    let rows = outbox::Entity::find()
        .filter(outbox::Column::Id.gt(after))
        .order_by_asc(outbox::Column::Id)
        .limit(limit)
        .all(db.reader())
        .await?;
    Ok(rows.into_iter().map(Outgoing::here).collect())
}

/// Takes messages whose lease has run out, the longest expired first, and leases them anew.
///
/// For a bus with a broker; the leases of rows that other relays are taking at this moment are
/// passed over.
///
/// # Errors
/// When the database cannot be written.
pub async fn claim(db: &Db, limit: u64) -> Result<Vec<Outgoing>> {
    db.write(move |tx| {
        Box::pin(async move {
            let now = tx.now();
            let leased_until = now + LEASE;
            let mut rows = outbox::Entity::find()
                .filter(
                    // A lease that ends later than any that begins now is of a clock that was set back.
                    outbox::Column::LeasedUntil
                        .between(RELEASED, now.unix_millis())
                        .or(outbox::Column::LeasedUntil.gt((now + LEASE + LEASE).unix_millis())),
                )
                .order_by_asc(outbox::Column::LeasedUntil)
                .order_by_asc(outbox::Column::Id)
                .limit(limit)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .all(tx.conn())
                .await?;
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            outbox::Entity::update_many()
                .col_expr(
                    outbox::Column::LeasedUntil,
                    Expr::value(leased_until.unix_millis()),
                )
                .filter(outbox::Column::Id.is_in(rows.iter().map(|row| row.id)))
                .exec(tx.write_conn())
                .await?;
            rows.sort_by_key(|row| row.id);
            Ok(rows
                .into_iter()
                .map(|row| Outgoing::to_broker(row, leased_until))
                .collect())
        })
    })
    .await
}

/// Deletes messages that the broker has confirmed.
///
/// # Errors
/// When the database cannot be written; the messages will be published again.
pub async fn confirm(db: &Db, ids: Vec<i64>) -> Result<()> {
    db.write(move |tx| {
        tx.settle(ids.iter().copied());
        Box::pin(async { Ok(()) })
    })
    .await
}

/// Gives leases back, so that any relay may take the messages at once.
///
/// # Errors
/// When the database cannot be written; the leases run out by themselves.
pub async fn release(db: &Db, ids: Vec<i64>) -> Result<()> {
    db.write(move |tx| {
        let ids = ids.clone();
        Box::pin(async move {
            outbox::Entity::update_many()
                .col_expr(outbox::Column::LeasedUntil, Expr::value(RELEASED))
                .filter(outbox::Column::Id.is_in(ids))
                .exec(tx.write_conn())
                .await?;
            Ok(())
        })
    })
    .await
}

/// How many messages are pending, and since when the oldest is.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// How many could not be taken and are dead.
    pub dead: u64,
    /// How many.
    pub count: u64,
    /// When the oldest was committed.
    pub oldest: Option<Timestamp>,
}

pub(crate) async fn count(db: &Db) -> Result<u64> {
    Ok(outbox::Entity::find().count(db.reader()).await?)
}

/// What is pending now.
///
/// # Errors
/// When the database cannot be read.
pub async fn pending(db: &Db) -> Result<Pending> {
    let count = count(db).await?;
    let oldest: Option<Option<i64>> = outbox::Entity::find()
        .select_only()
        .column_as(outbox::Column::CreatedAt.min(), "oldest")
        .into_tuple()
        .one(db.reader())
        .await?;
    let oldest = oldest.flatten().map(Timestamp::from_unix_millis);
    let dead = dead_letters::Entity::find().count(db.reader()).await?;
    Ok(Pending {
        dead,
        count,
        oldest,
    })
}

/// Counts one more failure of a message that stays pending.
///
/// # Errors
/// When the database cannot be written.
pub async fn record_failure(tx: &mut Tx, id: i64) -> Result<()> {
    outbox::Entity::update_many()
        .col_expr(
            outbox::Column::Failures,
            Expr::col(outbox::Column::Failures).add(1),
        )
        .filter(outbox::Column::Id.eq(id))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

/// Moves a message that cannot be taken to the dead letters.
///
/// # Errors
/// When the database cannot be written.
pub async fn bury(tx: &mut Tx, id: i64, reason: &str) -> Result<()> {
    let Some(row) = outbox::Entity::find_by_id(id).one(tx.conn()).await? else {
        return Ok(());
    };
    let now = tx.now();
    dead_letters::Entity::insert(dead_letters::ActiveModel {
        id: Set(Uuid::new_v4()),
        queue: Set(row.queue),
        routing_key: Set(row.routing_key),
        body: Set(row.body),
        reason: Set(reason.to_owned()),
        failures: Set(row.failures + 1),
        created_at: Set(row.created_at),
        died_at: Set(now.unix_millis()),
    })
    .exec_without_returning(tx.write_conn())
    .await?;
    tx.settle([id]);
    Ok(())
}

/// A message that could not be taken.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its id.
    pub id: Uuid,
    /// The name of the queue that it was in.
    pub queue: String,
    /// The message as JSON.
    pub body: String,
    /// What its consumers said.
    pub reason: String,
    /// How often they failed.
    pub failures: i32,
    /// When it was given up.
    pub died_at: Timestamp,
}

/// Puts dead letters back among the pending messages, all or those of these ids, at most `limit`;
/// returns how many. What this version cannot read stays where it is.
///
/// # Errors
/// When the database cannot be written.
pub async fn replay(tx: &mut Tx, ids: Option<&[Uuid]>, limit: u64) -> Result<u64> {
    let mut query = dead_letters::Entity::find().order_by_asc(dead_letters::Column::DiedAt);
    if let Some(ids) = ids {
        query = query.filter(dead_letters::Column::Id.is_in(ids.iter().copied()));
    }
    let rows = query.limit(limit).lock_exclusive().all(tx.conn()).await?;
    let mut replayed = Vec::new();
    for row in rows {
        let message =
            Queue::named(&row.queue).and_then(|queue| queue.read(row.body.as_bytes()).ok());
        if let Some(message) = message {
            tx.publish(message)?;
            replayed.push(row.id);
        }
    }
    let number = replayed.len() as u64;
    dead_letters::Entity::delete_many()
        .filter(dead_letters::Column::Id.is_in(replayed))
        .exec(tx.write_conn())
        .await?;
    Ok(number)
}

/// The newest dead letters.
///
/// # Errors
/// When the database cannot be read.
pub async fn dead_letters(db: &Db, limit: u64) -> Result<Vec<DeadLetter>> {
    let rows = dead_letters::Entity::find()
        .order_by_desc(dead_letters::Column::DiedAt)
        .limit(limit)
        .all(db.reader())
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| DeadLetter {
            id: row.id,
            queue: row.queue,
            body: row.body,
            reason: row.reason,
            failures: row.failures,
            died_at: Timestamp::from_unix_millis(row.died_at),
        })
        .collect())
}
