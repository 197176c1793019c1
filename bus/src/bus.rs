//! One interface for both kinds of bus.

use crate::consumer::Intake;
use crate::rabbitmq::Settings;
use crate::{InProcess, RabbitMq, Result};
use smarttasks_model::Timestamp;
use smarttasks_store::{Db, Queue};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;

/// Carries messages; cheap to clone.
#[derive(Clone)]
pub enum Bus {
    /// Within this process, for a database that belongs to it.
    InProcess(InProcess),
    /// Over RabbitMQ, for a database that is shared.
    RabbitMq(RabbitMq),
}

impl Bus {
    /// A bus within this process.
    pub fn in_process(db: Db) -> Self {
        Self::InProcess(InProcess::new(db))
    }

    /// A bus over RabbitMQ, which need not be up yet.
    ///
    /// # Errors
    /// When the address is none.
    pub fn rabbitmq(db: Db, settings: &Settings) -> Result<Self> {
        Ok(Self::RabbitMq(RabbitMq::new(db, settings)?))
    }

    /// Publishes what has been committed, until told to stop.
    ///
    /// What the process has committed by then is published still, within a bounded time; so the
    /// one to be told to stop last is the relay.
    pub async fn relay(&self, stop: CancellationToken) {
        match self {
            Self::InProcess(bus) => bus.relay(stop).await,
            Self::RabbitMq(bus) => bus.relay(stop).await,
        }
    }

    /// Whether messages are carried.
    ///
    /// # Errors
    /// Which part does not work, and why.
    pub fn health(&self) -> Result<(), String> {
        match self {
            Self::InProcess(_) => Ok(()),
            Self::RabbitMq(bus) => bus.health(),
        }
    }

    /// How many messages this process has carried.
    pub fn traffic(&self) -> Traffic {
        match self {
            Self::InProcess(bus) => bus.counted().read(),
            Self::RabbitMq(bus) => bus.counted().read(),
        }
    }

    /// What is waiting where.
    ///
    /// # Errors
    /// When the broker or the database does not answer.
    pub async fn queues(&self) -> Result<Vec<QueueState>> {
        match self {
            Self::InProcess(bus) => bus.queues().await,
            Self::RabbitMq(bus) => bus.queues().await,
        }
    }

    /// Messages that could not be taken, at most `limit`.
    ///
    /// # Errors
    /// When the broker or the database does not answer.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        match self {
            Self::InProcess(bus) => bus.dead_letters(limit).await,
            Self::RabbitMq(bus) => bus.dead_letters(limit).await,
        }
    }

    /// Gives dead letters back to the queues that they were in, and returns how many.
    ///
    /// # Errors
    /// When the broker or the database does not answer; what was not given back is kept.
    pub async fn replay(&self, which: &Replay) -> Result<u64> {
        match self {
            Self::InProcess(bus) => bus.replay(which).await,
            Self::RabbitMq(bus) => bus.replay(which).await,
        }
    }

    pub(crate) fn intake(&self, queue: Queue) -> Intake {
        match self {
            Self::InProcess(bus) => Intake::InProcess(bus.clone(), queue),
            Self::RabbitMq(bus) => Intake::RabbitMq(Box::new(bus.subscribe(queue))),
        }
    }
}

/// How many messages a process has carried since its start.
///
/// Published are those that their queue has taken for certain, counted before they leave the
/// outbox; acknowledged those that are done with, dead letters among them. So when every outbox
/// row is gone and, over all processes, the sums are equal, nothing is under way. (After a fault
/// a message may be published or acknowledged twice.)
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Put into a queue.
    pub published: u64,
    /// Consumed, or buried.
    pub acknowledged: u64,
    /// Not taken by the broker, and to be published again.
    pub refused: u64,
}

/// The counters behind [`Traffic`].
#[derive(Clone, Default)]
pub(crate) struct Counted(Arc<Counters>);

#[derive(Default)]
struct Counters {
    published: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
}

impl Counted {
    pub(crate) fn published(&self, queue: &'static str, count: u64) {
        metrics::counter!("smarttasks_bus_messages_published_total", "queue" => queue)
            .increment(count);
        self.0.published.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn acknowledged(&self, count: usize) {
        self.0
            .acknowledged
            .fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, queue: &'static str, reason: &'static str) {
        metrics::counter!("smarttasks_bus_messages_refused_total", "queue" => queue, "reason" => reason)
            .increment(1);
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Traffic {
        Traffic {
            published: self.0.published.load(Ordering::Relaxed),
            acknowledged: self.0.acknowledged.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }
}

/// A queue and what is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueState {
    /// Its name.
    pub name: String,
    /// Messages that no consumer has yet.
    pub messages: u64,
    /// Consumers of all processes, where that is known.
    pub consumers: Option<u64>,
}

/// A message that could not be taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// By what it can be told from others.
    pub id: String,
    /// The queue that it was in.
    pub queue: String,
    /// What its consumer, or the broker, said.
    pub reason: String,
    /// How often its consumer failed on it, where that is known.
    pub failures: Option<u32>,
    /// The message as it was sent.
    pub body: String,
    /// When it was given up, where that is known.
    pub died_at: Option<Timestamp>,
}

/// Which dead letters to give back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replay {
    /// All that there are.
    All,
    /// Those with these ids.
    Only(Vec<String>),
}

impl Replay {
    pub(crate) fn chooses(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(ids) => ids.iter().any(|chosen| chosen == id),
        }
    }
}
