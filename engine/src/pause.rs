//! Runs that cannot go on, through no fault of their script: they wait until a person lets them.

use crate::quarantine;
use crate::resume::fits;
use smarttasks_bus::HandlerError;
use smarttasks_model::{Because, RunStatus, Wake};
use smarttasks_store::runs::{self, RunError, Waiting};
use smarttasks_store::{Db, Result, Tx};
use std::sync::Arc;

/// A run that is to be paused.
#[derive(Clone)]
pub(crate) struct Paused {
    /// As it is from then on.
    waiting: Waiting,
    /// What it could not go on with.
    wake: Wake,
    /// Whether its rule's owner is to be told.
    tells: bool,
}

impl Paused {
    /// One that could not go on.
    pub(crate) fn of(waiting: Waiting, wake: Wake, error: RunError) -> Self {
        Self {
            waiting: stopped(waiting, error),
            wake,
            tells: true,
        }
    }

    /// One of a rule in quarantine. Its owner has been told of that; there may be many such runs.
    pub(crate) fn in_quarantine(waiting: Waiting, wake: Wake) -> Self {
        Self {
            waiting: stopped(waiting, quarantine::pause()),
            wake,
            tells: false,
        }
    }

    /// Which run, and how many waits it has begun.
    pub(crate) fn at(&self) -> runs::At {
        (self.waiting.run.id, self.waiting.run.waits)
    }

    /// Writes it, of a run that this transaction holds.
    pub(crate) async fn write(&self, tx: &mut Tx) -> Result<()> {
        runs::pause(tx, &self.waiting, &self.wake).await?;
        match self.tells {
            true => runs::tell_of_pause(tx, &self.waiting, &self.wake).await,
            false => Ok(()),
        }
    }
}

fn stopped(mut waiting: Waiting, error: RunError) -> Waiting {
    waiting.run.status = RunStatus::Paused;
    waiting.run.resumes_at = None;
    waiting.run.error = Some(error);
    waiting
}

/// Pauses the run that a message should have let go on which goes to the dead letters.
pub(crate) async fn give_up(db: &Db, wake: &Wake, reason: &str) -> Result<(), HandlerError> {
    // One that only looks for what came before leaves the wait as it was.
    if wake.because == Because::Look {
        return Ok(());
    }
    let id = wake.wait.run_id;
    let found = runs::waiting(db, [id]).await?.remove(&id);
    let Some(waiting) = found.filter(|of| fits(of, wake)) else {
        return Ok(());
    };
    let error = RunError {
        message: format!("it could not go on: {reason}"),
        line: None,
        column: None,
    };
    let paused = Arc::new(Paused::of(waiting, wake.clone(), error));
    db.write(move |tx| {
        let paused = Arc::clone(&paused);
        Box::pin(async move {
            match runs::hold(tx, [paused.at()]).await?.is_empty() {
                true => Ok(()),
                false => paused.write(tx).await,
            }
        })
    })
    .await?;
    Ok(())
}
