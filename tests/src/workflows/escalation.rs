//! A workflow that does one of everything while its process is killed, and what must have come of it.

use crate::process::Connection;
use crate::receivers::{Mails, Webhooks};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// After this long what is not done never will be.
const PATIENCE: Duration = Duration::from_secs(120);

/// The escalation, with as many segments as there is time for; short waits stand for the day.
const SCRIPT: &str = r#"
email(task.owner, `Overdue: ${task.title}`, "Please look.");
for step in 0..STEPS {
    sleep(seconds(step % 3));
    task.comment(`step ${step}`);
    if step % 4 == 0 { emit("chase.step", #{ task: task.title, step: step }); }
}
let made = create_task(#{ title: `Talk about ${task.title}` });
wait_for("chase.never", seconds(2));
webhook("ops", #{ task: task.title });
email(task.owner, `Still overdue: ${task.title}`, made.title);
"#;

/// Tasks `t0`, `t1`, … of Ann, each of which has a run that escalates; and who is told.
pub(super) struct Escalation {
    pub(super) mails: Mails,
    hooks: Webhooks,
    tasks: usize,
    steps: usize,
}

impl Escalation {
    pub(super) async fn of(tasks: usize, steps: usize) -> Self {
        Self {
            mails: Mails::start().await,
            hooks: Webhooks::start().await,
            tasks,
            steps,
        }
    }

    pub(super) async fn prepare(&self, ann: &mut Connection) {
        for rule in ann.list("/api/v1/rules").await {
            let path = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap());
            ann.patch(&path, &json!({ "enabled": false })).await;
        }
        let endpoint = json!({ "name": "ops", "url": self.hooks.url("/ops") });
        ann.create("/api/v1/endpoints", &endpoint).await;
        let script = SCRIPT.replace("STEPS", &self.steps.to_string());
        let rule = json!({ "name": "chase", "triggers": [{ "event": "task.created" }],
            "script": format!("if task.priority == HIGH {{ {script} }}") });
        ann.create("/api/v1/rules", &rule).await;
    }

    /// Waits until all is done, and looks whether it was done once.
    pub(super) async fn check(&self, ann: &mut Connection) {
        let deadline = Instant::now() + PATIENCE;
        while !(self.finished(ann).await && self.said()) {
            let runs = ann.list("/api/v1/runs").await;
            assert!(Instant::now() < deadline, "{runs:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.check_state(ann).await;
        self.check_said();
    }

    async fn finished(&self, ann: &mut Connection) -> bool {
        let runs = ann.list("/api/v1/runs").await;
        let ended = |run: &&Value| run["status"] == "succeeded";
        runs.len() == self.tasks && runs.iter().filter(ended).count() == self.tasks
    }

    /// Whatever is said has come.
    fn said(&self) -> bool {
        let subjects: BTreeSet<String> = self
            .mails
            .inbox
            .look(|all| all.iter().map(|mail| mail.read().subject).collect());
        let bodies: BTreeSet<String> = self.hooks.inbox.look(|all| {
            all.iter()
                .map(|hook| hook.json()["data"].to_string())
                .collect()
        });
        subjects.len() >= 2 * self.tasks && bodies.len() >= self.tasks
    }

    async fn check_state(&self, ann: &mut Connection) {
        let (mut asked, mut made) = (Vec::new(), Vec::new());
        for task in ann.list("/api/v1/tasks").await {
            let title = task["title"].as_str().unwrap().to_owned();
            if task["priority"] == "high" {
                let steps = self.steps;
                let expected: Vec<String> = (0..steps).map(|step| format!("step {step}")).collect();
                assert_eq!(comments(ann, &task).await, expected, "{title}");
                asked.push(title);
            } else {
                made.push(title);
            }
        }
        asked.sort();
        made.sort();
        assert_eq!(asked, self.sorted(|number| format!("t{number}")));
        assert_eq!(made, self.sorted(|number| format!("Talk about t{number}")));
        let emitted = ann.list("/api/v1/events?type=chase.step").await;
        assert_eq!(emitted.len(), self.steps.div_ceil(4) * self.tasks);
    }

    fn sorted(&self, title: impl Fn(usize) -> String) -> Vec<String> {
        let mut titles: Vec<String> = (0..self.tasks).map(title).collect();
        titles.sort();
        titles
    }

    fn check_said(&self) {
        let mails = self.mails.inbox.take();
        let read: Vec<_> = mails.iter().map(|mail| mail.read()).collect();
        let mailed = read
            .iter()
            .map(|mail| (mail.subject.clone(), mail.message_id.as_str()));
        assert_eq!(once(mailed, "mail").len(), 2 * self.tasks);
        let hooks = self.hooks.inbox.take();
        let hooked = hooks
            .iter()
            .map(|hook| (hook.json()["data"].to_string(), hook.id()));
        assert_eq!(once(hooked, "webhook").len(), self.tasks);
        crate::faults::say(&format!(
            "{} mails of {}, {} webhooks of {}",
            mails.len(),
            2 * self.tasks,
            hooks.len(),
            self.tasks
        ));
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

/// In the order of the steps of which they tell.
async fn comments(ann: &mut Connection, task: &Value) -> Vec<String> {
    let path = format!("/api/v1/tasks/{}/comments", task["id"].as_str().unwrap());
    let comments = ann.list(&path).await;
    let text = |comment: &Value| comment["text"].as_str().unwrap().to_owned();
    let mut comments: Vec<String> = comments.iter().map(text).collect();
    comments.sort_by_key(|text| text[5..].parse::<u32>().unwrap());
    comments
}
