//! Two schedulers, of which one stands still, as on a machine that sleeps.

use super::trial::{Network, Trial};
use crate::roles::Role;
use serde_json::json;
use smarttasks_model::Timestamp;
use std::time::Duration;

/// How often the other one is looked at meanwhile.
const LOOKS: u32 = 6;
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_that_stood_still_for_a_minute_neither_holds_up_nor_repeats() {
    let counts = [
        (Role::Api, 1),
        (Role::Engine, 1),
        (Role::Scheduler, 2),
        (Role::Notifier, 1),
    ];
    let mut trial = Trial::start(&counts, Network::Direct).await;
    trial.begin("one scheduler stands still").await;
    ticks_every_minute(&trial).await;
    let halted = trial.take(Role::Scheduler);
    halted.halt().await;
    for look in 1..=LOOKS {
        tokio::time::sleep(MINUTE / LOOKS).await;
        let while_it_stands = format!("one scheduler still for {:?}", look * MINUTE / LOOKS);
        trial.recovers(&while_it_stands).await;
    }
    trial.begin("the scheduler goes on").await;
    halted.go_on().await;
    trial.replicas.push(halted);
    trial.recovers("the scheduler goes on").await;
    each_minute_once(&trial).await;
    trial.verdict().await;
}

async fn ticks_every_minute(trial: &Trial) {
    let rule = json!({
        "name": "Ticks",
        "triggers": [{ "cron": "* * * * *", "for_each": "once" }],
        "script": "emit(\"clock.tick\", #{ at: event.data.scheduled_at });",
    });
    let mut person = trial.somebody().await;
    person.create("/api/v1/rules", &rule).await;
}

/// Every minute since the rule was stored, but for the one that may have just begun.
async fn each_minute_once(trial: &Trial) {
    let mut person = trial.somebody().await;
    let ticks = person.list("/api/v1/events?type=clock.tick").await;
    let mut minutes: Vec<Timestamp> = ticks
        .iter()
        .map(|tick| tick["data"]["at"].as_str().unwrap().parse().unwrap())
        .collect();
    minutes.sort();
    assert!(!minutes.is_empty(), "a minute has passed");
    for pair in minutes.windows(2) {
        assert_eq!(pair[1].since(pair[0]), MINUTE, "{minutes:?}");
    }
}
