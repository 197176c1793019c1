//! The scenarios that must work, always.

use crate::harness::{TestApp, hours};
use serde_json::json;

#[tokio::test]
async fn a_new_task_mails_its_owner_title_and_description() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let task = json!({ "title": "Renew certificate", "description": "For the shop, by Friday" });
    let task = ann.create_task(task).await;
    app.settle().await;
    let mails = app.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, "ann@example.com");
    assert_eq!(mails[0].subject, "New task: Renew certificate");
    assert!(
        mails[0].text.contains("For the shop, by Friday"),
        "{}",
        mails[0].text
    );

    let runs = ann.list("/api/v1/runs").await;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["status"], "succeeded");
    assert_eq!(runs[0]["task_id"], task["id"]);
    assert_eq!(runs[0]["actions"][0]["action"], "email");
    let deliveries = ann.list("/api/v1/deliveries").await;
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0]["status"], "delivered");
    assert_eq!(deliveries[0]["run_id"], runs[0]["id"]);
    assert_eq!(deliveries[0]["recipient"], "ann@example.com");
    assert_eq!(deliveries[0]["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_overdue_task_mails_its_owner_once() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let due_at = app.later(hours(1));
    ann.create_task(json!({ "title": "Pay invoice", "due_at": due_at }))
        .await;
    app.settle().await;
    assert_eq!(app.subjects_to("ann"), ["New task: Pay invoice"]);

    app.pass(hours(2)).await;
    app.pass(hours(2)).await;
    assert_eq!(
        app.subjects_to("ann"),
        ["New task: Pay invoice", "Overdue: Pay invoice"]
    );
    let overdue = ann.list("/api/v1/events?type=task.overdue").await;
    assert_eq!(overdue.len(), 1);
    assert_eq!(
        ann.list("/api/v1/deliveries?status=delivered").await.len(),
        2
    );
}

#[tokio::test]
async fn a_deadline_that_moves_takes_its_timers_along() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let task = json!({ "title": "Pay invoice", "due_at": app.later(hours(1)) });
    let task = ann.create_task(task).await;
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    let moved = ann
        .patch(&path, json!({ "due_at": app.later(hours(5)) }))
        .await;
    assert_eq!(moved.status, 200, "{}", moved.body);

    app.pass(hours(2)).await;
    assert_eq!(
        app.subjects_to("ann"),
        ["New task: Pay invoice"],
        "the old deadline does nothing"
    );
    app.pass(hours(4)).await;
    assert_eq!(
        app.subjects_to("ann"),
        ["New task: Pay invoice", "Overdue: Pay invoice"]
    );

    let cleared = ann.patch(&path, json!({ "due_at": null })).await;
    assert_eq!(cleared.body["due_at"], serde_json::Value::Null);
    app.pass(hours(48)).await;
    assert_eq!(app.subjects_to("ann").len(), 2);
}

#[tokio::test]
async fn a_task_that_is_done_in_time_is_never_overdue() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let task = json!({ "title": "Pay invoice", "due_at": app.later(hours(1)) });
    let task = ann.create_task(task).await;
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    ann.patch(&path, json!({ "status": "done" })).await;
    app.pass(hours(2)).await;
    assert!(
        ann.list("/api/v1/events?type=task.overdue")
            .await
            .is_empty()
    );

    // Open again after the deadline, it is overdue at once.
    ann.patch(&path, json!({ "status": "todo" })).await;
    app.settle().await;
    assert_eq!(ann.list("/api/v1/events?type=task.overdue").await.len(), 1);
}

#[tokio::test]
async fn a_deadline_is_announced_a_day_before() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.create_task(json!({ "title": "Far", "due_at": app.later(hours(30)) }))
        .await;
    ann.create_task(json!({ "title": "Near", "due_at": app.later(hours(3)) }))
        .await;
    app.pass(hours(7)).await;
    let soon = ann.list("/api/v1/events?type=task.due_soon").await;
    let titles: Vec<_> = soon
        .iter()
        .map(|event| &event["data"]["task"]["title"])
        .collect();
    assert_eq!(
        titles,
        ["Far"],
        "a deadline set within its last day is not announced"
    );
}

#[tokio::test]
async fn what_is_due_while_the_product_is_down_is_late_and_not_lost() {
    let mut app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.create_task(json!({ "title": "Pay invoice", "due_at": app.later(hours(1)) }))
        .await;
    app.settle().await;
    app.restart_after(hours(6)).await;
    app.settle().await;
    assert_eq!(
        app.subjects_to("ann"),
        ["New task: Pay invoice", "Overdue: Pay invoice"]
    );
}
