//! What may fail does, under load: each role, each server, and the network between them. Whatever was
//! answered 201 is told to those whom it concerns, what comes twice is recognisable as the same,
//! nobody waits long for an answer, and what stood still goes on soon after.
//!
//! The figures are printed; see them by `cargo test -p smarttasks-tests faults -- --nocapture`.

mod book;
mod broker;
mod deaths;
pub mod dice;
mod load;
mod network;
mod replicas;
mod schedulers;
mod servers_down;
mod told;
mod trial;
mod waits;

use std::time::Duration;

/// Every request is answered within 3 s, whatever has failed; the rest is for a busy machine.
const ANSWERED: Duration = Duration::from_secs(5);
/// What stood still goes on within seconds of the return of what had failed, and each trial prints in
/// how many; the rest is for a machine on which several tests start servers, and others build, at
/// the same time.
const RECOVERED: Duration = Duration::from_secs(45);
/// After this long a test no longer believes that what it waits for will come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// Shown when the test fails, and with `--nocapture`.
#[expect(clippy::print_stdout, reason = "the seed and the figures of a test")]
pub fn say(text: &str) {
    println!("{text}");
}
