//! Consumes notifications: e-mail, webhooks, signatures, retries, the delivery log.
//!
//! The [`Notifier`] commits a delivery for each recipient, with a timer that brings it back
//! should this process die, and only then sends, so that a dead receiver never holds up the
//! queue. What comes of each attempt is recorded in batches, and decides about the next one.
//!
//! A channel ([`webhook`], [`request`], [`email`]) turns content that is in memory into one
//! [`Attempt`]; it knows neither the store nor the queue. [`ladder`] says when the next attempt is
//! due and [`breaker`] whether a receiver may be asked at all. A run that waits for the answer to
//! its request is woken by the transaction that records the request's end.

mod accept;
pub mod breaker;
pub mod client;
mod dispatch;
pub mod email;
mod error;
mod job;
pub mod ladder;
mod outcome;
mod recorder;
mod report;
pub mod request;
pub mod trust;
mod verdict;
pub mod webhook;

pub use accept::{Notifier, Settings};
pub use error::SetupError;
pub use outcome::{Attempt, Reason, SendError};

#[cfg(test)]
mod tests;
