//! A rule that ends the process: it is found, disabled and told of, and the others run.
//!
//! Nothing that a script can do ends the process, as far as is known. So the rule here only never
//! ends, with limits that let it, and the test ends the process as soon as it has begun.

use crate::backend::Backend;
use crate::process::{Connection, Installation, Process};
use crate::receivers::Mails;
use serde_json::{Value, json};
use std::time::Duration;

/// After this long what is waited for will not come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Processes that end with the rule: the first knows of nothing, the second evaluates it together
/// with others, and three evaluate it alone.
const DEATHS: usize = 5;

struct Trial {
    mails: Mails,
    installation: Installation,
    token: String,
    deadly: Value,
    /// How many rules there are up to the deadly one, in the order in which they are evaluated.
    place: u64,
}

impl Trial {
    /// With a rule that begins with the second of three.
    async fn start() -> (Self, Process) {
        Self::with("").await
    }

    /// With one that does this before.
    async fn with(before: &str) -> (Self, Process) {
        let mails = Mails::start().await;
        let mut installation = Installation::new(&mails)
            .with("SMARTTASKS_RULES__WALL_MS", "600000")
            .with("SMARTTASKS_RULES__OPERATIONS", "1000000000000000");
        for (name, value) in Backend::chosen().environment().await {
            installation = installation.with(&name, &value);
        }
        let process = installation.start().await;
        let token = process.register("ann").await;
        let mut ann = process.connect(&token).await;
        rule(&mut ann, "before", "email(task.owner, \"before\", \"\");").await;
        // With a condition that nobody understands without evaluating it: else no rule is evaluated
        // that does nothing while its task is open.
        let endless = "let n = 0;\nwhile [task.is_open][0] { n += 1; }\ntask.tag(\"never\");";
        let endless = format!("{before}{endless}");
        let deadly = rule(&mut ann, "deadly", &endless).await;
        rule(&mut ann, "after", "email(task.owner, \"after\", \"\");").await;
        let rules = ann.list("/api/v1/rules").await;
        let up_to = |rule: &&Value| {
            rule["triggers"][0]["event"] == "task.created"
                && rule["id"].as_str() <= deadly["id"].as_str()
        };
        let trial = Self {
            place: rules.iter().filter(up_to).count() as u64,
            mails,
            installation,
            token,
            deadly,
        };
        (trial, process)
    }

    async fn deadly(&self, process: &Process) -> Value {
        let path = format!("/api/v1/rules/{}", self.deadly["id"].as_str().unwrap());
        process.connect(&self.token).await.get(&path).await.body
    }

    /// Returns once the rule is being evaluated, or `true` once it is disabled.
    async fn until_begun(&self, process: &Process, number: usize) -> bool {
        let (metric, count) = match number {
            1 => ("smarttasks_rule_evaluations_repeated_total", 1),
            _ => ("smarttasks_rule_evaluations_alone_total", self.place),
        };
        eventually(metric, async || {
            self.deadly(process).await["enabled"] == false
                || metric_of(process, metric).await >= count
        })
        .await;
        self.deadly(process).await["enabled"] == false
    }
}

async fn rule(ann: &mut Connection, name: &str, script: &str) -> Value {
    let triggers = json!([{ "event": "task.created" }]);
    let rule = json!({ "name": name, "triggers": triggers, "script": script });
    ann.create("/api/v1/rules", &rule).await
}

async fn metric_of(process: &Process, name: &str) -> u64 {
    let metrics = process.connect("").await.get("/metrics").await.body;
    let lines = metrics.as_str().unwrap().lines();
    let values = lines.filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    values.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "not within {PATIENCE:?}: {what}");
}

#[tokio::test]
async fn a_rule_that_ends_the_process_is_disabled_and_its_event_goes_on_to_the_others() {
    let (trial, process) = Trial::start().await;
    let consumed = "smarttasks_bus_messages_consumed_total{queue=\"events\"}";
    eventually("that somebody came is consumed", async || {
        metric_of(&process, consumed).await == 1
    })
    .await;
    let mut ann = process.connect(&trial.token).await;
    let task = ann
        .create("/api/v1/tasks", &json!({ "title": "Pay" }))
        .await;
    eventually("the task is consumed", async || {
        metric_of(&process, consumed).await == 2
    })
    .await;
    if Backend::chosen() == Backend::Servers {
        // Else the relay of the next process publishes it again, as if nobody had died with it.
        all_is_published(&process).await;
    }
    let (process, deaths) = until_refused(&trial, process).await;
    assert_eq!(deaths, DEATHS);
    trial.mails.inbox.until_count(4).await;

    let mut ann = process.connect(&trial.token).await;
    let disabled = trial.deadly(&process).await;
    let reason = "its evaluation ended the process three times";
    assert_eq!(disabled["disabled_reason"], reason);
    let events = ann.list("/api/v1/events?type=rule.disabled").await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["data"]["rule"]["id"], disabled["id"]);
    assert_eq!(events[0]["data"]["reason"], reason);
    let task_path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    assert_eq!(ann.get(&task_path).await.body["tags"], json!([]));

    // The innocent have run once each, and the run of the other says why there is nothing of it.
    eventually("all runs are recorded", async || {
        let mut ann = process.connect(&trial.token).await;
        ann.list("/api/v1/runs").await.len() == 4
    })
    .await;
    let runs = ann.list("/api/v1/runs").await;
    let (failed, succeeded): (Vec<_>, Vec<_>) =
        runs.iter().partition(|run| run["status"] == "failed");
    assert_eq!((failed.len(), succeeded.len()), (1, 3), "{runs:#?}");
    assert_eq!(failed[0]["rule_id"], disabled["id"]);
    let message = failed[0]["error"]["message"].as_str().unwrap();
    assert!(message.contains(reason), "{message}");

    // And the next task is one like any other.
    ann.create("/api/v1/tasks", &json!({ "title": "Tidy" }))
        .await;
    trial.mails.inbox.until_count(7).await;
    assert_eq!(process.stop().await.code(), Some(0));
    let mut subjects: Vec<_> = trial
        .mails
        .inbox
        .look(|all| all.iter().map(|mail| mail.read().subject).collect());
    subjects.sort();
    let expected = [
        "New task: Pay",
        "New task: Tidy",
        "Rule disabled: deadly",
        "after",
        "after",
        "before",
        "before",
    ];
    assert_eq!(subjects, expected);
}

/// Its first segment is harmless.
const WAITS: &str = "if task.title == \"First\" { sleep(seconds(2)); }\n\
    else { wait_for(\"go.on\", days(1)); }\n";

/// Returns once nothing is left in the outbox.
async fn all_is_published(process: &Process) {
    eventually("the outbox is empty", async || {
        metric_of(process, "smarttasks_outbox_pending_messages").await == 0
    })
    .await;
}

/// Ends one process after the other, each as soon as it evaluates the rule, until none does.
async fn until_refused(trial: &Trial, mut process: Process) -> (Process, usize) {
    let mut deaths = 0;
    loop {
        process.kill().await;
        deaths += 1;
        process = trial.installation.start().await;
        if trial.until_begun(&process, deaths).await {
            return (process, deaths);
        }
    }
}

#[tokio::test]
async fn a_run_that_ends_the_process_when_it_goes_on_is_paused_and_so_are_the_others_of_its_rule() {
    let (mut trial, process) = Trial::with(WAITS).await;
    // Of the messages that let runs go on, only those of this rule are evaluated.
    trial.place = 1;
    let mut ann = process.connect(&trial.token).await;
    let mut tasks = Vec::new();
    for title in ["First", "Second"] {
        let task = ann
            .create("/api/v1/tasks", &json!({ "title": title }))
            .await;
        tasks.push(task);
    }
    // The second looks for what has come before its wait was known, and then the first goes on.
    let consumed = "smarttasks_bus_messages_consumed_total{queue=\"runs\"}";
    eventually("the first run goes on", async || {
        metric_of(&process, consumed).await >= 2
    })
    .await;
    if Backend::chosen() == Backend::Servers {
        all_is_published(&process).await;
    }
    let (process, deaths) = until_refused(&trial, process).await;
    assert_eq!(deaths, DEATHS);
    let paused = async |number: usize| {
        eventually("runs are paused", async || {
            let mut ann = process.connect(&trial.token).await;
            ann.list("/api/v1/runs?status=paused").await.len() == number
        })
        .await;
    };
    paused(1).await;
    let mut ann = process.connect(&trial.token).await;
    let event = json!({ "type": "go.on", "task_id": tasks[1]["id"] });
    ann.create("/api/v1/events", &event).await;
    paused(2).await;
    let runs = ann.list("/api/v1/runs?status=paused").await;
    let message = runs[0]["error"]["message"].as_str().unwrap();
    assert!(message.contains("ended the process"), "{message}");

    // What was deadly is not any more.
    for task in &tasks {
        let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
        ann.patch(&path, &json!({ "status": "done" })).await;
    }
    let path = format!("/api/v1/rules/{}", trial.deadly["id"].as_str().unwrap());
    ann.patch(&path, &json!({ "enabled": true })).await;
    for run in &runs {
        let path = format!("/api/v1/runs/{}/resume", run["id"].as_str().unwrap());
        assert_eq!(ann.post(&path, &json!({})).await.status, 202);
    }
    eventually("both go on to their end", async || {
        let mut ann = process.connect(&trial.token).await;
        let path = format!("{path}/runs");
        let runs = ann.list(&path).await;
        runs.iter().all(|run| run["status"] == "succeeded")
    })
    .await;
    assert_eq!(process.stop().await.code(), Some(0));
}
