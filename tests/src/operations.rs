//! What an operator relies on: nothing is lost over a stop, rows go when their time has come,
//! and the process says how it is.

use crate::backend::Backend;
use crate::harness::{TestApp, hours, seconds};
use http::Method;
use serde_json::json;
use smarttasks_model::{
    Content, DeliveryId, Email, Message, Notification, NotificationId, Recipient,
};
use smarttasks_store::deliveries::{self, Delivery};
use smarttasks_store::{Due, Timer};

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
    let app = TestApp::start_with(&[("bus.max_pending", "4")]).await;
    let ann = app.register("ann").await;
    // Writes that publish messages fill the outbox for the moment until they are taken.
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

/// The notifier commits a delivery as taken up and then sends it. When the answer to the commit is
/// lost, the message comes again, to a process that has taken up the delivery and does not know it.
#[tokio::test]
async fn what_was_taken_up_by_a_commit_whose_answer_was_lost_is_sent() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let rules = ann.list("/api/v1/rules").await;
    let workspace_id = serde_json::from_value(rules[0]["workspace_id"].clone()).unwrap();
    let now = app.clock.now();
    let email: Email = "ann@example.com".parse().unwrap();
    let notification = Notification {
        id: NotificationId::new(now),
        workspace_id,
        run_id: None,
        rule_id: None,
        task_id: None,
        created_at: now,
        depth: 0,
        traceparent: None,
        content: Content::Email {
            to: vec![Recipient {
                email: email.clone(),
                name: None,
                user_id: None,
            }],
            subject: "Once".to_owned(),
            text: "Only".to_owned(),
            html: None,
        },
    };
    let delivery = Delivery {
        id: DeliveryId::of(notification.id, now, &email.key()),
        workspace_id,
        notification_id: notification.id,
        status: deliveries::Status::Pending,
        reason: None,
        rule_id: None,
        run_id: None,
        task_id: None,
        endpoint_id: None,
        recipient: email.as_str().to_owned(),
        external: false,
        content: deliveries::Content::Email {
            name: None,
            subject: "Once".to_owned(),
            text: "Only".to_owned(),
            html: None,
            question: None,
        },
        traceparent: None,
        depth: 0,
        attempts_made: 0,
        created_at: now,
        next_attempt_at: Some(now),
        finished_at: None,
    };
    let repeated = async || {
        let (delivery, notification) = (delivery.clone(), notification.clone());
        let committed = app.db().write(move |tx| {
            let (delivery, notification) = (delivery.clone(), notification.clone());
            Box::pin(async move {
                if deliveries::existing(tx, [delivery.id]).await?.is_empty() {
                    deliveries::insert(tx, &delivery)?;
                    tx.schedule(Timer {
                        fire_at: now + hours(24),
                        workspace_id: Some(workspace_id),
                        due: Due::DeliveryRecovery {
                            delivery_id: delivery.id,
                        },
                    });
                }
                tx.publish(Message::Notification(Box::new(notification)))
            })
        });
        committed.await.unwrap();
        app.settle().await;
    };
    repeated().await;
    assert_eq!(app.subjects_to("ann"), ["Once"]);
    repeated().await;
    assert_eq!(app.subjects_to("ann"), ["Once"], "it is known by then");
    let delivered = ann.list("/api/v1/deliveries").await;
    let attempts = delivered[0]["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{delivered:?}");
}

/// (Of 200 on PostgreSQL the store has a test, without the time that an unoptimised API takes.)
#[tokio::test]
async fn fifty_writers_at_once_see_no_error() {
    let writers = 50;
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
