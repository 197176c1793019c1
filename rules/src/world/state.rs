//! `state`: what a rule keeps from one run to the next.

use super::json::{from_json, to_json};
use crate::evaluation::{self, Host, terminated};
use crate::limits::Stop;
use crate::meter;
use rhai::{Array, Dynamic, Engine, EvalAltResult, ImmutableString, Position};
use serde_json::Value;
use smarttasks_model::text_within;

/// Longest key, in characters.
const LONGEST_KEY: usize = 100;

/// What the rule keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StateHandle;

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<StateHandle>("State");
    engine.register_fn("get", get);
    engine.register_fn("set", set);
    engine.register_fn("remove", remove);
    engine.register_fn("keys", keys);
    engine.register_indexer_get(
        |_: &mut StateHandle, name: ImmutableString| -> Host<Dynamic> { Err(no_field(&name)) },
    );
    rhai::FuncRegistration::new_index_setter()
        .with_purity(true)
        .register_into_engine(
            engine,
            |_: &mut StateHandle, name: ImmutableString, _: Dynamic| -> Host<()> {
                Err(no_field(&name))
            },
        );
}

fn no_field(name: &str) -> Box<EvalAltResult> {
    let message = format!(
        "`state` has no fields: write `state.get(\"{name}\")` and `state.set(\"{name}\", …)`"
    );
    Box::new(EvalAltResult::ErrorPropertyNotFound(
        message,
        Position::NONE,
    ))
}

fn get(_: StateHandle, key: &str) -> Host<Dynamic> {
    evaluation::with(|e| Ok(e.state().get(key).map_or(Dynamic::UNIT, from_json)))
}

fn set(_: StateHandle, key: &str, value: Dynamic) -> Host<()> {
    if value.is_unit() {
        return remove(StateHandle, key);
    }
    evaluation::with(|e| {
        let key = text_within("/key", key, 1, LONGEST_KEY, &[])
            .map_err(|wrong| format!("state.set: the key {}", wrong.detail))?;
        let value = to_json(e, &value)?;
        if e.state().get(&key) == Some(&value) {
            return Ok(());
        }
        let others = e.state().iter().filter(|(other, _)| **other != key);
        let total: usize = others.map(|(key, value)| size(key, value)).sum();
        if total + size(&key, &value) > e.limits.state_bytes {
            return Err(terminated(meter::stop(Stop::State)));
        }
        e.state_mut().insert(key, value);
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
