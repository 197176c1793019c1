//! Nobody suffers for a neighbour: evaluation time is shared out between workspaces.

use crate::harness::{Client, TestApp, seconds};
use serde_json::{Value, json};
use smarttasks_model::Event;

/// Runs into the limit on time, whatever the machine.
const SLOW: &str = "loop { }";
const NEIGHBOURS: usize = 200;
const EVENTS: usize = 5;

async fn listens(app: &TestApp, name: &str, script: &str) -> Client {
    let person = app.register(name).await;
    person.remove_starter_rules().await;
    person.create_rule("listens", "build.done", script).await;
    person
}

async fn raise(person: &Client, times: usize) {
    for _ in 0..times {
        let event = json!({ "type": "build.done", "data": {} });
        assert_eq!(person.post("/api/v1/events", event).await.status, 201);
    }
}

async fn runs(person: &Client) -> Vec<Value> {
    person.list("/api/v1/runs").await
}

#[tokio::test]
async fn two_hundred_workspaces_of_slow_rules_do_not_hold_up_a_fast_one() {
    let settings = [
        ("rules.wall_ms", "50"),
        ("rules.operations", "1000000000"),
        ("rules.workspace_budget", "off"),
    ];
    let mut app = TestApp::start_with(&settings).await;
    let mut neighbours = Vec::with_capacity(NEIGHBOURS);
    for number in 0..NEIGHBOURS {
        neighbours.push(listens(&app, &format!("slow{number}"), SLOW).await);
    }
    let fast = listens(&app, "fast", "emit(\"build.seen\", 1);").await;
    app.settle().await;
    // In one transaction, and every neighbour's stand before the one of the fast workspace.
    let rounds = (0..EVENTS).flat_map(|_| &neighbours);
    let events: Vec<Event> = rounds
        .chain([&fast])
        .map(|who| who.event(app.clock.now(), "build.done", json!({})))
        .collect();
    app.db()
        .write(move |tx| {
            let events = events.clone();
            Box::pin(async move { events.into_iter().try_for_each(|event| tx.raise(event)) })
        })
        .await
        .unwrap();
    app.until(async || runs(&fast).await.len() == 1).await;
    // So that no more of them end while they are counted.
    app.stop().await;
    let mut before = 0;
    for neighbour in &neighbours {
        before += runs(neighbour).await.len();
    }
    assert!(
        before < NEIGHBOURS * EVENTS / 2,
        "{before} slow runs had ended before the fast one"
    );
    app.leaves_messages_unsent();
}

#[tokio::test]
async fn asking_first_gives_a_slow_rule_no_more_time() {
    let settings = [
        ("rules.wall_ms", "50"),
        ("rules.operations", "1000000000"),
        ("rules.workspace_budget", "off"),
    ];
    let mut app = TestApp::start_with(&settings).await;
    let slow = listens(
        &app,
        "slow",
        "loop { count(#{ open: true }); for n in 0..1000 {} }",
    )
    .await;
    let fast = listens(&app, "fast", "emit(\"build.seen\", 1);").await;
    app.settle().await;
    let mut events: Vec<Event> = (0..9)
        .map(|_| slow.event(app.clock.now(), "build.done", json!({})))
        .collect();
    events.push(fast.event(app.clock.now(), "build.done", json!({})));
    app.db()
        .write(move |tx| {
            let events = events.clone();
            Box::pin(async move { events.into_iter().try_for_each(|event| tx.raise(event)) })
        })
        .await
        .unwrap();
    app.settle().await;
    assert_eq!(runs(&fast).await.len(), 1);
    for run in runs(&slow).await {
        assert_eq!(run["status"], "failed");
        let message = run["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("50 ms") || message.contains("queries"),
            "{message}"
        );
    }
    app.leaves_messages_unsent();
}

#[tokio::test]
async fn what_has_to_wait_for_its_turn_is_done_in_the_end_and_once() {
    let settings = [
        ("rules.wall_ms", "100"),
        ("rules.operations", "1000000000"),
        ("rules.workspace_budget", "off"),
    ];
    let app = TestApp::start_with(&settings).await;
    let slow = listens(
        &app,
        "slow",
        "let n = 0; while n < 20000 { n += 1; } emit(\"build.seen\", n);",
    )
    .await;
    let other = listens(&app, "other", SLOW).await;
    app.settle().await;
    raise(&other, 9).await;
    raise(&slow, 40).await;
    app.settle().await;
    let seen = slow.list("/api/v1/events?type=build.seen&limit=250").await;
    let failed = slow.list("/api/v1/runs?status=failed&limit=250").await;
    assert_eq!(
        seen.len() + failed.len(),
        40,
        "each has one run, which a busy machine may stop"
    );
    assert_eq!(runs(&other).await.len(), 9);
}

#[tokio::test]
async fn a_workspace_that_has_used_its_budget_waits_and_the_others_do_not() {
    let settings = [
        ("rules.wall_ms", "160"),
        ("rules.operations", "1000000000"),
        ("rules.workspace_budget", "1s"),
    ];
    let app = TestApp::start_with(&settings).await;
    let slow = listens(&app, "slow", SLOW).await;
    let fast = listens(&app, "fast", "emit(\"build.seen\", 1);").await;
    app.settle().await;
    for _ in 0..9 {
        raise(&slow, 1).await;
        app.settle().await;
    }
    raise(&fast, 1).await;
    app.settle().await;
    let ended = runs(&slow).await.len();
    assert!(
        (1..9).contains(&ended),
        "{ended} of nine runs within a budget of six"
    );
    assert_eq!(runs(&fast).await.len(), 1);
    // What waits is late, not lost: each minute has its budget.
    app.until(async || {
        app.pass(seconds(60)).await;
        runs(&slow).await.len() == 9
    })
    .await;
    let rules = slow.list("/api/v1/rules").await;
    let mine = rules.iter().find(|rule| rule["name"] == "listens").unwrap();
    assert_eq!(mine["stats"]["failures"], 9);
}
