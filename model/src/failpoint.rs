//! Steps after which tests let the process die, as `kill -9` does it: what holds there is otherwise
//! tried only when a kill happens to meet the instant.
//!
//! Only the tests of the product have the feature `failpoints`; without it, to pass by a step is nothing.

/// A step on the way from a change to what comes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failpoint {
    /// The statements of a transaction with messages are done, and nothing is committed.
    Committing,
    /// A transaction with messages is committed, and nobody knows.
    Committed,
    /// A task is committed, and who made it has no answer.
    TaskCreated,
    /// The relay has a message, and has not published it.
    Claimed,
    /// Messages are published, and still in the outbox.
    Published,
    /// A consumer has messages, and has done nothing.
    Consumed,
    /// What messages ask for is committed, and they are not acknowledged.
    Handled,
    /// A mail, webhook or request is sent, and not recorded.
    Sent,
    /// A script runs against its journal, and has come by a call that it has made before.
    Replaying,
    /// Runs have been brought to their next wait or their end, and it is not committed.
    Evaluated,
    /// The same, committed.
    Resumed,
}

impl Failpoint {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Committing,
        Self::Committed,
        Self::TaskCreated,
        Self::Claimed,
        Self::Published,
        Self::Consumed,
        Self::Handled,
        Self::Sent,
        Self::Replaying,
        Self::Evaluated,
        Self::Resumed,
    ];

    /// Passes by this step.
    #[cfg(not(feature = "failpoints"))]
    #[inline]
    pub const fn pass(self) {}

    /// Passes by this step, and ends the process if it is told to die at this passage:
    /// `FAILPOINT=Committed:3`.
    #[cfg(feature = "failpoints")]
    pub fn pass(self) {
        use std::io::Write as _;
        use std::sync::OnceLock;
        use std::sync::atomic::{AtomicU64, Ordering};

        static CHOSEN: OnceLock<Option<(String, u64)>> = OnceLock::new();
        static PASSED: AtomicU64 = AtomicU64::new(0);
        let chosen = CHOSEN.get_or_init(|| {
            let chosen = std::env::var("FAILPOINT").ok()?;
            let (name, passage) = chosen.split_once(':')?;
            Some((name.to_owned(), passage.parse().ok()?))
        });
        let Some((name, passage)) = chosen else {
            return;
        };
        if *name == format!("{self:?}") && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *passage {
            let _ = writeln!(std::io::stderr(), "dies at {name}:{passage}");
            std::process::abort();
        }
    }
}
