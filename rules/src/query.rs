//! What a script asks about its workspace.
//!
//! The evaluator does no I/O. A script that asks what has not been answered stops there, and its
//! [`Outcome`](crate::Outcome) says what it needs; whoever evaluates it gets the answer, appends it
//! to those before, and evaluates from the top again.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use smarttasks_model::{Task, TaskFilter};
use std::sync::Arc;

/// What a script asks about its workspace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Query {
    /// Tasks, oldest first, at most so many.
    Tasks {
        /// Which.
        filter: TaskFilter,
        /// At most this many.
        limit: u64,
    },
    /// How many tasks.
    Count(TaskFilter),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To [`Query::Tasks`].
    Tasks(Vec<Arc<Task>>),
    /// To [`Query::Count`].
    Count(u64),
}

impl Answer {
    /// About the bytes that it holds in memory.
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Tasks(tasks) => tasks.iter().map(|task| task.held_bytes()).sum(),
            Self::Count(_) => size_of::<Self>(),
        }
    }
}

impl Query {
    /// The function that asks it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Tasks { .. } => "tasks",
            Self::Count(_) => "count",
        }
    }

    /// The answer to it, as a journal holds it.
    pub(crate) fn read_answer(&self, recorded: &Value) -> serde_json::Result<Answer> {
        Ok(match self {
            Self::Tasks { .. } => Answer::Tasks(Vec::deserialize(recorded)?),
            Self::Count(_) => Answer::Count(u64::deserialize(recorded)?),
        })
    }
}
