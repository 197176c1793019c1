//! The one binary: command line, configuration, wiring of roles.

pub mod cli;
pub mod commands;
pub mod config;
pub mod data_dir;
mod error;
mod health;
pub mod service;
pub mod telemetry;

pub use error::Error;

#[cfg(test)]
mod test_dir;
