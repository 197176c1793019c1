//! Users, as scripts hold them.

use super::{fields, kind_of, optional, unknown_field};
use crate::evaluation::{self, Evaluation, Host};
use crate::words::Words;
use rhai::{Dynamic, ImmutableString};
use smarttasks_model::{User, UserId};

/// A user by id; the rest is looked up among the workspace's members. Of somebody who left, the
/// id is all that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct UserHandle(pub(crate) UserId);

fields! { FIELDS of UserHandle as "User":
    id: "text", "The id.",
        "log(task.owner.id == task.assignee_id); // true"
        => |user, _e| Dynamic::from(user.0.to_string());
    name: "text | ()", "What they are called. `()` of somebody who has left the workspace.",
        "log(task.owner.name); // Bob"
        => |user, e| optional(e.user(user.0).map(|user| user.name.as_str()));
    email: "text | ()", "Where their mail goes. `()` of somebody who has left the workspace.",
        "log(task.owner.email); // bob@example.com"
        => |user, e| optional(e.user(user.0).map(|user| user.email.as_str()));
    timezone: "text | ()", "The IANA name of the zone in which they live. `()` of somebody who has left the workspace.",
        "log(now().in_zone(task.owner.timezone).hour); // 8"
        => |user, e| e.user(user.0)
            .map_or(Dynamic::UNIT, |user| Dynamic::from(user.timezone.to_string()));
}

pub(super) fn define(words: &mut Words) {
    words.topic("Users");
    define_fields(words);
    words.other_fields::<UserHandle>(|name| unknown_field("user", name, FIELDS));
    words.written::<UserHandle>(name);
}

fn name(user: UserHandle) -> Host<ImmutableString> {
    evaluation::with(|e| {
        Ok(e.user(user.0).map_or_else(
            || user.0.to_string().into(),
            |user| user.name.as_str().into(),
        ))
    })
}

pub(super) fn user(id: UserId) -> Dynamic {
    Dynamic::from(UserHandle(id))
}

/// The member with this address or id.
pub(crate) fn find_user<'a>(evaluation: &'a Evaluation, text: &str) -> Option<&'a User> {
    let by_id = text
        .parse::<UserId>()
        .ok()
        .and_then(|id| evaluation.user(id));
    by_id.or_else(|| evaluation.user_at(text))
}

/// Whom a value names: a user, the address or id of a member, or nobody.
///
/// # Errors
/// What is wrong with it, for the message of the call.
pub(crate) fn user_of(evaluation: &Evaluation, value: &Dynamic) -> Result<Option<UserId>, String> {
    if value.is_unit() {
        return Ok(None);
    }
    if let Some(user) = value.read_lock::<UserHandle>() {
        return Ok(Some(user.0));
    }
    let Ok(text) = value.as_immutable_string_ref() else {
        return Err(format!("expected a user, not {}", kind_of(value)));
    };
    match find_user(evaluation, &text) {
        Some(user) => Ok(Some(user.id)),
        None => Err(format!("no member of the workspace is `{}`", *text)),
    }
}
