//! The outbox: a message exists once the transaction that caused it commits.
//!
//! Embedded, one process owns the database, so a row needs no lease: it is handed to this
//! process's relay after the commit, and its confirm is the consumer's commit, which deletes it.
//! After a start every row is pending, and the relay pages through them.

use crate::entity::{dead_letters, outbox};
use crate::{Db, Error, Result, Tx};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use smarttasks_model::{Content, Message, Timestamp};
use std::sync::Arc;
use uuid::Uuid;

/// Which consumers a message is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Queue {
    /// Events, for the engine.
    Events,
    /// Notifications and due deliveries, for the notifier.
    Notifications,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 2] = [Self::Events, Self::Notifications];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Notifications => "notifications",
        }
    }

    fn of(message: &Message) -> Self {
        match message {
            Message::Event(_) => Self::Events,
            Message::Notification(_) | Message::Delivery(_) => Self::Notifications,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.as_str() == name)
    }
}

/// A committed message on its way to its consumers.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its row; ids grow in the order of commits.
    pub id: i64,
    /// Whom it is for.
    pub queue: Queue,
    /// How often its consumers have failed on it.
    pub failures: i32,
    /// When it was committed.
    pub created_at: Timestamp,
    /// What it says; `Err` when this version cannot read it.
    pub message: Result<Arc<Message>, Arc<str>>,
}

/// A message as [`Tx::publish`] leaves it, before its transaction gives it an id.
pub(crate) struct Published {
    message: Arc<Message>,
    body: String,
}

impl Published {
    pub(crate) fn new(message: Message) -> Result<Self> {
        let body = serde_json::to_string(&message)
            .map_err(|error| Error::Unreadable("message", error.to_string()))?;
        Ok(Self {
            message: Arc::new(message),
            body,
        })
    }

    pub(crate) fn into_row(self, id: i64, now: Timestamp) -> (outbox::ActiveModel, Outgoing) {
        let queue = Queue::of(&self.message);
        let row = outbox::ActiveModel {
            id: Set(id),
            queue: Set(queue.as_str().to_owned()),
            routing_key: Set(routing_key(&self.message).to_owned()),
            body: Set(self.body),
            failures: Set(0),
            created_at: Set(now.unix_millis()),
        };
        let outgoing = Outgoing {
            id,
            queue,
            failures: 0,
            created_at: now,
            message: Ok(self.message),
        };
        (row, outgoing)
    }
}

/// By what other systems may choose messages: an event's type, a notification's channel.
fn routing_key(message: &Message) -> &str {
    match message {
        Message::Event(event) => event.kind.as_str(),
        Message::Notification(notification) => match notification.content {
            Content::Email { .. } => "email",
            Content::Webhook { .. } => "webhook",
        },
        Message::Delivery(_) => "delivery",
    }
}

impl From<outbox::Model> for Outgoing {
    /// A row that this version cannot read is handed on as such, so that it is buried and does
    /// not hold up the others.
    fn from(row: outbox::Model) -> Self {
        let queue = Queue::named(&row.queue);
        let message = match queue {
            None => Err(format!("there is no queue {}", row.queue).into()),
            Some(_) => serde_json::from_str(&row.body)
                .map(Arc::new)
                .map_err(|error| error.to_string().into()),
        };
        Self {
            id: row.id,
            queue: queue.unwrap_or(Queue::Events),
            failures: row.failures,
            created_at: Timestamp::from_unix_millis(row.created_at),
            message,
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
    Ok(rows.into_iter().map(Outgoing::from).collect())
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

/// What is pending now.
///
/// # Errors
/// When the database cannot be read.
pub async fn pending(db: &Db) -> Result<Pending> {
    let count = outbox::Entity::find().count(db.reader()).await?;
    let oldest = outbox::Entity::find()
        .order_by_asc(outbox::Column::Id)
        .one(db.reader())
        .await?
        .map(|row| Timestamp::from_unix_millis(row.created_at));
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
