//! Log lines.

use crate::config::key::{WhenAbsent, section};
use crate::config::{LogFilter, LogFormat};

section! {
    /// Log lines, which go to standard error.
    "log" => Log {
        /// For people, or one JSON object a line.
        format: LogFormat = WhenAbsent::Text("text"),
        /// Which lines are written: a level, or several such as `info,smarttasks_engine=debug`.
        filter: LogFilter = WhenAbsent::Text("info,lapin=off,sea_orm_migration=warn,sqlx=warn"),
    }
}
