//! `kill -9` of the real process while runs wait, go on and end: each action once.

use crate::backend::Backend;
use crate::faults::dice::Dice;
use crate::process::{Connection, Installation};
use crate::receivers::{Answers, Mails, Webhooks};
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const KILLS: usize = 50;
/// Each has a run that escalates.
const TASKS: usize = 12;
/// A process is killed within this time after it was started, or after it listens.
const LONGEST_LIFE: Duration = Duration::from_millis(900);
/// After this long what is not done never will be.
const PATIENCE: Duration = Duration::from_secs(120);

/// The escalation, with as many segments as there is time for; short waits stand for the day.
const ESCALATION: &str = r#"
email(task.owner, `Overdue: ${task.title}`, "Please look.");
for step in 0..12 {
    sleep(seconds(step % 3));
    task.comment(`step ${step}`);
    if step % 4 == 0 { emit("chase.step", #{ task: task.title, step: step }); }
}
let made = create_task(#{ title: `Talk about ${task.title}` });
wait_for("chase.never", seconds(2));
webhook("ops", #{ task: task.title });
email(task.owner, `Still overdue: ${task.title}`, made.title);
"#;

async fn prepare(ann: &mut Connection, hooks: &Webhooks) {
    for rule in ann.list("/api/v1/rules").await {
        let path = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap());
        ann.patch(&path, &json!({ "enabled": false })).await;
    }
    let endpoint = json!({ "name": "ops", "url": hooks.url("/ops") });
    ann.create("/api/v1/endpoints", &endpoint).await;
    let rule = json!({ "name": "chase", "triggers": [{ "event": "task.created" }],
        "script": format!("if task.priority == HIGH {{ {ESCALATION} }}") });
    ann.create("/api/v1/rules", &rule).await;
    for number in 0..TASKS {
        let task = json!({ "title": format!("t{number}"), "priority": "high" });
        ann.create("/api/v1/tasks", &task).await;
    }
}

/// Everything that a run says goes out under one id, however often.
fn once<'a>(said: impl Iterator<Item = (String, &'a str)>, what: &str) -> BTreeSet<String> {
    let mut ids: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (subject, id) in said {
        ids.entry(subject).or_default().insert(id);
    }
    for (subject, ids) in &ids {
        assert_eq!(ids.len(), 1, "{what} {subject}: {ids:?}");
    }
    ids.into_keys().collect()
}

async fn comments(ann: &mut Connection, task: &Value) -> Vec<String> {
    let path = format!("/api/v1/tasks/{}/comments", task["id"].as_str().unwrap());
    let comments = ann.list(&path).await;
    comments
        .iter()
        .map(|comment| comment["text"].as_str().unwrap().to_owned())
        .collect()
}

async fn finished(ann: &mut Connection) -> bool {
    let runs = ann.list("/api/v1/runs").await;
    let ended = |run: &&Value| run["status"] == "succeeded";
    runs.len() == TASKS && runs.iter().filter(ended).count() == TASKS
}

/// Whatever is said has come.
async fn said(mails: &Mails, hooks: &Webhooks) -> bool {
    let subjects: BTreeSet<String> = mails
        .inbox
        .look(|all| all.iter().map(|mail| mail.read().subject).collect());
    let bodies: BTreeSet<String> = hooks.inbox.look(|all| {
        all.iter()
            .map(|hook| hook.json()["data"].to_string())
            .collect()
    });
    subjects.len() >= 2 * TASKS && bodies.len() >= TASKS
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_escalation_killed_at_fifty_moments_does_each_of_its_actions_once() {
    let (mails, hooks) = (Mails::start().await, Webhooks::start().await);
    hooks.from_now_on(Answers::Status(StatusCode::NO_CONTENT));
    let mut installation = Installation::new(&mails);
    for (name, value) in Backend::chosen().environment().await {
        installation = installation.with(&name, &value);
    }
    let mut process = installation.start().await;
    let token = process.register("ann").await;
    let mut ann = process.connect(&token).await;
    prepare(&mut ann, &hooks).await;
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
    let deadline = Instant::now() + PATIENCE;
    while !(finished(&mut ann).await && said(&mails, &hooks).await) {
        let runs = ann.list("/api/v1/runs").await;
        assert!(Instant::now() < deadline, "{runs:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let mut titles = Vec::new();
    for task in ann.list("/api/v1/tasks").await {
        let title = task["title"].as_str().unwrap().to_owned();
        if task["priority"] == "high" {
            let mut steps = comments(&mut ann, &task).await;
            steps.sort_by_key(|text| text[5..].parse::<u32>().unwrap());
            let expected: Vec<String> = (0..12).map(|step| format!("step {step}")).collect();
            assert_eq!(steps, expected, "{title}");
        } else {
            titles.push(title);
        }
    }
    titles.sort();
    let mut expected: Vec<String> = (0..TASKS).map(|n| format!("Talk about t{n}")).collect();
    expected.sort();
    assert_eq!(titles, expected);
    let emitted = ann.list("/api/v1/events?type=chase.step").await;
    assert_eq!(emitted.len(), 3 * TASKS);

    let mails = mails.inbox.take();
    let read: Vec<_> = mails.iter().map(|mail| mail.read()).collect();
    let mailed = read
        .iter()
        .map(|mail| (mail.subject.clone(), mail.message_id.as_str()));
    assert_eq!(once(mailed, "mail").len(), 2 * TASKS);
    let hooks = hooks.inbox.take();
    let hooked = hooks
        .iter()
        .map(|hook| (hook.json()["data"].to_string(), hook.id()));
    assert_eq!(once(hooked, "webhook").len(), TASKS);
    crate::faults::say(&format!(
        "{KILLS} deaths: {} mails of {}, {} webhooks of {TASKS}",
        mails.len(),
        2 * TASKS,
        hooks.len()
    ));
}
