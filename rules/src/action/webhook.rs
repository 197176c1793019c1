//! `webhook(endpoint, payload)`.

use super::{Action, refused, text};
use crate::evaluation::{self, Host};
use crate::words::Words;
use crate::world::to_json;
use rhai::{Dynamic, NativeCallContext};
use smarttasks_model::text_within;

/// Longest name or URL, in characters.
const LONGEST_ENDPOINT: usize = 2_000;

pub(super) fn define(words: &mut Words) {
    words
        .action(
            "webhook(endpoint: text, payload: any)",
            "A signed POST of `{ type: \"rule.webhook\", timestamp, data: payload }` to a registered endpoint, by its name, or to a URL. In the payload a priority is its text, a time RFC 3339, a duration whole seconds, a task as in the API, `()` null.",
            r#"webhook("ops", #{ task: task, late_by: now() - task.due_at });"#,
        )
        .is(words, webhook);
}

fn webhook(context: NativeCallContext, endpoint: Dynamic, payload: Dynamic) -> Host<()> {
    let endpoint = text("webhook", "endpoint", &endpoint)?;
    let endpoint = text_within("/endpoint", &endpoint, 1, LONGEST_ENDPOINT, &[])
        .map_err(|wrong| refused("webhook", &[wrong]))?;
    evaluation::with(|e| {
        let payload = to_json(e, &payload)?;
        let action = Action::Webhook { endpoint, payload };
        e.act(action, context.call_position())
    })
}
