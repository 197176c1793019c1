//! What a test looks at, and where that is found.

use super::{Number, Range};
use crate::{Event, EventData, Priority, Status, Task, Timestamp};
use serde_json::Value as Json;
use std::borrow::Cow;
use uuid::Uuid;

/// What is known when a predicate is asked.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The task that the run would be about.
    pub task: Option<&'a Task>,
    /// The event that would start it. What it carries holds the task before it.
    pub event: &'a Event,
    /// The instant at which the run would begin.
    pub now: Timestamp,
}

/// What a test looks at.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// A field of the task.
    Task(Field),
    /// A field of the task as it was before the event.
    Previous(Field),
    /// The event's type, a text.
    EventType,
    /// What the event carries, or something within that.
    EventData(Path),
    /// The id of the user who caused the event.
    EventActor,
    /// Whether the event changed a field of the task, by the name that events use.
    Changed(String),
}

/// The keys by which something is found within a JSON object, the outermost first.
pub type Path = Vec<String>;

/// A stored field of a task.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Field {
    /// An id. That it is absent says that there is no task.
    Id,
    /// A text, or absent.
    Project,
    /// A text.
    Title,
    /// A text.
    Description,
    /// A status.
    Status,
    /// A priority.
    Priority,
    /// An id.
    CreatorId,
    /// An id, or absent.
    AssigneeId,
    /// An id, or absent.
    ParentId,
    /// Texts.
    Tags,
    /// A time, or absent.
    DueAt,
    /// A time.
    CreatedAt,
    /// A time.
    UpdatedAt,
    /// A time.
    StatusChangedAt,
    /// A time, or absent.
    CompletedAt,
    /// A whole number.
    Version,
    /// A custom field, or something within one: any JSON, or absent. At least one key.
    Custom(Path),
}

impl Field {
    /// Whether a task may be without it.
    pub fn may_be_absent(&self) -> bool {
        matches!(
            self,
            Self::Project
                | Self::AssigneeId
                | Self::ParentId
                | Self::DueAt
                | Self::CompletedAt
                | Self::Custom(_)
        )
    }
}

impl Subject {
    /// Whether it may be absent though there is a task.
    pub fn may_be_absent(&self) -> bool {
        match self {
            Self::Task(field) => field.may_be_absent(),
            Self::Previous(_) | Self::EventData(_) | Self::EventActor => true,
            Self::EventType | Self::Changed(_) => false,
        }
    }

    /// Whether it is always of the kind of which a range is, unless it is absent.
    pub(super) fn is_of_kind(&self, range: &Range) -> bool {
        let field = match self {
            Self::Task(field) | Self::Previous(field) => field,
            Self::EventType => return matches!(range, Range::Text(_)),
            Self::EventData(_) | Self::EventActor | Self::Changed(_) => return false,
        };
        match range {
            Range::Time(_) => matches!(
                field,
                Field::DueAt
                    | Field::CreatedAt
                    | Field::UpdatedAt
                    | Field::StatusChangedAt
                    | Field::CompletedAt
            ),
            Range::Text(_) => matches!(field, Field::Project | Field::Title | Field::Description),
            Range::Number(_) => *field == Field::Version,
        }
    }

    /// What it is according to the facts.
    pub fn find<'a>(&self, facts: &Facts<'a>) -> Found<'a> {
        match self {
            Self::Task(field) => facts.task.map_or(Found::Absent, |task| field.of(task)),
            Self::Previous(field) => {
                let previous = facts.event.previous();
                previous.map_or(Found::Absent, |task| field.of(task))
            }
            Self::EventType => Found::Text(Cow::Borrowed(facts.event.kind.as_str())),
            Self::EventData(path) => of_data(facts.event, path),
            Self::EventActor => facts.event.actor_id.map_or(Found::Absent, |id| id.0.into()),
            Self::Changed(name) => Found::Bool(match &facts.event.data {
                EventData::System(snapshot) => snapshot.changes.iter().any(|of| of == name),
                EventData::Custom(_) => false,
            }),
        }
    }
}

/// What a subject was found to be.
#[derive(Debug)]
pub enum Found<'a> {
    /// Nothing is there.
    Absent,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Cow<'a, str>),
    /// A status.
    Status(Status),
    /// A priority.
    Priority(Priority),
    /// An id of a task or user.
    Id(Uuid),
    /// An instant.
    Time(Timestamp),
    /// The tags.
    Texts(&'a [String]),
    /// A list or an object, which equals nothing that is asked for.
    Many,
}

impl From<Uuid> for Found<'_> {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl Field {
    fn of<'a>(&self, task: &'a Task) -> Found<'a> {
        let text = |text: &'a str| Found::Text(Cow::Borrowed(text));
        match self {
            Self::Id => task.id.0.into(),
            Self::Project => task.project.as_deref().map_or(Found::Absent, text),
            Self::Title => text(&task.title),
            Self::Description => text(&task.description),
            Self::Status => Found::Status(task.status),
            Self::Priority => Found::Priority(task.priority),
            Self::CreatorId => task.creator_id.0.into(),
            Self::AssigneeId => task.assignee_id.map_or(Found::Absent, |id| id.0.into()),
            Self::ParentId => task.parent_id.map_or(Found::Absent, |id| id.0.into()),
            Self::Tags => Found::Texts(&task.tags),
            Self::DueAt => task.due_at.map_or(Found::Absent, Found::Time),
            Self::CreatedAt => Found::Time(task.created_at),
            Self::UpdatedAt => Found::Time(task.updated_at),
            Self::StatusChangedAt => Found::Time(task.status_changed_at),
            Self::CompletedAt => task.completed_at.map_or(Found::Absent, Found::Time),
            Self::Version => Found::Number(task.version.into()),
            Self::Custom(path) => match path.split_first() {
                Some((first, rest)) => within(task.fields.get(first), rest),
                None => Found::Many,
            },
        }
    }
}

fn of_data<'a>(event: &'a Event, path: &[String]) -> Found<'a> {
    match (&event.data, path.split_first()) {
        (EventData::Custom(value), _) => within(Some(value), path),
        (EventData::System(_), None) => Found::Many,
        (EventData::System(snapshot), Some((first, rest))) => {
            // What stands beside these is found without writing all of them out.
            if matches!(first.as_str(), "task" | "previous" | "changes" | "actor") {
                owned(within(Some(&event.data_json()), path))
            } else {
                within(snapshot.more.get(first), rest)
            }
        }
    }
}

fn owned(found: Found<'_>) -> Found<'static> {
    match found {
        Found::Text(text) => Found::Text(Cow::Owned(text.into_owned())),
        Found::Bool(truth) => Found::Bool(truth),
        Found::Number(number) => Found::Number(number),
        Found::Absent => Found::Absent,
        // JSON is nothing else.
        _ => Found::Many,
    }
}

fn within<'a>(value: Option<&'a Json>, path: &[String]) -> Found<'a> {
    let inner = path
        .iter()
        .try_fold(value, |value, key| Some(value?.as_object()?.get(key)))
        .flatten();
    match inner {
        None | Some(Json::Null) => Found::Absent,
        Some(Json::Bool(truth)) => Found::Bool(*truth),
        Some(Json::Number(number)) => Number::of_json(number).map_or(Found::Absent, Found::Number),
        Some(Json::String(text)) => Found::Text(Cow::Borrowed(text)),
        Some(Json::Array(_) | Json::Object(_)) => Found::Many,
    }
}
