//! What sweeps do, however they find their tasks, is what rules do that are asked about every task.
//!
//! Tasks, rules, edits and times are random. The reference is told of each rule what its script says,
//! in Rust, and asks it of every task at every occurrence. A failure says the seed;
//! `SMARTTASKS_SWEEP_SEED` repeats it, and `SMARTTASKS_SWEEP_STEPS` sets how many steps are taken.

use super::{ann_alone, path};
use crate::backend::Backend;
use crate::faults::say;
use crate::harness::{Client, TestApp};
use fastrand::Rng;
use serde_json::{Value, json};
use smarttasks_model::{
    Priority, Repeat, RuleId, Span, Status, SweepPurpose, Task, TaskId, Timestamp,
};
use smarttasks_store::matches::{self, Change, Match, Pair, Policy, decide};
use smarttasks_store::tasks;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Steps of a run; on servers each takes longer.
const STEPS: u64 = 400;
const STEPS_ON_SERVERS: u64 = 150;
const MOST_TASKS: usize = 40;
const MOST_RULES: usize = 8;
const MINUTE: i64 = 60_000;

/// A condition, as a script and in Rust.
struct Guard {
    script: &'static str,
    holds: fn(&Task, Timestamp) -> bool,
}

fn minutes(of: i64) -> Span {
    Span::from_millis(of * MINUTE)
}

fn is_before(at: Option<Timestamp>, other: Timestamp) -> bool {
    at.is_some_and(|at| at < other)
}

const GUARDS: &[Guard] = &[
    Guard {
        script: "task.is_overdue",
        holds: |task, now| task.is_overdue(now),
    },
    Guard {
        script: "task.is_open && task.due_at < now() + minutes(20)",
        holds: |task, now| task.status.is_open() && is_before(task.due_at, now + minutes(20)),
    },
    Guard {
        script: "task.due_at > now() && task.due_at <= now() + minutes(15)",
        holds: |task, now| {
            let ahead = |due: Timestamp| due > now && due <= now + minutes(15);
            task.due_at.is_some_and(ahead)
        },
    },
    Guard {
        script: "task.status == \"blocked\" && task.time_in_status >= minutes(7)",
        holds: |task, now| {
            task.status == Status::Blocked && task.status_changed_at <= now + minutes(-7)
        },
    },
    Guard {
        script: "task.time_in_status < minutes(5) || task.priority == URGENT",
        holds: |task, now| {
            task.status_changed_at > now + minutes(-5) || task.priority == Priority::Urgent
        },
    },
    Guard {
        script: "event.type == \"rule.scheduled\" && task.is_overdue || changed(\"title\")",
        holds: |task, now| task.is_overdue(now),
    },
    Guard {
        script: "task.is_open && task.age > minutes(12)",
        holds: |task, now| task.status.is_open() && task.created_at < now + minutes(-12),
    },
    Guard {
        script: "task.updated_at < now() - minutes(9)",
        holds: |task, now| task.updated_at < now + minutes(-9),
    },
    Guard {
        script: "\"late\" in task.tags || task.fields.n > 3",
        holds: |task, _| {
            let many = task.fields.get("n").and_then(Value::as_i64);
            task.tags.iter().any(|tag| tag == "late") || many.is_some_and(|many| many > 3)
        },
    },
    Guard {
        script: "task.status != \"done\" && !(task.title == \"a\" && task.due_at >= now())",
        holds: |task, now| {
            let ahead = task.due_at.is_some_and(|due| due >= now);
            task.status != Status::Done && !(task.title == "a" && ahead)
        },
    },
    Guard {
        script: "task.age > minutes(12) && task.is_open",
        holds: |task, now| task.created_at < now + minutes(-12) && task.status.is_open(),
    },
    Guard {
        script: "task.completed_at < now() - minutes(4)",
        holds: |task, now| is_before(task.completed_at, now + minutes(-4)),
    },
    Guard {
        script: "task.priority >= HIGH && now().minute >= 30",
        holds: |task, now| task.priority >= Priority::High && now.unix_millis() / MINUTE % 60 >= 30,
    },
    Guard {
        script: "even(task.version)",
        holds: |task, _| task.version % 2 == 0,
    },
    Guard {
        script: "true",
        holds: |_, _| true,
    },
];

/// A rule, as the reference knows it.
struct Rule {
    body: Value,
    guard: usize,
    policy: Policy,
    /// In minutes.
    every: i64,
    enabled: bool,
    next: Timestamp,
    fired: i64,
}

impl Rule {
    fn next_after(&self, at: Timestamp) -> Timestamp {
        let every = self.every * MINUTE;
        Timestamp::from_unix_millis((at.unix_millis() / every + 1) * every)
    }

    fn holds(&self, task: &Task, now: Timestamp) -> bool {
        (GUARDS[self.guard].holds)(task, now)
    }
}

struct World {
    app: TestApp,
    ann: Client,
    random: Rng,
    tasks: Vec<TaskId>,
    gone: Vec<TaskId>,
    rules: BTreeMap<RuleId, Rule>,
    matches: HashMap<Pair, Match>,
    /// How far the clock has been.
    latest: Timestamp,
    /// Looks that made a rule fire, and rows that ended.
    fired: u64,
    ended: u64,
    /// What was done, for whoever looks for what went wrong.
    done: Vec<String>,
}

fn pick<T: Clone>(random: &mut Rng, of: &[T]) -> T {
    of[random.usize(..of.len())].clone()
}

fn script(guard: usize) -> String {
    format!(
        "fn even(n) {{ n % 2 == 0 }} if {} {{ emit(\"acme.swept\", #{{}}); }}",
        GUARDS[guard].script
    )
}

impl World {
    async fn new(seed: u64) -> Self {
        let (app, ann) = ann_alone().await;
        Self {
            latest: app.clock.now(),
            app,
            ann,
            random: Rng::with_seed(seed),
            tasks: Vec::new(),
            gone: Vec::new(),
            rules: BTreeMap::new(),
            matches: HashMap::new(),
            fired: 0,
            ended: 0,
            done: Vec::new(),
        }
    }

    fn fields(&mut self) -> Value {
        let now = self.app.clock.now();
        let random = &mut self.random;
        let mut fields = json!({});
        let all = ["title", "status", "priority", "due_at", "tags", "fields"];
        for _ in 0..random.usize(1..4) {
            let name = pick(random, &all);
            fields[name] = match name {
                "title" => json!(pick(random, &["a", "b"])),
                "status" => {
                    let status = pick(random, Status::ALL);
                    json!(status)
                }
                "priority" => json!(pick(random, &["low", "high", "urgent"])),
                "due_at" if random.u8(..4) == 0 => Value::Null,
                "due_at" => {
                    let near = random.i64(-3..40) * MINUTE + pick(random, &[0, 0, 1, -1, 31_000]);
                    json!(now + Span::from_millis(near))
                }
                "tags" => json!(pick(random, &[vec![], vec!["late"], vec!["x"]])),
                _ => json!({ "n": random.i64(0..7) }),
            };
        }
        fields
    }

    async fn create_task(&mut self) {
        let mut fields = self.fields();
        if fields.get("title").is_none() {
            fields["title"] = json!("c");
        }
        let task = self.ann.create_task(fields).await;
        self.tasks
            .push(task["id"].as_str().unwrap().parse().unwrap());
    }

    async fn edit_task(&mut self) {
        let id = pick(&mut self.random, &self.tasks);
        let fields = self.fields();
        self.note(format!("{id} is edited: {fields}"));
        let edited = self.ann.patch(&format!("/api/v1/tasks/{id}"), fields).await;
        assert_eq!(edited.status, 200, "{}", edited.body);
    }

    async fn delete_task(&mut self) {
        let at = self.random.usize(..self.tasks.len());
        let id = self.tasks.remove(at);
        let deleted = self.ann.delete(&format!("/api/v1/tasks/{id}")).await;
        assert_eq!(deleted.status, 204);
        self.gone.push(id);
        self.matches.retain(|(_, task), _| *task != id);
    }

    fn policy(&mut self) -> (Value, Value, Policy) {
        let repeat = pick(&mut self.random, &["once", "once", "always", "3m", "10m"]);
        let hold = pick(&mut self.random, &[None, None, Some("2m"), Some("6m")]);
        let policy = Policy {
            repeat: serde_json::from_value::<Repeat>(json!(repeat)).unwrap(),
            hold: hold.map(|hold| hold.parse().unwrap()),
        };
        (json!(repeat), json!(hold), policy)
    }

    async fn create_rule(&mut self) {
        let guard = self.random.usize(..GUARDS.len());
        let every = pick(&mut self.random, &[1, 1, 1, 5]);
        let (repeat, hold, policy) = self.policy();
        let quietly = self.random.u8(..4) == 0;
        let body = json!({
            "name": format!("rule {}", self.random.u64(..)),
            "triggers": [{ "cron": format!("*/{every} * * * *") }],
            "script": script(guard), "repeat": repeat, "hold": hold,
            "apply_to_existing": !quietly,
        });
        let made = self.ann.post("/api/v1/rules", body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let id = made.body["id"].as_str().unwrap().parse().unwrap();
        let now = self.app.clock.now();
        let mut rule = Rule {
            body: made.body,
            guard,
            policy,
            every,
            enabled: true,
            next: now,
            fired: 0,
        };
        rule.next = rule.next_after(now);
        self.rules.insert(id, rule);
        self.after_save(id, quietly).await;
    }

    async fn edit_rule(&mut self) {
        let ids: Vec<RuleId> = self.rules.keys().copied().collect();
        let id = pick(&mut self.random, &ids);
        let (repeat, hold, policy) = self.policy();
        let guard = self.random.usize(..GUARDS.len());
        let now = self.app.clock.now();
        let mut changes = json!({});
        let rule = self.rules.get_mut(&id).unwrap();
        if self.random.bool() {
            changes["repeat"] = repeat;
            changes["hold"] = hold;
            rule.policy = policy;
        }
        if self.random.u8(..3) == 0 {
            changes["script"] = json!(script(guard));
            rule.guard = guard;
        }
        if self.random.u8(..3) == 0 {
            rule.enabled = !rule.enabled;
            changes["enabled"] = json!(rule.enabled);
            rule.next = rule.next_after(now);
        }
        let quietly = self.random.u8(..4) == 0;
        changes["apply_to_existing"] = json!(!quietly);
        let done = format!("{} is saved: {changes}", rule.body["id"]);
        let saved = self.ann.patch(&path("rules", &rule.body), changes).await;
        assert_eq!(saved.status, 200, "{}", saved.body);
        self.note(done);
        self.after_save(id, quietly).await;
    }

    async fn after_save(&mut self, id: RuleId, quietly: bool) {
        self.app.settle().await;
        if quietly && self.rules[&id].enabled {
            let now = self.app.clock.now();
            self.look(id, now, SweepPurpose::Note).await;
        }
    }

    async fn delete_rule(&mut self) {
        let ids: Vec<RuleId> = self.rules.keys().copied().collect();
        let id = pick(&mut self.random, &ids);
        let rule = self.rules.remove(&id).unwrap();
        let deleted = self.ann.delete(&path("rules", &rule.body)).await;
        assert_eq!(deleted.status, 204);
        self.matches.retain(|(rule, _), _| *rule != id);
    }

    /// Time passes, and the sweeps that are due then.
    async fn pass(&mut self) {
        let millis = match self.random.u8(..12) {
            0 => self.random.i64(1..50_000),
            1 => self.random.i64(2..40) * MINUTE,
            2 => 3 * 60 * MINUTE + self.random.i64(0..MINUTE),
            3 | 4 => MINUTE + self.random.i64(-30_000..30_000),
            _ => MINUTE,
        };
        self.app
            .pass(Duration::from_millis(millis.unsigned_abs()))
            .await;
        self.note("time passes".to_owned());
        let now = self.app.clock.now();
        self.latest = self.latest.max(now);
        let ids: Vec<RuleId> = self.rules.keys().copied().collect();
        for id in ids {
            let rule = self.rules.get_mut(&id).unwrap();
            if !rule.enabled || rule.next > now {
                continue;
            }
            rule.next = rule.next_after(now);
            let at = rule.next + minutes(-rule.every);
            self.note(format!("{id} is swept for {at}"));
            self.look(id, at, SweepPurpose::Fire).await;
        }
    }

    /// The clock goes back a little.
    fn go_back(&mut self) {
        // Never by a minute in all: so far back a sweep looks for what was written, and no further.
        let by = Duration::from_millis(self.random.u64(1..50_000));
        let least = self.latest - Duration::from_secs(50);
        self.app.clock.set((self.app.clock.now() - by).max(least));
        self.note("the clock goes back".to_owned());
    }

    /// The reference asks a rule about every task.
    async fn look(&mut self, id: RuleId, at: Timestamp, purpose: SweepPurpose) {
        let now = self.app.clock.now();
        let rule = self.rules.get_mut(&id).unwrap();
        let ids = self.tasks.iter().copied();
        for (task_id, task) in tasks::by_ids(self.app.db(), ids).await.unwrap() {
            let pair = (id, task_id);
            let holds = rule.holds(&task, now);
            let before = self.matches.get(&pair);
            match decide(before, holds, at, rule.policy, purpose) {
                Change::Stay => {}
                Change::Begin(found) | Change::Await(found) => {
                    self.matches.insert(pair, found);
                }
                Change::Fire(found) => {
                    self.matches.insert(pair, found);
                    rule.fired += 1;
                    self.fired += 1;
                }
                Change::End { .. } => {
                    self.matches.remove(&pair);
                    self.ended += 1;
                }
            }
        }
    }

    async fn step(&mut self) {
        let (tasks, rules) = (self.tasks.len(), self.rules.len());
        match self.random.u8(..20) {
            0..=2 if tasks < MOST_TASKS => self.create_task().await,
            3..=7 if tasks > 0 => self.edit_task().await,
            8 if tasks > 5 => self.delete_task().await,
            9 if rules < MOST_RULES => self.create_rule().await,
            // For a rule that is saved while the clock is back, occurrences come again.
            10 if rules > 0 && self.app.clock.now() >= self.latest => self.edit_rule().await,
            11 if rules > 3 && self.random.bool() => self.delete_rule().await,
            12 => self.go_back(),
            _ => self.pass().await,
        }
    }

    /// What the database knows is what the reference knows.
    async fn check(&self) {
        let rules: Vec<RuleId> = self.rules.keys().copied().collect();
        let tasks: Vec<TaskId> = self.tasks.iter().chain(&self.gone).copied().collect();
        let found = matches::of(self.app.db(), &rules, &tasks).await.unwrap();
        for (pair, expected) in &self.matches {
            assert_eq!(found.get(pair), Some(expected), "{}", self.told(*pair));
        }
        for pair in found.keys() {
            assert!(self.matches.contains_key(pair), "{}", self.told(*pair));
        }
    }

    fn note(&mut self, done: String) {
        self.done.push(format!("{}: {done}", self.app.clock.now()));
    }

    fn told(&self, (rule, task): Pair) -> String {
        let of = &self.rules[&rule];
        let (script, policy) = (GUARDS[of.guard].script, of.policy);
        let (rule_id, task_id) = (rule.to_string(), task.to_string());
        let other = |done: &&String| {
            let of_this = done.contains(&rule_id) || done.contains(&task_id);
            of_this || done.ends_with("passes") || done.ends_with("back")
        };
        let last: Vec<&String> = self.done.iter().rev().filter(other).take(20).collect();
        format!("`{script}` {policy:?} of {rule} and {task}, last {last:#?}")
    }

    async fn check_firings(&self) {
        for rule in self.rules.values() {
            let found = self.ann.get(&path("rules", &rule.body)).await.body;
            let told = GUARDS[rule.guard].script;
            assert_eq!(found["stats"]["matches"], rule.fired, "`{told}`");
            assert_eq!(found["stats"]["failures"], 0, "`{told}`");
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not `{value}`")),
    )
}

#[tokio::test]
async fn a_sweep_does_what_looking_at_every_task_would_do() {
    let seed = variable("SMARTTASKS_SWEEP_SEED").unwrap_or_else(|| fastrand::u64(..));
    say(&format!("SMARTTASKS_SWEEP_SEED={seed}"));
    let steps = variable("SMARTTASKS_SWEEP_STEPS").unwrap_or(match Backend::chosen() {
        Backend::Embedded => STEPS,
        Backend::Servers => STEPS_ON_SERVERS,
    });
    let mut world = World::new(seed).await;
    for _ in 0..10 {
        world.create_task().await;
    }
    for _ in 0..4 {
        world.create_rule().await;
    }
    for step in 0..steps {
        world.step().await;
        world.check().await;
        if step % 20 == 0 {
            world.check_firings().await;
        }
    }
    world.check_firings().await;
    say(&format!("{} fired, {} ended", world.fired, world.ended));
    // How many of each is a matter of the seed.
    assert!(world.fired + world.ended > 0, "nothing was shown");
}
