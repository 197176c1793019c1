//! What a rule may use.

use crate::config::key::{WhenAbsent, section};
use crate::config::{ByteSize, WorkspaceBudget};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

section! {
    /// What a rule may use. Over a limit its run fails with the limit's name and the line.
    "rules" => Rules {
        /// How many threads evaluate rules.
        workers: NonZeroUsize = WhenAbsent::Derived {
            says: "the number of cores",
            from: |_| Some(std::thread::available_parallelism().map_or(1, NonZeroUsize::get).to_string()),
        },
        /// Operations of one segment.
        operations: NonZeroU64 = WhenAbsent::Text("1000000"),
        /// Wall time of one segment in milliseconds.
        wall_ms: NonZeroU64 = WhenAbsent::Text("250"),
        /// Live heap of one evaluation.
        heap_bytes: ByteSize = WhenAbsent::Text("32MiB"),
        /// Calls within calls.
        call_depth: NonZeroUsize = WhenAbsent::Text("32"),
        /// Expressions within expressions.
        expression_depth: NonZeroUsize = WhenAbsent::Text("64"),
        /// The largest script.
        script_bytes: ByteSize = WhenAbsent::Text("16KiB"),
        /// The longest string, in bytes; a task's description of 80,000 bytes must fit into a mail.
        string_bytes: ByteSize = WhenAbsent::Text("128KiB"),
        /// Elements of one array.
        array_items: NonZeroUsize = WhenAbsent::Text("4096"),
        /// Entries of one map.
        map_entries: NonZeroUsize = WhenAbsent::Text("1024"),
        /// Variables at one time.
        variables: NonZeroUsize = WhenAbsent::Text("256"),
        /// Functions of one script.
        functions: NonZeroUsize = WhenAbsent::Text("64"),
        /// Actions of one segment.
        actions: NonZeroUsize = WhenAbsent::Text("100"),
        /// Recipients of one mail.
        recipients: NonZeroUsize = WhenAbsent::Text("100"),
        /// What one segment may ask to be said and stored: mails, counted for each recipient, and
        /// payloads.
        output_bytes: ByteSize = WhenAbsent::Text("8MiB"),
        /// Queries of one segment.
        queries: NonZeroUsize = WhenAbsent::Text("100"),
        /// Tasks that one query finds.
        query_results: NonZeroUsize = WhenAbsent::Text("1000"),
        /// What one rule keeps by `state.set`, as JSON.
        state_bytes: ByteSize = WhenAbsent::Text("64KiB"),
        /// The log of one run; what comes after it is dropped.
        log_bytes: ByteSize = WhenAbsent::Text("16KiB"),
        /// Actions, queries and waits of one run that waits.
        journal_entries: NonZeroUsize = WhenAbsent::Text("1000"),
        /// What is kept of one run that waits, as JSON.
        journal_bytes: ByteSize = WhenAbsent::Text("1MiB"),
        /// Operations of all segments of a run before the one that it is in: each time that it goes
        /// on, it takes them again.
        replay_operations: NonZeroU64 = WhenAbsent::Text("10000000"),
        /// The longest wait of a script.
        longest_wait: Duration = WhenAbsent::Text("366d"),
        /// The longest wait for the answer to a request.
        http_timeout: Duration = WhenAbsent::Text("7d"),
        /// The least time between two occurrences of a cron trigger.
        min_cron_interval: Duration = WhenAbsent::Text("60s"),
        /// How long the rules of one workspace may be evaluated in each minute, in each process. What
        /// they use is given back evenly, in a minute the whole of it; what is over it waits until a
        /// tenth of it is free again.
        workspace_budget: WorkspaceBudget = WhenAbsent::Text("10s"),
        /// Hops from rule to rule by events; a run beyond them is refused as a loop.
        event_depth: NonZeroU32 = WhenAbsent::Text("8"),
    }
}
