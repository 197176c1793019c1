//! A broker that is there and takes nothing.

use super::PATIENCE;
use super::trial::{Network, Trial};
use crate::roles::Role;
use crate::servers::Servers;
use std::time::{Duration, Instant};

/// Longer than a publisher waits for a confirmation.
const BLOCKED: Duration = Duration::from_secs(8);
/// How many messages fit into the full queue.
const FULL: usize = 10;

/// How many messages wait for the engine.
async fn waiting(servers: &Servers) -> usize {
    let order = [
        "list_queues",
        "--quiet",
        "--no-table-headers",
        "name",
        "messages",
    ];
    let queues = servers.rabbitmqctl(&order).await;
    let engine = queues.lines().find_map(|line| {
        let (name, count) = line.split_once('\t')?;
        (name == "smarttasks.engine").then(|| count.trim().parse().unwrap())
    });
    engine.unwrap_or_else(|| panic!("no queue smarttasks.engine:\n{queues}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_blocked_by_an_alarm_or_with_a_full_queue_loses_nothing() {
    let mut trial = Trial::start(&Role::ALL.map(|role| (role, 1)), Network::Direct).await;

    let phase = "RabbitMQ blocked by an alarm";
    trial.begin(phase).await;
    let limit = "set_vm_memory_high_watermark";
    trial.servers.rabbitmqctl(&[limit, "0"]).await;
    tokio::time::sleep(BLOCKED).await;
    trial.writing_goes_on().await;
    trial.servers.rabbitmqctl(&[limit, "absolute", "1GB"]).await;
    trial.recovers(phase).await;

    let phase = "the engine's queue full";
    trial.begin(phase).await;
    let policy = format!(r#"{{"max-length":{FULL},"overflow":"reject-publish"}}"#);
    let pattern = "^smarttasks\\.engine$";
    let full = [
        "set_policy",
        "--apply-to",
        "queues",
        "full",
        pattern,
        &policy,
    ];
    trial.servers.rabbitmqctl(&full).await;
    assert_eq!(trial.take(Role::Engine).stop().await.code(), Some(0));
    let deadline = Instant::now() + PATIENCE;
    while waiting(&trial.servers).await < FULL {
        assert!(Instant::now() < deadline, "the queue does not fill");
    }
    trial.writing_goes_on().await;
    let most = waiting(&trial.servers).await;
    // What was on its way when the limit was reached still fits in.
    assert!(most < 10 * FULL, "{most} messages in a queue for {FULL}");
    trial.servers.rabbitmqctl(&["clear_policy", "full"]).await;
    let engine = trial.cluster.start(Role::Engine).await;
    trial.replicas.push(engine);
    trial.recovers(phase).await;
    trial.verdict().await;
}
