//! The relay to RabbitMQ: the only publisher of what is in the outbox.
//!
//! It publishes what its process has just committed, keeps a window of confirms in flight, and
//! deletes in bulk what was confirmed. Whatever goes wrong, a message that was not confirmed
//! stays in the table; when its lease runs out, the poll of some relay takes it. While the broker
//! is away, rows wait in memory, and those whose lease still holds are published first when it
//! comes back.

use super::Shared;
use super::connection::{self, ANSWER, Backoff, Link, asked};
use super::flights::{Flights, Row};
use crate::Result;
use crate::error::chain;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Event};
use smarttasks_model::Failpoint;
use smarttasks_store::outbox::{self, Outgoing};
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Most messages that are published and not confirmed.
const WINDOW: usize = 1000;
/// How often confirms are looked at, and what they confirm is deleted.
const LOOK: Duration = Duration::from_millis(20);
/// How often rows whose lease has run out are looked for.
const POLL: Duration = Duration::from_secs(1);
/// Most rows taken from the table at once.
const CLAIM: usize = 500;
/// How long the last messages may take once the relay is told to stop.
const DRAIN: Duration = Duration::from_secs(5);
/// How often at most it is logged that the broker did not take messages.
const REPEAT: Duration = Duration::from_secs(10);
/// A channel on which a queue has taken nothing for so long is replaced.
const REFUSED: Duration = Duration::from_secs(4);
/// The relay's name in reports of health.
const PART: &str = "publisher";

/// Publishes the outbox of one process.
pub(super) struct Relay<'a> {
    shared: &'a Shared,
    /// In memory and not published on a living channel.
    waiting: VecDeque<Arc<Row>>,
    flights: Flights,
    /// Confirmed, and to be deleted.
    confirmed: Vec<i64>,
    /// Being deleted.
    deleting: Vec<i64>,
    deletion: Option<JoinHandle<Result<()>>>,
    /// Every row above: none is taken twice.
    known: HashSet<i64>,
    claim: Option<JoinHandle<Result<Vec<Outgoing>>>>,
    next_look: Instant,
    next_poll: Instant,
    refusals: Refusals,
    /// The queues for which this channel was refused everything, and since when.
    refused: HashMap<&'static str, Instant>,
}

/// A live channel to publish on.
struct Session {
    link: Arc<Link>,
    channel: Arc<Channel>,
    events: BoxStream<'static, Event>,
    blocked: bool,
}

/// What happens next.
enum Next {
    Stop,
    Handed(Option<Outgoing>),
    Claimed(Result<Vec<Outgoing>>),
    Deleted(Result<()>),
    Look,
    Poll,
    Told(Option<Event>),
}

impl<'a> Relay<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        shared.health.set(PART, Err("not connected yet".to_owned()));
        Self {
            shared,
            waiting: VecDeque::new(),
            flights: Flights::default(),
            confirmed: Vec::new(),
            deleting: Vec::new(),
            deletion: None,
            known: HashSet::new(),
            claim: None,
            next_look: Instant::now(),
            next_poll: Instant::now(),
            refusals: Refusals::default(),
            refused: HashMap::new(),
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let reason = match stop.run_until_cancelled(Session::open(self.shared)).await {
                None => break,
                Some(Err(error)) => chain(&error),
                Some(Ok(mut session)) => {
                    tracing::info!("publishing to the broker");
                    self.shared.health.set(PART, session.health());
                    backoff.reset();
                    let ended = self.serve(&mut session, &stop).await;
                    if ended.is_ok() {
                        self.drain(&mut session).await;
                    }
                    self.salvage();
                    session.close(ended.is_ok()).await;
                    match ended {
                        Ok(()) => break,
                        Err(reason) => reason,
                    }
                }
            };
            tracing::warn!(reason, "nothing is published; trying to connect again");
            self.shared.health.set(PART, Err(reason));
            stop.run_until_cancelled(sleep(backoff.next())).await;
        }
        self.let_go().await;
    }

    /// Publishes until told to stop, or until the channel is of no use any more.
    async fn serve(
        &mut self,
        session: &mut Session,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        self.next_poll = Instant::now();
        self.refused.clear();
        loop {
            self.publish_waiting(session);
            match self.next(session, stop).await {
                Next::Stop => return Ok(()),
                Next::Handed(Some(outgoing)) => self.accept(outgoing),
                // The database is closing.
                Next::Handed(None) => return Ok(()),
                Next::Claimed(claimed) => self.claimed(claimed),
                Next::Deleted(outcome) => self.deleted(outcome),
                Next::Look => self.look(session)?,
                Next::Poll => self.poll(session)?,
                Next::Told(told) => self.told(session, told)?,
            }
        }
    }

    async fn next(&mut self, session: &mut Session, stop: &CancellationToken) -> Next {
        let looking = !self.flights.is_empty() || !self.confirmed.is_empty();
        let room = session.room(&self.flights) > 0 && self.waiting.is_empty();
        tokio::select! {
            () = stop.cancelled() => Next::Stop,
            told = session.events.next() => Next::Told(told),
            outcome = finished(&mut self.deletion) => Next::Deleted(outcome),
            claimed = finished(&mut self.claim) => Next::Claimed(claimed),
            () = sleep_until(self.next_look), if looking => Next::Look,
            () = sleep_until(self.next_poll) => Next::Poll,
            outgoing = self.shared.db.handed_over(), if room => Next::Handed(outgoing),
        }
    }

    fn accept(&mut self, outgoing: Outgoing) {
        let id = outgoing.id;
        let Some(row) = Row::of(outgoing) else {
            tracing::error!(
                message.id = id,
                "the outbox of this database is for its own process"
            );
            return;
        };
        if self.known.insert(id) {
            Failpoint::Claimed.pass();
            self.waiting.push_back(Arc::new(row));
        }
    }

    fn publish_waiting(&mut self, session: &Session) {
        while session.room(&self.flights) > 0
            && let Some(row) = self.waiting.pop_front()
        {
            if row.wire.leased_until <= self.shared.db.clock().now() {
                // It is anybody's now, and so found by the poll.
                self.known.remove(&row.id);
                self.next_poll = Instant::now();
                continue;
            }
            if self.flights.is_empty() {
                self.next_look = Instant::now() + LOOK;
            }
            let exchange = self.shared.topology.exchange(row.queue);
            self.flights.publish(&session.channel, exchange.into(), row);
        }
    }

    /// Deletes what was confirmed.
    fn look(&mut self, session: &Session) -> Result<(), String> {
        self.next_look = Instant::now() + LOOK;
        let failed = self.take_confirms();
        self.delete();
        if let Some(error) = failed {
            return Err(chain(&error));
        }
        if !session.blocked && self.flights.is_overdue(ANSWER) {
            return Err(format!("a message was not confirmed within {ANSWER:?}"));
        }
        Ok(())
    }

    fn take_confirms(&mut self) -> Option<lapin::Error> {
        let found = self.flights.look();
        for row in &found.confirmed {
            self.shared.counted.published(row.queue.as_str(), 1);
            self.refused.remove(row.queue.as_str());
            self.confirmed.push(row.id);
        }
        for (row, why) in &found.refused {
            let (queue, reason) = (row.queue.as_str(), why.as_str());
            self.shared.counted.refused(queue, reason);
            self.refusals.add(queue, reason);
            self.refused.entry(queue).or_insert_with(Instant::now);
            // Its lease runs out, and then it is tried again.
            self.known.remove(&row.id);
        }
        metrics::gauge!("smarttasks_bus_unconfirmed").set(self.flights.len() as f64);
        found.error
    }

    fn delete(&mut self) {
        if self.deletion.is_none() && !self.confirmed.is_empty() {
            Failpoint::Published.pass();
            self.deleting = std::mem::take(&mut self.confirmed);
            let (db, ids) = (self.shared.db.clone(), self.deleting.clone());
            let deletion = async move { Ok(outbox::confirm(&db, ids).await?) };
            self.deletion = Some(tokio::spawn(deletion));
        }
    }

    fn deleted(&mut self, outcome: Result<()>) {
        let ids = std::mem::take(&mut self.deleting);
        match outcome {
            Ok(()) => {
                for id in ids {
                    self.known.remove(&id);
                }
            }
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(
                    error,
                    "what the broker has taken cannot be deleted; trying again"
                );
                self.confirmed.extend(ids);
                self.next_look = Instant::now() + POLL;
            }
        }
    }

    /// Looks for rows whose lease has run out.
    fn poll(&mut self, session: &Session) -> Result<(), String> {
        self.next_poll = Instant::now() + POLL;
        if !session.link.is_up() {
            return Err("the connection is gone".to_owned());
        }
        // RabbitMQ remembers by channel that a queue was full, and may not notice there that it is not
        // any more (seen in 3.10 when a policy with the limit goes away).
        if let Some((queue, _)) = self
            .refused
            .iter()
            .find(|(_, since)| since.elapsed() > REFUSED)
        {
            return Err(format!("the broker takes no {queue} on this channel"));
        }
        let room = session.room(&self.flights).min(CLAIM);
        if room > 0 && self.waiting.is_empty() && self.claim.is_none() {
            let db = self.shared.db.clone();
            let claim = async move { Ok(outbox::claim(&db, room as u64).await?) };
            self.claim = Some(tokio::spawn(claim));
        }
        Ok(())
    }

    fn claimed(&mut self, claimed: Result<Vec<Outgoing>>) {
        match claimed {
            Ok(rows) => {
                if !rows.is_empty() {
                    // There may be more.
                    self.next_poll = Instant::now();
                }
                rows.into_iter().for_each(|row| self.accept(row));
            }
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(error, "the outbox cannot be read; trying again");
            }
        }
    }

    fn told(&mut self, session: &mut Session, told: Option<Event>) -> Result<(), String> {
        match told {
            Some(Event::ConnectionBlocked(reason)) => {
                tracing::warn!(
                    reason,
                    "the broker takes no messages; they wait in the outbox"
                );
                let reason = format!("blocked by the broker: {reason}");
                self.shared.health.set(PART, Err(reason));
                session.blocked = true;
            }
            Some(Event::ConnectionUnblocked) => {
                tracing::info!("the broker takes messages again");
                self.shared.health.set(PART, Ok(()));
                session.blocked = false;
                self.flights.restart_clocks();
                self.next_poll = Instant::now();
            }
            Some(Event::Error(error)) => return Err(chain(&error)),
            Some(_) => {}
            None => return Err("the connection is gone".to_owned()),
        }
        Ok(())
    }

    /// Publishes what this process has committed by now, and waits for it, within [`DRAIN`].
    async fn drain(&mut self, session: &mut Session) {
        let deadline = sleep(DRAIN);
        tokio::pin!(deadline);
        loop {
            while let Some(Some(outgoing)) = self.shared.db.handed_over().now_or_never() {
                self.accept(outgoing);
            }
            self.publish_waiting(session);
            if self.known.is_empty() || session.blocked {
                return;
            }
            tokio::select! {
                () = &mut deadline => return,
                told = session.events.next() => {
                    if self.told(session, told).is_err() {
                        return;
                    }
                }
                outcome = finished(&mut self.deletion) => self.deleted(outcome),
                () = sleep_until(self.next_look) => {
                    if self.look(session).is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Keeps what a channel that has ended leaves behind.
    fn salvage(&mut self) {
        // What was acknowledged at the last moment is certain with the next look.
        for _ in 0..2 {
            self.take_confirms();
        }
        self.delete();
        for row in self.flights.abandon().into_iter().rev() {
            self.waiting.push_front(row);
        }
    }

    /// Deletes what was confirmed, and leaves the rest to others at once.
    async fn let_go(mut self) {
        let farewell = async {
            while self.deletion.is_some() || !self.confirmed.is_empty() {
                self.delete();
                let outcome = finished(&mut self.deletion).await;
                self.deleted(outcome);
                if !self.confirmed.is_empty() {
                    return;
                }
            }
            while let Some(Some(outgoing)) = self.shared.db.handed_over().now_or_never() {
                self.accept(outgoing);
            }
            let ids: Vec<i64> = self.known.iter().copied().collect();
            if !ids.is_empty() {
                tracing::info!(messages = ids.len(), "messages are left to other relays");
                // When that fails, their leases run out.
                let _ = outbox::release(&self.shared.db, ids).await;
            }
        };
        if timeout(DRAIN, farewell).await.is_err() {
            tracing::warn!("the last messages are left to other relays once their leases run out");
        }
    }
}

impl Session {
    async fn open(shared: &Shared) -> Result<Self> {
        let link = shared.publishing.declared().await?;
        let events = link.events();
        let channel = link.channel().await?;
        let options = ConfirmSelectOptions::default();
        asked("asking for confirms", channel.confirm_select(options)).await?;
        let blocked = link.is_blocked();
        Ok(Self {
            link,
            channel: Arc::new(channel),
            events,
            blocked,
        })
    }

    /// How many messages may be published now.
    fn room(&self, flights: &Flights) -> usize {
        if self.blocked {
            0
        } else {
            WINDOW.saturating_sub(flights.len())
        }
    }

    fn health(&self) -> Result<(), String> {
        if self.blocked {
            return Err("blocked by the broker".to_owned());
        }
        Ok(())
    }

    async fn close(self, friendly: bool) {
        if friendly && !self.blocked {
            // A broker that does not answer is left without a goodbye.
            let _ = asked("closing a channel", self.channel.close(200, "OK".into())).await;
        } else {
            // Others on the connection must not go on with what is broken.
            self.link.cut();
        }
        drop(self.channel);
        connection::release(self.link).await;
    }
}

/// The outcome of a task, once there is a task and it has ended.
async fn finished<T>(task: &mut Option<JoinHandle<Result<T>>>) -> Result<T> {
    let Some(running) = task else {
        return pending().await;
    };
    let outcome = running.await;
    *task = None;
    outcome.unwrap_or_else(|_| Err(smarttasks_store::Error::Panicked.into()))
}

/// Messages that the broker did not take, logged from time to time.
#[derive(Default)]
struct Refusals {
    unsaid: u64,
    last_said: Option<Instant>,
}

impl Refusals {
    fn add(&mut self, queue: &str, reason: &str) {
        self.unsaid += 1;
        if self.last_said.is_some_and(|at| at.elapsed() < REPEAT) {
            return;
        }
        tracing::warn!(
            messages = self.unsaid,
            queue,
            reason,
            "the broker did not take messages, for want of a queue or of room in it; they are \
             tried again when their leases run out"
        );
        self.unsaid = 0;
        self.last_said = Some(Instant::now());
    }
}
