//! The road: a request in, a scripted condition, a webhook out; and the leg without a rule.
//!
//! `cargo run --release -p smarttasks-benches --bin road [seconds]` builds the product's binary,
//! starts it on a fresh data directory, loads it over HTTP, and counts what its receiver gets. Client, receiver
//! and product share the machine; client and receiver are one thread, to leave it the rest.

mod load;
mod report;

use load::{Failure, Kind, Load};
use report::{Leg, Report};
use serde_json::json;
use smarttasks_benches::{Usage, syncs_per_second};
use smarttasks_tests::process::{Installation, Process, binary};
use smarttasks_tests::receivers::{Mails, Webhooks};
use std::io::Write;
use std::process::Command;
use std::time::Duration;

/// How long each phase is loaded when nothing else is said.
const SECONDS: u64 = 10;
/// The load at which latency is measured, in events a second.
const CALM: f64 = 50.0;
/// The part of the most that it sustains, at which latency is measured again.
const BUSY: f64 = 0.8;

fn main() -> Result<(), Failure> {
    let seconds = match std::env::args().nth(1) {
        None => SECONDS,
        Some(text) => text
            .parse()
            .map_err(|_| format!("{text:?} is no number of seconds"))?,
    };
    build()?;
    binary()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(measure(Duration::from_secs(seconds)))?;
    std::io::stdout().write_all(report.to_string().as_bytes())?;
    Ok(())
}

/// Brings the product's binary up to date, built as its users build it.
fn build() -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        return Err("figures of a debug build mean nothing: run it with --release".into());
    }
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "smarttasks"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()?;
    match built.success() {
        true => Ok(()),
        false => Err("the product does not build".into()),
    }
}

async fn measure(length: Duration) -> Result<Report, Failure> {
    let mails = Mails::start().await;
    let installation = Installation::new(&mails);
    let first_start = start(&installation).await;
    first_start.0.stop().await;
    let (process, later_start) = start(&installation).await;
    let webhooks = Webhooks::start().await;
    let token = set_up(&process, &webhooks).await;
    let load = Load {
        address: process.address(),
        token,
        inbox: webhooks.inbox.clone(),
    };
    // Caches, pools and pages: what is measured is a process that has been up for a while.
    load.closed(Kind::Task, Duration::from_secs(2)).await?;
    Ok(Report {
        first_start: first_start.1,
        later_start,
        syncs: syncs_per_second(&installation.data())?,
        road: leg(&load, &process, Kind::Task, length).await?,
        delivery: leg(&load, &process, Kind::Event, length).await?,
        peak_memory: Usage::of(process.id())?.peak_memory,
    })
}

/// A process, and how long after its start it gave its first answer.
async fn start(installation: &Installation) -> (Process, Duration) {
    let process = installation.start().await;
    process.ready().await;
    let took = process.started.elapsed();
    (process, took)
}

/// Someone with the rule to measure and without the starter rules; returns their token.
async fn set_up(process: &Process, webhooks: &Webhooks) -> String {
    let token = process.register("ann").await;
    let mut ann = process.connect(&token).await;
    for rule in ann.list("/api/v1/rules").await {
        let path = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap_or_default());
        ann.patch(&path, &json!({ "enabled": false })).await;
    }
    let sink = json!({ "name": "sink", "url": webhooks.url("/rule") });
    ann.create("/api/v1/endpoints", &sink).await;
    let subscribed = json!({
        "name": "subscribed",
        "url": webhooks.url("/event"),
        "event_types": ["bench.*"],
    });
    ann.create("/api/v1/endpoints", &subscribed).await;
    let rule = json!({
        "name": "High",
        "triggers": [{ "event": "task.created" }],
        "script": r#"if task.priority == HIGH { webhook("sink", #{ id: task.id }) }"#,
    });
    ann.create("/api/v1/rules", &rule).await;
    token
}

/// The most that it sustains, and what it costs; then latency in calm and under load.
async fn leg(load: &Load, process: &Process, kind: Kind, length: Duration) -> Result<Leg, Failure> {
    let before = (Usage::of(process.id())?, Usage::own()?);
    let most = load.closed(kind, length).await?;
    let after = (Usage::of(process.id())?, Usage::own()?);
    let calm = load.paced(kind, CALM, length).await?;
    let busy = load.paced(kind, most.per_second() * BUSY, length).await?;
    Ok(Leg {
        cpu: (after.0.cpu - before.0.cpu) / most.count(),
        own_cpu: (after.1.cpu - before.1.cpu) / most.count(),
        accepted: most.accepted_per_second(),
        sustained: most.per_second(),
        calm: calm.latencies.p50_p99(),
        busy: busy.latencies.p50_p99(),
    })
}
