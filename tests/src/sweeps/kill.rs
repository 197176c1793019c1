//! A sweep that is interrupted by `kill -9`.

use crate::process::{Installation, Process};
use crate::receivers::Mails;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const TASKS: usize = 3_000;
const CLIENTS: usize = 8;
/// One task in so many matches.
const MATCHES: usize = 30;
const PATIENCE: Duration = Duration::from_secs(180);

/// Tasks that sweeps have read, by the product's metrics.
async fn looked_at(process: &Process) -> f64 {
    let metrics = process.connect("").await.get("/metrics").await;
    let text = metrics.body.as_str().unwrap_or_default().to_owned();
    let line = text
        .lines()
        .find(|line| line.starts_with("smarttasks_sweep_tasks_total"));
    line.map_or(0.0, |line| {
        line.rsplit(' ').next().unwrap().parse().unwrap()
    })
}

async fn make_tasks(process: &Process, token: &str) {
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let mut connection = process.connect(token).await;
        clients.spawn(async move {
            for number in (client..TASKS).step_by(CLIENTS) {
                let priority = if number % MATCHES == 0 {
                    "urgent"
                } else {
                    "low"
                };
                let task = json!({ "title": number.to_string(), "priority": priority });
                while connection.post("/api/v1/tasks", &task).await.status != 201 {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
}

#[tokio::test]
async fn a_sweep_that_is_killed_goes_on_where_it_was_and_fires_once_for_each_task() {
    let mails = Mails::start().await;
    let installation = Installation::new(&mails);
    let mut process = installation.start().await;
    let token = process.register("ann").await;
    let mut ann = process.connect(&token).await;
    for rule in ann.list("/api/v1/rules").await {
        let path = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap());
        ann.patch(&path, &json!({ "enabled": false })).await;
    }
    make_tasks(&process, &token).await;
    let rule = json!({
        "name": "urgent",
        "triggers": [{ "cron": "* * * * *" }],
        "script": "if task.priority == URGENT { emit(\"task_seen.urgent\", #{ title: task.title }); }",
    });
    ann.create("/api/v1/rules", &rule).await;
    let deadline = Instant::now() + PATIENCE;
    for _ in 0..3 {
        let before = looked_at(&process).await;
        while looked_at(&process).await <= before && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        process.kill().await;
        process = installation.start().await;
        let begun = Instant::now();
        // The next minute begins another sweep, should this one have ended before it was killed.
        while begun.elapsed() < Duration::from_millis(200) {
            tokio::task::yield_now().await;
        }
        if seen(&process, &token).await.len() == TASKS / MATCHES {
            break;
        }
    }
    let mut all = BTreeMap::new();
    while all.len() < TASKS / MATCHES && Instant::now() < deadline {
        all = seen(&process, &token).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(all.len(), TASKS / MATCHES, "each task that matches");
    let often: Vec<_> = all.iter().filter(|(_, times)| **times != 1).collect();
    assert!(often.is_empty(), "fired more than once: {often:?}");
    process.stop().await;
}

/// How often each task was seen.
async fn seen(process: &Process, token: &str) -> BTreeMap<String, usize> {
    let mut ann = process.connect(token).await;
    let mut seen = BTreeMap::new();
    for event in ann.list("/api/v1/events?type=task_seen.urgent").await {
        let title = event["data"]["title"].as_str().unwrap().to_owned();
        *seen.entry(title).or_default() += 1;
    }
    seen
}
