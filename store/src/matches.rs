//! Which tasks match which rules, as sweeps have found it: a row from the first match until the
//! task stops to match.

mod policy;

pub use policy::{Change, Policy, decide};

use crate::db::{at, chunks};
use crate::entity::matches::{Column, Entity, Model};
use crate::{Db, Result, Tx};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use smarttasks_model::{RuleId, TaskId, Timestamp, WorkspaceId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// Which rule and which task.
pub type Pair = (RuleId, TaskId);

/// A task that matches a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Match {
    /// The occurrence that found it first.
    pub since: Timestamp,
    /// The occurrence for which the rule last fired; none while the match has not held long enough.
    pub fired_at: Option<Timestamp>,
    /// Whether it matched before the rule applied, which then says nothing until it has stopped.
    pub noted: bool,
    /// From when on an occurrence makes the rule fire though nothing changes; none for never.
    pub next_at: Option<Timestamp>,
}

/// The matches between some rules and some tasks.
///
/// # Errors
/// When the database cannot be read.
pub async fn of(db: &Db, rules: &[RuleId], tasks: &[TaskId]) -> Result<HashMap<Pair, Match>> {
    let mut found = HashMap::new();
    for tasks in chunks(tasks.iter().copied()) {
        for rules in chunks(rules.iter().copied()) {
            let rows = Entity::find()
                .filter(Column::RuleId.is_in(rules.into_iter().map(|id| id.0)))
                .filter(Column::TaskId.is_in(tasks.iter().map(|id| id.0)))
                .all(db.reader())
                .await?;
            found.extend(rows.into_iter().map(read));
        }
    }
    Ok(found)
}

/// Those of some rules that have a match which is due at an occurrence.
///
/// # Errors
/// When the database cannot be read.
pub async fn due(
    db: &Db,
    rules: impl IntoIterator<Item = RuleId>,
    at: Timestamp,
) -> Result<Vec<RuleId>> {
    let mut due = Vec::new();
    for rules in chunks(rules) {
        let rules: Vec<Uuid> = Entity::find()
            .select_only()
            .column(Column::RuleId)
            .distinct()
            .filter(Column::RuleId.is_in(rules.into_iter().map(|id| id.0)))
            .filter(Column::NextAt.lte(at.unix_millis()))
            .into_tuple()
            .all(db.reader())
            .await?;
        due.extend(rules.into_iter().map(RuleId));
    }
    Ok(due)
}

/// These matches as they are now; they stay so until the transaction ends.
///
/// # Errors
/// When the database cannot be read.
pub async fn lock(tx: &Tx, pairs: impl IntoIterator<Item = Pair>) -> Result<HashMap<Pair, Match>> {
    let mut found = HashMap::new();
    for (rule, tasks) in by_rule(pairs) {
        for tasks in chunks(tasks) {
            let rows = Entity::find()
                .filter(Column::RuleId.eq(rule.0))
                .filter(Column::TaskId.is_in(tasks.into_iter().map(|id| id.0)))
                .order_by_asc(Column::TaskId)
                .lock(LockType::Update)
                .all(tx.conn())
                .await?;
            found.extend(rows.into_iter().map(read));
        }
    }
    Ok(found)
}

/// In order, so that two engines do not wait for each other.
fn by_rule(pairs: impl IntoIterator<Item = Pair>) -> BTreeMap<RuleId, BTreeSet<TaskId>> {
    let mut by_rule: BTreeMap<RuleId, BTreeSet<TaskId>> = BTreeMap::new();
    for (rule, task) in pairs {
        by_rule.entry(rule).or_default().insert(task);
    }
    by_rule
}

/// Begins a match. Should another have begun it meanwhile, this transaction fails and is tried
/// again.
pub fn begin(tx: &mut Tx, workspace: WorkspaceId, pair: Pair, found: Match) {
    tx.insert::<Entity>(row(workspace, pair, found).into_active_model());
}

/// Changes matches that were locked before.
///
/// # Errors
/// When the database cannot be written.
pub async fn change(
    tx: &mut Tx,
    workspace: WorkspaceId,
    matches: impl IntoIterator<Item = (Pair, Match)>,
) -> Result<()> {
    let rows = matches
        .into_iter()
        .map(|(pair, found)| row(workspace, pair, found).into_active_model());
    for rows in chunks(rows) {
        let replace = OnConflict::columns([Column::RuleId, Column::TaskId])
            .update_columns([Column::FiredAt, Column::Noted, Column::NextAt])
            .to_owned();
        Entity::insert_many(rows)
            .on_conflict(replace)
            .exec_without_returning(tx.write_conn())
            .await?;
    }
    Ok(())
}

/// Ends matches.
///
/// # Errors
/// When the database cannot be written.
pub async fn end(tx: &mut Tx, pairs: impl IntoIterator<Item = Pair>) -> Result<()> {
    for (rule, tasks) in by_rule(pairs) {
        for tasks in chunks(tasks) {
            Entity::delete_many()
                .filter(Column::RuleId.eq(rule.0))
                .filter(Column::TaskId.is_in(tasks.into_iter().map(|id| id.0)))
                .exec(tx.write_conn())
                .await?;
        }
    }
    Ok(())
}

/// Forgets all that a rule matches.
pub(crate) async fn forget_rule(tx: &mut Tx, rule: RuleId) -> Result<()> {
    Entity::delete_many()
        .filter(Column::RuleId.eq(rule.0))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

/// Forgets all that a task matches.
pub(crate) async fn forget_task(tx: &mut Tx, task: TaskId) -> Result<()> {
    Entity::delete_many()
        .filter(Column::TaskId.eq(task.0))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

fn row(workspace: WorkspaceId, (rule, task): Pair, found: Match) -> Model {
    Model {
        rule_id: rule.0,
        task_id: task.0,
        workspace_id: workspace.0,
        since_at: found.since.unix_millis(),
        fired_at: found.fired_at.map(|at| at.unix_millis()),
        noted: found.noted,
        next_at: found.next_at.map(|at| at.unix_millis()),
    }
}

fn read(row: Model) -> (Pair, Match) {
    let found = Match {
        since: at(row.since_at),
        fired_at: row.fired_at.map(at),
        noted: row.noted,
        next_at: row.next_at.map(at),
    };
    ((RuleId(row.rule_id), TaskId(row.task_id)), found)
}
