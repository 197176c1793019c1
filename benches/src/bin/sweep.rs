//! A sweep: a rule on a schedule, over many tasks of which few match.
//!
//! `cargo run --release -p smarttasks-benches --bin sweep [servers] [tasks]`: the product in this
//! process on a clock that is moved by hand, embedded or on private PostgreSQL, RabbitMQ and Redis. The
//! tasks are made by the database itself; 1,000 of them are newly overdue. Measured is the reading of
//! the rule's candidates beside the same query written by hand, the sweep that fires for the 1,000,
//! and those in which nothing is new.

use sea_orm::QueryResult;
use serde_json::json;
use smarttasks_benches::bulk::{Bulk, Tasks};
use smarttasks_benches::{Failure, Usage, millis, say};
use smarttasks_model::predicate::Predicate;
use smarttasks_model::{UserId, WorkspaceId};
use smarttasks_rules::{Language, Limits};
use smarttasks_store::candidates::{Reading, Stretch, plan};
use smarttasks_tests::harness::{Client, TestApp, seconds};
use smarttasks_tests::servers::Servers;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static HEAP: smarttasks_heap::Counting = smarttasks_heap::Counting;

/// How many tasks when nothing else is said.
const TASKS: u64 = 1_000_000;
/// How many of them are newly overdue.
const OVERDUE: u64 = 1_000;
/// Of nobody but these measurements.
const SECRET_KEY: &str = "c21hcnR0YXNrcyBiZW5jaCwgbm90IGEgc2VjcmV0ISE=";
/// How often a query is measured, and a sweep in which nothing is new.
const TIMES: usize = 21;
const SCRIPT: &str =
    "if task.is_open && task.due_at < now() { email(task.owner, `Late: ${task.title}`, \"\"); }";

fn main() -> Result<(), Failure> {
    let (mut servers, mut tasks) = (false, TASKS);
    for argument in std::env::args().skip(1) {
        match (argument.as_str(), argument.parse()) {
            ("servers", _) => servers = true,
            (_, Ok(number)) => tasks = number,
            _ => return Err(format!("{argument:?} is neither servers nor a number").into()),
        }
    }
    if !tasks.is_multiple_of(10 * OVERDUE) || tasks == 0 {
        return Err(format!("{tasks} is no multiple of {}", 10 * OVERDUE).into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(servers, tasks))
}

async fn measure(servers: bool, tasks: u64) -> Result<(), Failure> {
    // Stopped and removed when this name goes.
    let servers = match servers {
        true => Some(Servers::start_durable().await),
        false => None,
    };
    let (app, ann, bulk) = product(servers.as_ref(), tasks).await?;
    let memory = Usage::own()?.peak_memory;
    candidates(&app, &bulk).await?;
    let rule = json!({ "name": "late", "triggers": [{ "cron": "* * * * *" }], "script": SCRIPT });
    let made = ann.post("/api/v1/rules", rule).await;
    if made.status != 201 {
        return Err(format!("the rule is refused: {}", made.body).into());
    }
    app.settle().await;
    fire(&app, &bulk).await?;
    idle(&app).await?;
    let peak = Usage::own()?.peak_memory;
    say(&format!(
        "memory of this process at most: {} MB, {} MB of it before\n",
        peak / 1_000_000,
        memory / 1_000_000
    ))
}

/// The product with its tasks, somebody whose they are, and a connection to its database.
async fn product(
    servers: Option<&Servers>,
    count: u64,
) -> Result<(TestApp, Client, Bulk), Failure> {
    let mut settings = vec![("rules.workspace_budget", "off")];
    if let Some(servers) = servers {
        settings.extend([
            ("database_url", servers.database_url.as_str()),
            ("amqp_url", &servers.amqp_url),
            ("redis_url", &servers.redis_url),
            ("secret_key", SECRET_KEY),
        ]);
    }
    let mut app = TestApp::start_with(&settings).await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    app.settle().await;
    app.stop().await;
    let url = app.database_url().replace("?mode=ro", "?mode=rw");
    let bulk = Bulk::open(&url).await?;
    let tasks = Tasks {
        workspace: workspace(&bulk).await?,
        owner: UserId(ann.id().parse()?),
        count,
        overdue: OVERDUE,
        now: app.clock.now(),
    };
    let started = Instant::now();
    bulk.make_tasks(&tasks).await?;
    say(&format!(
        "{count} tasks made in {:.1} s\n",
        started.elapsed().as_secs_f64()
    ))?;
    app.restart().await;
    let ann = app.log_in("ann@example.com").await;
    Ok((app, ann, bulk))
}

/// The only one.
async fn workspace(bulk: &Bulk) -> Result<WorkspaceId, Failure> {
    let rows = bulk.rows("SELECT id FROM workspaces").await?;
    let row = rows.first().ok_or("there is no workspace")?;
    Ok(WorkspaceId(row.try_get_by_index(0)?))
}

/// The candidates of the rule, all at once and by pages, and the same written by hand.
async fn candidates(app: &TestApp, bulk: &Bulk) -> Result<(), Failure> {
    let (workspace, now) = (workspace(bulk).await?, app.clock.now());
    let predicate = predicate()?;
    let plan = plan(app.db(), workspace, &predicate, now).await?;
    for step in &plan.steps {
        say(&format!("\ncandidates: {}\n{}\n", step.sql, step.detail))?;
    }
    let by_hand = format!(
        "SELECT * FROM tasks WHERE workspace_id = {} AND due_at < {} \
         AND status IN ('todo', 'in_progress', 'blocked')",
        bulk.id(workspace.0),
        now.unix_millis()
    );
    let reading = Reading::of(&predicate, workspace, now);
    let page = |limit| reading.page(app.db(), Stretch::default(), limit);
    let (mut written, mut ours, mut pages) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let found: (Vec<QueryResult>, _) = timed(bulk.rows(&by_hand)).await?;
        written.push(found.1);
        let (all, took) = timed(page(OVERDUE * 10)).await?;
        ours.push(took);
        pages.push(timed(page(500)).await?.1);
        if all.len() != found.0.len() {
            return Err(format!("{} candidates, not {}", all.len(), found.0.len()).into());
        }
    }
    say(&format!(
        "\nby hand, {OVERDUE} rows: {} ms; the same as candidates: {} ms; a page of 500: {} ms (medians of \
         {TIMES})\n",
        median(written),
        median(ours),
        median(pages)
    ))
}

fn predicate() -> Result<Arc<Predicate>, Failure> {
    let language = Language::new(Limits::default());
    let program = language.compile(SCRIPT);
    let program = program.map_err(|found| format!("{found:?}"))?;
    Ok(Arc::clone(program.predicate()))
}

async fn timed<T, E: Into<Failure>>(
    what: impl Future<Output = Result<T, E>>,
) -> Result<(T, Duration), Failure> {
    let started = Instant::now();
    let found = what.await.map_err(Into::into)?;
    Ok((found, started.elapsed()))
}

fn median(mut all: Vec<Duration>) -> String {
    all.sort_unstable();
    millis(all.get(all.len() / 2).copied().unwrap_or_default())
}

/// The sweep in which all of the overdue are new: until the last of their runs is committed, and with
/// it what it changes and sends.
async fn fire(app: &TestApp, bulk: &Bulk) -> Result<(), Failure> {
    let before = Usage::own()?.cpu;
    let started = Instant::now();
    app.clock.advance(seconds(60));
    let fired = async || {
        let runs = bulk.number("SELECT count(*) FROM runs").await;
        runs.is_ok_and(|runs| runs.unsigned_abs() >= OVERDUE)
    };
    app.until(fired).await;
    let took = started.elapsed();
    let cpu = Usage::own()?.cpu - before;
    app.settle().await;
    let (runs, matches) = (
        bulk.number("SELECT count(*) FROM runs").await?,
        bulk.number("SELECT count(*) FROM matches").await?,
    );
    say(&format!(
        "{OVERDUE} new matches fired and committed: {} ms, {} ms of processor time ({runs} runs, {matches} \
         matches); their mails sent after {} ms\n",
        millis(took),
        millis(cpu),
        millis(started.elapsed())
    ))
}

/// Sweeps in which nothing is new: until no message and no timer is left.
async fn idle(app: &TestApp) -> Result<(), Failure> {
    let before = Usage::own()?.cpu;
    let mut all = Vec::new();
    for _ in 0..TIMES {
        let started = Instant::now();
        app.pass(seconds(60)).await;
        all.push(started.elapsed());
    }
    let cpu = (Usage::own()?.cpu - before) / u32::try_from(TIMES)?;
    say(&format!(
        "a sweep in which nothing is new: {} ms (median of {TIMES}), {} ms of processor time\n",
        median(all),
        millis(cpu)
    ))
}
