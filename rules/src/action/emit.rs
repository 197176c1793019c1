//! `emit(type, data)`.

use super::{Action, text};
use crate::evaluation::{self, Host};
use crate::words::Words;
use crate::world::to_json;
use rhai::{Dynamic, NativeCallContext};
use smarttasks_model::EventType;

pub(super) fn define(words: &mut Words) {
    words
        .action(
            "emit(type: text, data?: any)",
            "Raises a custom event, which other rules and endpoints may listen to: two to eight words with dots between them, such as \"build.failed\". The system's own types are refused.",
            r#"emit("review.wanted", #{ task: task.id, by: task.owner });"#,
        )
        .is(words, emit)
        .is(words, |context: NativeCallContext, kind: Dynamic| {
            emit(context, kind, Dynamic::UNIT)
        });
}

fn emit(context: NativeCallContext, kind: Dynamic, data: Dynamic) -> Host<()> {
    let name = text("emit", "type", &kind)?;
    let kind = EventType::custom(&name).map_err(|error| format!("emit(\"{name}\"): {error}"))?;
    evaluation::with(|e| {
        let data = to_json(e, &data)?;
        e.act(Action::Emit { kind, data }, context.call_position())
    })
}
