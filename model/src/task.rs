//! Tasks, and the changes that people and rules make to them.

use crate::{Invalid, TaskId, Timestamp, UserId, WorkspaceId, text_within};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

/// Where a task stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not begun.
    #[default]
    Todo,
    /// Being worked on.
    InProgress,
    /// Waiting for something.
    Blocked,
    /// Finished.
    Done,
    /// Given up.
    Cancelled,
}

/// How pressing a task is; ordered.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// When there is time.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before others.
    High,
    /// At once.
    Urgent,
}

/// Not one of the names of a fixed set.
#[derive(Debug, thiserror::Error)]
#[error("expected one of: {0}")]
pub struct UnknownName(&'static str);

macro_rules! named {
    ($type:ident, $list:literal, $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name, as in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(UnknownName($list)),
                }
            }
        }
    };
}

named!(
    Status,
    "todo, in_progress, blocked, done, cancelled",
    Todo = "todo",
    InProgress = "in_progress",
    Blocked = "blocked",
    Done = "done",
    Cancelled = "cancelled"
);
named!(
    Priority,
    "low, normal, high, urgent",
    Low = "low",
    Normal = "normal",
    High = "high",
    Urgent = "urgent"
);

impl Status {
    /// Whether work is still to be done.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Done | Self::Cancelled)
    }
}

/// The work item that a person sees, as the API shows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The workspace that it belongs to.
    pub workspace_id: WorkspaceId,
    /// A free grouping within the workspace.
    pub project: Option<String>,
    /// One line.
    pub title: String,
    /// Free text; empty when there is none.
    pub description: String,
    /// Where it stands.
    pub status: Status,
    /// How pressing it is.
    pub priority: Priority,
    /// Who made it.
    pub creator_id: UserId,
    /// Who is to do it.
    pub assignee_id: Option<UserId>,
    /// Labels, sorted, each once.
    pub tags: Vec<String>,
    /// The deadline.
    pub due_at: Option<Timestamp>,
    /// Custom fields.
    pub fields: Map<String, Value>,
    /// The task that this one is part of.
    pub parent_id: Option<TaskId>,
    /// Counts the writes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// When its status last changed.
    pub status_changed_at: Timestamp,
    /// When it was finished or given up; absent while open.
    pub completed_at: Option<Timestamp>,
}

impl Task {
    /// Who answers for it: the assignee, or else the creator.
    pub fn owner_id(&self) -> UserId {
        self.assignee_id.unwrap_or(self.creator_id)
    }
}

/// What is needed to make a task. The id comes from who makes it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// One line; required.
    pub title: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// A free grouping.
    #[serde(default)]
    pub project: Option<String>,
    /// Where it stands at first.
    #[serde(default)]
    pub status: Status,
    /// How pressing it is.
    #[serde(default)]
    pub priority: Priority,
    /// Who is to do it.
    #[serde(default)]
    pub assignee_id: Option<UserId>,
    /// Labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The deadline.
    #[serde(default)]
    pub due_at: Option<Timestamp>,
    /// Custom fields.
    #[serde(default)]
    pub fields: Map<String, Value>,
    /// The task that it is part of.
    #[serde(default)]
    pub parent_id: Option<TaskId>,
}

impl NewTask {
    /// Trims, sorts and checks every field; says all that is wrong at once.
    ///
    /// # Errors
    /// One [`Invalid`] for each field that cannot be taken.
    pub fn checked(self) -> Result<Self, Vec<Invalid>> {
        let changes = TaskChanges {
            title: Some(self.title),
            description: Some(self.description),
            project: Some(self.project),
            status: Some(self.status),
            priority: Some(self.priority),
            assignee_id: Some(self.assignee_id),
            tags: Some(self.tags),
            due_at: Some(self.due_at),
            fields: Some(self.fields),
            parent_id: Some(self.parent_id),
        }
        .checked()?;
        Ok(Self {
            title: changes.title.unwrap_or_default(),
            description: changes.description.unwrap_or_default(),
            project: changes.project.flatten(),
            status: changes.status.unwrap_or_default(),
            priority: changes.priority.unwrap_or_default(),
            assignee_id: changes.assignee_id.flatten(),
            tags: changes.tags.unwrap_or_default(),
            due_at: changes.due_at.flatten(),
            fields: changes.fields.unwrap_or_default(),
            parent_id: changes.parent_id.flatten(),
        })
    }

    /// The task that this makes.
    pub fn into_task(
        self,
        id: TaskId,
        workspace_id: WorkspaceId,
        creator_id: UserId,
        now: Timestamp,
    ) -> Task {
        Task {
            id,
            workspace_id,
            project: self.project,
            title: self.title,
            description: self.description,
            status: self.status,
            priority: self.priority,
            creator_id,
            assignee_id: self.assignee_id,
            tags: self.tags,
            due_at: self.due_at,
            fields: self.fields,
            parent_id: self.parent_id,
            version: 1,
            created_at: now,
            updated_at: now,
            status_changed_at: now,
            completed_at: (!self.status.is_open()).then_some(now),
        }
    }
}

/// A merge patch (RFC 7396) of a task: what is absent stays, `null` clears.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskChanges {
    /// One line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A free grouping.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub project: Option<Option<String>>,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// How pressing it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Who is to do it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub assignee_id: Option<Option<UserId>>,
    /// All labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The deadline.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub due_at: Option<Option<Timestamp>>,
    /// Custom fields, merged key by key; a `null` removes its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Map<String, Value>>,
    /// The task that it is part of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub parent_id: Option<Option<TaskId>>,
}

/// Tells `null` (clear) from absent (leave).
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Longest title, in characters.
const TITLE: usize = 500;
/// Longest description, in characters.
const DESCRIPTION: usize = 20_000;
/// Longest project name and tag, in characters.
const LABEL: usize = 100;
/// Most tags on one task.
const TAGS: usize = 50;
/// Largest custom fields, in bytes of JSON.
const FIELDS: usize = 16 * 1024;

impl TaskChanges {
    /// Trims, sorts and checks every field; says all that is wrong at once.
    ///
    /// # Errors
    /// One [`Invalid`] for each field that cannot be taken.
    pub fn checked(mut self) -> Result<Self, Vec<Invalid>> {
        let mut wrong = Vec::new();
        let mut keep = |result: Result<String, Invalid>| match result {
            Ok(text) => text,
            Err(invalid) => {
                wrong.push(invalid);
                String::new()
            }
        };
        if let Some(title) = self.title.take() {
            self.title = Some(keep(text_within("/title", &title, 1, TITLE, &[])));
        }
        if let Some(text) = self.description.take() {
            let checked = text_within("/description", &text, 0, DESCRIPTION, &['\n', '\r', '\t']);
            self.description = Some(keep(checked));
        }
        if let Some(Some(project)) = self.project.take_if(|project| project.is_some()) {
            self.project = Some(Some(keep(text_within("/project", &project, 1, LABEL, &[]))));
        }
        if let Some(tags) = self.tags.take() {
            let mut tags: Vec<String> = tags
                .iter()
                .enumerate()
                .map(|(i, tag)| keep(text_within(&format!("/tags/{i}"), tag, 1, LABEL, &[])))
                .collect();
            tags.sort();
            tags.dedup();
            if tags.len() > TAGS {
                wrong.push(Invalid::at(
                    "/tags",
                    format!("at most {TAGS} tags are allowed"),
                ));
            }
            self.tags = Some(tags);
        }
        if let Some(fields) = &self.fields
            && serde_json::to_string(fields).map_or(true, |json| json.len() > FIELDS)
        {
            wrong.push(Invalid::at(
                "/fields",
                format!("at most {FIELDS} bytes of JSON are allowed"),
            ));
        }
        if wrong.is_empty() {
            Ok(self)
        } else {
            Err(wrong)
        }
    }

    /// Merges the changes onto `task` as of `now`, and names the fields that differ afterwards.
    ///
    /// A change that leaves every field as it was names nothing and leaves the version alone.
    pub fn apply(&self, task: &mut Task, now: Timestamp) -> Vec<&'static str> {
        let mut changed = Vec::new();
        macro_rules! set {
            ($field:ident) => {
                if let Some(value) = &self.$field
                    && task.$field != *value
                {
                    task.$field = value.clone();
                    changed.push(stringify!($field));
                }
            };
        }
        set!(title);
        set!(description);
        set!(project);
        set!(priority);
        set!(assignee_id);
        set!(tags);
        set!(due_at);
        set!(parent_id);
        if let Some(status) = self.status
            && task.status != status
        {
            task.completed_at = match (task.status.is_open(), status.is_open()) {
                (true, false) => Some(now),
                (_, true) => None,
                (false, false) => task.completed_at,
            };
            task.status = status;
            task.status_changed_at = now;
            changed.push("status");
        }
        if let Some(fields) = &self.fields {
            let before = task.fields.clone();
            for (key, value) in fields {
                if value.is_null() {
                    task.fields.remove(key);
                } else {
                    task.fields.insert(key.clone(), value.clone());
                }
            }
            if task.fields != before {
                changed.push("fields");
            }
        }
        if !changed.is_empty() {
            task.version += 1;
            task.updated_at = now;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        let now = Timestamp::from_unix_millis(1_000);
        NewTask {
            title: "Pay invoice".into(),
            ..NewTask::default()
        }
        .into_task(
            TaskId::new(now),
            WorkspaceId::new(now),
            UserId::new(now),
            now,
        )
    }

    #[test]
    fn absent_stays_and_null_clears() {
        let mut task = task();
        task.due_at = Some(Timestamp::from_unix_millis(9_000));
        task.project = Some("home".into());
        let changes: TaskChanges = serde_json::from_str(r#"{"due_at": null}"#).unwrap();
        assert_eq!(
            changes.apply(&mut task, Timestamp::from_unix_millis(2_000)),
            ["due_at"]
        );
        assert_eq!(task.due_at, None);
        assert_eq!(task.project.as_deref(), Some("home"));
        assert_eq!(task.version, 2);
    }

    #[test]
    fn finishing_and_reopening_keeps_completed_at_true() {
        let mut task = task();
        let done = TaskChanges {
            status: Some(Status::Done),
            ..TaskChanges::default()
        };
        let now = Timestamp::from_unix_millis(2_000);
        assert_eq!(done.apply(&mut task, now), ["status"]);
        assert_eq!(task.completed_at, Some(now));
        assert!(done.apply(&mut task, now).is_empty());
        assert_eq!(task.version, 2);
        let reopened = TaskChanges {
            status: Some(Status::Todo),
            ..TaskChanges::default()
        };
        reopened.apply(&mut task, Timestamp::from_unix_millis(3_000));
        assert_eq!(task.completed_at, None);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let changes = TaskChanges {
            title: Some("  ".into()),
            project: Some(Some("a\u{0}b".into())),
            tags: Some(vec!["ok".into(), "x".repeat(101)]),
            ..TaskChanges::default()
        };
        let pointers: Vec<_> = changes
            .checked()
            .unwrap_err()
            .into_iter()
            .map(|wrong| wrong.pointer)
            .collect();
        assert_eq!(pointers, ["/title", "/project", "/tags/1"]);
    }

    #[test]
    fn fields_merge_key_by_key() {
        let mut task = task();
        let set: TaskChanges =
            serde_json::from_str(r#"{"fields": {"customer": "acme", "size": 3}}"#).unwrap();
        set.apply(&mut task, Timestamp::from_unix_millis(2_000));
        let cleared: TaskChanges = serde_json::from_str(r#"{"fields": {"size": null}}"#).unwrap();
        cleared.apply(&mut task, Timestamp::from_unix_millis(3_000));
        assert_eq!(
            serde_json::to_string(&task.fields).unwrap(),
            r#"{"customer":"acme"}"#
        );
    }
}
