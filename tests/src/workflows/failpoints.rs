//! The process dies at each step of what it does in turn, at passages that chance chooses, while runs
//! wait, go on and end: each action once.

use super::escalation::Escalation;
use crate::backend::Backend;
use crate::faults::dice::Dice;
use crate::faults::say;
use crate::process::{Installation, Process};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use smarttasks_model::Failpoint;
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// Processes of one installation that die at the same step, each at another passage.
const LIVES: usize = 3;
/// Tasks made in each life, so that it has enough to do to die of.
const TASKS: usize = 2;
/// Waits of each of their runs, for time.
const STEPS: usize = 5;
/// Installations at once: they sleep for most of the time.
const TOGETHER: usize = 6;
/// A process that has not died after this long never will.
const PATIENCE: Duration = Duration::from_secs(60);
/// The signal by which it dies.
const ABORTED: i32 = 6;

/// How often a process with the runs of [`TASKS`] new tasks comes by a step at least.
const fn passages(step: Failpoint) -> u64 {
    match step {
        Failpoint::TaskCreated => 2,
        Failpoint::Sent | Failpoint::Evaluated | Failpoint::Resumed => 6,
        Failpoint::Consumed | Failpoint::Handled | Failpoint::Published => 8,
        Failpoint::Committing | Failpoint::Committed => 10,
        Failpoint::Claimed => 16,
        Failpoint::Replaying => 24,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_escalation_that_dies_at_any_step_does_each_of_its_actions_once() {
    let mut dice = Dice::seeded();
    let trials = Failpoint::ALL.map(|step| (step, dice.fork()));
    stream::iter(trials)
        .for_each_concurrent(TOGETHER, |(step, dice)| trial(step, dice))
        .await;
}

async fn trial(step: Failpoint, mut dice: Dice) {
    let escalation = Escalation::of(LIVES * TASKS, STEPS).await;
    let mut installation = Installation::new(&escalation.mails);
    for (name, value) in Backend::chosen().environment().await {
        installation = installation.with(&name, &value);
    }
    let process = installation.start().await;
    let token = process.register("ann").await;
    escalation.prepare(&mut process.connect(&token).await).await;
    process.kill().await;

    let mut accepted = BTreeSet::new();
    for life in 1..=LIVES {
        let death = format!("{step:?}:{}", dice.up_to(passages(step)));
        let mut process = installation.spawn_with(&[("FAILPOINT", &death)]);
        make_tasks(&mut process, &token, life * TASKS, &mut accepted).await;
        let ended = tokio::time::timeout(PATIENCE, process.ended()).await;
        let ended = ended.unwrap_or_else(|_| {
            panic!(
                "it never came by {death} in life {life}, or is not of a build that can be told \
                 to die: cargo build --workspace --all-targets"
            )
        });
        assert_eq!(ended.signal(), Some(ABORTED), "{death}: {ended}");
        let log = std::fs::read_to_string(installation.log()).unwrap();
        let said = format!("dies at {death}");
        let last = log.lines().rfind(|line| line.starts_with("dies at"));
        assert_eq!(last, Some(said.as_str()));
        say(&said);
    }
    let mut process = installation.start().await;
    make_tasks(&mut process, &token, LIVES * TASKS, &mut accepted).await;
    let mut ann = process.connect(&token).await;
    escalation.check(&mut ann).await;
    say(&format!("{step:?}: {LIVES} deaths"));
}

/// Makes those of the first tasks that there are not, until the process dies.
async fn make_tasks(
    process: &mut Process,
    token: &str,
    number: usize,
    accepted: &mut BTreeSet<String>,
) {
    if process.try_listening().await.is_none() {
        return;
    }
    let Ok(mut ann) = process.try_connect(token).await else {
        return;
    };
    let Ok(listed) = ann.try_get("/api/v1/tasks?limit=250").await else {
        return;
    };
    let tasks = listed.body["data"].as_array().unwrap();
    let title = |task: &Value| task["title"].as_str().unwrap().to_owned();
    let there: BTreeSet<String> = tasks.iter().map(title).collect();
    assert!(accepted.is_subset(&there), "{accepted:?} of {there:?}");
    for title in (0..number).map(|number| format!("t{number}")) {
        if there.contains(&title) {
            continue;
        }
        let task = json!({ "title": title, "priority": "high" });
        let Ok(made) = ann.try_post("/api/v1/tasks", &task).await else {
            return;
        };
        assert_eq!(made.status, 201, "{}", made.body);
        accepted.insert(title);
    }
}
