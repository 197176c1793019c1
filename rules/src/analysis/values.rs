//! What the functions of the language take, where their Rust types do not say it, and which
//! written values they refuse.

use super::types::{Kind, Type};
use crate::nearest::did_you_mean;
use crate::{action, waiting, world};
use chrono::format::StrftimeItems;
use smarttasks_model::{
    Email, EventPattern, EventType, Priority, Status, TimeZone, Timestamp, UserId,
};
use std::str::FromStr;

const TEXT: &[Kind] = &[Kind::Text];
const NUMBER: &[Kind] = &[Kind::Int, Kind::Float];
const TASK: &[Kind] = &[Kind::Task];
const MOMENT: &[Kind] = &[Kind::Moment];
const SPAN: &[Kind] = &[Kind::Span];
const MEMBER: &[Kind] = &[Kind::User, Kind::Text];
const USER: &[Kind] = &[Kind::User, Kind::Text, Kind::Absent];
const RECIPIENTS: &[Kind] = &[Kind::User, Kind::Text, Kind::List, Kind::Absent];
const ANYTHING: &[Kind] = &[];

/// The kinds that each parameter takes, of functions that take any value and look at it
/// themselves. No kind stands for all.
pub(super) fn parameters(name: &str, arguments: usize) -> &'static [&'static [Kind]] {
    match (name, arguments) {
        ("email", 3) => &[RECIPIENTS, TEXT, TEXT],
        ("notify", 3) => &[USER, TEXT, TEXT],
        ("user", 1) => &[USER],
        ("business_days", 1) => &[&[Kind::Int]],
        ("webhook", 2) => &[TEXT, ANYTHING],
        ("emit", 1) => &[TEXT],
        ("emit", 2) => &[TEXT, ANYTHING],
        ("assign", 2) => &[TASK, USER],
        ("comment" | "tag" | "untag", 2) => &[TASK, TEXT],
        ("seconds" | "minutes" | "hours" | "days" | "weeks", 1) => &[NUMBER],
        ("sleep", 1) => &[SPAN],
        ("sleep_until", 1) => &[MOMENT],
        ("wait_for", 2) => &[TEXT, SPAN],
        ("approve", 3) => &[MEMBER, TEXT, SPAN],
        _ => &[],
    }
}

/// The keys that a call takes in its map.
pub(super) fn keys(call: &str) -> Vec<&'static str> {
    match call {
        "email" => action::EMAIL_KEYS.to_vec(),
        "create_task" | "task.update" => action::SETTABLE.to_vec(),
        "http" => waiting::HTTP_KEYS.to_vec(),
        "count" => world::FILTER_KEYS.to_vec(),
        "tasks" => [world::FILTER_KEYS, &["limit"]].concat(),
        _ => Vec::new(),
    }
}

/// The kinds that a key takes; none stands for all.
pub(super) fn key_kinds(call: &str, key: &str) -> &'static [Kind] {
    match (call, key) {
        ("email", "to") => RECIPIENTS,
        ("email", "subject" | "text") => TEXT,
        ("email", "html") => &[Kind::Text, Kind::Absent],
        ("http", "url") => TEXT,
        ("http", "method") => &[Kind::Text, Kind::Absent],
        ("http", "headers") => &[Kind::Map, Kind::Absent],
        ("http", "timeout") => &[Kind::Span, Kind::Absent],
        ("create_task" | "task.update", key) => match key {
            "title" | "description" => TEXT,
            "status" => TEXT,
            "project" | "parent_id" | "assignee_id" => &[Kind::Text, Kind::Absent],
            "priority" => &[Kind::Priority, Kind::Text],
            "assignee" => USER,
            "tags" => &[Kind::List],
            "due_at" => &[Kind::Moment, Kind::Text, Kind::Absent],
            "fields" => &[Kind::Map],
            _ => ANYTHING,
        },
        ("tasks" | "count", key) => match key {
            "status" => &[Kind::Text, Kind::List],
            "priority" => &[Kind::Priority, Kind::Text, Kind::List],
            "open" | "overdue" => &[Kind::Bool],
            "project" | "tag" | "q" => TEXT,
            "assignee" => USER,
            "creator" => &[Kind::User, Kind::Text],
            "parent" => &[Kind::Task, Kind::Text],
            "limit" => &[Kind::Int],
            _ => &[Kind::Moment, Kind::Text],
        },
        _ => ANYTHING,
    }
}

/// What is taken, in words. A text that is taken for a user is an address.
pub(super) fn expected(takes: &[Kind]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for kind in takes {
        let word = match kind {
            Kind::Absent => continue,
            Kind::Text if takes.contains(&Kind::User) => "an address",
            Kind::Int if !takes.contains(&Kind::Float) => "a whole number",
            kind => kind.words(),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    match &words[..] {
        [] => "something else".to_owned(),
        [one] => (*one).to_owned(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    }
}

/// What is given instead, in words.
pub(super) fn given(kind: Kind) -> &'static str {
    match kind {
        Kind::Float => "a number with a fraction",
        kind => kind.words(),
    }
}

/// What to write instead of a value of a wrong kind.
pub(super) fn instead(takes: &[Kind], got: &Type) -> String {
    let number = got.text.as_ref().filter(|text| text.parse::<f64>().is_ok());
    let example = match takes.first().copied().unwrap_or_default() {
        Kind::Bool => "write `true` or `false`",
        Kind::Int | Kind::Float => match number {
            Some(number) => return format!("leave out the quotes: {number}"),
            None if !takes.contains(&Kind::Float) => "a whole number is such as 5",
            None => "a number is such as 5 or 1.5",
        },
        Kind::Text => match got.kind {
            Kind::Absent => "`()` is nothing at all; a text stands between quotes",
            Kind::User => "say what of the user is meant: its `.name` or `.email`",
            Kind::Task => "say what of the task is meant: its `.title` or `.id`",
            _ => "to write it out, put it into a text: `${…}` between backticks",
        },
        Kind::User => "a user is such as `task.owner`, an address such as \"ann@example.com\"",
        Kind::Task => "do it to a task, such as `task`",
        Kind::Moment => "a time is such as now() + days(1) or `task.due_at`",
        Kind::Span => "a duration is such as hours(4) or days(2)",
        Kind::Priority => "the priorities are LOW, NORMAL, HIGH and URGENT",
        Kind::List => "a list is written `[a, b]`",
        Kind::Map => "a map is written `#{ key: value }`",
        _ => "give a value of another kind",
    };
    example.to_owned()
}

/// What is wrong with a value that stands in the script.
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Problem {
    fn new(message: String, hint: Option<&str>) -> Self {
        Self {
            message,
            hint: hint.map(str::to_owned),
        }
    }
}

/// The argument that a call surely refuses.
pub(super) fn invalid(call: &str, arguments: &[Type]) -> Option<(usize, Problem)> {
    let (place, check): (usize, fn(&str) -> Option<Problem>) = match (call, arguments.len()) {
        ("timestamp", 1) => (0, instant),
        ("in_zone", 2) => (1, zone),
        ("format", 2) => (1, pattern),
        ("emit", 1 | 2) => (0, event_type),
        ("wait_for", 2) => (0, event_pattern),
        ("email", 3) => (0, address),
        _ => return None,
    };
    let text = arguments[place].text.as_deref()?;
    check(text).map(|problem| (place, problem))
}

fn instant(text: &str) -> Option<Problem> {
    text.parse::<Timestamp>().err().map(|_| {
        Problem::new(
            format!("\"{text}\" is not an instant"),
            Some("write it as 2026-12-01T09:00:00Z, with its zone"),
        )
    })
}

fn zone(text: &str) -> Option<Problem> {
    text.parse::<TimeZone>().err().map(|_| {
        let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let near = did_you_mean(text, names);
        Problem {
            message: format!("there is no time zone \"{text}\""),
            hint: near.or_else(|| Some("write it as Europe/Berlin".to_owned())),
        }
    })
}

fn pattern(text: &str) -> Option<Problem> {
    StrftimeItems::new(text).parse().err().map(|_| {
        Problem::new(
            format!("\"{text}\" is not a pattern of strftime"),
            Some("a pattern is such as \"%d %b %H:%M\""),
        )
    })
}

fn event_type(text: &str) -> Option<Problem> {
    EventType::custom(text).err().map(|error| {
        let message = format!("no event can be called \"{text}\": {error}");
        Problem::new(message, Some("write it as ci.failed or invoice.paid"))
    })
}

fn event_pattern(text: &str) -> Option<Problem> {
    text.parse::<EventPattern>().err().map(|error| {
        let message = format!("no event is of the type \"{text}\": {error}");
        let near = did_you_mean(text, EventType::SYSTEM.iter().copied());
        let usual = "write it as task.completed, task.* or ci.failed".to_owned();
        Problem {
            message,
            hint: near.or(Some(usual)),
        }
    })
}

/// What is wrong with a URL that is asked.
pub(super) fn url(text: &str) -> Option<Problem> {
    waiting::url(text).err().map(|error| {
        Problem::new(
            format!("\"{text}\" cannot be asked: {error}"),
            Some("write it as https://example.com/api"),
        )
    })
}

/// What is wrong with a method of HTTP.
pub(super) fn method(text: &str) -> Option<Problem> {
    let methods = waiting::METHODS;
    if methods.contains(&text.to_ascii_uppercase().as_str()) {
        return None;
    }
    let hint = did_you_mean(&text.to_ascii_uppercase(), methods.iter().copied())
        .unwrap_or_else(|| format!("it is one of {}", methods.join(", ")));
    Some(Problem {
        message: format!("`http` does not know the method \"{text}\""),
        hint: Some(hint),
    })
}

fn address(text: &str) -> Option<Problem> {
    let known = text.parse::<UserId>().is_ok() || text.parse::<Email>().is_ok();
    (!known).then(|| {
        Problem::new(
            format!("\"{text}\" is not an address"),
            Some("write it as ann@example.com, or give a user"),
        )
    })
}

/// What is wrong with a text as a status.
pub(super) fn status(text: &str) -> Option<Problem> {
    if Status::from_str(text).is_ok() {
        return None;
    }
    let all = Status::ALL.iter().map(|status| status.as_str());
    let hint = did_you_mean(text, all.clone())
        .unwrap_or_else(|| format!("it is one of {}", all.collect::<Vec<_>>().join(", ")));
    Some(Problem {
        message: format!("no status is \"{text}\""),
        hint: Some(hint),
    })
}

/// What is wrong with a text as a priority, where one is taken as a text.
pub(super) fn priority(text: &str) -> Option<Problem> {
    if Priority::from_str(text).is_ok() {
        return None;
    }
    Some(Problem::new(
        format!("no priority is \"{text}\""),
        Some("the priorities are LOW, NORMAL, HIGH and URGENT"),
    ))
}
