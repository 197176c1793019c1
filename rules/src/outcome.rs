//! What came of an evaluation.

use crate::evaluation::Halt;
use crate::limits::Stop;
use crate::meter::Reading;
use crate::{Action, Limits, Need, Segment};
use rhai::{EvalAltResult, Position};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// What came of an evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// What the script asked for, in order; empty when it failed, and when it did not match.
    pub actions: Vec<Action>,
    /// Its log, kept also when it failed.
    pub log: Vec<String>,
    /// Why it failed.
    pub error: Option<ScriptError>,
    /// What it must be given to go on. Of an unanswered query, everything else of the outcome is of
    /// no account; of a wait, it is what to do before.
    pub need: Option<Need>,
    /// What the run's journal has to keep of this segment, when it waits, and when it has waited.
    pub segment: Option<Segment>,
    /// Actions of the segments before: what numbers them within the run.
    pub actions_before: usize,
    /// Whether it failed for a reason that may be outside of the script, such as a busy machine,
    /// though it has gone well so far: it is to be tried again.
    pub later: bool,
    /// What the rule keeps from now on, where the script has changed it.
    pub state: Option<Map<String, Value>>,
    /// Steps taken.
    pub operations: u64,
    /// Time taken, with that of the evaluations up to the questions that were answered.
    pub duration: Duration,
    /// How much of it went into bringing the run back to where it was: that is not `spent` on the
    /// segment.
    pub replaying: Duration,
}

/// Why an evaluation failed, for the author of the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ScriptError {
    /// Stable, in `snake_case`; a limit's begins with `limit_`.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// From 1, where known.
    pub line: Option<usize>,
    /// From 1, where known.
    pub column: Option<usize>,
}

impl ScriptError {
    fn new(code: &str, message: impl Into<String>, at: Position) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            line: at.line(),
            column: at.position(),
        }
    }

    /// Of a script that has ended before all that its journal has.
    pub(crate) fn diverged(message: String) -> Self {
        Self::new(Stop::Diverged.code(), message, Position::NONE)
    }

    pub(crate) fn panicked() -> Self {
        Self::new(
            "internal_error",
            "the evaluation failed within SmartTasks; this is not the script's fault",
            Position::NONE,
        )
    }
}

/// The verdict. The stop flag decides before the result does, because `sort` and `dedup` swallow
/// errors and `map` turns those that nobody may catch into ones that anybody may.
pub(crate) fn verdict(
    result: Result<(), Box<EvalAltResult>>,
    reading: &Reading,
    halted: Option<&Halt>,
    limits: &Limits,
) -> Option<ScriptError> {
    if let Some(stop) = reading.stop {
        let at = result
            .err()
            .map_or(Position::NONE, |error| error.unwrap_inner().position());
        return Some(stopped(stop, at, halted, limits));
    }
    match result {
        Ok(()) => None,
        Err(error) if error.is_pseudo_error() => None,
        Err(error) => Some(failed(&error, limits)),
    }
}

fn stopped(stop: Stop, at: Position, halted: Option<&Halt>, limits: &Limits) -> ScriptError {
    let at = match halted {
        Some(halt) => halt.at,
        None => at,
    };
    let message = halted.and_then(|halt| halt.message.clone());
    ScriptError::new(
        stop.code(),
        message.unwrap_or_else(|| stop.message(limits)),
        at,
    )
}

/// The innermost cause, with the innermost place that is known.
fn failed(error: &EvalAltResult, limits: &Limits) -> ScriptError {
    use EvalAltResult as E;
    let inner = error.unwrap_inner();
    let at = if inner.position().is_none() {
        error.position()
    } else {
        inner.position()
    };
    let (code, message) = match inner {
        E::ErrorRuntime(value, _) => ("runtime_error", value.to_string()),
        E::ErrorVariableNotFound(name, _) => {
            ("unknown_variable", format!("there is no variable `{name}`"))
        }
        // Ours carry a whole sentence.
        E::ErrorPropertyNotFound(message, _) => ("unknown_field", message.clone()),
        E::ErrorFunctionNotFound(call, _) => (
            "unknown_function",
            format!("there is no function for the call {call}"),
        ),
        E::ErrorDotExpr(message, _) => ("unknown_field", of_nothing(message)),
        E::ErrorAssignmentToConstant(name, _) => {
            ("reserved_name", format!("`{name}` cannot be assigned"))
        }
        E::ErrorArithmetic(message, _) => ("arithmetic", message.clone()),
        E::ErrorStackOverflow(_) => (
            "limit_call_depth",
            format!(
                "functions call each other more than {} deep",
                limits.call_depth
            ),
        ),
        E::ErrorTooManyVariables(_) => (
            "limit_variables",
            format!("more than {} variables at once", limits.variables),
        ),
        E::ErrorDataTooLarge(what, _) => (
            "limit_data",
            format!("{} is over the limit", what.to_lowercase()),
        ),
        E::ErrorMismatchDataType(..) | E::ErrorMismatchOutputType(..) => {
            ("type_mismatch", without_place(inner))
        }
        _ => ("runtime_error", without_place(inner)),
    };
    ScriptError::new(code, message, at)
}

/// Rhai says of `().title` that "a getter is not registered"; the author wants to know that what
/// stands before the dot is absent.
fn of_nothing(message: &str) -> String {
    let property = message.split('\'').nth(1);
    match property {
        Some(property) if message.ends_with("type '()'") => format!(
            "`.{property}` of an absent value; test it first, such as `if task.assignee != ()`, or write `?.{property}`"
        ),
        _ => message.to_owned(),
    }
}

fn without_place(error: &EvalAltResult) -> String {
    let text = error.to_string();
    match text.rfind(" (line ") {
        Some(place) => text[..place].to_owned(),
        None => text,
    }
}
