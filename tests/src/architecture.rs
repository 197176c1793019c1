//! What must never appear without a decision: a new arrow between crates, a second source of time.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which crates of ours each crate may use. Crates that run or test the whole use what they like.
const ARROWS: [(&str, &[&str]); 10] = [
    ("smarttasks-api", &["rules", "store", "model"]),
    ("smarttasks-engine", &["rules", "store", "bus", "model"]),
    ("smarttasks-scheduler", &["rules", "store", "model"]),
    ("smarttasks-notifier", &["store", "bus", "model"]),
    ("smarttasks-rules", &["heap", "model"]),
    ("smarttasks-store", &["model", "migrations"]),
    ("smarttasks-bus", &["store", "model"]),
    ("smarttasks-model", &[]),
    ("smarttasks-heap", &[]),
    ("smarttasks-migrations", &[]),
];
const WHOLE: [&str; 3] = ["smarttasks", "smarttasks-benches", "smarttasks-tests"];

/// What reads a clock other than `smarttasks_model::Clock`.
const CLOCKS: [&str; 4] = ["SystemTime::now", "Utc::now", "Local::now", "Instant::now"];

/// Where a clock may be read, and why there. Instants measure durations; they say nothing of when
/// something is due.
const CLOCK_READERS: [(&str, &str); 14] = [
    ("model/src/time.rs", "is the clock"),
    (
        "store/src/reader.rs",
        "replaces connections that are stuck, but not again and again",
    ),
    (
        "bus/src/rabbitmq/flights.rs",
        "gives up a broker that confirms nothing",
    ),
    (
        "bus/src/rabbitmq/publisher.rs",
        "looks into the outbox every second",
    ),
    ("api/src/request.rs", "measures how long a request took"),
    (
        "api/src/routes/rules/backtest/replay.rs",
        "gives up a backtest that takes long",
    ),
    (
        "engine/src/evaluate.rs",
        "gives the next batch its turn after a while",
    ),
    (
        "engine/src/turns.rs",
        "leaks what evaluations on this process's threads took",
    ),
    (
        "rules/src/meter.rs",
        "stops an evaluation that takes too long",
    ),
    (
        "notifier/src/email/mod.rs",
        "measures how long an attempt took",
    ),
    (
        "notifier/src/email/relay.rs",
        "closes connections that idled for too long",
    ),
    (
        "notifier/src/client/mod.rs",
        "measures how long an attempt took",
    ),
    (
        "notifier/src/request/mod.rs",
        "measures how long an attempt took",
    ),
    (
        "notifier/src/webhook/mod.rs",
        "measures how long an attempt took",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The crates of the workspace, as cargo sees them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {complaint}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Each crate of the workspace with the crates of ours that it uses, tests of its own aside.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    packages()
        .iter()
        .map(|package| (name(package), uses(package)))
        .collect()
}

fn name(value: &Value) -> String {
    value["name"].as_str().unwrap().to_owned()
}

fn uses(package: &Value) -> BTreeSet<String> {
    let dependencies = package["dependencies"].as_array().unwrap();
    dependencies
        .iter()
        .filter(|dependency| dependency["kind"] != "dev" && dependency["path"].is_string())
        .map(name)
        .collect()
}

/// The Rust files below `directory`, as paths from the root.
fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn crates_use_only_what_the_architecture_allows() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut wrong = Vec::new();
    for (user, uses) in arrows() {
        if WHOLE.contains(&user.as_str()) {
            continue;
        }
        let Some(allowed) = allowed.get(user.as_str()) else {
            wrong.push(format!("{user} is a crate that the table does not know"));
            continue;
        };
        for used in uses {
            let folder = used.strip_prefix("smarttasks-").unwrap_or(&used);
            if !allowed.contains(&folder) {
                wrong.push(format!("{user} -> {used} is a new arrow"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong:#?}\nA new arrow is a decision about the architecture: \
         make it in ARCHITECTURE.md and in {}, or find a way without it.",
        file!()
    );
}

#[test]
fn every_crate_of_the_table_exists() {
    let arrows = arrows();
    let known = ARROWS.iter().map(|(name, _)| *name).chain(WHOLE);
    let gone: Vec<_> = known.filter(|name| !arrows.contains_key(*name)).collect();
    assert!(gone.is_empty(), "{gone:?} are no crates of the workspace");
}

#[test]
fn only_where_it_is_tested_the_product_can_be_told_to_die() {
    let mut asking = Vec::new();
    for package in packages() {
        let dependencies = package["dependencies"].as_array().unwrap();
        let asks = dependencies.iter().filter(|dependency| {
            let features = dependency["features"].as_array().unwrap();
            features.iter().any(|feature| feature == "failpoints")
        });
        asking.extend(asks.map(|asks| (name(&package), asks["kind"].clone())));
        let features = package["features"].to_string();
        assert!(!features.contains("/failpoints"), "{}", name(&package));
    }
    assert_eq!(asking, [("smarttasks-tests".to_owned(), "dev".into())]);
}

#[test]
fn nothing_but_the_clock_knows_the_time() {
    let root = root();
    let crates = ARROWS
        .iter()
        .map(|(name, _)| name.trim_start_matches("smarttasks-"));
    let mut files = Vec::new();
    for folder in crates.chain(["smarttasks"]) {
        rust_files(&root.join(folder).join("src"), &mut files);
    }
    let readers: BTreeSet<String> = files
        .iter()
        .filter(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            CLOCKS.iter().any(|clock| text.contains(clock))
        })
        .map(|file| file.strip_prefix(&root).unwrap().display().to_string())
        .collect();
    let allowed = CLOCK_READERS.map(|(file, _)| file.to_owned()).into();
    let wrong: Vec<_> = readers.difference(&allowed).collect();
    assert!(
        wrong.is_empty(),
        "{wrong:?} read a clock: take `now` or a `smarttasks_model::Clock` instead, \
         or, to measure a duration, say why in {}",
        file!()
    );
    let stale: Vec<_> = allowed.difference(&readers).collect();
    assert!(
        stale.is_empty(),
        "{stale:?} read no clock any more: remove them from the list"
    );
}
