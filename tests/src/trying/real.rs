//! What is simulated is what happens: the rules of the library and the examples of the guide, in
//! virtual time and in earnest.

use super::{ann_alone, id, ok};
use crate::harness::{Client, TestApp, hours};
use serde_json::{Value, json};
use std::time::Duration;

/// A rule that is tried, and with what.
struct Trial {
    script: String,
    task: Value,
    event: Value,
}

/// What a run did, or would do, and when.
type Deeds = Vec<(String, String)>;

fn name_of(call: &str) -> &str {
    match call {
        "sleep_until" => "sleep",
        other => other,
    }
}

fn simulated(told: &Value) -> Deeds {
    let moments = told["timeline"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    moments
        .map(|moment| (text(&moment["action"]), text(&moment["at"])))
        .collect()
}

/// The deeds of a run: from its journal, where it waits; else all at its start.
fn done(run: &Value) -> Deeds {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let journal = run["journal"].as_array().unwrap();
    if journal.is_empty() {
        let actions = run["actions"].as_array().unwrap().iter();
        return actions
            .filter(|action| action["action"] != "state.set")
            .map(|action| (text(&action["action"]), text(&run["started_at"])))
            .collect();
    }
    journal
        .iter()
        .filter(|step| !["tasks", "count"].contains(&step["call"].as_str().unwrap()))
        .map(|step| (name_of(&text(&step["call"])).to_owned(), text(&step["at"])))
        .collect()
}

/// Simulates a rule for a task and an event, lets the same happen, and compares.
async fn same(app: &TestApp, ann: &Client, trial: &Trial, endures: Duration) -> usize {
    let task = match trial.task.is_null() {
        true => None,
        false => Some(ann.create_task(trial.task.clone()).await),
    };
    app.settle().await;
    let rule = ann
        .post("/api/v1/rules", json!({ "script": trial.script }))
        .await;
    assert_eq!(rule.status, 201, "{}", rule.body);
    let path = format!("/api/v1/rules/{}", id(&rule.body));
    let task_id = task.as_ref().map_or(Value::Null, |task| task["id"].clone());
    let asked = json!({ "task_id": task_id, "event": trial.event });
    let told = ok(ann.post(&format!("{path}/simulate"), asked.clone()).await);
    assert_eq!(told["error"], Value::Null, "{}", trial.script);
    let started = ann.post(&format!("{path}/run"), asked).await;
    assert_eq!(started.status, 202, "{}", started.body);
    let mut passed = Duration::ZERO;
    app.settle().await;
    while passed < endures {
        app.pass(hours(1)).await;
        passed += hours(1);
    }
    let run = format!("/api/v1/runs/{}", started.body["run_id"].as_str().unwrap());
    let ann = app.log_in("ann@example.com").await;
    let run = ann.get(&run).await;
    let happened = match run.status.as_u16() {
        404 => Vec::new(),
        _ => {
            assert_eq!(run.body["status"], told["status"], "{}", run.body);
            done(&run.body)
        }
    };
    let expected = simulated(&told);
    assert_eq!(happened, expected, "{}", trial.script);
    assert_eq!(ann.delete(&path).await.status, 204);
    expected.len()
}

fn event_of(template: &Value) -> Value {
    let first = &template["triggers"][0];
    let kind = first["event"].as_str().unwrap_or("rule.run_requested");
    match template["key"].as_str() {
        Some("task-from-event") => json!({ "type": kind, "data": {
            "repository": "shop", "branch": "main", "author": "ann@example.com" } }),
        _ if first["event"].is_null() => Value::Null,
        _ => json!({ "type": kind }),
    }
}

#[tokio::test]
async fn every_rule_of_the_library_does_what_is_simulated() {
    let (app, ann) = ann_alone().await;
    let templates = ann.list("/api/v1/rule-templates").await;
    let mut deeds = 0;
    for template in &templates {
        let triggers = template["triggers"].as_array().unwrap();
        let no_task = |trigger: &Value| trigger["for_each"] == "once";
        let about_none = triggers.iter().all(no_task) || template["key"] == "task-from-event";
        let task = json!({ "title": "Pay the server bill", "priority": "urgent",
            "status": "blocked", "due_at": app.later(hours(1)) });
        let trial = Trial {
            script: template["script"].as_str().unwrap().to_owned(),
            task: if about_none { Value::Null } else { task },
            event: event_of(template),
        };
        deeds += same(&app, &ann, &trial, Duration::ZERO).await;
    }
    assert!(deeds >= 4, "only {deeds}");
}
