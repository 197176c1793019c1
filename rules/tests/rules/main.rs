//! The rule language through its public API, and the sandbox under attack.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test what cannot be unwrapped is a failure, and says where"
)]

mod actions;
mod analysis;
mod business_days;
mod candidates;
mod child;
mod cron;
mod diagnostics;
mod fuzz;
mod guide;
mod hostile;
mod language;
mod library;
mod lists;
mod pool;
mod queries;
mod replay;
mod simulation;
mod state;
mod support;
mod suspending;
mod waits;
mod world;

#[global_allocator]
static HEAP: smarttasks_heap::Counting = smarttasks_heap::Counting;
