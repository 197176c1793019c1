//! Rules that fail: ten times in a row and they are disabled, their owner is told, and the rule's
//! versions say so.

use crate::harness::{Client, TestApp, hours, seconds};
use http::Method;
use serde_json::{Value, json};
use smarttasks_model::Message;
use std::sync::Arc;

/// Fails at `bad`, acts at `good`, and does nothing at anything else.
const FRAGILE: &str = "if event.data == \"bad\" {\n  throw \"it is bad\";\n}\n\
    if event.data == \"good\" { emit(\"shop.counted\", #{}); }";

/// A person with the rule, and nothing else.
async fn with_fragile(app: &TestApp) -> (Client, String) {
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let rule = ann.create_rule("fragile", "shop.sold", FRAGILE).await;
    let path = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap());
    (ann, path)
}

/// Lets so many of these happen, each in a batch of its own.
async fn happen(app: &TestApp, ann: &Client, what: &str, times: usize) {
    for _ in 0..times {
        let event = json!({ "type": "shop.sold", "data": what });
        let posted = ann.post("/api/v1/events", event).await;
        assert_eq!(posted.status, 201, "{}", posted.body);
        // Each in a second of its own, by which runs are listed.
        app.pass(seconds(1)).await;
    }
}

async fn rule(ann: &Client, path: &str) -> Value {
    let rule = ann.get(path).await;
    assert_eq!(rule.status, 200, "{}", rule.body);
    rule.body
}

/// Whether it is enabled, and how many failures stand in a row.
async fn state(ann: &Client, path: &str) -> (bool, i64) {
    let rule = rule(ann, path).await;
    (
        rule["enabled"].as_bool().unwrap(),
        rule["stats"]["failures_in_row"].as_i64().unwrap(),
    )
}

async fn enable(ann: &Client, path: &str) {
    let enabled = ann.patch(path, json!({ "enabled": true })).await;
    assert_eq!(enabled.status, 200, "{}", enabled.body);
    assert_eq!(enabled.body["disabled_reason"], Value::Null);
    assert_eq!(enabled.body["stats"]["failures_in_row"], 0);
}

#[tokio::test]
async fn ten_failing_runs_in_a_row_disable_a_rule_and_tell_its_owner_once() {
    let app = TestApp::start().await;
    let (ann, path) = with_fragile(&app).await;
    happen(&app, &ann, "bad", 9).await;
    assert_eq!(state(&ann, &path).await, (true, 9));
    assert_eq!(rule(&ann, &path).await["disabled_reason"], Value::Null);
    assert!(app.mails().is_empty());

    happen(&app, &ann, "bad", 3).await;
    let disabled = rule(&ann, &path).await;
    assert_eq!(disabled["enabled"], false);
    let reason = disabled["disabled_reason"].as_str().unwrap();
    assert!(reason.contains("10 failures in a row"), "{reason}");
    assert!(reason.contains("it is bad"), "{reason}");
    assert!(reason.contains("line 2, column 3"), "{reason}");
    let runs = ann.list("/api/v1/runs").await;
    assert_eq!(runs.len(), 10, "a disabled rule starts nothing");

    let mails = app.mails();
    assert_eq!(app.subjects_to("ann"), ["Rule disabled: fragile"]);
    assert!(mails[0].text.contains(reason), "{}", mails[0].text);
    let last_run = format!("/api/v1/runs/{}", runs[0]["id"].as_str().unwrap());
    assert!(mails[0].text.contains(&last_run), "{}", mails[0].text);
    assert!(mails[0].text.contains(&path), "how to enable it again");

    let events = ann.list("/api/v1/events?type=rule.disabled").await;
    assert_eq!(events.len(), 1, "{events:?}");
    let data = &events[0]["data"];
    assert_eq!(
        data["rule"],
        json!({ "id": disabled["id"], "name": "fragile" })
    );
    assert_eq!(data["reason"], disabled["disabled_reason"]);
    assert_eq!(data["error"], runs[0]["error"]);

    let versions = ann.list(&format!("{path}/versions")).await;
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[0]["author"], Value::Null, "the system did it");
    assert_eq!(versions[0]["changes"], json!(["enabled"]));
    assert_eq!(versions[0]["note"], format!("disabled: {reason}"));
    assert_eq!(disabled["version"], 2);
    assert_eq!(disabled["author_id"], ann.id(), "it is still hers");
}

#[tokio::test]
async fn a_run_that_acts_starts_the_count_again_and_one_that_does_not_match_leaves_it() {
    let app = TestApp::start().await;
    let (ann, path) = with_fragile(&app).await;
    happen(&app, &ann, "bad", 9).await;
    happen(&app, &ann, "good", 1).await;
    assert_eq!(state(&ann, &path).await, (true, 0));
    happen(&app, &ann, "bad", 9).await;
    happen(&app, &ann, "neither", 2).await;
    assert_eq!(state(&ann, &path).await, (true, 9));
    happen(&app, &ann, "bad", 1).await;
    assert_eq!(state(&ann, &path).await, (false, 10));
    let stats = &rule(&ann, &path).await["stats"];
    let counted = (&stats["matches"], &stats["failures"]);
    assert_eq!(counted, (&json!(1), &json!(19)));
}

#[tokio::test]
async fn a_rule_that_is_enabled_again_counts_anew() {
    let app = TestApp::start().await;
    let (ann, path) = with_fragile(&app).await;
    happen(&app, &ann, "bad", 10).await;
    // An edit alone does not enable it, and does not hide why it is disabled.
    let edited = ann.patch(&path, json!({ "description": "d" })).await;
    assert_eq!(edited.body["enabled"], false);
    assert!(edited.body["disabled_reason"].is_string());

    enable(&ann, &path).await;
    happen(&app, &ann, "good", 1).await;
    happen(&app, &ann, "bad", 9).await;
    assert_eq!(state(&ann, &path).await, (true, 9));
    happen(&app, &ann, "bad", 1).await;
    assert_eq!(state(&ann, &path).await, (false, 10));
    let twice = ["Rule disabled: fragile", "Rule disabled: fragile"];
    assert_eq!(app.subjects_to("ann"), twice);
}

#[tokio::test]
async fn what_is_disabled_by_its_owner_is_nobodys_news() {
    let app = TestApp::start().await;
    let (ann, path) = with_fragile(&app).await;
    happen(&app, &ann, "bad", 9).await;
    let disabled = ann.patch(&path, json!({ "enabled": false })).await;
    assert_eq!(disabled.body["disabled_reason"], Value::Null);
    happen(&app, &ann, "bad", 1).await;
    assert!(app.mails().is_empty());
    assert!(
        ann.list("/api/v1/events?type=rule.disabled")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_disabled_rule_loses_its_timers_and_has_them_again_when_it_is_enabled() {
    let app = TestApp::start().await;
    let (ann, path) = with_fragile(&app).await;
    let triggers = json!([{ "event": "shop.sold" }, { "due": "-10m" }]);
    let patched = ann.patch(&path, json!({ "triggers": triggers })).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    let task = |title: &str, due| json!({ "title": title, "due_at": due });
    ann.create_task(task("soon", app.later(hours(1)))).await;
    ann.create_task(task("later", app.later(hours(5)))).await;
    happen(&app, &ann, "bad", 10).await;
    app.pass(hours(2)).await;
    assert!(ann.list("/api/v1/events?type=rule.due").await.is_empty());
    enable(&ann, &path).await;
    app.pass(hours(4)).await;
    let due = ann.list("/api/v1/events?type=rule.due").await;
    assert_eq!(due.len(), 1, "{due:?}");
    assert_eq!(due[0]["data"]["task"]["title"], "later");
}

#[tokio::test]
async fn that_a_rule_is_disabled_starts_other_rules() {
    let app = TestApp::start().await;
    let (ann, _) = with_fragile(&app).await;
    let mend =
        "create_task(#{ title: `Mend ${event.data.rule.name}: line ${event.data.error.line}` });";
    ann.create_rule("mender", "rule.disabled", mend).await;
    happen(&app, &ann, "bad", 10).await;
    let tasks = ann.list("/api/v1/tasks").await;
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0]["title"], "Mend fragile: line 2");
}

#[tokio::test]
async fn rules_that_fail_because_rules_are_disabled_end_in_peace() {
    let app = TestApp::start().await;
    let (ann, _) = with_fragile(&app).await;
    for name in ["one", "two"] {
        ann.create_rule(name, "rule.disabled", "throw \"again\";")
            .await;
    }
    for round in 0..12 {
        let body = json!({ "name": format!("victim {round}"), "script": "throw 1;",
            "triggers": [{ "event": "shop.closed" }] });
        assert_eq!(ann.post("/api/v1/rules", body).await.status, 201);
    }
    for _ in 0..10 {
        let event = json!({ "type": "shop.closed", "data": {} });
        assert_eq!(ann.post("/api/v1/events", event).await.status, 201);
        app.settle().await;
    }
    let rules = ann.list("/api/v1/rules?limit=250").await;
    let enabled: Vec<_> = rules
        .iter()
        .filter(|rule| rule["enabled"] == true)
        .collect();
    assert_eq!(enabled.len(), 1, "{enabled:#?}");
    assert_eq!(enabled[0]["name"], "fragile");
    assert_eq!(app.subjects_to("ann").len(), 14);
}

#[tokio::test]
async fn a_tenth_failure_that_comes_twice_is_told_once() {
    let app = TestApp::start().await;
    let (ann, path) = with_fragile(&app).await;
    happen(&app, &ann, "bad", 9).await;
    let event = ann.event(app.clock.now(), "shop.sold", json!("bad"));
    app.db()
        .write(move |tx| {
            let event = event.clone();
            Box::pin(async move {
                tx.raise(event.clone())?;
                tx.publish(Message::Event(Arc::new(event.clone())))?;
                tx.publish(Message::Event(Arc::new(event)))
            })
        })
        .await
        .unwrap();
    app.settle().await;
    assert_eq!(state(&ann, &path).await, (false, 10));
    assert_eq!(app.subjects_to("ann"), ["Rule disabled: fragile"]);
    assert_eq!(ann.list(&format!("{path}/versions")).await.len(), 2);
    assert_eq!(ann.list("/api/v1/runs").await.len(), 10);
}

#[tokio::test]
async fn versions_say_who_changed_what() {
    let app = TestApp::start().await;
    let (ann, path) = with_fragile(&app).await;
    let versions = format!("{path}/versions");
    for patch in [
        json!({ "script": "log(1);" }),
        json!({ "name": "sturdy", "triggers": [{ "due": "0" }] }),
    ] {
        let patched = ann.patch(&path, patch).await;
        assert_eq!(patched.status, 200, "{}", patched.body);
    }
    let rollback = format!("{path}/rollback");
    let back = ann.post(&rollback, json!({ "version": 1 })).await;
    assert_eq!(back.status, 200, "{}", back.body);
    assert_eq!(back.body["version"], 4);
    assert_eq!(back.body["script"], FRAGILE);

    let found = ann.list(&versions).await;
    let told: Vec<_> = found
        .iter()
        .map(|one| json!([one["version"], one["changes"], one["note"]]))
        .collect();
    let everything = json!(["name", "script", "triggers"]);
    assert_eq!(
        told,
        [
            json!([4, everything, "rolled back to version 1"]),
            json!([3, ["name", "triggers"], null]),
            json!([2, ["script"], null]),
            json!([1, [], null]),
        ]
    );
    let author = json!({ "id": ann.id(), "name": "ann" });
    assert!(found.iter().all(|one| one["author"] == author), "{found:?}");

    let page = ann.get(&format!("{versions}?limit=1")).await;
    let next = format!("{versions}?limit=1&cursor={}", page.text("next_cursor"));
    assert_eq!(ann.list(&next).await[0]["version"], 3);
}

#[tokio::test]
async fn what_is_rolled_back_to_is_checked_and_runs_again() {
    let app = TestApp::start().await;
    let (ann, path) = with_fragile(&app).await;
    let rollback = format!("{path}/rollback");
    happen(&app, &ann, "bad", 10).await;
    let renamed = ann.patch(&path, json!({ "name": "other" })).await;
    assert_eq!(renamed.body["version"], 3);

    // Version 1 was enabled, and nothing had been counted against it.
    let back = ann.post(&rollback, json!({ "version": 1 })).await;
    assert_eq!(back.status, 200, "{}", back.body);
    assert_eq!(back.body["enabled"], true);
    assert_eq!(back.body["disabled_reason"], Value::Null);
    assert_eq!(back.body["stats"]["failures_in_row"], 0);
    happen(&app, &ann, "good", 1).await;
    let stats = &rule(&ann, &path).await["stats"];
    assert_eq!(
        (&stats["matches"], &stats["failures"]),
        (&json!(1), &json!(10))
    );

    let renamed = ann.patch(&path, json!({ "name": "other" })).await;
    assert_eq!(renamed.status, 200, "{}", renamed.body);
    ann.create_rule("fragile", "shop.sold", "log(1);").await;
    let taken = ann.post(&rollback, json!({ "version": 1 })).await;
    assert_eq!(taken.refused(409), "name_taken");
    let absent = ann.post(&rollback, json!({ "version": 99 })).await;
    assert_eq!(absent.refused(404), "not_found");
}

#[tokio::test]
async fn a_rollback_is_done_only_on_the_version_that_was_seen() {
    let app = TestApp::start().await;
    let (ann, path) = with_fragile(&app).await;
    let patched = ann.patch(&path, json!({ "script": "log(1);" })).await;
    assert_eq!(patched.body["version"], 2);
    let rollback = format!("{path}/rollback");
    let to_first = json!({ "version": 1 });
    let stale = [("if-match", "\"v1\"")];
    let refused = ann
        .ask(Method::POST, &rollback, Some(&to_first), &stale)
        .await;
    assert_eq!(refused.refused(412), "precondition_failed");
    let unchanged = rule(&ann, &path).await;
    assert_eq!(unchanged["version"], 2);
    assert_eq!(unchanged["script"], "log(1);");
    assert_eq!(ann.list(&format!("{path}/versions")).await.len(), 2);

    // Asked again with the same key, it is the same rollback, although the version is another now.
    let seen = [("if-match", "\"v2\""), ("idempotency-key", "back")];
    for _ in 0..2 {
        let back = ann
            .ask(Method::POST, &rollback, Some(&to_first), &seen)
            .await;
        assert_eq!(
            (back.status.as_u16(), &back.body["version"]),
            (200, &json!(3))
        );
    }
    assert_eq!(rule(&ann, &path).await["version"], 3);
}

#[tokio::test]
async fn a_rollback_says_whether_the_rule_is_for_what_matches_already() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    for (name, existing) in [("all", json!(null)), ("later", json!(false))] {
        let sweep = json!({
            "name": name, "triggers": [{ "cron": "@hourly" }],
            "script": format!("if task.title == \"{name}\" {{ emit(\"found.{name}\", 1); }}"),
        });
        let made = ann.post("/api/v1/rules", sweep).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let path = format!("/api/v1/rules/{}", made.body["id"].as_str().unwrap());
        let disabled = ann.patch(&path, json!({ "enabled": false })).await;
        assert_eq!(disabled.status, 200, "{}", disabled.body);
        ann.create_task(json!({ "title": name })).await;
        let body = json!({ "version": 1, "apply_to_existing": existing });
        let back = ann.post(&format!("{path}/rollback"), body).await;
        assert_eq!(back.body["enabled"], true, "{}", back.body);
    }
    app.settle().await;
    app.pass(hours(1)).await;
    for (name, found) in [("all", 1), ("later", 0)] {
        let events = format!("/api/v1/events?type=found.{name}");
        assert_eq!(ann.list(&events).await.len(), found, "{name}");
    }
}
