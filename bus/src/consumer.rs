//! Consumers: batches, and what happens to a message that fails.
//!
//! The same for both kinds of bus; they differ in the receipt of a message. In process it is the
//! outbox row, settled in the handler's own transaction; RabbitMQ wants an acknowledgement, sent
//! once the handler has returned, which is after its commit.

use crate::bus::Bus;
use crate::error::chain;
use crate::rabbitmq::{Envelope, Subscription};
use crate::{InProcess, Result};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, future};
use smarttasks_model::{Failpoint, Message, Timestamp};
use smarttasks_store::{Queue, Tx};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Messages that are handled together; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Batch(Arc<[Item]>);

#[derive(Debug)]
struct Item {
    message: Arc<Message>,
    /// Its outbox row, when the handler's transaction is to settle it.
    row: Option<i64>,
    redelivered: bool,
}

impl Batch {
    /// The messages.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.0.iter().map(|item| &*item.message)
    }

    /// Those that somebody may have been handling when his process ended: a broker has delivered
    /// them before, or they were pending when this process started.
    pub fn suspects(&self) -> impl Iterator<Item = &Message> {
        let redelivered = self.0.iter().filter(|item| item.redelivered);
        redelivered.map(|item| &*item.message)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Marks the messages as consumed when `tx` commits, if it is the outbox that must know.
    pub fn settle(&self, tx: &mut Tx) {
        tx.settle(self.0.iter().filter_map(|item| item.row));
    }
}

/// Why a batch could not be handled.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// Nothing is wrong with the messages: the same batch is tried again.
    #[error("not now: {0}")]
    Unavailable(String),
    /// One of the messages, or the only one, cannot be handled.
    #[error("{0}")]
    Failed(String),
}

impl From<smarttasks_store::Error> for HandlerError {
    fn from(error: smarttasks_store::Error) -> Self {
        let told = chain(&error);
        if error.is_transient() {
            Self::Unavailable(told)
        } else {
            Self::Failed(told)
        }
    }
}

/// What a service does with the messages of its queue.
///
/// A message may come twice and out of order; whoever handles it meets what the first time left.
pub trait Handler: Send + Sync {
    /// Which queue it consumes.
    const QUEUE: Queue;
    /// How many messages it is given at once, at most.
    const BATCH: usize = 200;

    /// Handles a batch in one transaction that settles it.
    fn handle(&self, batch: Batch) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Sees to it that nobody waits for a message that is about to go to the dead letters.
    fn give_up(
        &self,
        _message: &Message,
        _reason: &str,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        future::ready(Ok(()))
    }
}

/// A message as its consumer gets it.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) message: Result<Arc<Message>, Arc<str>>,
    pub(crate) receipt: Receipt,
    /// Whether it may have been handled before by a process that has ended.
    pub(crate) redelivered: bool,
    pub(crate) failures: u32,
    pub(crate) created_at: Timestamp,
}

/// By what a message is settled.
#[derive(Debug)]
pub(crate) enum Receipt {
    /// Its outbox row.
    Row(i64),
    /// Its place on a channel of RabbitMQ.
    Envelope(Box<Envelope>),
}

impl Receipt {
    fn row(&self) -> Option<i64> {
        match self {
            Self::Row(row) => Some(*row),
            Self::Envelope(_) => None,
        }
    }

    /// What the message is called in logs.
    fn id(&self) -> String {
        match self {
            Self::Row(row) => row.to_string(),
            Self::Envelope(envelope) => envelope.id(),
        }
    }
}

/// Where messages come from, and what is said about them.
pub(crate) enum Intake {
    InProcess(InProcess, Queue),
    RabbitMq(Box<Subscription>),
}

impl Intake {
    /// Waits for messages and takes at most `most`; nothing is lost when it is not awaited to its
    /// end.
    async fn take(&mut self, most: usize) -> Vec<Delivered> {
        match self {
            Self::InProcess(bus, queue) => bus.take(*queue, most).await,
            Self::RabbitMq(subscription) => subscription.take(most).await,
        }
    }

    /// Whether the message can still be settled; if not, it comes again.
    fn holds(&self, message: &Delivered) -> bool {
        match (self, &message.receipt) {
            (Self::RabbitMq(subscription), Receipt::Envelope(envelope)) => {
                subscription.holds(envelope)
            }
            _ => true,
        }
    }

    /// These have been handled.
    async fn acknowledge(&mut self, done: &[Delivered]) {
        match self {
            Self::InProcess(bus, _) => bus.counted().acknowledged(done.len()),
            Self::RabbitMq(subscription) => subscription.acknowledge(done).await,
        }
    }

    /// This one has failed and is tried again; RabbitMQ counts for itself.
    async fn record_failure(&mut self, failed: &Delivered) {
        if let (Self::InProcess(bus, _), Receipt::Row(row)) = (self, &failed.receipt) {
            bus.record_failure(*row).await;
        }
    }

    async fn bury(&mut self, dead: &Delivered, reason: &str) -> Result<()> {
        match (self, &dead.receipt) {
            (Self::InProcess(bus, _), Receipt::Row(row)) => bus.bury(*row, reason).await,
            (Self::RabbitMq(subscription), Receipt::Envelope(envelope)) => {
                subscription.bury(envelope, reason, dead.failures).await
            }
            // A receipt comes from the intake that gets it back.
            _ => Ok(()),
        }
    }

    /// Gives back what was taken and not settled.
    async fn close(self) {
        if let Self::RabbitMq(subscription) = self {
            subscription.close().await;
        }
    }
}

/// Most messages that wait for another try; with more, no new ones are taken.
const ASIDE: usize = 400;
/// How often a message may fail before it goes to the dead letters.
const DELIVERY_LIMIT: u32 = 5;
/// Delay before the second try of a message; doubles with each.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// How often a batch is tried in a row when nothing is wrong with it.
const PATIENCE: u32 = 6;
/// For how long a message is put aside after that.
const ASIDE_FOR: Duration = Duration::from_secs(3);
/// Delay before a batch is tried again when nothing is wrong with it, and before a message is
/// buried that could not be.
const UNAVAILABLE_DELAY: Duration = Duration::from_millis(500);

/// Consumes messages until told to stop; what was taken and not handled is left for later.
pub async fn consume<H: Handler>(bus: Bus, handler: Arc<H>, stop: CancellationToken) {
    // From zero on, so that the first one shows.
    for counter in [
        "smarttasks_bus_messages_failed_total",
        "smarttasks_bus_dead_letters_total",
    ] {
        metrics::counter!(counter, "queue" => H::QUEUE.as_str()).increment(0);
    }
    let mut consumer = Consumer {
        intake: bus.intake(H::QUEUE),
        handler,
        stop,
        aside: FuturesUnordered::new(),
    };
    while let Some(step) = consumer.next().await {
        match step {
            Step::Batch(batch) => consumer.batch(batch).await,
            Step::Again(message) => consumer.one(message).await,
            Step::Bury(message, reason) => consumer.bury(message, &reason).await,
        }
    }
    consumer.intake.close().await;
}

struct Consumer<H> {
    intake: Intake,
    handler: Arc<H>,
    stop: CancellationToken,
    /// Messages that wait for another try, without holding up the others.
    aside: FuturesUnordered<BoxFuture<'static, Step>>,
}

enum Step {
    /// New messages.
    Batch(Vec<Delivered>),
    /// A message that has failed before.
    Again(Delivered),
    /// A message that could not be buried yet.
    Bury(Delivered, String),
}

/// How the handling of some messages ended.
enum Outcome {
    Handled,
    Failed(String),
    /// Nothing is wrong with the messages, but it takes long.
    Unavailable,
    /// Told to stop before it could be handled.
    Left,
}

impl<H: Handler> Consumer<H> {
    async fn next(&mut self) -> Option<Step> {
        let full = self.aside.len() >= ASIDE;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            Some(step) = self.aside.next() => Some(step),
            batch = self.intake.take(H::BATCH), if !full => Some(Step::Batch(batch)),
        }
    }

    async fn batch(&mut self, taken: Vec<Delivered>) {
        let mut batch = Vec::with_capacity(taken.len());
        for delivered in taken {
            match &delivered.message {
                Ok(_) => batch.push(delivered),
                Err(reason) => {
                    let reason = format!("it cannot be read: {reason}");
                    self.bury(delivered, &reason).await;
                }
            }
        }
        if batch.is_empty() {
            return;
        }
        metrics::counter!("smarttasks_bus_messages_consumed_total", "queue" => H::QUEUE.as_str())
            .increment(batch.len() as u64);
        match self.handle(&batch).await {
            Outcome::Handled => self.intake.acknowledge(&batch).await,
            Outcome::Left => {}
            Outcome::Failed(reason) => {
                let queue = H::QUEUE.as_str();
                tracing::warn!(queue, reason, "a batch failed and runs message by message");
                for message in batch {
                    self.one(message).await;
                }
            }
            // It may be too much at once, or one of them may be too much.
            Outcome::Unavailable => {
                for message in batch {
                    self.one(message).await;
                }
            }
        }
    }

    async fn one(&mut self, message: Delivered) {
        if self.stop.is_cancelled() || !self.intake.holds(&message) {
            return;
        }
        let alone = [message];
        match self.handle(&alone).await {
            Outcome::Handled => self.intake.acknowledge(&alone).await,
            Outcome::Left => {}
            Outcome::Failed(reason) => {
                let [message] = alone;
                self.failed(message, &reason).await;
            }
            // So that it holds up nobody else, should it be the only one that cannot be handled.
            Outcome::Unavailable => {
                let [message] = alone;
                self.put_aside(ASIDE_FOR, Step::Again(message));
            }
        }
    }

    async fn handle(&mut self, messages: &[Delivered]) -> Outcome {
        let items = messages.iter().filter_map(|delivered| {
            Some(Item {
                message: Arc::clone(delivered.message.as_ref().ok()?),
                row: delivered.receipt.row(),
                redelivered: delivered.redelivered,
            })
        });
        let batch = Batch(items.collect());
        Failpoint::Consumed.pass();
        for _ in 0..PATIENCE {
            match caught(self.handler.handle(batch.clone())).await {
                Ok(()) => {
                    Failpoint::Handled.pass();
                    return Outcome::Handled;
                }
                Err(HandlerError::Failed(reason)) => return Outcome::Failed(reason),
                Err(HandlerError::Unavailable(reason)) => {
                    let queue = H::QUEUE.as_str();
                    tracing::warn!(queue, reason, "a batch has to wait and is tried again");
                    let pause = tokio::time::sleep(UNAVAILABLE_DELAY);
                    if self.stop.run_until_cancelled(pause).await.is_none() {
                        return Outcome::Left;
                    }
                }
            }
        }
        Outcome::Unavailable
    }

    async fn failed(&mut self, mut message: Delivered, reason: &str) {
        message.failures += 1;
        metrics::counter!("smarttasks_bus_messages_failed_total", "queue" => H::QUEUE.as_str())
            .increment(1);
        tracing::warn!(
            queue = H::QUEUE.as_str(),
            message.id = message.receipt.id(),
            message.failures,
            message.created_at = %message.created_at,
            reason,
            "a message failed"
        );
        if message.failures >= DELIVERY_LIMIT {
            self.bury(message, reason).await;
            return;
        }
        self.intake.record_failure(&message).await;
        let delay = FIRST_DELAY * 2u32.saturating_pow(message.failures - 1);
        self.put_aside(delay, Step::Again(message));
    }

    async fn bury(&mut self, message: Delivered, reason: &str) {
        if !self.intake.holds(&message) {
            return;
        }
        let id = message.receipt.id();
        if let Err(error) = self.give_up(&message, reason).await {
            tracing::error!(message.id = id, error, "a message cannot be given up yet");
            self.put_aside(UNAVAILABLE_DELAY, Step::Bury(message, reason.to_owned()));
            return;
        }
        match self.intake.bury(&message, reason).await {
            Ok(()) => {
                metrics::counter!("smarttasks_bus_dead_letters_total", "queue" => H::QUEUE.as_str())
                    .increment(1);
                tracing::error!(
                    message.id = id,
                    reason,
                    "a message is among the dead letters now"
                );
                self.intake.acknowledge(&[message]).await;
            }
            Err(error) => {
                let error = chain(&error);
                tracing::error!(message.id = id, error, "a message cannot be buried yet");
                self.put_aside(UNAVAILABLE_DELAY, Step::Bury(message, reason.to_owned()));
            }
        }
    }

    /// What cannot be told to those who wait is buried all the same, unless it is only for now.
    async fn give_up(&mut self, dead: &Delivered, reason: &str) -> Result<(), String> {
        let Ok(message) = &dead.message else {
            return Ok(());
        };
        match caught(self.handler.give_up(message, reason)).await {
            Ok(()) => Ok(()),
            Err(HandlerError::Unavailable(error)) => Err(error),
            Err(HandlerError::Failed(error)) => {
                let id = dead.receipt.id();
                tracing::error!(
                    message.id = id,
                    error,
                    "somebody may wait for a dead letter"
                );
                Ok(())
            }
        }
    }

    fn put_aside(&self, delay: Duration, step: Step) {
        let waiting = tokio::time::sleep(delay).then(|()| future::ready(step));
        self.aside.push(waiting.boxed());
    }
}

/// A mistake of ours fails the message that met it, not the consumer.
async fn caught(
    handling: impl Future<Output = Result<(), HandlerError>>,
) -> Result<(), HandlerError> {
    let outcome = AssertUnwindSafe(handling).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(HandlerError::Failed("its consumer panicked".to_owned())))
}
