//! What holds on a server that many processes use at once. Each test has a database of its own.

use super::event;
use crate::instances::{self, Watch};
use crate::reader::Reader;
use crate::rules::{self, NewRule};
use crate::tasks;
use crate::users::{self, NewUser};
use crate::workspaces;
use crate::{
    Cause, Conflict, Db, Due, Error, Location, Payload, Result, Settings, Timer, Vault, outbox,
    postgres, timers,
};
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::json;
use smarttasks_model::{
    Actor, Clock, DeliveryId, NewTask, RuleId, RuleSpec, TaskChanges, TaskFilter, TaskId, TimeZone,
    Timestamp, UserId, WorkspaceId,
};
use std::time::Duration;
use uuid::Uuid;

/// A database that exists for one test.
pub(super) struct Database {
    admin: String,
    name: String,
    clock: Clock,
}

impl Database {
    pub(super) async fn new() -> Self {
        let admin = std::env::var("SMARTTASKS_TEST_DATABASE_URL").expect(
            "SMARTTASKS_TEST_DATABASE_URL names a PostgreSQL server for tests: run script/test, \
             or first eval \"$(script/servers start DIR)\"",
        );
        let name = format!("store_{}", Uuid::new_v4().simple());
        administer(&admin, &format!("CREATE DATABASE {name}")).await;
        Self {
            admin,
            name,
            clock: Clock::fake("2026-03-02T09:00:00Z".parse().unwrap()),
        }
    }

    fn url(&self) -> String {
        let (server, _) = self.admin.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    /// As another process would open it.
    pub(super) async fn open(&self) -> Db {
        let settings = Settings {
            location: Location::Server {
                url: self.url(),
                connections: 8,
            },
            max_pending: 1_000_000,
        };
        let vault = Vault::new([1; 32]);
        Db::open(&settings, self.clock.clone(), vault)
            .await
            .unwrap()
    }
}

async fn administer(url: &str, sql: &str) {
    let pool = postgres::pool(url, 1).unwrap();
    pool.execute_unprepared(sql).await.unwrap();
    pool.close().await.unwrap();
}

pub(super) async fn register(db: &Db) -> (UserId, WorkspaceId) {
    try_to_register(db).await.unwrap()
}

async fn try_to_register(db: &Db) -> Result<(UserId, WorkspaceId)> {
    let now = db.clock().now();
    let id = UserId::new(now);
    let (_, workspace) = db
        .write(move |tx| {
            Box::pin(async move {
                let ann = NewUser {
                    id,
                    name: "Ann".to_owned(),
                    email: "ann@example.com".parse().unwrap(),
                    password_hash: "hash".to_owned(),
                    timezone: TimeZone::default(),
                    starter_rules: Vec::new(),
                };
                users::register(tx, ann, &cause(now, id)).await
            })
        })
        .await?;
    Ok((id, workspace))
}

pub(super) fn cause(now: Timestamp, id: UserId) -> Cause {
    let actor = Actor {
        id,
        name: "Ann".to_owned(),
    };
    Cause::person(now, actor, None)
}

pub(super) async fn create_task(
    db: &Db,
    (user, workspace): (UserId, WorkspaceId),
    task: serde_json::Value,
) -> Result<TaskId> {
    let now = db.clock().now();
    let id = TaskId::new(now);
    let task: NewTask = serde_json::from_value(task).unwrap();
    db.write(move |tx| {
        let task = task.clone();
        Box::pin(async move {
            tasks::create(tx, workspace, id, user, task, &cause(now, user)).await?;
            Ok(id)
        })
    })
    .await
}

/// Returns once a transaction of this database waits for another's lock.
pub(super) async fn until_someone_waits(db: &Db) {
    let sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
               AND datname = current_database()";
    let waits = || async {
        let found = Statement::from_string(DbBackend::Postgres, sql);
        db.reader().query_one_raw(found).await.unwrap().is_some()
    };
    tokio::time::timeout(Duration::from_secs(60), async {
        while !waits().await {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("somebody waits");
}

#[tokio::test]
async fn ten_processes_may_open_an_empty_database_at_once() {
    let database = Database::new().await;
    let opened = join_all((0..10).map(|_| database.open())).await;
    let ann = register(&opened[0]).await;
    for db in &opened {
        assert!(!users::none_yet(db).await.unwrap());
        create_task(db, ann, json!({ "title": "T" })).await.unwrap();
    }
    let pending = outbox::pending(&opened[9]).await.unwrap();
    assert_eq!(pending.count, 11, "ten tasks and an account");
}

#[tokio::test]
async fn two_hundred_writers_of_a_few_tasks_see_no_error_and_lose_nothing() {
    let database = Database::new().await;
    let db = database.open().await;
    let ann = register(&db).await;
    let mut shared = Vec::new();
    for _ in 0..10 {
        let task = json!({ "title": "T" });
        shared.push(create_task(&db, ann, task).await.unwrap());
    }
    let write = |number: usize| {
        let (db, task) = (db.clone(), shared[number % 10]);
        async move {
            let now = db.clock().now();
            let changes: TaskChanges =
                serde_json::from_value(json!({ "title": format!("T{number}") })).unwrap();
            db.write(move |tx| {
                let changes = changes.clone();
                Box::pin(async move {
                    let cause = cause(now, ann.0);
                    tasks::update(tx, ann.1, task, &changes, None, &cause).await
                })
            })
            .await
            .map(drop)
        }
    };
    let outcomes = join_all((0..200).map(write)).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    for task in &shared {
        let task = tasks::get(&db, ann.1, *task).await.unwrap();
        assert_eq!(task.version, 21);
    }
}

#[tokio::test]
async fn of_two_that_insert_the_same_one_finds_that_it_exists() {
    let database = Database::new().await;
    let db = database.open().await;
    let raise = || db.write(|tx| Box::pin(async move { tx.raise(event(7)) }));
    let outcomes = join_all([raise(), raise()]).await;
    let failed: Vec<_> = outcomes.iter().filter_map(|o| o.as_ref().err()).collect();
    assert!(
        matches!(failed[..], [Error::Conflict(Conflict::Exists)]),
        "{failed:?}"
    );
    // What looks before it inserts is run again, and finds it.
    let outcomes = join_all((0..8).map(|_| try_to_register(&db))).await;
    let taken = |o: &Result<_>| matches!(o, Err(Error::Conflict(Conflict::EmailTaken)));
    assert_eq!(
        outcomes.iter().filter(|o| taken(o)).count(),
        7,
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn transactions_that_lock_each_other_out_run_again() {
    let database = Database::new().await;
    let db = database.open().await;
    let ann = register(&db).await;
    let one = create_task(&db, ann, json!({ "title": "1" }))
        .await
        .unwrap();
    let two = create_task(&db, ann, json!({ "title": "2" }))
        .await
        .unwrap();
    let meeting = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    let write = |first: TaskId, second: TaskId| {
        let (db, meeting) = (db.clone(), std::sync::Arc::clone(&meeting));
        async move {
            let now = db.clock().now();
            let attempt = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
            db.write(move |tx| {
                let (meeting, attempt) = (meeting.clone(), attempt.clone());
                Box::pin(async move {
                    let changes: TaskChanges =
                        serde_json::from_value(json!({ "description": "x" })).unwrap();
                    let cause = cause(now, ann.0);
                    tasks::update(tx, ann.1, first, &changes, None, &cause).await?;
                    if attempt.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
                        meeting.wait().await;
                    }
                    tasks::update(tx, ann.1, second, &changes, None, &cause).await
                })
            })
            .await
        }
    };
    let (a, b) = tokio::join!(write(one, two), write(two, one));
    a.unwrap();
    b.unwrap();
}

#[tokio::test]
async fn a_rule_and_a_deadline_that_come_at_once_meet() {
    let database = Database::new().await;
    let db = database.open().await;
    let ann = register(&db).await;
    let due_at = db.clock().now() + Duration::from_secs(3600);
    let save = |number: u128| {
        let db = db.clone();
        async move {
            let spec: RuleSpec = serde_json::from_value(json!({
                "name": format!("R{number}"), "script": "", "triggers": [{ "due": "-10m" }],
            }))
            .unwrap();
            let rule = NewRule {
                apply_to_existing: true,
                cancel_runs: false,
                id: RuleId(Uuid::from_u128(number)),
                spec,
                occurrences: Vec::new(),
            };
            db.write(move |tx| {
                let rule = rule.clone();
                Box::pin(async move { rules::create(tx, ann.1, ann.0, rule).await })
            })
            .await
            .map(drop)
        }
    };
    let set = || async {
        let task = json!({ "title": "T", "due_at": due_at });
        create_task(&db, ann, task).await.map(drop)
    };
    let (rules, deadlines) = tokio::join!(
        join_all((1..=10).map(save)),
        join_all((0..10).map(|_| set()))
    );
    assert!(rules.iter().chain(&deadlines).all(Result::is_ok));
    database.clock.advance(Duration::from_secs(3000));
    let due = db
        .write(|tx| Box::pin(timers::take_due(tx, 1000)))
        .await
        .unwrap();
    assert_eq!(due.len(), 100, "each rule has a timer for each deadline");
}

#[tokio::test]
async fn titles_sort_by_code_point_whatever_the_locale_of_the_database() {
    let database = Database::new().await;
    let db = database.open().await;
    let ann = register(&db).await;
    for title in ["apple", "Zebra", "Äpfel", "zoo"] {
        create_task(&db, ann, json!({ "title": title }))
            .await
            .unwrap();
    }
    let page = crate::Page {
        limit: 10,
        after: None,
    };
    let filter = TaskFilter::default();
    let by_title = "title".parse::<tasks::Sort>().unwrap();
    let listed = tasks::list(&db, ann.1, &filter, by_title, &page, db.clock().now())
        .await
        .unwrap();
    let titles: Vec<_> = listed.rows.iter().map(|task| &*task.title).collect();
    assert_eq!(titles, ["Zebra", "apple", "zoo", "Äpfel"]);
}

#[tokio::test]
async fn two_schedulers_share_what_is_due() {
    let database = Database::new().await;
    let (one, two) = (database.open().await, database.open().await);
    let now = database.clock.now();
    one.write(move |tx| {
        Box::pin(async move {
            for _ in 0..200 {
                tx.schedule(Timer {
                    fire_at: now,
                    workspace_id: None,
                    due: Due::DeliveryRetry {
                        delivery_id: DeliveryId::new(now),
                    },
                });
            }
            Ok(())
        })
    })
    .await
    .unwrap();
    let take = |db: &Db| {
        let db = db.clone();
        async move {
            db.write(|tx| Box::pin(timers::take_due(tx, 150)))
                .await
                .unwrap()
        }
    };
    let (mut a, mut b) = tokio::join!(take(&one), take(&two));
    let mut taken = take(&one).await;
    taken.append(&mut a);
    taken.append(&mut b);
    let Due::DeliveryRetry { .. } = taken[0].due else {
        panic!("{:?}", taken[0]);
    };
    let mut keys: Vec<String> = taken.iter().map(Timer::key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), taken.len()), (200, 200));
}

#[tokio::test]
async fn a_message_is_its_writers_until_the_lease_runs_out() {
    let database = Database::new().await;
    let (one, two) = (database.open().await, database.open().await);
    one.write(|tx| Box::pin(async move { tx.raise(event(1)) }))
        .await
        .unwrap();
    let handed = one.handed_over().await.unwrap();
    let Payload::Wire(wire) = &handed.payload else {
        panic!("{handed:?}");
    };
    assert_eq!(wire.routing_key, "test.happened");
    assert!(outbox::claim(&two, 10).await.unwrap().is_empty());

    database.clock.advance(outbox::LEASE);
    let (a, b) = tokio::join!(outbox::claim(&one, 10), outbox::claim(&two, 10));
    let claimed: Vec<i64> = a.unwrap().iter().chain(&b.unwrap()).map(|o| o.id).collect();
    assert_eq!(claimed, [handed.id], "one of them has it");

    outbox::release(&one, claimed.clone()).await.unwrap();
    assert_eq!(outbox::claim(&two, 10).await.unwrap().len(), 1);
    outbox::confirm(&two, claimed).await.unwrap();
    assert_eq!(outbox::pending(&one).await.unwrap().count, 0);
}

#[tokio::test]
async fn ids_of_messages_never_meet_and_grow_in_each_process() {
    let database = Database::new().await;
    let dbs = [database.open().await, database.open().await];
    let mut ids = Vec::new();
    for round in 0..2 {
        for (number, db) in dbs.iter().enumerate() {
            let numbers = (0..700_u32).map(move |n| n + 1000 * (2 * round + number as u32));
            db.write(move |tx| {
                let numbers = numbers.clone();
                Box::pin(async move {
                    for number in numbers {
                        let id = number.to_be_bytes();
                        let mut event = event(0);
                        event.id = smarttasks_model::EventId::derived(event.time, &[&id]);
                        tx.raise(event)?;
                    }
                    Ok(())
                })
            })
            .await
            .unwrap();
            let mut last = 0;
            for _ in 0..700 {
                let id = db.handed_over().await.unwrap().id;
                assert!(id > last, "{id} after {last}");
                last = id;
                ids.push(id);
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2800);
}

#[tokio::test]
async fn what_a_process_that_is_gone_had_taken_up_is_due_and_that_of_a_living_one_is_not() {
    let database = Database::new().await;
    let (dead, alive) = (database.open().await, database.open().await);
    let early = database.open().await;
    instances::beat(&dead).await.unwrap();
    let now = database.clock.now();
    for db in [&dead, &early, &alive] {
        db.write(move |tx| {
            Box::pin(async move {
                tx.schedule(Timer {
                    fire_at: now + Duration::from_secs(3600),
                    workspace_id: None,
                    due: Due::DeliveryRecovery {
                        delivery_id: DeliveryId::new(now),
                    },
                });
                Ok(())
            })
        })
        .await
        .unwrap();
    }
    let mut watch = Watch::default();
    let mut gone = 0;
    for _ in 0..5 {
        instances::beat(&alive).await.unwrap();
        gone += watch.look(&alive).await.unwrap();
    }
    assert_eq!(gone, 2, "one of them died before it said that it lived");
    let due = timers::unfinished(&alive, now).await.unwrap();
    assert_eq!((due.due, due.in_flight), (2, 1));
    instances::leave(&alive).await.unwrap();
    let due = timers::unfinished(&alive, now).await.unwrap();
    assert_eq!((due.due, due.in_flight), (3, 0));
}

#[tokio::test]
async fn an_outage_of_those_who_watch_makes_nobody_dead() {
    let database = Database::new().await;
    let db = database.open().await;
    instances::beat(&db).await.unwrap();
    let mut watch = Watch::default();
    assert_eq!(watch.look(&db).await.unwrap(), 0);
    database.clock.advance(Duration::from_secs(3600));
    assert_eq!(watch.look(&db).await.unwrap(), 0);
    instances::beat(&db).await.unwrap();
    for _ in 0..4 {
        assert_eq!(watch.look(&db).await.unwrap(), 0);
    }
    assert_eq!(watch.look(&db).await.unwrap(), 1);
}

#[tokio::test]
async fn a_transaction_whose_process_does_not_go_on_holds_up_nobody() {
    let database = Database::new().await;
    let (stopped, other) = (database.open().await, database.open().await);
    let ann = register(&other).await;
    let task = create_task(&other, ann, json!({ "title": "T" }))
        .await
        .unwrap();
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    let locked = std::sync::Arc::new(std::sync::Mutex::new(Some(locked)));
    let held = tokio::spawn(async move {
        let held: Result<()> = stopped
            .write(move |tx| {
                let locked = locked.clone();
                Box::pin(async move {
                    tasks::lock(tx, ann.1, task).await?;
                    if let Some(locked) = locked.lock().unwrap().take() {
                        locked.send(()).unwrap();
                    }
                    std::future::pending().await
                })
            })
            .await;
        held
    });
    is_locked.await.unwrap();
    let now = database.clock.now();
    let changes: TaskChanges = serde_json::from_value(json!({ "title": "U" })).unwrap();
    // Each try waits for the lock as long as the server lets it; in the end the lock is gone.
    other
        .write(move |tx| {
            let changes = changes.clone();
            Box::pin(async move {
                tasks::update(tx, ann.1, task, &changes, None, &cause(now, ann.0)).await
            })
        })
        .await
        .unwrap();
    assert!(held.await.unwrap().is_err_and(|error| error.is_transient()));
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_and_its_connections_are_replaced() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://u@{}/d", listener.local_addr().unwrap());
    let connect = std::sync::Arc::new(move || postgres::pool(&url, 1));
    let reader = Reader::replaceable(connect).unwrap();
    let error = reader.execute_unprepared("SELECT 1").await.unwrap_err();
    assert!(Error::from(error).is_transient());
}

#[tokio::test]
async fn the_workspace_that_is_locked_is_one_that_exists() {
    let database = Database::new().await;
    let db = database.open().await;
    let nowhere = WorkspaceId(Uuid::nil());
    let locked = db.write(move |tx| Box::pin(async move { workspaces::lock(tx, nowhere).await }));
    assert!(matches!(locked.await, Err(Error::NotFound("workspace"))));
}
