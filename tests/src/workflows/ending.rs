//! How runs end that wait, and for how long they are kept.

use super::{ann_alone, edit, rule, the_run};
use crate::harness::{TestApp, hours};
use serde_json::{Value, json};
use smarttasks_model::{Because, Message, WaitId, Wake};
use smarttasks_store::approvals;

#[tokio::test]
async fn very_many_runs_of_a_rule_end_page_by_page_and_those_that_begin_later_do_not() {
    let (app, ann) = ann_alone().await;
    let script = "emit(\"gate.seen\", #{}); sleep(days(1));";
    let flow = rule(
        &ann,
        "gate.queued",
        script,
        json!({ "overlap": "parallel" }),
    )
    .await;
    let queue = async |number: usize| {
        for who in 0..number {
            let event = json!({ "type": "gate.queued", "data": { "who": who } });
            assert_eq!(ann.post("/api/v1/events", event).await.status, 201);
        }
        app.settle().await;
    };
    queue(250).await;
    app.clock.advance(hours(1));
    let off = json!({ "enabled": false, "suspended_runs": "cancel" });
    edit(&ann, "rules", &flow, off).await;
    app.clock.advance(hours(1));
    edit(&ann, "rules", &flow, json!({ "enabled": true })).await;
    queue(1).await;
    let of = async |status: &str| {
        let path = format!("/api/v1/runs?status={status}&limit=250");
        ann.list(&path).await
    };
    let cancelled = of("cancelled").await;
    assert_eq!(cancelled.len(), 250);
    let why = |run: &Value| run["error"]["message"] == "the rule was disabled";
    assert!(cancelled.iter().all(why));
    assert_eq!(of("suspended").await.len(), 1);
}

#[tokio::test]
async fn failed_runs_are_kept_longer_than_others_and_unfinished_ones_in_any_case() {
    let settings = [("retention.runs", "2d"), ("retention.failed_runs", "4d")];
    let app = TestApp::start_with(&settings).await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let script = "task.tag(\"one\");\nif task.title == \"Bad\" { throw \"bad\"; }\n\
        if task.title == \"Long\" { sleep(days(30)); }";
    rule(&ann, "task.created", script, json!({})).await;
    for title in ["Good", "Bad", "Long"] {
        ann.create_task(json!({ "title": title })).await;
    }
    app.settle().await;
    let statuses = async || {
        let ann = app.log_in("ann@example.com").await;
        let runs = ann.list("/api/v1/runs").await;
        let mut all: Vec<String> = runs
            .iter()
            .map(|run| run["status"].as_str().unwrap().to_owned())
            .collect();
        all.sort();
        all
    };
    assert_eq!(statuses().await, ["failed", "succeeded", "suspended"]);
    app.pass(hours(3 * 24)).await;
    app.until(async || statuses().await == ["failed", "suspended"])
        .await;
    app.pass(hours(2 * 24)).await;
    app.until(async || statuses().await == ["suspended"]).await;
}

#[tokio::test]
async fn whoever_is_told_that_an_answer_counts_is_told_the_truth() {
    let (app, ann) = ann_alone().await;
    let script = "let a = approve(task.owner, \"Well?\", hours(1)); task.comment(`said ${a}`);";
    rule(&ann, "task.created", script, json!({})).await;
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    app.settle().await;
    let waiting = the_run(&ann).await;
    let asked = ann.list("/api/v1/approvals").await.remove(0);
    let id = |of: &Value| of.as_str().unwrap().to_owned();
    let workspace_id = id(&ann.user["personal_workspace_id"]).parse().unwrap();
    let wake = Wake {
        workspace_id,
        wait: WaitId {
            run_id: id(&waiting["id"]).parse().unwrap(),
            number: 0,
        },
        // As of a run that was to go on without an answer, and had to wait for its turn.
        because: Because::Answer { value: Value::Null },
        failures: 0,
    };
    let (approval, ann_id) = (
        id(&asked["id"]).parse().unwrap(),
        id(&ann.user["id"]).parse().unwrap(),
    );
    app.db()
        .write(move |tx| {
            let wake = wake.clone();
            Box::pin(async move {
                tx.publish(Message::Wake(Box::new(wake)))?;
                approvals::answer(tx, workspace_id, approval, true, ann_id).await
            })
        })
        .await
        .unwrap();
    app.settle().await;
    let asked = ann.list("/api/v1/approvals").await.remove(0);
    assert_eq!(asked["status"], "approved");
    let path = format!("/api/v1/tasks/{}/comments", id(&task["id"]));
    let comments = ann.list(&path).await;
    assert_eq!(comments[0]["text"], "said true", "{comments:?}");
}
