//! What comes of a delivery's turn: its attempt, and what follows from it.

use crate::ladder;
use crate::outcome::{Attempt, SendError};
use serde_json::Value;
use smarttasks_model::Timestamp;
use smarttasks_store::deliveries::{self, Delivery, Outcome, Report};
use std::time::Duration;

/// After this long without an end a delivery is given up: longer than the whole ladder takes.
const GIVEN_UP: Duration = Duration::from_secs(36 * 3600);
/// Why a request is not made any more.
pub(crate) const UNWANTED: &str = "given up: its run does not wait for an answer any more";
/// The same of one that could not be made in its time.
pub(crate) const LATE: &str = "given up: the time for an answer is over";

/// What came of a delivery's turn.
pub(crate) struct Turn {
    pub(crate) report: Report,
    /// The receiver asked to be left alone.
    pub(crate) endpoint_is_gone: bool,
    /// What came back, when a run waits for it.
    pub(crate) answer: Option<Value>,
}

impl Turn {
    /// An attempt was made, from `at` to `now`.
    pub(crate) fn made(
        delivery: &Delivery,
        attempt: Attempt,
        at: Timestamp,
        now: Timestamp,
    ) -> Self {
        let number = delivery.attempts_made + 1;
        let outcome = follows(delivery, attempt.error.as_ref(), number, now);
        tell(delivery, &attempt, &outcome, number);
        Self::of(Report {
            delivery_id: delivery.id,
            attempt: Some(deliveries::Attempt {
                number,
                at,
                status_code: attempt.status_code,
                duration_ms: i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX),
                error: attempt.error.map(|error| error.reason().to_string()),
                response: attempt.response,
            }),
            outcome,
        })
    }

    /// None can be made before `until`.
    pub(crate) fn put_off(delivery: &Delivery, now: Timestamp, until: Timestamp) -> Self {
        metrics::counter!("smarttasks_deliveries_put_off_total").increment(1);
        let given_up = if delivery.content.is_over_at(until) {
            Some(LATE)
        } else if now.since(delivery.created_at) > GIVEN_UP {
            Some("given up: its receiver has not answered for a day and a half")
        } else {
            None
        };
        let outcome = given_up.map_or(Outcome::Retry(until), |why| Outcome::Failed(why.to_owned()));
        Self::of(Report {
            delivery_id: delivery.id,
            attempt: None,
            outcome,
        })
    }

    /// None can be made at all.
    pub(crate) fn impossible(delivery: &Delivery, reason: String) -> Self {
        Self::of(Report {
            delivery_id: delivery.id,
            attempt: None,
            outcome: Outcome::Failed(reason),
        })
    }

    fn of(report: Report) -> Self {
        Self {
            report,
            endpoint_is_gone: false,
            answer: None,
        }
    }
}

fn follows(delivery: &Delivery, error: Option<&SendError>, number: i32, now: Timestamp) -> Outcome {
    let Some(error) = error else {
        return Outcome::Delivered;
    };
    let reason = error.reason();
    let SendError::Transient { retry_after, .. } = error else {
        return Outcome::Failed(reason.to_string());
    };
    let made = u32::try_from(number).unwrap_or(u32::MAX);
    match ladder::next_attempt(delivery.id, made, now, *retry_after) {
        Some(next) if delivery.content.is_over_at(next) => Outcome::Failed(format!(
            "given up after {}, as the next would come too late: {reason}",
            attempts(number)
        )),
        Some(next) => Outcome::Retry(next),
        None => Outcome::Failed(format!("given up after {}: {reason}", attempts(number))),
    }
}

fn attempts(number: i32) -> String {
    match number {
        1 => "one attempt".to_owned(),
        _ => format!("{number} attempts"),
    }
}

fn tell(delivery: &Delivery, attempt: &Attempt, outcome: &Outcome, number: i32) {
    let channel = delivery.content.channel().as_str();
    let (label, reason) = match (outcome, &attempt.error) {
        (Outcome::Delivered, _) | (_, None) => ("delivered", "none"),
        (Outcome::Retry(_), Some(error)) => ("retry", error.reason().label()),
        (Outcome::Failed(_), Some(error)) => ("failed", error.reason().label()),
    };
    metrics::counter!("smarttasks_delivery_attempts_total",
        "channel" => channel, "outcome" => label, "reason" => reason)
    .increment(1);
    tracing::info!(
        delivery.id = %delivery.id,
        trace.id = delivery.traceparent.map(|parent| parent.trace_id()),
        attempt = number,
        status = attempt.status_code,
        reason,
        "{channel} {label}"
    );
    metrics::histogram!("smarttasks_delivery_attempt_duration_seconds", "channel" => channel)
        .record(Duration::from_millis(attempt.duration_ms));
}
