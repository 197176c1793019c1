//! When failures in a row disable a rule, by the order of the runs, within and across
//! transactions and processes.

use super::server::{Database, register};
use super::{Directory, open};
use crate::rules::{self, NewRule, Rule};
use crate::runs::{self, Ended, Kept, Run, RunError};
use crate::{Db, Payload, outbox};
use futures_util::future::join_all;
use serde_json::json;
use smarttasks_model::{EventId, Message, RuleId, RunId, RunStatus, UserId, WorkspaceId};
use std::sync::Arc;

pub(super) async fn create_rule(db: &Db, (user, workspace): (UserId, WorkspaceId)) -> Rule {
    let spec = json!({ "name": "R", "script": "", "triggers": [{ "event": "task.created" }] });
    let rule = NewRule {
        apply_to_existing: true,
        cancel_runs: false,
        id: RuleId::new(db.clock().now()),
        spec: serde_json::from_value(spec).unwrap(),
        occurrences: Vec::new(),
    };
    db.write(move |tx| {
        let rule = rule.clone();
        Box::pin(async move { rules::create(tx, workspace, user, rule).await })
    })
    .await
    .unwrap()
}

/// One transaction of these runs: `F` failed, `S` succeeded.
async fn count(db: &Db, rule: &Rule, outcomes: &str) {
    let now = db.clock().now();
    let ended = outcomes.chars().map(|outcome| Ended {
        begun: true,
        depth: 0,
        run: Run {
            id: RunId::new(now),
            workspace_id: rule.workspace_id,
            rule_id: rule.id,
            rule_version: rule.version,
            task_id: None,
            event_id: EventId::new(now),
            status: match outcome {
                'F' => RunStatus::Failed,
                _ => RunStatus::Succeeded,
            },
            trigger: json!({}),
            actions: Vec::new(),
            log: Vec::new(),
            error: (outcome == 'F').then(|| RunError {
                message: "no".to_owned(),
                line: Some(1),
                column: None,
            }),
            traceparent: None,
            started_at: now,
            finished_at: Some(now),
            duration_us: 1,
            resumes_at: None,
            retry_of: None,
            waits: 0,
            waiting: None,
        },
    });
    let ended: Arc<[Ended]> = ended.collect();
    db.write(move |tx| {
        let ended = Arc::clone(&ended);
        Box::pin(async move {
            for one in ended.iter() {
                runs::record(tx, &one.run, &Kept::default())?;
            }
            runs::count(tx, &ended).await
        })
    })
    .await
    .unwrap();
}

async fn in_row(db: &Db, rule: &Rule) -> i64 {
    rules::stats(db, [rule.id]).await.unwrap()[&rule.id].failures_in_row
}

/// Whether the rule is disabled after these transactions, and how many failures stand in a row.
async fn after(db: &Db, ann: (UserId, WorkspaceId), transactions: &[&str]) -> (bool, i64) {
    let rule = create_rule(db, ann).await;
    for outcomes in transactions {
        count(db, &rule, outcomes).await;
    }
    let found = rules::get(db, ann.1, rule.id).await.unwrap();
    let state = (!found.spec.enabled, in_row(db, &rule).await);
    let id = rule.id;
    db.write(move |tx| Box::pin(async move { rules::delete(tx, ann.1, id, None).await }))
        .await
        .unwrap();
    state
}

#[tokio::test]
async fn failures_are_counted_in_the_order_of_the_runs() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let ann = register(&db).await;
    for (transactions, disabled, in_row) in [
        (&["FFFFFFFFF"][..], false, 9),
        (&["FFFFFFFFFF"], true, 10),
        (&["FFFFF", "FFFFF"], true, 10),
        (&["FFFFFFFFF", "S", "F"], false, 1),
        (&["FFFFFFFFF", "SF"], false, 1),
        (&["FFFFF", "FFFFSFFFFF", "FFFF"], false, 9),
        // The tenth counts wherever it stands, also when a match follows it.
        (&["FFFFFFFF", "FFS"], true, 0),
        (&["SFFFFFFFFFFS"], true, 0),
        (&["FFFFFFFFFSF", "FFFFFFFFF"], true, 10),
        (&["S", "S"], false, 0),
    ] {
        let found = after(&db, ann, transactions).await;
        assert_eq!(found, (disabled, in_row), "{transactions:?}");
    }
}

#[tokio::test]
async fn two_processes_that_count_at_once_disable_a_rule_once() {
    let database = Database::new().await;
    let (one, two) = (database.open().await, database.open().await);
    let ann = register(&one).await;
    let rule = create_rule(&one, ann).await;
    let counting = (0..20).map(|number| {
        let db = if number % 2 == 0 { &one } else { &two };
        count(db, &rule, "FFF")
    });
    join_all(counting).await;
    let found = rules::get(&one, ann.1, rule.id).await.unwrap();
    assert!(!found.spec.enabled);
    assert_eq!(found.version, 2);
    assert_eq!(in_row(&one, &rule).await, 60);
    let mails = mails(&one).await;
    assert_eq!(mails.len(), 1, "{mails:?}");
}

/// The notifications that wait.
pub(super) async fn mails(db: &Db) -> Vec<String> {
    let page = outbox::page(db, 0, 1000).await.unwrap();
    page.iter()
        .filter_map(|outgoing| match &outgoing.payload {
            Payload::Here(Ok(message)) => match &**message {
                Message::Notification(notification) => {
                    Some(serde_json::to_string(notification).unwrap())
                }
                _ => None,
            },
            other => panic!("{other:?}"),
        })
        .collect()
}
