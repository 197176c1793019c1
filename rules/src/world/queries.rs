//! `tasks(#{…})`, `count(#{…})`, `user(…)` and `members()`: what a script asks about its workspace.

use super::people::{UserHandle, find_user};
use super::{TaskHandle, kind_of, to_json, user_of};
use crate::evaluation::{self, Evaluation, Host};
use crate::nearest::did_you_mean;
use crate::words::Words;
use crate::{Answer, Query};
use rhai::{Array, Dynamic, INT, Map, NativeCallContext};
use serde_json::{Value, json};
use smarttasks_model::{TaskFilter, TaskId, UserId};

/// What a script may ask by.
pub(crate) const KEYS: &[&str] = &[
    "status",
    "open",
    "priority",
    "project",
    "tag",
    "assignee",
    "creator",
    "parent",
    "overdue",
    "due_before",
    "due_after",
    "created_before",
    "created_after",
    "completed_after",
    "status_changed_before",
    "updated_since",
    "q",
];

pub(super) fn define(words: &mut Words) {
    words.topic("Queries");
    words
        .function(
            "tasks(conditions: map) -> list",
            "The workspace's tasks for which every condition holds, oldest first, at most `limit` of them (1,000 unless it says fewer). `#{}` finds all. The conditions: `status` and `priority` (one or a list), `open`, `project`, `tag`, `assignee` (a user, an address, or `()` for nobody), `creator`, `parent` (a task or its id), `overdue`, `due_before`, `due_after`, `created_before`, `created_after`, `completed_after`, `status_changed_before`, `updated_since`, `q` (a text in title or description). What is stored decides which are found; a task that is found is read and acted upon like `task`. An unknown condition is an error, and so is an absent value but for `assignee`. A run asks at most 100 queries.",
            r#"for t in tasks(#{ open: true, assignee: task.assignee }) {
    log(t.title); // Renew certificate
}"#,
        )
        .is(words, tasks);
    words
        .function(
            "count(conditions: map) -> int",
            "How many tasks there are for which every condition of `tasks` holds.",
            r#"let open = count(#{ open: true, assignee: task.assignee });
log(`${task.assignee.name} has ${open} to do`); // Bob has 1 to do"#,
        )
        .is(words, count);
    words
        .function(
            "user(address: text | User | ()) -> User | ()",
            "The member of the workspace with this address or id; `()` when there is none.",
            r#"task.assign(user("ann@example.com"));
log(task.assignee.name); // Ann"#,
        )
        .is(words, user);
    words
        .function(
            "members() -> list",
            "The members of the workspace as users, in the order of their names.",
            r#"for member in members() {
    log(`${member.name}: ${count(#{ open: true, assignee: member })}`);
}
// Ann: 1
// Bob: 1"#,
        )
        .is(words, members);
}

fn tasks(context: NativeCallContext, mut map: Map) -> Host<Array> {
    evaluation::with(|e| {
        let given = given_limit(e, map.remove("limit"))?;
        let filter = filter(e, "tasks", map)?;
        let asked = json!([filter, given]);
        let limit = given.unwrap_or(e.limits.query_results as u64);
        let query = Query::Tasks { filter, limit };
        match e.ask(query, &asked, context.call_position())? {
            Answer::Tasks(found) => Ok(e.list(&found).into_iter().map(Dynamic::from).collect()),
            Answer::Count(_) => Err(misplaced()),
        }
    })
}

fn count(context: NativeCallContext, map: Map) -> Host<INT> {
    evaluation::with(|e| {
        let filter = filter(e, "count", map)?;
        let asked = filter.clone();
        match e.ask(Query::Count(filter), &asked, context.call_position())? {
            Answer::Count(count) => Ok(INT::try_from(count).unwrap_or(INT::MAX)),
            Answer::Tasks(_) => Err(misplaced()),
        }
    })
}

/// Whoever evaluates has mixed up the answers; no script can bring this about.
fn misplaced() -> Box<rhai::EvalAltResult> {
    "a query was given the answer to another".into()
}

fn given_limit(evaluation: &Evaluation, given: Option<Dynamic>) -> Host<Option<u64>> {
    let most = evaluation.limits.query_results;
    let Some(given) = given else {
        return Ok(None);
    };
    match given.as_int().map(usize::try_from) {
        Ok(Ok(limit)) if (1..=most).contains(&limit) => Ok(Some(limit as u64)),
        _ => Err(format!("tasks: `limit` must be a whole number from 1 to {most}").into()),
    }
}

fn filter(evaluation: &Evaluation, call: &str, map: Map) -> Host<TaskFilter> {
    let mut object = serde_json::Map::new();
    for (key, value) in map {
        let (name, value) = condition(evaluation, call, key.as_str(), &value)?;
        let alone = json!({ name: &value });
        serde_json::from_value::<TaskFilter>(alone)
            .map_err(|error| format!("{call}: `{key}`: {error}"))?;
        object.insert(name.to_owned(), value);
    }
    serde_json::from_value(Value::Object(object)).map_err(|error| format!("{call}: {error}").into())
}

/// A key of the script with its value, as a field of the filter.
fn condition<'a>(
    evaluation: &Evaluation,
    call: &str,
    key: &'a str,
    value: &Dynamic,
) -> Host<(&'a str, Value)> {
    if !KEYS.contains(&key) {
        let hint = did_you_mean(key, KEYS.iter().copied())
            .unwrap_or_else(|| format!("there are {}", KEYS.join(", ")));
        return Err(format!("{call}: tasks cannot be asked for by `{key}`; {hint}").into());
    }
    let wrong = |error| format!("{call}: `{key}`: {error}");
    if key == "assignee" {
        return Ok(match user_of(evaluation, value).map_err(wrong)? {
            Some(id) => ("assignee_id", json!(id)),
            None => ("unassigned", true.into()),
        });
    }
    // To a filter, null asks for nothing, and the script would get the tasks of everybody.
    if value.is_unit() {
        return Err(format!("{call}: `{key}` is absent; test it first, or leave it out").into());
    }
    Ok(match key {
        "creator" => {
            let id = user_of(evaluation, value).map_err(wrong)?;
            ("creator_id", json!(id))
        }
        "parent" => {
            let id = parent(evaluation, value).map_err(wrong)?;
            ("parent_id", json!(id))
        }
        "status" | "priority" if !value.is_array() => {
            (key, Value::Array(vec![to_json(evaluation, value)?]))
        }
        _ => (key, to_json(evaluation, value)?),
    })
}

fn parent(evaluation: &Evaluation, value: &Dynamic) -> Result<TaskId, String> {
    if let Some(task) = value.read_lock::<TaskHandle>() {
        let task = evaluation.task(*task);
        return task.map(|task| task.id).map_err(|error| error.to_string());
    }
    match value.as_immutable_string_ref() {
        Ok(id) => id
            .parse()
            .map_err(|_| format!("`{}` is not the id of a task", *id)),
        Err(_) => Err(format!("expected a task or its id, not {}", kind_of(value))),
    }
}

/// The member, or `()`: that somebody is no member is an answer, not a mistake.
fn user(who: Dynamic) -> Host<Dynamic> {
    if who.is_unit() || who.is::<UserHandle>() {
        return Ok(who);
    }
    let Ok(text) = who.as_immutable_string_ref() else {
        return Err(format!("user(…) takes an address, not {}", kind_of(&who)).into());
    };
    evaluation::with(|e| Ok(find_user(e, &text).map_or(Dynamic::UNIT, |user| handle(user.id))))
}

/// In the order of their names, so that a script sees the same every time.
fn members() -> Host<Array> {
    evaluation::with(|e| {
        let mut users: Vec<_> = e.members().collect();
        users.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        Ok(users.into_iter().map(|user| handle(user.id)).collect())
    })
}

fn handle(id: UserId) -> Dynamic {
    Dynamic::from(UserHandle(id))
}
