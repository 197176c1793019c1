//! The JSON form of events: CloudEvents 1.0, structured mode, with our extension attributes.

use super::{Event, EventData, EventType};
use crate::{ChangeId, EventId, RuleId, TaskId, Timestamp, TraceParent, UserId, WorkspaceId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// How it is written. The type stands before the data, whose shape follows from it.
#[derive(Serialize)]
pub(super) struct CloudEvent {
    specversion: &'static str,
    id: EventId,
    source: Source,
    #[serde(rename = "type")]
    kind: EventType,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Subject>,
    time: Timestamp,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<TraceParent>,
    change: ChangeId,
    depth: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<RuleId>,
    data: EventData,
}

impl From<Event> for CloudEvent {
    fn from(event: Event) -> Self {
        Self {
            specversion: "1.0",
            id: event.id,
            source: Source(event.workspace_id),
            kind: event.kind,
            subject: event.task_id.map(Subject),
            time: event.time,
            datacontenttype: "application/json",
            traceparent: event.traceparent,
            change: event.change,
            depth: event.depth,
            actor: event.actor_id,
            rule: event.rule_id,
            data: event.data,
        }
    }
}

/// What is read of one, by its names in JSON.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Name {
    Id,
    Source,
    Type,
    Subject,
    Time,
    Traceparent,
    Change,
    Depth,
    Actor,
    Rule,
    Data,
    #[serde(other)]
    Other,
}

/// Its data, which is read as what it is where the type is known by then.
enum Read {
    As(EventData),
    Json(Value),
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> de::Visitor<'de> for Reader {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let (mut id, mut source, mut kind) = (None, None, None::<EventType>);
        let (mut time, mut change, mut data) = (None, None, None);
        let (mut subject, mut traceparent, mut depth) = (None, None, 0);
        let (mut actor_id, mut rule_id) = (None, None);
        while let Some(name) = map.next_key()? {
            match name {
                Name::Id => id = Some(map.next_value()?),
                Name::Source => source = Some(map.next_value()?),
                Name::Type => kind = Some(map.next_value()?),
                Name::Subject => subject = map.next_value::<Option<Subject>>()?,
                Name::Time => time = Some(map.next_value()?),
                Name::Traceparent => traceparent = map.next_value()?,
                Name::Change => change = Some(map.next_value()?),
                Name::Depth => depth = map.next_value()?,
                Name::Actor => actor_id = map.next_value()?,
                Name::Rule => rule_id = map.next_value()?,
                Name::Data => {
                    data = Some(match &kind {
                        None => Read::Json(map.next_value()?),
                        Some(kind) if kind.is_system() => {
                            Read::As(EventData::System(map.next_value()?))
                        }
                        Some(_) => Read::As(EventData::Custom(map.next_value()?)),
                    });
                }
                Name::Other => drop(map.next_value::<de::IgnoredAny>()?),
            }
        }
        let missing = de::Error::missing_field;
        let Source(workspace_id) = source.ok_or_else(|| missing("source"))?;
        let kind = kind.ok_or_else(|| missing("type"))?;
        let data = match data.ok_or_else(|| missing("data"))? {
            Read::As(data) => data,
            Read::Json(json) if kind.is_system() => {
                EventData::System(serde_json::from_value(json).map_err(de::Error::custom)?)
            }
            Read::Json(json) => EventData::Custom(json),
        };
        if kind.is_system() != matches!(data, EventData::System(_)) {
            return Err(de::Error::duplicate_field("type"));
        }
        Ok(Event {
            id: id.ok_or_else(|| missing("id"))?,
            workspace_id,
            kind,
            task_id: subject.map(|Subject(id)| id),
            time: time.ok_or_else(|| missing("time"))?,
            traceparent,
            change: change.ok_or_else(|| missing("change"))?,
            depth,
            actor_id,
            rule_id,
            data,
        })
    }
}

/// Where an event happened.
struct Source(WorkspaceId);
/// What it is about.
struct Subject(TaskId);

macro_rules! path {
    ($type:ident, $before:literal, $says:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&format_args!(concat!($before, "{}"), self.0))
            }
        }

        impl FromStr for $type {
            type Err = &'static str;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let id = text.strip_prefix($before).and_then(|id| id.parse().ok());
                id.map(Self).ok_or($says)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::text::parsed(deserializer)
            }
        }
    };
}

path!(Source, "/workspaces/", "expected /workspaces/<id>");
path!(Subject, "tasks/", "expected tasks/<id>");

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    /// In whatever order its parts stand, and whatever reads it.
    #[test]
    fn an_event_of_the_system_reads_back() {
        let id = "019cadc6-9a80-7375-89f0-373009febbd4";
        let parts = json!({
            "data": { "changes": ["title"], "comment": { "n": 1 } },
            "specversion": "1.0",
            "id": id,
            "source": format!("/workspaces/{id}"),
            "type": "task.commented",
            "subject": format!("tasks/{id}"),
            "time": "2026-03-02T09:00:00Z",
            "change": id,
            "depth": 1,
        });
        let event: Event = serde_json::from_value(parts.clone()).unwrap();
        let EventData::System(snapshot) = &event.data else {
            panic!("{event:?}");
        };
        assert_eq!(snapshot.changes, ["title"]);
        assert_eq!(snapshot.more["comment"], json!({ "n": 1 }));
        assert_eq!(event.task_id.unwrap().to_string(), id);
        // Within what is told apart by a name of its own, serde keeps the parts until it has read that name.
        #[derive(Serialize, Deserialize)]
        #[serde(tag = "is", rename_all = "snake_case")]
        enum Tagged {
            Event { event: Event },
        }
        let data_first = serde_json::to_string(&parts).unwrap();
        assert!(data_first.find("\"data\"") < data_first.find("\"type\""));
        let type_first = serde_json::to_string(&event).unwrap();
        for text in [data_first, type_first] {
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
            let tagged = format!("{{\"is\":\"event\",\"event\":{text}}}");
            let Tagged::Event { event: read } = serde_json::from_str(&tagged).unwrap();
            assert_eq!(read, event);
        }
        for missing in ["data", "id", "source", "type", "time", "change"] {
            let mut parts: Map<String, Value> = parts.as_object().unwrap().clone();
            parts.remove(missing);
            let error = serde_json::from_value::<Event>(parts.into()).unwrap_err();
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
}
