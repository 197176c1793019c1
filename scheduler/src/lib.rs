//! What happens because time passed: due timers become events, occurrences and retries, and rows
//! past their retention go.
//!
//! Firing a timer and writing what it causes is one transaction, so a timer fires once however
//! many schedulers there are and wherever they die. There is no window of time that is asked
//! for: whatever is due is due, also after an outage.

mod fire;
mod occurrences;
mod retention;

pub use retention::{MailFiles, Settings};

use smarttasks_store::{Db, Due, Result, Timer, instances, timers};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Timers fired in one transaction.
const BATCH: u64 = 500;
/// How long the scheduler sleeps at most: another process may write an earlier timer.
const LOOK: Duration = Duration::from_millis(250);
/// How long it waits after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// How long it waits for timers that another is firing.
const TAKEN: Duration = Duration::from_millis(50);

/// What a batch held.
struct Fired {
    timers: usize,
    /// Whether it is time to remove rows.
    retention: bool,
}

/// Fires timers; any number of them may run on one database.
#[derive(Clone)]
pub struct Scheduler {
    db: Db,
    settings: Arc<Settings>,
    sweeping: Arc<Mutex<()>>,
}

impl Scheduler {
    /// A scheduler on `db`.
    pub fn new(db: Db, settings: Settings) -> Self {
        Self {
            db,
            settings: Arc::new(settings),
            sweeping: Arc::default(),
        }
    }

    /// Fires timers until told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        stop.run_until_cancelled(async {
            while let Err(error) = self.schedule_retention().await {
                tracing::error!(%error, "retention could not be scheduled; trying again");
                tokio::time::sleep(PAUSE).await;
            }
            loop {
                if let Err(error) = self.fire_and_wait().await {
                    tracing::error!(%error, "timers could not be fired; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        })
        .await;
    }

    /// Looks again and again which processes live, until told to stop; what those that are gone
    /// were sending is due at once.
    pub async fn watch(&self, stop: CancellationToken) {
        let mut watch = instances::Watch::default();
        while stop
            .run_until_cancelled(tokio::time::sleep(instances::INTERVAL))
            .await
            .is_some()
        {
            match watch.look(&self.db).await {
                Ok(0) => {}
                Ok(gone) => tracing::warn!(gone, "notifiers are gone; what they sent is taken up"),
                Err(error) => tracing::warn!(%error, "who lives could not be looked up"),
            }
        }
    }

    async fn fire_and_wait(&self) -> Result<()> {
        let clock = self.db.clock();
        match timers::next_instant(&self.db).await? {
            Some(next) if next <= clock.now() => {
                let Fired { timers, retention } = self.fire().await?;
                if retention {
                    self.sweep();
                }
                if timers == 0 {
                    // Another scheduler has them.
                    tokio::time::sleep(TAKEN).await;
                }
            }
            next => {
                let wake = next.unwrap_or_else(|| clock.now() + LOOK);
                tokio::select! {
                    () = clock.sleep_until(wake, LOOK) => {}
                    () = self.db.timer_written() => {}
                }
            }
        }
        Ok(())
    }

    /// Fires a batch of due timers.
    async fn fire(&self) -> Result<Fired> {
        self.db
            .write(|tx| {
                Box::pin(async move {
                    let due = timers::take_due(tx, BATCH).await?;
                    let retention = due.iter().any(|timer| timer.due == Due::Retention);
                    let timers = due.len();
                    fire::fire(tx, due).await?;
                    Ok(Fired { timers, retention })
                })
            })
            .await
    }

    /// Beside the timers, which must not wait for it.
    fn sweep(&self) {
        let this = self.clone();
        tokio::spawn(async move {
            let Ok(_alone) = this.sweeping.try_lock() else {
                return;
            };
            if let Err(error) = retention::sweep(&this.db, &this.settings).await {
                tracing::error!(%error, "what is past its retention could not be removed");
            }
        });
    }

    async fn schedule_retention(&self) -> Result<()> {
        self.db
            .write(|tx| {
                Box::pin(async move {
                    let fire_at = tx.now();
                    tx.schedule(Timer {
                        fire_at,
                        workspace_id: None,
                        due: Due::Retention,
                    });
                    Ok(())
                })
            })
            .await
    }
}
