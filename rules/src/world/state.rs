//! `state`: what a rule keeps from one run to the next.

use super::json::{from_json, to_json};
use super::no_field;
use crate::evaluation::{self, Host, terminated};
use crate::limits::Stop;
use crate::meter;
use crate::words::Words;
use rhai::{Array, Dynamic, EvalAltResult};
use serde_json::Value;

/// Longest key, in characters.
const LONGEST_KEY: usize = 100;

/// What the rule keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StateHandle;

pub(super) fn define(words: &mut Words) {
    words.topic("State");
    words.type_name::<StateHandle>("State");
    words.other_fields::<StateHandle>(refuse);
    words.assigned::<StateHandle>(|_, name, _| Err(refuse(&name)));
    words
        .function(
            "State.get(key: text) -> any",
            "What the rule has kept under the key; `()` when there is nothing. What was a time when it was set is a text now, for `timestamp(…)`.",
            r#"let runs = state.get("runs") ?? 0;
log(runs + 1); // 1"#,
        )
        .is(words, get);
    words
        .function(
            "State.set(key: text, value: any)",
            "Keeps a value for the rule's later runs: texts, numbers, lists, maps and what a payload can hold. `()` removes the key. It is kept when the run succeeds, also when nothing else is done; by itself it is no match. A key has at most 100 characters; all that a rule keeps, written as JSON, at most 64 KiB.",
            r#"if state.get("told") != task.status {
    state.set("told", task.status);
    task.comment(`Now ${task.status}.`);
}"#,
        )
        .is(words, set);
    words
        .function(
            "State.remove(key: text)",
            "Forgets what is kept under the key, if anything is.",
            r#"state.set("told", true);
state.remove("told");
log(state.get("told") == ()); // true"#,
        )
        .is(words, remove);
    words
        .function(
            "State.keys() -> list",
            "The keys under which anything is kept, in alphabetical order.",
            r#"state.set("b", 1);
state.set("a", 2);
log(state.keys()); // ["a", "b"]"#,
        )
        .is(words, keys);
}

fn refuse(name: &str) -> Box<EvalAltResult> {
    no_field(format!(
        "`state` has no fields: write `state.get(\"{name}\")` and `state.set(\"{name}\", …)`"
    ))
}

fn get(_: StateHandle, key: &str) -> Host<Dynamic> {
    evaluation::with(|e| Ok(e.state().get(key).map_or(Dynamic::UNIT, from_json)))
}

fn set(_: StateHandle, key: &str, value: Dynamic) -> Host<()> {
    if value.is_unit() {
        return remove(StateHandle, key);
    }
    if key.is_empty() || key.chars().count() > LONGEST_KEY {
        return Err(format!("state.set: a key has 1 to {LONGEST_KEY} characters").into());
    }
    evaluation::with(|e| {
        let value = to_json(e, &value)?;
        if e.state().get(key) == Some(&value) {
            return Ok(());
        }
        let others = e.state().iter().filter(|(other, _)| *other != key);
        let total: usize = others.map(|(key, value)| size(key, value)).sum();
        if total + size(key, &value) > e.limits.state_bytes {
            return Err(terminated(meter::stop(Stop::State)));
        }
        e.state_mut().insert(key.to_owned(), value);
        Ok(())
    })
}

fn remove(_: StateHandle, key: &str) -> Host<()> {
    evaluation::with(|e| {
        if e.state().contains_key(key) {
            e.state_mut().remove(key);
        }
        Ok(())
    })
}

fn keys(_: StateHandle) -> Host<Array> {
    evaluation::with(|e| Ok(e.state().keys().map(|key| key.as_str().into()).collect()))
}

/// Bytes of an entry as JSON, with what separates it from the next.
fn size(key: &str, value: &Value) -> usize {
    key.len() + value.to_string().len() + 4
}
