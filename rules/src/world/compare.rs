//! Comparisons between kinds.
//!
//! Rhai answers `task.priority == "high"` with false, and the author never learns why the rule
//! does nothing. Here every comparison of a host type with another kind is an error that names
//! both; only an absent value may be compared with anything, is equal to nothing else, and is
//! neither less nor more.

use super::{BusinessDays, Moment, TaskHandle, UserHandle, kind_of};
use crate::evaluation::Host;
use rhai::{Dynamic, Engine, Variant};
use smarttasks_model::{Priority, Span};

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Priority>("Priority");
    engine.register_fn("to_string", |priority: &mut Priority| priority.as_str());
    engine.register_fn("to_debug", |priority: &mut Priority| priority.as_str());
    ordered::<Priority>(engine);
    ordered::<Moment>(engine);
    ordered::<Span>(engine);
    ordered::<BusinessDays>(engine);
    mixed_order::<BusinessDays>(engine);
    mixed_equality::<BusinessDays>(engine);
    mixed_order::<Priority>(engine);
    mixed_order::<Moment>(engine);
    mixed_order::<Span>(engine);
    mixed_equality::<Priority>(engine);
    mixed_equality::<Moment>(engine);
    mixed_equality::<Span>(engine);
    mixed_equality::<TaskHandle>(engine);
    mixed_equality::<UserHandle>(engine);
}

fn ordered<T: Variant + Clone + Ord>(engine: &mut Engine) {
    engine.register_fn("==", |a: T, b: T| a == b);
    engine.register_fn("!=", |a: T, b: T| a != b);
    engine.register_fn("<", |a: T, b: T| a < b);
    engine.register_fn("<=", |a: T, b: T| a <= b);
    engine.register_fn(">", |a: T, b: T| a > b);
    engine.register_fn(">=", |a: T, b: T| a >= b);
    engine.register_fn("max", |a: T, b: T| a.max(b));
    engine.register_fn("min", |a: T, b: T| a.min(b));
}

fn mixed_equality<T: Variant + Clone>(engine: &mut Engine) {
    engine.register_fn("==", |a: T, b: Dynamic| apart(a, b, false));
    engine.register_fn("==", |a: Dynamic, b: T| apart(b, a, false));
    engine.register_fn("!=", |a: T, b: Dynamic| apart(a, b, true));
    engine.register_fn("!=", |a: Dynamic, b: T| apart(b, a, true));
}

fn mixed_order<T: Variant + Clone>(engine: &mut Engine) {
    for operator in ["<", "<=", ">", ">="] {
        engine.register_fn(operator, |a: T, b: Dynamic| apart(a, b, false));
        engine.register_fn(operator, |a: Dynamic, b: T| apart(b, a, false));
    }
}

/// The answer when `other` is absent, and an error when it is anything else.
fn apart<T: Variant + Clone>(host: T, other: Dynamic, when_absent: bool) -> Host<bool> {
    if other.is_unit() {
        return Ok(when_absent);
    }
    let host = Dynamic::from(host);
    let hint = if host.is::<Priority>() && other.is_string() {
        "; write HIGH, not \"high\""
    } else if host.is::<Moment>() && other.is_string() {
        "; read a text with timestamp(…)"
    } else if host.is::<UserHandle>() && other.is_string() {
        "; compare its `.id` or `.email`"
    } else if host.is::<Span>() && (other.is_int() || other.is_float()) {
        "; write hours(1), not 1"
    } else {
        ""
    };
    let message = format!(
        "{} cannot be compared with {}{hint}",
        kind_of(&host),
        kind_of(&other)
    );
    Err(message.into())
}
