//! The sending of notifications.

use crate::config::key::{WhenAbsent, section};
use std::num::NonZeroUsize;

section! {
    /// The sending of notifications.
    "notifier" => Notifier {
        /// How many mails, webhooks and requests of scripts may be on their way at one time.
        concurrency: NonZeroUsize = WhenAbsent::Text("256"),
    }
}
