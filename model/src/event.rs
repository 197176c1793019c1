//! Events: immutable facts, as CloudEvents 1.0.

mod cloud;

use crate::{ChangeId, EventId, RuleId, Task, TaskId, Timestamp, TraceParent, UserId, WorkspaceId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

/// What happened, as `noun.verb_past`: segments of `a-z`, `0-9` and `_`, joined by dots.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EventType(String);

/// Not an event type or pattern.
#[derive(Debug, thiserror::Error)]
pub enum EventTypeError {
    /// Not segments joined by dots.
    #[error(
        "expected two to eight segments of a-z, 0-9 and _ joined by dots, such as ci.build_failed, at most 100 characters"
    )]
    Malformed,
    /// A type that only the system itself may use.
    #[error("types that begin with {0}. are the system's own; choose another first segment")]
    Reserved(String),
    /// A pattern that can match nothing.
    #[error("no event of the system is named {0}")]
    Unknown(String),
}

impl EventType {
    /// Every type that the system itself raises and that rules and endpoints may name.
    pub const SYSTEM: &'static [&'static str] = &[
        "user.created",
        "task.created",
        "task.updated",
        "task.assigned",
        "task.status_changed",
        "task.completed",
        "task.deleted",
        "task.commented",
        "task.due_soon",
        "task.overdue",
        "rule.matched",
        "rule.resolved",
        "rule.disabled",
        "delivery.failed",
        "endpoint.disabled",
    ];

    /// Types of events that are addressed to one rule and matched by no pattern: a cron
    /// occurrence, an instant relative to a deadline, a run asked for by hand.
    pub const ADDRESSED: &'static [&'static str] =
        &["rule.scheduled", "rule.due", "rule.run_requested"];

    const RESERVED: &'static [&'static str] = &[
        "user",
        "task",
        "rule",
        "delivery",
        "endpoint",
        "workspace",
        "run",
    ];

    /// A type of the system's own. `name` must be well formed, which its tests hold.
    pub fn system(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// A type that users may post and emit.
    ///
    /// # Errors
    /// When it is malformed or begins like one of the system's.
    pub fn custom(text: &str) -> Result<Self, EventTypeError> {
        let kind: Self = text.parse()?;
        if kind.is_system() {
            let first = kind.0.split('.').next().unwrap_or_default();
            return Err(EventTypeError::Reserved(first.to_owned()));
        }
        Ok(kind)
    }

    /// Whether it begins with a segment that only the system uses.
    pub fn is_system(&self) -> bool {
        self.0
            .split('.')
            .next()
            .is_some_and(|first| Self::RESERVED.contains(&first))
    }

    /// Whether events of this type are for one rule only.
    pub fn is_addressed(&self) -> bool {
        Self::ADDRESSED.contains(&self.as_str())
    }

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn well_formed(text: &str, segment: fn(&str) -> bool) -> bool {
    text.len() <= 100 && (2..=8).contains(&text.split('.').count()) && text.split('.').all(segment)
}

fn is_segment(part: &str) -> bool {
    !part.is_empty()
        && part
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

impl FromStr for EventType {
    type Err = EventTypeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if well_formed(text, is_segment) {
            Ok(Self(text.to_owned()))
        } else {
            Err(EventTypeError::Malformed)
        }
    }
}

/// An event type, or a pattern in which `*` stands for one segment.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EventPattern(String);

impl EventPattern {
    /// Whether `kind` is of this pattern.
    pub fn matches(&self, kind: &EventType) -> bool {
        let mut of_kind = kind.0.split('.');
        let all = self
            .0
            .split('.')
            .all(|part| of_kind.next().is_some_and(|of| part == "*" || part == of));
        all && of_kind.next().is_none()
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventPattern {
    type Err = EventTypeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !well_formed(text, |part| part == "*" || is_segment(part)) {
            return Err(EventTypeError::Malformed);
        }
        let pattern = Self(text.to_owned());
        let system = EventType(text.to_owned()).is_system();
        if system
            && !EventType::SYSTEM
                .iter()
                .any(|name| pattern.matches(&EventType::system(name)))
        {
            return Err(EventTypeError::Unknown(text.to_owned()));
        }
        Ok(pattern)
    }
}

macro_rules! as_text {
    ($($type:ident),+) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::text::parsed(deserializer)
            }
        }
    )+};
}

as_text!(EventType, EventPattern);

/// Who did something.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Actor {
    /// The user.
    pub id: UserId,
    /// Their name at the time.
    pub name: String,
}

/// What the system's own events carry.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// The task as the event left it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// The task before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Task>,
    /// Names of the fields in which the two differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// Who did it; absent when time or a rule did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// What else belongs to the type: a comment, a user, an occurrence.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The `data` of an event.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum EventData {
    /// Of the system's own types.
    System(Box<Snapshot>),
    /// As it was posted or emitted.
    Custom(Value),
}

/// An immutable fact; a CloudEvent when written as JSON.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(into = "cloud::CloudEvent")]
pub struct Event {
    /// Derived from its cause.
    pub id: EventId,
    /// Where it happened.
    pub workspace_id: WorkspaceId,
    /// What happened.
    pub kind: EventType,
    /// The task that it is about.
    pub task_id: Option<TaskId>,
    /// When it happened.
    pub time: Timestamp,
    /// The trace that caused it.
    pub traceparent: Option<TraceParent>,
    /// The write that it belongs to: a rule fires once per change and task.
    pub change: ChangeId,
    /// How many rules stand between it and a person or the clock.
    pub depth: u8,
    /// The user who caused it.
    pub actor_id: Option<UserId>,
    /// The one rule that it is addressed to; such an event matches no pattern.
    pub rule_id: Option<RuleId>,
    /// What it carries.
    pub data: EventData,
}

impl Event {
    /// The task as the event left it, where the event carries one.
    pub fn task(&self) -> Option<&Task> {
        match &self.data {
            EventData::System(snapshot) => snapshot.task.as_ref(),
            EventData::Custom(_) => None,
        }
    }

    /// The task before the event, where the event carries one.
    pub fn previous(&self) -> Option<&Task> {
        match &self.data {
            EventData::System(snapshot) => snapshot.previous.as_ref(),
            EventData::Custom(_) => None,
        }
    }

    /// `data` as JSON.
    pub fn data_json(&self) -> Value {
        serde_json::to_value(&self.data).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_match_by_segment() {
        let kind = EventType::system("task.status_changed");
        for (pattern, matches) in [
            ("task.status_changed", true),
            ("task.*", true),
            ("task.created", false),
            ("*.*", true),
        ] {
            assert_eq!(
                pattern.parse::<EventPattern>().unwrap().matches(&kind),
                matches,
                "{pattern}"
            );
        }
        assert!(
            !"ci.*.done"
                .parse::<EventPattern>()
                .unwrap()
                .matches(&"ci.done".parse().unwrap())
        );
        for bad in [
            "task",
            "task.",
            "Task.created",
            "task.exploded",
            "task.*.x",
            "a b.c",
            "",
        ] {
            assert!(bad.parse::<EventPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn users_may_not_post_the_systems_types() {
        assert!(EventType::custom("ci.build_failed").is_ok());
        for bad in ["task.created", "rule.mine", "ci", "ci..x", "CI.x"] {
            assert!(EventType::custom(bad).is_err(), "{bad}");
        }
        for name in EventType::SYSTEM.iter().chain(EventType::ADDRESSED) {
            let kind: EventType = name.parse().unwrap();
            assert!(kind.is_system(), "{name}");
        }
    }

    #[test]
    fn an_event_is_a_cloud_event_and_reads_back() {
        let now = Timestamp::from_unix_millis(1_764_579_600_000);
        let event = Event {
            id: EventId::new(now),
            workspace_id: WorkspaceId::new(now),
            kind: EventType::custom("ci.done").unwrap(),
            task_id: Some(TaskId::new(now)),
            time: now,
            traceparent: Some(TraceParent::start()),
            change: ChangeId::new(now),
            depth: 2,
            actor_id: Some(UserId::new(now)),
            rule_id: None,
            // Names that the system's own events use are the poster's to use too.
            data: EventData::Custom(json!({ "task": null, "changes": [], "actor": "bob" })),
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        let written = serde_json::to_value(&event).unwrap();
        assert_eq!(written["specversion"], "1.0");
        assert_eq!(written["type"], "ci.done");
        assert_eq!(
            written["source"],
            format!("/workspaces/{}", event.workspace_id)
        );
        assert_eq!(serde_json::from_value::<Event>(written).unwrap(), event);
    }
}
