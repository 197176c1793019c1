//! How often rules matched and failed, and which have failed too often.

use super::{Run, RunError};
use crate::db::chunks;
use crate::entity::rule_stats;
use crate::rules::{self, Disabling};
use crate::{Result, Tx};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use smarttasks_model::{RuleId, RunStatus};
use std::collections::{BTreeMap, HashMap};

/// So many failing runs in a row disable their rule.
pub const FAILURES_IN_ROW: i64 = 10;
/// Characters of an error that its rule's owner is told.
const TOLD: usize = 300;

/// A run of which a segment has been recorded.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The run.
    pub run: Run,
    /// Whether the segment is its first.
    pub begun: bool,
    /// How many rules stand between a person or the clock and the event that started it.
    pub depth: u8,
}

/// Counts the runs that a transaction has recorded, in their order, for their rules: matches,
/// failures, and failures in a row of the latest version. A rule with [`FAILURES_IN_ROW`] of them
/// is disabled.
///
/// # Errors
/// When the database cannot be written.
pub async fn count(tx: &mut Tx, ended: &[Ended]) -> Result<()> {
    // In order, so that two engines do not lock each other out.
    let mut of_rules: BTreeMap<RuleId, Vec<&Ended>> = BTreeMap::new();
    for one in ended {
        of_rules.entry(one.run.rule_id).or_default().push(one);
    }
    // Failures before the first success continue those of earlier transactions.
    let (mut continuing, mut anew) = (BTreeMap::new(), BTreeMap::new());
    for (rule, runs) in &of_rules {
        let version = latest(runs);
        let success = runs.iter().position(|one| one.succeeded_in(version));
        let (before, rest) = runs.split_at(success.unwrap_or(runs.len()));
        if !before.is_empty() {
            continuing.insert(*rule, Tally::of(before, version));
        }
        if !rest.is_empty() {
            anew.insert(*rule, Tally::of(rest, version));
        }
    }
    add(tx, &continuing, CONTINUED).await?;
    let standing = failures_in_row(tx, continuing.keys().copied()).await?;
    add(tx, &anew, ANEW).await?;
    for (rule, runs) in of_rules {
        let version = latest(&runs);
        let added = continuing.get(&rule).map_or(0, |tally| tally.in_row);
        let before = match standing.get(&rule) {
            Some((of, standing)) if *of == version => standing - added,
            // Those of an earlier version count against nobody.
            Some((of, _)) if *of > version => continue,
            _ => 0,
        };
        if let Some(last) = last_straw(before, &runs, version) {
            rules::disable(tx, &last.disabling()).await?;
        }
    }
    Ok(())
}

/// What becomes of the failures in a row: those of a later version count anew, and those of an
/// earlier one do not count.
const CONTINUED: &str = "CASE WHEN rule_stats.version = excluded.version \
    THEN rule_stats.failures_in_row + excluded.failures_in_row \
    WHEN rule_stats.version < excluded.version THEN excluded.failures_in_row \
    ELSE rule_stats.failures_in_row END";
/// The same when there was a success before these.
const ANEW: &str = "CASE WHEN rule_stats.version <= excluded.version \
    THEN excluded.failures_in_row ELSE rule_stats.failures_in_row END";
const LATEST: &str = "CASE WHEN rule_stats.version < excluded.version \
    THEN excluded.version ELSE rule_stats.version END";

fn latest(runs: &[&Ended]) -> i64 {
    let versions = runs.iter().map(|one| one.run.rule_version);
    versions.max().unwrap_or_default()
}

/// What some runs of one rule add up to.
#[derive(Clone, Copy, Default)]
struct Tally {
    matches: i64,
    failures: i64,
    /// Failures since the last success, of runs of `version`.
    in_row: i64,
    version: i64,
}

impl Tally {
    fn of(runs: &[&Ended], version: i64) -> Self {
        let mut tally = Self {
            version,
            ..Self::default()
        };
        for one in runs {
            tally.matches += i64::from(one.matched());
            tally.failures += i64::from(one.failed());
            if one.failed_in(version) {
                tally.in_row += 1;
            } else if one.succeeded_in(version) {
                tally.in_row = 0;
            }
        }
        tally
    }
}

async fn add(tx: &mut Tx, tallies: &BTreeMap<RuleId, Tally>, in_row: &'static str) -> Result<()> {
    let now = tx.now().unix_millis();
    let rows = tallies.iter().map(|(rule, tally)| rule_stats::ActiveModel {
        rule_id: Set(rule.0),
        matches: Set(tally.matches),
        failures: Set(tally.failures),
        failures_in_row: Set(tally.in_row),
        version: Set(tally.version),
        last_run_at: Set(Some(now)),
    });
    let add = OnConflict::column(rule_stats::Column::RuleId)
        .value(
            rule_stats::Column::Matches,
            Expr::cust("rule_stats.matches + excluded.matches"),
        )
        .value(
            rule_stats::Column::Failures,
            Expr::cust("rule_stats.failures + excluded.failures"),
        )
        .value(rule_stats::Column::FailuresInRow, Expr::cust(in_row))
        .value(rule_stats::Column::Version, Expr::cust(LATEST))
        .update_column(rule_stats::Column::LastRunAt)
        .to_owned();
    for rows in chunks(rows) {
        rule_stats::Entity::insert_many(rows)
            .on_conflict(add.clone())
            .exec_without_returning(tx.write_conn())
            .await?;
    }
    Ok(())
}

/// How many failures stand in a row, and of which version, of rules whose rows this transaction has written.
async fn failures_in_row(
    tx: &Tx,
    rules: impl Iterator<Item = RuleId>,
) -> Result<HashMap<RuleId, (i64, i64)>> {
    let mut in_row = HashMap::new();
    for ids in chunks(rules) {
        let rows: Vec<(uuid::Uuid, i64, i64)> = rule_stats::Entity::find()
            .select_only()
            .columns([
                rule_stats::Column::RuleId,
                rule_stats::Column::Version,
                rule_stats::Column::FailuresInRow,
            ])
            .filter(rule_stats::Column::RuleId.is_in(ids.into_iter().map(|id| id.0)))
            .into_tuple()
            .all(tx.conn())
            .await?;
        let rows = rows.into_iter();
        in_row.extend(rows.map(|(id, version, number)| (RuleId(id), (version, number))));
    }
    Ok(in_row)
}

/// The run with which a version of a rule, after `before` failures in a row, has had too many.
fn last_straw<'a>(before: i64, runs: &[&'a Ended], version: i64) -> Option<&'a Ended> {
    let mut in_row = before;
    runs.iter().copied().find(|one| {
        if one.failed_in(version) {
            in_row += 1;
        } else if one.succeeded_in(version) {
            in_row = 0;
        }
        one.failed_in(version) && in_row == FAILURES_IN_ROW
    })
}

impl Ended {
    fn failed(&self) -> bool {
        matches!(self.run.status, RunStatus::Failed | RunStatus::Diverged)
    }

    fn failed_in(&self, version: i64) -> bool {
        self.run.rule_version == version && self.failed()
    }

    fn succeeded_in(&self, version: i64) -> bool {
        self.run.rule_version == version && self.run.status == RunStatus::Succeeded
    }

    /// A run that waits has matched when it began.
    fn matched(&self) -> bool {
        self.begun && matches!(self.run.status, RunStatus::Succeeded | RunStatus::Suspended)
    }

    fn disabling(&self) -> Disabling {
        let error = self.run.error.as_ref();
        let told = error.map_or_else(|| "no error".to_owned(), RunError::told);
        Disabling {
            workspace_id: self.run.workspace_id,
            rule_id: self.run.rule_id,
            version: self.run.rule_version,
            reason: format!("{FAILURES_IN_ROW} failures in a row, the last one: {told}"),
            error: self.run.error.clone(),
            run_id: Some(self.run.id),
            depth: self.depth,
            traceparent: self.run.traceparent,
        }
    }
}

impl RunError {
    /// In one line, with its place; a script may throw a long text.
    fn told(&self) -> String {
        let mut told: String = self.message.chars().take(TOLD).collect();
        if told.len() < self.message.len() {
            told.push('…');
        }
        match (self.line, self.column) {
            (Some(line), Some(column)) => format!("{told} (line {line}, column {column})"),
            (Some(line), None) => format!("{told} (line {line})"),
            _ => told,
        }
    }
}
