//! What must exist on the broker; declared by whoever connects first.

use super::connection::{Link, asked};
use crate::bus::QueueState;
use crate::{Error, Result};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind, ExchangeKind};
use smarttasks_store::Queue;

/// How often the broker delivers a message before it gives it up itself. Far above the failures that
/// a consumer allows, because a consumer that is killed counts too, for all that it was given: it
/// may be killed again and again for another reason, and what it was given must not be lost for it.
const DELIVERY_LIMIT: i32 = 100;
/// Dead letters are read and put back by whoever looks at them, which must not wear them out.
const DEAD_DELIVERY_LIMIT: i32 = 1_000_000;

/// The names of exchanges and queues.
#[derive(Clone)]
pub(super) struct Topology {
    prefix: String,
}

impl Topology {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// The exchange to which messages of this queue are published.
    pub(super) fn exchange(&self, queue: Queue) -> String {
        format!("{}.{}", self.prefix, queue.as_str())
    }

    /// The queue from which our consumers take them.
    pub(super) fn queue(&self, queue: Queue) -> String {
        match queue {
            Queue::Events => format!("{}.engine", self.prefix),
            Queue::Notifications => format!("{}.notifier", self.prefix),
            Queue::Sweeps => format!("{}.sweeper", self.prefix),
            Queue::Runs => format!("{}.runner", self.prefix),
        }
    }

    /// Whose queue has this name.
    pub(super) fn kind(&self, name: &str) -> Option<Queue> {
        Queue::ALL
            .into_iter()
            .find(|kind| self.queue(*kind) == name)
    }

    /// The exchange and the queue of dead letters.
    pub(super) fn dead(&self) -> String {
        format!("{}.dead", self.prefix)
    }

    /// Declares everything; what exists already is left as it is.
    pub(super) async fn declare(&self, link: &Link) -> Result<()> {
        let channel = link.channel().await?;
        let dead = self.dead();
        exchange(&channel, &dead).await?;
        queue(&channel, &dead, dead_arguments()).await?;
        bind(&channel, &dead, &dead).await?;
        for kind in Queue::ALL {
            let (from, to) = (self.exchange(kind), self.queue(kind));
            exchange(&channel, &from).await?;
            queue(&channel, &to, arguments(&dead)).await?;
            bind(&channel, &to, &from).await?;
        }
        asked("closing a channel", channel.close(200, "OK".into())).await
    }

    /// How much is in each queue.
    pub(super) async fn states(&self, link: &Link) -> Result<Vec<QueueState>> {
        let channel = link.channel().await?;
        let mut states = Vec::new();
        for name in Queue::ALL
            .map(|kind| self.queue(kind))
            .into_iter()
            .chain([self.dead()])
        {
            let options = QueueDeclareOptions::default().passive();
            let declaring =
                channel.queue_declare(name.as_str().into(), options, FieldTable::default());
            let queue = asked("counting messages", declaring).await?;
            states.push(QueueState {
                name,
                messages: queue.message_count().into(),
                consumers: Some(queue.consumer_count().into()),
            });
        }
        asked("closing a channel", channel.close(200, "OK".into())).await?;
        Ok(states)
    }
}

fn arguments(dead: &str) -> FieldTable {
    let mut arguments = dead_arguments();
    let text = |value: &str| AMQPValue::LongString(value.into());
    arguments.insert("x-delivery-limit".into(), DELIVERY_LIMIT.into());
    arguments.insert("x-dead-letter-exchange".into(), text(dead));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments
}

fn dead_arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    let text = |value: &str| AMQPValue::LongString(value.into());
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), DEAD_DELIVERY_LIMIT.into());
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

async fn exchange(channel: &Channel, name: &str) -> Result<()> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declaring = channel.exchange_declare(
        name.into(),
        ExchangeKind::Topic,
        options,
        FieldTable::default(),
    );
    let declared = asked("declaring an exchange", declaring).await;
    declared.map_err(|error| conflict(error, format!("the exchange {name}")))
}

async fn queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<()> {
    let options = QueueDeclareOptions::durable();
    let declaring = channel.queue_declare(name.into(), options, arguments);
    let declared = asked("declaring a queue", declaring).await;
    match declared {
        Ok(_) => Ok(()),
        Err(error) => Err(conflict(error, format!("the queue {name}"))),
    }
}

async fn bind(channel: &Channel, queue: &str, exchange: &str) -> Result<()> {
    let binding = channel.queue_bind(
        queue.into(),
        exchange.into(),
        "#".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    asked("binding a queue", binding).await
}

/// Tells an existing thing of another form from everything else that may go wrong.
fn conflict(error: Error, what: String) -> Error {
    if let Error::Broker { source, .. } = &error
        && let ErrorKind::ProtocolError(told) = source.kind()
        && *told.kind() == AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
    {
        return Error::Topology {
            what,
            reason: told.get_message().to_string(),
        };
    }
    error
}
