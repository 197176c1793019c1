//! Within one process.

use super::{Numbers, publish};
use crate::{Bus, Replay, consume};
use smarttasks_model::Clock;
use smarttasks_store::{Db, Location, Settings, Vault, outbox};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

struct Setting {
    db: Db,
    bus: Bus,
    directory: PathBuf,
    stop: CancellationToken,
}

impl Setting {
    async fn new() -> Self {
        let directory = std::env::temp_dir().join(format!("smarttasks-bus-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&directory).unwrap();
        Self::of(directory).await
    }

    async fn of(directory: PathBuf) -> Self {
        let settings = Settings {
            location: Location::File {
                path: directory.join("test.db"),
                readers: 2,
            },
            max_pending: 1_000_000,
        };
        let db = Db::open(&settings, Clock::system(), Vault::new([1; 32]))
            .await
            .unwrap();
        Self {
            bus: Bus::in_process(db.clone()),
            db,
            directory,
            stop: CancellationToken::new(),
        }
    }

    fn start(&self, handler: &Arc<Numbers>, relays: usize) {
        for _ in 0..relays {
            let (bus, stop) = (self.bus.clone(), self.stop.clone());
            tokio::spawn(async move { bus.relay(stop).await });
        }
        let (bus, stop) = (self.bus.clone(), self.stop.clone());
        tokio::spawn(consume(bus, Arc::clone(handler), stop));
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

#[tokio::test]
async fn messages_come_in_the_order_of_their_commits_also_those_from_before_the_start() {
    let setting = Setting::new().await;
    publish(&setting.db, 0..700).await;
    let numbers = Numbers::new(&setting.db);
    setting.start(&numbers, 1);
    publish(&setting.db, 700..1000).await;
    setting.settle().await;
    assert_eq!(numbers.seen(), (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_pending_at_the_start_may_be_what_the_process_before_died_with() {
    let before = Setting::new().await;
    publish(&before.db, 0..600).await;
    let setting = Setting::of(before.directory.clone()).await;
    publish(&setting.db, 600..700).await;
    let numbers = Numbers::new(&setting.db);
    setting.start(&numbers, 1);
    publish(&setting.db, 700..800).await;
    setting.settle().await;
    assert_eq!(numbers.seen(), (0..800).collect::<Vec<_>>());
    assert_eq!(numbers.suspects(), (0..600).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_that_fails_is_nobodys_death() {
    let setting = Setting::new().await;
    let numbers = Numbers::new(&setting.db);
    numbers.poison(Some(1));
    publish(&setting.db, 0..3).await;
    setting.start(&numbers, 1);
    setting.settle().await;
    assert_eq!(numbers.seen(), [0, 2]);
    assert!(numbers.suspects().is_empty());
}

#[tokio::test]
async fn more_messages_than_fit_into_memory_are_all_delivered() {
    let setting = Setting::new().await;
    let numbers = Numbers::new(&setting.db);
    setting.start(&numbers, 1);
    for start in (0..12_000).step_by(3000) {
        publish(&setting.db, start..start + 3000).await;
    }
    setting.settle().await;
    assert_eq!(numbers.seen(), (0..12_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_poison_message_goes_to_the_dead_letters_and_the_others_pass() {
    let setting = Setting::new().await;
    let numbers = Numbers::new(&setting.db);
    numbers.poison(Some(7));
    publish(&setting.db, 0..20).await;
    setting.start(&numbers, 1);
    setting.settle().await;
    let others: Vec<i64> = (0..20).filter(|number| *number != 7).collect();
    assert_eq!(numbers.seen(), others);
    let dead = setting.bus.dead_letters(10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason, "7 is poison");
    assert_eq!(dead[0].queue, "events");
    assert_eq!(dead[0].failures, Some(5));
    assert!(dead[0].body.contains("test.counted"), "{}", dead[0].body);
}

#[tokio::test]
async fn a_replayed_dead_letter_is_handled() {
    let setting = Setting::new().await;
    let numbers = Numbers::new(&setting.db);
    numbers.poison(Some(1));
    publish(&setting.db, 0..3).await;
    setting.start(&numbers, 1);
    setting.settle().await;
    numbers.poison(None);
    let nobodys = Replay::Only(vec![Uuid::new_v4().to_string(), "x".to_owned()]);
    assert_eq!(setting.bus.replay(&nobodys).await.unwrap(), 0);
    assert_eq!(setting.bus.replay(&Replay::All).await.unwrap(), 1);
    setting.settle().await;
    assert_eq!(numbers.seen(), [0, 2, 1]);
    assert_eq!(setting.bus.dead_letters(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_consumer_that_cannot_work_now_loses_and_buries_nothing() {
    let setting = Setting::new().await;
    let numbers = Numbers::new(&setting.db);
    *numbers.unavailable.lock().unwrap() = 2;
    publish(&setting.db, 0..3).await;
    setting.start(&numbers, 1);
    setting.settle().await;
    assert_eq!(numbers.seen(), [0, 1, 2]);
    assert_eq!(setting.bus.dead_letters(10).await.unwrap(), []);
}

#[tokio::test]
async fn with_two_relays_every_message_is_delivered() {
    let setting = Setting::new().await;
    let numbers = Numbers::new(&setting.db);
    publish(&setting.db, 0..500).await;
    setting.start(&numbers, 2);
    publish(&setting.db, 500..1000).await;
    setting.settle().await;
    let mut seen = numbers.seen_sorted();
    seen.dedup();
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_published_and_what_was_acknowledged_add_up() {
    let setting = Setting::new().await;
    let numbers = Numbers::new(&setting.db);
    numbers.poison(Some(3));
    setting.start(&numbers, 1);
    publish(&setting.db, 0..10).await;
    setting.settle().await;
    super::eventually("the counters add up", async || {
        let traffic = setting.bus.traffic();
        (traffic.published, traffic.acknowledged) == (10, 10)
    })
    .await;
}
