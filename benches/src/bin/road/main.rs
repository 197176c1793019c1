//! The road: a request in, a scripted condition, a webhook out; and the leg without a rule.
//!
//! `cargo run --release -p smarttasks-benches --bin road [servers] [seconds]` builds the product's
//! binary, starts it on a fresh data directory, or with `servers` on a PostgreSQL, RabbitMQ and Redis
//! of its own, as one process and then as one for each role, loads it over HTTP, and counts what its
//! receiver gets. Client, receiver, product and servers share the machine; client and receiver are one
//! thread, to leave it the rest.

mod load;
mod product;
mod report;

use load::{Kind, Load};
use product::{Place, Product, Setting};
use report::{Leg, Report};
use serde_json::json;
use smarttasks_benches::{Failure, Usage, build, syncs_per_second};
use smarttasks_tests::process::{Process, binary};
use smarttasks_tests::receivers::Webhooks;
use std::io::Write;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long each phase is loaded when nothing else is said.
const SECONDS: u64 = 10;
/// The load at which latency is measured, in events a second.
const CALM: f64 = 50.0;
/// The part of the most that it sustains, at which latency is measured again.
const BUSY: f64 = 0.8;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).peekable();
    let settings: &[Setting] = match arguments.next_if_eq("servers") {
        None => &[Setting::Embedded],
        Some(_) => &[Setting::OneProcess, Setting::FourProcesses],
    };
    let seconds = match arguments.next() {
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
    for setting in settings {
        let measured = measure(*setting, Duration::from_secs(seconds));
        let report = runtime.block_on(or_interrupted(measured))?;
        std::io::stdout().write_all(report.to_string().as_bytes())?;
    }
    Ok(())
}

/// Servers outlive a process that does not stop them.
async fn or_interrupted<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        _ = terminated.recv() => Err("terminated".into()),
    }
}

async fn measure(setting: Setting, length: Duration) -> Result<Report, Failure> {
    let place = Place::new(setting).await;
    let (product, first_start) = place.start().await?;
    product.stop().await;
    let (product, later_start) = place.start().await?;
    let webhooks = Webhooks::start().await;
    let token = set_up(product.api()?, &webhooks).await;
    let load = Load {
        address: product.api()?.address(),
        token,
        inbox: webhooks.inbox.clone(),
    };
    // Caches, pools and pages: what is measured is a process that has been up for a while.
    load.closed(Kind::Task, Duration::from_secs(2)).await?;
    Ok(Report {
        setting,
        first_start,
        later_start,
        syncs: syncs_per_second(&place.disk())?,
        road: leg(&load, &place, &product, Kind::Task, length).await?,
        delivery: leg(&load, &place, &product, Kind::Event, length).await?,
        parts: place.usage(&product)?,
    })
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
async fn leg(
    load: &Load,
    place: &Place,
    product: &Product,
    kind: Kind,
    length: Duration,
) -> Result<Leg, Failure> {
    let before = (place.usage(product)?, Usage::own()?);
    let most = load.closed(kind, length).await?;
    let after = (place.usage(product)?, Usage::own()?);
    let calm = load.paced(kind, CALM, length).await?;
    let busy = load.paced(kind, most.per_second() * BUSY, length).await?;
    let used = before.0.iter().zip(&after.0);
    let used = used.map(|(before, after)| (after, (after.cpu - before.cpu) / most.count()));
    let of_product = used.clone().filter(|(part, _)| part.own);
    let cpu = of_product.map(|(_, cpu)| cpu).sum();
    let mut cpu_of: Vec<_> = used.map(|(part, cpu)| (part.name, cpu)).collect();
    if cpu_of.len() == 1 {
        cpu_of.clear();
    }
    Ok(Leg {
        cpu,
        cpu_of,
        own_cpu: (after.1.cpu - before.1.cpu) / most.count(),
        accepted: most.accepted_per_second(),
        sustained: most.per_second(),
        calm: calm.latencies.p50_p99(),
        busy: busy.latencies.p50_p99(),
    })
}
