//! The queue of messages that could not be taken: how they get there, and back.

use super::Shared;
use super::connection::{Link, asked};
use super::flights::{MANDATORY, PERSISTENT};
use super::topology::Topology;
use crate::bus::{DeadLetter, Replay};
use crate::{Error, Result};
use lapin::message::{BasicGetMessage, Delivery};
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation};
use smarttasks_model::Timestamp;
use std::collections::HashSet;

/// Headers of a dead letter.
const REASON: &str = "x-reason";
const QUEUE: &str = "x-queue";
const FAILURES: &str = "x-failures";
const DIED_AT: &str = "x-died-at";
/// The header of those that the broker itself has given up.
const DEATHS: &str = "x-death";
/// Characters of a reason that are kept: headers must fit into a frame.
const REASON_LENGTH: usize = 2000;

/// How a message died.
pub(super) struct Death<'a> {
    pub(super) queue: String,
    pub(super) reason: &'a str,
    pub(super) failures: u32,
    pub(super) at: Timestamp,
}

impl Death<'_> {
    fn headers(&self) -> FieldTable {
        let text = |value: String| AMQPValue::LongString(value.into());
        let reason: String = self.reason.chars().take(REASON_LENGTH).collect();
        let failures = i64::from(self.failures);
        let seconds = u64::try_from(self.at.unix_millis() / 1000).unwrap_or_default();
        let mut headers = FieldTable::default();
        headers.insert(REASON.into(), text(reason));
        headers.insert(QUEUE.into(), text(self.queue.clone()));
        headers.insert(FAILURES.into(), AMQPValue::LongLongInt(failures));
        headers.insert(DIED_AT.into(), AMQPValue::Timestamp(seconds));
        headers
    }
}

/// Puts a copy of a delivery among the dead letters.
pub(super) async fn bury(
    link: &Link,
    topology: &Topology,
    delivery: &Delivery,
    death: &Death<'_>,
) -> Result<()> {
    let channel = confirming(link).await?;
    let properties = carried(&delivery.properties).with_headers(death.headers());
    let (exchange, key) = (topology.dead(), delivery.routing_key.as_str());
    publish(&channel, &exchange, key, &delivery.data, properties).await?;
    close(channel).await
}

/// Reads dead letters without taking them.
pub(super) async fn list(
    link: &Link,
    topology: &Topology,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    let channel = link.channel().await?;
    let mut letters = Vec::new();
    let mut last = None;
    while letters.len() < limit
        && let Some(message) = get(&channel, topology).await?
    {
        letters.push(letter(&message));
        last = Some(message.delivery_tag);
    }
    give_back(&channel, last).await?;
    close(channel).await?;
    Ok(letters)
}

/// Publishes dead letters to the queues that they were in, and then takes them.
pub(super) async fn replay(link: &Link, shared: &Shared, which: &Replay) -> Result<u64> {
    let channel = confirming(link).await?;
    // One that dies again meanwhile, like a second one of the same name, is for another call.
    let mut replayed = HashSet::new();
    let mut last_kept = None;
    while let Some(message) = get(&channel, &shared.topology).await? {
        let letter = letter(&message);
        if !which.chooses(&letter.id) || replayed.contains(&letter.id) {
            last_kept = Some(message.delivery_tag);
            continue;
        }
        let properties = carried(&message.properties);
        match publish(&channel, "", &letter.queue, &message.data, properties).await {
            Ok(()) => {}
            // There is no such queue, or no room in it: this one stays, and the others go.
            Err(Error::Refused(reason)) => {
                tracing::warn!(
                    letter.id,
                    letter.queue,
                    reason,
                    "a dead letter cannot be replayed"
                );
                last_kept = Some(message.delivery_tag);
                continue;
            }
            Err(error) => return Err(error),
        }
        if let Some(queue) = shared.topology.kind(&letter.queue) {
            shared.counted.published(queue.as_str(), 1);
        }
        let acknowledging = channel.basic_ack(message.delivery_tag, BasicAckOptions::default());
        asked("taking a dead letter", acknowledging).await?;
        replayed.insert(letter.id);
    }
    give_back(&channel, last_kept).await?;
    close(channel).await?;
    Ok(replayed.len() as u64)
}

/// Puts back what was read and not taken. Closing the channel would do so too, but later.
async fn give_back(channel: &Channel, last: Option<u64>) -> Result<()> {
    let Some(last) = last else { return Ok(()) };
    let options = BasicNackOptions {
        multiple: true,
        requeue: true,
    };
    asked(
        "putting dead letters back",
        channel.basic_nack(last, options),
    )
    .await
}

async fn confirming(link: &Link) -> Result<Channel> {
    let channel = link.channel().await?;
    let options = ConfirmSelectOptions::default();
    asked("asking for confirms", channel.confirm_select(options)).await?;
    Ok(channel)
}

async fn close(channel: Channel) -> Result<()> {
    asked("closing a channel", channel.close(200, "OK".into())).await
}

async fn get(channel: &Channel, topology: &Topology) -> Result<Option<BasicGetMessage>> {
    let getting = channel.basic_get(topology.dead().into(), BasicGetOptions::default());
    asked("reading a dead letter", getting).await
}

/// Publishes one message and waits until it is in a queue for certain.
async fn publish(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> Result<()> {
    let routing_key = ShortString::try_new(routing_key);
    let routing_key = routing_key.map_err(|error| Error::Refused(error.to_string()))?;
    let publishing =
        channel.basic_publish(exchange.into(), routing_key, MANDATORY, body, properties);
    let confirm = asked("publishing", publishing).await?;
    match asked("confirming a message", confirm).await? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
            Err(Error::Refused(returned.reply_text.to_string()))
        }
        Confirmation::Nack(None) | Confirmation::NotRequested => {
            Err(Error::Refused("its queue is full".to_owned()))
        }
    }
}

/// What stays the same when a message is published again.
fn carried(of: &BasicProperties) -> BasicProperties {
    let mut properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    if let Some(content_type) = of.content_type() {
        properties = properties.with_content_type(content_type.clone());
    }
    if let Some(id) = of.message_id() {
        properties = properties.with_message_id(id.clone());
    }
    if let Some(timestamp) = of.timestamp() {
        properties = properties.with_timestamp(*timestamp);
    }
    properties
}

/// The id that a message's publisher gave it: of ours, that of its outbox row.
pub(super) fn message_id(properties: &BasicProperties) -> String {
    let id = properties.message_id().as_ref();
    id.map_or_else(|| "unnamed".to_owned(), ToString::to_string)
}

fn letter(message: &BasicGetMessage) -> DeadLetter {
    let empty = FieldTable::default();
    let headers = message.properties.headers().as_ref().unwrap_or(&empty);
    let ours = |name| headers.inner().get(name);
    let death = headers.inner().get(DEATHS).and_then(last_death);
    let theirs = |name| death?.inner().get(name);
    let reason = ours(REASON).and_then(text).or_else(|| {
        let word = theirs("reason").and_then(text)?;
        Some(format!("the broker gave it up: {word}"))
    });
    DeadLetter {
        id: message_id(&message.properties),
        queue: ours(QUEUE)
            .or_else(|| theirs("queue"))
            .and_then(text)
            .unwrap_or_default(),
        reason: reason.unwrap_or_else(|| "unknown".to_owned()),
        failures: ours(FAILURES).and_then(number),
        body: String::from_utf8_lossy(&message.data).into_owned(),
        died_at: ours(DIED_AT).or_else(|| theirs("time")).and_then(instant),
    }
}

/// The latest of the deaths that the broker has recorded.
fn last_death(deaths: &AMQPValue) -> Option<&FieldTable> {
    let AMQPValue::FieldArray(deaths) = deaths else {
        return None;
    };
    match deaths.as_slice().first() {
        Some(AMQPValue::FieldTable(death)) => Some(death),
        _ => None,
    }
}

fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn number(value: &AMQPValue) -> Option<u32> {
    match value {
        AMQPValue::LongLongInt(number) => u32::try_from(*number).ok(),
        _ => None,
    }
}

fn instant(value: &AMQPValue) -> Option<Timestamp> {
    match value {
        AMQPValue::Timestamp(seconds) => {
            let millis = i64::try_from(*seconds).ok()?.checked_mul(1000)?;
            Some(Timestamp::from_unix_millis(millis))
        }
        _ => None,
    }
}
