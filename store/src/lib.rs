//! Everything that is kept: entities, queries, the outbox and timers. The only crate with SQL.
//!
//! Writing happens in [`Db::write`]: what its closure changes, publishes and schedules commits
//! together or not at all, and closures that arrive together share a transaction. Reading
//! functions take the workspace or the owner first; there is no unscoped `find` for callers to
//! misuse.

mod db;
mod entity;
mod error;
mod group;
mod page;
mod postgres;
mod predicate;
mod reader;
mod sqlite;
mod tx;
mod vault;

pub mod activity;
pub mod approvals;
pub mod candidates;
pub mod comments;
pub mod deliveries;
pub mod endpoints;
pub mod events;
pub mod idempotency;
pub mod instances;
pub mod keys;
pub mod matches;
pub mod outbox;
pub mod quarantine;
pub mod retention;
pub mod rules;
pub mod runs;
pub mod sessions;
pub mod state;
pub mod sweeps;
pub mod tasks;
pub mod timers;
pub mod users;
pub mod waits;
pub mod workspaces;

pub use db::{Db, Location, Settings};
pub use error::{Conflict, Error, Result};
pub use outbox::{Outgoing, Payload, Queue, Wire};
pub use page::{Listed, Page, Position, SortKey};
pub use timers::{Due, Timer};
pub use tx::{Cause, Tx};
pub use vault::Vault;

#[cfg(test)]
mod tests;
