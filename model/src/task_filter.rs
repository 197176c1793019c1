//! Which tasks of a workspace: asked for over REST and by scripts alike.

use crate::{Priority, Status, Task, TaskId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// Which tasks of a workspace. What is absent or empty asks for nothing; the rest holds together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskFilter {
    /// Any of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<Status>,
    /// To do, in progress or blocked; or neither of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// Any of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub priority: Vec<Priority>,
    /// This one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Carrying this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Assigned to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee_id: Option<UserId>,
    /// Assigned to nobody; or to somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unassigned: Option<bool>,
    /// Made by them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator_id: Option<UserId>,
    /// Part of this task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<TaskId>,
    /// With a deadline before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_before: Option<Timestamp>,
    /// With a deadline at or after this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_after: Option<Timestamp>,
    /// Open when its deadline has passed, or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue: Option<bool>,
    /// Made before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Timestamp>,
    /// Made at or after this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Timestamp>,
    /// Finished at or after this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_after: Option<Timestamp>,
    /// In their status since before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_changed_before: Option<Timestamp>,
    /// Written at or after this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_since: Option<Timestamp>,
    /// With this in title or description, whatever the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
}

impl TaskFilter {
    /// Whether a task passes, as of `now`: what the database answers, told without one.
    pub fn matches(&self, task: &Task, now: Timestamp) -> bool {
        self.matches_nature(task) && self.matches_people(task) && self.matches_times(task, now)
    }

    fn matches_nature(&self, task: &Task) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        };
        let tagged = |tag: &String| task.tags.contains(tag);
        let says = |text: &String| {
            without_case(&format!("{}\n{}", task.title, task.description))
                .contains(&without_case(text))
        };
        (self.status.is_empty() || self.status.contains(&task.status))
            && (self.priority.is_empty() || self.priority.contains(&task.priority))
            && self.open.is_none_or(|open| open == task.status.is_open())
            && is(&self.project, task.project.as_deref())
            && self.tag.as_ref().is_none_or(tagged)
            && self.q.as_ref().is_none_or(says)
            && (self.parent_id.is_none() || self.parent_id == task.parent_id)
    }

    fn matches_people(&self, task: &Task) -> bool {
        (self.assignee_id.is_none() || self.assignee_id == task.assignee_id)
            && self
                .unassigned
                .is_none_or(|unassigned| unassigned == task.assignee_id.is_none())
            && self
                .creator_id
                .is_none_or(|creator| creator == task.creator_id)
    }

    fn matches_times(&self, task: &Task, now: Timestamp) -> bool {
        let before = |limit: Option<Timestamp>, at: Option<Timestamp>| {
            limit.is_none_or(|limit| at.is_some_and(|at| at < limit))
        };
        let since = |limit: Option<Timestamp>, at: Option<Timestamp>| {
            limit.is_none_or(|limit| at.is_some_and(|at| at >= limit))
        };
        before(self.due_before, task.due_at)
            && since(self.due_after, task.due_at)
            && before(self.created_before, Some(task.created_at))
            && since(self.created_after, Some(task.created_at))
            && since(self.completed_after, task.completed_at)
            && before(self.status_changed_before, Some(task.status_changed_at))
            && since(self.updated_since, Some(task.updated_at))
            && self
                .overdue
                .is_none_or(|wanted| wanted == task.is_overdue(now))
    }
}

/// `text` so that what differs only in case becomes the same in every script: through upper
/// case, because `ß`, `ς` and their like have no lower case of their own.
pub fn without_case(text: &str) -> String {
    text.to_uppercase()
        .chars()
        .flat_map(char::to_lowercase)
        .collect()
}
