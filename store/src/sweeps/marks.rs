//! Up to when the matches of a rule are known.
//!
//! A mark says: as of this instant, the predicate of the rule, in this version, held just of those
//! tasks that are among its matches. It stays true of whatever has not changed since, so it may be
//! old, and need never be taken back. It is written with the end of a sweep in which all went well.

use super::{Column as Of, sweep_ranges};
use crate::db::{at, chunks};
use crate::entity::sweep_marks::{ActiveModel, Column, Entity};
use crate::{Db, Error, Result, Tx, rules};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use smarttasks_model::{RuleId, SweepRange, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Up to when the matches of a rule are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// In which version of the rule.
    pub version: i64,
    /// The instant.
    pub at: Timestamp,
}

/// What a look at a range of a sweep says of its rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// When the sweep began.
    pub begun_at: Timestamp,
    /// Of these, in these versions, the matches are known now, as far as the range goes.
    pub known: BTreeMap<RuleId, i64>,
    /// Of these they are not.
    pub unknown: BTreeSet<RuleId>,
}

/// The marks of these rules.
///
/// # Errors
/// When the database cannot be read.
pub async fn of(db: &Db, rules: impl IntoIterator<Item = RuleId>) -> Result<HashMap<RuleId, Mark>> {
    let mut found = HashMap::new();
    for rules in chunks(rules) {
        let rows = Entity::find()
            .filter(Column::RuleId.is_in(rules.into_iter().map(|id| id.0)))
            .all(db.reader())
            .await?;
        found.extend(rows.into_iter().map(|row| {
            let mark = Mark {
                version: row.rule_version,
                at: at(row.at),
            };
            (RuleId(row.rule_id), mark)
        }));
    }
    Ok(found)
}

/// Takes down what a look at a range says, after it was finished and what it leaves was added:
/// when none is left of the sweep, the rules of which all ranges knew get their marks. Of two that
/// end at once each sees the other's still, and the marks stay as they are.
///
/// # Errors
/// When the database cannot be written.
pub async fn tell(tx: &mut Tx, range: &SweepRange, told: &Told) -> Result<()> {
    let left = left(tx, range).await?;
    let mut known = told.known.clone();
    known.retain(|rule, _| !left.contains(rule));
    let concerned = known.keys().chain(&told.unknown).copied();
    let concerned: Vec<RuleId> = concerned.collect();
    if concerned.is_empty() {
        return Ok(());
    }
    let held = rules::hold(tx, range.workspace_id, concerned).await?;
    let unknown = told.unknown.iter().filter(|rule| held.contains(rule));
    let unknown: Vec<ActiveModel> = unknown
        .map(|rule| mark(range, *rule, (0, Timestamp::default()), true))
        .collect();
    write(tx, unknown, spoil()).await?;
    let known = known.into_iter().filter(|(rule, _)| held.contains(rule));
    let known: Vec<ActiveModel> = known
        .map(|(rule, version)| mark(range, rule, (version, told.begun_at), false))
        .collect();
    write(tx, known, replace(range)).await
}

/// The rules of which ranges of the same sweep are still to be looked at.
async fn left(tx: &Tx, range: &SweepRange) -> Result<HashSet<RuleId>> {
    let rows: Vec<String> = sweep_ranges::Entity::find()
        .select_only()
        .column(Of::Rules)
        .distinct()
        .filter(Of::WorkspaceId.eq(range.workspace_id.0))
        .filter(Of::SweepId.eq(range.sweep_id))
        .into_tuple()
        .all(tx.conn())
        .await?;
    let mut left = HashSet::new();
    for rules in rows {
        let rules: Vec<RuleId> = serde_json::from_str(&rules)
            .map_err(|error| Error::Unreadable("sweep", error.to_string()))?;
        left.extend(rules);
    }
    Ok(left)
}

fn mark(
    range: &SweepRange,
    rule: RuleId,
    (version, at): (i64, Timestamp),
    spoiled: bool,
) -> ActiveModel {
    ActiveModel {
        rule_id: Set(rule.0),
        workspace_id: Set(range.workspace_id.0),
        rule_version: Set(version),
        at: Set(at.unix_millis()),
        spoiled_by: Set(spoiled.then_some(range.sweep_id)),
    }
}

async fn write(tx: &mut Tx, marks: Vec<ActiveModel>, or: OnConflict) -> Result<()> {
    for marks in chunks(marks) {
        Entity::insert_many(marks)
            .on_conflict(or.clone())
            .exec_without_returning(tx.write_conn())
            .await?;
    }
    Ok(())
}

fn spoil() -> OnConflict {
    OnConflict::column(Column::RuleId)
        .update_column(Column::SpoiledBy)
        .to_owned()
}

fn replace(range: &SweepRange) -> OnConflict {
    let spoiled_by = || Expr::col((Entity, Column::SpoiledBy));
    OnConflict::column(Column::RuleId)
        .update_columns([Column::RuleVersion, Column::At])
        .action_and_where(spoiled_by().is_null().or(spoiled_by().ne(range.sweep_id)))
        .to_owned()
}

/// Forgets what is known of a rule.
pub(crate) async fn forget_rule(tx: &mut Tx, rule: RuleId) -> Result<()> {
    Entity::delete_by_id(rule.0).exec(tx.write_conn()).await?;
    Ok(())
}
