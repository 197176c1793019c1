//! Tasks, and the changes that people and rules make to them.

mod held;

use crate::named::named;
use crate::{Invalid, TaskId, Timestamp, UserId, WorkspaceId, text_within};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Where a task stands.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
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
    /// Those in which work is still to be done, in order.
    pub const OPEN: [Self; 3] = [Self::Todo, Self::InProgress, Self::Blocked];

    /// Whether work is still to be done.
    pub fn is_open(self) -> bool {
        Self::OPEN.contains(&self)
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

    /// Whether it is open and its deadline has passed, which it has at that instant.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.status.is_open() && self.due_at.is_some_and(|due| due <= now)
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
            fields: Some(Some(self.fields)),
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
            fields: changes.fields.flatten().unwrap_or_default(),
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

/// A merge patch (RFC 7396) of a task: what is absent stays, `null` clears; title, status and
/// priority cannot be cleared.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskChanges {
    /// One line.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub title: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "or_empty")]
    pub description: Option<String>,
    /// A free grouping.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub project: Option<Option<String>>,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub status: Option<Status>,
    /// How pressing it is.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub priority: Option<Priority>,
    /// Who is to do it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub assignee_id: Option<Option<UserId>>,
    /// All labels.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "or_empty")]
    pub tags: Option<Vec<String>>,
    /// The deadline.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub due_at: Option<Option<Timestamp>>,
    /// Custom fields, merged key by key and into objects; a `null` removes its key.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub fields: Option<Option<Map<String, Value>>>,
    /// The task that it is part of.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub parent_id: Option<Option<TaskId>>,
}

/// Tells `null` (clear, or an error where nothing can be cleared) from absent (leave).
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Takes `null` for what is empty when it is cleared.
fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer).map(|value| Some(value.unwrap_or_default()))
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
        if let Some(Some(fields)) = &self.fields
            && let Err(invalid) = sized(fields)
        {
            wrong.push(invalid);
        }
        if wrong.is_empty() {
            Ok(self)
        } else {
            Err(wrong)
        }
    }

    /// Checks what depends on the task that is changed: its custom fields must not grow too
    /// large.
    ///
    /// # Errors
    /// At `/fields`, when they would.
    pub fn fits(&self, task: &Task) -> Result<(), Invalid> {
        match &self.fields {
            Some(Some(patch)) => sized(&merged(&task.fields, patch)),
            _ => Ok(()),
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
        if let Some(patch) = &self.fields {
            let after = patch
                .as_ref()
                .map_or_else(Map::new, |patch| merged(&task.fields, patch));
            if task.fields != after {
                task.fields = after;
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

/// Refuses custom fields that are too large.
fn sized(fields: &Map<String, Value>) -> Result<(), Invalid> {
    match serde_json::to_string(fields) {
        Ok(json) if json.len() <= FIELDS => Ok(()),
        _ => Err(Invalid::at(
            "/fields",
            format!("at most {FIELDS} bytes of JSON are allowed"),
        )),
    }
}

/// `target` with `patch` merged onto it, as RFC 7396 says.
fn merged(target: &Map<String, Value>, patch: &Map<String, Value>) -> Map<String, Value> {
    let mut merged_fields = target.clone();
    for (key, value) in patch {
        match value {
            Value::Null => {
                merged_fields.remove(key);
            }
            Value::Object(inner) => {
                let value = match target.get(key) {
                    Some(Value::Object(before)) => merged(before, inner),
                    _ => merged(&Map::new(), inner),
                };
                merged_fields.insert(key.clone(), Value::Object(value));
            }
            other => {
                merged_fields.insert(key.clone(), other.clone());
            }
        }
    }
    merged_fields
}

#[cfg(test)]
mod tests;
