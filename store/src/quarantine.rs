//! Rules whose evaluation ends the process.
//!
//! What an evaluation does to its process, the process cannot tell afterwards. So whoever takes up
//! what another process may have died with leaves marks here first: of all evaluations at once,
//! and, when a process has died with those marks too, of each evaluation alone, for as long as it
//! takes. A mark of one alone that is still there says which rule it was. Whatever no process has
//! died with leaves no mark and costs nothing.

use crate::db::chunks;
use crate::entity::evaluations;
use crate::rules::{self, Disabling};
use crate::workspaces::bump_rules;
use crate::{Result, Tx};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use smarttasks_model::{EventId, RuleId, RunId, TraceParent, WorkspaceId};
use std::collections::HashSet;

/// So many processes may end while they evaluate a rule alone.
pub const STARTS: i32 = 3;
/// Why a rule is disabled that has ended more.
pub const REASON: &str = "its evaluation ended the process three times";

/// An evaluation that a process may have died with.
#[derive(Clone, Copy, Debug)]
pub struct Suspect {
    /// Where the rule belongs.
    pub workspace_id: WorkspaceId,
    /// The rule.
    pub rule_id: RuleId,
    /// Its version.
    pub version: i64,
    /// The run that it is for.
    pub run_id: RunId,
    /// The event that starts it: a run may be tried for several of one change.
    pub event_id: EventId,
    /// How many rules stand between the event and a person or the clock.
    pub depth: u8,
    /// The trace that the event belongs to.
    pub traceparent: Option<TraceParent>,
}

/// Marks evaluations as taken up by this process. Returns the events with which another had been
/// marked: theirs must run alone.
///
/// # Errors
/// When the database cannot be written.
pub async fn take_up(tx: &mut Tx, suspects: &[Suspect]) -> Result<HashSet<EventId>> {
    let events: HashSet<EventId> = suspects.iter().map(|suspect| suspect.event_id).collect();
    let mut before = HashSet::new();
    for events in chunks(events) {
        let found: Vec<uuid::Uuid> = evaluations::Entity::find()
            .select_only()
            .column(evaluations::Column::EventId)
            .filter(evaluations::Column::EventId.is_in(events.into_iter().map(|id| id.0)))
            .filter(evaluations::Column::Process.ne(tx.instance()))
            .into_tuple()
            .all(tx.conn())
            .await?;
        before.extend(found.into_iter().map(EventId));
    }
    let together = suspects
        .iter()
        .filter(|suspect| !before.contains(&suspect.event_id));
    let marks: Vec<_> = together.map(|suspect| mark(tx, suspect, 0)).collect();
    for marks in chunks(marks) {
        evaluations::Entity::insert_many(marks)
            .on_conflict(key().do_nothing().to_owned())
            .exec_without_returning(tx.write_conn())
            .await?;
    }
    Ok(before)
}

/// Marks an evaluation as begun alone by this process, and the one before as ended. When too many
/// processes have ended with it, its rule is disabled instead, and the answer is no; also no run
/// that began with that version goes on, until the rule is enabled again.
///
/// # Errors
/// When the database cannot be written.
pub async fn begin(tx: &mut Tx, ended: Option<&Suspect>, next: &Suspect) -> Result<bool> {
    if let Some(ended) = ended {
        end(tx, ended).await?;
    }
    let known = evaluations::Entity::find_by_id((next.run_id.0, next.event_id.0)).lock_exclusive();
    let starts = match known.one(tx.conn()).await? {
        // Whatever it has begun, this process has lived on.
        Some(known) if known.process == tx.instance() => known.starts.max(1),
        Some(known) if known.starts >= STARTS => {
            disable(tx, next).await?;
            return Ok(false);
        }
        Some(known) => known.starts + 1,
        None => 1,
    };
    let begun = key()
        .update_columns([evaluations::Column::Starts, evaluations::Column::Process])
        .to_owned();
    evaluations::Entity::insert(mark(tx, next, starts))
        .on_conflict(begun)
        .exec_without_returning(tx.write_conn())
        .await?;
    Ok(true)
}

/// Takes back the mark of an evaluation that has ended.
///
/// # Errors
/// When the database cannot be written.
pub async fn end(tx: &mut Tx, ended: &Suspect) -> Result<()> {
    evaluations::Entity::delete_by_id((ended.run_id.0, ended.event_id.0))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

/// Takes back the marks of events whose handling commits.
///
/// # Errors
/// When the database cannot be written.
pub async fn settle(tx: &mut Tx, events: impl IntoIterator<Item = EventId>) -> Result<()> {
    for events in chunks(events) {
        evaluations::Entity::delete_many()
            .filter(evaluations::Column::EventId.is_in(events.into_iter().map(|id| id.0)))
            .exec(tx.write_conn())
            .await?;
    }
    Ok(())
}

/// Takes back the marks of a rule: another version of it, or none, is another matter.
pub(crate) async fn forget_rule(tx: &mut Tx, rule: RuleId) -> Result<()> {
    evaluations::Entity::delete_many()
        .filter(evaluations::Column::RuleId.eq(rule.0))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

async fn disable(tx: &mut Tx, suspect: &Suspect) -> Result<()> {
    let why = Disabling {
        workspace_id: suspect.workspace_id,
        rule_id: suspect.rule_id,
        version: suspect.version,
        reason: REASON.to_owned(),
        error: None,
        run_id: Some(suspect.run_id),
        depth: suspect.depth,
        traceparent: suspect.traceparent,
    };
    rules::put_into_quarantine(tx, suspect.rule_id, suspect.version).await?;
    if !rules::disable(tx, &why).await? {
        // A run of an earlier version, or of a rule that is disabled or gone.
        bump_rules(tx, suspect.workspace_id).await?;
    }
    forget_rule(tx, suspect.rule_id).await
}

fn key() -> OnConflict {
    OnConflict::columns([evaluations::Column::RunId, evaluations::Column::EventId])
}

fn mark(tx: &Tx, suspect: &Suspect, starts: i32) -> evaluations::ActiveModel {
    evaluations::ActiveModel {
        run_id: Set(suspect.run_id.0),
        event_id: Set(suspect.event_id.0),
        rule_id: Set(suspect.rule_id.0),
        starts: Set(starts),
        process: Set(tx.instance()),
        started_at: Set(tx.now().unix_millis()),
    }
}
