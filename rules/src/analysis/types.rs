//! What is known of a value without running the script: sound rather than clever, because an
//! error that is none would keep a good rule from being stored.

use crate::world::{
    BusinessDays, EventHandle, Moment, RuleHandle, StateHandle, TaskHandle, UserHandle,
    WorkspaceHandle,
};
use rhai::{Array, Dynamic, FLOAT, INT, Ident, ImmutableString, Map, Position};
use smarttasks_model::{Priority, Span};
use std::any::TypeId;
use std::sync::Arc;

/// What kind of value it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody knows.
    #[default]
    Unknown,
    Absent,
    Bool,
    Int,
    Float,
    Char,
    Text,
    /// A text, and one of the statuses.
    Status,
    List,
    Map,
    Priority,
    Moment,
    Span,
    BusinessDays,
    Task,
    User,
    Event,
    Rule,
    Workspace,
    State,
}

impl Kind {
    /// In the words of the documentation.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Unknown => "something",
            Self::Absent => "an absent value",
            Self::Bool => "true or false",
            Self::Int | Self::Float => "a number",
            Self::Char => "a letter",
            Self::Text => "a text",
            Self::Status => "a status",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Priority => "a priority",
            Self::Moment => "a time",
            Self::Span => "a duration",
            Self::BusinessDays => "a number of business days",
            Self::Task => "a task",
            Self::User => "a user",
            Self::Event => "the event",
            Self::Rule => "the rule",
            Self::Workspace => "the workspace",
            Self::State => "what the rule keeps",
        }
    }

    /// The Rust type of such values, by which functions are chosen.
    pub(super) fn type_id(self) -> Option<TypeId> {
        Some(match self {
            Self::Unknown => return None,
            Self::Absent => TypeId::of::<()>(),
            Self::Bool => TypeId::of::<bool>(),
            Self::Int => TypeId::of::<INT>(),
            Self::Float => TypeId::of::<FLOAT>(),
            Self::Char => TypeId::of::<char>(),
            Self::Text | Self::Status => TypeId::of::<ImmutableString>(),
            Self::List => TypeId::of::<Array>(),
            Self::Map => TypeId::of::<Map>(),
            Self::Priority => TypeId::of::<Priority>(),
            Self::Moment => TypeId::of::<Moment>(),
            Self::Span => TypeId::of::<Span>(),
            Self::BusinessDays => TypeId::of::<BusinessDays>(),
            Self::Task => TypeId::of::<TaskHandle>(),
            Self::User => TypeId::of::<UserHandle>(),
            Self::Event => TypeId::of::<EventHandle>(),
            Self::Rule => TypeId::of::<RuleHandle>(),
            Self::Workspace => TypeId::of::<WorkspaceHandle>(),
            Self::State => TypeId::of::<StateHandle>(),
        })
    }

    /// The kind of a parameter, for messages.
    pub(super) fn of_type(id: TypeId) -> Option<Self> {
        const ALL: [Kind; 18] = [
            Kind::Absent,
            Kind::Bool,
            Kind::Int,
            Kind::Float,
            Kind::Char,
            Kind::Text,
            Kind::List,
            Kind::Map,
            Kind::Priority,
            Kind::Moment,
            Kind::Span,
            Kind::BusinessDays,
            Kind::Task,
            Kind::User,
            Kind::Event,
            Kind::Rule,
            Kind::Workspace,
            Kind::State,
        ];
        ALL.into_iter().find(|kind| kind.type_id() == Some(id))
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Status | Self::Char)
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }

    /// Whether it is of this language rather than of Rhai, which then has no operators for it.
    pub(super) fn is_host(self) -> bool {
        matches!(
            self,
            Self::Priority
                | Self::Moment
                | Self::Span
                | Self::BusinessDays
                | Self::Task
                | Self::User
                | Self::Event
                | Self::Rule
                | Self::Workspace
                | Self::State
        )
    }

    /// Whether a value of the one may equal a value of the other.
    pub(super) fn comparable(self, other: Self) -> bool {
        self == other
            || self == Self::Unknown
            || other == Self::Unknown
            || self.is_text() && other.is_text()
            || self.is_number() && other.is_number()
    }
}

/// The type of anything that takes any argument.
pub(super) fn any() -> TypeId {
    TypeId::of::<Dynamic>()
}

/// An entry of a map.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Ident,
    pub(super) value: Type,
    /// Where the value stands.
    pub(super) at: Position,
}

/// What is known of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Type {
    pub(super) kind: Kind,
    /// It may also be absent.
    pub(super) absent: bool,
    /// The text itself, when it stands in the script.
    pub(super) text: Option<ImmutableString>,
    /// Of a list: each of its elements is one of these.
    pub(super) items: Option<Arc<[Type]>>,
    /// Of a map that stands in the script: what is in it.
    pub(super) entries: Option<Arc<[Entry]>>,
    /// Where it comes from, such as `task.assignee`: by this name tests of the script are
    /// remembered.
    pub(super) path: Option<Arc<str>>,
}

impl Type {
    pub(super) const UNKNOWN: Self = Self {
        kind: Kind::Unknown,
        absent: false,
        text: None,
        items: None,
        entries: None,
        path: None,
    };

    pub(super) fn of(kind: Kind) -> Self {
        Self {
            kind,
            ..Self::UNKNOWN
        }
    }

    pub(super) fn or_absent(kind: Kind) -> Self {
        Self {
            kind,
            absent: true,
            ..Self::UNKNOWN
        }
    }

    pub(super) fn text(text: ImmutableString) -> Self {
        Self {
            text: Some(text),
            ..Self::of(Kind::Text)
        }
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self {
            items: Some(items.into()),
            ..Self::of(Kind::List)
        }
    }

    pub(super) fn at(mut self, path: impl Into<Arc<str>>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// What one element of it is.
    pub(super) fn item(&self) -> Self {
        let Some([first, more @ ..]) = self.items.as_deref() else {
            return Self::UNKNOWN;
        };
        if more.iter().all(|item| item.kind == first.kind) {
            Self {
                absent: self
                    .items
                    .iter()
                    .flat_map(|all| all.iter())
                    .any(|item| item.absent),
                ..Self::of(first.kind)
            }
        } else {
            Self::UNKNOWN
        }
    }

    /// The kinds that it may be; none known when it may be anything.
    pub(super) fn kinds(&self) -> Option<Vec<Kind>> {
        match (self.kind, self.absent) {
            (Kind::Unknown, _) => None,
            (kind, false) => Some(vec![kind]),
            (kind, true) => Some(vec![kind, Kind::Absent]),
        }
    }
}

/// What a name of the language stands for.
pub(super) fn of_name(name: &str) -> Type {
    match name {
        "LOW" | "NORMAL" | "HIGH" | "URGENT" => Type::of(Kind::Priority),
        // Absent where the run is about no task.
        "task" | "previous" => Type::or_absent(Kind::Task).at(name),
        "event" => Type::of(Kind::Event).at(name),
        "rule" => Type::of(Kind::Rule),
        "workspace" => Type::of(Kind::Workspace),
        "state" => Type::of(Kind::State),
        _ => Type::UNKNOWN,
    }
}

/// What a field holds; unknown when it is not in this table.
pub(super) fn of_field(of: Kind, name: &str) -> Type {
    match of {
        Kind::Task => of_task_field(name),
        Kind::User => match name {
            "id" => Type::of(Kind::Text),
            // Of somebody who left, only the id is known.
            "name" | "email" | "timezone" => Type::or_absent(Kind::Text),
            _ => Type::UNKNOWN,
        },
        Kind::Event => match name {
            "id" | "type" => Type::of(Kind::Text),
            "time" => Type::of(Kind::Moment),
            "actor" => Type::or_absent(Kind::User),
            _ => Type::UNKNOWN,
        },
        Kind::Rule | Kind::Workspace => match name {
            "id" | "name" | "timezone" => Type::of(Kind::Text),
            "version" => Type::of(Kind::Int),
            _ => Type::UNKNOWN,
        },
        Kind::Moment => match name {
            "weekday" | "zone" => Type::of(Kind::Text),
            "is_weekend" => Type::of(Kind::Bool),
            "year" | "month" | "day" | "hour" | "minute" | "second" => Type::of(Kind::Int),
            _ => Type::UNKNOWN,
        },
        Kind::Span => match name {
            "seconds" | "minutes" | "hours" | "days" | "weeks" => Type::of(Kind::Int),
            _ => Type::UNKNOWN,
        },
        Kind::Text | Kind::Status | Kind::List if name == "len" => Type::of(Kind::Int),
        _ => Type::UNKNOWN,
    }
}

fn of_task_field(name: &str) -> Type {
    match name {
        "id" | "workspace_id" | "title" | "description" | "creator_id" => Type::of(Kind::Text),
        "project" | "assignee_id" | "parent_id" => Type::or_absent(Kind::Text),
        "status" => Type::of(Kind::Status),
        "priority" => Type::of(Kind::Priority),
        "tags" => Type::list(vec![Type::of(Kind::Text)]),
        "due_at" | "completed_at" => Type::or_absent(Kind::Moment),
        "created_at" | "updated_at" | "status_changed_at" => Type::of(Kind::Moment),
        "age" | "time_in_status" => Type::of(Kind::Span),
        "fields" => Type::of(Kind::Map),
        "version" => Type::of(Kind::Int),
        "is_open" | "is_overdue" => Type::of(Kind::Bool),
        "owner" | "creator" => Type::of(Kind::User),
        "assignee" => Type::or_absent(Kind::User),
        _ => Type::UNKNOWN,
    }
}

/// What a function or method of the language returns, given its first argument; unknown when it
/// is not in this table.
pub(super) fn of_call(name: &str, first: &Type) -> Type {
    match name {
        "now" | "timestamp" | "in_zone" => Type::of(Kind::Moment),
        "seconds" | "minutes" | "hours" | "days" | "weeks" => Type::of(Kind::Span),
        "business_days" => Type::of(Kind::BusinessDays),
        "format" if first.kind == Kind::Moment => Type::of(Kind::Text),
        "abs" if first.kind == Kind::Span => Type::of(Kind::Span),
        "create_task" => Type::of(Kind::Task),
        "changed" | "contains" | "starts_with" | "ends_with" => Type::of(Kind::Bool),
        "to_string" | "to_upper" | "to_lower" | "type_of" => Type::of(Kind::Text),
        "count" if first.kind == Kind::Map => Type::of(Kind::Int),
        "len" if first.kind.is_text() || first.kind == Kind::List => Type::of(Kind::Int),
        "tasks" => Type::list(vec![Type::of(Kind::Task)]),
        "user" => Type::or_absent(Kind::User).at("user(…)"),
        "members" => Type::list(vec![Type::of(Kind::User)]),
        "wait_for" => Type::or_absent(Kind::Event),
        "http" => Type::of(Kind::Map),
        "approve" => Type::or_absent(Kind::Bool),
        _ => Type::UNKNOWN,
    }
}

/// What an operator gives; unknown when it is not in this table.
pub(super) fn of_operator(operator: &str, a: Kind, b: Kind) -> Type {
    use Kind::{BusinessDays, Float, Int, Moment, Span, Text};
    Type::of(match (operator, a, b) {
        ("==" | "!=" | "<" | "<=" | ">" | ">=", _, _) => Kind::Bool,
        ("-", Moment, Moment) => Span,
        ("+" | "-", Moment, Span) | ("+", Span, Moment) => Moment,
        ("+" | "-", Moment, BusinessDays) | ("+", BusinessDays, Moment) => Moment,
        ("+" | "-", Span, Span) => Span,
        ("*", Span, Int) | ("*", Int, Span) | ("/", Span, Int) => Span,
        ("/", Span, Span) => Float,
        ("+" | "-" | "*" | "/" | "%", Int, Int) => Int,
        ("+" | "-" | "*" | "/", Float, Int | Float) | ("+" | "-" | "*" | "/", Int, Float) => Float,
        ("+", a, _) if a.is_text() && a != Kind::Char => Text,
        _ => Kind::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Language, Limits, WordKind};

    fn kind(name: &str) -> Kind {
        match name {
            "bool" => Kind::Bool,
            "int" => Kind::Int,
            "float" => Kind::Float,
            "text" => Kind::Text,
            "list" => Kind::List,
            "map" => Kind::Map,
            "Priority" => Kind::Priority,
            "Timestamp" => Kind::Moment,
            "Duration" => Kind::Span,
            "BusinessDays" => Kind::BusinessDays,
            "Task" => Kind::Task,
            "User" => Kind::User,
            "Event" => Kind::Event,
            "Rule" => Kind::Rule,
            "Workspace" => Kind::Workspace,
            "State" => Kind::State,
            _ => Kind::Unknown,
        }
    }

    /// What the register says that a word gives: the kind, and whether it may be absent.
    fn said(signature: &str) -> (Kind, bool) {
        let gives = signature.rsplit_once("-> ").or_else(|| {
            let field = signature.split_once(": ");
            field.filter(|(name, _)| !name.contains('('))
        });
        let types = gives.map_or("", |(_, types)| types);
        let kinds: Vec<&str> = types.split(" | ").collect();
        match kinds[..] {
            [one] => (kind(one), false),
            [one, "()"] => (kind(one), true),
            _ => (Kind::Unknown, false),
        }
    }

    #[test]
    fn the_analysis_knows_of_every_word_what_the_register_says() {
        let language = Language::new(Limits::default());
        for word in language.words() {
            let of = word.of.map_or(Kind::Unknown, kind);
            let known = match word.kind {
                WordKind::Name | WordKind::Constant => of_name(word.name),
                WordKind::Field => of_field(of, word.name),
                WordKind::Operator => continue,
                _ => of_call(word.name, &Type::of(of)),
            };
            let known_kind = match known.kind {
                Kind::Status => Kind::Text,
                kind => kind,
            };
            let (kind, absent) = said(word.signature);
            let must_know = matches!(
                word.kind,
                WordKind::Name | WordKind::Constant | WordKind::Field
            );
            if must_know || known_kind != Kind::Unknown {
                assert_eq!(
                    (known_kind, known.absent),
                    (kind, absent),
                    "{}",
                    word.signature
                );
            }
        }
    }
}
