//! Sweeps: rules looked at for the tasks of their workspace of which their answer may be another
//! than it was.

use crate::predicate::Window;
use crate::{RuleId, TaskId, Timestamp, WorkspaceId, derive_id};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// A range of a sweep: some rules of a workspace, and some of the tasks. A sweep begins as one
/// range; whoever handles one takes its first page and leaves the rest as further ranges, which any
/// engine may take.
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
    /// Which tasks; when absent, whoever looks first decides.
    pub part: Option<SweepPart>,
}

/// Which tasks a range is about.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SweepPart {
    /// Tells it from the other parts of its sweep.
    pub id: Uuid,
    /// When the first look at the sweep began.
    pub begun_at: Timestamp,
    /// The rules, as they were then.
    pub versions: BTreeMap<RuleId, i64>,
    /// How the tasks are found.
    pub sought: Sought,
    /// Those after this place; from the first when absent.
    pub after: Option<Place>,
    /// Those up to this place; to the last when absent.
    pub to: Option<Place>,
}

/// How the tasks of a sweep are found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sought {
    /// All of them.
    All,
    /// Those that may match the rule, and those that have.
    Candidates,
    /// Those of which the answer of the rules may be another than it was.
    Changed {
        /// That have been written since, or
        since: Timestamp,
        /// past which a threshold has gone, or
        windows: Vec<Window>,
        /// whose match with one of these rules is due.
        due: Vec<RuleId>,
    },
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
    /// What tells it from every other range.
    pub fn key(&self) -> String {
        match &self.part {
            Some(part) => format!("{}:{}", self.sweep_id, part.id),
            None => format!("{}:", self.sweep_id),
        }
    }

    /// A further range that a look at this one leaves, with a number among those: this part, but for
    /// its id.
    #[must_use]
    pub fn leave(&self, number: usize, part: SweepPart) -> Self {
        let key = self.key();
        let key = [key.as_bytes(), &number.to_be_bytes()];
        let id = derive_id(self.scheduled_at, &key);
        Self {
            rules: part.versions.keys().copied().collect(),
            part: Some(SweepPart { id, ..part }),
            ..self.clone()
        }
    }
}

/// Where a task stands in the order in which tasks are read.
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
