//! Carries messages from the outbox to their consumers.
//!
//! The relay is the only publisher: it takes committed messages, handed over in memory or read
//! from the table, and puts them into the queues, which are in this process's memory or on
//! RabbitMQ. A consumer takes them in batches, does one transaction for the batch, and when the
//! batch fails, tries its messages one by one, so that one poison message holds up nobody else.

mod bus;
mod consumer;
mod error;
mod in_process;
mod rabbitmq;

pub use bus::{Bus, DeadLetter, QueueState, Replay, Traffic};
pub use consumer::{Batch, Handler, HandlerError, consume};
pub use error::{Error, Result};
pub use in_process::InProcess;
pub use rabbitmq::{RabbitMq, Settings};

#[cfg(test)]
mod tests;
