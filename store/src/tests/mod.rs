//! What the store promises whoever writes through it.

mod approvals;
mod candidates;
mod changes;
mod deliveries;
mod failures;
mod filters;
mod predicates;
mod quarantine;
mod scripts;
mod server;
mod sweeps;

use crate::entity;
use crate::users::{self, NewUser, ProfileChanges};
use crate::{
    Cause, Conflict, Db, Due, Error, Location, Payload, Settings, Timer, Vault, outbox, sessions,
    timers,
};
use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm::{EntityTrait, QuerySelect, Statement};
use smarttasks_model::{
    Actor, ChangeId, Clock, DeliveryId, Event, EventData, EventId, EventType, SessionId, TaskId,
    TimeZone, Timestamp, UserId, WorkspaceId,
};
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("smarttasks-store-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn open(directory: &Path) -> Db {
    let settings = Settings {
        location: Location::File {
            path: directory.join("smarttasks.db"),
            readers: 2,
        },
        max_pending: 5,
    };
    let clock = Clock::fake("2026-03-02T09:00:00Z".parse().unwrap());
    Db::open(&settings, clock, Vault::new([1; 32]))
        .await
        .unwrap()
}

fn event(number: u8) -> Event {
    let now: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
    Event {
        id: EventId::derived(now, &[&[number]]),
        workspace_id: WorkspaceId(Uuid::nil()),
        kind: EventType::custom("test.happened").unwrap(),
        task_id: None,
        time: now,
        traceparent: None,
        change: ChangeId::new(now),
        depth: 0,
        actor_id: None,
        rule_id: None,
        data: EventData::Custom(serde_json::json!({ "number": number })),
    }
}

macro_rules! select_from_each {
    ($db:expr, $($table:ident),+ $(,)?) => {{
        let mut names = Vec::new();
        $(
            entity::$table::Entity::find().limit(1).all($db.reader()).await.unwrap();
            names.push(stringify!($table));
        )+
        names
    }};
}

#[tokio::test]
async fn every_entity_can_be_selected_from_on_a_fresh_database() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let mut selected = select_from_each!(
        db,
        activity,
        approvals,
        attempts,
        comments,
        dead_letters,
        deliveries,
        endpoints,
        evaluations,
        events,
        idempotency_keys,
        instances,
        matches,
        members,
        outbox,
        rule_changes,
        rule_state,
        rule_stats,
        rule_versions,
        rules,
        run_segments,
        run_waits,
        runs,
        sessions,
        signing_keys,
        sweep_marks,
        sweep_ranges,
        tasks,
        timers,
        users,
        workspaces,
    );
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
               AND name <> 'seaql_migrations' ORDER BY name";
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let tables: Vec<String> = db
        .reader()
        .query_all_raw(statement)
        .await
        .unwrap()
        .iter()
        .map(|row| row.try_get("", "name").unwrap())
        .collect();
    selected.sort_unstable();
    assert_eq!(selected, tables, "each table has its entity");
}

#[tokio::test]
async fn a_reader_cannot_write_and_a_commit_is_on_disk() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    assert!(
        db.reader()
            .execute_unprepared("DELETE FROM outbox")
            .await
            .is_err()
    );
    for (pragma, value) in [
        ("journal_mode", "wal"),
        ("synchronous", "2"),
        ("auto_vacuum", "2"),
    ] {
        let sql = format!("PRAGMA {pragma}");
        let statement = Statement::from_string(DbBackend::Sqlite, sql);
        let row = db.write_pragma(statement).await;
        assert_eq!(row, value, "{pragma}");
    }
}

#[tokio::test]
async fn a_statement_is_not_planned_anew_for_each_limit() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let sql = "SELECT sqlite_compileoption_used('ENABLE_QPSG')";
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    assert_eq!(db.write_pragma(statement).await, "1");
}

#[tokio::test]
async fn writes_that_arrive_together_share_a_transaction_and_not_their_failures() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let mut commits = db.commits();
    let before = *commits.borrow_and_update();
    let write = |number: u8| {
        let db = db.clone();
        async move {
            db.write(move |tx| {
                Box::pin(async move {
                    if number == 3 {
                        return Err(Error::NotFound("test"));
                    }
                    tx.raise(event(number))
                })
            })
            .await
        }
    };
    let outcomes = futures_util::future::join_all((0..8).map(write))
        .await
        .into_iter()
        .map(|o| o.is_ok());
    let expected = [true, true, true, false, true, true, true, true];
    assert_eq!(outcomes.collect::<Vec<_>>(), expected);
    assert!(*commits.borrow() - before < 8, "some shared a transaction");
    assert_eq!(outbox::pending(&db).await.unwrap().count, 7);
}

#[tokio::test]
async fn a_write_that_meets_a_unique_key_fails_alone() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let write = |number: u8| {
        let db = db.clone();
        async move {
            db.write(move |tx| Box::pin(async move { tx.raise(event(number)) }))
                .await
        }
    };
    // Two of them raise the same event.
    let outcomes = futures_util::future::join_all([1, 2, 2, 3].map(write)).await;
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert_eq!(failed, 1, "{outcomes:?}");
    assert!(
        outcomes
            .iter()
            .any(|outcome| { matches!(outcome, Err(Error::Conflict(Conflict::Exists))) })
    );
    assert_eq!(outbox::pending(&db).await.unwrap().count, 3);
}

#[tokio::test]
async fn a_write_that_panics_is_the_only_one_that_fails() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let panics = db.write::<(), _>(|_| Box::pin(async { panic!("a mistake of ours") }));
    let works = db.write(|tx| Box::pin(async move { tx.raise(event(1)) }));
    let (panicked, worked) = tokio::join!(panics, works);
    assert!(panicked.is_err());
    worked.unwrap();
}

#[tokio::test]
async fn what_was_committed_is_pending_after_a_restart_in_the_same_order() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    for number in 0..3 {
        db.write(move |tx| Box::pin(async move { tx.raise(event(number)) }))
            .await
            .unwrap();
    }
    drop(db);
    let db = open(&directory.0).await;
    db.write(move |tx| Box::pin(async move { tx.raise(event(3)) }))
        .await
        .unwrap();
    let pending = outbox::page(&db, 0, 10).await.unwrap();
    let numbers: Vec<String> = pending
        .iter()
        .map(|outgoing| match &outgoing.payload {
            Payload::Here(Ok(message)) => serde_json::to_value(&**message).unwrap(),
            other => panic!("{other:?}"),
        })
        .map(|message| message["body"]["data"]["number"].to_string())
        .collect();
    assert_eq!(numbers, ["0", "1", "2", "3"]);
    assert_eq!(db.pending_messages(), 4);
}

#[tokio::test]
async fn above_the_bound_of_pending_messages_writes_are_refused() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    db.admit().unwrap();
    for number in 0..5 {
        db.write(move |tx| Box::pin(async move { tx.raise(event(number)) }))
            .await
            .unwrap();
    }
    assert!(matches!(db.admit(), Err(Error::Overloaded { .. })));
    let ids: Vec<i64> = outbox::page(&db, 0, 10)
        .await
        .unwrap()
        .iter()
        .map(|outgoing| outgoing.id)
        .collect();
    db.write(move |tx| {
        let ids = ids.clone();
        Box::pin(async move {
            tx.settle(ids);
            Ok(())
        })
    })
    .await
    .unwrap();
    db.admit().unwrap();
}

#[tokio::test]
async fn a_timer_moves_with_its_key_and_is_taken_once() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let now = db.clock().now();
    let delivery_id = DeliveryId::new(now);
    let timer = move |at| Timer {
        fire_at: at,
        workspace_id: None,
        due: Due::DeliveryRetry { delivery_id },
    };
    let task_id = TaskId::new(now);
    let deadline = Timer {
        fire_at: now,
        workspace_id: None,
        due: Due::Overdue {
            task_id,
            due_at: now,
        },
    };
    db.write(move |tx| {
        let deadline = deadline.clone();
        Box::pin(async move {
            tx.schedule(timer(now));
            tx.schedule(timer(now + Duration::from_secs(60)));
            tx.schedule(deadline);
            tx.unschedule_task(task_id);
            Ok(())
        })
    })
    .await
    .unwrap();
    let take = || db.write(|tx| Box::pin(timers::take_due(tx, 10)));
    assert!(take().await.unwrap().is_empty());
    assert_eq!(
        timers::next_instant(&db).await.unwrap(),
        Some(now + Duration::from_secs(60))
    );
    db.clock().advance(Duration::from_secs(61));
    assert_eq!(
        take().await.unwrap(),
        [timer(now + Duration::from_secs(60))]
    );
    assert!(take().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_new_password_ends_a_login_of_the_same_transaction() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let now = db.clock().now();
    let (user, old, new) = (UserId::new(now), SessionId::new(now), SessionId::new(now));
    let later = now + Duration::from_secs(60);
    db.write(move |tx| {
        Box::pin(async move {
            let ann = NewUser {
                id: user,
                name: "Ann".to_owned(),
                email: "ann@example.com".parse().unwrap(),
                password_hash: "old".to_owned(),
                timezone: TimeZone::default(),
                starter_rules: Vec::new(),
            };
            let actor = Actor {
                id: user,
                name: ann.name.clone(),
            };
            users::register(tx, ann, &Cause::person(now, actor, None)).await
        })
    })
    .await
    .unwrap();
    db.write(move |tx| {
        Box::pin(async move {
            assert!(users::has_password(tx, user, "old").await?);
            sessions::create(tx, old, user, later).await?;
            let changes = ProfileChanges {
                password_hash: Some("new".to_owned()),
                ..ProfileChanges::default()
            };
            users::update(tx, user, changes, None).await?;
            assert!(!users::has_password(tx, user, "old").await?);
            sessions::create(tx, new, user, later).await
        })
    })
    .await
    .unwrap();
    let live = sessions::list_live(&db, user, now).await.unwrap();
    let live: Vec<_> = live.iter().map(|session| session.id).collect();
    assert_eq!(live, [new]);
}
