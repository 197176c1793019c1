//! What a bus promises its consumers: on a real outbox, and on a real broker.

mod brokers;
mod faults;
mod in_process;
mod proxy;
mod rabbitmq;

use crate::{Batch, Handler, HandlerError};
use serde_json::json;
use smarttasks_model::{
    ChangeId, Event, EventData, EventId, EventType, Message, Timestamp, WorkspaceId,
};
use smarttasks_store::{Db, Queue};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Writes messages with these numbers, in one transaction.
async fn publish(db: &Db, numbers: Range<i64>) {
    publish_as(db, numbers, |_| "test.counted").await;
}

async fn publish_as(db: &Db, numbers: Range<i64>, kind: fn(i64) -> &'static str) {
    db.write(move |tx| {
        let numbers = numbers.clone();
        Box::pin(async move {
            for number in numbers {
                tx.publish(Message::Event(Arc::new(event(number, kind(number)))))?;
            }
            Ok(())
        })
    })
    .await
    .unwrap();
}

fn event(number: i64, kind: &str) -> Event {
    let now = Timestamp::from_unix_millis(1_764_579_600_000);
    Event {
        id: EventId::new(now),
        workspace_id: WorkspaceId(Uuid::nil()),
        kind: EventType::custom(kind).unwrap(),
        task_id: None,
        time: now,
        traceparent: None,
        change: ChangeId::new(now),
        depth: 0,
        actor_id: None,
        rule_id: None,
        data: EventData::Custom(json!(number)),
    }
}

/// Remembers the numbers that it was given, and fails on some.
struct Numbers {
    db: Db,
    seen: Mutex<Vec<i64>>,
    /// Those that somebody may have died with.
    suspects: Mutex<Vec<i64>>,
    poison: Mutex<Option<i64>>,
    unavailable: Mutex<u32>,
    /// How many batches it may handle.
    gate: Semaphore,
}

impl Numbers {
    fn new(db: &Db) -> Arc<Self> {
        Arc::new(Self {
            db: db.clone(),
            seen: Mutex::default(),
            suspects: Mutex::default(),
            poison: Mutex::default(),
            unavailable: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    /// All of them, in the order of their coming.
    fn seen(&self) -> Vec<i64> {
        self.seen.lock().unwrap().clone()
    }

    /// Each of them once, in the order of their first coming.
    fn seen_first(&self) -> Vec<i64> {
        let mut known = HashSet::new();
        let mut seen = self.seen();
        seen.retain(|number| known.insert(*number));
        seen
    }

    fn seen_sorted(&self) -> Vec<i64> {
        let mut seen = self.seen();
        seen.sort_unstable();
        seen
    }

    fn suspects(&self) -> Vec<i64> {
        self.suspects.lock().unwrap().clone()
    }

    fn poison(&self, number: Option<i64>) {
        *self.poison.lock().unwrap() = number;
    }

    fn is_available(&self) -> bool {
        let mut unavailable = self.unavailable.lock().unwrap();
        if *unavailable == 0 {
            return true;
        }
        *unavailable -= 1;
        false
    }
}

impl Handler for Numbers {
    const QUEUE: Queue = Queue::Events;

    async fn handle(&self, batch: Batch) -> Result<(), HandlerError> {
        if !self.is_available() {
            return Err(HandlerError::Unavailable("not now".to_owned()));
        }
        self.gate.acquire().await.unwrap().forget();
        let number = |message: &Message| match message {
            Message::Event(event) => event.data_json().as_i64().unwrap(),
            other => panic!("{other:?} came to the wrong queue"),
        };
        let numbers: Vec<i64> = batch.messages().map(number).collect();
        let suspects: Vec<i64> = batch.suspects().map(number).collect();
        let poison = *self.poison.lock().unwrap();
        if let Some(poison) = poison.filter(|poison| numbers.contains(poison)) {
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
        self.suspects.lock().unwrap().extend(suspects);
        self.seen.lock().unwrap().extend(numbers);
        Ok(())
    }
}

/// Waits until `condition` holds.
async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "it did not happen that {what}");
}
