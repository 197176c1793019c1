//! Sends deliveries: each in a task of its own, in turn within its lane.
//!
//! A lane is what shares a fate: an endpoint, a bare URL, the mail server. Whoever waits, waits
//! in the lane, so that a slow receiver takes neither the hands nor the memory of the others;
//! what does not fit into a lane is put off by a timer.

use crate::breaker::{Admission, BreakerKey, Breakers, CONCURRENCY};
use crate::email::{Mail, Mailer};
use crate::ladder;
use crate::outcome::{Attempt, SendError};
use crate::webhook::{WebhookRequest, WebhookSender};
use futures_util::FutureExt;
use smarttasks_model::{DeliveryId, Recipient, SigningSecret, Timestamp, WebhookUrl, WorkspaceId};
use smarttasks_store::deliveries::{self, Content, Delivery, Outcome, Report};
use smarttasks_store::endpoints::{self, Endpoint};
use smarttasks_store::{Db, Result, workspaces};
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
/// After this long without an end a delivery is given up: longer than the whole ladder takes.
const GIVEN_UP: Duration = Duration::from_secs(36 * 3600);

/// Sends; cheap to clone.
#[derive(Clone)]
pub(crate) struct Dispatcher(Arc<Inner>);

struct Inner {
    db: Db,
    webhooks: WebhookSender,
    mailer: Mailer,
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

#[derive(Clone, PartialEq, Eq, Hash)]
enum Lane {
    Mail(WorkspaceId),
    Webhook(BreakerKey),
}

/// What came of a delivery's turn, for the recorder.
pub(crate) struct Sent {
    pub(crate) report: Report,
    pub(crate) delivery: Arc<Delivery>,
    /// The receiver asked to be left alone.
    pub(crate) endpoint_is_gone: bool,
}

/// A delivery with what is needed to send it.
enum Job {
    Mail(Box<Mail>),
    Webhook(Box<WebhookRequest>, BreakerKey),
    /// It cannot be sent at all.
    Impossible(String),
    /// It cannot be sent now.
    Later,
}

impl Dispatcher {
    pub(crate) fn new(
        db: Db,
        webhooks: WebhookSender,
        mailer: Mailer,
        breakers: Breakers,
        concurrency: NonZeroUsize,
        reports: mpsc::Sender<Sent>,
    ) -> Self {
        Self(Arc::new(Inner {
            db,
            webhooks,
            mailer,
            breakers,
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
                Ok(targets) => targets.job(&delivery, now),
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
        let (report, endpoint_is_gone) =
            turn.unwrap_or_else(|_| (self.0.put_off(&delivery, self.0.now() + PUT_OFF), false));
        let sent = Sent {
            report,
            delivery,
            endpoint_is_gone,
        };
        // The recorder outlives every sender; should it be gone, the recovery timer is left.
        let _ = self.0.reports.send(sent).await;
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Sets and maps of whole entries: nothing is half-done when a panic lets go of them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn turn(
        &self,
        delivery: &Delivery,
        mut job: Job,
        prepared_at: Timestamp,
    ) -> (Report, bool) {
        let lane = match &job {
            Job::Mail(_) => Lane::Mail(delivery.workspace_id),
            Job::Webhook(_, key) => Lane::Webhook(key.clone()),
            Job::Impossible(reason) => return (impossible(delivery, reason.clone()), false),
            Job::Later => return (self.put_off(delivery, self.now() + PUT_OFF), false),
        };
        let Some(place) = self.enter(lane) else {
            return (self.put_off(delivery, self.now() + PUT_OFF), false);
        };
        // Closed by nobody, so waiting for them cannot fail.
        let _turn = place.turns.acquire().await;
        let _hand = self.hands.acquire().await;
        if self.now().since(prepared_at) > STALE {
            // The endpoint may have been changed, disabled or deleted meanwhile.
            match Targets::load(&self.db, std::slice::from_ref(delivery)).await {
                Ok(targets) => job = targets.job(delivery, self.now()),
                Err(error) => {
                    tracing::warn!(%error, "an endpoint cannot be read; putting its delivery off");
                    return (self.put_off(delivery, self.now() + PUT_OFF), false);
                }
            }
        }
        match job {
            Job::Mail(mail) => self.mail(delivery, &mail).await,
            Job::Webhook(request, key) => self.webhook(delivery, *request, &key).await,
            Job::Impossible(reason) => (impossible(delivery, reason), false),
            Job::Later => (self.put_off(delivery, self.now() + PUT_OFF), false),
        }
    }

    async fn mail(&self, delivery: &Delivery, mail: &Mail) -> (Report, bool) {
        let at = self.now();
        let attempt = self.mailer.send(mail).await;
        (self.report(delivery, at, attempt), false)
    }

    async fn webhook(
        &self,
        delivery: &Delivery,
        mut request: WebhookRequest,
        key: &BreakerKey,
    ) -> (Report, bool) {
        let at = self.now();
        let permit = match self.breakers.admit(key, at) {
            Admission::Go(permit) => permit,
            Admission::Wait => return (self.put_off(delivery, at + PUT_OFF), false),
            Admission::Open { until } => return (self.put_off(delivery, until), false),
        };
        request.attempted_at = at;
        let attempt = self.webhooks.send(&request).await;
        permit.record(!attempt.is_transient_failure(), self.now());
        let is_gone = attempt.endpoint_is_gone();
        (self.report(delivery, at, attempt), is_gone)
    }

    fn report(&self, delivery: &Delivery, at: Timestamp, attempt: Attempt) -> Report {
        let number = delivery.attempts_made + 1;
        let channel = delivery.content.channel().as_str();
        let outcome = match &attempt.error {
            None => Outcome::Delivered,
            Some(SendError::Permanent(reason)) => Outcome::Failed(reason.to_string()),
            Some(SendError::Transient {
                reason,
                retry_after,
            }) => {
                let made = u32::try_from(number).unwrap_or(u32::MAX);
                match ladder::next_attempt(delivery.id, made, self.now(), *retry_after) {
                    Some(next) => Outcome::Retry(next),
                    None => Outcome::Failed(format!("given up after {number} attempts: {reason}")),
                }
            }
        };
        let (label, reason) = match (&outcome, &attempt.error) {
            (Outcome::Delivered, _) | (_, None) => ("delivered", "none"),
            (Outcome::Retry(_), Some(error)) => ("retry", error.reason().label()),
            (Outcome::Failed(_), Some(error)) => ("failed", error.reason().label()),
        };
        metrics::counter!("smarttasks_delivery_attempts_total",
            "channel" => channel, "outcome" => label, "reason" => reason)
        .increment(1);
        tracing::info!(
            delivery.id = %delivery.id,
            trace.id = delivery.traceparent.map(|parent| parent.trace_id()),
            attempt = number,
            status = attempt.status_code,
            reason,
            "{channel} {label}"
        );
        metrics::histogram!("smarttasks_delivery_attempt_duration_seconds", "channel" => channel)
            .record(Duration::from_millis(attempt.duration_ms));
        Report {
            delivery_id: delivery.id,
            attempt: Some(deliveries::Attempt {
                number,
                at,
                status_code: attempt.status_code,
                duration_ms: i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX),
                error: attempt.error.map(|error| error.reason().to_string()),
                response: attempt.response,
            }),
            outcome,
        }
    }

    fn put_off(&self, delivery: &Delivery, until: Timestamp) -> Report {
        metrics::counter!("smarttasks_deliveries_put_off_total").increment(1);
        let outcome = match self.now().since(delivery.created_at) > GIVEN_UP {
            true => Outcome::Failed(
                "given up: its receiver has not answered for a day and a half".to_owned(),
            ),
            false => Outcome::Retry(until),
        };
        Report {
            delivery_id: delivery.id,
            attempt: None,
            outcome,
        }
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
            Lane::Webhook(_) => CONCURRENCY as usize,
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

fn impossible(delivery: &Delivery, reason: String) -> Report {
    Report {
        delivery_id: delivery.id,
        attempt: None,
        outcome: Outcome::Failed(reason),
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

/// Where the webhooks of a batch go and what signs them.
struct Targets {
    endpoints: HashMap<smarttasks_model::EndpointId, Endpoint>,
    secrets: HashMap<WorkspaceId, SigningSecret>,
}

impl Targets {
    async fn load(db: &Db, accepted: &[Delivery]) -> Result<Self> {
        let ids: HashSet<_> = accepted
            .iter()
            .filter_map(|delivery| delivery.endpoint_id)
            .collect();
        let bare: HashSet<_> = accepted
            .iter()
            .filter(|delivery| matches!(delivery.content, Content::Webhook { .. }))
            .filter(|delivery| delivery.endpoint_id.is_none())
            .map(|delivery| delivery.workspace_id)
            .collect();
        let mut secrets = HashMap::new();
        for workspace in bare {
            secrets.insert(workspace, workspaces::webhook_secret(db, workspace).await?);
        }
        Ok(Self {
            endpoints: endpoints::by_ids(db, ids).await?,
            secrets,
        })
    }

    fn job(&self, delivery: &Delivery, now: Timestamp) -> Job {
        match &delivery.content {
            Content::Email {
                name,
                subject,
                text,
                html,
            } => match delivery.recipient.parse() {
                Ok(email) => Job::Mail(Box::new(Mail {
                    delivery_id: delivery.id,
                    workspace_id: delivery.workspace_id,
                    created_at: delivery.created_at,
                    to: Recipient {
                        email,
                        name: name.clone(),
                        user_id: None,
                    },
                    subject: subject.clone(),
                    text: text.clone(),
                    html: html.clone(),
                })),
                Err(error) => Job::Impossible(error.to_string()),
            },
            Content::Webhook { body } => match self.target(delivery) {
                Ok(target) => Job::Webhook(
                    Box::new(WebhookRequest {
                        delivery_id: delivery.id,
                        url: target.url,
                        headers: target.headers,
                        secret: target.secret,
                        retiring_secrets: target.retiring,
                        body: body.clone().into(),
                        traceparent: delivery.traceparent.map(|parent| parent.child()),
                        attempted_at: now,
                    }),
                    target.key,
                ),
                Err(reason) => Job::Impossible(reason),
            },
        }
    }

    fn target(&self, delivery: &Delivery) -> Result<Target, String> {
        let Some(id) = delivery.endpoint_id else {
            let url: WebhookUrl = delivery
                .recipient
                .parse()
                .map_err(|error| format!("{error}"))?;
            let secret = self.secrets.get(&delivery.workspace_id).cloned();
            return Ok(Target {
                // By host: another path of it is the same receiver.
                key: BreakerKey::Url(delivery.workspace_id, origin(&url)),
                url,
                headers: Default::default(),
                secret: secret.ok_or_else(|| "the workspace is gone".to_owned())?,
                retiring: Vec::new(),
            });
        };
        let endpoint = self
            .endpoints
            .get(&id)
            .ok_or_else(|| "the endpoint is gone".to_owned())?;
        if !endpoint.enabled {
            return Err("the endpoint is disabled".to_owned());
        }
        let mut secrets = endpoint.secrets.iter().cloned();
        Ok(Target {
            url: endpoint.url.clone(),
            headers: endpoint.headers.clone(),
            secret: secrets
                .next()
                .ok_or_else(|| "the endpoint has no secret".to_owned())?,
            retiring: secrets.collect(),
            key: BreakerKey::Endpoint(id),
        })
    }
}

struct Target {
    url: WebhookUrl,
    headers: smarttasks_model::HeaderSet,
    secret: SigningSecret,
    retiring: Vec<SigningSecret>,
    key: BreakerKey,
}

fn origin(url: &WebhookUrl) -> WebhookUrl {
    url.as_url()
        .join("/")
        .ok()
        .and_then(|origin| origin.as_str().parse().ok())
        .unwrap_or_else(|| url.clone())
}
