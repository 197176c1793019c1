//! What lets a run go on: events, once, the first of them, and none too many.

use super::{ann_alone, edit, rule, the_run};
use crate::harness::{hours, seconds};
use serde_json::json;

const CLOSE: &str = r#"let closed = wait_for("task.completed", hours(2));
email(task.owner, if closed == () { "Nothing" } else { `Done by ${closed.actor.name}` }, "");"#;

#[tokio::test]
async fn a_run_waits_for_an_event_about_its_task() {
    let (app, ann) = ann_alone().await;
    rule(&ann, "task.created", CLOSE, json!({})).await;
    let mine = ann.create_task(json!({ "title": "Mine" })).await;
    let other = ann.create_task(json!({ "title": "Other" })).await;
    app.settle().await;
    edit(&ann, "tasks", &mine, json!({ "status": "done" })).await;
    app.settle().await;
    assert_eq!(app.subjects_to("ann"), ["Done by ann"]);
    app.pass(hours(2)).await;
    assert_eq!(app.subjects_to("ann"), ["Done by ann", "Nothing"]);
    edit(&ann, "tasks", &other, json!({ "status": "done" })).await;
    app.pass(hours(2)).await;
    assert_eq!(app.subjects_to("ann").len(), 2);
}

#[tokio::test]
async fn an_event_between_the_trigger_and_the_call_is_not_missed() {
    let (app, ann) = ann_alone().await;
    rule(&ann, "task.created", CLOSE, json!({})).await;
    // Whether the engine sees the first before or after the second is recorded.
    let task = ann.create_task(json!({ "title": "Mine" })).await;
    edit(&ann, "tasks", &task, json!({ "status": "done" })).await;
    app.settle().await;
    assert_eq!(app.subjects_to("ann"), ["Done by ann"]);
}

#[tokio::test]
async fn a_run_does_not_wait_for_what_it_does_itself_nor_for_its_trigger() {
    let (app, ann) = ann_alone().await;
    let script = r#"task.update(#{ status: "in_progress" });
emit("flow.step", #{});
let changed = wait_for("task.*", hours(1));
let step = wait_for("flow.step", hours(1));
email(task.owner, `Saw ${changed?.type}${step?.type}.`, "");"#;
    rule(&ann, "task.created", script, json!({})).await;
    ann.create_task(json!({ "title": "Mine" })).await;
    app.settle().await;
    assert_eq!(the_run(&ann).await["status"], "suspended");
    app.pass(hours(1)).await;
    app.pass(hours(1)).await;
    assert_eq!(app.subjects_to("ann"), ["Saw ."]);
}

#[tokio::test]
async fn of_several_events_the_first_ends_a_wait_and_the_next_the_next() {
    let (app, ann) = ann_alone().await;
    let script = r#"let seen = [];
while seen.len() < 3 {
    let e = wait_for("ci.*", days(1));
    seen.push(e.data.build);
}
email(task.owner, seen.join(" "), "");"#;
    rule(&ann, "task.created", script, json!({})).await;
    let task = ann.create_task(json!({ "title": "Mine" })).await;
    app.settle().await;
    for build in ["a", "b", "c", "d"] {
        let event =
            json!({ "type": "ci.passed", "task_id": task["id"], "data": { "build": build } });
        assert_eq!(ann.post("/api/v1/events", event).await.status, 201);
        app.clock.advance(seconds(1));
    }
    app.settle().await;
    assert_eq!(app.subjects_to("ann"), ["a b c"]);
}

#[tokio::test]
async fn a_run_without_a_task_waits_for_any_event_and_many_are_woken_by_one() {
    let (app, ann) = ann_alone().await;
    let script = r#"let e = wait_for("gate.opened", days(1));
emit("gate.passed", #{ who: event.data.who, by: e.data.by });"#;
    rule(
        &ann,
        "gate.queued",
        script,
        json!({ "overlap": "parallel" }),
    )
    .await;
    for who in 0..240 {
        let event = json!({ "type": "gate.queued", "data": { "who": who } });
        assert_eq!(ann.post("/api/v1/events", event).await.status, 201);
    }
    app.settle().await;
    let event = json!({ "type": "gate.opened", "data": { "by": "ann" } });
    assert_eq!(ann.post("/api/v1/events", event).await.status, 201);
    app.settle().await;
    let passed = ann.list("/api/v1/events?type=gate.passed&limit=250").await;
    let mut who: Vec<u64> = passed
        .iter()
        .map(|event| event["data"]["who"].as_u64().unwrap())
        .collect();
    who.sort_unstable();
    assert_eq!(who, (0..240).collect::<Vec<u64>>());
}

#[tokio::test]
async fn while_a_run_waits_another_is_left_out_begins_anew_or_beside_it() {
    for (overlap, statuses) in [
        ("skip", vec!["\"suspended\""]),
        ("restart", vec!["\"cancelled\"", "\"suspended\""]),
        ("parallel", vec!["\"suspended\"", "\"suspended\""]),
    ] {
        let (app, ann) = ann_alone().await;
        let script = "if changed(\"title\") { task.tag(\"seen\"); sleep(hours(1)); }";
        rule(&ann, "task.updated", script, json!({ "overlap": overlap })).await;
        let task = ann.create_task(json!({ "title": "One" })).await;
        edit(&ann, "tasks", &task, json!({ "title": "Two" })).await;
        app.settle().await;
        edit(&ann, "tasks", &task, json!({ "title": "Three" })).await;
        app.settle().await;
        let runs = ann.list("/api/v1/runs").await;
        let mut found: Vec<String> = runs.iter().map(|run| run["status"].to_string()).collect();
        found.sort();
        assert_eq!(found, statuses, "{overlap}");
        app.pass(hours(1)).await;
        edit(&ann, "tasks", &task, json!({ "title": "Four" })).await;
        app.settle().await;
        let waiting = ann.list("/api/v1/runs?status=suspended").await;
        assert_eq!(waiting.len(), 1, "{overlap}");
        app.pass(hours(1)).await;
    }
}

#[tokio::test]
async fn an_event_of_a_long_type_is_found_that_came_before_its_wait_was_known() {
    let (app, ann) = ann_alone().await;
    let script = r#"let built = wait_for("ci.*.build_done", hours(1));
email(workspace_owner, `Built ${built?.data?.build}`, "");"#
        .replace("workspace_owner", "user(\"ann@example.com\")");
    rule(&ann, "ci.main.build_asked", &script, json!({})).await;
    // The first may be looked for before the second is there, or after.
    for (kind, build) in [("build_asked", 0), ("build_done", 1), ("build_done", 2)] {
        let event = json!({ "type": format!("ci.main.{kind}"), "data": { "build": build } });
        assert_eq!(ann.post("/api/v1/events", event).await.status, 201);
    }
    app.settle().await;
    app.pass(hours(1)).await;
    let subjects = app.subjects_to("ann");
    assert!(
        subjects == ["Built 1"] || subjects == ["Built 2"],
        "{subjects:?}"
    );
}

#[tokio::test]
async fn a_rule_that_counts_begins_no_other_run_while_one_waits() {
    let (app, ann) = ann_alone().await;
    let script = r#"state.set("runs", (state.get("runs") ?? 0) + 1);
emit("flow.counted", #{ runs: state.get("runs") });
sleep(hours(1));"#;
    rule(&ann, "task.commented", script, json!({})).await;
    let one = ann.create_task(json!({ "title": "One" })).await;
    let two = ann.create_task(json!({ "title": "Two" })).await;
    for _ in 0..3 {
        for task in [&one, &two] {
            let path = format!("/api/v1/tasks/{}/comments", task["id"].as_str().unwrap());
            assert_eq!(ann.post(&path, json!({ "text": "so" })).await.status, 201);
        }
    }
    app.settle().await;
    let counted = ann.list("/api/v1/events?type=flow.counted").await;
    let mut counts: Vec<i64> = counted
        .iter()
        .map(|event| event["data"]["runs"].as_i64().unwrap())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2]);
    app.pass(hours(1)).await;
}
