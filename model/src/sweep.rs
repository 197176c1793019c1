//! Sweeps: a rule evaluated for each task of its workspace that may match.

use crate::{RuleId, TaskId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// A part of a sweep: some rules of a workspace, and the tasks with ids in a half-open range. A
/// sweep begins as one range; whoever handles one takes its first page and leaves the rest as
/// further ranges, which any engine may take.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SweepRange {
    /// The sweep that it is part of.
    pub sweep_id: Uuid,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The occurrence: the instant at which matches are taken to begin and to be repeated.
    pub scheduled_at: Timestamp,
    /// The rules; those due at the same instant share the reading of tasks.
    pub rules: Vec<RuleId>,
    /// What it is for.
    pub purpose: SweepPurpose,
    /// Tasks after this one; from the first when absent.
    pub after: Option<TaskId>,
    /// Tasks up to this one; to the last when absent.
    pub to: Option<TaskId>,
}

/// What a sweep is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepPurpose {
    /// To do what the rules ask for.
    Fire,
    /// To note which tasks match already, so that nothing is done for them.
    Note,
}

impl SweepRange {
    /// What tells it from every other range: its sweep and where it begins.
    pub fn key(&self) -> String {
        match self.after {
            Some(after) => format!("{}:{after}", self.sweep_id),
            None => format!("{}:", self.sweep_id),
        }
    }
}

/// Where a task stands in the order in which the candidates of a predicate are read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Which of the ways along an index.
    pub walk: usize,
    /// By what the index is in order, before the id: an instant in milliseconds, or zero.
    pub at: i64,
    /// Whose place it is.
    pub id: TaskId,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.walk, self.at, self.id)
    }
}
