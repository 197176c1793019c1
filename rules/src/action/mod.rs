//! What a script may ask for: one file per kind.
//!
//! An action is data. Nothing happens here; whoever evaluated the script does what it asked, all
//! of it in one transaction.

mod create_task;
mod email;
mod emit;
mod log;
mod notify;
mod task;
mod webhook;

pub(crate) use email::KEYS as EMAIL_KEYS;
pub(crate) use task::SETTABLE;

use crate::evaluation::Host;
use crate::words::Words;
use crate::world::kind_of;
use rhai::Dynamic;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use smarttasks_model::{EventType, Invalid, NewTask, Recipient, Task, TaskChanges, TaskId, UserId};

/// One thing that a script asks for.
///
/// The journals of runs that wait tell one from another by its JSON, which must therefore stay as
/// it is from one version of SmartTasks to the next.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// A mail to each recipient.
    Email {
        /// Each mailbox once; empty when suppressed.
        to: Vec<Recipient>,
        /// One line.
        subject: String,
        /// The plain text.
        text: String,
        /// The HTML alternative.
        html: Option<String>,
        /// Why it goes to nobody; such a mail is recorded, not sent.
        suppressed: Option<String>,
    },
    /// Tells one user by the channel that they prefer, which is mail.
    Notify {
        /// Whom; empty when suppressed.
        to: Vec<Recipient>,
        /// One line.
        title: String,
        /// The plain text.
        text: String,
        /// Why it goes to nobody; such a notification is recorded, not sent.
        suppressed: Option<String>,
    },
    /// A signed POST.
    Webhook {
        /// The name of a registered endpoint, or a URL.
        endpoint: String,
        /// The `data` of what is posted.
        payload: Value,
    },
    /// Changes fields of a task.
    UpdateTask {
        /// The task.
        task_id: TaskId,
        /// Checked.
        changes: TaskChanges,
    },
    /// Gives a task to somebody, or to nobody.
    AssignTask {
        /// The task.
        task_id: TaskId,
        /// Who is to do it.
        user_id: Option<UserId>,
    },
    /// Adds a remark to a task.
    CommentTask {
        /// The task.
        task_id: TaskId,
        /// The remark.
        text: String,
    },
    /// Adds a label to a task.
    TagTask {
        /// The task.
        task_id: TaskId,
        /// The label.
        tag: String,
    },
    /// Takes a label from a task.
    UntagTask {
        /// The task.
        task_id: TaskId,
        /// The label.
        tag: String,
    },
    /// Makes a task.
    CreateTask {
        /// Its id, which follows from the run.
        id: TaskId,
        /// Its creator: whoever answers for the rule.
        creator_id: UserId,
        /// Checked.
        task: NewTask,
    },
    /// Raises a custom event.
    Emit {
        /// Its type; never one of the system's.
        kind: EventType,
        /// What it carries.
        data: Value,
    },
}

impl Action {
    /// What a script calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Email { .. } => "email",
            Self::Notify { .. } => "notify",
            Self::Webhook { .. } => "webhook",
            Self::UpdateTask { .. } => "task.update",
            Self::AssignTask { .. } => "task.assign",
            Self::CommentTask { .. } => "task.comment",
            Self::TagTask { .. } => "task.tag",
            Self::UntagTask { .. } => "task.untag",
            Self::CreateTask { .. } => "create_task",
            Self::Emit { .. } => "emit",
        }
    }

    /// What it asks for, for the record of the run. Bodies of mails and payloads are left out:
    /// they stand in the delivery log.
    pub fn detail(&self) -> Value {
        match self {
            Self::Email {
                to,
                subject: title,
                suppressed,
                ..
            }
            | Self::Notify {
                to,
                title,
                suppressed,
                ..
            } => {
                let subject = if matches!(self, Self::Notify { .. }) {
                    "title"
                } else {
                    "subject"
                };
                let to: Vec<&str> = to.iter().map(|to| to.email.as_str()).collect();
                match suppressed {
                    Some(reason) => json!({ "to": to, subject: title, "suppressed": reason }),
                    None => json!({ "to": to, subject: title }),
                }
            }
            Self::Webhook { endpoint, .. } => json!({ "endpoint": endpoint }),
            Self::UpdateTask { task_id, changes } => {
                json!({ "task_id": task_id, "changes": changes })
            }
            Self::AssignTask { task_id, user_id } => {
                json!({ "task_id": task_id, "user_id": user_id })
            }
            Self::CommentTask { task_id, text } => json!({ "task_id": task_id, "text": text }),
            Self::TagTask { task_id, tag } | Self::UntagTask { task_id, tag } => {
                json!({ "task_id": task_id, "tag": tag })
            }
            Self::CreateTask { id, task, .. } => json!({ "task_id": id, "title": task.title }),
            Self::Emit { kind, .. } => json!({ "type": kind }),
        }
    }

    /// The same with the bodies and payloads, for whoever tries a rule.
    pub fn whole(&self) -> Value {
        let mut whole = match self.detail() {
            Value::Object(detail) => detail,
            _ => Map::new(),
        };
        match self {
            Self::Email { text, html, .. } => {
                whole.insert("text".to_owned(), json!(text));
                if let Some(html) = html {
                    whole.insert("html".to_owned(), json!(html));
                }
            }
            Self::Notify { text, .. } => {
                whole.insert("text".to_owned(), json!(text));
            }
            Self::Webhook { payload, .. } => {
                whole.insert("payload".to_owned(), payload.clone());
            }
            Self::Emit { data, .. } => {
                whole.insert("data".to_owned(), data.clone());
            }
            Self::CreateTask { task, .. } => {
                if let Value::Object(fields) = json!(task) {
                    whole.extend(fields);
                }
            }
            Self::AssignTask { .. }
            | Self::UpdateTask { .. }
            | Self::CommentTask { .. }
            | Self::TagTask { .. }
            | Self::UntagTask { .. } => {}
        }
        Value::Object(whole)
    }

    /// About how many bytes it makes others keep: a mail is kept for each recipient.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Email {
                to,
                subject,
                text,
                html,
                ..
            } => {
                let html = html.as_ref().map_or(0, String::len);
                (subject.len() + text.len() + html) * to.len().max(1)
            }
            Self::Notify { title, text, .. } => title.len() + text.len(),
            Self::Webhook { payload: value, .. } | Self::Emit { data: value, .. } => size(value),
            Self::CommentTask { text, .. } => text.len(),
            Self::CreateTask { task, .. } => task.title.len() + task.description.len(),
            Self::UpdateTask { .. }
            | Self::AssignTask { .. }
            | Self::TagTask { .. }
            | Self::UntagTask { .. } => 0,
        }
    }

    /// The task that it acts upon.
    pub fn task_id(&self) -> Option<TaskId> {
        match self {
            Self::UpdateTask { task_id, .. }
            | Self::AssignTask { task_id, .. }
            | Self::CommentTask { task_id, .. }
            | Self::TagTask { task_id, .. }
            | Self::UntagTask { task_id, .. } => Some(*task_id),
            Self::CreateTask { id, .. } => Some(*id),
            Self::Email { .. } | Self::Notify { .. } | Self::Webhook { .. } | Self::Emit { .. } => {
                None
            }
        }
    }

    /// What it changes in `task`, as that is now: a label is added to the labels that the task
    /// has when the action is done, not to those that the script saw.
    pub fn changes_for(&self, task: &Task) -> Option<TaskChanges> {
        match self {
            Self::UpdateTask { changes, .. } => Some(changes.clone()),
            Self::AssignTask { user_id, .. } => Some(TaskChanges {
                assignee_id: Some(*user_id),
                ..TaskChanges::default()
            }),
            Self::TagTask { tag, .. } => Some(task::with_tag(task, tag)),
            Self::UntagTask { tag, .. } => Some(task::without_tag(task, tag)),
            Self::CommentTask { .. }
            | Self::CreateTask { .. }
            | Self::Email { .. }
            | Self::Notify { .. }
            | Self::Webhook { .. }
            | Self::Emit { .. } => None,
        }
    }
}

/// About as long as the JSON of `value`.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(size).sum::<usize>() + 2,
        Value::Object(entries) => {
            entries
                .iter()
                .map(|(key, value)| key.len() + 4 + size(value))
                .sum::<usize>()
                + 2
        }
    }
}

/// The calls that are actions, with the names that the record of a run gives them.
pub(crate) const CALLS: &[(&str, &str)] = &[
    ("email", "email"),
    ("notify", "notify"),
    ("webhook", "webhook"),
    ("create_task", "create_task"),
    ("emit", "emit"),
    ("update", "task.update"),
    ("assign", "task.assign"),
    ("comment", "task.comment"),
    ("tag", "task.tag"),
    ("untag", "task.untag"),
];

/// Teaches an engine every action.
pub(crate) fn define(words: &mut Words) {
    words.topic("Actions");
    email::define(words);
    notify::define(words);
    webhook::define(words);
    task::define(words);
    create_task::define(words);
    emit::define(words);
    log::define(words);
}

pub(crate) use log::listen;

/// The text that an argument must be. Numbers, times and the like are not quietly written out:
/// a template literal says that this is meant.
pub(crate) fn text(call: &str, argument: &str, value: &Dynamic) -> Host<String> {
    match value.as_immutable_string_ref() {
        Ok(text) => Ok(text.to_string()),
        Err(_) => Err(format!(
            "{call}: `{argument}` must be a text, not {}",
            kind_of(value)
        )
        .into()),
    }
}

/// What the model's checks found, as one sentence of the call.
pub(crate) fn refused(call: &str, wrong: &[Invalid]) -> String {
    let all: Vec<String> = wrong
        .iter()
        .map(|invalid| {
            format!(
                "`{}` {}",
                invalid.pointer.trim_start_matches('/'),
                invalid.detail
            )
        })
        .collect();
    format!("{call}: {}", all.join("; "))
}
