//! Takes notifications from the queue: a delivery for each recipient, committed before it is
//! sent.

use crate::client::HttpClient;
use crate::dispatch::Dispatcher;
use crate::email::Mailer;
use crate::recorder::{self, Recorder};
use crate::webhook;
use smarttasks_bus::{Batch, Handler, HandlerError};
use smarttasks_model::{
    Content, DeliveryId, Email, Message, Notification, Recipient, Timestamp, WebhookTarget,
    WorkspaceId,
};
use smarttasks_store::approvals::Links;
use smarttasks_store::deliveries::{self, Delivery, Question, Status};
use smarttasks_store::{Db, Due, Queue, Result, Timer, Tx, instances, timers, workspaces};
use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// After this long a delivery that nobody has reported on is taken up again, whatever has become
/// of it. That of a process that is gone is taken up as soon as that is known.
const RECOVERY: Duration = Duration::from_secs(24 * 3600);
/// The time over which mails to people who are no members are counted.
const HOUR: Duration = Duration::from_secs(3600);

/// How notifications are taken.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where people reach the gateway: what links in mails begin with.
    pub public_url: String,
    /// Mails per workspace and hour to addresses that are no member's.
    pub external_per_hour: u32,
    /// Attempts under way at once.
    pub concurrency: NonZeroUsize,
}

/// The consumer of notifications.
pub struct Notifier {
    db: Db,
    settings: Settings,
    dispatcher: Dispatcher,
    recorder: Recorder,
}

impl Notifier {
    /// A notifier on `db` that sends by these channels. [`Notifier::record`] must run beside it.
    pub fn new(db: Db, settings: Settings, client: HttpClient, mailer: Mailer) -> Self {
        metrics::counter!("smarttasks_deliveries_put_off_total").increment(0);
        let (reports, recorder) = recorder::channel(db.clone());
        let dispatcher = Dispatcher::new(
            db.clone(),
            client,
            mailer,
            Links::new(db.vault(), &settings.public_url),
            settings.concurrency,
            reports,
        );
        Self {
            db,
            settings,
            dispatcher,
            recorder,
        }
    }

    /// Records what comes of attempts, until told to stop and nothing is under way any more.
    pub async fn record(&self, stop: CancellationToken) {
        self.recorder.run(&self.dispatcher, stop).await;
    }

    /// Says again and again that this process lives, for as long as it does: otherwise others take
    /// up what it is sending. At the end it hands over what is left.
    pub async fn stay_alive(&self, stop: CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(instances::INTERVAL))
            .await
            .is_some()
        {
            if let Err(error) = instances::beat(&self.db).await {
                tracing::warn!(%error, "the database could not be told that this process lives");
            }
        }
        if let Err(error) = instances::leave(&self.db).await {
            tracing::warn!(%error, "what is left could not be handed over; others find it");
        }
    }

    /// How many attempts are under way or waiting for their turn.
    pub fn in_flight(&self) -> usize {
        self.dispatcher.in_flight()
    }
}

impl Handler for Notifier {
    const QUEUE: Queue = Queue::Notifications;

    async fn handle(&self, batch: Batch) -> Result<(), HandlerError> {
        let external_per_hour = u64::from(self.settings.external_per_hour);
        let asked: Arc<Asked> = Arc::new(Asked::by(&batch));
        // What this process is sending already is left as it is; what is claimed here cannot be
        // finished between our reading and our sending it.
        let claim = self.dispatcher.claim(asked.ids());
        let claimed: Arc<HashSet<DeliveryId>> = Arc::new(claim.ids().collect());
        let accepted = self
            .db
            .write(move |tx| {
                let (batch, asked) = (batch.clone(), Arc::clone(&asked));
                let claimed = Arc::clone(&claimed);
                Box::pin(async move {
                    batch.settle(tx);
                    accept(tx, &asked, &claimed, external_per_hour).await
                })
            })
            .await?;
        self.dispatcher.dispatch(accepted, claim).await;
        Ok(())
    }
}

/// What the messages of a batch ask for.
struct Asked {
    /// To be made, and sent.
    new: Vec<Delivery>,
    /// To be sent again.
    due: Vec<DeliveryId>,
}

impl Asked {
    fn by(batch: &Batch) -> Self {
        let (mut new, mut due) = (Vec::new(), Vec::new());
        for message in batch.messages() {
            match message {
                Message::Notification(notification) => new.extend(deliveries_of(notification)),
                Message::Delivery(id) => due.push(*id),
                Message::Event(_)
                | Message::Sweep(_)
                | Message::Wake(_)
                | Message::Waiters(_)
                | Message::EndRuns(_) => {}
            }
        }
        Self { new, due }
    }

    fn ids(&self) -> impl Iterator<Item = DeliveryId> {
        let new = self.new.iter().map(|delivery| delivery.id);
        new.chain(self.due.iter().copied())
    }
}

/// Commits what was asked for, and returns what is to be sent now.
async fn accept(
    tx: &mut Tx,
    asked: &Asked,
    claimed: &HashSet<DeliveryId>,
    external_per_hour: u64,
) -> Result<Vec<Delivery>> {
    let mut new = asked.new.clone();
    let existing = deliveries::existing(tx, new.iter().map(|delivery| delivery.id)).await?;
    let mut seen = existing.clone();
    new.retain(|delivery| seen.insert(delivery.id));
    suppress_external(tx, &mut new, external_per_hour).await?;
    for delivery in &new {
        deliveries::insert(tx, delivery)?;
    }
    let mut to_send = new;
    to_send.retain(|delivery| delivery.status == Status::Pending);
    to_send.extend(again(tx, &asked.due, existing, claimed).await?);
    for delivery in &to_send {
        tx.schedule(Timer {
            fire_at: tx.now() + RECOVERY,
            workspace_id: Some(delivery.workspace_id),
            due: Due::DeliveryRecovery {
                delivery_id: delivery.id,
            },
        });
    }
    Ok(to_send)
}

/// Which of the deliveries that exist are to be sent now: those that are due, unless somebody is
/// sending them; and those that this process has taken up without knowing it, because it was not
/// told that the transaction had been committed.
async fn again(
    tx: &Tx,
    due: &[DeliveryId],
    existing: HashSet<DeliveryId>,
    claimed: &HashSet<DeliveryId>,
) -> Result<Vec<Delivery>> {
    let due: HashSet<DeliveryId> = due.iter().copied().collect();
    let candidates = due.iter().copied().chain(existing);
    let mut pending = deliveries::pending(tx, candidates).await?;
    let owners = timers::owners(tx, pending.iter().map(|delivery| delivery.id)).await?;
    pending.retain(|delivery| {
        claimed.contains(&delivery.id)
            && match owners.get(&delivery.id) {
                Some(owner) => *owner == tx.instance(),
                None => due.contains(&delivery.id),
            }
    });
    Ok(pending)
}

fn deliveries_of(notification: &Notification) -> Vec<Delivery> {
    match &notification.content {
        Content::Email {
            to,
            subject,
            text,
            html,
        } => to
            .iter()
            .map(|to| {
                let content = deliveries::Content::Email {
                    name: to.name.clone(),
                    subject: subject.clone(),
                    text: text.clone(),
                    html: html.clone(),
                    question: None,
                };
                mail(notification, to, content)
            })
            .collect(),
        Content::Approval {
            to,
            approval_id,
            expires_at,
            subject,
            text,
            html,
        } => {
            let content = deliveries::Content::Email {
                name: to.name.clone(),
                subject: subject.clone(),
                text: text.clone(),
                html: Some(html.clone()),
                question: Some(Question {
                    approval_id: *approval_id,
                    expires_at: *expires_at,
                }),
            };
            vec![mail(notification, to, content)]
        }
        Content::Webhook {
            target,
            kind,
            timestamp,
            data,
        } => {
            let body = webhook::payload(kind, *timestamp, data);
            let body = String::from_utf8_lossy(&body).into_owned();
            let content = deliveries::Content::Webhook { body };
            let (key, url, endpoint) = match target {
                WebhookTarget::Endpoint(id) => (id.to_string(), String::new(), Some(*id)),
                WebhookTarget::Url(url) => (url.clone(), url.clone(), None),
            };
            let mut delivery = delivery(notification, &key, url, content);
            delivery.endpoint_id = endpoint;
            vec![delivery]
        }
        Content::Http {
            request,
            wait,
            until,
        } => {
            let content = deliveries::Content::Http {
                request: request.clone(),
                wait: *wait,
                until: *until,
            };
            let url = request.url.clone();
            vec![delivery(notification, &url, url.clone(), content)]
        }
    }
}

fn mail(notification: &Notification, to: &Recipient, content: deliveries::Content) -> Delivery {
    let address = to.email.as_str().to_owned();
    Delivery {
        // Until its address is known to be a member's.
        external: true,
        ..delivery(notification, &to.email.key(), address, content)
    }
}

fn delivery(
    notification: &Notification,
    key: &str,
    recipient: String,
    content: deliveries::Content,
) -> Delivery {
    Delivery {
        id: DeliveryId::of(notification.id, notification.created_at, key),
        workspace_id: notification.workspace_id,
        notification_id: notification.id,
        status: Status::Pending,
        reason: None,
        rule_id: notification.rule_id,
        run_id: notification.run_id,
        task_id: notification.task_id,
        endpoint_id: None,
        recipient,
        external: false,
        content,
        traceparent: notification.traceparent,
        depth: notification.depth,
        attempts_made: 0,
        created_at: notification.created_at,
        next_attempt_at: Some(notification.created_at),
        finished_at: None,
    }
}

/// Suppresses the mails to people who are no members above what a workspace may send in an hour:
/// a rule must not make us a sender of unsolicited mail.
async fn suppress_external(tx: &Tx, new: &mut [Delivery], per_hour: u64) -> Result<()> {
    // In order, so that two notifiers do not lock each other out.
    let mut addresses: BTreeMap<WorkspaceId, Vec<Email>> = BTreeMap::new();
    for delivery in new.iter().filter(|delivery| delivery.external) {
        if let Ok(email) = delivery.recipient.parse() {
            addresses
                .entry(delivery.workspace_id)
                .or_default()
                .push(email);
        }
    }
    for (workspace, addresses) in addresses {
        let members = workspaces::member_emails(tx, workspace, &addresses).await?;
        let mut sent = match addresses.iter().all(|email| members.contains(&email.key())) {
            true => 0,
            false => {
                // Two notifiers that count at once would both find room.
                workspaces::lock(tx, workspace).await?;
                deliveries::count_external(tx, workspace, tx.now() - HOUR).await?
            }
        };
        let of_workspace = new
            .iter_mut()
            .filter(|delivery| delivery.external && delivery.workspace_id == workspace);
        for delivery in of_workspace {
            limit(delivery, &members, &mut sent, per_hour, tx.now());
        }
    }
    Ok(())
}

fn limit(
    delivery: &mut Delivery,
    members: &HashSet<String>,
    sent: &mut u64,
    per_hour: u64,
    now: Timestamp,
) {
    delivery.external = !members.contains(&delivery.recipient.to_ascii_lowercase());
    if !delivery.external {
        return;
    }
    if *sent >= per_hour {
        delivery.status = Status::Suppressed;
        delivery.reason = Some(format!(
            "this workspace may send {per_hour} mails an hour to addresses that are no member's"
        ));
        delivery.next_attempt_at = None;
        delivery.finished_at = Some(now);
    } else {
        *sent += 1;
    }
}
