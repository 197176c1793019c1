//! The tables as sea-orm entities, one file each. Columns are described in the migrations.

pub(crate) mod activity;
pub(crate) mod attempts;
pub(crate) mod comments;
pub(crate) mod dead_letters;
pub(crate) mod deliveries;
pub(crate) mod endpoints;
pub(crate) mod evaluations;
pub(crate) mod events;
pub(crate) mod idempotency_keys;
pub(crate) mod instances;
pub(crate) mod matches;
pub(crate) mod members;
pub(crate) mod outbox;
pub(crate) mod rule_state;
pub(crate) mod rule_stats;
pub(crate) mod rule_versions;
pub(crate) mod rules;
pub(crate) mod runs;
pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod sweep_ranges;
pub(crate) mod tasks;
pub(crate) mod timers;
pub(crate) mod users;
pub(crate) mod workspaces;
