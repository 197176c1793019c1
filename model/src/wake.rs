//! What brings a run that waits to go on.

use crate::{EventId, RuleId, RunId, TaskId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One wait of one run. Whatever ends it names it, so that a message that comes late or twice ends
/// nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct WaitId {
    /// The run.
    pub run_id: RunId,
    /// How many waits it had ended before.
    pub number: u32,
}

/// A run may go on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Wake {
    /// Where the run belongs.
    pub workspace_id: WorkspaceId,
    /// Its wait that ends.
    pub wait: WaitId,
    /// Why.
    pub because: Because,
    /// How often going on has failed for a reason outside of the script.
    #[serde(default)]
    pub failures: u32,
}

impl Wake {
    /// Whether it has with it what the run goes on with.
    pub fn is_answered(&self) -> bool {
        matches!(self.because, Because::Answer { .. })
    }
}

/// Why a run may go on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Because {
    /// It begins again: a run that is tried anew. Its number of waits is that of the segments that
    /// it was given.
    Retry,
    /// The time has come.
    Time,
    /// Somebody does not want to wait.
    Skipped,
    /// An event may have come between the start of the wait and its being known.
    Look,
    /// This event has come.
    Event {
        /// The event.
        event_id: EventId,
    },
    /// What was asked for has been answered.
    Answer {
        /// As the wait says.
        value: Value,
    },
}

impl Because {
    /// Whether it says what the run goes on with, and not only that it does.
    pub fn is_told(&self) -> bool {
        matches!(self, Self::Answer { value } if !value.is_null())
    }
}

/// An event that more runs wait for than one transaction wakes: the rest of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Waiters {
    /// Where it belongs.
    pub workspace_id: WorkspaceId,
    /// The event.
    pub event_id: EventId,
    /// Only those that come after this one.
    pub after: Option<RunId>,
}

/// Unfinished runs that end because what they are of is gone or disabled, of which there are more
/// than one transaction ends: the rest of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EndRuns {
    /// Where they belong.
    pub workspace_id: WorkspaceId,
    /// Which.
    pub of: RunsOf,
    /// Only those that began before then.
    pub before: Timestamp,
    /// Why, for people.
    pub why: String,
}

/// Of what runs are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunsOf {
    /// Of a rule.
    Rule(RuleId),
    /// About a task.
    Task(TaskId),
}
