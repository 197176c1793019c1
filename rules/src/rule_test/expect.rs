//! How what a script asked for differs from what was expected of it.

use super::given::Given;
use crate::waiting;
use crate::{Action, Moment};
use serde_json::{Map, Value};

/// The differences, line by line.
pub(super) fn differences(
    expected: &[Map<String, Value>],
    found: &[Action],
    given: &Given,
) -> Vec<String> {
    let found: Vec<Map<String, Value>> = found.iter().map(|a| shown(a, given)).collect();
    let mut lines = Vec::new();
    for number in 0..expected.len().max(found.len()) {
        let at = number + 1;
        match (expected.get(number), found.get(number)) {
            (Some(expected), Some(found)) => {
                for difference in of_map("", expected, found) {
                    lines.push(format!("action {at}: {difference}"));
                }
            }
            (Some(expected), None) => {
                lines.push(format!(
                    "action {at}: expected {}, got none",
                    one_line(expected)
                ));
            }
            (None, Some(found)) => {
                lines.push(format!("action {at}: not expected: {}", one_line(found)));
            }
            (None, None) => {}
        }
    }
    lines
}

/// How what happens when differs. Waits count where the test names one.
pub(super) fn of_timeline(
    expected: &[Map<String, Value>],
    found: &[Moment],
    given: &Given,
) -> Vec<String> {
    let waits = |name: &str| waiting::CALLS.contains(&name);
    let names_waits = expected.iter().any(|moment| {
        let action = moment.get("action").and_then(Value::as_str);
        action.is_some_and(waits)
    });
    let found = found.iter().filter(|of| names_waits || !waits(of.action));
    let found: Vec<Map<String, Value>> = found.map(|moment| when(moment, given)).collect();
    let mut lines = Vec::new();
    for number in 0..expected.len().max(found.len()) {
        let at = number + 1;
        match (expected.get(number), found.get(number)) {
            (Some(expected), Some(found)) => {
                let differences = of_map("", expected, found);
                if !differences.is_empty() {
                    lines.push(format!("moment {at}, {}:", one_line(found)));
                    lines.extend(differences.iter().map(|line| format!("  {line}")));
                }
            }
            (Some(expected), None) => {
                lines.push(format!(
                    "moment {at}: expected {}, got none",
                    one_line(expected)
                ));
            }
            (None, Some(found)) => {
                lines.push(format!("moment {at}: not expected: {}", one_line(found)));
            }
            (None, None) => {}
        }
    }
    lines
}

/// A moment as a test speaks of it.
fn when(moment: &Moment, given: &Given) -> Map<String, Value> {
    let mut told = match (&moment.done, &moment.detail) {
        (Some(action), _) => shown(action, given),
        (None, Value::Object(detail)) => detail.clone(),
        (None, _) => Map::new(),
    };
    told.insert("action".to_owned(), moment.action.into());
    told.insert("after".to_owned(), moment.after.to_string().into());
    told.insert("at".to_owned(), moment.at.to_string().into());
    told.insert("summary".to_owned(), moment.summary.as_str().into());
    told
}

/// How what a rule keeps differs; here every key counts.
pub(super) fn of_state(expected: &Map<String, Value>, kept: &Map<String, Value>) -> Vec<String> {
    let mut lines = of_map("", expected, kept);
    for (key, value) in kept {
        if !expected.contains_key(key) {
            lines.push(format!("`{key}` is kept, and was not expected: {value}"));
        }
    }
    lines.iter().map(|line| format!("state: {line}")).collect()
}

/// The keys that are expected; others may be there.
fn of_map(within: &str, expected: &Map<String, Value>, found: &Map<String, Value>) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, expected) in expected {
        let place = match within {
            "" => key.clone(),
            within => format!("{within}.{key}"),
        };
        match (expected, found.get(key)) {
            (Value::Object(expected), Some(Value::Object(found))) => {
                lines.extend(of_map(&place, expected, found));
            }
            (expected, Some(found)) if same(expected, found) => {}
            (expected, Some(found)) => {
                lines.push(format!("`{place}` is {found}, expected {expected}"));
            }
            (expected, None) => {
                let there: Vec<&str> = found.keys().map(String::as_str).collect();
                lines.push(format!(
                    "there is no `{place}`, expected {expected}; there is {}",
                    there.join(", ")
                ));
            }
        }
    }
    lines
}

/// Numbers by value: `1` and `1.0` are the same.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (a, b) => a == b,
    }
}

/// An action as a test speaks of it: what the record of the run says, and the texts and payloads
/// that the record leaves out; people by their addresses, tasks by their names in the test.
fn shown(action: &Action, given: &Given) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("action".to_owned(), action.name().into());
    if let Value::Object(whole) = action.whole() {
        shown.extend(whole);
    }
    let address = |user| given.address(user).map_or(Value::Null, Value::from);
    match action {
        Action::AssignTask { user_id, .. } => {
            let to = user_id.map_or(Value::Null, address);
            shown.insert("user".to_owned(), to);
        }
        Action::CreateTask { task, .. } => {
            let assignee = task.assignee_id.map_or(Value::Null, address);
            shown.insert("assignee".to_owned(), assignee);
        }
        _ => {}
    }
    if let Some(name) = action.task_id().and_then(|id| given.name(id)) {
        shown.insert("task".to_owned(), name.into());
    }
    shown
}

fn one_line(action: &Map<String, Value>) -> String {
    if let (Some(after), Some(summary)) = (action.get("after"), action.get("summary")) {
        let plain = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        return format!("{} after {}", plain(summary), plain(after));
    }
    let name = action.get("action").and_then(Value::as_str);
    let rest: Map<String, Value> = action
        .iter()
        .filter(|(key, _)| *key != "action")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    format!("{} {}", name.unwrap_or("an action"), Value::Object(rest))
}
