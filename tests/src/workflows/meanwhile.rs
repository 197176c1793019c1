//! Runs whose rule, task or turn has changed before they could go on.

use super::control::ask;
use super::{ann_alone, edit, rule, run, the_run};
use crate::harness::{Client, TestApp, hours, seconds};
use crate::receivers::Webhooks;
use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};
use smarttasks_model::{RuleId, UserId};
use smarttasks_store::rules::{self, NewRule};

const GATE: &str = r#"let e = wait_for("gate.opened", days(1));
emit("gate.passed", #{ who: event.data.who });"#;

fn id(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn raise(person: &Client, kind: &str, data: Value) {
    let event = json!({ "type": kind, "data": data });
    assert_eq!(person.post("/api/v1/events", event).await.status, 201);
}

#[tokio::test]
async fn many_who_wait_elsewhere_keep_nobody_asleep() {
    let (app, ann) = ann_alone().await;
    let bob = app.register("bob").await;
    bob.remove_starter_rules().await;
    let overlap = json!({ "overlap": "parallel" });
    for person in [&bob, &ann] {
        rule(person, "gate.queued", GATE, overlap.clone()).await;
    }
    // As many as are looked at together, and all before Ann's.
    for who in 0..200 {
        raise(&bob, "gate.queued", json!({ "who": who })).await;
    }
    app.pass(seconds(1)).await;
    raise(&ann, "gate.queued", json!({ "who": "ann" })).await;
    app.pass(seconds(1)).await;
    // Both are handled together, or at least they may be.
    let opened = [&bob, &ann].map(|person| person.event(app.clock.now(), "gate.opened", json!({})));
    app.db()
        .write(move |tx| {
            let opened = opened.clone();
            Box::pin(async move { opened.into_iter().try_for_each(|event| tx.raise(event)) })
        })
        .await
        .unwrap();
    app.settle().await;
    assert_eq!(the_run(&ann).await["status"], "succeeded");
    let passed = bob.list("/api/v1/events?type=gate.passed&limit=250").await;
    assert_eq!(passed.len(), 200);
}

#[tokio::test]
async fn a_run_whose_version_is_gone_ends_with_the_reason_and_cannot_be_tried_again() {
    let (app, ann) = ann_alone().await;
    let script = "task.tag(\"one\");\nsleep(hours(1));\ntask.tag(\"two\");";
    rule(&ann, "task.created", script, json!({})).await;
    ann.create_task(json!({ "title": "Pay" })).await;
    app.settle().await;
    assert_eq!(the_run(&ann).await["status"], "suspended");
    // As somebody may have done by hand, or from an older backup.
    let url = app.database_url().replace("?mode=ro", "?mode=rw");
    let database = Database::connect(url).await.unwrap();
    database
        .execute_unprepared("DELETE FROM rule_versions")
        .await
        .unwrap();
    database.close().await.unwrap();
    app.pass(hours(1)).await;
    let ended = the_run(&ann).await;
    assert_eq!(ended["status"], "cancelled");
    let why = "its rule is gone, with the version that it began with";
    assert_eq!(ended["error"]["message"], why);
    let refused = ask(&ann, &ended, "retry", json!({})).await;
    refused.refused(409);
    let why = refused.text("detail");
    assert!(why.contains("the version that the run would need"), "{why}");
    assert_eq!(ann.list("/api/v1/runs").await.len(), 1);
}

#[tokio::test]
async fn a_run_that_is_resumed_while_its_answer_waits_for_its_turn_goes_on_with_the_answer() {
    let settings = [("rules.wall_ms", "200"), ("rules.operations", "1000000000")];
    let app = TestApp::start_with(&settings).await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let receiver = Webhooks::start().await;
    let script = format!(
        "let answer = http(#{{ url: \"{}\" }});\n\
         while task.title == \"Slow\" {{ }}\n\
         task.comment(`${{answer.status}}`);",
        receiver.url("/status")
    );
    rule(&ann, "task.created", &script, json!({})).await;
    let task = ann.create_task(json!({ "title": "Slow" })).await;
    // The answer is there, and the segment after it takes too long: it is to be tried again.
    app.until(async || receiver.inbox.look(<[_]>::len) == 1)
        .await;
    app.settle().await;
    let waiting = the_run(&ann).await;
    assert_eq!(waiting["status"], "suspended");
    edit(&ann, "tasks", &task, json!({ "title": "Fast" })).await;
    let resumed = ask(&ann, &waiting, "resume", json!({})).await;
    assert_eq!(resumed.status, 202, "{}", resumed.body);
    app.settle().await;
    // A busy machine may need another try.
    app.until(async || {
        app.pass(seconds(60)).await;
        the_run(&ann).await["status"] == "succeeded"
    })
    .await;
    let path = format!("/api/v1/tasks/{}/comments", id(&task["id"]));
    let comments = ann.list(&path).await;
    let texts: Vec<&str> = comments
        .iter()
        .map(|comment| id(&comment["text"]))
        .collect();
    assert_eq!(texts, ["204"]);
    assert_eq!(receiver.inbox.take().len(), 1);
}

#[tokio::test]
async fn a_run_that_begins_after_its_task_was_deleted_does_not_wait() {
    let (mut app, ann) = ann_alone().await;
    rule(&ann, "task.created", "sleep(hours(1));", json!({})).await;
    app.settle().await;
    app.stop().await;
    // Nobody has seen the one when the other is committed.
    let task = ann.create_task(json!({ "title": "Pay" })).await;
    let path = format!("/api/v1/tasks/{}", id(&task["id"]));
    assert_eq!(ann.delete(&path).await.status, 204);
    // On a broker the messages are for the relay that is gone, until their leases have run out.
    app.restart_after(seconds(10)).await;
    app.settle().await;
    let ann = app.log_in("ann@example.com").await;
    let ended = the_run(&ann).await;
    assert_eq!(ended["status"], "cancelled");
    assert_eq!(ended["error"]["message"], "the task was deleted");
    assert_ne!(ended["finished_at"], Value::Null);
}

#[tokio::test]
async fn runs_of_one_version_act_for_whoever_answered_for_their_rule_when_they_began() {
    let (app, ann) = ann_alone().await;
    let bob = app.register("bob").await;
    let flow = rule(
        &ann,
        "flow.begun",
        "sleep(hours(1));\nthrow \"not yet\";",
        json!({}),
    )
    .await;
    raise(&ann, "flow.begun", json!({})).await;
    app.settle().await;
    app.pass(hours(1)).await;
    let failed = the_run(&ann).await;
    assert_eq!(failed["status"], "failed");

    mend(&app, &ann, &bob, &flow).await;
    raise(&ann, "flow.begun", json!({})).await;
    app.settle().await;
    app.pass(hours(1)).await;
    let newest = json!({ "from": "segment", "version": "newest" });
    let again = ask(&ann, &failed, "retry", newest).await;
    assert_eq!(again.status, 202, "{}", again.body);
    app.settle().await;
    assert_eq!(run(&ann, &again.body).await["status"], "succeeded");
    let tasks = ann.list("/api/v1/tasks").await;
    let mut creators: Vec<&str> = tasks.iter().map(|task| id(&task["creator_id"])).collect();
    creators.sort_unstable();
    let mut both = [ann.id(), bob.id()];
    both.sort_unstable();
    assert_eq!(creators, both);
}

/// Bob writes the next version of Ann's rule.
async fn mend(app: &TestApp, ann: &Client, bob: &Client, rule: &Value) {
    let spec = json!({ "name": "flow", "triggers": [{ "event": "flow.begun" }],
        "script": "sleep(hours(1));\ncreate_task(#{ title: \"Made\" });" });
    let workspace = ann.workspace();
    let (author, rule): (UserId, RuleId) =
        (bob.id().parse().unwrap(), id(&rule["id"]).parse().unwrap());
    app.db()
        .write(move |tx| {
            let new = NewRule {
                id: rule,
                spec: serde_json::from_value(spec.clone()).unwrap(),
                occurrences: Vec::new(),
                apply_to_existing: false,
                cancel_runs: false,
            };
            Box::pin(async move { rules::update(tx, workspace, author, new, None).await })
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_run_that_fails_at_its_beginning_takes_nobodys_place() {
    let (app, ann) = ann_alone().await;
    let script = r#"if changed("title") {
    if task.title == "Bad" { throw "bad title"; }
    task.comment(task.title);
    sleep(hours(1));
    task.comment("done");
}"#;
    rule(
        &ann,
        "task.updated",
        script,
        json!({ "overlap": "restart" }),
    )
    .await;
    let task = ann.create_task(json!({ "title": "One" })).await;
    for title in ["Two", "Bad"] {
        edit(&ann, "tasks", &task, json!({ "title": title })).await;
        app.settle().await;
    }
    let statuses = async || {
        let runs = ann.list("/api/v1/runs").await;
        let mut found: Vec<String> = runs.iter().map(|run| run["status"].to_string()).collect();
        found.sort();
        found
    };
    assert_eq!(statuses().await, ["\"failed\"", "\"suspended\""]);
    app.pass(hours(1)).await;
    assert_eq!(statuses().await, ["\"failed\"", "\"succeeded\""]);
}
