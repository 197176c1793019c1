//! What the binary can be asked to do, one file each.

pub mod config;
pub mod create_user;
pub mod doctor;
pub mod healthcheck;
pub mod migrate;
pub mod rules;
pub mod serve;
