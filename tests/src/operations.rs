//! What an operator relies on: nothing is lost over a stop, rows go when their time has come,
//! and the process says how it is.

use crate::backend::Backend;
use crate::harness::{TestApp, hours, seconds};
use http::Method;
use serde_json::json;

fn days(number: u64) -> std::time::Duration {
    hours(24 * number)
}

#[tokio::test]
async fn what_was_accepted_before_a_stop_is_done_after_it() {
    let mut app = TestApp::start().await;
    let ann = app.register("ann").await;
    for number in 0..20 {
        ann.create_task(json!({ "title": format!("Task {number:02}") }))
            .await;
    }
    app.restart().await;
    app.settle().await;
    let expected: Vec<_> = (0..20)
        .map(|number| format!("New task: Task {number:02}"))
        .collect();
    assert_eq!(app.subjects_to("ann"), expected);
}

#[tokio::test]
async fn rows_and_files_go_when_their_time_has_come() {
    let app = TestApp::start_with(&[
        ("retention.events", "2d"),
        ("retention.runs", "4d"),
        ("retention.deliveries", "6d"),
    ])
    .await;
    let ann = app.register("ann").await;
    ann.create_task(json!({ "title": "Pay invoice" })).await;
    app.settle().await;
    let counts = || async {
        (
            ann.list("/api/v1/events").await.len(),
            ann.list("/api/v1/runs").await.len(),
            ann.list("/api/v1/deliveries").await.len(),
        )
    };
    assert_eq!(counts().await, (2, 1, 1));
    app.pass(days(3)).await;
    app.until(async || counts().await == (0, 1, 1)).await;
    app.pass(days(2)).await;
    app.until(async || counts().await == (0, 0, 1)).await;
    app.pass(days(2)).await;
    app.until(async || counts().await == (0, 0, 0)).await;
    assert_eq!(
        ann.list("/api/v1/tasks").await.len(),
        1,
        "tasks are for people to delete"
    );
}

#[tokio::test]
async fn more_rows_than_one_sweep_takes_all_go() {
    let app = TestApp::start_with(&[("retention.events", "1d")]).await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    for _ in 0..700 {
        let posted = ann
            .post("/api/v1/events", json!({ "type": "a.b", "data": 1 }))
            .await;
        assert_eq!(posted.status, 201);
    }
    app.pass(days(2)).await;
    app.until(async || ann.list("/api/v1/events").await.is_empty())
        .await;
}

#[tokio::test]
async fn above_the_bound_of_pending_messages_requests_are_told_to_come_back() {
    let app = TestApp::start_with(&[("bus.max_pending", "1")]).await;
    let ann = app.register("ann").await;
    // A write that publishes two messages fills the outbox for the moment until they are taken.
    let burst = (0..30).map(|number| {
        ann.post(
            "/api/v1/tasks",
            json!({ "title": format!("Task {number}") }),
        )
    });
    let mut accepted = 0;
    for answer in futures_util::future::join_all(burst).await {
        match answer.status.as_u16() {
            201 => accepted += 1,
            503 => assert!(answer.header("retry-after").is_some(), "{answer:?}"),
            _ => panic!("{answer:?}"),
        }
    }
    app.settle().await;
    assert_eq!(ann.list("/api/v1/tasks").await.len(), accepted);
    assert_eq!(app.subjects_to("ann").len(), accepted);
}

/// 50 on SQLite, where there is one writer, and 200 on PostgreSQL, where there are many and they meet.
#[tokio::test]
async fn many_writers_at_once_see_no_error() {
    let writers = match Backend::chosen() {
        Backend::Embedded => 50,
        Backend::Servers => 200,
    };
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let shared = ann.create_task(json!({ "title": "Shared" })).await;
    let shared = format!("/api/v1/tasks/{}", shared["id"].as_str().unwrap());
    let write = async |number: usize| {
        let made = ann.post(
            "/api/v1/tasks",
            json!({ "title": format!("Task {number}") }),
        );
        assert_eq!(made.await.status, 201);
        let comment = json!({ "text": format!("By writer {number}") });
        let said = ann.post(&format!("{shared}/comments"), comment).await;
        assert_eq!(said.status, 201, "{}", said.body);
        let changed = ann.patch(&shared, json!({ "description": format!("{number}") }));
        assert_eq!(changed.await.status, 200);
    };
    futures_util::future::join_all((0..writers).map(write)).await;
    app.settle().await;
    let task = ann.get(&shared).await.body;
    assert_eq!(task["version"], writers + 1);
    assert_eq!(app.subjects_to("ann").len(), writers + 1);
}

#[tokio::test]
async fn the_process_says_how_it_is() {
    let app = TestApp::start().await;
    let live = app.call(Method::GET, "/livez", None, None).await;
    assert_eq!(live.status, 200);
    let parts = match Backend::chosen() {
        Backend::Embedded => json!({ "database": "ok", "outbox": "ok" }),
        Backend::Servers => {
            json!({ "database": "ok", "outbox": "ok", "broker": "ok", "redis": "ok" })
        }
    };
    let roles = ["api", "engine", "scheduler", "notifier"];
    let expected = json!({ "status": "ready", "roles": roles, "parts": parts });
    // The connections to the broker are made beside the start.
    app.until(async || {
        let ready = app.call(Method::GET, "/readyz", None, None).await;
        ready.body == expected
    })
    .await;
    let docs = app.call(Method::GET, "/docs/", None, None).await;
    assert_eq!(docs.status, 200, "{docs:?}");
    let described = app
        .call(Method::GET, "/api/v1/openapi.json", None, None)
        .await;
    assert_eq!(described.body["openapi"], "3.1.0");
}

#[tokio::test]
async fn a_clock_that_is_set_back_fires_nothing_twice() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.create_task(json!({ "title": "Pay invoice", "due_at": app.later(hours(1)) }))
        .await;
    app.pass(hours(2)).await;
    let now = app.clock.now();
    app.clock.set(now - hours(3));
    app.settle().await;
    app.pass(hours(4) + seconds(1)).await;
    assert_eq!(
        app.subjects_to("ann"),
        ["New task: Pay invoice", "Overdue: Pay invoice"]
    );
}
