//! What a bus promises its consumers, on a real outbox.

use crate::{Batch, Handler, HandlerError, InProcess, consume};
use serde_json::json;
use smarttasks_model::{
    ChangeId, Clock, Event, EventData, EventId, EventType, Message, Timestamp, WorkspaceId,
};
use smarttasks_store::{Db, Queue, Settings, Vault, outbox};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

struct Setting {
    db: Db,
    directory: PathBuf,
    stop: CancellationToken,
}

impl Setting {
    async fn new() -> Self {
        let directory = std::env::temp_dir().join(format!("smarttasks-bus-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&directory).unwrap();
        let settings = Settings {
            path: directory.join("test.db"),
            max_pending: 1_000_000,
            readers: 2,
        };
        let db = Db::open(&settings, Clock::system(), Vault::new([1; 32]))
            .await
            .unwrap();
        Self {
            db,
            directory,
            stop: CancellationToken::new(),
        }
    }

    async fn publish(&self, numbers: std::ops::Range<i64>) {
        self.db
            .write(move |tx| {
                let numbers = numbers.clone();
                Box::pin(async move {
                    for number in numbers {
                        tx.publish(message(number))?;
                    }
                    Ok(())
                })
            })
            .await
            .unwrap();
    }

    fn start(&self, handler: &Arc<Numbers>, relays: usize) {
        let bus = InProcess::new(self.db.clone());
        for _ in 0..relays {
            let (bus, stop) = (bus.clone(), self.stop.clone());
            tokio::spawn(async move { bus.relay(stop).await });
        }
        tokio::spawn(consume(bus, Arc::clone(handler), self.stop.clone()));
    }

    /// Returns once the outbox is empty.
    async fn settle(&self) {
        let mut commits = self.db.commits();
        while outbox::pending(&self.db).await.unwrap().count > 0 {
            commits.changed().await.unwrap();
        }
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.stop.cancel();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn message(number: i64) -> Message {
    let now = Timestamp::from_unix_millis(1_764_579_600_000);
    Message::Event(Arc::new(Event {
        id: EventId::new(now),
        workspace_id: WorkspaceId(Uuid::nil()),
        kind: EventType::custom("test.counted").unwrap(),
        task_id: None,
        time: now,
        traceparent: None,
        change: ChangeId::new(now),
        depth: 0,
        actor_id: None,
        rule_id: None,
        data: EventData::Custom(json!(number)),
    }))
}

/// Remembers the numbers that it was given, and fails on some.
struct Numbers {
    db: Db,
    seen: Mutex<Vec<i64>>,
    poison: Option<i64>,
    unavailable: Mutex<u32>,
}

impl Numbers {
    fn new(db: &Db, poison: Option<i64>) -> Arc<Self> {
        let db = db.clone();
        Arc::new(Self {
            db,
            seen: Mutex::default(),
            poison,
            unavailable: Mutex::default(),
        })
    }

    fn seen(&self) -> Vec<i64> {
        self.seen.lock().unwrap().clone()
    }
}

impl Handler for Numbers {
    const QUEUE: Queue = Queue::Events;

    async fn handle(&self, batch: Batch) -> Result<(), HandlerError> {
        {
            let mut unavailable = self.unavailable.lock().unwrap();
            if *unavailable > 0 {
                *unavailable -= 1;
                return Err(HandlerError::Unavailable("not now".to_owned()));
            }
        }
        let numbers: Vec<i64> = batch
            .messages()
            .map(|message| match message {
                Message::Event(event) => event.data_json().as_i64().unwrap(),
                other => panic!("{other:?} came to the wrong queue"),
            })
            .collect();
        if let Some(poison) = self.poison.filter(|poison| numbers.contains(poison)) {
            return Err(HandlerError::Failed(format!("{poison} is poison")));
        }
        self.db
            .write(move |tx| {
                let batch = batch.clone();
                Box::pin(async move {
                    batch.settle(tx);
                    Ok(())
                })
            })
            .await?;
        self.seen.lock().unwrap().extend(numbers);
        Ok(())
    }
}

#[tokio::test]
async fn messages_come_in_the_order_of_their_commits_also_those_from_before_the_start() {
    let setting = Setting::new().await;
    setting.publish(0..700).await;
    let numbers = Numbers::new(&setting.db, None);
    setting.start(&numbers, 1);
    setting.publish(700..1000).await;
    setting.settle().await;
    assert_eq!(numbers.seen(), (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn more_messages_than_fit_into_memory_are_all_delivered() {
    let setting = Setting::new().await;
    let numbers = Numbers::new(&setting.db, None);
    setting.start(&numbers, 1);
    for start in (0..12_000).step_by(3000) {
        setting.publish(start..start + 3000).await;
    }
    setting.settle().await;
    assert_eq!(numbers.seen(), (0..12_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_poison_message_goes_to_the_dead_letters_and_the_others_pass() {
    let setting = Setting::new().await;
    let numbers = Numbers::new(&setting.db, Some(7));
    setting.publish(0..20).await;
    setting.start(&numbers, 1);
    setting.settle().await;
    let others: Vec<i64> = (0..20).filter(|number| *number != 7).collect();
    assert_eq!(numbers.seen(), others);
    let dead = outbox::dead_letters(&setting.db, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason, "7 is poison");
    assert_eq!(dead[0].failures, 5);
    assert!(dead[0].body.contains("test.counted"), "{}", dead[0].body);
}

#[tokio::test]
async fn a_consumer_that_cannot_work_now_loses_and_buries_nothing() {
    let setting = Setting::new().await;
    let numbers = Numbers::new(&setting.db, None);
    *numbers.unavailable.lock().unwrap() = 2;
    setting.publish(0..3).await;
    setting.start(&numbers, 1);
    setting.settle().await;
    assert_eq!(numbers.seen(), [0, 1, 2]);
    assert!(
        outbox::dead_letters(&setting.db, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn with_two_relays_every_message_is_delivered() {
    let setting = Setting::new().await;
    let numbers = Numbers::new(&setting.db, None);
    setting.publish(0..500).await;
    setting.start(&numbers, 2);
    setting.publish(500..1000).await;
    setting.settle().await;
    let mut seen = numbers.seen();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
}
