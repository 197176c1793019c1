//! Removes rows past their retention, a bounded number at a time.

use crate::entity::{
    approvals, attempts, dead_letters, deliveries, evaluations, events, idempotency_keys,
    matches as match_rows, rule_state, rule_stats, rule_versions, rules, run_segments, runs,
    sessions, sweep_ranges,
};
use crate::runs::status_name;
use crate::{Result, Tx, idempotency, matches};
use sea_orm::sea_query::{Query, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use smarttasks_model::{RuleId, RunStatus, TaskId, Timestamp};
use std::time::Duration;
use uuid::Uuid;

/// How long what is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Events, dead letters, and marks of evaluations whose message never came again.
    pub events: Duration,
    /// Runs that have succeeded or were cancelled, with what they have asked people.
    pub runs: Duration,
    /// Runs that have failed or diverged.
    pub failed_runs: Duration,
    /// Deliveries that have ended, with their attempts.
    pub deliveries: Duration,
}

/// Rows removed by one transaction: bounds how long it holds up the others.
const BATCH: u64 = 500;

/// Removes at most a batch of each kind; says whether there may be more.
///
/// # Errors
/// When the database cannot be written.
pub async fn sweep(tx: &mut Tx, retention: &Retention) -> Result<bool> {
    let now = tx.now();
    let events_gone = sweep_events(tx, now - retention.events).await?;
    let runs_gone = sweep_runs(tx, &WELL, now - retention.runs).await?;
    let failed_gone = sweep_runs(tx, &BADLY, now - retention.failed_runs).await?;
    let deliveries_gone = sweep_deliveries(tx, now - retention.deliveries).await?;
    let letters_gone = sweep_dead_letters(tx, now - retention.events).await?;
    let marks_gone = sweep_evaluations(tx, now - retention.events).await?;
    let keys_gone = sweep_keys(tx, now - idempotency::KEPT).await?;
    let sessions_gone = sweep_sessions(tx, now).await?;
    let ranges_gone = sweep_ranges_given_up(tx, now - retention.events).await?;
    let orphans_gone = sweep_orphans(tx).await?;
    let gone = [
        events_gone,
        runs_gone,
        failed_gone,
        deliveries_gone,
        letters_gone,
        marks_gone,
        keys_gone,
        sessions_gone,
        ranges_gone,
        orphans_gone,
    ];
    Ok(gone.into_iter().any(|gone| gone >= BATCH))
}

async fn sweep_events(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    let ids: Vec<Uuid> = events::Entity::find()
        .select_only()
        .column(events::Column::Id)
        .filter(events::Column::At.lt(before.unix_millis()))
        .limit(BATCH)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let gone = events::Entity::delete_many()
        .filter(events::Column::Id.is_in(ids))
        .exec(tx.write_conn())
        .await?;
    Ok(gone.rows_affected)
}

/// How runs end.
const WELL: [RunStatus; 2] = [RunStatus::Succeeded, RunStatus::Cancelled];
const BADLY: [RunStatus; 2] = [RunStatus::Failed, RunStatus::Diverged];

async fn sweep_runs(tx: &mut Tx, ended: &[RunStatus], before: Timestamp) -> Result<u64> {
    let ids: Vec<Uuid> = runs::Entity::find()
        .select_only()
        .column(runs::Column::Id)
        .filter(runs::Column::Status.is_in(ended.iter().map(|status| status_name(*status))))
        .filter(runs::Column::FinishedAt.lt(before.unix_millis()))
        .limit(BATCH)
        .into_tuple()
        .all(tx.conn())
        .await?;
    run_segments::Entity::delete_many()
        .filter(run_segments::Column::RunId.is_in(ids.clone()))
        .exec(tx.write_conn())
        .await?;
    approvals::Entity::delete_many()
        .filter(approvals::Column::RunId.is_in(ids.clone()))
        .exec(tx.write_conn())
        .await?;
    let gone = runs::Entity::delete_many()
        .filter(runs::Column::Id.is_in(ids))
        .exec(tx.write_conn())
        .await?;
    Ok(gone.rows_affected)
}

async fn sweep_deliveries(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    let ids: Vec<Uuid> = deliveries::Entity::find()
        .select_only()
        .column(deliveries::Column::Id)
        .filter(deliveries::Column::FinishedAt.lt(before.unix_millis()))
        .limit(BATCH)
        .into_tuple()
        .all(tx.conn())
        .await?;
    attempts::Entity::delete_many()
        .filter(attempts::Column::DeliveryId.is_in(ids.clone()))
        .exec(tx.write_conn())
        .await?;
    let gone = deliveries::Entity::delete_many()
        .filter(deliveries::Column::Id.is_in(ids))
        .exec(tx.write_conn())
        .await?;
    Ok(gone.rows_affected)
}

async fn sweep_dead_letters(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    let ids: Vec<Uuid> = dead_letters::Entity::find()
        .select_only()
        .column(dead_letters::Column::Id)
        .filter(dead_letters::Column::DiedAt.lt(before.unix_millis()))
        .limit(BATCH)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let gone = dead_letters::Entity::delete_many()
        .filter(dead_letters::Column::Id.is_in(ids))
        .exec(tx.write_conn())
        .await?;
    Ok(gone.rows_affected)
}

async fn sweep_evaluations(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    let ids: Vec<Uuid> = evaluations::Entity::find()
        .select_only()
        .column(evaluations::Column::RunId)
        .filter(evaluations::Column::StartedAt.lt(before.unix_millis()))
        .limit(BATCH)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let gone = evaluations::Entity::delete_many()
        .filter(evaluations::Column::RunId.is_in(ids))
        .filter(evaluations::Column::StartedAt.lt(before.unix_millis()))
        .exec(tx.write_conn())
        .await?;
    Ok(gone.rows_affected)
}

async fn sweep_keys(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    let keys: Vec<String> = idempotency_keys::Entity::find()
        .select_only()
        .column(idempotency_keys::Column::Key)
        .filter(idempotency_keys::Column::CreatedAt.lt(before.unix_millis()))
        .limit(BATCH)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let gone = idempotency_keys::Entity::delete_many()
        .filter(idempotency_keys::Column::Key.is_in(keys))
        .filter(idempotency_keys::Column::CreatedAt.lt(before.unix_millis()))
        .exec(tx.write_conn())
        .await?;
    Ok(gone.rows_affected)
}

async fn sweep_sessions(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    let ids: Vec<Uuid> = sessions::Entity::find()
        .select_only()
        .column(sessions::Column::Id)
        .filter(sessions::Column::ExpiresAt.lt(now.unix_millis()))
        .limit(BATCH)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let gone = sessions::Entity::delete_many()
        .filter(sessions::Column::Id.is_in(ids))
        .exec(tx.write_conn())
        .await?;
    Ok(gone.rows_affected)
}

/// Ranges of sweeps whose dead letters are gone, too.
async fn sweep_ranges_given_up(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    let keys: Vec<String> = sweep_ranges::Entity::find()
        .select_only()
        .column(sweep_ranges::Column::Key)
        .filter(sweep_ranges::Column::GivenUpAt.lt(before.unix_millis()))
        .limit(BATCH)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let gone = sweep_ranges::Entity::delete_many()
        .filter(sweep_ranges::Column::Key.is_in(keys))
        .exec(tx.write_conn())
        .await?;
    Ok(gone.rows_affected)
}

/// What is known of rules that are gone: an evaluation may have ended after its rule was deleted.
async fn sweep_orphans(tx: &mut Tx) -> Result<u64> {
    let pairs: Vec<(Uuid, Uuid)> = match_rows::Entity::find()
        .select_only()
        .columns([match_rows::Column::RuleId, match_rows::Column::TaskId])
        .filter(is_of_none(match_rows::Column::RuleId))
        .limit(BATCH)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let most = pairs.len() as u64;
    let pairs = pairs.into_iter();
    matches::end(tx, pairs.map(|(rule, task)| (RuleId(rule), TaskId(task)))).await?;
    let states: Vec<Uuid> = rule_state::Entity::find()
        .select_only()
        .column(rule_state::Column::RuleId)
        .filter(is_of_none(rule_state::Column::RuleId))
        .limit(BATCH)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let states = rule_state::Entity::delete_many()
        .filter(rule_state::Column::RuleId.is_in(states))
        .exec(tx.write_conn())
        .await?;
    let stats: Vec<Uuid> = rule_stats::Entity::find()
        .select_only()
        .column(rule_stats::Column::RuleId)
        .filter(is_of_none(rule_stats::Column::RuleId))
        .limit(BATCH)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let stats = rule_stats::Entity::delete_many()
        .filter(rule_stats::Column::RuleId.is_in(stats))
        .exec(tx.write_conn())
        .await?;
    let versions = sweep_versions(tx).await?;
    Ok(most
        .max(states.rows_affected)
        .max(stats.rows_affected)
        .max(versions))
}

/// Versions of rules that are gone, once no run goes on with them.
async fn sweep_versions(tx: &mut Tx) -> Result<u64> {
    let unfinished = Query::select()
        .column(runs::Column::RuleId)
        .from(runs::Entity)
        .and_where(runs::Column::FinishedAt.is_null())
        .to_owned();
    let rules: Vec<Uuid> = rule_versions::Entity::find()
        .select_only()
        .column(rule_versions::Column::RuleId)
        .distinct()
        .filter(is_of_none(rule_versions::Column::RuleId))
        .filter(rule_versions::Column::RuleId.not_in_subquery(unfinished))
        .limit(BATCH)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let gone = rule_versions::Entity::delete_many()
        .filter(rule_versions::Column::RuleId.is_in(rules))
        .exec(tx.write_conn())
        .await?;
    Ok(gone.rows_affected)
}

/// Whether the rule that a column names is gone.
fn is_of_none(rule: impl ColumnTrait) -> SimpleExpr {
    let there = Query::select()
        .column(rules::Column::Id)
        .from(rules::Entity)
        .to_owned();
    rule.not_in_subquery(there)
}
