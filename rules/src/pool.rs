//! Threads with the stack that strangers' scripts need.
//!
//! A script may nest expressions and calls to the limits, and the interpreter recurses with it:
//! that overflows the 2 MB of an ordinary thread, and a stack overflow ends the process. The
//! stack here is virtual memory; only what is touched is real.

use crate::Language;
use crate::analysis::Analysis;
use smarttasks_model::Trigger;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

const STACK_BYTES: usize = 256 * 1024 * 1024;

/// Jobs that may wait. Whoever hands over one more waits for a place.
const WAITING: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// A few threads that compile and evaluate. Each call hands over one job and returns; what comes of
/// it the job passes on from a thread of the pool. Dropped, the pool finishes the jobs that wait, and
/// its threads end.
///
/// A hand-over costs some 30 µs and an evaluation a few: hand over batches.
#[derive(Clone, Debug)]
pub struct Pool {
    language: Arc<Language>,
    jobs: SyncSender<Job>,
}

impl Pool {
    /// A pool of `threads` threads, at least one.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(language: Arc<Language>, threads: usize) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads.max(1) {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new()
                .name(format!("rules-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || work(&waiting))?;
        }
        Ok(Self { language, jobs })
    }

    /// The language of its programs.
    pub fn language(&self) -> &Arc<Language> {
        &self.language
    }

    /// Analyses a script; see [`Language::analyse`]. `done` should only pass the answer on.
    pub fn analyse(
        &self,
        script: String,
        triggers: Vec<Trigger>,
        done: impl FnOnce(Analysis) + Send + 'static,
    ) {
        let language = Arc::clone(&self.language);
        self.run(move || done(language.analyse(&script, &triggers)));
    }

    /// Runs anything on a thread of the pool: compilations, a batch of evaluations.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        // The threads end only when the last sender is gone, and this is one.
        let _ = self.jobs.send(Box::new(job));
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let next = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = next else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a job of the rules' pool panicked; its answer is lost");
        }
    }
}
