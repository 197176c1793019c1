//! Over RabbitMQ, when the network or the broker fails. No lease runs out in these tests: what was
//! under way goes on from memory.

use super::brokers::Brokers;
use super::proxy::Network;
use super::{Numbers, eventually, publish};
use lapin::options::QueueDeleteOptions;

#[tokio::test]
async fn connections_that_break_under_load_lose_nothing() {
    let brokers = Brokers::new().await;
    let mut process = brokers.process().await;
    let numbers = Numbers::new(&process.db);
    process.relay();
    process.consume(&numbers);
    process.is_healthy().await;
    for start in (0..6000).step_by(300) {
        publish(&process.db, start..start + 300).await;
        if start % 900 == 0 {
            brokers.proxy.cut();
        }
        // More would not fit into memory, and have to wait for its lease.
        eventually("there is room", async || process.pending().await < 3000).await;
    }
    process.relayed().await;
    eventually("all have come", async || numbers.seen_first().len() == 6000).await;
    brokers.end([process]).await;
}

#[tokio::test]
async fn a_confirm_that_never_comes_is_noticed_and_the_message_delivered() {
    let brokers = Brokers::new().await;
    let mut process = brokers.process().await;
    process.relay();
    process.is_healthy().await;
    brokers.proxy.set(Network::Hanging);
    publish(&process.db, 0..10).await;
    eventually("it is noticed", async || process.bus.health().is_err()).await;
    let told = process.bus.health().unwrap_err();
    assert!(told.contains("was not confirmed"), "{told}");

    brokers.proxy.set(Network::Up);
    process.relayed().await;
    let numbers = Numbers::new(&process.db);
    process.consume(&numbers);
    eventually("all have come", async || numbers.seen_first().len() == 10).await;
    brokers.end([process]).await;
}

#[tokio::test]
async fn a_consumer_whose_connection_hangs_goes_on_on_another() {
    let brokers = Brokers::new().await;
    let mut process = brokers.process().await;
    let numbers = Numbers::new(&process.db);
    process.relay();
    process.consume(&numbers);
    process.is_healthy().await;
    brokers.proxy.set(Network::Hanging);
    eventually("it is noticed", async || {
        let told = process.bus.health().err().unwrap_or_default();
        told.contains("consumer of events")
    })
    .await;
    brokers.proxy.set(Network::Up);
    publish(&process.db, 0..10).await;
    eventually("all have come", async || numbers.seen_first().len() == 10).await;
    brokers.end([process]).await;
}

#[tokio::test]
async fn messages_written_while_the_broker_is_away_go_out_when_it_is_back() {
    let brokers = Brokers::new().await;
    let mut process = brokers.process().await;
    let numbers = Numbers::new(&process.db);
    process.relay();
    process.consume(&numbers);
    process.is_healthy().await;
    brokers.proxy.set(Network::Down);
    brokers.proxy.cut();
    eventually("it is noticed", async || process.bus.health().is_err()).await;
    publish(&process.db, 0..3000).await;

    brokers.proxy.set(Network::Up);
    process.relayed().await;
    eventually("all have come", async || numbers.seen().len() >= 3000).await;
    assert_eq!(numbers.seen(), (0..3000).collect::<Vec<_>>());
    process.is_healthy().await;
    brokers.end([process]).await;
}

#[tokio::test]
async fn a_broker_that_takes_no_messages_is_waited_for() {
    let brokers = Brokers::new().await;
    let mut process = brokers.process().await;
    let numbers = Numbers::new(&process.db);
    process.relay();
    process.consume(&numbers);
    process.is_healthy().await;
    brokers.proxy.block(Some("low on disk"));
    eventually("it is told", async || process.bus.health().is_err()).await;
    let told = process.bus.health().unwrap_err();
    assert_eq!(told, "publisher: blocked by the broker: low on disk");
    publish(&process.db, 0..5).await;
    assert_eq!(process.pending().await, 5);

    brokers.proxy.block(None);
    process.relayed().await;
    eventually("all have come", async || numbers.seen().len() == 5).await;
    assert_eq!(numbers.seen(), [0, 1, 2, 3, 4]);
    process.is_healthy().await;
    brokers.end([process]).await;
}

#[tokio::test]
async fn a_message_that_cannot_be_buried_yet_is_buried_later() {
    let brokers = Brokers::new().await;
    let mut process = brokers.process().await;
    let numbers = Numbers::new(&process.db);
    numbers.poison(Some(1));
    process.relay();
    process.consume(&numbers);
    process.is_healthy().await;
    brokers.unbind("dead", "dead").await;
    publish(&process.db, 0..3).await;
    eventually("it could not be buried", async || {
        process.bus.traffic().refused > 0
    })
    .await;
    assert_eq!(process.bus.traffic().acknowledged, 2);
    brokers.bind("dead", "dead").await;
    eventually("it is dead", async || {
        process.bus.dead_letters(10).await.unwrap().len() == 1
    })
    .await;
    eventually("it is settled", async || {
        process.bus.traffic().acknowledged == 3
    })
    .await;
    brokers.end([process]).await;
}

#[tokio::test]
async fn a_queue_that_was_deleted_is_declared_again() {
    let brokers = Brokers::new().await;
    let mut process = brokers.process().await;
    let numbers = Numbers::new(&process.db);
    process.relay();
    process.consume(&numbers);
    process.is_healthy().await;
    let deleting = brokers.operator.queue_delete(
        brokers.named("engine").into(),
        QueueDeleteOptions::default(),
    );
    deleting.await.unwrap();
    eventually("messages come again", async || {
        publish(&process.db, 0..1).await;
        !numbers.seen().is_empty()
    })
    .await;
    brokers.end([process]).await;
}
