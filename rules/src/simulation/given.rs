//! What a simulated run meets on its way: events, and what is answered to it.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use smarttasks_model::{Event, EventType, Span, TaskChanges, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// An event that comes after a while, about the task of the run if it has one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenEvent {
    /// So long after the start.
    #[serde(default)]
    pub after: Span,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// What it carries; of one of the system's, beside the task.
    #[serde(default)]
    pub data: Value,
    /// What is then different about the task.
    #[serde(default)]
    pub task: Option<TaskChanges>,
}

/// What is answered to the run, in the order in which it asks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenAnswers {
    /// To `http`.
    pub http: VecDeque<GivenResponse>,
    /// To `approve`.
    pub approve: VecDeque<GivenDecision>,
}

/// The answer of another system.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenResponse {
    /// The status code; 200 when absent, 0 for no answer at all.
    pub status: Option<u16>,
    /// The headers.
    pub headers: BTreeMap<String, String>,
    /// The body, or else `json`.
    pub body: Option<String>,
    /// The body as JSON.
    pub json: Option<Value>,
    /// So long after the question; at once when absent.
    pub after: Span,
}

/// The answer of a person.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum GivenDecision {
    /// `null`: none. `true`, `false`: this, at once, by whoever is asked.
    Plain(Option<bool>),
    /// With more about it.
    Full(GivenVerdict),
}

/// The answer of a person, with when it comes and from whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenVerdict {
    /// What they say; none when they say nothing.
    pub approved: Option<bool>,
    /// So long after the question.
    #[serde(default)]
    pub after: Span,
    /// Who says it: whoever is asked, when absent.
    #[serde(default)]
    pub by: Option<Value>,
}

/// An event that is to come.
#[derive(Clone, Debug)]
pub enum Coming {
    /// Invented.
    Given {
        /// When.
        at: Timestamp,
        /// What.
        event: Box<GivenEvent>,
    },
    /// Recorded: the task is then as the event left it.
    Recorded(Arc<Event>),
}

impl Coming {
    pub(super) fn at(&self) -> Timestamp {
        match self {
            Self::Given { at, .. } => *at,
            Self::Recorded(event) => event.time,
        }
    }

    /// Invented events, from the start on, in order.
    pub fn all(start: Timestamp, events: Vec<GivenEvent>) -> VecDeque<Self> {
        let mut all: Vec<Self> = events
            .into_iter()
            .map(|event| Self::Given {
                at: start + event.after,
                event: Box::new(event),
            })
            .collect();
        all.sort_by_key(Self::at);
        all.into()
    }
}

impl GivenResponse {
    /// As a script gets it.
    pub(super) fn woken(self) -> Value {
        let body = match (self.body, &self.json) {
            (Some(body), _) => body,
            (None, Some(json)) => json.to_string(),
            (None, None) => String::new(),
        };
        let json = self.json.or_else(|| serde_json::from_str(&body).ok());
        let headers: Map<String, Value> = self
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_lowercase(), value.into()))
            .collect();
        let status = self.status.unwrap_or(200);
        let mut woken = json!({ "status": status, "headers": headers, "body": body, "json": json });
        if status == 0 {
            woken["error"] = json!("there was no answer");
        }
        woken
    }
}

impl GivenDecision {
    pub(super) fn verdict(self) -> GivenVerdict {
        match self {
            Self::Full(verdict) => verdict,
            Self::Plain(approved) => GivenVerdict {
                approved,
                after: Span::ZERO,
                by: None,
            },
        }
    }
}
