//! How long what has happened is kept.

use crate::config::key::{WhenAbsent, section};
use std::time::Duration;

section! {
    /// How long what has happened is kept.
    "retention" => Retention {
        /// Events.
        events: Duration = WhenAbsent::Text("30d"),
        /// Runs of rules that have succeeded or were cancelled.
        runs: Duration = WhenAbsent::Text("90d"),
        /// Runs that have failed or diverged. Those that are not finished are kept in any case.
        failed_runs: Duration = WhenAbsent::Text("180d"),
        /// Finished deliveries with their attempts.
        deliveries: Duration = WhenAbsent::Text("90d"),
        /// The `.eml` files that are kept in the place of a mail server.
        mail_files: Duration = WhenAbsent::Text("30d"),
    }
}
