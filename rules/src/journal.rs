//! What a run that waits has done and seen so far, so that its script can be brought back to where
//! it was by running it again.
//!
//! A run is a row of segments: what happens from its start, or from the end of a wait, to the next
//! wait or the end. All that a script can observe in a segment is kept with it, so that a replay
//! observes the same; each call that does something, asks something or waits is an [`Entry`].

use crate::Query;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smarttasks_model::{EventPattern, Task, Timestamp, User, UserId};
use std::sync::Arc;

/// A call of the script that is recorded: an action, a query, or a wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The function, such as `email` or `sleep`.
    pub call: String,
    /// Of its arguments: the first 16 hexadecimal digits of the SHA-256 of them as JSON.
    pub digest: String,
    /// Where it stands in the script, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What it returned; null where it returns nothing. What a wait returns is known only when it
    /// ends: the next segment has it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub result: Value,
}

/// What happened from the start of a run, or from the end of a wait, to the next wait or the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Its instant, which stood still throughout.
    pub now: Timestamp,
    /// How the wait before it ended, as [`Wait`] says; null for the first segment.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub woken: Value,
    /// The task as it was then; absent where it was as in the segment before, or where there is
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Arc<Task>>,
    /// The members that the script looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<User>,
    /// What the rule kept, where the script looked at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Map<String, Value>>,
    /// The calls, in order. That of a segment that ended in a wait is the last.
    pub entries: Vec<Entry>,
    /// Bytes that it wrote to the log.
    #[serde(default)]
    pub log_bytes: usize,
    /// Bytes of what the record of the run says of its actions.
    #[serde(default)]
    pub action_bytes: usize,
}

/// What a script waits for.
///
/// How it ended is JSON, `woken` of the next segment: for [`Until`](Self::Until) null; for
/// [`Event`](Self::Event) the event or null at the timeout; for [`Http`](Self::Http) an object with
/// `status` (0 without an answer), `headers`, `body`, `json` and, without an answer, `error`; for
/// [`Approval`](Self::Approval) an object with `approved` and `by`, the id of who answered, or null
/// at the timeout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "wait", rename_all = "snake_case")]
pub enum Wait {
    /// `sleep`, `sleep_until`.
    Until {
        /// When it goes on; it may have passed.
        at: Timestamp,
    },
    /// `wait_for`.
    Event {
        /// Which type.
        pattern: EventPattern,
        /// When it goes on without.
        until: Timestamp,
    },
    /// `http`.
    Http {
        /// What is asked.
        request: HttpRequest,
        /// When it goes on without an answer.
        until: Timestamp,
    },
    /// `approve`.
    Approval {
        /// Who is asked.
        user: UserId,
        /// What they are asked.
        question: String,
        /// When it goes on without an answer.
        until: Timestamp,
    },
}

/// A request that a script makes of another system.
pub use smarttasks_model::HttpRequest;

impl Wait {
    /// What others may know of it: the values of a request's headers may be secrets.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let mut wait = self.clone();
        if let Self::Http { request, .. } = &mut wait {
            for value in request.headers.values_mut() {
                "…".clone_into(value);
            }
        }
        wait
    }

    /// When it ends at the latest.
    pub fn until(&self) -> Timestamp {
        match self {
            Self::Until { at } => *at,
            Self::Event { until, .. } | Self::Http { until, .. } | Self::Approval { until, .. } => {
                *until
            }
        }
    }
}

/// What an evaluation must be given to go on.
#[derive(Clone, Debug, PartialEq)]
pub enum Need {
    /// An answer, at once.
    Query(Query),
    /// The end of a wait.
    Wait(Wait),
}

/// The past of a run.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// What has happened, in order; each ended in a wait.
    pub segments: Vec<Segment>,
    /// How the last wait ended; null where there has been none.
    pub woken: Value,
    /// Bytes of the segments, as JSON.
    pub bytes: usize,
}
