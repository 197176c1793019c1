//! Messages that have been published and not yet confirmed.
//!
//! Only an acknowledgement without a returned message is success: one that no queue takes is
//! acknowledged *and* returned. Which message was returned is told by the message itself. lapin
//! hands a return to the first confirm that arrives after it, and when the broker confirms several
//! at once that may be another's; so an acknowledgement counts once every confirm that arrived
//! before it has been seen.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use smarttasks_model::Timestamp;
use smarttasks_store::Queue;
use smarttasks_store::outbox::{Outgoing, Payload, Wire};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A row of the outbox on its way to the broker.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) queue: Queue,
    pub(super) created_at: Timestamp,
    pub(super) wire: Wire,
}

impl Row {
    /// `None` for a row of a database that hands its messages to its own process.
    pub(super) fn of(outgoing: Outgoing) -> Option<Self> {
        let Payload::Wire(wire) = outgoing.payload else {
            return None;
        };
        Some(Self {
            id: outgoing.id,
            queue: outgoing.queue,
            created_at: outgoing.created_at,
            wire,
        })
    }

    fn properties(&self) -> BasicProperties {
        let content_type = match self.queue {
            Queue::Events => "application/cloudevents+json",
            Queue::Notifications | Queue::Sweeps | Queue::Runs => "application/json",
        };
        let seconds = self.created_at.unix_millis() / 1000;
        BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type(content_type.into())
            .with_message_id(self.id.to_string().into())
            .with_timestamp(u64::try_from(seconds).unwrap_or_default())
            .with_app_id("smarttasks".into())
    }
}

/// AMQP's delivery mode of messages that survive a restart of the broker.
pub(super) const PERSISTENT: u8 = 2;

/// Messages must reach a queue.
pub(super) const MANDATORY: BasicPublishOptions = BasicPublishOptions {
    mandatory: true,
    immediate: false,
};

/// A published message.
struct Flight {
    row: Arc<Row>,
    since: Instant,
    confirm: BoxFuture<'static, lapin::Result<Confirmation>>,
}

/// Every unconfirmed message of a channel, in the order of publishing.
#[derive(Default)]
pub(super) struct Flights {
    under_way: VecDeque<Flight>,
    /// Acknowledged, but a return may still name them.
    acknowledged: Vec<Arc<Row>>,
    /// Named by a return and not acknowledged yet.
    returned: HashSet<i64>,
}

/// What a look at the confirms has found.
#[derive(Default)]
pub(super) struct Found {
    /// Taken by their queue for certain.
    pub(super) confirmed: Vec<Arc<Row>>,
    /// Not taken, and why.
    pub(super) refused: Vec<(Arc<Row>, Refusal)>,
    /// The channel is gone.
    pub(super) error: Option<lapin::Error>,
}

/// Why the broker did not take a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// No queue is bound for it.
    Returned,
    /// Its queue is full, or has no majority.
    Nacked,
}

impl Refusal {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Nacked => "nacked",
        }
    }
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.acknowledged.is_empty()
    }

    /// Publishes without waiting for anything.
    pub(super) fn publish(&mut self, channel: &Arc<Channel>, exchange: ShortString, row: Arc<Row>) {
        let mut confirm = confirm(Arc::clone(channel), exchange, Arc::clone(&row)).boxed();
        // lapin queues the frames when first polled; what comes of it is seen at the next look.
        let early = (&mut confirm).now_or_never();
        let confirm = match early {
            None => confirm,
            Some(outcome) => std::future::ready(outcome).boxed(),
        };
        self.under_way.push_back(Flight {
            row,
            since: Instant::now(),
            confirm,
        });
    }

    /// Looks what has been confirmed.
    pub(super) fn look(&mut self) -> Found {
        let mut found = Found::default();
        self.look_once(&mut found);
        let certain = std::mem::take(&mut self.acknowledged);
        self.look_once(&mut found);
        let (refused, confirmed) = certain
            .into_iter()
            .partition(|row| self.returned.remove(&row.id));
        found.confirmed = confirmed;
        found.refuse(refused, Refusal::Returned);
        found
    }

    fn look_once(&mut self, found: &mut Found) {
        for mut flight in std::mem::take(&mut self.under_way) {
            match (&mut flight.confirm).now_or_never() {
                None => self.under_way.push_back(flight),
                Some(Ok(Confirmation::Ack(None))) => self.acknowledged.push(flight.row),
                Some(Ok(Confirmation::Ack(Some(message)))) => {
                    self.remember(&message);
                    // Its own return may be with another's confirm.
                    self.returned.remove(&flight.row.id);
                    found.refuse(vec![flight.row], Refusal::Returned);
                }
                Some(Ok(Confirmation::Nack(message))) => {
                    if let Some(message) = message {
                        self.remember(&message);
                    }
                    found.refuse(vec![flight.row], Refusal::Nacked);
                }
                // The channel confirms, so this cannot be; the lease will run out.
                Some(Ok(Confirmation::NotRequested)) => {
                    found.refuse(vec![flight.row], Refusal::Nacked);
                }
                Some(Err(error)) => {
                    found.error.get_or_insert(error);
                    flight.confirm = std::future::pending().boxed();
                    self.under_way.push_back(flight);
                }
            }
        }
    }

    fn remember(&mut self, returned: &BasicReturnMessage) {
        let id = returned.properties.message_id().as_ref();
        if let Some(id) = id.and_then(|id| id.as_str().parse().ok()) {
            self.returned.insert(id);
        }
    }

    /// Whether a confirm is later than it may be.
    pub(super) fn is_overdue(&self, patience: Duration) -> bool {
        let first = self.under_way.front();
        first.is_some_and(|flight| flight.since.elapsed() > patience)
    }

    /// Gives every confirm its full time again, after a pause that was announced.
    pub(super) fn restart_clocks(&mut self) {
        let now = Instant::now();
        for flight in &mut self.under_way {
            flight.since = now;
        }
    }

    /// Ends with the channel; returns what may not have arrived.
    pub(super) fn abandon(&mut self) -> Vec<Arc<Row>> {
        self.returned.clear();
        let under_way = std::mem::take(&mut self.under_way);
        let mut rows = std::mem::take(&mut self.acknowledged);
        rows.extend(under_way.into_iter().map(|flight| flight.row));
        rows
    }
}

impl Found {
    fn refuse(&mut self, rows: Vec<Arc<Row>>, why: Refusal) {
        self.refused.extend(rows.into_iter().map(|row| (row, why)));
    }
}

async fn confirm(
    channel: Arc<Channel>,
    exchange: ShortString,
    row: Arc<Row>,
) -> lapin::Result<Confirmation> {
    let routing_key = row.wire.routing_key.as_str().into();
    let body = row.wire.body.as_bytes();
    let publishing =
        channel.basic_publish(exchange, routing_key, MANDATORY, body, row.properties());
    publishing.await?.await
}
