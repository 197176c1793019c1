//! `email(to, subject, text)` and `email(#{ to, subject, text, html })`.

use super::{Action, refused, text};
use crate::evaluation::{self, Evaluation, Host};
use crate::nearest::did_you_mean;
use crate::words::Words;
use crate::world::{UserHandle, find_user, kind_of};
use rhai::{Dynamic, Map, NativeCallContext};
use smarttasks_model::{Email, Recipient, UserId, text_within};

/// What `email(#{…})` takes.
pub(crate) const KEYS: &[&str] = &["to", "subject", "text", "html"];

/// Longest subject, in characters: a title of 500 and what a rule says about it.
const LONGEST_SUBJECT: usize = 1_000;

pub(super) fn define(words: &mut Words) {
    words
        .action(
            "email(to: User | text | list | (), subject: text, text: text)",
            "A mail to each: a user, an address, or a list of both; at most 100, each mailbox once. Line breaks in the subject become spaces. A mail to nobody, as to an absent assignee, is recorded as suppressed and does not fail the run.",
            r#"email([task.owner, "ops@example.com"], `Late: ${task.title}`, `Due ${task.due_at}.`);"#,
        )
        .is(
            words,
            |context: NativeCallContext, to: Dynamic, subject: Dynamic, body: Dynamic| {
                email(&context, &to, &subject, &body, &Dynamic::UNIT)
            },
        );
    words
        .action(
            "email(mail: map)",
            "The same with `to`, `subject`, `text` and `html`, of which `html` may be left out.",
            r#"email(#{ to: task.owner, subject: task.title, text: "Late.", html: "<b>Late.</b>" });"#,
        )
        .is(words, |context: NativeCallContext, mail: Map| {
            email_of(&context, &mail)
        });
}

fn email_of(context: &NativeCallContext, mail: &Map) -> Host<()> {
    for key in mail.keys() {
        if !KEYS.contains(&key.as_str()) {
            let near = did_you_mean(key, KEYS.iter().copied())
                .unwrap_or_else(|| "it takes to, subject, text and html".to_owned());
            return Err(format!("email: there is no `{key}`; {near}").into());
        }
    }
    let part = |key| mail.get(key).cloned().unwrap_or(Dynamic::UNIT);
    email(
        context,
        &part("to"),
        &part("subject"),
        &part("text"),
        &part("html"),
    )
}

fn email(
    context: &NativeCallContext,
    to: &Dynamic,
    subject: &Dynamic,
    body: &Dynamic,
    html: &Dynamic,
) -> Host<()> {
    evaluation::with(|e| {
        let subject = one_line("email", "subject", &text("email", "subject", subject)?)?;
        let text_body = text("email", "text", body)?;
        let html = match html.is_unit() {
            true => None,
            false => Some(text("email", "html", html)?),
        };
        let (to, suppressed) = recipients(e, to)?;
        let action = Action::Email {
            to,
            subject,
            text: text_body,
            html,
            suppressed,
        };
        e.act(action, context.call_position())
    })
}

/// A header holds one line: what would break it becomes a space.
pub(super) fn one_line(call: &str, argument: &str, line: &str) -> Host<String> {
    let spaced: String = line
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    text_within(argument, &spaced, 1, LONGEST_SUBJECT, &[])
        .map_err(|wrong| refused(call, &[wrong]).into())
}

/// Each mailbox once, and why there is none.
fn recipients(evaluation: &Evaluation, to: &Dynamic) -> Host<(Vec<Recipient>, Option<String>)> {
    let mut found: Vec<Recipient> = Vec::new();
    let mut reason = "there is no recipient".to_owned();
    let mut add = |value: &Dynamic| -> Host<()> {
        match recipient(evaluation, value)? {
            Ok(recipient) => {
                let key = recipient.email.key();
                if found.iter().all(|other| other.email.key() != key) {
                    found.push(recipient);
                }
            }
            Err(absent) => reason = absent,
        }
        if found.len() > evaluation.limits.recipients {
            let most = evaluation.limits.recipients;
            return Err(format!("email: at most {most} recipients are allowed").into());
        }
        Ok(())
    };
    match to.as_array_ref() {
        Ok(list) => list.iter().try_for_each(&mut add)?,
        Err(_) => add(to)?,
    }
    let suppressed = found.is_empty().then_some(reason);
    Ok((found, suppressed))
}

/// One recipient, or why there is none.
fn recipient(evaluation: &Evaluation, value: &Dynamic) -> Host<Result<Recipient, String>> {
    if value.is_unit() {
        return Ok(Err("the recipient is absent".to_owned()));
    }
    if let Some(user) = value.read_lock::<UserHandle>() {
        return Ok(member(evaluation, user.0));
    }
    let Ok(address) = value.as_immutable_string_ref() else {
        return Err(format!(
            "email: `to` must be a user, an address, or a list of them, not {}",
            kind_of(value)
        )
        .into());
    };
    if let Some(user) = find_user(evaluation, &address) {
        return Ok(member(evaluation, user.id));
    }
    let email: Email = address
        .parse()
        .map_err(|error| format!("email: `{}` is {error}", *address))?;
    Ok(Ok(Recipient {
        email,
        name: None,
        user_id: None,
    }))
}

pub(super) fn member(evaluation: &Evaluation, id: UserId) -> Result<Recipient, String> {
    let user = evaluation
        .user(id)
        .ok_or("the recipient is no longer a member of the workspace")?;
    Ok(Recipient {
        email: user.email.clone(),
        name: Some(user.name.clone()),
        user_id: Some(id),
    })
}
