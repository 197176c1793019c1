//! Many workspaces with many rules: what they cost in memory, and an event in time.
//!
//! `cargo run --release -p smarttasks-benches --bin workspaces [workspaces] [rules of each]`: the product
//! in this process, embedded, with rules made by the database itself, no two alike. One event is raised
//! in every workspace: at first, when its rules have to be read and compiled; again, concerning no rule;
//! and again, concerning one, which emits a further event.

use serde_json::json;
use smarttasks_benches::bulk::Bulk;
use smarttasks_benches::rules::event;
use smarttasks_benches::{Failure, FamilyUsage, Usage, say};
use smarttasks_model::{ChangeId, Event, EventId, TaskId, WorkspaceId};
use smarttasks_tests::harness::{Client, TestApp};
use std::time::{Duration, Instant};

#[global_allocator]
static HEAP: smarttasks_heap::Counting = smarttasks_heap::Counting;

/// How many when nothing else is said.
const WORKSPACES: u64 = 10_000;
const RULES: u64 = 100;
/// Events that are raised before the next are.
const TOGETHER: usize = 200;
/// For each rule another project.
const SCRIPT: &str = "if task.status != \"done\" && task.priority >= LOW && task.project == \"proj-0\" \
                      && task.due_at < now() { emit(\"bench.found\", #{ task: task.id }); }";

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise| match arguments.next() {
        None => Ok(otherwise),
        Some(text) => text.parse().map_err(|_| format!("{text:?} is no number")),
    };
    let (workspaces, rules) = (number(WORKSPACES)?, number(RULES)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(workspaces, rules))
}

async fn measure(workspaces: u64, rules: u64) -> Result<(), Failure> {
    let (app, ids) = product(workspaces, rules).await?;
    let started = memory()?;
    say(&format!(
        "{workspaces} workspaces of {rules} rules; {} MB of memory before the first event\n",
        started / 1_000_000
    ))?;
    let nowhere = |_| "none".to_owned();
    let first = |workspace: u64| format!("proj-{}", workspace * rules + 1);
    let rounds: [(&str, &dyn Fn(u64) -> String); 5] = [
        ("first, concerning no rule", &nowhere),
        ("concerning no rule", &nowhere),
        ("concerning no rule", &nowhere),
        ("concerning one rule, first", &first),
        ("concerning one rule", &first),
    ];
    for (name, project) in rounds {
        let round = round(&app, &ids, project).await?;
        let held = memory()?;
        say(&format!(
            "an event {name}: {:.1} µs of processor time, {:.1} µs passed, {} µs of it until all were raised; {} MB \
             of memory, {} bytes for each rule\n",
            micros(round.cpu, ids.len()),
            micros(round.took, ids.len()),
            micros(round.raising, ids.len()).round(),
            held / 1_000_000,
            held.saturating_sub(started) / (workspaces * rules).max(1),
        ))?;
    }
    Ok(())
}

fn micros(time: Duration, events: usize) -> f64 {
    time.as_secs_f64() * 1e6 / events.max(1) as f64
}

/// What this process has now, in bytes.
fn memory() -> Result<u64, Failure> {
    Ok(FamilyUsage::of(std::process::id())?.memory)
}

/// The product, and its workspaces in the order of their rules.
async fn product(workspaces: u64, rules: u64) -> Result<(TestApp, Vec<WorkspaceId>), Failure> {
    let mut app = TestApp::start_with(&[("rules.workspace_budget", "off")]).await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    template(&ann).await?;
    app.settle().await;
    app.stop().await;
    let bulk = Bulk::open(&app.database_url().replace("?mode=ro", "?mode=rw")).await?;
    let ids = bulk.make_rules(workspaces, rules, app.clock.now()).await?;
    drop(bulk);
    app.restart().await;
    app.settle().await;
    Ok((app, ids))
}

async fn template(ann: &Client) -> Result<(), Failure> {
    let rule =
        json!({ "name": "template", "triggers": [{ "event": "task.updated" }], "script": SCRIPT });
    let made = ann.post("/api/v1/rules", rule).await;
    match made.status.as_u16() {
        201 => Ok(()),
        _ => Err(format!("the rule is refused: {}", made.body).into()),
    }
}

/// What it took to raise one event in each workspace, and to do what follows.
struct Round {
    cpu: Duration,
    took: Duration,
    raising: Duration,
}

async fn round(
    app: &TestApp,
    workspaces: &[WorkspaceId],
    project: &dyn Fn(u64) -> String,
) -> Result<Round, Failure> {
    let now = app.clock.now();
    let mut events = Vec::with_capacity(workspaces.len());
    for (number, workspace) in (0..).zip(workspaces) {
        let mut event: Event = serde_json::from_str(&event(&project(number), now)?)?;
        event.id = EventId::new(now);
        event.change = ChangeId::new(now);
        event.task_id = Some(TaskId::new(now));
        event.workspace_id = *workspace;
        events.push(event);
    }
    let (before, started) = (cpu()?, Instant::now());
    let mut raising = Duration::ZERO;
    for part in events.chunks(TOGETHER) {
        let (part, begun) = (part.to_vec(), Instant::now());
        let raised = app.db().write(move |tx| {
            let part = part.clone();
            Box::pin(async move { part.into_iter().try_for_each(|event| tx.raise(event)) })
        });
        raised.await?;
        raising += begun.elapsed();
        app.settle().await;
    }
    Ok(Round {
        cpu: cpu()? - before,
        took: started.elapsed(),
        raising,
    })
}

fn cpu() -> Result<Duration, Failure> {
    Ok(Usage::own()?.cpu)
}
