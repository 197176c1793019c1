//! Scripts that wait: what they do, when, and once.

mod control;
mod deaths;
mod ending;
mod escalation;
mod failpoints;
mod meanwhile;
mod pausing;
mod waking;

use crate::harness::{Client, TestApp, hours, seconds};
use serde_json::{Value, json};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The escalation of the guide.
const ESCALATION: &str = r#"
if task.is_open {
    email(task.owner, `Overdue: ${task.title}`, `It was due ${task.due_at}.`);
    sleep(days(1));
    if task.is_open {
        task.update(#{ priority: URGENT });
        email(task.owner, `Still overdue: ${task.title}`, "Now it is urgent.");
    }
}
"#;

pub(crate) async fn ann_alone() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    (app, ann)
}

pub(crate) async fn rule(ann: &Client, event: &str, script: &str, more: Value) -> Value {
    let mut rule = json!({ "name": "flow", "triggers": [{ "event": event }], "script": script });
    let fields = rule.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    let rule = ann.post("/api/v1/rules", rule).await;
    assert_eq!(rule.status, 201, "{}", rule.body);
    rule.body
}

pub(crate) async fn the_run(ann: &Client) -> Value {
    let runs = ann.list("/api/v1/runs").await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    run(ann, &runs[0]).await
}

pub(crate) async fn run(ann: &Client, of: &Value) -> Value {
    let path = format!("/api/v1/runs/{}", of["id"].as_str().unwrap());
    let run = ann.get(&path).await;
    assert_eq!(run.status, 200, "{}", run.body);
    run.body
}

pub(crate) async fn edit(ann: &Client, of: &str, it: &Value, to: Value) {
    let path = format!("/api/v1/{of}/{}", it["id"].as_str().unwrap());
    let changed = ann.patch(&path, to).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
}

/// What the journal of a run holds.
fn calls(run: &Value) -> Vec<&str> {
    let journal = run["journal"].as_array().unwrap();
    journal
        .iter()
        .map(|step| step["call"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn an_escalation_sleeps_a_day_looks_again_and_escalates_once() {
    let (app, ann) = ann_alone().await;
    rule(&ann, "task.overdue", ESCALATION, json!({})).await;
    let due = json!({ "title": "Pay", "due_at": app.later(hours(1)) });
    let task = ann.create_task(due).await;
    app.pass(hours(1)).await;
    assert_eq!(app.subjects_to("ann"), ["Overdue: Pay"]);
    let waiting = the_run(&ann).await;
    assert_eq!(waiting["status"], "suspended");
    assert_eq!(waiting["waiting"]["wait"], "until");
    assert_eq!(waiting["finished_at"], Value::Null);
    assert_eq!(calls(&waiting), ["email", "sleep"]);
    assert_eq!(waiting["journal"][1]["line"], 4);

    app.pass(DAY - seconds(1)).await;
    assert_eq!(app.subjects_to("ann").len(), 1);
    app.pass(seconds(1)).await;
    assert_eq!(
        app.subjects_to("ann"),
        ["Overdue: Pay", "Still overdue: Pay"]
    );
    let done = the_run(&ann).await;
    assert_eq!(done["status"], "succeeded");
    assert_eq!(calls(&done), ["email", "sleep", "task.update", "email"]);
    let actions = done["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 3, "{actions:?}");
    assert_eq!(done["journal"][1]["ended_at"], done["finished_at"]);
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    assert_eq!(ann.get(&path).await.body["priority"], "urgent");
    app.pass(DAY * 3).await;
    assert_eq!(app.subjects_to("ann").len(), 2);
}

#[tokio::test]
async fn a_run_that_waits_goes_on_after_a_restart_however_late() {
    let (mut app, ann) = ann_alone().await;
    rule(&ann, "task.overdue", ESCALATION, json!({})).await;
    ann.create_task(json!({ "title": "Pay", "due_at": app.later(seconds(60)) }))
        .await;
    app.pass(seconds(60)).await;
    app.restart_after(DAY * 3).await;
    app.settle().await;
    assert_eq!(
        app.subjects_to("ann"),
        ["Overdue: Pay", "Still overdue: Pay"]
    );
}

#[tokio::test]
async fn a_run_finishes_as_it_began_whatever_becomes_of_its_rule() {
    let (app, ann) = ann_alone().await;
    let script = r#"email(task.owner, `One ${rule.name} ${rule.version}`, "");
sleep(hours(1));
email(task.owner, `Two ${rule.name} ${rule.version}`, "");
sleep(hours(1));
email(task.owner, `Three ${rule.name} ${rule.version}`, "");"#;
    let flow = rule(&ann, "task.created", script, json!({})).await;
    ann.create_task(json!({ "title": "Pay" })).await;
    app.settle().await;
    let edited = json!({ "name": "other", "script": "log(1); email(task.owner, \"New\", \"\");" });
    edit(&ann, "rules", &flow, edited).await;
    app.pass(hours(1)).await;
    let path = format!("/api/v1/rules/{}", flow["id"].as_str().unwrap());
    assert_eq!(ann.delete(&path).await.status, 204);
    app.pass(hours(1)).await;
    let mut subjects = app.subjects_to("ann");
    subjects.sort();
    assert_eq!(subjects, ["One flow 1", "Three flow 1", "Two flow 1"]);
    assert_eq!(the_run(&ann).await["status"], "succeeded");
}

#[tokio::test]
async fn what_a_script_has_seen_stays_so_and_what_it_sees_next_is_new() {
    let (app, ann) = ann_alone().await;
    let script = r#"let before = task.title;
let had = count(#{ open: true });
let who = task.owner.name;
sleep(hours(1));
email(task.owner, `${before} then ${task.title}, ${had} then ${count(#{ open: true })}, ${who} then ${task.owner.name}`, "");"#;
    rule(
        &ann,
        "task.created",
        script,
        json!({ "overlap": "parallel" }),
    )
    .await;
    let task = ann.create_task(json!({ "title": "First" })).await;
    app.settle().await;
    edit(&ann, "tasks", &task, json!({ "title": "Changed" })).await;
    let renamed = ann
        .patch("/api/v1/users/me", json!({ "name": "Anna" }))
        .await;
    assert_eq!(renamed.status, 200);
    ann.delete("/api/v1/rules/none").await;
    app.pass(hours(1)).await;
    assert_eq!(
        app.subjects_to("ann"),
        ["First then Changed, 1 then 1, ann then Anna"]
    );
}

#[tokio::test]
async fn a_segment_that_fails_does_nothing_and_what_came_before_stays_done() {
    let (app, ann) = ann_alone().await;
    let script = "task.tag(\"one\");\nsleep(hours(1));\ntask.tag(\"two\");\nlet x = 1 / 0;";
    rule(&ann, "task.created", script, json!({})).await;
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    app.settle().await;
    app.pass(hours(1)).await;
    let failed = the_run(&ann).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["error"]["line"], 4);
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    assert_eq!(ann.get(&path).await.body["tags"], json!(["one"]));
    assert_eq!(failed["actions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_long_workflow_takes_its_steps_in_order() {
    let (app, ann) = ann_alone().await;
    let script = "for step in 0..40 { sleep(seconds(0)); task.comment(`step ${step}`); }";
    rule(&ann, "task.created", script, json!({})).await;
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    app.settle().await;
    let path = format!(
        "/api/v1/tasks/{}/comments?limit=250",
        task["id"].as_str().unwrap()
    );
    let mut texts: Vec<String> = ann
        .list(&path)
        .await
        .iter()
        .map(|comment| comment["text"].as_str().unwrap().to_owned())
        .collect();
    texts.sort_by_key(|text| text[5..].parse::<u32>().unwrap());
    let expected: Vec<String> = (0..40).map(|step| format!("step {step}")).collect();
    assert_eq!(texts, expected);
    assert_eq!(the_run(&ann).await["status"], "succeeded");
}

#[tokio::test]
async fn a_sweep_may_wait_too() {
    let (app, ann) = ann_alone().await;
    let sweep = json!({ "name": "sweep", "triggers": [{ "cron": "* * * * *" }],
        "script": "if task.is_open { task.tag(\"seen\"); sleep(hours(1)); task.tag(\"again\"); }" });
    let made = ann.post("/api/v1/rules", sweep).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    app.pass(seconds(60)).await;
    assert_eq!(the_run(&ann).await["status"], "suspended");
    app.pass(hours(1)).await;
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    assert_eq!(ann.get(&path).await.body["tags"], json!(["again", "seen"]));
    assert_eq!(the_run(&ann).await["status"], "succeeded");
}
