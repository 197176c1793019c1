//! The bus within one process, over the same outbox.
//!
//! The database belongs to this process, so a message's confirm is its consumer's commit. The
//! queues are bounded: what does not fit stays in the table, and the relay reads it from there
//! once there is room.

use crate::consumer::Delivered;
use smarttasks_store::{Db, Error, Outgoing, Queue, outbox};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

/// Messages that wait for one kind of consumer.
const CAPACITY: usize = 1024;
/// Rows read from the table at once.
const PAGE: u64 = 500;

/// Queues in memory; cheap to clone.
#[derive(Clone)]
pub struct InProcess {
    db: Db,
    queues: Arc<[Lane; 2]>,
}

struct Lane {
    sender: mpsc::Sender<Delivered>,
    receiver: Mutex<mpsc::Receiver<Delivered>>,
}

impl Lane {
    fn new() -> Self {
        let (sender, receiver) = mpsc::channel(CAPACITY);
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
            queues: Arc::new(Queue::ALL.map(|_| Lane::new())),
        }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    fn lane(&self, queue: Queue) -> &Lane {
        match queue {
            Queue::Events => &self.queues[0],
            Queue::Notifications => &self.queues[1],
        }
    }

    /// Publishes what has been committed, until told to stop.
    pub async fn relay(&self, stop: CancellationToken) {
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
        let queue = outgoing.queue;
        metrics::counter!("smarttasks_bus_messages_published_total", "queue" => queue.as_str())
            .increment(1);
        // The receiving half lives as long as this bus, so sending waits but does not fail.
        let _ = self
            .lane(queue)
            .sender
            .send(Delivered::from(outgoing))
            .await;
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

    /// Puts a message back after `delay`, without holding up the caller.
    pub(crate) fn redeliver(&self, queue: Queue, message: Delivered, delay: Duration) {
        let sender = self.lane(queue).sender.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = sender.send(message).await;
        });
    }
}

fn report(error: &Error) {
    tracing::error!(%error, "the outbox cannot be read; trying again");
}
