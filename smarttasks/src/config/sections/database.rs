//! The connections to a database server.

use crate::config::key::{WhenAbsent, section};
use std::num::NonZeroU32;

section! {
    /// The connections to PostgreSQL. The server is `DATABASE_URL`.
    "database" => Database {
        /// The most connections of one process.
        connections: NonZeroU32 = WhenAbsent::Text("16"),
    }
}
