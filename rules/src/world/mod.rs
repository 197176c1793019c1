//! What a script sees: the types of its world, their fields, operators and functions.
//!
//! A handle such as [`TaskHandle`] is a name for what the evaluation holds; its fields are read
//! one by one when the script asks, so that a script costs what it uses.

mod compare;
mod facts;
mod json;
mod people;
mod queries;
mod state;
mod strings;
mod task;
mod time;
mod written;

pub(crate) use facts::{EventHandle, RuleHandle, WorkspaceHandle};
pub(crate) use json::to_json;
pub(crate) use people::{UserHandle, find_user, user_of};
pub(crate) use queries::KEYS as FILTER_KEYS;
pub(crate) use state::StateHandle;
pub(crate) use task::TaskHandle;
pub(crate) use time::{BusinessDays, Moment};

use crate::evaluation::{self, Host};
use crate::nearest::did_you_mean;
use rhai::{Dynamic, Engine, EvalAltResult, INT, Position};
use smarttasks_model::{Priority, Span};

/// The names that resolve everywhere, in functions and closures too, and that no script may
/// assign or shadow.
pub(crate) const NAMES: &[&str] = &[
    "task",
    "previous",
    "event",
    "rule",
    "workspace",
    "state",
    "LOW",
    "NORMAL",
    "HIGH",
    "URGENT",
];

/// What a name of [`NAMES`] stands for in the evaluation at hand.
pub(crate) fn resolve(name: &str) -> Host<Option<Dynamic>> {
    Ok(Some(match name {
        "LOW" => Dynamic::from(Priority::Low),
        "NORMAL" => Dynamic::from(Priority::Normal),
        "HIGH" => Dynamic::from(Priority::High),
        "URGENT" => Dynamic::from(Priority::Urgent),
        "event" => Dynamic::from(EventHandle),
        "rule" => Dynamic::from(RuleHandle),
        "workspace" => Dynamic::from(WorkspaceHandle),
        "state" => Dynamic::from(StateHandle),
        "task" => present(TaskHandle::Current)?,
        "previous" => present(TaskHandle::Previous)?,
        _ => return Ok(None),
    }))
}

/// The handle, or `()` where there is no such task.
fn present(handle: TaskHandle) -> Host<Dynamic> {
    evaluation::with(|e| {
        Ok(match e.task(handle) {
            Ok(_) => Dynamic::from(handle),
            Err(_) => Dynamic::UNIT,
        })
    })
}

/// Teaches an engine the whole world.
pub(crate) fn register(engine: &mut Engine) {
    task::register(engine);
    people::register(engine);
    facts::register(engine);
    time::register(engine);
    queries::register(engine);
    state::register(engine);
    strings::register(engine);
    written::register(engine);
    compare::register(engine);
}

/// What a value is, in the words of the documentation.
pub(crate) fn kind_of(value: &Dynamic) -> &'static str {
    if value.is::<Priority>() {
        "a priority"
    } else if value.is::<Moment>() {
        "a time"
    } else if value.is::<Span>() {
        "a duration"
    } else if value.is::<TaskHandle>() {
        "a task"
    } else if value.is::<UserHandle>() {
        "a user"
    } else if value.is::<BusinessDays>() {
        "a number of business days"
    } else if value.is::<StateHandle>() {
        "the rule's state"
    } else if value.is_unit() {
        "an absent value"
    } else if value.is_string() || value.is_char() {
        "a text"
    } else if value.is_int() || value.is_float() {
        "a number"
    } else if value.is_bool() {
        "true or false"
    } else if value.is_array() {
        "a list"
    } else if value.is_map() {
        "a map"
    } else {
        "something else"
    }
}

/// An error with the nearest real name.
pub(crate) fn unknown_field(of: &str, name: &str, fields: &[&str]) -> Box<EvalAltResult> {
    let near = did_you_mean(name, fields.iter().copied());
    let message = match near {
        Some(near) => format!("`{of}` has no field `{name}`; {near}"),
        None => format!("`{of}` has no field `{name}`; it has {}", fields.join(", ")),
    };
    Box::new(EvalAltResult::ErrorPropertyNotFound(
        message,
        Position::NONE,
    ))
}

/// A text as a script's value.
fn text(text: &str) -> Dynamic {
    text.into()
}

/// A text, absent as `()`.
fn optional(value: Option<&str>) -> Dynamic {
    value.map_or(Dynamic::UNIT, text)
}

/// A count or version as a script's number.
fn number(value: i64) -> Dynamic {
    Dynamic::from_int(value as INT)
}

/// Registers read-only fields of a type, and keeps the list of their names beside them.
macro_rules! fields {
    ($names:ident of $type:ty as $of:literal: $($name:literal => |$handle:ident, $evaluation:ident| $value:expr;)+) => {
        pub(crate) const $names: &[&str] = &[$($name),+];

        fn register_fields(engine: &mut rhai::Engine) {
            $(engine.register_get($name, |handle: &mut $type| -> $crate::evaluation::Host<rhai::Dynamic> {
                let $handle = *handle;
                $crate::evaluation::with(|$evaluation| Ok($value))
            });)+
            engine.register_indexer_get(
                |_: &mut $type, name: rhai::ImmutableString| -> $crate::evaluation::Host<rhai::Dynamic> {
                    Err($crate::world::unknown_field($of, &name, $names))
                },
            );
        }
    };
}
pub(crate) use fields;
