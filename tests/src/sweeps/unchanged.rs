//! What a sweep reads: only tasks for which something may have changed.

use super::{MINUTE, ann_alone, change, path, sweep_rule};
use crate::harness::{Client, TestApp, seconds};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::{Value, json};
use smarttasks_model::predicate::{Passing, Window};
use smarttasks_model::{RuleId, Sought, SweepPart, SweepPurpose, SweepRange, TaskId};
use smarttasks_store::sweeps::marks::{self, Mark};
use smarttasks_store::{matches, sweeps};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// Counts the tasks that sweeps read on this thread, on which everything of a test runs.
#[derive(Default)]
struct Reads(Arc<AtomicU64>);

impl Reads {
    /// Since it was asked last.
    fn since(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Recorder for Reads {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match key.name() {
            "smarttasks_sweep_tasks_total" => Counter::from_arc(Arc::clone(&self.0)),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

const STUCK: &str = "if task.status == \"blocked\" && task.time_in_status > days(1) { \
                     emit(\"acme.stuck\", #{}); }";

fn id_of(rule: &Value) -> RuleId {
    rule["id"].as_str().unwrap().parse().unwrap()
}

/// A sweep of these rules now, at which nobody has looked.
fn sweep_of(app: &TestApp, ann: &Client, rules: &[&Value]) -> SweepRange {
    SweepRange {
        sweep_id: Uuid::new_v4(),
        workspace_id: ann.workspace(),
        scheduled_at: app.clock.now(),
        rules: rules.iter().map(|rule| id_of(rule)).collect(),
        purpose: SweepPurpose::Fire,
        part: None,
    }
}

/// Adds a range, which may have been given up and be replayed, and waits for what comes of it.
async fn add(app: &TestApp, range: SweepRange, given_up: bool) {
    app.db()
        .write(move |tx| {
            let range = range.clone();
            Box::pin(async move {
                sweeps::add(tx, [range.clone()]).await?;
                match given_up {
                    true => sweeps::give_up(tx, &range).await,
                    false => Ok(()),
                }
            })
        })
        .await
        .unwrap();
    app.settle().await;
}

async fn mark(app: &TestApp, rule: &Value) -> Option<Mark> {
    let id = id_of(rule);
    let marks = marks::of(app.db(), [id]).await.unwrap();
    marks.get(&id).copied()
}

async fn emitted(ann: &Client, kind: &str) -> usize {
    let path = format!("/api/v1/events?type={kind}&limit=250");
    ann.list(&path).await.len()
}

async fn make_tasks(app: &TestApp, ann: &Client) {
    for number in 0..30_u64 {
        let due_at = app.later(seconds(600 + number * 3_600));
        let (priority, status) = match number % 3 {
            0 => ("urgent", "blocked"),
            1 => ("low", "todo"),
            _ => ("normal", "done"),
        };
        let task = json!({ "title": number.to_string(), "due_at": due_at, "priority": priority,
            "status": status });
        ann.create_task(task).await;
    }
}

#[tokio::test]
async fn a_sweep_in_which_nothing_changes_reads_no_task() {
    let reads = Reads::default();
    let _guard = metrics::set_default_local_recorder(&reads);
    let (app, ann) = ann_alone().await;
    make_tasks(&app, &ann).await;
    let task = ann.create_task(json!({ "title": "Later" })).await;
    sweep_rule(&ann, "late", json!({})).await;
    let urgent = "if task.is_open && task.priority == URGENT { emit(\"acme.urgent\", #{}); }";
    sweep_rule(&ann, "urgent", json!({ "script": urgent })).await;
    sweep_rule(&ann, "stuck", json!({ "script": STUCK })).await;
    app.pass(seconds(60)).await;
    assert!(reads.since() > 0, "the first sweep does not know yet");
    assert_eq!(emitted(&ann, "acme.urgent").await, 10);
    app.pass(seconds(120)).await;
    reads.since();
    for _ in 0..5 {
        app.pass(seconds(60)).await;
        assert_eq!(reads.since(), 0);
    }
    let to = json!({ "priority": "urgent" });
    change(&ann, "tasks", &task, to).await;
    app.pass(seconds(60)).await;
    assert_eq!(reads.since(), 1, "the task that was changed");
    assert_eq!(emitted(&ann, "acme.urgent").await, 11);
    // The first deadlines come, and the tasks stay in their status.
    app.pass(seconds(180)).await;
    assert!(reads.since() > 0);
    assert_eq!(app.subjects_to("ann").len(), 1);
    app.pass(seconds(24 * 3_600)).await;
    assert_eq!(emitted(&ann, "acme.stuck").await, 10);
}

/// What a script asks of its event is decided for a sweep, and `explain` says what is read.
#[tokio::test]
async fn a_rule_of_events_and_of_a_schedule_is_swept_for_what_it_does_then() {
    let reads = Reads::default();
    let _guard = metrics::set_default_local_recorder(&reads);
    let (app, ann) = ann_alone().await;
    make_tasks(&app, &ann).await;
    let triggers = json!([{ "event": "task.assigned" }, { "cron": MINUTE }]);
    let script = "if changed(\"assignee\") { emit(\"acme.assigned\", #{}); } \
                  else if event.type == \"rule.scheduled\" && task.is_overdue { \
                  emit(\"acme.late\", #{}); }";
    let mixed = sweep_rule(
        &ann,
        "mixed",
        json!({ "triggers": triggers, "script": script }),
    )
    .await;
    let script = "if event.data.scheduled_at != () && task.is_overdue { emit(\"acme.at\", #{}); }";
    let timed = sweep_rule(&ann, "timed", json!({ "script": script })).await;
    let explained = async |rule: &Value| {
        let path = format!("{}/explain", path("rules", rule));
        let search = ann.get(&path).await.body["search"].clone();
        assert_eq!(search["indexed"], true, "{search}");
        assert_eq!(
            search["reads"][0]["index"], "tasks_open_by_deadline",
            "{search}"
        );
        search["incremental"].clone()
    };
    assert_eq!(explained(&mixed).await, true);
    assert_eq!(
        explained(&timed).await,
        false,
        "each occurrence has another"
    );
    let disable = async |rule| change(&ann, "rules", rule, json!({ "enabled": false })).await;
    disable(&timed).await;
    app.pass(seconds(700)).await;
    assert_eq!(reads.since(), 1, "one of thirty is overdue");
    app.pass(seconds(60)).await;
    reads.since();
    app.pass(seconds(60)).await;
    assert_eq!(reads.since(), 0);
    assert_eq!(emitted(&ann, "acme.late").await, 1);
}

/// Its owner is to learn of it, for which a page of tasks is enough.
#[tokio::test]
async fn a_rule_that_never_acts_is_not_asked_about_every_task() {
    let reads = Reads::default();
    let _guard = metrics::set_default_local_recorder(&reads);
    let (app, ann) = ann_alone().await;
    let open = "if task.is_open { emit(\"acme.open\", #{}); }";
    let rule = sweep_rule(&ann, "open", json!({ "script": open })).await;
    let task = json!({ "title": "Renew" });
    for _ in 0..600 {
        ann.create_task(task.clone()).await;
    }
    app.pass(seconds(60)).await;
    assert!(reads.since() >= 600);
    let never = "if task.is_open && task.status == \"done\" { emit(\"acme.open\", #{}); }";
    change(&ann, "rules", &rule, json!({ "script": never })).await;
    app.pass(seconds(60)).await;
    assert_eq!(reads.since(), 600 + 500, "what matched, and a page");
    app.pass(seconds(60)).await;
    assert_eq!(reads.since(), 500);
    let ids = [id_of(&rule)];
    let tasks = ann.list("/api/v1/tasks?limit=250").await;
    let id = |task: &Value| task["id"].as_str().unwrap().parse().unwrap();
    let tasks: Vec<TaskId> = tasks.iter().map(id).collect();
    let left = matches::of(app.db(), &ids, &tasks).await;
    assert!(left.unwrap().is_empty());
}

#[tokio::test]
async fn a_match_is_looked_at_again_when_it_is_due_and_not_before() {
    let reads = Reads::default();
    let _guard = metrics::set_default_local_recorder(&reads);
    let (app, ann) = ann_alone().await;
    make_tasks(&app, &ann).await;
    let urgent = "if task.priority == URGENT { emit(\"acme.urgent\", #{}); }";
    let reminds = json!({ "script": urgent, "repeat": "5m", "hold": "4m" });
    sweep_rule(&ann, "reminds", reminds).await;
    for _ in 0..3 {
        app.pass(seconds(60)).await;
    }
    reads.since();
    let mut read = Vec::new();
    for _ in 0..12 {
        app.pass(seconds(60)).await;
        read.push(reads.since());
    }
    assert_eq!(read, [0, 10, 0, 0, 0, 0, 10, 0, 0, 0, 0, 10]);
    assert_eq!(emitted(&ann, "acme.urgent").await, 30);
}

#[tokio::test]
async fn what_matches_is_known_after_a_clean_sweep_and_not_after_one_in_which_a_run_failed() {
    let (app, ann) = ann_alone().await;
    make_tasks(&app, &ann).await;
    let bad = ann.create_task(json!({ "title": "bad" })).await;
    let script = "if task.is_open { if task.title == \"bad\" { throw \"bad\"; } \
                  emit(\"acme.open\", #{}); }";
    let rule = sweep_rule(&ann, "open", json!({ "script": script })).await;
    let clock = "if task.is_open && now().hour >= 0 { emit(\"acme.day\", #{}); }";
    let unclear = sweep_rule(&ann, "unclear", json!({ "script": clock })).await;
    app.pass(seconds(60)).await;
    assert_eq!(emitted(&ann, "acme.open").await, 20);
    let version = |of: Option<Mark>| of.map_or(0, |mark| mark.version);
    assert_eq!(version(mark(&app, &rule).await), 0, "a run failed");
    change(&ann, "tasks", &bad, json!({ "title": "good" })).await;
    app.pass(seconds(60)).await;
    let known = Some(Mark {
        version: 1,
        at: app.clock.now(),
    });
    assert_eq!(mark(&app, &rule).await, known);
    assert_eq!(emitted(&ann, "acme.open").await, 21);
    assert_eq!(mark(&app, &unclear).await, None, "it depends on more");
    assert_eq!(emitted(&ann, "acme.day").await, 21);

    // A failure later leaves the mark where it was.
    change(&ann, "tasks", &bad, json!({ "status": "done" })).await;
    app.pass(seconds(60)).await;
    let known = mark(&app, &rule).await;
    change(
        &ann,
        "tasks",
        &bad,
        json!({ "status": "todo", "title": "bad" }),
    )
    .await;
    app.pass(seconds(60)).await;
    assert_eq!(mark(&app, &rule).await, known);
    assert_eq!(emitted(&ann, "acme.open").await, 21);
    change(&ann, "tasks", &bad, json!({ "title": "good" })).await;
    app.pass(seconds(180)).await;
    assert_eq!(emitted(&ann, "acme.open").await, 22);
    assert_eq!(mark(&app, &rule).await.unwrap().at, app.clock.now());

    // In another version, nothing is known.
    let script = script.replace("acme.open", "acme.other");
    change(
        &ann,
        "rules",
        &rule,
        json!({ "script": script, "repeat": "always" }),
    )
    .await;
    app.pass(seconds(60)).await;
    assert_eq!(version(mark(&app, &rule).await), 2);
    assert_eq!(emitted(&ann, "acme.other").await, 21);
    assert_eq!(ann.delete(&path("rules", &rule)).await.status, 204);
    assert_eq!(mark(&app, &rule).await, None);
}

#[tokio::test]
async fn many_matches_are_looked_at_in_pages_however_they_are_found() {
    let (app, ann) = ann_alone().await;
    for number in 0..1_100 {
        ann.create_task(json!({ "title": number.to_string() }))
            .await;
    }
    let scripts = [
        ("exact", "if task.is_open { emit(\"acme.exact\", #{}); }"),
        (
            "unclear",
            "if task.is_open && now().hour >= 0 { emit(\"acme.unclear\", #{}); }",
        ),
        (
            "all",
            "fn yes() { true } if yes() { emit(\"acme.all\", #{}); }",
        ),
    ];
    let mut rules = Vec::new();
    for (name, script) in scripts {
        let more = json!({ "script": script, "repeat": "2m", "triggers": [{ "cron": MINUTE }] });
        rules.push(sweep_rule(&ann, name, more).await);
    }
    let told = async || {
        let mut told = Vec::new();
        for rule in &rules {
            let rule = ann.get(&path("rules", rule)).await.body;
            told.push(rule["stats"]["matches"].as_i64().unwrap());
        }
        told
    };
    for sweeps in 1..=4 {
        app.pass(seconds(60)).await;
        assert_eq!(told().await, [1_100 * ((sweeps + 1) / 2); 3]);
    }
    assert_eq!(mark(&app, &rules[0]).await.unwrap().at, app.clock.now());
    assert_eq!(mark(&app, &rules[1]).await, None);
}

#[tokio::test]
async fn what_is_replayed_marks_nothing() {
    let (app, ann) = ann_alone().await;
    make_tasks(&app, &ann).await;
    let urgent = "if task.is_open && task.priority == URGENT { emit(\"acme.urgent\", #{}); }";
    let late = sweep_rule(&ann, "late", json!({})).await;
    let urgent = sweep_rule(&ann, "urgent", json!({ "script": urgent })).await;
    for given_up in [true, false] {
        add(&app, sweep_of(&app, &ann, &[&late, &urgent]), given_up).await;
        for rule in [&late, &urgent] {
            assert_eq!(mark(&app, rule).await.is_some(), !given_up);
        }
    }
}

/// A look that comes late finds it by what time has done.
#[tokio::test]
async fn what_was_written_since_a_sweep_began_is_found_too() {
    let (app, ann) = ann_alone().await;
    let begun_at = app.clock.now();
    let hour = seconds(3_600);
    let task = json!({ "title": "Pay", "due_at": app.later(hour / 2) });
    let task = ann.create_task(task).await;
    let script = "if task.is_overdue { emit(\"acme.late\", #{}); }";
    let yearly = json!({ "triggers": [{ "cron": "0 0 1 1 *" }], "script": script });
    let rule = sweep_rule(&ann, "late", yearly).await;
    app.clock.advance(hour);
    change(&ann, "tasks", &task, json!({ "title": "Pay now" })).await;
    let mut range = sweep_of(&app, &ann, &[&rule]);
    let window = Window {
        of: Passing::DueAt,
        open: true,
        from: begun_at,
        to: app.clock.now(),
    };
    range.part = Some(SweepPart {
        id: Uuid::new_v4(),
        begun_at,
        versions: [(id_of(&rule), 1)].into(),
        sought: Sought::Changed {
            since: begun_at - seconds(60),
            windows: vec![window],
            due: Vec::new(),
        },
        after: None,
        to: None,
    });
    add(&app, range, false).await;
    assert_eq!(emitted(&ann, "acme.late").await, 1);
}
