//! What is simulated is what happens: the rules of the library and the examples of the guide, in
//! virtual time and in earnest.

use super::{ann_alone, id, ok};
use crate::harness::{Client, TestApp};
use crate::receivers::{Answers, Webhooks};
use http::StatusCode;
use serde_json::{Value, json};
use smarttasks_model::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

const WORKFLOWS: &str = include_str!("../../../docs/workflows.md");

/// A rule that is tried, and with what.
#[derive(Default)]
struct Trial {
    script: String,
    task: Value,
    event: Value,
    /// What somebody changes about the task, and after how many hours.
    changes: Vec<(u64, Value)>,
    /// What is answered, in the simulation; in earnest others answer so.
    answers: Value,
    /// What Ann answers to the question that she is asked, and after how many hours.
    approves: Option<(u64, bool)>,
}

/// Something that a run did, or would do: the call, when, and with what.
#[derive(Debug, PartialEq)]
struct Deed {
    call: String,
    at: String,
    detail: Value,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Calls that are no actions.
const WAITS: [&str; 4] = ["sleep", "wait_for", "http", "approve"];

fn simulated(told: &Value) -> Vec<Deed> {
    let moments = told["timeline"].as_array().unwrap().iter();
    moments
        .map(|moment| Deed {
            call: text(&moment["action"]),
            at: text(&moment["at"]),
            detail: moment["detail"].clone(),
        })
        .collect()
}

/// The deeds of a run: from its journal, where it waits; else all at its start.
fn done(run: &Value) -> Vec<Deed> {
    let actions = run["actions"].as_array().unwrap().iter();
    let mut actions = actions.filter(|action| action["action"] != "state.set");
    let mut deed = |call: String, at: String| {
        let detail = match WAITS.contains(&call.as_str()) {
            true => Value::Null,
            false => {
                let action = actions.next().unwrap();
                assert_eq!(action["action"], call);
                action["detail"].clone()
            }
        };
        Deed { call, at, detail }
    };
    let journal = run["journal"].as_array().unwrap();
    if journal.is_empty() {
        let number = run["actions"].as_array().unwrap().len();
        let calls: Vec<String> = run["actions"].as_array().unwrap()[..number]
            .iter()
            .map(|action| text(&action["action"]))
            .filter(|call| call != "state.set")
            .collect();
        return calls
            .into_iter()
            .map(|call| deed(call, text(&run["started_at"])))
            .collect();
    }
    journal
        .iter()
        .filter(|step| !["tasks", "count"].contains(&step["call"].as_str().unwrap()))
        .map(|step| {
            let call = text(&step["call"]).replace("sleep_until", "sleep");
            deed(call, text(&step["at"]))
        })
        .collect()
}

/// What differs; what a simulation tells beyond the record of a run, and the ids of tasks that are
/// only thought of, do not.
fn compare(happened: &[Deed], expected: &[Deed], script: &str) {
    let when = |deeds: &[Deed]| -> Vec<String> {
        let deeds = deeds.iter();
        deeds
            .map(|deed| format!("{} {}", deed.at, deed.call))
            .collect()
    };
    assert_eq!(when(happened), when(expected), "{script}");
    for (happened, expected) in happened.iter().zip(expected) {
        for (key, value) in happened.detail.as_object().into_iter().flatten() {
            if key != "task_id" {
                assert_eq!(
                    &expected.detail[key], value,
                    "{key} of {expected:?}\n{script}"
                );
            }
        }
    }
}

/// Ann answers the one question that is open.
async fn answer(ann: &Client, approved: bool) {
    let open = ann.list("/api/v1/approvals?status=pending").await;
    assert_eq!(open.len(), 1, "{open:?}");
    let path = format!("/api/v1/approvals/{}/answer", id(&open[0]));
    ok(ann.post(&path, json!({ "approved": approved })).await);
}

/// The instants at which something happens.
fn instants(told: &Value) -> BTreeSet<Timestamp> {
    let moments = told["timeline"].as_array().unwrap().iter();
    let ends = moments.flat_map(|moment| [&moment["at"], &moment["detail"]["ended_at"]]);
    ends.filter_map(|at| at.as_str()?.parse().ok()).collect()
}

/// Simulates a rule for a task and an event, lets the same happen, and compares.
async fn same(app: &TestApp, ann: &Client, trial: &Trial) -> usize {
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
    let events = trial.changes.iter().map(|(after, changes)| {
        json!({ "after": format!("{after}h"), "type": "task.status_changed", "task": changes })
    });
    let mut given = asked.clone();
    given["events"] = events.collect();
    if !trial.answers.is_null() {
        given["answers"] = trial.answers.clone();
    }
    let told = ok(ann.post(&format!("{path}/simulate"), given).await);
    assert_eq!(told["error"], Value::Null, "{}", trial.script);
    let start = app.clock.now();
    let started = ann.post(&format!("{path}/run"), asked).await;
    assert_eq!(started.status, 202, "{}", started.body);
    app.settle().await;
    let hours = |number: u64| start + Duration::from_secs(number * 3600);
    let mut instants = instants(&told);
    instants.extend(trial.changes.iter().map(|(after, _)| hours(*after)));
    for instant in instants {
        app.pass(instant.since(app.clock.now())).await;
        if let Some((after, approved)) = trial.approves
            && hours(after) == instant
        {
            answer(ann, approved).await;
            app.settle().await;
        }
        for (_, changes) in trial
            .changes
            .iter()
            .filter(|(after, _)| hours(*after) == instant)
        {
            let path = format!("/api/v1/tasks/{}", task_id.as_str().unwrap());
            let changed = ann.patch(&path, changes.clone()).await;
            assert_eq!(changed.status, 200, "{}", changed.body);
            app.settle().await;
        }
    }
    let run = format!("/api/v1/runs/{}", text(&started.body["run_id"]));
    let run = ann.get(&run).await;
    let happened = match run.status.as_u16() {
        404 => Vec::new(),
        _ => {
            assert_eq!(run.body["status"], told["status"], "{}", run.body);
            done(&run.body)
        }
    };
    let expected = simulated(&told);
    compare(&happened, &expected, &trial.script);
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
            "status": "blocked", "due_at": app.later(Duration::from_secs(3600)) });
        let trial = Trial {
            script: template["script"].as_str().unwrap().to_owned(),
            task: if about_none { Value::Null } else { task },
            event: event_of(template),
            ..Trial::default()
        };
        deeds += same(&app, &ann, &trial).await;
    }
    assert!(deeds >= 4, "only {deeds}");
}

/// The rule of the guide with this name.
fn example(name: &str) -> String {
    let blocks = WORKFLOWS.split("\n```rhai\n").skip(1);
    let mut rules = blocks.map(|block| block.split("\n```").next().unwrap());
    let named = format!("//! name        = \"{name}\"");
    let found = rules.find(|rule| rule.starts_with(&named));
    found
        .unwrap_or_else(|| panic!("there is no {name}"))
        .to_owned()
}

#[tokio::test]
async fn every_example_of_the_guide_does_what_is_simulated() {
    let (app, ann) = ann_alone().await;
    let later = |hours: u64| app.later(Duration::from_secs(hours * 3600));
    let of = |kind: &str| json!({ "type": kind });
    let escalation = |changes| Trial {
        script: example("Escalate overdue work"),
        task: json!({ "title": "Pay", "priority": "high", "due_at": later(1) }),
        event: of("task.overdue"),
        changes,
        ..Trial::default()
    };
    let escalated = same(&app, &ann, &escalation(Vec::new())).await;
    let in_time = same(
        &app,
        &ann,
        &escalation(vec![(5, json!({ "status": "done" }))]),
    )
    .await;
    assert_eq!((escalated, in_time), (4, 2));

    let approval = Trial {
        script: example("Approval before close"),
        task: json!({ "title": "Pay", "status": "done", "tags": ["needs-approval"] }),
        event: of("task.completed"),
        ..Trial::default()
    };
    assert_eq!(same(&app, &ann, &approval).await, 3);
    for (approved, deeds) in [(true, 3), (false, 3)] {
        let answered = Trial {
            answers: json!({ "approve": [{ "approved": approved, "after": "3h" }] }),
            approves: Some((3, approved)),
            script: approval.script.clone(),
            task: approval.task.clone(),
            event: approval.event.clone(),
            ..Trial::default()
        };
        assert_eq!(same(&app, &ann, &answered).await, deeds);
    }

    let onboarding = Trial {
        script: example("Onboarding checklist"),
        task: json!({ "title": "Cleo", "project": "onboarding", "due_at": app.later(Duration::from_secs(3 * 86_400)) }),
        event: of("task.created"),
        ..Trial::default()
    };
    assert_eq!(same(&app, &ann, &onboarding).await, 7);

    let sla = |changes| Trial {
        script: example("SLA timer"),
        task: json!({ "title": "Cannot log in", "project": "support" }),
        event: of("task.created"),
        changes,
        ..Trial::default()
    };
    assert_eq!(same(&app, &ann, &sla(Vec::new())).await, 3);
    let stops = vec![
        (3, json!({ "status": "blocked" })),
        (20, json!({ "status": "in_progress" })),
    ];
    assert_eq!(same(&app, &ann, &sla(stops)).await, 5);
}

#[tokio::test]
async fn the_report_of_the_guide_asks_another_system() {
    let (app, ann) = ann_alone().await;
    let service = Webhooks::start().await;
    service.from_now_on(Answers::Status(StatusCode::NOT_FOUND));
    let script = example("Weekly report");
    let report = Trial {
        script: script.replace(
            "https://reports.example.com/weekly",
            &service.url("/weekly"),
        ),
        answers: json!({ "http": [{ "status": 404 }] }),
        ..Trial::default()
    };
    assert_eq!(same(&app, &ann, &report).await, 2);
}
