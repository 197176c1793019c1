//! Group commit on the embedded database: the writes that arrive together share a transaction.
//!
//! A commit on SQLite costs a sync of the disk and a statement costs about the same however many
//! rows it holds, so a hundred writes in one transaction cost little more than one. A write that
//! fails before it has changed anything is left out of the group; when anything else goes wrong
//! the group is rolled back and each of its writes runs alone, so that nobody pays for another's
//! mistake.

use crate::db::Shared;
use crate::tx::{Pending, Tx};
use crate::{Error, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Most writes that share a transaction: bounds how long the first of them waits.
const GROUP: usize = 256;

/// A write that waits for its turn.
pub(crate) trait Job: Send {
    /// Runs it; may be called again after a rollback.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>>;
    /// Tells the caller how it ended.
    fn finish(self: Box<Self>, outcome: Result<()>);
    /// Whether the caller has gone away.
    fn is_abandoned(&self) -> bool;
}

pub(crate) struct Call<T, F> {
    pub(crate) closure: F,
    pub(crate) value: Option<T>,
    pub(crate) reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Call<T, F>
where
    T: Send,
    F: for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T>> + Send,
{
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.value = Some((self.closure)(tx).await?);
            Ok(())
        })
    }

    fn finish(self: Box<Self>, outcome: Result<()>) {
        let Self { value, reply, .. } = *self;
        let answer = outcome.and_then(|()| value.ok_or(Error::Unavailable(None)));
        // A caller that has gone away needs no answer.
        let _ = reply.send(answer);
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Takes writes until every [`Db`](crate::Db) is gone.
pub(crate) async fn run(
    shared: Arc<Shared>,
    writer: DatabaseConnection,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
) {
    while let Some(first) = jobs.recv().await {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
        group.retain(|job| !job.is_abandoned());
        commit(&shared, &writer, group).await;
    }
}

async fn commit(shared: &Shared, writer: &DatabaseConnection, mut group: Vec<Box<dyn Job>>) {
    if group.is_empty() {
        return;
    }
    match together(shared, writer, &mut group).await {
        Ok(outcomes) => {
            for (job, outcome) in group.into_iter().zip(outcomes) {
                job.finish(outcome);
            }
        }
        Err(error) if group.len() > 1 => {
            tracing::debug!(%error, writes = group.len(), "a group of writes runs one by one");
            for job in group {
                Box::pin(commit(shared, writer, vec![job])).await;
            }
        }
        Err(error) => {
            if let Some(job) = group.pop() {
                job.finish(Err(error));
            }
        }
    }
}

/// Runs the group in one transaction; the outcomes are those of its writes.
async fn together(
    shared: &Shared,
    writer: &DatabaseConnection,
    group: &mut [Box<dyn Job>],
) -> Result<Vec<Result<()>>> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let conn = writer.begin_with_options(options).await?;
    let now = shared.clock.now();
    let mut tx = Tx::new(conn, now, shared.process.clone(), group.len() > 1);
    let mut gathered = Pending::default();
    let mut outcomes = Vec::with_capacity(group.len());
    for job in group {
        let outcome = AssertUnwindSafe(job.run(&mut tx)).catch_unwind().await;
        let (pending, touched) = tx.take_part();
        match outcome {
            Ok(Ok(())) => {
                gathered.merge(pending);
                outcomes.push(Ok(()));
            }
            Ok(Err(error)) if touched => return Err(error),
            Ok(Err(error)) => outcomes.push(Err(error)),
            Err(_) => return Err(Error::Panicked),
        }
    }
    let conn = tx.into_conn();
    let committed = gathered
        .write(&conn, now, &shared.outbox_ids, shared.process.instance)
        .await?;
    conn.commit().await?;
    shared.announce(committed);
    Ok(outcomes)
}
