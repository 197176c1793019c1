//! The file as it is written.

use super::RuleTestError;
use crate::GivenAnswers;
use serde::Deserialize;
use serde_json::{Map, Value};
use smarttasks_model::{Email, EventType, TimeZone, Timestamp};

/// A file of tests. What stands before the first test holds for all that do not say otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    now: Option<Timestamp>,
    timezone: Option<TimeZone>,
    members: Option<Vec<Member>>,
    #[serde(default)]
    test: Vec<Value>,
}

/// A test.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    /// A sentence.
    pub(super) name: String,
    /// When the run starts.
    #[serde(alias = "at")]
    pub(super) now: Option<Timestamp>,
    /// The zone of the workspace; UTC unless said.
    pub(super) timezone: Option<TimeZone>,
    /// The members of the workspace, the first of whom answers for the rule; Ann and Bob unless
    /// said.
    pub(super) members: Option<Vec<Member>>,
    /// The task that the run is about, if it is about one.
    pub(super) task: Option<Map<String, Value>>,
    /// What starts the run; what the rule's first trigger waits for, unless said.
    #[serde(default)]
    pub(super) event: StartedBy,
    /// Further tasks of the workspace, from which queries are answered.
    #[serde(default)]
    pub(super) tasks: Vec<Map<String, Value>>,
    /// What the rule has kept.
    #[serde(default)]
    pub(super) state: Map<String, Value>,
    /// The events that come while it waits, about its task.
    #[serde(default)]
    pub(super) events: Vec<Map<String, Value>>,
    /// What is answered to it.
    #[serde(default)]
    pub(super) answers: GivenAnswers,
    /// The actions, in order, whenever they are done; none when the rule must not match.
    pub(super) expect: Option<Vec<Map<String, Value>>>,
    /// What happens when. The waits are compared where at least one is named.
    pub(super) timeline: Option<Vec<Map<String, Value>>>,
    /// How the run ends, where it is not `succeeded`.
    pub(super) status: Option<String>,
    /// What the rule keeps from then on, where that matters.
    pub(super) expect_state: Option<Map<String, Value>>,
}

/// A member of the workspace.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) email: Email,
}

/// What starts the run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StartedBy {
    #[serde(rename = "type")]
    pub(super) kind: Option<EventType>,
    /// Who caused it: the address of a member.
    pub(super) actor: Option<String>,
    /// What a custom event carries, or what one of the system's carries beside the task.
    #[serde(default)]
    pub(super) data: Value,
    /// The fields of the task that were different before, as they were.
    pub(super) previous: Option<Map<String, Value>>,
}

/// The tests of a file.
pub(super) fn read(text: &str) -> Result<Vec<Test>, RuleTestError> {
    let table: toml::Table = toml::from_str(text).map_err(|error| RuleTestError {
        message: error.message().to_owned(),
        line: error
            .span()
            .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1),
    })?;
    let wrong = |message: String| RuleTestError {
        message,
        line: None,
    };
    let file: File = serde_json::from_value(json(toml::Value::Table(table)))
        .map_err(|error| wrong(error.to_string()))?;
    if file.test.is_empty() {
        return Err(wrong("there is no [[test]]".to_owned()));
    }
    let mut tests = Vec::new();
    for (number, test) in file.test.into_iter().enumerate() {
        let name = match test.get("name").and_then(Value::as_str) {
            Some(name) => format!("\"{name}\""),
            None => format!("number {}", number + 1),
        };
        let test: Test =
            serde_json::from_value(test).map_err(|error| wrong(format!("test {name}: {error}")))?;
        if test.expect.is_none() && test.timeline.is_none() {
            let message =
                format!("test {name}: neither `expect` nor `timeline` says what is expected");
            return Err(wrong(message));
        }
        tests.push(Test {
            now: test.now.or(file.now),
            timezone: test.timezone.or(file.timezone),
            members: test.members.or_else(|| file.members.clone()),
            ..test
        });
    }
    Ok(tests)
}

/// As JSON, the language of tasks and events; a time may be written as TOML writes it.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => Value::Object(
            table
                .into_iter()
                .map(|(key, value)| (key, json(value)))
                .collect(),
        ),
    }
}
