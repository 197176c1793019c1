//! What people do with runs.

use super::{ann_alone, edit, rule, the_run};
use crate::harness::{Client, TestApp, hours, seconds};
use serde_json::{Value, json};

const TWO: &str = "task.tag(\"one\");\nsleep(hours(1));\ntask.tag(\"two\");";
const FAILS: &str = r#"task.tag("one");
sleep(hours(1));
if task.title == "Bad" { throw "bad title"; }
task.tag("two");"#;

async fn tags(ann: &Client, task: &Value) -> Value {
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    ann.get(&path).await.body["tags"].clone()
}

pub(super) async fn ask(
    ann: &Client,
    run: &Value,
    what: &str,
    body: Value,
) -> crate::harness::Answer {
    let path = format!("/api/v1/runs/{}/{what}", run["id"].as_str().unwrap());
    ann.post(&path, body).await
}

#[tokio::test]
async fn a_run_that_waits_is_cancelled_once_and_does_no_more() {
    let (app, ann) = ann_alone().await;
    rule(&ann, "task.created", TWO, json!({})).await;
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    app.settle().await;
    let waiting = the_run(&ann).await;
    let cancelled = ask(&ann, &waiting, "cancel", json!({})).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.body);
    assert_eq!(cancelled.body["status"], "cancelled");
    assert_eq!(cancelled.body["error"]["message"], "cancelled by ann");
    ask(&ann, &waiting, "cancel", json!({})).await.refused(409);
    ask(&ann, &waiting, "resume", json!({})).await.refused(409);
    app.pass(hours(2)).await;
    assert_eq!(tags(&ann, &task).await, json!(["one"]));
}

#[tokio::test]
async fn a_wait_is_skipped_and_its_time_does_nothing_more() {
    let (app, ann) = ann_alone().await;
    let script = "task.tag(\"one\");\nsleep(hours(1));\ntask.comment(\"two\");\nsleep(hours(3));";
    rule(&ann, "task.created", script, json!({})).await;
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    app.settle().await;
    let waiting = the_run(&ann).await;
    let resumed = ask(&ann, &waiting, "resume", json!({})).await;
    assert_eq!(resumed.status, 202, "{}", resumed.body);
    ask(&ann, &waiting, "resume", json!({})).await;
    app.settle().await;
    app.pass(hours(2)).await;
    let path = format!("/api/v1/tasks/{}/comments", task["id"].as_str().unwrap());
    assert_eq!(ann.list(&path).await.len(), 1);
}

#[tokio::test]
async fn a_failed_run_is_tried_again_from_where_it_failed_or_from_the_start() {
    let (app, ann) = ann_alone().await;
    let flow = rule(&ann, "task.created", FAILS, json!({})).await;
    let task = ann.create_task(json!({ "title": "Bad" })).await;
    app.settle().await;
    app.pass(hours(1)).await;
    let failed = the_run(&ann).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["error"]["line"], 3);

    // The same version fails the same way; the newest does not.
    let again = ask(&ann, &failed, "retry", json!({ "from": "segment" })).await;
    assert_eq!(again.status, 202, "{}", again.body);
    assert_eq!(again.body["retry_of"], failed["id"]);
    app.settle().await;
    let again = super::run(&ann, &again.body).await;
    assert_eq!(again["status"], "failed", "{again}");
    let mended = FAILS.replace("\"Bad\"", "\"Worse\"");
    edit(&ann, "rules", &flow, json!({ "script": mended })).await;
    let newest = json!({ "from": "segment", "version": "newest" });
    let again = ask(&ann, &failed, "retry", newest).await;
    app.settle().await;
    let again = super::run(&ann, &again.body).await;
    assert_eq!(again["status"], "succeeded", "{again}");
    assert_eq!(again["rule_version"], 2);
    assert_eq!(tags(&ann, &task).await, json!(["one", "two"]));
    ask(&ann, &again, "retry", json!({})).await.refused(409);

    let anew = ask(&ann, &failed, "retry", json!({ "version": "newest" })).await;
    app.settle().await;
    let anew = super::run(&ann, &anew.body).await;
    assert_eq!(anew["status"], "suspended", "{anew}");
    app.pass(hours(1)).await;
    assert_eq!(super::run(&ann, &anew).await["status"], "succeeded");
}

#[tokio::test]
async fn a_changed_script_that_does_something_else_diverges_and_says_both() {
    let (app, ann) = ann_alone().await;
    let flow = rule(&ann, "task.created", FAILS, json!({})).await;
    ann.create_task(json!({ "title": "Bad" })).await;
    app.settle().await;
    app.pass(hours(1)).await;
    let failed = the_run(&ann).await;
    let other = FAILS.replace("task.tag(\"one\")", "task.comment(\"one\")");
    edit(&ann, "rules", &flow, json!({ "script": other })).await;
    let newest = json!({ "from": "segment", "version": "newest" });
    let again = ask(&ann, &failed, "retry", newest).await;
    app.settle().await;
    let again = super::run(&ann, &again.body).await;
    assert_eq!(again["status"], "diverged", "{again}");
    let message = again["error"]["message"].as_str().unwrap();
    assert!(message.contains("task.tag"), "{message}");
    assert!(message.contains("task.comment"), "{message}");
}

#[tokio::test]
async fn a_deleted_task_ends_its_runs() {
    let (app, ann) = ann_alone().await;
    rule(&ann, "task.created", TWO, json!({})).await;
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    app.settle().await;
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    assert_eq!(ann.delete(&path).await.status, 204);
    let ended = the_run(&ann).await;
    assert_eq!(ended["status"], "cancelled");
    assert_eq!(ended["error"]["message"], "the task was deleted");
    app.pass(hours(2)).await;
    assert_eq!(the_run(&ann).await["status"], "cancelled");
}

#[tokio::test]
async fn a_run_that_a_deletion_began_goes_on_with_the_task_as_it_was() {
    let (app, ann) = ann_alone().await;
    let script = "sleep(hours(1));\nemail(task.owner, `Gone: ${task.title}`, \"\");";
    rule(&ann, "task.deleted", script, json!({})).await;
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    assert_eq!(ann.delete(&path).await.status, 204);
    app.settle().await;
    app.pass(hours(1)).await;
    assert_eq!(app.subjects_to("ann"), ["Gone: Pay"]);
}

#[tokio::test]
async fn a_rule_that_is_disabled_says_what_becomes_of_its_runs() {
    for (choice, status) in [(None, "succeeded"), (Some("cancel"), "cancelled")] {
        let (app, ann) = ann_alone().await;
        let flow = rule(&ann, "task.created", TWO, json!({})).await;
        ann.create_task(json!({ "title": "Pay" })).await;
        app.settle().await;
        let path = format!("/api/v1/rules/{}", flow["id"].as_str().unwrap());
        let while_enabled = json!({ "suspended_runs": "cancel" });
        let refused = ann.patch(&path, while_enabled).await;
        assert_eq!(refused.pointers(), ["/suspended_runs"]);
        let mut disable = json!({ "enabled": false });
        if let Some(choice) = choice {
            disable["suspended_runs"] = json!(choice);
        }
        edit(&ann, "rules", &flow, disable).await;
        app.pass(hours(1)).await;
        assert_eq!(the_run(&ann).await["status"], status);
    }
}

#[tokio::test]
async fn runs_are_found_by_rule_task_status_and_time() {
    let (app, ann) = ann_alone().await;
    let flow = rule(&ann, "task.created", TWO, json!({})).await;
    let first = ann.create_task(json!({ "title": "First" })).await;
    app.settle().await;
    app.pass(hours(1)).await;
    let between = app.later(hours(0));
    app.pass(hours(1)).await;
    ann.create_task(json!({ "title": "Second" })).await;
    app.settle().await;
    let (rule, task) = (flow["id"].as_str().unwrap(), first["id"].as_str().unwrap());
    for (query, found) in [
        (format!("rule_id={rule}"), 2),
        (format!("task_id={task}"), 1),
        ("status=suspended".to_owned(), 1),
        ("status=succeeded".to_owned(), 1),
        ("status=paused".to_owned(), 0),
        (format!("until={between}"), 1),
        (format!("since={between}"), 1),
        (format!("since={between}&status=succeeded"), 0),
    ] {
        let runs = ann.list(&format!("/api/v1/runs?{query}")).await;
        assert_eq!(runs.len(), found, "{query}");
    }
    app.pass(hours(1)).await;
}

#[tokio::test]
async fn a_run_that_cannot_go_on_is_tried_again_ten_times_and_then_paused() {
    // A machine that is too slow for the segment after the wait, though not for what came before.
    let settings = [("rules.wall_ms", "30"), ("rules.operations", "1000000000")];
    let app = TestApp::start_with(&settings).await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let script = "task.tag(\"one\");\nsleep(hours(1));\nlet x = 0;\nwhile true { x += 1; }";
    rule(&ann, "task.created", script, json!({})).await;
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    app.settle().await;
    app.pass(hours(1)).await;
    for tried in 1..=10 {
        let waiting = the_run(&ann).await;
        assert_eq!(waiting["status"], "suspended", "after {tried} tries");
        app.pass(seconds(61)).await;
    }
    let paused = the_run(&ann).await;
    assert_eq!(paused["status"], "paused");
    let message = paused["error"]["message"].as_str().unwrap();
    assert!(message.contains("30 ms"), "{message}");
    assert_eq!(app.subjects_to("ann"), ["Run paused: flow"]);
    app.pass(hours(2)).await;
    assert_eq!(the_run(&ann).await["status"], "paused");
    assert_eq!(tags(&ann, &task).await, json!(["one"]));

    let resumed = ask(&ann, &paused, "resume", json!({})).await;
    assert_eq!(resumed.status, 202, "{}", resumed.body);
    app.settle().await;
    assert_eq!(the_run(&ann).await["status"], "suspended");
    let cancelled = ask(&ann, &paused, "cancel", json!({})).await;
    assert_eq!(cancelled.body["status"], "cancelled", "{}", cancelled.body);
}
