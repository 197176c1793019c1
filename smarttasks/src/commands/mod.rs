//! What the binary can be asked to do, one file each.

pub mod config;
pub mod healthcheck;
