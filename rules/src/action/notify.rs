//! `notify(user, title, text)`.

use super::email::{member, one_line};
use super::{Action, text};
use crate::evaluation::{self, Evaluation, Host};
use crate::words::Words;
use crate::world::{kind_of, user_of};
use rhai::{Dynamic, NativeCallContext};
use smarttasks_model::{NotifyBy, Recipient};

pub(super) fn define(words: &mut Words) {
    words
        .action(
            "notify(user: User | text | (), title: text, text: text)",
            "Tells one member by the channel that they prefer, which they choose in their profile: by mail, or not at all. Whoever wants none, or is absent, is recorded as suppressed.",
            r#"notify(task.owner, "A task is late", `${task.title} was due ${task.due_at}.`);"#,
        )
        .is(
            words,
            |context: NativeCallContext, user: Dynamic, title: Dynamic, text: Dynamic| {
                notify(&context, &user, &title, &text)
            },
        );
}

fn notify(
    context: &NativeCallContext,
    user: &Dynamic,
    title: &Dynamic,
    body: &Dynamic,
) -> Host<()> {
    evaluation::with(|e| {
        let title = one_line("notify", "title", &text("notify", "title", title)?)?;
        let text = text("notify", "text", body)?;
        let (to, suppressed) = match reachable(e, user)? {
            Ok(recipient) => (vec![recipient], None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let action = Action::Notify {
            to,
            title,
            text,
            suppressed,
        };
        e.act(action, context.call_position())
    })
}

/// Where the user wants to be told, or why they are not.
fn reachable(evaluation: &Evaluation, user: &Dynamic) -> Host<Result<Recipient, String>> {
    if user.is_array() {
        return Err(format!("notify: `user` is one user, not {}", kind_of(user)).into());
    }
    let id = user_of(evaluation, user).map_err(|error| format!("notify: {error}"))?;
    let Some(id) = id else {
        return Ok(Err("the recipient is absent".to_owned()));
    };
    let turned_off = |by| by == NotifyBy::Off;
    if evaluation
        .user(id)
        .map(|user| user.notify_by)
        .is_some_and(turned_off)
    {
        return Ok(Err("the recipient has turned notifications off".to_owned()));
    }
    Ok(member(evaluation, id))
}
