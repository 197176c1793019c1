//! `wait_for(pattern, timeout)`.

use super::span;
use crate::Wait;
use crate::action::text;
use crate::evaluation::{self, Host};
use crate::words::Words;
use rhai::{Dynamic, NativeCallContext};
use serde_json::{Value, json};
use smarttasks_model::EventPattern;

pub(super) fn define(words: &mut Words) {
    words
        .function(
            "wait_for(pattern: text, timeout: Duration) -> Event | ()",
            "Waits for the first event of this type about the task of the run, or about any where it has none, and gives it; `()` when none has come within the timeout, at most 366 days. In a pattern `*` stands for one word, as in \"task.*\". Events count from the moment of the call.",
            r#"let done = wait_for("task.completed", days(3));
if done == () { email(task.owner, task.title, "Nothing for three days."); }
if done != () { log(`${done.type} by ${done.actor.name}`); } // task.completed by Bob"#,
        )
        .is(words, wait_for);
}

fn wait_for(context: NativeCallContext, pattern: Dynamic, timeout: Dynamic) -> Host<Dynamic> {
    let name = text("wait_for", "pattern", &pattern)?;
    let pattern: EventPattern = name
        .parse()
        .map_err(|error| format!("wait_for(\"{name}\"): {error}"))?;
    evaluation::with(|e| {
        let span = span("wait_for", "timeout", &timeout, e.limits.sleep)?;
        let until = e.inputs.now + span;
        let asked = json!([pattern, span.millis()]);
        let wait = Wait::Event { pattern, until };
        e.wait("wait_for", wait, &asked, context.call_position())?;
        Ok(match e.woken() {
            Value::Null => Dynamic::UNIT,
            _ => Dynamic::from(e.receive()),
        })
    })
}
