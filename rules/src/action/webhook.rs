//! `webhook(endpoint, payload)`.

use super::{Action, refused, text};
use crate::evaluation::{self, Host};
use crate::world::to_json;
use rhai::{Dynamic, Engine};
use smarttasks_model::text_within;

/// Longest name or URL, in characters.
const LONGEST_ENDPOINT: usize = 2_000;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("webhook", webhook);
}

fn webhook(endpoint: Dynamic, payload: Dynamic) -> Host<()> {
    let endpoint = text("webhook", "endpoint", &endpoint)?;
    let endpoint = text_within("/endpoint", &endpoint, 1, LONGEST_ENDPOINT, &[])
        .map_err(|wrong| refused("webhook", &[wrong]))?;
    evaluation::with(|e| {
        let payload = to_json(e, &payload)?;
        e.act(Action::Webhook { endpoint, payload })
    })
}
