//! The bus within one process, over the same outbox.
//!
//! The database belongs to this process, so a message's confirm is its consumer's commit. The
//! queues are bounded: what does not fit stays in the table, and the relay reads it from there
//! once there is room.

use crate::Result;
use crate::bus::{Counted, DeadLetter, QueueState, Replay};
use crate::consumer::{Delivered, Receipt};
use smarttasks_model::Failpoint;
use smarttasks_store::outbox::Payload;
use smarttasks_store::{Db, Error, Outgoing, Queue, outbox};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Messages that wait for one kind of consumer.
const CAPACITY: usize = 1024;
/// Ranges of sweeps that wait: small ones, and at a full hour one for every workspace, which must
/// not hold up the events behind them.
const SWEEPS: usize = 65_536;
/// Rows read from the table at once.
const PAGE: u64 = 500;

/// Queues in memory; cheap to clone.
#[derive(Clone)]
pub struct InProcess {
    db: Db,
    queues: Arc<[Lane; 4]>,
    counted: Counted,
}

struct Lane {
    sender: mpsc::Sender<Delivered>,
    receiver: Mutex<mpsc::Receiver<Delivered>>,
}

impl Lane {
    fn new(queue: Queue) -> Self {
        let capacity = match queue {
            Queue::Events | Queue::Notifications | Queue::Runs => CAPACITY,
            Queue::Sweeps => SWEEPS,
        };
        let (sender, receiver) = mpsc::channel(capacity);
        Self {
            sender,
            receiver: Mutex::new(receiver),
        }
    }
}

impl InProcess {
    /// Queues over the outbox of `db`.
    pub fn new(db: Db) -> Self {
        Self {
            db,
            queues: Arc::new(Queue::ALL.map(Lane::new)),
            counted: Counted::default(),
        }
    }

    pub(crate) fn counted(&self) -> &Counted {
        &self.counted
    }

    fn lane(&self, queue: Queue) -> &Lane {
        match queue {
            Queue::Events => &self.queues[0],
            Queue::Notifications => &self.queues[1],
            Queue::Sweeps => &self.queues[2],
            Queue::Runs => &self.queues[3],
        }
    }

    pub(crate) async fn relay(&self, stop: CancellationToken) {
        stop.run_until_cancelled(async {
            let mut last = 0;
            loop {
                // The mark is read before the table: whatever is missed from here on sets it anew.
                if self.db.take_behind() {
                    self.catch_up(&mut last).await;
                }
                let Some(outgoing) = self.db.handed_over().await else {
                    return;
                };
                if self.db.take_behind() {
                    self.catch_up(&mut last).await;
                }
                // Ids grow in the order of commits, so what the table gave is not given twice.
                if outgoing.id > last {
                    last = outgoing.id;
                    self.publish(outgoing).await;
                }
            }
        })
        .await;
    }

    async fn catch_up(&self, last: &mut i64) {
        loop {
            match outbox::page(&self.db, *last, PAGE).await {
                Ok(page) if page.is_empty() => return,
                Ok(page) => {
                    for outgoing in page {
                        *last = outgoing.id;
                        self.publish(outgoing).await;
                    }
                }
                Err(error) => {
                    report(&error);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn publish(&self, outgoing: Outgoing) {
        Failpoint::Claimed.pass();
        let queue = outgoing.queue;
        let redelivered = self.db.is_inherited(outgoing.id);
        self.counted.published(queue.as_str(), 1);
        // The receiving half lives as long as this bus, so sending waits but does not fail.
        let _ = self
            .lane(queue)
            .sender
            .send(delivered(outgoing, redelivered))
            .await;
        Failpoint::Published.pass();
    }

    /// Waits for messages and takes at most `most` of them.
    pub(crate) async fn take(&self, queue: Queue, most: usize) -> Vec<Delivered> {
        let mut batch = Vec::new();
        self.lane(queue)
            .receiver
            .lock()
            .await
            .recv_many(&mut batch, most)
            .await;
        batch
    }

    /// Counts a failure in the table, so that a restart does not forget it.
    pub(crate) async fn record_failure(&self, row: i64) {
        let counted = self
            .db
            .write(move |tx| Box::pin(outbox::record_failure(tx, row)))
            .await;
        if let Err(error) = counted {
            tracing::error!(message.row = row, %error, "a failure could not be counted");
        }
    }

    pub(crate) async fn bury(&self, row: i64, reason: &str) -> Result<()> {
        let reason = reason.to_owned();
        self.db
            .write(move |tx| {
                let reason = reason.clone();
                Box::pin(async move { outbox::bury(tx, row, &reason).await })
            })
            .await?;
        Ok(())
    }

    pub(crate) async fn queues(&self) -> Result<Vec<QueueState>> {
        let pending = outbox::pending(&self.db).await?;
        let state = |name: &str, messages| QueueState {
            name: name.to_owned(),
            messages,
            consumers: None,
        };
        Ok(vec![
            state("outbox", pending.count),
            state("dead letters", pending.dead),
        ])
    }

    pub(crate) async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let letters = outbox::dead_letters(&self.db, limit as u64).await?;
        let letters = letters.into_iter().map(|letter| DeadLetter {
            id: letter.id.to_string(),
            queue: letter.queue,
            reason: letter.reason,
            failures: u32::try_from(letter.failures).ok(),
            body: letter.body,
            died_at: Some(letter.died_at),
        });
        Ok(letters.collect())
    }

    pub(crate) async fn replay(&self, which: &Replay) -> Result<u64> {
        let ids = match which {
            Replay::All => None,
            // What is no id of ours is nobody's.
            Replay::Only(ids) => Some(ids.iter().filter_map(|id| id.parse().ok()).collect()),
        };
        let ids: Option<Arc<[Uuid]>> = ids;
        // Those that die again meanwhile are not for this call.
        let mut left = outbox::pending(&self.db).await?.dead;
        let mut replayed = 0;
        while left > 0 {
            let (ids, limit) = (ids.clone(), left.min(PAGE));
            left -= limit;
            replayed += self
                .db
                .write(move |tx| {
                    let ids = ids.clone();
                    Box::pin(async move { outbox::replay(tx, ids.as_deref(), limit).await })
                })
                .await?;
        }
        Ok(replayed)
    }
}

fn delivered(outgoing: Outgoing, redelivered: bool) -> Delivered {
    Delivered {
        message: match outgoing.payload {
            Payload::Here(message) => message,
            Payload::Wire(_) => Err("it is on its way to a broker".into()),
        },
        receipt: Receipt::Row(outgoing.id),
        redelivered,
        failures: u32::try_from(outgoing.failures).unwrap_or_default(),
        created_at: outgoing.created_at,
    }
}

fn report(error: &Error) {
    tracing::error!(%error, "the outbox cannot be read; trying again");
}
