//! Records what came of deliveries, many in one transaction.

use crate::dispatch::{Dispatcher, Sent};
use crate::report::UNWANTED;
use crate::request::no_answer;
use serde_json::{Map, json};
use smarttasks_model::{
    Because, ChangeId, EndpointId, Event, EventData, EventId, EventType, Message, Snapshot,
    Timestamp, TraceParent, Wake, WorkspaceId, derive_id,
};
use smarttasks_store::deliveries::{self, Content, Delivery, Outcome, Report};
use smarttasks_store::{Db, Result, Tx, endpoints};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

/// Reports that wait to be recorded; further senders wait too.
const WAITING: usize = 1024;
/// Reports recorded in one transaction.
const BATCH: usize = 256;

/// Records reports.
pub(crate) struct Recorder {
    db: Db,
    reports: Mutex<mpsc::Receiver<Sent>>,
}

/// A recorder and the way to it.
pub(crate) fn channel(db: Db) -> (mpsc::Sender<Sent>, Recorder) {
    let (sender, reports) = mpsc::channel(WAITING);
    (
        sender,
        Recorder {
            db,
            reports: Mutex::new(reports),
        },
    )
}

impl Recorder {
    /// Records until told to stop and nothing is under way any more.
    pub(crate) async fn run(&self, dispatcher: &Dispatcher, stop: CancellationToken) {
        let mut reports = self.reports.lock().await;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                _ = reports.recv_many(&mut batch, BATCH) => {}
                () = stop.cancelled(), if dispatcher.in_flight() == 0 => {
                    // The condition was looked at when the waiting began.
                    if dispatcher.in_flight() == 0 {
                        return;
                    }
                }
                // Stopping, but something is under way: look again when it has reported.
                () = tokio::time::sleep(Duration::from_millis(50)), if stop.is_cancelled() => {}
            }
            if batch.is_empty() {
                continue;
            }
            let sent: Arc<[Sent]> = batch.drain(..).collect();
            self.write(&sent).await;
            dispatcher.recorded(sent.iter().map(|sent| sent.turn.report.delivery_id));
        }
    }

    /// Until it succeeds: what has been sent must not be sent again because of us. A report that
    /// cannot be recorded at all must not keep the others from it.
    async fn write(&self, sent: &Arc<[Sent]>) {
        if self.available_write(sent, 0..sent.len()).await.is_ok() {
            return;
        }
        for (number, one) in sent.iter().enumerate() {
            if let Err(error) = self.available_write(sent, number..number + 1).await {
                tracing::error!(
                    delivery.id = %one.turn.report.delivery_id,
                    %error,
                    "an attempt could not be recorded; its recovery timer is left"
                );
            }
        }
    }

    /// Tries again for as long as nothing is wrong but the database.
    async fn available_write(&self, sent: &Arc<[Sent]>, which: Range<usize>) -> Result<()> {
        loop {
            match self.try_write(sent, which.clone()).await {
                Err(error) if error.is_transient() => {
                    tracing::error!(%error, "attempts could not be recorded; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_write(&self, sent: &Arc<[Sent]>, which: Range<usize>) -> Result<()> {
        let sent = Arc::clone(sent);
        self.db
            .write(move |tx| {
                let (sent, which) = (Arc::clone(&sent), which.clone());
                Box::pin(async move { record(tx, &sent[which]).await })
            })
            .await
    }
}

async fn record(tx: &mut Tx, sent: &[Sent]) -> Result<()> {
    let reports: Vec<Report> = sent.iter().map(|sent| sent.turn.report.clone()).collect();
    let taken = deliveries::report(tx, &reports).await?;
    for sent in sent {
        if taken.contains(&sent.turn.report.delivery_id) {
            wake(tx, sent)?;
            // Nobody is to hear of what nobody wants any more.
            if let Outcome::Failed(reason) = &sent.turn.report.outcome
                && reason != UNWANTED
            {
                raise_failed(
                    tx,
                    &sent.delivery,
                    reason,
                    sent.turn.report.attempt.as_ref(),
                )?;
            }
        }
        if let Some(endpoint) = sent
            .delivery
            .endpoint_id
            .filter(|_| sent.turn.endpoint_is_gone)
        {
            disable(tx, &sent.delivery, endpoint).await?;
        }
    }
    Ok(())
}

/// The run that waits for the answer goes on, with the last that came, if any.
fn wake(tx: &mut Tx, sent: &Sent) -> Result<()> {
    let Content::Http { wait, .. } = &sent.delivery.content else {
        return Ok(());
    };
    let answer = sent.turn.answer.clone();
    let value = match &sent.turn.report.outcome {
        Outcome::Retry(_) => return Ok(()),
        Outcome::Delivered => answer.unwrap_or_default(),
        Outcome::Failed(reason) => answer.unwrap_or_else(|| no_answer(reason)),
    };
    tx.publish(Message::Wake(Box::new(Wake {
        workspace_id: sent.delivery.workspace_id,
        wait: *wait,
        because: Because::Answer { value },
        failures: 0,
    })))
}

fn raise_failed(
    tx: &mut Tx,
    delivery: &Delivery,
    reason: &str,
    attempt: Option<&deliveries::Attempt>,
) -> Result<()> {
    let number = attempt.map_or(0, |attempt| attempt.number).to_be_bytes();
    let now = tx.now();
    let key = derive_id(now, &[b"delivery.failed", delivery.id.as_bytes(), &number]);
    let mut more = Map::new();
    more.insert(
        "delivery".to_owned(),
        json!({
            "id": delivery.id,
            "channel": delivery.content.channel(),
            "recipient": delivery.recipient,
            "endpoint_id": delivery.endpoint_id,
            "rule_id": delivery.rule_id,
            "run_id": delivery.run_id,
            "reason": reason,
        }),
    );
    tx.raise(event(key, "delivery.failed", delivery, more, now))
}

async fn disable(tx: &mut Tx, delivery: &Delivery, endpoint: EndpointId) -> Result<()> {
    let reason = "the receiver answered 410 Gone";
    let workspace: WorkspaceId = delivery.workspace_id;
    let Some(disabled) = endpoints::disable(tx, workspace, endpoint, reason).await? else {
        return Ok(());
    };
    let now = tx.now();
    let version = disabled.version.to_be_bytes();
    let key = derive_id(now, &[b"endpoint.disabled", endpoint.as_bytes(), &version]);
    let mut more = Map::new();
    more.insert(
        "endpoint".to_owned(),
        json!({ "id": endpoint, "name": disabled.name, "reason": reason }),
    );
    tx.raise(event(key, "endpoint.disabled", delivery, more, now))
}

fn event(
    key: uuid::Uuid,
    kind: &'static str,
    delivery: &Delivery,
    more: Map<String, serde_json::Value>,
    now: Timestamp,
) -> Event {
    Event {
        id: EventId(key),
        workspace_id: delivery.workspace_id,
        kind: EventType::system(kind),
        task_id: delivery.task_id,
        time: now,
        traceparent: delivery.traceparent.map(TraceParent::child),
        change: ChangeId(key),
        // What listens to failures may fail itself: the depth ends such a circle.
        depth: delivery.depth.saturating_add(1),
        actor_id: None,
        rule_id: None,
        data: EventData::System(Box::new(Snapshot {
            more,
            ..Snapshot::default()
        })),
    }
}
