//! A consumer's end of a queue: deliveries, and their acknowledgement.

use super::connection::{self, Backoff, Link, asked};
use super::{Shared, dead_letters};
use crate::consumer::{Delivered, Receipt};
use crate::error::chain;
use crate::{Error, Result};
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use smarttasks_model::Timestamp;
use smarttasks_store::Queue;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Messages that the broker sends ahead of their acknowledgement: a batch that is handled, and one
/// that is ready when it is done. A range of a sweep is much work, which others may take.
fn prefetch(queue: Queue) -> u16 {
    match queue {
        Queue::Events | Queue::Notifications | Queue::Runs => 400,
        Queue::Sweeps => 2,
    }
}

/// A message with its place on a channel.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// Which session of the subscription got it: a place on an earlier channel means nothing.
    session: u64,
    pub(super) delivery: Delivery,
}

impl Envelope {
    /// What the message is called in logs.
    pub(crate) fn id(&self) -> String {
        dead_letters::message_id(&self.delivery.properties)
    }

    fn into_delivered(self, queue: Queue) -> Delivered {
        let seconds = self.delivery.properties.timestamp().unwrap_or_default();
        let millis = i64::try_from(seconds).unwrap_or_default() * 1000;
        Delivered {
            message: queue
                .read(&self.delivery.data)
                .map(Arc::new)
                .map_err(|error| error.to_string().into()),
            redelivered: self.delivery.redelivered,
            receipt: Receipt::Envelope(Box::new(self)),
            failures: 0,
            created_at: Timestamp::from_unix_millis(millis),
        }
    }
}

/// Takes the messages of one queue, over as many connections as it needs.
pub(crate) struct Subscription {
    shared: Arc<Shared>,
    queue: Queue,
    session: Option<Session>,
    sessions: u64,
    backoff: Backoff,
}

/// A consumer on a live channel.
struct Session {
    number: u64,
    link: Arc<Link>,
    channel: Channel,
    consumer: Consumer,
    /// Places of messages that are not settled.
    open: BTreeSet<u64>,
}

impl Subscription {
    pub(super) fn new(shared: Arc<Shared>, queue: Queue) -> Self {
        let subscription = Self {
            shared,
            queue,
            session: None,
            sessions: 0,
            backoff: Backoff::default(),
        };
        subscription.tell(Err("not connected yet".to_owned()));
        subscription
    }

    fn tell(&self, state: Result<(), String>) {
        let part = match self.queue {
            Queue::Events => "consumer of events",
            Queue::Notifications => "consumer of notifications",
            Queue::Sweeps => "consumer of sweeps",
            Queue::Runs => "consumer of runs",
        };
        self.shared.health.set(part, state);
    }

    /// Waits for messages, connecting as often as it must, and takes at most `most`.
    pub(crate) async fn take(&mut self, most: usize) -> Vec<Delivered> {
        loop {
            let Some(session) = &mut self.session else {
                self.connect().await;
                continue;
            };
            match session.next(most).await {
                Ok(deliveries) => {
                    let (number, queue) = (session.number, self.queue);
                    let envelopes = deliveries.into_iter().map(|delivery| Envelope {
                        session: number,
                        delivery,
                    });
                    return envelopes.map(|it| it.into_delivered(queue)).collect();
                }
                Err(reason) => self.lost(reason),
            }
        }
    }

    async fn connect(&mut self) {
        match self.open().await {
            Ok(session) => {
                tracing::info!(queue = self.queue.as_str(), "consuming from the broker");
                self.session = Some(session);
                self.backoff.reset();
                self.tell(Ok(()));
            }
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(
                    queue = self.queue.as_str(),
                    error,
                    "nothing is consumed; trying to connect again"
                );
                self.tell(Err(error));
                tokio::time::sleep(self.backoff.next()).await;
            }
        }
    }

    async fn open(&mut self) -> Result<Session> {
        let link = self.shared.consuming.declared().await?;
        let channel = link.channel().await?;
        let qos = channel.basic_qos(prefetch(self.queue), BasicQosOptions::default());
        asked("setting the prefetch", qos).await?;
        let consuming = channel.basic_consume(
            self.shared.topology.queue(self.queue).into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = asked("starting to consume", consuming).await?;
        self.sessions += 1;
        Ok(Session {
            number: self.sessions,
            link,
            channel,
            consumer,
            open: BTreeSet::new(),
        })
    }

    /// What was not acknowledged comes again.
    fn lost(&mut self, reason: String) {
        tracing::warn!(
            queue = self.queue.as_str(),
            reason,
            "the consumer's channel is gone; what was not acknowledged comes again"
        );
        self.session = None;
        self.tell(Err(reason));
    }

    /// Whether a message can still be settled; if not, it comes again.
    pub(crate) fn holds(&self, envelope: &Envelope) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.number == envelope.session)
    }

    /// Settles messages, as far as the channel that they came on lives.
    pub(crate) async fn acknowledge(&mut self, done: &[Delivered]) {
        let Some(session) = &mut self.session else {
            return;
        };
        let envelopes = done
            .iter()
            .filter_map(|delivered| match &delivered.receipt {
                Receipt::Envelope(envelope) => Some(&**envelope),
                Receipt::Row(_) => None,
            });
        let tags: BTreeSet<u64> = envelopes
            .filter(|envelope| envelope.session == session.number)
            .map(|envelope| envelope.delivery.delivery_tag)
            .collect();
        match session.acknowledge(&tags).await {
            Ok(()) => self.shared.counted.acknowledged(tags.len()),
            Err(error) => self.lost(chain(&error)),
        }
    }

    /// Puts a message among the dead letters; its acknowledgement is the caller's.
    pub(crate) async fn bury(
        &mut self,
        envelope: &Envelope,
        reason: &str,
        failures: u32,
    ) -> Result<()> {
        let why = dead_letters::Death {
            queue: self.shared.topology.queue(self.queue),
            reason,
            failures,
            at: self.shared.db.clock().now(),
        };
        let link = self.shared.publishing.get().await?;
        if link.is_blocked() {
            return Err(Error::Blocked("it is short of memory or disk".to_owned()));
        }
        let (topology, delivery) = (&self.shared.topology, &envelope.delivery);
        let buried = dead_letters::bury(&link, topology, delivery, &why).await;
        if let Err(Error::Refused(_)) = &buried {
            self.shared.counted.refused(self.queue.as_str(), "burial");
        }
        buried
    }

    /// Gives back what was taken and not settled, and says goodbye.
    pub(crate) async fn close(mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        let Session {
            link,
            channel,
            consumer,
            ..
        } = session;
        let goodbye = async {
            let cancelling = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
            asked("cancelling a consumer", cancelling).await?;
            // With its channel, a message goes back to its queue.
            asked("closing a channel", channel.close(200, "OK".into())).await
        };
        if let Err(error) = goodbye.await {
            tracing::debug!(
                error = chain(&error),
                "the broker was left without a goodbye"
            );
        }
        drop((channel, consumer));
        connection::release(link).await;
    }
}

impl Session {
    /// Waits for a delivery and takes what is there beside it.
    async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, String> {
        let mut deliveries = Vec::new();
        let mut next = self.consumer.next().await;
        loop {
            match next {
                Some(Ok(delivery)) => {
                    self.open.insert(delivery.delivery_tag);
                    deliveries.push(delivery);
                }
                // What came before it is lost with the channel.
                Some(Err(error)) => return Err(chain(&error)),
                None => return Err("the broker has cancelled the consumer".to_owned()),
            }
            if deliveries.len() >= most {
                return Ok(deliveries);
            }
            match self.consumer.next().now_or_never() {
                Some(ready) => next = ready,
                None => return Ok(deliveries),
            }
        }
    }

    /// One acknowledgement covers all up to a place, so it must not reach beyond the first
    /// message that is not settled.
    async fn acknowledge(&mut self, tags: &BTreeSet<u64>) -> Result<()> {
        self.open.retain(|tag| !tags.contains(tag));
        let first_open = self.open.first().copied().unwrap_or(u64::MAX);
        if let Some(last) = tags.range(..first_open).next_back() {
            self.ack(*last, true).await?;
        }
        for tag in tags.range(first_open..) {
            self.ack(*tag, false).await?;
        }
        Ok(())
    }

    async fn ack(&self, tag: u64, multiple: bool) -> Result<()> {
        let options = BasicAckOptions { multiple };
        asked("acknowledging", self.channel.basic_ack(tag, options)).await
    }
}
