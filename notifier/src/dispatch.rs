//! Sends deliveries: each in a task of its own, in turn within its lane.
//!
//! A lane is what shares a fate: an endpoint, a host, the mail server. Whoever waits, waits
//! in the lane, so that a slow receiver takes neither the hands nor the memory of the others;
//! what does not fit into a lane is put off by a timer.

use crate::breaker::{Admission, BreakerKey, Breakers, CONCURRENCY, Permit};
use crate::client::HttpClient;
use crate::email::{Mail, Mailer};
use crate::job::{Job, Lane, Targets};
use crate::report::Turn;
use crate::request::ScriptRequest;
use crate::webhook::WebhookRequest;
use futures_util::FutureExt;
use smarttasks_model::{DeliveryId, Failpoint, Timestamp};
use smarttasks_store::approvals::Links;
use smarttasks_store::deliveries::Delivery;
use smarttasks_store::{Db, Result};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Mails of one workspace under way at once.
const MAILS: usize = 8;
/// Deliveries of one lane in memory; further ones are put off.
const LANE: usize = 4000;
/// Deliveries in memory altogether; further ones are put off.
const MEMORY: usize = 10_000;
/// By how long.
const PUT_OFF: Duration = Duration::from_secs(5);
/// After waiting this long for its turn, a delivery looks anew where it goes.
const STALE: Duration = Duration::from_secs(5);
/// Sends; cheap to clone.
#[derive(Clone)]
pub(crate) struct Dispatcher(Arc<Inner>);

struct Inner {
    db: Db,
    client: HttpClient,
    mailer: Mailer,
    links: Links,
    breakers: Breakers,
    hands: Semaphore,
    state: Mutex<State>,
    reports: mpsc::Sender<Sent>,
}

#[derive(Default)]
struct State {
    /// Deliveries that are taken up and not yet reported on.
    in_flight: HashSet<DeliveryId>,
    lanes: HashMap<Lane, (Arc<Semaphore>, usize)>,
}

/// What came of a delivery's turn, for the recorder.
pub(crate) struct Sent {
    pub(crate) turn: Turn,
    pub(crate) delivery: Arc<Delivery>,
}

impl Dispatcher {
    pub(crate) fn new(
        db: Db,
        client: HttpClient,
        mailer: Mailer,
        links: Links,
        concurrency: NonZeroUsize,
        reports: mpsc::Sender<Sent>,
    ) -> Self {
        Self(Arc::new(Inner {
            db,
            client,
            mailer,
            links,
            breakers: Breakers::default(),
            hands: Semaphore::new(concurrency.get()),
            state: Mutex::default(),
            reports,
        }))
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.0.state().in_flight.len()
    }

    /// Called once what came of deliveries is recorded.
    pub(crate) fn recorded(&self, ids: impl IntoIterator<Item = DeliveryId>) {
        let mut state = self.0.state();
        for id in ids {
            state.in_flight.remove(&id);
        }
    }

    /// Claims these deliveries, but for those that are being sent already.
    pub(crate) fn claim(&self, ids: impl IntoIterator<Item = DeliveryId>) -> Claim {
        let mut state = self.0.state();
        let ids = ids
            .into_iter()
            .filter(|id| state.in_flight.insert(*id))
            .collect();
        drop(state);
        Claim {
            dispatcher: self.clone(),
            ids,
        }
    }

    /// Starts to send what is committed as taken up by this process; returns at once. What is claimed
    /// and not accepted is let go.
    pub(crate) async fn dispatch(&self, accepted: Vec<Delivery>, mut claim: Claim) {
        let targets = self.targets(&accepted).await;
        let now = self.0.db.clock().now();
        for delivery in accepted {
            let job = match &targets {
                Ok(targets) => targets.job(&delivery, now, &self.0.links),
                Err(_) => Job::Later,
            };
            if !claim.ids.remove(&delivery.id) {
                continue;
            }
            let this = self.clone();
            tokio::spawn(async move { this.send(Arc::new(delivery), job, now).await });
        }
    }

    /// The deliveries are committed, so this is tried until the database answers.
    async fn targets(&self, accepted: &[Delivery]) -> Result<Targets> {
        loop {
            match Targets::load(&self.0.db, accepted).await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "endpoints cannot be read; trying again");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                loaded => {
                    return loaded.inspect_err(|error| {
                        tracing::error!(%error, "what signs webhooks cannot be read; they are put off");
                    });
                }
            }
        }
    }

    async fn send(self, delivery: Arc<Delivery>, job: Job, prepared_at: Timestamp) {
        let turn = AssertUnwindSafe(self.0.turn(&delivery, job, prepared_at))
            .catch_unwind()
            .await;
        // A mistake of ours is one failed turn, and not a delivery that is never heard of again.
        let turn = turn.unwrap_or_else(|_| self.0.put_off(&delivery, PUT_OFF));
        if turn.report.attempt.is_some() {
            Failpoint::Sent.pass();
        }
        let sent = Sent { turn, delivery };
        // The recorder outlives every sender; should it be gone, the recovery timer is left.
        let _ = self.0.reports.send(sent).await;
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Sets and maps of whole entries: nothing is half-done when a panic lets go of them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn turn(&self, delivery: &Delivery, mut job: Job, prepared_at: Timestamp) -> Turn {
        let lane = match &job {
            Job::Mail(_) => Lane::Mail(delivery.workspace_id),
            Job::Webhook(_, key) | Job::Request(_, key) => Lane::Receiver(key.clone()),
            Job::Impossible(reason) => return Turn::impossible(delivery, reason.clone()),
            Job::Later => return self.put_off(delivery, PUT_OFF),
        };
        let Some(place) = self.enter(lane) else {
            return self.put_off(delivery, PUT_OFF);
        };
        // Closed by nobody, so waiting for them cannot fail.
        let _turn = place.turns.acquire().await;
        let _hand = self.hands.acquire().await;
        if self.now().since(prepared_at) > STALE {
            // The endpoint may have been changed, disabled or deleted meanwhile.
            match Targets::load(&self.db, std::slice::from_ref(delivery)).await {
                Ok(targets) => job = targets.job(delivery, self.now(), &self.links),
                Err(error) => {
                    tracing::warn!(%error, "an endpoint cannot be read; putting its delivery off");
                    return self.put_off(delivery, PUT_OFF);
                }
            }
        }
        match job {
            Job::Mail(mail) => self.mail(delivery, &mail).await,
            Job::Webhook(webhook, key) => self.webhook(delivery, *webhook, &key).await,
            Job::Request(request, key) => self.request(delivery, &request, &key).await,
            Job::Impossible(reason) => Turn::impossible(delivery, reason),
            Job::Later => self.put_off(delivery, PUT_OFF),
        }
    }

    async fn mail(&self, delivery: &Delivery, mail: &Mail) -> Turn {
        let at = self.now();
        let attempt = self.mailer.send(mail).await;
        Turn::made(delivery, attempt, at, self.now())
    }

    async fn webhook(
        &self,
        delivery: &Delivery,
        mut webhook: WebhookRequest,
        key: &BreakerKey,
    ) -> Turn {
        let at = self.now();
        let permit = match self.admit(delivery, key, at) {
            Ok(permit) => permit,
            Err(turn) => return *turn,
        };
        webhook.attempted_at = at;
        let attempt = self.client.send_webhook(&webhook).await;
        permit.record(!attempt.is_transient_failure(), self.now());
        let endpoint_is_gone = attempt.endpoint_is_gone();
        Turn {
            endpoint_is_gone,
            ..Turn::made(delivery, attempt, at, self.now())
        }
    }

    async fn request(
        &self,
        delivery: &Delivery,
        request: &ScriptRequest,
        key: &BreakerKey,
    ) -> Turn {
        let at = self.now();
        let permit = match self.admit(delivery, key, at) {
            Ok(permit) => permit,
            Err(turn) => return *turn,
        };
        let (attempt, answer) = self.client.make_request(request, at).await;
        permit.record(!attempt.is_transient_failure(), self.now());
        Turn {
            answer,
            ..Turn::made(delivery, attempt, at, self.now())
        }
    }

    /// The right to one request, or what becomes of the delivery without it.
    fn admit(
        &self,
        delivery: &Delivery,
        key: &BreakerKey,
        at: Timestamp,
    ) -> Result<Permit, Box<Turn>> {
        let turn = match self.breakers.admit(key, at) {
            Admission::Go(permit) => return Ok(permit),
            Admission::Wait => self.put_off(delivery, PUT_OFF),
            Admission::Open { until } => Turn::put_off(delivery, self.now(), until),
        };
        Err(Box::new(turn))
    }

    fn put_off(&self, delivery: &Delivery, by: Duration) -> Turn {
        let now = self.now();
        Turn::put_off(delivery, now, now + by)
    }

    fn now(&self) -> Timestamp {
        self.db.clock().now()
    }

    fn enter(&self, lane: Lane) -> Option<Place<'_>> {
        let mut state = self.state();
        if state.in_flight.len() > MEMORY {
            return None;
        }
        let width = match lane {
            Lane::Mail(_) => MAILS,
            Lane::Receiver(_) => CONCURRENCY as usize,
        };
        let (turns, inside) = state
            .lanes
            .entry(lane.clone())
            .or_insert_with(|| (Arc::new(Semaphore::new(width)), 0));
        if *inside >= LANE {
            return None;
        }
        *inside += 1;
        let turns = Arc::clone(turns);
        Some(Place {
            inner: self,
            lane,
            turns,
        })
    }
}

/// A place in a lane, given back however the turn ends.
struct Place<'a> {
    inner: &'a Inner,
    lane: Lane,
    turns: Arc<Semaphore>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if let Some((_, inside)) = state.lanes.get_mut(&self.lane) {
            *inside -= 1;
            if *inside == 0 {
                state.lanes.remove(&self.lane);
            }
        }
    }
}

/// Deliveries that nobody else in this process may send, until they are dispatched or this is
/// dropped.
pub(crate) struct Claim {
    dispatcher: Dispatcher,
    ids: HashSet<DeliveryId>,
}

impl Claim {
    pub(crate) fn ids(&self) -> impl Iterator<Item = DeliveryId> {
        self.ids.iter().copied()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.dispatcher.recorded(self.ids.drain());
    }
}
