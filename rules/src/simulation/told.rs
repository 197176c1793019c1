//! A simulated run as it is told: what would happen when.

use crate::{Action, ScriptError, Wait};
use serde::Serialize;
use serde_json::{Map, Value, json};
use smarttasks_model::{Span, Task, Timestamp, User, UserId};
use std::collections::HashMap;

/// What a run would do, in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timeline {
    /// How it would end: `succeeded`, `failed`, `diverged`, `cancelled`; or `suspended`, where it
    /// would still wait.
    pub status: &'static str,
    /// Whether it would do anything, or wait.
    pub matched: bool,
    /// What would happen when.
    pub timeline: Vec<Moment>,
    /// What the script would log.
    pub log: Vec<String>,
    /// Why it would fail.
    pub error: Option<ScriptError>,
    /// Why it goes no further, of one that would still wait.
    pub note: Option<String>,
    /// When it would end, or begin the wait in which it stays.
    pub ended_at: Timestamp,
    /// What the rule would keep from then on, where it would change it.
    pub state: Option<Map<String, Value>>,
}

impl Timeline {
    /// In which nothing has happened yet.
    pub(super) fn begun(at: Timestamp) -> Self {
        Self {
            status: "succeeded",
            matched: false,
            timeline: Vec::new(),
            log: Vec::new(),
            error: None,
            note: None,
            ended_at: at,
            state: None,
        }
    }
}

/// Something that would happen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// So long after the start.
    pub after: Span,
    /// The call: an action, or one that waits.
    pub action: &'static str,
    /// In words.
    pub summary: String,
    /// With what, and of a wait, how it ended.
    pub detail: Value,
    /// The action itself, where it is one.
    #[serde(skip)]
    pub done: Option<Action>,
}

/// Names for what is told.
pub(super) struct Names<'a> {
    pub(super) users: &'a HashMap<UserId, User>,
    pub(super) task: Option<&'a Task>,
}

impl Names<'_> {
    fn user(&self, id: UserId) -> String {
        let known = self.users.get(&id);
        known.map_or_else(|| id.to_string(), |user| user.email.to_string())
    }

    /// What an action does, in words.
    pub(super) fn action(&self, action: &Action, suppressed: Option<&str>) -> String {
        let done = match action {
            Action::Email { to, subject, .. } => format!("e-mail to {}: {subject}", list(to)),
            Action::Notify { to, title, .. } => format!("tells {}: {title}", list(to)),
            Action::Webhook { endpoint, .. } => format!("webhook to {endpoint}"),
            Action::UpdateTask { changes, .. } => {
                format!("{}: {}", self.title(), self.changes(&json!(changes)))
            }
            Action::AssignTask { user_id, .. } => match user_id {
                Some(user) => format!("{}: given to {}", self.title(), self.user(*user)),
                None => format!("{}: given to nobody", self.title()),
            },
            Action::CommentTask { text, .. } => format!("{}: remark \"{text}\"", self.title()),
            Action::TagTask { tag, .. } => format!("{}: label {tag}", self.title()),
            Action::UntagTask { tag, .. } => format!("{}: without the label {tag}", self.title()),
            Action::CreateTask { task, .. } => format!("new task: {}", task.title),
            Action::Emit { kind, .. } => format!("event {kind}"),
        };
        match suppressed {
            Some(reason) => format!("{done} (not done: {reason})"),
            None => done,
        }
    }

    fn title(&self) -> &str {
        self.task.map_or("task", |task| task.title.as_str())
    }

    fn changes(&self, changes: &Value) -> String {
        let changes = changes.as_object().into_iter().flatten();
        let changes: Vec<String> = changes
            .map(|(name, value)| format!("{name} {}", plain(value)))
            .collect();
        changes.join(", ")
    }

    /// What is waited for, in words.
    pub(super) fn wait(&self, wait: &Wait) -> String {
        match wait {
            Wait::Until { at } => format!("waits until {at}"),
            Wait::Event { pattern, until } => {
                format!("waits for {} until {until}", pattern.as_str())
            }
            Wait::Http { request, .. } => format!("asks {} {}", request.method, request.url),
            Wait::Approval { user, question, .. } => {
                format!("asks {}: {question}", self.user(*user))
            }
        }
    }

    /// What is waited for, with its values.
    pub(super) fn wait_detail(&self, wait: &Wait) -> Map<String, Value> {
        let detail = match wait {
            Wait::Until { at } => json!({ "until": at }),
            Wait::Event { pattern, until } => json!({ "pattern": pattern, "until": until }),
            Wait::Http { request, until } => {
                json!({ "method": request.method, "url": request.url, "body": request.body, "until": until })
            }
            Wait::Approval {
                user,
                question,
                until,
            } => json!({ "user": self.user(*user), "question": question, "until": until }),
        };
        match detail {
            Value::Object(detail) => detail,
            _ => Map::new(),
        }
    }
}

/// The call that waits. `sleep_until` is told as `sleep`: they are the same wait.
pub(super) fn name(wait: &Wait) -> &'static str {
    match wait {
        Wait::Until { .. } => "sleep",
        Wait::Event { .. } => "wait_for",
        Wait::Http { .. } => "http",
        Wait::Approval { .. } => "approve",
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn list(to: &[smarttasks_model::Recipient]) -> String {
    if to.is_empty() {
        return "nobody".to_owned();
    }
    let all: Vec<&str> = to.iter().map(|to| to.email.as_str()).collect();
    all.join(", ")
}
