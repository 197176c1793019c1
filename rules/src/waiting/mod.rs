//! The calls at which a run waits: one file per kind.
//!
//! The script stops there and leaves memory. When the wait has ended, it runs again from the top
//! with what is recorded of it, and the call returns how the wait ended.

mod approve;
mod http;
mod sleep;
mod wait_for;

pub(crate) use http::{KEYS as HTTP_KEYS, METHODS, url};

use crate::evaluation::Host;
use crate::words::Words;
use crate::world::kind_of;
use rhai::Dynamic;
use smarttasks_model::Span;
use std::time::Duration;

/// The calls at which a run waits.
pub(crate) const CALLS: &[&str] = &["sleep", "sleep_until", "wait_for", "http", "approve"];

/// Teaches an engine every wait.
pub(crate) fn define(words: &mut Words) {
    words.topic("Waiting");
    sleep::define(words);
    wait_for::define(words);
    http::define(words);
    approve::define(words);
}

/// A duration that an argument must be, and that is not longer than `most`.
fn span(call: &str, argument: &str, value: &Dynamic, most: Duration) -> Host<Span> {
    let Some(span) = value.read_lock::<Span>().map(|span| *span) else {
        return Err(format!(
            "{call}: `{argument}` must be a duration, such as hours(4), not {}",
            kind_of(value)
        )
        .into());
    };
    within(call, span, most)?;
    Ok(span)
}

/// A wait that is not longer than `most`.
fn within(call: &str, span: Span, most: Duration) -> Host<()> {
    if i128::from(span.millis()) > i128::try_from(most.as_millis()).unwrap_or(i128::MAX) {
        let days = most.as_secs() / 86_400;
        return Err(format!("{call}: a run may wait for {days} days at most").into());
    }
    Ok(())
}

/// A timeout, within which somebody has to have the time to answer.
fn timeout(call: &str, value: &Dynamic, most: Duration) -> Host<Span> {
    let span = span(call, "timeout", value, most)?;
    match span > Span::ZERO {
        true => Ok(span),
        false => Err(format!("{call}: `timeout` must be more than nothing").into()),
    }
}
