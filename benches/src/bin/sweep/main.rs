//! A sweep: many rules on one schedule, looked at for many tasks.
//!
//! `cargo run --release -p smarttasks-benches --bin sweep [tasks] [rules]` builds the product's
//! binary, starts it embedded on a fresh data directory, makes the tasks over HTTP, stores rules that
//! run every minute, and reads from the product's own metrics what each sweep takes: the first, in
//! which one task in a thousand matches each rule, and one in which nothing is new.

use serde_json::{Value, json};
use smarttasks_benches::{Failure, Usage, build};
use smarttasks_tests::process::{Connection, Installation, Process, binary};
use smarttasks_tests::receivers::Mails;
use std::io::Write;
use std::time::{Duration, Instant};

/// How many when nothing else is said.
const TASKS: u64 = 100_000;
const RULES: u64 = 50;
/// One task in so many matches.
const MATCHES: u64 = 1_000;
/// Clients that make tasks at the same time.
const CLIENTS: u64 = 16;
/// Between two looks at the metrics.
const LOOK: Duration = Duration::from_millis(20);
/// A sweep that takes longer will never end.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise| match arguments.next() {
        None => Ok(otherwise),
        Some(text) => text.parse().map_err(|_| format!("{text:?} is no number")),
    };
    let (tasks, rules) = (number(TASKS)?, number(RULES)?);
    build()?;
    binary()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(measure(tasks, rules))?;
    std::io::stdout().write_all(report.as_bytes())?;
    Ok(())
}

async fn measure(tasks: u64, rules: u64) -> Result<String, Failure> {
    let mails = Mails::start().await;
    // Its directory lives as long as this name does.
    let installation = Installation::new(&mails).with("SMARTTASKS_RULES__WORKSPACE_BUDGET", "off");
    let product = installation.start().await;
    let token = product.register("ann").await;
    let mut ann = product.connect(&token).await;
    for rule in ann.list("/api/v1/rules").await {
        let path = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap_or_default());
        ann.patch(&path, &json!({ "enabled": false })).await;
    }
    make_tasks(&product, &token, tasks).await?;
    for number in 0..rules {
        ann.create("/api/v1/rules", &rule(number)).await;
    }
    let before = Usage::of(product.id())?;
    let first = sweep(&product, tasks * rules).await?;
    let idle = sweep(&product, tasks * rules).await?;
    let fired = tasks.div_ceil(MATCHES) * rules;
    Ok(format!(
        "Embedded, {tasks} tasks, {rules} rules on the same schedule\n\
         memory before the first sweep, at most: {} MB\n\
         first sweep, {fired} matches fired: {first}\n\
         second sweep, nothing new: {idle}\n",
        before.peak_memory / 1_000_000,
    ))
}

fn rule(number: u64) -> Value {
    let script = format!(
        "if task.is_open && task.priority == URGENT && task.project == \"website\" && task.age > seconds({number}) \
         {{ log(\"late\"); emit(\"bench.late\", #{{ task: task.id }}); }}"
    );
    json!({
        "name": format!("rule {number}"),
        "triggers": [{ "cron": "* * * * *" }],
        "script": script,
    })
}

async fn make_tasks(product: &Process, token: &str, tasks: u64) -> Result<(), Failure> {
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let mut connection = product.connect(token).await;
        clients.spawn(async move {
            for number in (client..tasks).step_by(usize::try_from(CLIENTS).unwrap_or(1)) {
                let priority = if number % MATCHES == 0 {
                    "urgent"
                } else {
                    "normal"
                };
                let task = json!({ "title": format!("Task {number}"), "project": "website",
                    "description": "Renew the certificate of the shop.", "priority": priority });
                let made = connection.post("/api/v1/tasks", &task).await;
                if made.status == 503 {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client?;
    }
    Ok(())
}

/// What a sweep took.
struct Swept {
    took: Duration,
    cpu: Duration,
    peak_memory: u64,
    rows: u64,
    evaluations: u64,
}

impl std::fmt::Display for Swept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = self.cpu.as_secs_f64() * 1e6 / self.evaluations.max(1) as f64;
        write!(
            f,
            "{:.1} s, {:.1} s of processor time ({each:.2} µs an evaluation), {} evaluations, {} rows of tasks \
             read, {} MB of memory at most",
            self.took.as_secs_f64(),
            self.cpu.as_secs_f64(),
            self.evaluations,
            self.rows,
            self.peak_memory / 1_000_000,
        )
    }
}

/// Waits for the next sweep to begin and to end.
async fn sweep(product: &Process, evaluations: u64) -> Result<Swept, Failure> {
    let mut metrics = product.connect("").await;
    let before = looked(&mut metrics).await;
    let begun = loop {
        let usage = Usage::of(product.id())?;
        let at = Instant::now();
        if looked(&mut metrics).await.1 > before.1 {
            break (at, usage);
        }
        tokio::time::sleep(LOOK).await;
    };
    loop {
        let now = looked(&mut metrics).await;
        if now.1 - before.1 >= evaluations {
            let usage = Usage::of(product.id())?;
            return Ok(Swept {
                took: begun.0.elapsed(),
                cpu: usage.cpu.saturating_sub(begun.1.cpu),
                peak_memory: usage.peak_memory,
                rows: now.0 - before.0,
                evaluations: now.1 - before.1,
            });
        }
        if begun.0.elapsed() > PATIENCE {
            return Err(format!("after {PATIENCE:?}: {} evaluations", now.1 - before.1).into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Rows of tasks that sweeps have read, and evaluations, so far.
async fn looked(metrics: &mut Connection) -> (u64, u64) {
    let answer = metrics.get("/metrics").await;
    let text = answer.body.as_str().unwrap_or_default().to_owned();
    let sum = |name: &str| {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum::<f64>() as u64
    };
    (
        sum("smarttasks_sweep_tasks_total"),
        sum("smarttasks_rule_evaluations_total"),
    )
}
