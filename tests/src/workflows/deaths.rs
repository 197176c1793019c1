//! `kill -9` of the real process while runs wait, go on and end: each action once.

use super::escalation::Escalation;
use crate::backend::Backend;
use crate::faults::dice::Dice;
use crate::process::Installation;
use serde_json::json;
use std::time::Duration;

const KILLS: usize = 50;
/// Each has a run that escalates.
const TASKS: usize = 12;
/// Waits of each, for time.
const STEPS: usize = 12;
/// A process is killed within this time after it was started, or after it listens.
const LONGEST_LIFE: Duration = Duration::from_millis(900);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_escalation_killed_at_fifty_moments_does_each_of_its_actions_once() {
    let escalation = Escalation::of(TASKS, STEPS).await;
    let mut installation = Installation::new(&escalation.mails);
    for (name, value) in Backend::chosen().environment().await {
        installation = installation.with(&name, &value);
    }
    let mut process = installation.start().await;
    let token = process.register("ann").await;
    let mut ann = process.connect(&token).await;
    escalation.prepare(&mut ann).await;
    for number in 0..TASKS {
        let task = json!({ "title": format!("t{number}"), "priority": "high" });
        ann.create("/api/v1/tasks", &task).await;
    }
    let mut dice = Dice::seeded();
    for number in 0..KILLS {
        tokio::time::sleep(dice.below(LONGEST_LIFE)).await;
        process.kill().await;
        // Every other one wherever it is, also while it starts.
        process = match number % 2 {
            0 => installation.start().await,
            _ => installation.spawn(),
        };
    }
    process.kill().await;
    let process = installation.start().await;
    let mut ann = process.connect(&token).await;
    escalation.check(&mut ann).await;
}
