//! Tests of the whole product: through its public API on a clock that the tests move, and
//! through its binary on the real one. One binary, so that it is linked once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on ends here, with the place"
)]

pub mod backend;
pub mod harness;
pub mod process;
pub mod proxy;
pub mod receivers;
pub mod roles;
pub mod servers;

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod approvals;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod deployment;
#[cfg(test)]
mod diagnostics;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod language;
#[cfg(test)]
mod library;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod quarantine;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod road;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod rules_cli;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod sweeps;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod trying;
#[cfg(test)]
mod turns;
#[cfg(test)]
mod workflows;
