//! What is kept of rules, tasks and their sweeps, and when it goes.

use super::server::{self, Database, cause, create_task, register};
use super::{Directory, open};
use crate::matches::{self, Match};
use crate::retention::{self, Retention};
use crate::rules::{self, NewRule, Rule};
use crate::{Db, Due, Result, Timer, runs, state, sweeps, tasks, timers};
use serde_json::{Map, Value, json};
use smarttasks_model::{
    RuleId, RunId, SweepPurpose, SweepRange, TaskId, Timestamp, UserId, WorkspaceId,
};
use std::time::Duration;
use tokio::sync::oneshot;
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);

fn new_rule(db: &Db, id: RuleId, triggers: Value) -> NewRule {
    let spec = json!({ "name": "R", "script": "", "triggers": triggers });
    NewRule {
        apply_to_existing: true,
        cancel_runs: false,
        id,
        spec: serde_json::from_value(spec).unwrap(),
        occurrences: vec![(0, db.clock().now() + HOUR)],
    }
}

async fn create(db: &Db, (user, workspace): (UserId, WorkspaceId), triggers: Value) -> Rule {
    let rule = new_rule(db, RuleId::new(db.clock().now()), triggers);
    db.write(move |tx| {
        let rule = rule.clone();
        Box::pin(async move { rules::create(tx, workspace, user, rule).await })
    })
    .await
    .unwrap()
}

async fn save(db: &Db, rule: &Rule, triggers: Value) {
    let (workspace, user) = (rule.workspace_id, rule.author_id);
    let rule = new_rule(db, rule.id, triggers);
    db.write(move |tx| {
        let rule = rule.clone();
        Box::pin(async move { rules::update(tx, workspace, user, rule, None).await })
    })
    .await
    .unwrap();
}

async fn delete(db: &Db, rule: &Rule) -> Result<()> {
    let (workspace, id) = (rule.workspace_id, rule.id);
    db.write(move |tx| Box::pin(async move { rules::delete(tx, workspace, id, None).await }))
        .await
}

fn range(rule: &Rule) -> SweepRange {
    SweepRange {
        sweep_id: Uuid::new_v4(),
        workspace_id: rule.workspace_id,
        scheduled_at: rule.created_at,
        rules: vec![rule.id],
        purpose: SweepPurpose::Note,
        part: None,
    }
}

async fn add(db: &Db, range: &SweepRange) {
    let range = range.clone();
    db.write(move |tx| Box::pin(sweeps::add(tx, [range.clone()])))
        .await
        .unwrap();
}

async fn is_under_way(db: &Db, rule: &Rule) -> bool {
    let (workspace, id) = (rule.workspace_id, rule.id);
    db.write(move |tx| {
        Box::pin(async move { Ok(sweeps::under_way(tx, [workspace]).await?.contains(&id)) })
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_sweep_is_under_way_however_old_until_its_message_is_a_dead_letter() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let ann = register(&db).await;
    let rule = create(&db, ann, json!([{ "event": "task.created" }])).await;
    let range = range(&rule);
    add(&db, &range).await;
    db.clock().advance(48 * HOUR);
    assert!(is_under_way(&db, &rule).await);
    assert_eq!(sweeps::noting(&db, ann.1).await.unwrap(), [rule.id].into());
    let given_up = range.clone();
    db.write(move |tx| {
        let range = given_up.clone();
        Box::pin(async move { sweeps::give_up(tx, &range).await })
    })
    .await
    .unwrap();
    assert!(!is_under_way(&db, &rule).await);
    assert!(sweeps::noting(&db, ann.1).await.unwrap().is_empty());
    // It is looked at when the letter is replayed, and goes with the letter otherwise.
    assert!(sweeps::is_pending(&db, &range).await.unwrap());
    db.clock().advance(2 * HOUR);
    clean(&db).await;
    assert!(!sweeps::is_pending(&db, &range).await.unwrap());
}

#[tokio::test]
async fn writes_that_share_a_transaction_see_the_sweeps_that_each_begins() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let ann = register(&db).await;
    let rule = create(&db, ann, json!([{ "event": "task.created" }])).await;
    let range = range(&rule);
    let (_, under_way) = tokio::join!(add(&db, &range), is_under_way(&db, &rule));
    assert!(under_way);
}

#[tokio::test]
async fn lists_may_be_longer_than_a_statement() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    fn ids() -> impl Iterator<Item = Uuid> {
        (0..40_000).map(Uuid::from_u128)
    }
    assert!(runs::known(&db, ids().map(RunId)).await.unwrap().is_empty());
    let states = state::of(&db, ids().map(RuleId)).await.unwrap();
    assert!(states.is_empty());
    let pairs = || ids().map(|id| (RuleId(Uuid::nil()), TaskId(id)));
    db.write(move |tx| {
        Box::pin(async move {
            assert!(matches::lock(tx, pairs()).await?.is_empty());
            matches::end(tx, pairs()).await
        })
    })
    .await
    .unwrap();
}

/// What is due of the rule's timers, and what is scheduled ahead.
async fn scheduled(db: &Db) -> (Vec<Timestamp>, Option<Timestamp>) {
    let due = db
        .write(|tx| Box::pin(timers::take_due(tx, 100)))
        .await
        .unwrap();
    let due = due.iter().map(|timer| timer.fire_at).collect();
    (due, timers::next_instant(db).await.unwrap())
}

#[tokio::test]
async fn saving_a_rule_leaves_what_is_due_and_asked_for_still() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let ann = register(&db).await;
    let triggers = json!([{ "cron": "0 * * * *", "for_each": "once" }, { "due": "-1h" }]);
    let due_at = db.clock().now() + 2 * HOUR;
    create_task(&db, ann, json!({ "title": "T", "due_at": due_at }))
        .await
        .unwrap();
    let begun = db.clock().now();
    let rule = create(&db, ann, triggers.clone()).await;
    db.clock().advance(HOUR + Duration::from_secs(60));
    save(&db, &rule, triggers).await;
    let (due, next) = scheduled(&db).await;
    assert_eq!(due, [begun + HOUR, begun + HOUR], "not fired yet");
    assert_eq!(next, Some(due_at), "the task is overdue then");

    // What it asks for in another way is asked for from now on.
    let rule = {
        delete(&db, &rule).await.unwrap();
        create(
            &db,
            ann,
            json!([{ "cron": "0 * * * *", "for_each": "once" }]),
        )
        .await
    };
    db.clock().advance(HOUR + Duration::from_secs(60));
    let other = json!([{ "cron": "30 * * * *", "for_each": "once" }]);
    save(&db, &rule, other).await;
    let (due, next) = scheduled(&db).await;
    assert_eq!(due, [due_at]);
    assert_eq!(next, Some(db.clock().now() + HOUR));
}

#[tokio::test]
async fn an_occurrence_that_waits_for_the_sweep_before_outlives_a_save() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let ann = register(&db).await;
    let triggers = json!([{ "cron": "0 0 * * MON" }]);
    let rule = create(&db, ann, triggers.clone()).await;
    let now = db.clock().now();
    let waits = Timer {
        fire_at: now + Duration::from_secs(5),
        workspace_id: Some(ann.1),
        due: Due::Cron {
            rule_id: rule.id,
            trigger: 0,
            scheduled_at: now,
        },
    };
    let timer = waits.clone();
    db.write(move |tx| {
        let timer = timer.clone();
        Box::pin(async move {
            tx.schedule(timer);
            Ok(())
        })
    })
    .await
    .unwrap();
    save(&db, &rule, triggers).await;
    db.clock().advance(Duration::from_secs(5));
    let due = db.write(|tx| Box::pin(timers::take_due(tx, 100))).await;
    assert_eq!(due.unwrap(), [waits]);
}

const FOUND: Match = Match {
    since: Timestamp::MAX,
    fired_at: None,
    noted: false,
    next_at: None,
};

async fn clean(db: &Db) {
    let kept = Retention {
        events: HOUR,
        runs: HOUR,
        failed_runs: HOUR,
        deliveries: HOUR,
    };
    db.write(move |tx| Box::pin(async move { retention::sweep(tx, &kept).await }))
        .await
        .unwrap();
}

async fn is_match(db: &Db, rule: RuleId, task: TaskId) -> bool {
    let found = matches::of(db, &[rule], &[task]).await.unwrap();
    !found.is_empty()
}

#[tokio::test]
async fn what_is_known_of_rules_that_are_gone_goes() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let ann = register(&db).await;
    let rule = create(&db, ann, json!([{ "event": "task.created" }])).await;
    let (there, gone) = (rule.id, RuleId(Uuid::from_u128(1)));
    let task = TaskId(Uuid::from_u128(2));
    db.write(move |tx| {
        Box::pin(async move {
            let mut values = Map::new();
            values.insert("n".to_owned(), json!(1));
            for rule in [there, gone] {
                matches::begin(tx, ann.1, (rule, task), FOUND);
                state::replace(tx, ann.1, rule, &values, 0).await?;
            }
            Ok(())
        })
    })
    .await
    .unwrap();
    clean(&db).await;
    let states = state::of(&db, [there, gone]).await.unwrap();
    assert_eq!(states.into_keys().collect::<Vec<_>>(), [there]);
    assert!(is_match(&db, there, task).await);
    assert!(!is_match(&db, gone, task).await);
}

#[tokio::test]
async fn a_rule_or_a_task_that_is_gone_is_not_held() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let ann = register(&db).await;
    let rule = create(&db, ann, json!([{ "event": "task.created" }])).await;
    let task = create_task(&db, ann, json!({ "title": "T" })).await;
    let (rule, task, nobody) = (rule.id, task.unwrap(), Uuid::from_u128(1));
    let held = |workspace| {
        db.write(move |tx| {
            Box::pin(async move {
                let rules = rules::hold(tx, workspace, [rule, RuleId(nobody)]).await?;
                let tasks = tasks::hold_all(tx, workspace, [task, TaskId(nobody)]).await?;
                Ok((rules, tasks))
            })
        })
    };
    assert_eq!(held(ann.1).await.unwrap(), ([rule].into(), [task].into()));
    let others = held(WorkspaceId(nobody)).await.unwrap();
    assert_eq!(others, Default::default(), "another workspace's");
}

/// A transaction that holds the rule and the task and notes a match of theirs, once `go` says so.
async fn note_match(
    db: &Db,
    rule: &Rule,
    task: TaskId,
    held: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
) {
    let (workspace, rule) = (rule.workspace_id, rule.id);
    let turns = std::sync::Arc::new(std::sync::Mutex::new(Some((held, go))));
    db.write(move |tx| {
        let turns = turns.lock().unwrap().take();
        Box::pin(async move {
            let rules = rules::hold(tx, workspace, [rule]).await?;
            let tasks = tasks::hold_all(tx, workspace, [task]).await?;
            if let Some((held, go)) = turns {
                held.send(()).unwrap();
                go.await.unwrap();
            }
            if rules.contains(&rule) && tasks.contains(&task) {
                matches::begin(tx, workspace, (rule, task), FOUND);
            }
            Ok(())
        })
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn who_deletes_waits_for_those_that_write_about_it_and_removes_that_too() {
    let database = Database::new().await;
    let (one, two) = (database.open().await, database.open().await);
    let ann = register(&one).await;
    for of_rule in [true, false] {
        let rule = create(&one, ann, json!([{ "event": "task.created" }])).await;
        let task = create_task(&one, ann, json!({ "title": "T" })).await;
        let task = task.unwrap();
        let ((held, is_held), (go, goes)) = (oneshot::channel(), oneshot::channel());
        let deleting = async {
            is_held.await.unwrap();
            let deleting = async {
                if of_rule {
                    delete(&two, &rule).await.unwrap();
                } else {
                    let now = two.clock().now();
                    two.write(move |tx| {
                        Box::pin(async move {
                            tasks::delete(tx, ann.1, task, None, &cause(now, ann.0)).await
                        })
                    })
                    .await
                    .unwrap();
                }
            };
            let going = async {
                server::until_someone_waits(&one).await;
                go.send(()).unwrap();
            };
            tokio::join!(deleting, going);
        };
        tokio::join!(note_match(&one, &rule, task, held, goes), deleting);
        assert!(!is_match(&one, rule.id, task).await);
        if !of_rule {
            delete(&one, &rule).await.unwrap();
        }
    }
}
