//! Workflows: runs that wait and go on.
//!
//! `cargo run --release -p smarttasks-benches --bin workflows [part…]` builds the product's binary,
//! starts it embedded on a fresh data directory, and measures what is asked for, or all: `steps`, a
//! workflow of forty steps, alone and a thousand at once; `waking`, ten thousand runs that one event
//! wakes; `journals`, what it costs to go on by the length of the journal; `suspended`, a process with
//! a hundred thousand suspended runs.

use serde_json::{Value, json};
use smarttasks_benches::{Failure, Usage, build, millis, say};
use smarttasks_tests::process::{Connection, Installation, Process, binary};
use smarttasks_tests::receivers::Mails;
use std::time::{Duration, Instant};

/// What can be measured.
const PARTS: [&str; 4] = ["steps", "waking", "journals", "suspended"];
/// Runs that one event wakes.
const WOKEN: u64 = 10_000;
/// Runs that stay suspended.
const SUSPENDED: u64 = 100_000;
/// Clients that post events at the same time.
const CLIENTS: u64 = 16;
/// Between two looks at what is left.
const LOOK: Duration = Duration::from_millis(10);
/// What takes longer will never end.
const PATIENCE: Duration = Duration::from_secs(600);

/// Forty steps, each committed.
const STEPS: &str = "for step in 0..40 { sleep(seconds(0)); task.comment(`step ${step}`); }";
/// As many entries in the journal as the event says, and then a gate.
const ENTRIES: &str = "for i in 1..event.data.entries { if i % 90 == 0 { sleep(seconds(0)); } else { emit(\"gate.passed\", #{}); } }
wait_for(\"gate.opened\", days(1));";

fn main() -> Result<(), Failure> {
    let mut parts: Vec<String> = std::env::args().skip(1).collect();
    if let Some(other) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(format!("{other:?} is none of {}", PARTS.join(", ")).into());
    }
    if parts.is_empty() {
        parts = PARTS.map(str::to_owned).to_vec();
    }
    build()?;
    binary()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(&parts))
}

async fn measure(parts: &[String]) -> Result<(), Failure> {
    let asked = |part: &str| parts.iter().any(|of| of == part);
    let mails = Mails::start().await;
    let installation = Installation::new(&mails).with("SMARTTASKS_RULES__WORKSPACE_BUDGET", "off");
    let product = installation.start().await;
    let empty = at_rest(&product).await?;
    let token = product.register("ann").await;
    let mut ann = product.connect(&token).await;
    for rule in ann.list("/api/v1/rules").await {
        let path = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap_or_default());
        ann.patch(&path, &json!({ "enabled": false })).await;
    }
    if asked("steps") {
        say(&forty_steps(&product, &token).await?)?;
    }
    if asked("waking") {
        say(&waking(&product, &token, WOKEN).await?)?;
    }
    if asked("journals") {
        for entries in [10, 100, 900] {
            say(&going_on(&product, &token, entries).await?)?;
        }
    }
    if asked("suspended") {
        make_rule(&mut ann, "queued", "gate.queued", "sleep(days(300));").await;
        post_all(&product, &token, "gate.queued", SUSPENDED, json!({})).await?;
        settled(&mut ann, SUSPENDED).await?;
        product.kill().await;
        let product = installation.start().await;
        let full = at_rest(&product).await?;
        say(&format!(
            "no suspended runs: {empty}\n{SUSPENDED} suspended runs: {full}\n"
        ))?;
    }
    Ok(())
}

/// How soon it answers after its start, and the memory that it takes by then.
async fn at_rest(product: &Process) -> Result<String, Failure> {
    product.connect("").await.get("/livez").await;
    let answered = product.started.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let memory = Usage::of(product.id())?.peak_memory;
    Ok(format!(
        "first answer after {}, {} MB of memory at most",
        millis(answered),
        memory / 1_000_000
    ))
}

async fn make_rule(ann: &mut Connection, name: &str, event: &str, script: &str) -> Value {
    let rule = json!({ "name": name, "triggers": [{ "event": event }], "script": script,
        "overlap": "parallel" });
    ann.create("/api/v1/rules", &rule).await
}

/// Posts so many events of a type.
async fn post_all(
    product: &Process,
    token: &str,
    kind: &str,
    count: u64,
    data: Value,
) -> Result<(), Failure> {
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let mut connection = product.connect(token).await;
        let event = json!({ "type": kind, "data": data });
        clients.spawn(async move {
            for _ in (client..count).step_by(usize::try_from(CLIENTS).unwrap_or(1)) {
                while connection.post("/api/v1/events", &event).await.status == 503 {
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

/// Returns once so many runs have begun to wait, by the product's own count of matches.
async fn settled(ann: &mut Connection, runs: u64) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let rules = ann.list("/api/v1/rules").await;
        let enabled = rules.iter().filter(|rule| rule["enabled"] == true);
        let matches: u64 = enabled
            .filter_map(|rule| rule["stats"]["matches"].as_u64())
            .sum();
        if matches >= runs {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{matches} of {runs} runs have begun").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Returns once no run waits.
async fn none_waits(ann: &mut Connection) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let waiting = ann.get("/api/v1/runs?status=suspended&limit=1").await.body;
        if waiting["data"].as_array().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err("runs still wait".into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Returns once every run that waits waits for an event.
async fn all_at_the_gate(ann: &mut Connection) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let waiting = ann.list("/api/v1/runs?status=suspended").await;
        if waiting.iter().all(|run| run["waiting"]["wait"] == "event") {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err("runs do not come to the gate".into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn disable(ann: &mut Connection, rule: &Value) {
    let path = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap_or_default());
    ann.patch(&path, &json!({ "enabled": false })).await;
}

async fn forty_steps(product: &Process, token: &str) -> Result<String, Failure> {
    let mut ann = product.connect(token).await;
    let rule = make_rule(&mut ann, "steps", "task.created", STEPS).await;
    let mut alone = Vec::new();
    for number in 0..11 {
        let begun = Instant::now();
        ann.create("/api/v1/tasks", &json!({ "title": format!("{number}") }))
            .await;
        settled(&mut ann, number + 1).await?;
        none_waits(&mut ann).await?;
        alone.push(begun.elapsed());
    }
    alone.sort();
    let begun = Instant::now();
    let cpu = Usage::of(product.id())?.cpu;
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let mut connection = product.connect(token).await;
        clients.spawn(async move {
            for number in (client..1_000).step_by(usize::try_from(CLIENTS).unwrap_or(1)) {
                let task = json!({ "title": format!("many {number}") });
                connection.create("/api/v1/tasks", &task).await;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client?;
    }
    settled(&mut ann, 1_011).await?;
    none_waits(&mut ann).await?;
    let (took, used) = (begun.elapsed(), Usage::of(product.id())?.cpu - cpu);
    disable(&mut ann, &rule).await;
    Ok(format!(
        "40 steps, one workflow: {} (median of 11, seen from outside)\n\
         40 steps, 1,000 workflows at once: {:.1} s, {:.1} s of processor time\n",
        millis(alone[alone.len() / 2]),
        took.as_secs_f64(),
        used.as_secs_f64()
    ))
}

/// What it costs to go on with a journal of so many entries.
async fn going_on(product: &Process, token: &str, entries: u64) -> Result<String, Failure> {
    const RUNS: u64 = 40;
    let mut ann = product.connect(token).await;
    let rule = make_rule(
        &mut ann,
        &format!("entries {entries}"),
        "gate.made",
        ENTRIES,
    )
    .await;
    post_all(
        product,
        token,
        "gate.made",
        RUNS,
        json!({ "entries": entries }),
    )
    .await?;
    settled(&mut ann, RUNS).await?;
    all_at_the_gate(&mut ann).await?;
    let (took, used) = open_gate(product, &mut ann, &rule).await?;
    Ok(format!(
        "going on with a journal of {entries} entries: {:.2} ms of processor time each ({RUNS} in {})\n",
        used.as_secs_f64() * 1e3 / RUNS as f64,
        millis(took)
    ))
}

async fn waking(product: &Process, token: &str, runs: u64) -> Result<String, Failure> {
    let mut ann = product.connect(token).await;
    let script = "wait_for(\"gate.opened\", days(1));";
    let rule = make_rule(&mut ann, "woken", "gate.asked", script).await;
    post_all(product, token, "gate.asked", runs, json!({})).await?;
    settled(&mut ann, runs).await?;
    let (took, used) = open_gate(product, &mut ann, &rule).await?;
    Ok(format!(
        "one event wakes {runs} runs: all have gone on after {:.2} s, {:.2} s of processor time\n",
        took.as_secs_f64(),
        used.as_secs_f64()
    ))
}

/// Lets the runs of a rule go on that wait for the gate: how long it takes until none waits, and the
/// processor time.
async fn open_gate(
    product: &Process,
    ann: &mut Connection,
    rule: &Value,
) -> Result<(Duration, Duration), Failure> {
    // Whatever is still done for their beginning is not counted.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (cpu, begun) = (Usage::of(product.id())?.cpu, Instant::now());
    ann.create("/api/v1/events", &json!({ "type": "gate.opened" }))
        .await;
    none_waits(ann).await?;
    let took = (begun.elapsed(), Usage::of(product.id())?.cpu - cpu);
    disable(ann, rule).await;
    Ok(took)
}
