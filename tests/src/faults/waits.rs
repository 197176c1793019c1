//! Runs that wait, and several engines: whichever of them handles what ends a wait, and though one of
//! them is killed, each run goes on once.

use super::{GLANCE, PATIENCE, say};
use crate::process::Connection;
use crate::receivers::Mails;
use crate::roles::{Cluster, Replica, Role, Urls};
use crate::servers::Servers;
use serde_json::{Value, json};
use std::time::Instant;

/// Tasks with a run each.
const TASKS: usize = 60;
/// Waits of each of these that end at once.
const STEPS: usize = 10;
/// Runs about no task that all wait for the same event: more than are woken together.
const GUESTS: usize = 250;

/// For each of its waits a comment, the last of which an event about its task ends.
const STEP_BY_STEP: &str = r#"for step in 0..STEPS { sleep(seconds(0)); task.comment(`step ${step}`); }
let opened = wait_for("gate.opened", hours(1));
task.comment(`${opened?.type}`);"#;

/// Goes on with the event for which all of its kind wait.
const TOGETHER: &str = r#"let opened = wait_for("gate.opened_for_all", hours(1));
emit("gate.passed", #{ who: event.data.who, by: opened?.type });"#;

async fn prepare(ann: &mut Connection) {
    for rule in ann.list("/api/v1/rules").await {
        let path = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap());
        ann.patch(&path, &json!({ "enabled": false })).await;
    }
    for (event, script) in [
        (
            "task.created",
            STEP_BY_STEP.replace("STEPS", &STEPS.to_string()),
        ),
        ("gate.queued", TOGETHER.to_owned()),
    ] {
        let rule = json!({ "name": event, "triggers": [{ "event": event }], "script": script,
            "overlap": "parallel" });
        ann.create("/api/v1/rules", &rule).await;
    }
}

/// Messages that let runs go on and that this engine has taken.
async fn taken(engine: &Replica) -> u64 {
    let metrics = engine.connect("").await.get("/metrics").await;
    let text = metrics.body.as_str().unwrap_or_default().to_owned();
    let counter = "smarttasks_bus_messages_consumed_total{queue=\"runs\"} ";
    let value = text.lines().find_map(|line| line.strip_prefix(counter));
    value.map_or(0, |value| value.parse().unwrap())
}

/// Waits until so many runs stand there.
async fn until_runs(ann: &mut Connection, status: &str, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let runs = ann.list(&format!("/api/v1/runs?status={status}")).await;
        if runs.len() == count {
            return;
        }
        let found = runs.len();
        assert!(Instant::now() < deadline, "{found} of {count} {status}");
        tokio::time::sleep(10 * GLANCE).await;
    }
}

/// Waits until every run waits for its event.
async fn until_steps_taken(ann: &mut Connection) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let runs = ann.list("/api/v1/runs?status=suspended").await;
        let wait = |run: &&Value| run["waiting"]["wait"] == "event";
        let waiting = runs.iter().filter(wait).count();
        if waiting == TASKS + GUESTS {
            return;
        }
        assert!(Instant::now() < deadline, "{waiting} wait for an event");
        tokio::time::sleep(10 * GLANCE).await;
    }
}

/// Waits until each engine has taken some of what there is to do.
async fn until_shared(engines: &[Replica; 2], before: [u64; 2]) {
    let deadline = Instant::now() + PATIENCE;
    for (engine, before) in engines.iter().zip(before) {
        while taken(engine).await == before {
            assert!(Instant::now() < deadline, "one engine does everything");
            tokio::time::sleep(GLANCE).await;
        }
    }
}

async fn check(ann: &mut Connection, tasks: &[Value]) {
    let mut expected: Vec<String> = (0..STEPS).map(|step| format!("step {step}")).collect();
    expected.insert(0, "gate.opened".to_owned());
    for task in tasks {
        let path = format!("/api/v1/tasks/{}/comments", task["id"].as_str().unwrap());
        let comments = ann.list(&path).await;
        let text = |comment: &Value| comment["text"].as_str().unwrap().to_owned();
        let mut texts: Vec<String> = comments.iter().map(text).collect();
        texts.sort();
        assert_eq!(texts, expected, "{}", task["title"]);
    }
    let passed = ann.list("/api/v1/events?type=gate.passed").await;
    let mut who: Vec<u64> = passed
        .iter()
        .map(|event| event["data"]["who"].as_u64().unwrap())
        .collect();
    who.sort_unstable();
    let all: Vec<u64> = (0..GUESTS as u64).collect();
    assert_eq!(who, all);
    let by = |event: &Value| event["data"]["by"] == "gate.opened_for_all";
    assert!(passed.iter().all(by), "{passed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_engines_share_runs_that_wait_and_one_is_killed() {
    let (mails, servers) = (Mails::start().await, Servers::start().await);
    let urls = Urls {
        database: servers.database_url.clone(),
        amqp: servers.amqp_url.clone(),
        redis: servers.redis_url.clone(),
    };
    let cluster = Cluster::new(&urls, &mails);
    let api = cluster.start(Role::Api).await;
    let _scheduler = cluster.start(Role::Scheduler).await;
    let mut engines = [
        cluster.start(Role::Engine).await,
        cluster.start(Role::Engine).await,
    ];
    let token = api.connect("").await.register("ann").await;
    let mut ann = api.connect(&token).await;
    prepare(&mut ann).await;

    let mut tasks = Vec::new();
    for number in 0..TASKS {
        let task = json!({ "title": format!("t{number}") });
        tasks.push(ann.create("/api/v1/tasks", &task).await);
    }
    // While runs take their steps.
    until_shared(&engines, [0, 0]).await;
    engines[0].kill().await;
    let killed = Instant::now();
    for number in 0..GUESTS {
        let queued = json!({ "type": "gate.queued", "data": { "who": number } });
        ann.create("/api/v1/events", &queued).await;
    }
    engines[0] = cluster.start(Role::Engine).await;
    until_steps_taken(&mut ann).await;
    say(&format!(
        "every run waits {:?} after the first kill",
        killed.elapsed()
    ));

    let before = [taken(&engines[0]).await, taken(&engines[1]).await];
    let opened = json!({ "type": "gate.opened_for_all", "data": {} });
    ann.create("/api/v1/events", &opened).await;
    for task in &tasks {
        let opened = json!({ "type": "gate.opened", "task_id": task["id"], "data": {} });
        ann.create("/api/v1/events", &opened).await;
    }
    // While they go on.
    until_shared(&engines, before).await;
    engines[1].kill().await;
    let killed = Instant::now();
    until_runs(&mut ann, "succeeded", TASKS + GUESTS).await;
    say(&format!(
        "{} runs have ended {:?} after the second kill",
        TASKS + GUESTS,
        killed.elapsed()
    ));
    check(&mut ann, &tasks).await;
}
