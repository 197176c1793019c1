//! Predicates as a person reads them.

use super::{Bounds, Check, Field, Moment, Number, Predicate, Range, Subject, Test, Value, Values};
use crate::{Priority, Span};
use std::fmt;

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test(test) => write!(f, "{test}"),
            Self::All(parts) if parts.is_empty() => f.write_str("always"),
            Self::Any(parts) if parts.is_empty() => f.write_str("never"),
            Self::All(parts) => joined(f, parts, ", and "),
            Self::Any(parts) => joined(f, parts, ", or "),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Predicate], by: &str) -> fmt::Result {
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            f.write_str(by)?;
        }
        match part {
            Predicate::Test(test) => write!(f, "{test}")?,
            part => write!(f, "({part})")?,
        }
    }
    Ok(())
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Subject::Changed(field) = &self.of {
            let changed = self.check.holds_of_true() != self.negated;
            let how = if changed { "changed" } else { "did not change" };
            return write!(f, "the event {how} {}", quoted_field(field));
        }
        if let Some(upright) = self.upright() {
            return upright.fmt(f);
        }
        match (&self.of, presence(self)) {
            (Subject::Task(Field::Id), Some(true)) => return f.write_str("there is a task"),
            (Subject::Task(Field::Id), Some(false)) => return f.write_str("there is no task"),
            (Subject::Previous(Field::Id), Some(true)) => {
                return f.write_str("there was a task before the event");
            }
            (Subject::Previous(Field::Id), Some(false)) => {
                return f.write_str("there was no task before the event");
            }
            _ => {}
        }
        let not = if self.negated { " not" } else { "" };
        match &self.check {
            Check::OneOf(values) if self.negated => {
                write!(f, "{} is {}", self.of, none_of(values))
            }
            Check::OneOf(values) => write!(f, "{} is {}", self.of, set(&self.of, values)),
            Check::Range(range) => write!(f, "{} is{not} {range}", self.of),
            Check::Has(tag) if self.negated => write!(f, "{} do not contain {tag:?}", self.of),
            Check::Has(tag) => write!(f, "{} contain {tag:?}", self.of),
            Check::Holds(part) if self.negated => {
                write!(f, "{} does not contain {part:?}", self.of)
            }
            Check::Holds(part) => write!(f, "{} contains {part:?}", self.of),
        }
    }
}

impl Check {
    fn holds_of_true(&self) -> bool {
        matches!(self, Self::OneOf(values) if values.contains(&Value::Bool(true)))
    }
}

/// Whether a test asks only whether something is there.
fn presence(test: &Test) -> Option<bool> {
    match &test.check {
        Check::OneOf(values) if values.len() == 1 && values.contains(&Value::Absent) => {
            Some(test.negated)
        }
        _ => None,
    }
}

fn quoted_field(name: &str) -> String {
    match name {
        "assignee_id" => "the assignee".to_owned(),
        "due_at" => "the deadline".to_owned(),
        "parent_id" => "the parent".to_owned(),
        "fields" => "a custom field".to_owned(),
        other => format!("the {other}"),
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(field) => field.fmt(f),
            Self::Previous(field) => write!(f, "before the event {field}"),
            Self::EventType => f.write_str("the event's type"),
            Self::EventData(path) if path.is_empty() => f.write_str("the event's data"),
            Self::EventData(path) => write!(f, "the event's {}", path.join(".")),
            Self::EventActor => f.write_str("the event's actor"),
            Self::Changed(field) => write!(f, "that the event changed {field}"),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "the task's id",
            Self::Project => "the project",
            Self::Title => "the title",
            Self::Description => "the description",
            Self::Status => "the status",
            Self::Priority => "the priority",
            Self::CreatorId => "the creator",
            Self::AssigneeId => "the assignee",
            Self::ParentId => "the parent",
            Self::Tags => "the tags",
            Self::DueAt => "the deadline",
            Self::CreatedAt => "the creation",
            Self::UpdatedAt => "the last change",
            Self::StatusChangedAt => "the last change of status",
            Self::CompletedAt => "the completion",
            Self::Version => "the version",
            Self::Custom(path) => return write!(f, "the field {}", path.join(".")),
        })
    }
}

/// "todo, in_progress or blocked"; "at least high".
fn set(of: &Subject, values: &Values) -> String {
    // Where there is a task, there is all that it always has.
    let shown = |value: &&Value| match of {
        Subject::Task(field) => field.may_be_absent() || **value != Value::Absent,
        _ => true,
    };
    let mut shown: Vec<&Value> = values.iter().filter(shown).collect();
    // What is absent comes last.
    let absent_first = shown.first().is_some_and(|first| **first == Value::Absent);
    shown.rotate_left(usize::from(absent_first));
    if let Some(text) = from_or_up_to(&shown) {
        return text;
    }
    match &words(&shown)[..] {
        [] => "absent".to_owned(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    }
}

/// "there, and neither \"a\" nor \"b\"".
fn none_of(values: &Values) -> String {
    let there = values.contains(&Value::Absent);
    let others: Vec<&Value> = values.iter().filter(|of| **of != Value::Absent).collect();
    let not = match &words(&others)[..] {
        [] => return "there".to_owned(),
        [one] => format!("not {one}"),
        [all @ .., last] => format!("neither {} nor {last}", all.join(", ")),
    };
    match there {
        true => format!("there, and {not}"),
        false => not,
    }
}

fn words(values: &[&Value]) -> Vec<String> {
    values.iter().map(|value| value.to_string()).collect()
}

/// Priorities in a row, up to the highest or down to the lowest.
fn from_or_up_to(values: &[&Value]) -> Option<String> {
    let priorities: Option<Vec<Priority>> = values
        .iter()
        .map(|value| match value {
            Value::Priority(priority) => Some(*priority),
            _ => None,
        })
        .collect();
    let priorities = priorities.filter(|of| of.len() > 1)?;
    if Priority::ALL.ends_with(&priorities) {
        return Some(format!("at least {}", priorities[0]));
    }
    let last = priorities.last()?;
    Priority::ALL
        .starts_with(&priorities)
        .then(|| format!("at most {last}"))
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Bool(truth) => truth.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Status(status) => status.fmt(f),
            Self::Priority(priority) => priority.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(bounds) => ends(f, bounds, Moment::to_string, TIMES),
            Self::Number(bounds) => ends(f, bounds, Number::to_string, NUMBERS),
            Self::Text(bounds) => ends(f, bounds, |text| format!("{text:?}"), TEXTS),
        }
    }
}

/// How the ends of a range are said: from, beyond, up to, before.
type Ends = [&'static str; 4];
const TIMES: Ends = ["at or after", "after", "at or before", "before"];
const NUMBERS: Ends = ["at least", "more than", "at most", "less than"];
const TEXTS: Ends = [
    "in the alphabet from",
    "behind",
    "in the alphabet up to",
    "before",
];

fn ends<T>(
    f: &mut fmt::Formatter<'_>,
    bounds: &Bounds<T>,
    say: impl Fn(&T) -> String,
    [from, beyond, up_to, before]: Ends,
) -> fmt::Result {
    if let Some(min) = &bounds.min {
        let how = if min.inclusive { from } else { beyond };
        write!(f, "{how} {}", say(&min.at))?;
    }
    if let Some(max) = &bounds.max {
        let and = if bounds.min.is_some() { " and " } else { "" };
        let how = if max.inclusive { up_to } else { before };
        write!(f, "{and}{how} {}", say(&max.at))?;
    }
    Ok(())
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(instant) => instant.fmt(f),
            Self::Now(offset) => match offset.millis() {
                0 => f.write_str("now"),
                ..0 => write!(f, "now - {}", Span::from_millis(-offset.millis())),
                1.. => write!(f, "now + {offset}"),
            },
        }
    }
}
