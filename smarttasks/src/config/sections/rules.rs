//! What a rule may use.

use crate::config::ByteSize;
use crate::config::key::{WhenAbsent, section};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};

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
        /// Hops from rule to rule by events; a run beyond them is refused as a loop.
        event_depth: NonZeroU32 = WhenAbsent::Text("8"),
    }
}
