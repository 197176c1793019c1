//! What is said of deliveries while they are attempted.

use super::server::register;
use super::{Directory, open};
use crate::Db;
use crate::deliveries::{self, Attempt, Content, Delivery, Outcome, Report, Status};
use smarttasks_model::{DeliveryId, NotificationId, WorkspaceId};
use std::time::Duration;

const ATTEMPTS: i32 = 200;

fn pending(db: &Db, workspace_id: WorkspaceId) -> Delivery {
    let now = db.clock().now();
    let notification_id = NotificationId::derived(now, &[b"notification"]);
    let recipient = "https://receiver.example.com/".to_owned();
    Delivery {
        id: DeliveryId::of(notification_id, now, &recipient),
        workspace_id,
        notification_id,
        status: Status::Pending,
        reason: None,
        rule_id: None,
        run_id: None,
        task_id: None,
        endpoint_id: None,
        recipient,
        external: false,
        content: Content::Webhook {
            body: "{}".to_owned(),
        },
        traceparent: None,
        depth: 0,
        attempts_made: 0,
        created_at: now,
        next_attempt_at: Some(now),
        finished_at: None,
    }
}

/// Records that the receiver was busy.
async fn attempt(db: &Db, delivery_id: DeliveryId, number: i32) {
    let at = db.clock().now();
    let report = Report {
        delivery_id,
        attempt: Some(Attempt {
            number,
            at,
            status_code: Some(503),
            duration_ms: 1,
            error: None,
            response: None,
        }),
        outcome: Outcome::Retry(at + Duration::from_secs(1)),
    };
    db.write(move |tx| {
        let report = report.clone();
        Box::pin(async move { deliveries::report(tx, &[report]).await })
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_is_read_together_with_the_attempts_that_led_to_it() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let (_, workspace) = register(&db).await;
    let delivery = pending(&db, workspace);
    let id = delivery.id;
    db.write(move |tx| {
        let inserted = deliveries::insert(tx, &delivery);
        Box::pin(async { inserted })
    })
    .await
    .unwrap();
    let writer = tokio::spawn({
        let db = db.clone();
        async move {
            for number in 1..=ATTEMPTS {
                attempt(&db, id, number).await;
            }
        }
    });
    let mut made = 0;
    while made < ATTEMPTS {
        let (delivery, attempts) = deliveries::get(&db, workspace, id).await.unwrap();
        made = delivery.attempts_made;
        let seen: Vec<i32> = attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(seen, (1..=made).collect::<Vec<_>>());
    }
    writer.await.unwrap();
}
