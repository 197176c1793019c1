//! Recorded events, once more.

use super::{ann_alone, escalation, ok, rule, told};
use crate::harness::hours;
use serde_json::json;

#[tokio::test]
async fn recorded_events_are_replayed_with_the_task_as_each_left_it() {
    let (app, ann) = ann_alone().await;
    let first = ann
        .create_task(json!({ "title": "One", "priority": "high" }))
        .await;
    ann.create_task(json!({ "title": "Two" })).await;
    app.pass(hours(24)).await;
    let ann = app.log_in("ann@example.com").await;
    ann.create_task(json!({ "title": "Three", "priority": "urgent" }))
        .await;
    let path = format!("/api/v1/tasks/{}", first["id"].as_str().unwrap());
    assert_eq!(
        ann.patch(&path, json!({ "priority": "low" })).await.status,
        200
    );
    app.settle().await;
    let script = "if task.priority >= HIGH { state.set(\"n\", (state.get(\"n\") ?? 0) + 1); task.comment(`${state.get(\"n\")}`); } else if task.title == \"Two\" { throw \"no\"; }";
    let rule = rule(
        &ann,
        json!({ "name": "B", "script": script, "triggers": [{ "event": "task.created" }, { "due": "0" }] }),
    )
    .await;
    let path = format!("/api/v1/rules/{rule}/backtest");
    let found = ok(ann
        .post(&path, json!({ "since": "2026-03-01T00:00:00Z" }))
        .await);
    assert_eq!(
        (&found["events"], &found["matches"], &found["failures"]),
        (&json!(3), &json!(2), &json!(1))
    );
    assert_eq!(
        found["by_day"],
        json!([
            { "date": "2026-03-02", "matches": 1, "failures": 1 },
            { "date": "2026-03-03", "matches": 1, "failures": 0 },
        ])
    );
    let data = found["data"].as_array().unwrap();
    let remarks: Vec<_> = data
        .iter()
        .filter(|of| of["error"].is_null())
        .map(|of| of["timeline"][0]["detail"]["text"].clone())
        .collect();
    assert_eq!(remarks, ["1", "2"]);
    assert_eq!(found["truncated"], false);
    assert!(
        found["notes"][0].as_str().unwrap().contains("deadlines"),
        "{found}"
    );
    let later = ok(ann
        .post(&path, json!({ "since": "2026-03-03T00:00:00Z" }))
        .await);
    assert_eq!(
        (&later["events"], &later["matches"]),
        (&json!(1), &json!(1))
    );
    let none = ann
        .post(&path, json!({ "since": "2027-03-03T00:00:00Z" }))
        .await;
    assert_eq!(none.pointers(), ["/until"]);
}

#[tokio::test]
async fn a_replayed_run_that_waits_meets_the_events_that_came() {
    let (app, ann) = ann_alone().await;
    for (title, ends) in [("Done in time", 3), ("Left", 0)] {
        let task = json!({ "title": title, "priority": "high", "due_at": app.later(hours(1)) });
        let task = ann.create_task(task).await;
        app.pass(hours(1)).await;
        if ends > 0 {
            app.pass(hours(ends)).await;
            let ann = app.log_in("ann@example.com").await;
            let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
            assert_eq!(
                ann.patch(&path, json!({ "status": "done" })).await.status,
                200
            );
        }
    }
    app.pass(hours(48)).await;
    let ann = app.log_in("ann@example.com").await;
    let rule = rule(&ann, escalation()).await;
    let path = format!("/api/v1/rules/{rule}/backtest");
    let found = ok(ann
        .post(&path, json!({ "since": "2026-03-01T00:00:00Z" }))
        .await);
    let data = found["data"].as_array().unwrap();
    assert_eq!(told(&data[0]), ["0 email", "0 sleep"]);
    assert_eq!(
        told(&data[1]),
        ["0 email", "0 sleep", "1d webhook", "1d task.update"]
    );
    // What the rule would do if it were another.
    let draft = json!({ "since": "2026-03-01T00:00:00Z", "script": "task.tag(\"x\");" });
    let found = ok(ann.post(&path, draft).await);
    assert_eq!(told(&found["data"][0]), ["0 task.tag"]);
}

#[tokio::test]
async fn a_replayed_run_does_not_wait_for_what_its_trigger_brought_along() {
    let (app, ann) = ann_alone().await;
    let fields = json!({ "name": "Settle", "overlap": "parallel",
        "triggers": [{ "event": "task.updated" }],
        "script": "if changed(\"status\") { let e = wait_for(\"task.status_changed\", hours(1)); log(e?.type ?? \"nothing\"); }" });
    let rule = rule(&ann, fields).await;
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    let changed = ann.patch(&path, json!({ "status": "in_progress" })).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    app.settle().await;
    app.pass(hours(2)).await;
    let runs = ann.list("/api/v1/runs").await;
    assert_eq!(runs[0]["log"], json!(["nothing"]), "{runs:?}");

    let ann = app.log_in("ann@example.com").await;
    let path = format!("/api/v1/rules/{rule}/backtest");
    let since = json!({ "since": "2026-03-01T00:00:00Z" });
    let found = ok(ann.post(&path, since).await);
    let waited = &found["data"][0]["timeline"][0];
    assert_eq!(waited["detail"]["ended_by"], "timeout", "{found}");
}
