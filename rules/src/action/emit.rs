//! `emit(type, data)`.

use super::{Action, text};
use crate::evaluation::{self, Host};
use crate::world::to_json;
use rhai::{Dynamic, Engine};
use smarttasks_model::EventType;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("emit", emit);
    engine.register_fn("emit", |kind: Dynamic| emit(kind, Dynamic::UNIT));
}

fn emit(kind: Dynamic, data: Dynamic) -> Host<()> {
    let name = text("emit", "type", &kind)?;
    let kind = EventType::custom(&name).map_err(|error| format!("emit(\"{name}\"): {error}"))?;
    evaluation::with(|e| {
        let data = to_json(e, &data)?;
        e.act(Action::Emit { kind, data })
    })
}
