//! Values of a script as JSON, for payloads and records, and back.

use super::{EventHandle, Moment, RuleHandle, TaskHandle, UserHandle, WorkspaceHandle, kind_of};
use crate::evaluation::{self, Evaluation, Host, terminated};
use crate::meter;
use crate::words::Words;
use rhai::{Dynamic, ImmutableString, Map};
use serde_json::{Value, json};
use smarttasks_model::{Priority, Span};

/// Deepest nesting of a payload: what every JSON parser reads.
const DEEPEST: usize = 64;

pub(super) fn define(words: &mut Words) {
    words.topic("Values");
    words
        .function(
            "to_json(value: any) -> text",
            "The value as a payload shows it: a priority as its text, a time as RFC 3339, a duration in whole seconds, a task as in the API, `()` as null. What cannot be shown, such as a closure, is an error.",
            r#"log(to_json([task.priority, hours(1), ()])); // ["high",3600,null]"#,
        )
        .is(words, |value: Dynamic| written(&value))
        .is(words, |map: Map| written(&Dynamic::from_map(map)));
}

fn written(value: &Dynamic) -> Host<ImmutableString> {
    evaluation::with(|e| Ok(to_json(e, value)?.to_string().into()))
}

/// A value as the API would show it: a priority as its text, a time as RFC 3339, a duration in
/// whole seconds, a task whole, `()` as null.
pub(crate) fn to_json(evaluation: &Evaluation, value: &Dynamic) -> Host<Value> {
    convert(evaluation, value, 0)
}

fn convert(evaluation: &Evaluation, value: &Dynamic, depth: usize) -> Host<Value> {
    // A list may name one long task four thousand times: each value counts as a step, which
    // looks at the heap too.
    meter::step(&evaluation.limits).map_err(terminated)?;
    if depth > DEEPEST {
        return Err(format!("a payload may be nested {DEEPEST} deep at most").into());
    }
    if let Ok(list) = value.as_array_ref() {
        let items: Host<Vec<Value>> = list
            .iter()
            .map(|item| convert(evaluation, item, depth + 1))
            .collect();
        return items.map(Value::Array);
    }
    if let Ok(map) = value.as_map_ref() {
        let mut object = serde_json::Map::with_capacity(map.len());
        for (key, item) in map.iter() {
            object.insert(key.to_string(), convert(evaluation, item, depth + 1)?);
        }
        return Ok(Value::Object(object));
    }
    match plain(value) {
        Some(value) => Ok(value),
        None => host_value(evaluation, value),
    }
}

fn plain(value: &Dynamic) -> Option<Value> {
    if value.is_unit() {
        return Some(Value::Null);
    }
    if let Ok(truth) = value.as_bool() {
        return Some(truth.into());
    }
    if let Ok(number) = value.as_int() {
        return Some(number.into());
    }
    if let Ok(number) = value.as_float() {
        // JSON has no infinity and no NaN.
        return Some(serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number));
    }
    if let Ok(letter) = value.as_char() {
        return Some(letter.to_string().into());
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Some(text.as_str().into());
    }
    None
}

fn host_value(evaluation: &Evaluation, value: &Dynamic) -> Host<Value> {
    if let Some(priority) = value.read_lock::<Priority>() {
        return Ok(priority.as_str().into());
    }
    if let Some(moment) = value.read_lock::<Moment>() {
        return Ok(moment.at.to_string().into());
    }
    if let Some(span) = value.read_lock::<Span>() {
        return Ok(span.millis().div_euclid(1000).into());
    }
    if let Some(task) = value.read_lock::<TaskHandle>() {
        return serde_json::to_value(evaluation.task(*task)?)
            .map_err(|error| error.to_string().into());
    }
    if let Some(user) = value.read_lock::<UserHandle>() {
        let known = evaluation.user(user.0);
        return Ok(json!({
            "id": user.0,
            "name": known.map(|user| &user.name),
            "email": known.map(|user| &user.email),
        }));
    }
    let inputs = &evaluation.inputs;
    if let Some(event) = value.read_lock::<EventHandle>() {
        let event = evaluation.event(*event)?;
        return Ok(json!({
            "id": event.id,
            "type": event.kind,
            "time": event.time,
            "actor": event.actor_id,
            "data": event.data_json(),
        }));
    }
    if value.is::<RuleHandle>() {
        let rule = &inputs.rule;
        return Ok(json!({ "id": rule.id, "name": rule.name, "version": rule.version }));
    }
    if value.is::<WorkspaceHandle>() {
        let workspace = &inputs.workspace;
        return Ok(
            json!({ "id": workspace.id, "name": workspace.name, "timezone": workspace.timezone }),
        );
    }
    Err(format!("{} cannot be written as JSON", kind_of(value)).into())
}

/// Longest value that is shown, in characters.
const SHOWN: usize = 200;

/// A value for whoever asks what it was: as [`to_json`], but a length of time as `2h`, a user by
/// their address, a priority without quotes, and what is absent as `()`.
pub(crate) fn shown(evaluation: &Evaluation, value: &Dynamic) -> String {
    if value.is_unit() {
        return "()".to_owned();
    }
    if let Some(priority) = value.read_lock::<Priority>() {
        return priority.as_str().to_owned();
    }
    if let Some(span) = value.read_lock::<Span>() {
        return span.to_string();
    }
    if let Some(moment) = value.read_lock::<Moment>() {
        return moment.at.to_string();
    }
    if let Some(user) = value.read_lock::<UserHandle>() {
        let known = evaluation.user(user.0);
        return known.map_or_else(|| user.0.to_string(), |user| user.email.to_string());
    }
    if let Some(task) = value.read_lock::<TaskHandle>()
        && let Ok(task) = evaluation.task(*task)
    {
        return format!("the task \"{}\"", task.title);
    }
    let text = match to_json(evaluation, value) {
        Ok(json) => json.to_string(),
        Err(_) => kind_of(value).to_owned(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// JSON as a value of a script. Times in it stay texts; `timestamp(…)` reads them.
pub(super) fn from_json(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().map_or(Dynamic::UNIT, Dynamic::from_float),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Dynamic::from_array(items.iter().map(from_json).collect()),
        Value::Object(object) => map_from_json(object),
    }
}

pub(crate) fn map_from_json(object: &serde_json::Map<String, Value>) -> Dynamic {
    let map: Map = object
        .iter()
        .map(|(key, value)| (key.as_str().into(), from_json(value)))
        .collect();
    Dynamic::from_map(map)
}
