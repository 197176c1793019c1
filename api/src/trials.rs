//! Where rules are tried: on threads of their own, so that nobody who tries rules takes the threads
//! of those that run, and a few at a time.

use crate::problem::ApiError;
use smarttasks_rules::{Language, Pool};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Each may take a core for seconds.
const AT_ONCE: usize = 2;
/// Beyond these, those under way included, whoever tries a rule is told to come back.
const ADMITTED: usize = 16;
/// When.
const AFTER: Duration = Duration::from_secs(2);

/// The trials of this process.
pub(crate) struct Trials {
    pool: Pool,
    under_way: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

/// The right to try a rule now. It goes along with each job, so that a request that is given up
/// makes no room before what it began has ended.
#[derive(Clone)]
pub(crate) struct Trial {
    pool: Pool,
    _turn: Arc<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Trials {
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn new(language: Arc<Language>) -> io::Result<Self> {
        Ok(Self {
            pool: Pool::new(language, AT_ONCE)?,
            under_way: Arc::new(Semaphore::new(AT_ONCE)),
            admitted: Arc::new(Semaphore::new(ADMITTED)),
        })
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// 503 when too many wait already.
    pub(crate) async fn begin(&self) -> Result<Trial, ApiError> {
        let admitted = Arc::clone(&self.admitted);
        let admitted = admitted.try_acquire_owned().map_err(|_| {
            ApiError::unavailable("Too many rules are being tried at the moment.", AFTER)
        })?;
        let under_way = Arc::clone(&self.under_way).acquire_owned();
        let turn = under_way.await.map_err(ApiError::internal)?;
        Ok(Trial {
            pool: self.pool.clone(),
            _turn: Arc::new((admitted, turn)),
        })
    }
}

impl Trial {
    /// Does something on a thread that scripts may run on.
    ///
    /// # Errors
    /// When it is lost.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Arc<Language>) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let (done, answer) = oneshot::channel();
        let trial = self.clone();
        self.pool.run(move || {
            // Nobody waits any more when the request was given up.
            drop(done.send(job(trial.pool.language())));
        });
        answer.await.map_err(ApiError::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;
    use futures_util::FutureExt;
    use smarttasks_rules::Limits;

    #[tokio::test]
    async fn of_too_many_who_try_rules_some_wait_and_the_rest_are_told_to_come_back() {
        let trials = Trials::new(Language::new(Limits::default())).unwrap();
        let first = trials.begin().await.unwrap();
        let second = trials.begin().await.unwrap();
        let mut waiting: Vec<_> = (AT_ONCE..ADMITTED)
            .map(|_| Box::pin(trials.begin()))
            .collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none());
        }
        let refused = trials.begin().await.err().unwrap();
        let later = |error: &ApiError| matches!(error, ApiError::Later { code: Code::Unavailable, after, .. } if *after == AFTER);
        assert!(later(&refused), "{refused}");

        assert_eq!(first.run(|_| 7).await.unwrap(), 7);
        drop(first);
        let mut waiting = waiting.into_iter();
        let third = waiting.next().unwrap().await.unwrap();
        assert!(trials.begin().now_or_never().is_none(), "there is room");
        drop((second, third));
    }
}
