//! What a script may use, and why one was stopped.

use std::time::Duration;

/// What one evaluation may use, or one segment of a run that waits. Over a limit it fails, and
/// nothing of it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps of the interpreter.
    pub operations: u64,
    /// Elapsed time.
    pub wall: Duration,
    /// Bytes of heap held at once; counted only where `smarttasks_heap::Counting` is installed.
    pub heap_bytes: usize,
    /// Functions calling functions.
    pub call_depth: usize,
    /// Expressions and blocks within each other.
    pub expr_depth: usize,
    /// Bytes of one text, or of all texts of one list or map. A task's description may hold
    /// 80,000 bytes and must fit into a mail.
    pub string_bytes: usize,
    /// Elements of a list, those of the lists within it included.
    pub array_len: usize,
    /// Entries of a map, those of the maps within it included.
    pub map_len: usize,
    /// Variables alive at once.
    pub variables: usize,
    /// Functions and closures of a script.
    pub functions: usize,
    /// Actions of one evaluation.
    pub actions: usize,
    /// Recipients of one e-mail.
    pub recipients: usize,
    /// Bytes of what one evaluation asks to be said and stored, mails counted for each recipient.
    pub output_bytes: usize,
    /// Queries of one evaluation.
    pub queries: usize,
    /// Tasks that one query finds.
    pub query_results: usize,
    /// Bytes of all that a rule keeps, as JSON.
    pub state_bytes: usize,
    /// Bytes of a script's source.
    pub source_bytes: usize,
    /// Bytes of the run's log; what comes after them is dropped.
    pub log_bytes: usize,
    /// Entries of a run's journal: its actions, queries and waits.
    pub journal_entries: usize,
    /// Bytes of a run's journal, as JSON.
    pub journal_bytes: usize,
    /// Steps of all segments of a run before the one that it is in: each time that it goes on, it
    /// takes them again.
    pub replay_operations: u64,
    /// The longest wait of a script.
    pub sleep: Duration,
    /// The longest wait for the answer to a request.
    pub http_timeout: Duration,
    /// The least time between two occurrences of a cron trigger, from a minute, which is the most
    /// often that one can say.
    pub cron_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operations: 1_000_000,
            wall: Duration::from_millis(250),
            heap_bytes: 32 * 1024 * 1024,
            call_depth: 32,
            expr_depth: 64,
            string_bytes: 128 * 1024,
            array_len: 4_096,
            map_len: 1_024,
            variables: 256,
            functions: 64,
            actions: 100,
            recipients: 100,
            output_bytes: 8 * 1024 * 1024,
            queries: 100,
            query_results: 1_000,
            state_bytes: 64 * 1024,
            source_bytes: 16 * 1024,
            log_bytes: 16 * 1024,
            journal_entries: 1_000,
            journal_bytes: 1024 * 1024,
            replay_operations: 10_000_000,
            sleep: Duration::from_secs(366 * 86_400),
            http_timeout: Duration::from_secs(7 * 86_400),
            cron_interval: Duration::from_secs(60),
        }
    }
}

/// Why an evaluation was stopped, whatever the script made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Operations,
    Wall,
    Heap,
    Actions,
    Output,
    Queries,
    State,
    Journal,
    Replay,
    /// No limit: the script asks for what the journal does not have at this place.
    Diverged,
    /// No limit: a query has no answer yet, or the script waits.
    Need,
}

impl Stop {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Operations => "limit_operations",
            Self::Wall => "limit_time",
            Self::Heap => "limit_memory",
            Self::Actions => "limit_actions",
            Self::Output => "limit_output",
            Self::Queries => "limit_queries",
            Self::State => "limit_state",
            Self::Journal => "limit_journal",
            Self::Replay => "limit_replay",
            Self::Diverged => "diverged",
            Self::Need => "unanswered",
        }
    }

    pub(crate) fn message(self, limits: &Limits) -> String {
        match self {
            Self::Operations => format!(
                "the script took more than {} steps; look for a loop that does not end",
                limits.operations
            ),
            Self::Wall => format!(
                "the script ran for longer than {} ms",
                limits.wall.as_millis()
            ),
            Self::Heap => format!(
                "the script held more than {} MiB of memory",
                limits.heap_bytes / (1024 * 1024)
            ),
            Self::Actions => format!("the script asked for more than {} actions", limits.actions),
            Self::Output => format!(
                "the script's mails, each counted for each of its recipients, and payloads are \
                 larger than {} MiB together",
                limits.output_bytes / (1024 * 1024)
            ),
            Self::Queries => format!(
                "the script asked more than {} queries; ask for more tasks at once",
                limits.queries
            ),
            Self::State => format!(
                "what the rule keeps in `state` would be larger than {} KiB",
                limits.state_bytes / 1024
            ),
            Self::Journal => format!(
                "the run has done more than its journal holds, which is {} actions, queries and \
                 waits, and {} KiB with all that they return and what the run says of its actions; look for a loop that does not end, or \
                 let another run go on",
                limits.journal_entries,
                limits.journal_bytes / 1024
            ),
            Self::Replay => format!(
                "the run took more than {} steps before this wait, which it would take again \
                 whenever it goes on; look for a loop that does too much",
                limits.replay_operations
            ),
            Self::Diverged => "the script no longer does what its run has done before".to_owned(),
            Self::Need => "the script asked what nobody answered".to_owned(),
        }
    }
}
