//! What the marks of evaluations say about processes that died.

use super::failures::{create_rule, mails};
use super::server::register;
use super::{Directory, open};
use crate::quarantine::{self, REASON, Suspect};
use crate::rules::{self, Rule};
use crate::{Db, Result};
use smarttasks_model::{EventId, RunId};
use std::collections::HashSet;

/// One process after the other on one database.
struct Processes {
    directory: Directory,
    rule: Rule,
}

impl Processes {
    async fn new() -> Self {
        let directory = Directory::new();
        let db = open(&directory.0).await;
        let ann = register(&db).await;
        let rule = create_rule(&db, ann).await;
        Self { directory, rule }
    }

    async fn next(&self) -> Db {
        open(&self.directory.0).await
    }

    fn suspect(&self, number: u128) -> Suspect {
        Suspect {
            workspace_id: self.rule.workspace_id,
            rule_id: self.rule.id,
            version: self.rule.version,
            run_id: RunId(uuid::Uuid::from_u128(number)),
            event_id: EventId(uuid::Uuid::from_u128(number + 100)),
            depth: 0,
            traceparent: None,
        }
    }

    async fn is_enabled(&self) -> bool {
        let db = self.next().await;
        let rule = rules::get(&db, self.rule.workspace_id, self.rule.id).await;
        rule.unwrap().spec.enabled
    }
}

async fn take_up(db: &Db, suspects: &[Suspect]) -> HashSet<EventId> {
    let suspects = suspects.to_vec();
    db.write(move |tx| {
        let suspects = suspects.clone();
        Box::pin(async move { quarantine::take_up(tx, &suspects).await })
    })
    .await
    .unwrap()
}

async fn begin(db: &Db, ended: Option<Suspect>, next: Suspect) -> bool {
    let begun: Result<bool> = db
        .write(move |tx| {
            Box::pin(async move { quarantine::begin(tx, ended.as_ref(), &next).await })
        })
        .await;
    begun.unwrap()
}

#[tokio::test]
async fn what_a_process_died_with_again_is_to_run_alone() {
    let processes = Processes::new().await;
    let (first, second) = (processes.suspect(1), processes.suspect(2));
    let db = processes.next().await;
    assert!(take_up(&db, &[first]).await.is_empty());
    assert!(take_up(&db, &[first]).await.is_empty(), "it lives");
    let db = processes.next().await;
    let alone = take_up(&db, &[first, second]).await;
    assert_eq!(alone, HashSet::from([first.event_id]));
    db.write(move |tx| Box::pin(quarantine::settle(tx, [first.event_id])))
        .await
        .unwrap();
    let db = processes.next().await;
    let alone = take_up(&db, &[first, second]).await;
    assert_eq!(alone, HashSet::from([second.event_id]));
}

#[tokio::test]
async fn three_processes_that_die_with_a_rule_disable_it() {
    let processes = Processes::new().await;
    let (fine, deadly) = (processes.suspect(1), processes.suspect(2));
    for _ in 0..quarantine::STARTS {
        let db = processes.next().await;
        assert!(begin(&db, None, fine).await);
        assert!(begin(&db, Some(fine), deadly).await);
        assert!(processes.is_enabled().await);
    }
    let db = processes.next().await;
    assert!(begin(&db, None, fine).await, "it has always ended");
    assert!(!begin(&db, Some(fine), deadly).await);
    assert!(!processes.is_enabled().await);
    let rule = rules::get(&db, processes.rule.workspace_id, processes.rule.id).await;
    assert_eq!(rule.unwrap().disabled_reason.as_deref(), Some(REASON));
    assert_eq!(mails(&db).await.len(), 1);
    // Should somebody enable it, it has three lives again.
    let db = processes.next().await;
    assert!(begin(&db, None, deadly).await);
}

#[tokio::test]
async fn a_process_that_tries_again_and_again_has_not_died() {
    let processes = Processes::new().await;
    let suspect = processes.suspect(1);
    let db = processes.next().await;
    for _ in 0..10 {
        assert!(begin(&db, None, suspect).await);
    }
    let db = processes.next().await;
    assert!(begin(&db, None, suspect).await);
    assert!(processes.is_enabled().await);
}
