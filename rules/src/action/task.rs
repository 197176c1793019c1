//! `task.update(#{…})`, `task.assign(user)`, `task.comment(text)`, `task.tag(t)`, `task.untag(t)`.

use super::{Action, refused, text};
use crate::evaluation::{self, Evaluation, Host};
use crate::nearest::did_you_mean;
use crate::words::Words;
use crate::world::{TaskHandle, to_json, user_of};
use rhai::{Dynamic, Map, NativeCallContext};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use smarttasks_model::{Task, TaskChanges, text_within};

/// What a script may set.
pub(crate) const SETTABLE: &[&str] = &[
    "title",
    "description",
    "project",
    "status",
    "priority",
    "assignee",
    "assignee_id",
    "tags",
    "due_at",
    "fields",
    "parent_id",
];

/// Longest comment, in characters.
const LONGEST_COMMENT: usize = 20_000;

pub(super) fn define(words: &mut Words) {
    words
        .action(
            "Task.update(changes: map)",
            "Changes fields of the task: `title`, `description`, `project`, `status`, `priority`, `assignee` (a user, an address, or `()`), `tags`, `due_at`, `fields` (merged; `()` removes one), `parent_id`. What is left out stays. The changes are merged onto the task as it is when the run ends. A field that is wrong or unknown is an error.",
            r#"task.update(#{ priority: URGENT, due_at: now() + days(1) });
log(task.priority); // urgent"#,
        )
        .is(words, update);
    words
        .action(
            "Task.assign(user: User | text | ())",
            "Gives the task to a member, by user, address or id; `()` to nobody. Somebody who is no member is an error.",
            r#"if task.assignee == () { task.assign(task.creator); }
task.assign("ann@example.com");"#,
        )
        .is(words, assign);
    words
        .action(
            "Task.comment(text: text)",
            "Adds a remark to the task, of at most 20,000 characters.",
            r#"task.comment(`Nothing has happened for ${task.time_in_status}.`);"#,
        )
        .is(words, comment);
    words
        .action(
            "Task.tag(tag: text)",
            "Adds a label, unless the task has it.",
            r#"task.tag("late");
log(task.tags); // ["late", "tls"]"#,
        )
        .is(words, tag);
    words
        .action(
            "Task.untag(tag: text)",
            "Takes a label away, if the task has it.",
            r#"task.untag("tls");
log(task.tags); // []"#,
        )
        .is(words, untag);
}

fn update(context: NativeCallContext, task: TaskHandle, changes: Map) -> Host<()> {
    evaluation::with(|e| {
        let before = e.task_to_change(task, "task.update")?;
        let changes: TaskChanges = fields(e, "task.update", changes)?;
        let changes = changes
            .checked()
            .map_err(|wrong| refused("task.update", &wrong))?;
        changes
            .fits(before)
            .map_err(|wrong| refused("task.update", &[wrong]))?;
        let task_id = before.id;
        let action = Action::UpdateTask { task_id, changes };
        e.act(action, context.call_position())
    })
}

fn assign(context: NativeCallContext, task: TaskHandle, user: Dynamic) -> Host<()> {
    evaluation::with(|e| {
        let task_id = e.task_to_change(task, "task.assign")?.id;
        let user_id = user_of(e, &user).map_err(|error| format!("task.assign: {error}"))?;
        let action = Action::AssignTask { task_id, user_id };
        e.act(action, context.call_position())
    })
}

fn comment(context: NativeCallContext, task: TaskHandle, words: Dynamic) -> Host<()> {
    evaluation::with(|e| {
        let task_id = e.task_to_change(task, "task.comment")?.id;
        let words = text("task.comment", "text", &words)?;
        let text = text_within("/text", &words, 1, LONGEST_COMMENT, &['\n', '\r', '\t'])
            .map_err(|wrong| refused("task.comment", &[wrong]))?;
        let action = Action::CommentTask { task_id, text };
        e.act(action, context.call_position())
    })
}

fn tag(context: NativeCallContext, task: TaskHandle, label: Dynamic) -> Host<()> {
    evaluation::with(|e| {
        let before = e.task_to_change(task, "task.tag")?;
        let (task_id, label) = (before.id, text("task.tag", "tag", &label)?);
        let label = label.trim().to_owned();
        with_tag(before, &label)
            .checked()
            .map_err(|wrong| refused("task.tag", &wrong))?;
        let action = Action::TagTask {
            task_id,
            tag: label,
        };
        e.act(action, context.call_position())
    })
}

fn untag(context: NativeCallContext, task: TaskHandle, label: Dynamic) -> Host<()> {
    evaluation::with(|e| {
        let task_id = e.task_to_change(task, "task.untag")?.id;
        let tag = text("task.untag", "tag", &label)?.trim().to_owned();
        let action = Action::UntagTask { task_id, tag };
        e.act(action, context.call_position())
    })
}

pub(super) fn with_tag(task: &Task, tag: &str) -> TaskChanges {
    let mut tags = task.tags.clone();
    if !tags.iter().any(|present| present == tag) {
        tags.push(tag.to_owned());
        tags.sort();
    }
    TaskChanges {
        tags: Some(tags),
        ..TaskChanges::default()
    }
}

pub(super) fn without_tag(task: &Task, tag: &str) -> TaskChanges {
    let tags = task.tags.iter().filter(|present| *present != tag);
    TaskChanges {
        tags: Some(tags.cloned().collect()),
        ..TaskChanges::default()
    }
}

/// The fields that a script's map sets, as the model's type; an error names the field.
pub(super) fn fields<T: DeserializeOwned>(
    evaluation: &Evaluation,
    call: &str,
    map: Map,
) -> Host<T> {
    let mut object = serde_json::Map::new();
    for (key, value) in map {
        let name = key.as_str();
        if !SETTABLE.contains(&name) {
            let hint = did_you_mean(name, SETTABLE.iter().copied())
                .unwrap_or_else(|| format!("it takes {}", SETTABLE.join(", ")));
            return Err(format!("{call}: there is no field `{name}` to set; {hint}").into());
        }
        if name == "assignee" {
            let id = user_of(evaluation, &value)
                .map_err(|error| format!("{call}: `assignee`: {error}"))?;
            object.insert("assignee_id".to_owned(), json!(id));
        } else {
            object.insert(name.to_owned(), to_json(evaluation, &value)?);
        }
    }
    match serde_json::from_value(Value::Object(object.clone())) {
        Ok(fields) => Ok(fields),
        Err(error) => Err(culprit(call, &object, &error.to_string()).into()),
    }
}

/// Serde says what was wrong but not where: the field that alone is wrong too is the one.
fn culprit(call: &str, object: &serde_json::Map<String, Value>, said: &str) -> String {
    for (name, value) in object {
        let alone = json!({ name: value });
        if let Err(error) = serde_json::from_value::<TaskChanges>(alone) {
            return format!("{call}: `{name}`: {error}");
        }
    }
    format!("{call}: {said}")
}
