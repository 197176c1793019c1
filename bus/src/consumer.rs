//! Consumers: batches, and what happens to a message that fails.

use crate::InProcess;
use futures_util::FutureExt;
use smarttasks_model::{Message, Timestamp};
use smarttasks_store::{Outgoing, Queue, Tx, outbox};
use std::future::Future;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A message as its consumer gets it.
#[derive(Clone, Debug)]
pub struct Delivered {
    message: Result<Arc<Message>, Arc<str>>,
    row: i64,
    failures: u32,
    created_at: Timestamp,
}

impl From<Outgoing> for Delivered {
    fn from(outgoing: Outgoing) -> Self {
        Self {
            message: outgoing.message,
            row: outgoing.id,
            failures: u32::try_from(outgoing.failures).unwrap_or_default(),
            created_at: outgoing.created_at,
        }
    }
}

/// Messages that are handled together; cheap to clone.
#[derive(Clone, Debug)]
pub struct Batch(Arc<[(Arc<Message>, i64)]>);

impl Batch {
    /// The messages.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.0.iter().map(|(message, _)| message.deref())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Marks the messages as consumed when `tx` commits.
    pub fn settle(&self, tx: &mut Tx) {
        tx.settle(self.0.iter().map(|(_, row)| *row));
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

fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        told = format!("{told}: {cause}");
        source = cause.source();
    }
    told
}

/// What a service does with the messages of its queue.
pub trait Handler: Send + Sync {
    /// Which queue it consumes.
    const QUEUE: Queue;

    /// Handles a batch in one transaction that settles it.
    fn handle(&self, batch: Batch) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// Most messages handled together.
const BATCH: usize = 200;
/// How often a message may fail before it goes to the dead letters.
const DELIVERY_LIMIT: u32 = 5;
/// Delay before the second try of a message; doubles with each.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// Delay before a batch is tried again when nothing is wrong with it.
const UNAVAILABLE_DELAY: Duration = Duration::from_millis(500);

/// Consumes messages until told to stop; what was taken and not handled stays in the outbox.
pub async fn consume<H: Handler>(bus: InProcess, handler: Arc<H>, stop: CancellationToken) {
    while let Some(taken) = stop.run_until_cancelled(bus.take(H::QUEUE, BATCH)).await {
        let batch = bury_unreadable(&bus, taken).await;
        if batch.is_empty() {
            continue;
        }
        metrics::counter!("smarttasks_bus_messages_consumed_total", "queue" => H::QUEUE.as_str())
            .increment(batch.len() as u64);
        if let Err(error) = try_until_available(&*handler, &batch, &stop).await {
            tracing::warn!(queue = H::QUEUE.as_str(), %error, "a batch runs message by message");
            for message in batch {
                one(&bus, &*handler, message, &stop).await;
            }
        }
    }
}

async fn one<H: Handler>(
    bus: &InProcess,
    handler: &H,
    message: Delivered,
    stop: &CancellationToken,
) {
    let alone = [message];
    let Err(error) = try_until_available(handler, &alone, stop).await else {
        return;
    };
    let [message] = alone;
    failed(bus, H::QUEUE, message, &error.to_string()).await;
}

async fn try_until_available<H: Handler>(
    handler: &H,
    messages: &[Delivered],
    stop: &CancellationToken,
) -> Result<(), HandlerError> {
    let readable = messages.iter().filter_map(|delivered| {
        Some((Arc::clone(delivered.message.as_ref().ok()?), delivered.row))
    });
    let batch = Batch(readable.collect());
    loop {
        match caught(handler.handle(batch.clone())).await {
            Err(HandlerError::Unavailable(reason)) if !stop.is_cancelled() => {
                tracing::warn!(reason, "a batch has to wait");
                tokio::time::sleep(UNAVAILABLE_DELAY).await;
            }
            // Stopping: the messages stay in the outbox for the next start.
            Err(HandlerError::Unavailable(_)) => return Ok(()),
            outcome => return outcome,
        }
    }
}

/// A mistake of ours fails the message that met it, not the consumer.
async fn caught(
    handling: impl Future<Output = Result<(), HandlerError>>,
) -> Result<(), HandlerError> {
    let outcome = AssertUnwindSafe(handling).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(HandlerError::Failed("its consumer panicked".to_owned())))
}

async fn bury_unreadable(bus: &InProcess, taken: Vec<Delivered>) -> Vec<Delivered> {
    let mut readable = Vec::with_capacity(taken.len());
    for delivered in taken {
        match &delivered.message {
            Ok(_) => readable.push(delivered),
            Err(reason) => bury(bus, delivered.row, reason).await,
        }
    }
    readable
}

async fn failed(bus: &InProcess, queue: Queue, mut message: Delivered, reason: &str) {
    message.failures += 1;
    metrics::counter!("smarttasks_bus_messages_failed_total", "queue" => queue.as_str())
        .increment(1);
    tracing::warn!(
        queue = queue.as_str(),
        message.row,
        message.failures,
        message.created_at = %message.created_at,
        reason,
        "a message failed"
    );
    if message.failures >= DELIVERY_LIMIT {
        bury(bus, message.row, reason).await;
        return;
    }
    let row = message.row;
    let counted = bus
        .db()
        .write(move |tx| Box::pin(outbox::record_failure(tx, row)))
        .await;
    if let Err(error) = counted {
        tracing::error!(message.row = row, %error, "a failure could not be counted");
    }
    let delay = FIRST_DELAY * 2u32.saturating_pow(message.failures - 1);
    bus.redeliver(queue, message, delay);
}

async fn bury(bus: &InProcess, row: i64, reason: &str) {
    metrics::counter!("smarttasks_bus_dead_letters_total").increment(1);
    tracing::error!(
        message.row = row,
        reason,
        "a message goes to the dead letters"
    );
    loop {
        let reason = reason.to_owned();
        let buried = bus
            .db()
            .write(move |tx| {
                let reason = reason.clone();
                Box::pin(async move { outbox::bury(tx, row, &reason).await })
            })
            .await;
        let Err(error) = buried else { return };
        tracing::error!(message.row = row, %error, "a message could not be buried; trying again");
        tokio::time::sleep(UNAVAILABLE_DELAY).await;
    }
}
