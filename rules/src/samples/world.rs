//! Random tasks and events: absent values, all kinds of JSON, times round now.

use super::one;
use crate::{Inputs, Journal, RuleFacts, WorkspaceFacts};
use fastrand::Rng;
use serde_json::{Map, Value, json};
use smarttasks_model::predicate::Facts;
use smarttasks_model::{
    ChangeId, Event, EventData, EventId, EventType, NotifyBy, Priority, RuleId, RunId, Snapshot,
    Span, Status, Task, TaskId, TimeZone, Timestamp, User, UserId, WorkspaceId,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The lengths of time that scripts and tasks have in common, in milliseconds.
pub(super) const LENGTHS: &[(&str, i64)] = &[
    ("days(0)", 0),
    ("minutes(90)", 5_400_000),
    ("hours(1)", 3_600_000),
    ("days(1)", 86_400_000),
    ("days(2)", 172_800_000),
    ("days(1.5)", 129_600_000),
    ("weeks(1)", 604_800_000),
    ("-hours(1)", -3_600_000),
];

/// The instant of every evaluation.
pub(super) const NOW: &str = "2026-12-04T08:00:00Z";

/// The ids by which scripts and tasks speak of people and tasks.
pub(super) const IDS: &[&str] = &[
    "01940000-0000-7000-8000-000000000001",
    "01940000-0000-7000-8000-000000000002",
    "01940000-0000-7000-8000-000000000003",
];

/// What a rule may be evaluated for.
#[derive(Clone, Debug)]
pub struct World {
    /// The task, if the run is about one.
    pub task: Option<Task>,
    /// What started it.
    pub event: Event,
    /// The instant.
    pub now: Timestamp,
}

impl World {
    /// A random one.
    pub fn random(random: &mut Rng) -> Self {
        let now = NOW.parse().unwrap_or_default();
        let task = task(random, now);
        Self {
            event: event(random, &task, now),
            task: random.u8(..20).gt(&0).then_some(task),
            now,
        }
    }

    /// What a predicate is asked about.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            task: self.task.as_ref(),
            event: &self.event,
            now: self.now,
        }
    }

    /// What a script is evaluated for.
    pub fn inputs(&self) -> Inputs {
        let workspace_id = self.event.workspace_id;
        Inputs {
            now: self.now,
            run_id: RunId::derived(self.now, &[b"run"]),
            workspace: Arc::new(WorkspaceFacts {
                id: workspace_id,
                name: "Home".to_owned(),
                timezone: TimeZone::default(),
            }),
            rule: Arc::new(RuleFacts {
                id: RuleId::derived(self.now, &[b"rule"]),
                name: "Random".to_owned(),
                version: 1,
                owner_id: id(0),
            }),
            event: Arc::new(self.event.clone()),
            task: self.task.clone().map(Arc::new),
            users: Arc::new(users()),
            state: Arc::default(),
            journal: Arc::new(Journal::default()),
            answers: Arc::default(),
            spent: Duration::ZERO,
        }
    }
}

fn id(number: usize) -> UserId {
    IDS[number]
        .parse()
        .unwrap_or(UserId::derived(Timestamp::MAX, &[]))
}

fn users() -> HashMap<UserId, User> {
    let people = ["ann@example.com", "bob@example.com"].iter().enumerate();
    let people = people.filter_map(|(number, address)| {
        let user = User {
            id: id(number),
            name: (*address).to_owned(),
            email: address.parse().ok()?,
            timezone: TimeZone::default(),
            notify_by: NotifyBy::default(),
        };
        Some((user.id, user))
    });
    people.collect()
}

/// Now and then exactly as far from now as scripts say.
fn instant(random: &mut Rng, now: Timestamp) -> Timestamp {
    let (_, length) = LENGTHS[random.usize(..LENGTHS.len())];
    let sign = if random.bool() { 1 } else { -1 };
    let nearly = random.i64(-1..=1);
    match random.u8(..12) {
        0 => Timestamp::from_unix_millis(0),
        1 => Timestamp::MAX,
        2..=4 => now + Span::from_millis(random.i64(-1_000_000_000..=1_000_000_000)),
        _ => now + Span::from_millis(sign * length + nearly),
    }
}

fn user(random: &mut Rng) -> UserId {
    id(random.usize(..IDS.len()))
}

fn task(random: &mut Rng, now: Timestamp) -> Task {
    let status = Status::ALL[random.usize(..Status::ALL.len())];
    let tags = ["tls", "urgent", "z"].iter().filter(|_| random.bool());
    let tags = tags.map(|tag| (*tag).to_owned()).collect();
    Task {
        id: TaskId::derived(now, &[b"task"]),
        workspace_id: WorkspaceId::derived(now, &[b"workspace"]),
        project: random.bool().then(|| text(random)),
        title: text(random),
        description: text(random),
        status,
        priority: Priority::ALL[random.usize(..Priority::ALL.len())],
        creator_id: user(random),
        assignee_id: random.bool().then(|| user(random)),
        tags,
        due_at: (random.u8(..4) > 0).then(|| instant(random, now)),
        fields: object(random, 2),
        parent_id: random.bool().then(|| user(random).0.into()),
        version: random.i64(1..5),
        created_at: instant(random, now),
        updated_at: instant(random, now),
        status_changed_at: instant(random, now),
        completed_at: (!status.is_open()).then(|| instant(random, now)),
    }
}

fn text(random: &mut Rng) -> String {
    one(random, TEXTS).to_owned()
}

/// The texts that scripts and tasks have in common.
pub(super) const TEXTS: &[&str] = &["", "acme", "Acme", "web", "z", "é", "3", "done", "web site"];

/// The keys that scripts and JSON have in common.
pub(super) const KEYS: &[&str] = &["a", "b", "size", "len", "status", "task", "x y"];

fn object(random: &mut Rng, deep: usize) -> Map<String, Value> {
    let keys = KEYS.iter().filter(|_| random.bool());
    let keys: Vec<&str> = keys.copied().collect();
    let entries = keys
        .into_iter()
        .map(|key| (key.to_owned(), value(random, deep)));
    entries.collect()
}

fn value(random: &mut Rng, deep: usize) -> Value {
    match random.u8(..if deep == 0 { 8 } else { 12 }) {
        0 => Value::Null,
        1 => random.bool().into(),
        2 | 3 => random.i64(-3..5).into(),
        4 => {
            const FRACTIONS: &[f64] = &[
                0.0,
                3.0,
                2.5,
                0.1 + 0.2,
                3.000_000_000_000_000_4,
                f64::EPSILON,
                -0.5,
                1e300,
            ];
            json!(FRACTIONS[random.usize(..FRACTIONS.len())])
        }
        5..=7 => text(random).into(),
        8 => json!([value(random, deep - 1)]),
        _ => Value::Object(object(random, deep - 1)),
    }
}

/// The events that scripts and worlds have in common.
pub(super) const TYPES: &[&str] = &[
    "task.created",
    "task.updated",
    "task.overdue",
    "rule.scheduled",
    "ci.failed",
];

/// What events name as changed.
const CHANGES: &[&str] = &[
    "title",
    "status",
    "priority",
    "assignee_id",
    "tags",
    "due_at",
];

fn event(random: &mut Rng, task: &Task, now: Timestamp) -> Event {
    let kind: EventType = one(random, TYPES)
        .parse()
        .unwrap_or_else(|_| EventType::system("task.created"));
    let data = match kind.is_system() {
        true => EventData::System(Box::new(snapshot(random, task, now))),
        false => EventData::Custom(value(random, 3)),
    };
    Event {
        id: EventId::derived(now, &[b"event"]),
        workspace_id: task.workspace_id,
        kind,
        task_id: Some(task.id),
        time: now,
        traceparent: None,
        change: ChangeId::derived(now, &[b"change"]),
        depth: 0,
        actor_id: random.bool().then(|| user(random)),
        rule_id: None,
        data,
    }
}

fn snapshot(random: &mut Rng, task: &Task, now: Timestamp) -> Snapshot {
    let changes = CHANGES.iter().filter(|_| random.u8(..3) == 0);
    let changes = changes.map(|name| (*name).to_owned()).collect();
    Snapshot {
        task: random.bool().then(|| task.clone()),
        changes,
        previous: random.bool().then(|| self::task(random, now)),
        actor: None,
        more: {
            let mut more = object(random, 2);
            more.remove("task");
            more
        },
    }
}
