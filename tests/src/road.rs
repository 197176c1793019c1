//! The whole road once as people see it: the binary, the clock on the wall, a mail server and a
//! receiver of webhooks on sockets. Everything else about the road is tested on a clock that the
//! tests move; only here the promise "within a second" is kept or broken.

use crate::process::{Connection, Installation, Process};
use crate::receivers::{Mails, Webhooks};
use serde_json::{Value, json};
use smarttasks_model::{Clock, Timestamp};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

async fn ann(process: &Process) -> Connection {
    let token = process.register("ann").await;
    process.connect(&token).await
}

fn instant(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_overdue_task_mails_its_owner_once_within_a_second() {
    let mails = Mails::start().await;
    let installation = Installation::new(&mails);
    let process = installation.start().await;
    process.ready().await;
    let token = process.register("ann").await;
    let mut ann = process.connect(&token).await;
    let due_at = Clock::system().now() + 2 * SECOND;
    let task = json!({ "title": "Pay", "description": "The invoice", "due_at": due_at });
    ann.create("/api/v1/tasks", &task).await;
    mails.inbox.until_count(2).await;

    let events = ann.list("/api/v1/events?type=task.overdue").await;
    assert_eq!(events.len(), 1, "{events:?}");
    let raised_at = instant(&events[0]["time"]);
    let in_time = due_at..due_at + SECOND;
    assert!(
        in_time.contains(&raised_at),
        "due {due_at}, raised {raised_at}"
    );

    // Told to stop, it ends what is under way: what has not come by then does not come.
    assert_eq!(process.stop().await.code(), Some(0));
    let received = mails.inbox.take();
    let read: Vec<_> = received.iter().map(|mail| mail.read()).collect();
    let subjects: Vec<_> = read.iter().map(|mail| mail.subject.as_str()).collect();
    assert_eq!(subjects, ["New task: Pay", "Overdue: Pay"]);
    assert!(read[0].text.contains("The invoice"), "{}", read[0].text);
    assert!(
        received
            .iter()
            .all(|mail| mail.recipients == ["ann@example.com"])
    );

    let again = installation.start().await;
    let deliveries = again.connect(&token).await.list("/api/v1/deliveries").await;
    let delivered = |one: &&Value| {
        one["status"] == "delivered" && one["attempts"].as_array().unwrap().len() == 1
    };
    assert_eq!(
        deliveries.iter().filter(delivered).count(),
        2,
        "{deliveries:?}"
    );
    assert_eq!(deliveries.len(), 2);
    assert_eq!(again.stop().await.code(), Some(0));
    assert_eq!(mails.inbox.look(<[_]>::len), 0);
}

#[tokio::test]
async fn a_receiver_verifies_the_webhook_of_a_rule_with_the_stock_library() {
    let (mails, webhooks) = (Mails::start().await, Webhooks::start().await);
    let installation = Installation::new(&mails);
    let process = installation.start().await;
    let mut ann = ann(&process).await;
    let endpoint = json!({ "name": "ops", "url": webhooks.url("/ops") });
    let endpoint = ann.create("/api/v1/endpoints", &endpoint).await;
    let secret = endpoint["secret"].as_str().unwrap();
    let rule = json!({
        "name": "Tell ops",
        "triggers": [{ "event": "task.created" }],
        "script": r#"if task.priority == HIGH { webhook("ops", #{ title: task.title }); }"#,
    });
    ann.create("/api/v1/rules", &rule).await;
    ann.create(
        "/api/v1/tasks",
        &json!({ "title": "Tidy", "priority": "low" }),
    )
    .await;
    ann.create(
        "/api/v1/tasks",
        &json!({ "title": "Pay", "priority": "high" }),
    )
    .await;
    webhooks.inbox.until_count(1).await;

    assert_eq!(process.stop().await.code(), Some(0));
    let received = webhooks.inbox.take();
    assert_eq!(received.len(), 1);
    let webhook = &received[0];
    assert_eq!(webhook.path, "/ops");
    assert_eq!(webhook.json()["type"], "rule.webhook");
    assert_eq!(webhook.json()["data"], json!({ "title": "Pay" }));
    webhook.verify(secret).unwrap();
    let another = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert!(webhook.verify(another).is_err());
}
