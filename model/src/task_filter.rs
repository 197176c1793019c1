//! Which tasks of a workspace: asked for over REST and by scripts alike.

use crate::{Priority, Status, TaskId, Timestamp, UserId};
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
    /// Open with a deadline before now, or not.
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
