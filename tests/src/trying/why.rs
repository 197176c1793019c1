//! Why a rule fires, or does not.

use super::{ann_alone, escalation, id, ok, rule};
use crate::harness::{Client, hours, seconds};
use serde_json::{Value, json};

async fn why(ann: &Client, rule: &str, task: &Value) -> Value {
    let task = task["id"].as_str().unwrap();
    ok(ann
        .get(&format!("/api/v1/rules/{rule}/why?task={task}"))
        .await)
}

#[tokio::test]
async fn the_condition_that_is_false_is_named_with_its_values() {
    let (app, ann) = ann_alone().await;
    let rule = rule(&ann, escalation()).await;
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    let told = why(&ann, &rule, &task).await;
    assert_eq!(
        told["verdict"],
        "it does not act: `task.priority >= HIGH` on line 1 is false (task.priority is normal)"
    );
    assert_eq!(
        (&told["fires"], &told["matches"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(
        told["event"],
        json!({ "type": "task.overdue", "id": null, "time": null })
    );
    let guards = told["guards"].as_array().unwrap();
    assert_eq!(guards.len(), 2);
    assert_eq!(
        guards[0]["condition"],
        "task.is_open && task.priority >= HIGH"
    );
    assert_eq!(guards[0]["parts"][0]["holds"], true);
    assert_eq!(guards[1]["reached"], false);

    let task = ann
        .create_task(json!({ "title": "Pay", "priority": "high" }))
        .await;
    let told = why(&ann, &rule, &task).await;
    assert_eq!(told["verdict"], "it acts: email, then it waits");
    assert_eq!(told["actions"][0]["detail"]["subject"], "Overdue: Pay");
    assert_eq!(told["wait"]["wait"], "until");
    let off = ann
        .patch(
            &format!("/api/v1/rules/{rule}"),
            json!({ "enabled": false }),
        )
        .await;
    assert_eq!(off.status, 200);
    let told = why(&ann, &rule, &task).await;
    assert_eq!(told["fires"], false);
    assert_eq!(
        told["verdict"],
        "it does nothing, because the rule is disabled; were it enabled: it acts: email, then it waits"
    );
    app.settle().await;
    assert!(app.mails().is_empty());
}

#[tokio::test]
async fn the_last_recorded_event_is_what_it_is_tried_with_and_a_run_that_waits_is_told() {
    let (app, ann) = ann_alone().await;
    let rule = rule(&ann, escalation()).await;
    let due = json!({ "title": "Pay", "priority": "high", "due_at": app.later(hours(1)) });
    let task = ann.create_task(due).await;
    app.pass(hours(1)).await;
    let told = why(&ann, &rule, &task).await;
    assert_eq!(told["event"]["type"], "task.overdue");
    assert!(told["event"]["id"].is_string());
    let run = &told["runs"][0];
    assert_eq!(run["status"], "suspended");
    assert_eq!(told["suspended_run_id"], run["id"]);
    let verdict = told["verdict"].as_str().unwrap();
    assert!(
        verdict.contains("waits still, and with overlap skip"),
        "{verdict}"
    );
    app.pass(hours(24)).await;
    let told = why(&ann, &rule, &task).await;
    let verdict = told["verdict"].as_str().unwrap();
    assert!(
        verdict.starts_with("it has acted on task.overdue of"),
        "{verdict}"
    );
}

#[tokio::test]
async fn a_sweep_that_has_fired_says_so_and_one_that_must_hold_says_until_when() {
    let (app, ann) = ann_alone().await;
    let due = json!({ "title": "Pay", "due_at": app.later(seconds(30)) });
    let task = ann.create_task(due).await;
    let script = r#"if task.is_overdue { email(task.owner, "Late", ""); }"#;
    let sweep = |name: &str, more: Value| {
        let mut fields =
            json!({ "name": name, "script": script, "triggers": [{ "cron": "* * * * *" }] });
        fields
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        fields
    };
    let once = rule(&ann, sweep("once", json!({}))).await;
    let daily = rule(&ann, sweep("daily", json!({ "repeat": "24h" }))).await;
    let held = rule(&ann, sweep("held", json!({ "hold": "2h" }))).await;
    let told = why(&ann, &once, &task).await;
    assert_eq!(told["match"], Value::Null);
    assert!(
        told["verdict"]
            .as_str()
            .unwrap()
            .starts_with("it does not act: `task.is_overdue`")
    );
    app.pass(seconds(60)).await;
    app.pass(seconds(60)).await;
    for (rule, says) in [
        (&once, "has already fired for this match"),
        (&daily, "and does again from"),
        (&held, "must match for 2h, until"),
    ] {
        let told = why(&ann, rule, &task).await;
        let verdict = told["verdict"].as_str().unwrap();
        assert!(verdict.contains(says), "{verdict}");
        assert_eq!(
            (&told["fires"], &told["matches"]),
            (&json!(false), &json!(true))
        );
        assert!(told["match"]["since"].is_string(), "{told}");
    }
}

#[tokio::test]
async fn a_script_that_fails_or_does_not_compile_is_told_with_its_line() {
    let (app, ann) = ann_alone().await;
    let fails = json!({ "name": "F", "triggers": [{ "event": "task.created" }],
        "script": "log(1);\nlet x = 1 / 0;\ntask.tag(\"x\");" });
    let rule = rule(&ann, fails).await;
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    app.settle().await;
    let told = why(&ann, &rule, &task).await;
    let verdict = told["verdict"].as_str().unwrap();
    assert!(
        verdict.starts_with("it fails on line 2: Division by zero"),
        "{verdict}"
    );
    assert_eq!(told["error"]["line"], 2);
    let unknown = format!(
        "/api/v1/rules/{rule}/why?task={}",
        id(&json!({ "id": rule }))
    );
    assert_eq!(ann.get(&unknown).await.refused(404), "not_found");
}
