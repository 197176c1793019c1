//! State sweeps: a rule on a schedule, looked at for each task.

mod kill;
mod model;
mod unchanged;

use crate::harness::{Client, TestApp, hours, seconds};
use serde_json::{Value, json};
use smarttasks_model::{SweepPurpose, SweepRange};
use smarttasks_store::{outbox, sweeps};
use uuid::Uuid;

const MINUTE: &str = "* * * * *";

async fn sweep_rule(ann: &Client, name: &str, more: Value) -> Value {
    let mut rule = json!({
        "name": name,
        "triggers": [{ "cron": MINUTE }],
        "script": "if task.is_overdue { email(task.owner, `Late: ${task.title}`, \"\"); }",
    });
    let fields = rule.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    let rule = ann.post("/api/v1/rules", rule).await;
    assert_eq!(rule.status, 201, "{}", rule.body);
    rule.body
}

fn path(of: &str, it: &Value) -> String {
    format!("/api/v1/{of}/{}", it["id"].as_str().unwrap())
}

async fn change(ann: &Client, of: &str, it: &Value, to: Value) {
    let changed = ann.patch(&path(of, it), to).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
}

async fn ann_alone() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    (app, ann)
}

async fn kinds(ann: &Client, kind: &str) -> usize {
    let path = format!("/api/v1/events?type={kind}");
    ann.list(&path).await.len()
}

#[tokio::test]
async fn a_week_overdue_is_one_mail_or_seven_and_one_more_when_it_comes_again() {
    let (app, ann) = ann_alone().await;
    let due = json!({ "title": "Pay", "due_at": app.later(seconds(90)) });
    let task = ann.create_task(due).await;
    sweep_rule(&ann, "once", json!({})).await;
    let reminds = json!({ "repeat": "24h",
        "script": "if task.is_overdue { email(task.owner, `Still late: ${task.title}`, \"\"); }" });
    sweep_rule(&ann, "reminds", reminds).await;
    app.pass(seconds(60)).await;
    assert!(app.subjects_to("ann").is_empty(), "it is not late yet");
    // Every minute of an hour, then the week in steps of an hour, of which the last minute counts.
    for _ in 0..60 {
        app.pass(seconds(60)).await;
    }
    for _ in 1..7 * 24 {
        app.pass(hours(1)).await;
    }
    let count = |app: &TestApp, subject: &str| {
        let subjects = app.subjects_to("ann");
        subjects.iter().filter(|of| *of == subject).count()
    };
    assert_eq!(count(&app, "Late: Pay"), 1);
    assert_eq!(count(&app, "Still late: Pay"), 7);
    assert_eq!(kinds(&ann, "rule.matched").await, 2);
    assert_eq!(kinds(&ann, "rule.resolved").await, 0);

    change(
        &ann,
        "tasks",
        &task,
        json!({ "due_at": app.later(hours(2)) }),
    )
    .await;
    app.pass(hours(1)).await;
    assert_eq!(kinds(&ann, "rule.resolved").await, 2);
    app.pass(hours(2)).await;
    app.pass(hours(1)).await;
    assert_eq!(count(&app, "Late: Pay"), 2);
    assert_eq!(count(&app, "Still late: Pay"), 8);
}

#[tokio::test]
async fn a_match_that_must_hold_fires_when_it_has_held() {
    let (app, ann) = ann_alone().await;
    let script = json!({ "hold": "10m",
        "script": "if task.status == \"blocked\" { email(task.owner, task.title, \"\"); }" });
    sweep_rule(&ann, "blocked", script).await;
    let short = json!({ "title": "Short", "status": "blocked" });
    let short = ann.create_task(short).await;
    ann.create_task(json!({ "title": "Long", "status": "blocked" }))
        .await;
    app.pass(seconds(60)).await;
    change(&ann, "tasks", &short, json!({ "status": "todo" })).await;
    app.pass(seconds(9 * 60)).await;
    assert!(app.subjects_to("ann").is_empty());
    assert_eq!(kinds(&ann, "rule.matched").await, 0);
    app.pass(seconds(60)).await;
    assert_eq!(app.subjects_to("ann"), ["Long"]);
    assert_eq!(kinds(&ann, "rule.matched").await, 1);
    assert_eq!(kinds(&ann, "rule.resolved").await, 0, "Short had not fired");
}

#[tokio::test]
async fn a_rule_says_whether_it_is_for_what_matches_already() {
    let (app, ann) = ann_alone().await;
    let due = |title: &str, at| json!({ "title": title, "due_at": at });
    let old = ann.create_task(due("Old", app.later(seconds(1)))).await;
    app.pass(hours(1)).await;
    let rule = sweep_rule(&ann, "late", json!({ "apply_to_existing": false })).await;
    assert!(rule.get("apply_to_existing").is_none(), "it is not kept");
    sweep_rule(
        &ann,
        "all",
        json!({
        "script": "if task.is_overdue { email(task.owner, `All: ${task.title}`, \"\"); }" }),
    )
    .await;
    app.settle().await;
    ann.create_task(due("New", app.later(seconds(1)))).await;
    app.pass(seconds(120)).await;
    assert_eq!(
        app.subjects_to("ann"),
        ["All: New", "All: Old", "Late: New"]
    );
    // Disabled and enabled again: what has been told is not told again, unless it ended meanwhile.
    change(&ann, "rules", &rule, json!({ "enabled": false })).await;
    ann.create_task(due("Meanwhile", app.later(seconds(1))))
        .await;
    app.pass(seconds(120)).await;
    let quietly = json!({ "enabled": true, "apply_to_existing": false });
    change(&ann, "rules", &rule, quietly).await;
    app.settle().await;
    app.pass(seconds(120)).await;
    let late = |app: &TestApp| {
        let subjects = app.subjects_to("ann");
        subjects
            .into_iter()
            .filter(|of| of.starts_with("Late"))
            .collect::<Vec<_>>()
    };
    assert_eq!(late(&app), ["Late: New"]);
    change(
        &ann,
        "tasks",
        &old,
        json!({ "due_at": app.later(hours(1)) }),
    )
    .await;
    app.pass(seconds(120)).await;
    app.pass(hours(1)).await;
    assert_eq!(
        late(&app),
        ["Late: New", "Late: Old"],
        "it had stopped to match"
    );
}

#[tokio::test]
async fn many_tasks_are_looked_at_in_pages_that_sweepers_share() {
    let (app, ann) = ann_alone().await;
    for number in 0..1_300 {
        let late = number % 100 == 0;
        let task = json!({ "title": format!("{number:04}"), "priority": if late { "urgent" } else { "low" } });
        ann.create_task(task).await;
    }
    let script = "if task.priority == URGENT { task.tag(\"seen\"); }";
    for name in ["a", "b"] {
        sweep_rule(&ann, name, json!({ "repeat": "always", "script": script })).await;
    }
    app.pass(seconds(60)).await;
    let tagged = ann.list("/api/v1/tasks?tag=seen").await;
    assert_eq!(tagged.len(), 13);
    assert_eq!(kinds(&ann, "rule.matched").await, 26);
    app.pass(seconds(60)).await;
    assert_eq!(kinds(&ann, "rule.matched").await, 26);
    let runs = ann.list("/api/v1/runs?limit=250").await;
    assert_eq!(runs.len(), 52, "each rule, each task, each occurrence");
}

#[tokio::test]
async fn what_a_rule_keeps_goes_from_task_to_task_and_from_run_to_run() {
    let (app, ann) = ann_alone().await;
    for number in 0..20 {
        ann.create_task(json!({ "title": number.to_string() }))
            .await;
    }
    let script = "let n = (state.get(\"n\") ?? 0) + 1; state.set(\"n\", n); \
                  if n % 20 == 0 { email(task.owner, `${n}`, \"\"); }";
    let rule = sweep_rule(
        &ann,
        "counts",
        json!({ "repeat": "always", "script": script }),
    )
    .await;
    for _ in 0..3 {
        app.pass(seconds(60)).await;
    }
    assert_eq!(app.subjects_to("ann"), ["20", "40", "60"]);
    let runs = ann.list(&format!("{}/runs", path("rules", &rule))).await;
    assert_eq!(runs.len(), 3, "a look that only keeps something is no run");
}

#[tokio::test]
async fn events_count_in_what_a_rule_keeps_each_once() {
    let (app, ann) = ann_alone().await;
    let script = "state.set(\"n\", (state.get(\"n\") ?? 0) + 1); \
                  if state.get(\"n\") == 60 { email(task.owner, \"sixty\", \"\"); }";
    ann.create_rule("counts", "task.created", script).await;
    for number in 0..60 {
        ann.create_task(json!({ "title": number.to_string() }))
            .await;
    }
    app.settle().await;
    assert_eq!(app.subjects_to("ann"), ["sixty"]);
}

#[tokio::test]
async fn rules_that_keep_something_and_change_tasks_do_so_in_turn() {
    let (app, ann) = ann_alone().await;
    let script = "let n = (state.get(\"n\") ?? 0) + 1; state.set(\"n\", n); task.tag(`turn${n}`);";
    ann.create_rule("turns", "task.created", script).await;
    for number in 0..30 {
        ann.create_task(json!({ "title": number.to_string() }))
            .await;
    }
    app.settle().await;
    // A label that is refused takes what the rule keeps back with it, and the others go on.
    let fails = "let n = (state.get(\"n\") ?? 0) + 1; state.set(\"n\", n); \
                 if task.title == \"7\" { task.update(#{ parent_id: task.id }); } else { task.tag(`kept${n}`); }";
    ann.create_rule("fails once", "task.created", fails).await;
    for number in 0..20 {
        ann.create_task(json!({ "title": number.to_string() }))
            .await;
    }
    app.settle().await;
    let mut tags: Vec<String> = Vec::new();
    for task in ann.list("/api/v1/tasks?limit=250").await {
        tags.extend(
            task["tags"]
                .as_array()
                .unwrap()
                .iter()
                .map(|tag| tag.as_str().unwrap().to_owned()),
        );
    }
    tags.sort();
    let mut expected: Vec<String> = (1..=50).map(|n| format!("turn{n}")).collect();
    expected.extend((1..=19).map(|n| format!("kept{n}")));
    expected.sort();
    assert_eq!(tags, expected);
}

#[tokio::test]
async fn an_answer_that_is_too_large_fails_the_run_and_holds_no_memory() {
    let app = TestApp::start_with(&[("rules.heap_bytes", "1MiB")]).await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    for number in 0..70 {
        let task = json!({ "title": number.to_string(), "description": "x".repeat(19_000) });
        ann.create_task(task).await;
    }
    let rule = ann
        .create_rule("asks", "task.created", "task.tag(`${tasks(#{}).len}`);")
        .await;
    ann.create_task(json!({ "title": "Go" })).await;
    app.settle().await;
    let runs = ann.list(&format!("{}/runs", path("rules", &rule))).await;
    assert_eq!(runs[0]["status"], "failed");
    let message = runs[0]["error"]["message"].as_str().unwrap();
    assert!(message.contains("hold more than 1 MiB"), "{message}");
}

#[tokio::test]
async fn scripts_ask_about_the_tasks_of_their_workspace() {
    let (app, ann) = ann_alone().await;
    let bob = app.register("bob").await;
    bob.create_task(json!({ "title": "Bob's" })).await;
    for title in ["One", "Two", "Three"] {
        ann.create_task(json!({ "title": title, "priority": "high" }))
            .await;
    }
    app.settle().await;
    let rule = json!({
        "name": "digest",
        "triggers": [{ "cron": "0 9 * * *", "for_each": "once" }],
        "script": "for who in members() { \
                     let open = tasks(#{ assignee: (), open: true, priority: HIGH }); \
                     let titles = \"\"; for t in open { titles += t.title + \" \"; } \
                     email(who, `${count(#{ open: true })} open`, titles); }",
    });
    assert_eq!(ann.post("/api/v1/rules", rule).await.status, 201);
    app.pass(hours(24)).await;
    let mails = app.mails();
    let mail = mails.iter().find(|mail| mail.subject == "3 open").unwrap();
    for title in ["One", "Two", "Three"] {
        assert!(mail.text.contains(title), "{}", mail.text);
    }
    assert!(!mail.text.contains("Bob"), "{}", mail.text);
}

#[tokio::test]
async fn a_rule_that_fails_for_every_task_is_given_up_soon() {
    let (app, ann) = ann_alone().await;
    for number in 0..40 {
        ann.create_task(json!({ "title": number.to_string() }))
            .await;
    }
    let broken = sweep_rule(
        &ann,
        "broken",
        json!({ "script": "task.tag(task.fields.none.x);" }),
    )
    .await;
    sweep_rule(&ann, "fine", json!({ "script": "task.tag(\"seen\");" })).await;
    app.pass(seconds(60)).await;
    let rule = ann.get(&path("rules", &broken)).await.body;
    assert_eq!(rule["enabled"], false, "{rule}");
    assert_eq!(rule["stats"]["failures"], 10);
    assert_eq!(ann.list("/api/v1/tasks?tag=seen").await.len(), 40);
}

#[tokio::test]
async fn a_clock_that_goes_back_and_forth_repeats_and_loses_no_occurrence() {
    let (app, ann) = ann_alone().await;
    let triggers = json!([{ "cron": "*/10 * * * *", "for_each": "once" }]);
    let rule = json!({ "name": "ticks", "triggers": triggers,
        "script": "emit(\"clock.tick\", #{ at: event.data.scheduled_at });" });
    assert_eq!(ann.post("/api/v1/rules", rule).await.status, 201);
    let due = json!({ "title": "Late", "due_at": app.later(seconds(300)) });
    ann.create_task(due).await;
    sweep_rule(&ann, "late", json!({})).await;
    for _ in 0..12 {
        app.pass(seconds(600)).await;
    }
    app.clock.set(app.clock.now() - hours(1));
    app.settle().await;
    for _ in 0..12 {
        app.pass(seconds(600)).await;
    }
    app.pass(hours(1)).await;
    let ticks = ann.list("/api/v1/events?type=clock.tick&limit=250").await;
    let mut at: Vec<_> = ticks
        .iter()
        .map(|tick| tick["data"]["at"].to_string())
        .collect();
    let number = at.len();
    at.sort();
    at.dedup();
    assert_eq!(at.len(), number, "an occurrence came twice");
    // Two hours of ticks before the jump, one hour again that had been, then an hour in steps and
    // one in one step, of which the last is made up for.
    assert_eq!(number, 12 + 6 + 1, "{at:?}");
    assert_eq!(app.subjects_to("ann"), ["Late: Late"]);
}

#[tokio::test]
async fn a_sweep_that_meets_the_one_before_is_late_and_not_lost() {
    let (mut app, ann) = ann_alone().await;
    let due = json!({ "title": "Pay", "due_at": app.later(seconds(90)) });
    ann.create_task(due).await;
    let weekly = json!({ "triggers": [{ "cron": "0 0 * * MON" }], "misfire": "skip" });
    let rule = sweep_rule(&ann, "weekly", weekly).await;
    app.settle().await;
    app.stop().await;
    // A range whose message is nowhere to be seen, as while a broker has it.
    let range = SweepRange {
        sweep_id: Uuid::new_v4(),
        workspace_id: rule["workspace_id"].as_str().unwrap().parse().unwrap(),
        scheduled_at: app.clock.now(),
        rules: vec![rule["id"].as_str().unwrap().parse().unwrap()],
        purpose: SweepPurpose::Fire,
        part: None,
    };
    let db = app.open_database().await;
    let added = range.clone();
    db.write(move |tx| Box::pin(sweeps::add(tx, [added.clone()])))
        .await
        .unwrap();
    let messages = outbox::page(&db, 0, 10).await.unwrap();
    let ids: Vec<i64> = messages.iter().map(|message| message.id).collect();
    db.write(move |tx| {
        tx.settle(ids.clone());
        Box::pin(async { Ok(()) })
    })
    .await
    .unwrap();
    drop(db);
    // Midnight of the next Monday.
    app.restart_after(hours(7 * 24 - 9)).await;
    app.settle().await;
    for _ in 0..3 {
        app.pass(seconds(5)).await;
    }
    assert!(app.subjects_to("ann").is_empty());
    app.db()
        .write(move |tx| {
            let range = range.clone();
            Box::pin(async move { sweeps::finish(tx, &range).await })
        })
        .await
        .unwrap();
    app.pass(seconds(5)).await;
    assert_eq!(app.subjects_to("ann"), ["Late: Pay"]);
    let ann = app.log_in("ann@example.com").await;
    let matched = ann.list("/api/v1/events?type=rule.matched").await;
    assert_eq!(
        matched[0]["data"]["scheduled_at"], "2026-03-09T00:00:00Z",
        "its occurrence is the one that waited"
    );
}
