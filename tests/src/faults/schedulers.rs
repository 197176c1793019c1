//! Two schedulers, of which one stands still, as on a machine that sleeps.

use super::trial::{Network, Trial};
use crate::roles::Role;
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
    trial.verdict().await;
}
