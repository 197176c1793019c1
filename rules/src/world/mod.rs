//! What a script sees: the types of its world, their fields, operators and functions.
//!
//! A handle such as [`TaskHandle`] is a name for what the evaluation holds; its fields are read
//! one by one when the script asks, so that a script costs what it uses.

mod compare;
mod facts;
mod json;
mod lists;
mod order;
mod people;
mod queries;
mod state;
mod strings;
mod task;
mod time;
mod written;

pub(crate) use facts::{EventHandle, RuleHandle, WorkspaceHandle};
pub(crate) use json::{map_from_json, shown, to_json};
pub(crate) use people::{UserHandle, find_user, user_of};
pub(crate) use queries::KEYS as FILTER_KEYS;
pub(crate) use state::StateHandle;
pub(crate) use task::{CHANGEABLE, TaskHandle};
pub(crate) use time::{BusinessDays, Moment};

use crate::evaluation::{self, Host};
use crate::nearest::did_you_mean;
use crate::words::Words;
use rhai::{Dynamic, EvalAltResult, INT, Position};
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
        "event" => Dynamic::from(EventHandle::Trigger),
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
pub(crate) fn define(words: &mut Words) {
    names(words);
    task::define(words);
    people::define(words);
    facts::define(words);
    time::define(words);
    queries::define(words);
    state::define(words);
    compare::define(words);
    strings::define(words);
    lists::define(words);
    order::define(words);
    written::define(words);
    json::define(words);
}

fn names(words: &mut Words) {
    words.topic("Names");
    words.name(
        "task: Task | ()",
        "The task that the run is about, as the event left it. After an action upon it, reads see the change. `()` where the run is about none, as with a cron trigger with `for_each` \"once\".",
        r#"if task != () && task.is_open { log(task.title); } // Renew certificate"#,
    );
    words.name(
        "previous: Task | ()",
        "The task before the event, on `task.updated` and its kin; else `()`. It cannot be acted upon.",
        r#"if previous != () && previous.status != task.status {
    log(`${previous.status} -> ${task.status}`); // todo -> in_progress
}"#,
    );
    words.name(
        "event: Event",
        "What started the run.",
        r#"log(event.type); // task.updated"#,
    );
    words.name(
        "rule: Rule",
        "The rule itself.",
        r#"log(`${rule.name}, version ${rule.version}`); // Chase, version 3"#,
    );
    words.name(
        "workspace: Workspace",
        "The workspace that the rule belongs to.",
        r#"log(workspace.name); // Home"#,
    );
    words.name(
        "state: State",
        "What the rule keeps from one run to the next.",
        r#"state.set("runs", (state.get("runs") ?? 0) + 1);
log(state.get("runs")); // 1"#,
    );
    words.constant(
        "LOW: Priority",
        "The lowest priority. Priorities are ordered: LOW < NORMAL < HIGH < URGENT.",
        r#"log(task.priority > LOW); // true"#,
    );
    words.constant(
        "NORMAL: Priority",
        "The priority of a task for which none was given.",
        r#"log(NORMAL); // normal"#,
    );
    words.constant(
        "HIGH: Priority",
        "The priority below the highest. A payload shows it as \"high\".",
        r#"if task.priority >= HIGH { log("soon"); } // soon"#,
    );
    words.constant(
        "URGENT: Priority",
        "The highest priority.",
        r#"task.update(#{ priority: URGENT });
log(task.priority); // urgent"#,
    );
    words.type_name::<Priority>("Priority");
    words.written::<Priority>(|priority| Ok(priority.as_str().into()));
}

/// What a value is, in the words of the documentation.
pub(crate) fn kind_of(value: &Dynamic) -> &'static str {
    if value.is::<Priority>() {
        "a priority"
    } else if value.is::<Moment>() {
        "a time"
    } else if value.is::<Span>() {
        "a duration"
    } else if value.is::<BusinessDays>() {
        "a number of business days"
    } else if value.is::<TaskHandle>() {
        "a task"
    } else if value.is::<UserHandle>() {
        "a user"
    } else if value.is::<StateHandle>() {
        "the rule's state"
    } else if value.is::<EventHandle>() {
        "an event"
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
    no_field(match near {
        Some(near) => format!("`{of}` has no field `{name}`; {near}"),
        None => format!("`{of}` has no field `{name}`; it has {}", fields.join(", ")),
    })
}

fn no_field(message: String) -> Box<EvalAltResult> {
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

/// Defines the fields of a handle, and keeps the list of their names beside them.
macro_rules! fields {
    ($names:ident of $handle_type:ty as $type:literal:
        $($name:ident: $types:literal, $doc:literal, $example:literal => |$handle:ident, $evaluation:ident| $value:expr;)+
    ) => {
        const $names: &[&str] = &[$(stringify!($name)),+];

        fn define_fields(words: &mut $crate::words::Words) {
            words.type_name::<$handle_type>($type);
            $(words.field(
                concat!($type, ".", stringify!($name), ": ", $types),
                $doc,
                $example,
                |handle: &mut $handle_type| -> $crate::evaluation::Host<rhai::Dynamic> {
                    let $handle = *handle;
                    $crate::evaluation::with(|$evaluation| Ok($value))
                },
            );)+
        }
    };
}
pub(crate) use fields;
