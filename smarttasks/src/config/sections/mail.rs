//! Outgoing mail.

use crate::config::Sender;
use crate::config::key::{WhenAbsent, section};

section! {
    /// Outgoing mail. The server is `SMTP_URL`.
    "mail" => Mail {
        /// Whom mail comes from.
        from: Sender = WhenAbsent::Text("SmartTasks <smarttasks@localhost>"),
        /// How many mails a workspace may send within an hour to addresses that are no member's.
        external_per_hour: u32 = WhenAbsent::Text("100"),
    }
}
