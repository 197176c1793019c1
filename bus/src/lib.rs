//! Carries messages from the outbox to their consumers.
//!
//! The relay is the only publisher: it takes committed messages, handed over in memory or read
//! from the table, and puts them into the queues. A consumer takes them in batches, does one
//! transaction for the batch in which the messages are settled, and when the batch fails, tries
//! them one by one, so that one poison message holds up nobody else.

mod consumer;
mod in_process;

pub use consumer::{Batch, Delivered, Handler, HandlerError, consume};
pub use in_process::InProcess;

#[cfg(test)]
mod tests;
