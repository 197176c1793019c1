//! `approve(user, question, timeout)`.

use super::timeout;
use crate::Wait;
use crate::action::{refused, text};
use crate::evaluation::{self, Evaluation, Host};
use crate::words::Words;
use crate::world::user_of;
use rhai::{Dynamic, NativeCallContext};
use serde_json::{Value, json};
use smarttasks_model::{UserId, text_within};

/// Longest question, in characters.
const LONGEST_QUESTION: usize = 1_000;

pub(super) fn define(words: &mut Words) {
    words
        .function(
            "approve(user: User | text, question: text, timeout: Duration) -> bool | ()",
            "Asks a member, who answers through a link in a mail or in SmartTasks, and waits: `true` when they approve, `false` when they refuse, `()` when they have not answered within the timeout, at most 366 days. The question has at most 1,000 characters. Since there are three answers, compare it, or use `switch`.",
            r#"let answer = approve(task.creator, `May "${task.title}" be closed?`, days(2));
if answer == true { task.update(#{ status: "done" }); }
log(answer); // true"#,
        )
        .is(words, approve);
}

fn approve(
    context: NativeCallContext,
    user: Dynamic,
    question: Dynamic,
    within: Dynamic,
) -> Host<Dynamic> {
    let question = text("approve", "question", &question)?;
    let question = text_within("/question", &question, 1, LONGEST_QUESTION, &['\n'])
        .map_err(|wrong| refused("approve", &[wrong]))?;
    evaluation::with(|e| {
        let user = member(e, &user)?;
        let timeout = timeout("approve", &within, e.limits.sleep)?;
        let asked = json!([user, question, timeout.millis()]);
        let wait = Wait::Approval {
            user,
            question,
            until: e.inputs.now + timeout,
        };
        e.wait("approve", wait, &asked, context.call_position())?;
        Ok(match e.woken().get("approved") {
            Some(Value::Bool(approved)) => Dynamic::from(*approved),
            _ => Dynamic::UNIT,
        })
    })
}

fn member(evaluation: &Evaluation, user: &Dynamic) -> Host<UserId> {
    let id = user_of(evaluation, user).map_err(|error| format!("approve: {error}"))?;
    let Some(id) = id else {
        return Err("approve: `user` is absent; test it first, or ask `task.owner`".into());
    };
    match evaluation.user(id) {
        Some(_) => Ok(id),
        None => Err("approve: the user is no longer a member of the workspace".into()),
    }
}
