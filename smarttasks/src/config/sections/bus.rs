//! Messages between the parts.

use crate::config::BusPrefix;
use crate::config::key::{WhenAbsent, section};
use std::num::NonZeroU64;

section! {
    /// Messages between the parts.
    "bus" => Bus {
        /// What the names of exchanges, queues and keys in Redis begin with; the queues in this
        /// process's memory have no names.
        prefix: BusPrefix = WhenAbsent::Text("smarttasks"),
        /// With more messages than this waiting, writes are answered 503 until some are gone.
        max_pending: NonZeroU64 = WhenAbsent::Text("100000"),
    }
}
