//! Takes notifications from the queue: a delivery for each recipient, committed before it is
//! sent.

use crate::breaker::Breakers;
use crate::dispatch::Dispatcher;
use crate::email::Mailer;
use crate::recorder::{self, Recorder};
use crate::webhook::{self, WebhookSender};
use smarttasks_bus::{Batch, Handler, HandlerError};
use smarttasks_model::{
    Content, DeliveryId, Email, Message, Notification, Timestamp, WebhookTarget, WorkspaceId,
};
use smarttasks_store::deliveries::{self, Delivery, Status};
use smarttasks_store::{Db, Due, Queue, Result, Timer, Tx, instances, timers, workspaces};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// After this long a delivery that nobody has reported on is taken up again, whatever has become
/// of it. That of a process that is gone is taken up as soon as that is known.
const RECOVERY: Duration = Duration::from_secs(24 * 3600);
/// The time over which mails to people who are no members are counted.
const HOUR: Duration = Duration::from_secs(3600);

/// How notifications are taken.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
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
    pub fn new(db: Db, settings: Settings, webhooks: WebhookSender, mailer: Mailer) -> Self {
        metrics::counter!("smarttasks_deliveries_put_off_total").increment(0);
        let (reports, recorder) = recorder::channel(db.clone());
        let dispatcher = Dispatcher::new(
            db.clone(),
            webhooks,
            mailer,
            Breakers::default(),
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
        let accepted = self
            .db
            .write(move |tx| {
                let batch = batch.clone();
                Box::pin(async move { accept(tx, &batch, external_per_hour).await })
            })
            .await?;
        self.dispatcher.dispatch(accepted).await;
        Ok(())
    }
}

fn due(message: &Message) -> Option<DeliveryId> {
    match message {
        Message::Delivery(id) => Some(*id),
        Message::Notification(_) | Message::Event(_) => None,
    }
}

/// Commits what the batch asks for, and returns what is to be sent now.
async fn accept(tx: &mut Tx, batch: &Batch, external_per_hour: u64) -> Result<Vec<Delivery>> {
    batch.settle(tx);
    let mut new: Vec<Delivery> = Vec::new();
    for message in batch.messages() {
        if let Message::Notification(notification) = message {
            new.extend(deliveries_of(notification));
        }
    }
    let existing = deliveries::existing(tx, new.iter().map(|delivery| delivery.id)).await?;
    let mut seen = existing;
    new.retain(|delivery| seen.insert(delivery.id));
    suppress_external(tx, &mut new, external_per_hour).await?;
    for delivery in &new {
        deliveries::insert(tx, delivery)?;
    }
    let mut to_send = new;
    to_send.retain(|delivery| delivery.status == Status::Pending);
    let mut due = deliveries::pending(tx, batch.messages().filter_map(due)).await?;
    // What is being sent already is left to whoever sends it.
    let taken_up = timers::taken_up(tx, due.iter().map(|delivery| delivery.id)).await?;
    due.retain(|delivery| !taken_up.contains(&delivery.id));
    to_send.append(&mut due);
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
                };
                let address = to.email.as_str().to_owned();
                let mut delivery = delivery(notification, &to.email.key(), address, content);
                // Until its address is known to be a member's.
                delivery.external = true;
                delivery
            })
            .collect(),
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
    let mut addresses: HashMap<WorkspaceId, Vec<Email>> = HashMap::new();
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
