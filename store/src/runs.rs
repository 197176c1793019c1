//! Runs: evaluations that acted or failed. A rule that did not match leaves no row.

use crate::db::at;
use crate::entity::{rule_stats, runs};
use crate::page::{self, Listed, Page};
use crate::{Db, Error, Result, Tx};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, QuerySelect,
    Set,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smarttasks_model::{
    EventId, RuleId, RunId, RunStatus, TaskId, Timestamp, TraceParent, WorkspaceId,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// An evaluation that acted or failed.
#[derive(Clone, Debug)]
pub struct Run {
    /// Derived from rule, change and task.
    pub id: RunId,
    /// Where it belongs.
    pub workspace_id: WorkspaceId,
    /// The rule.
    pub rule_id: RuleId,
    /// Its version at the start.
    pub rule_version: i64,
    /// The task that it is about.
    pub task_id: Option<TaskId>,
    /// The event that started it.
    pub event_id: EventId,
    /// Where it stands.
    pub status: RunStatus,
    /// What started it: `type` and, for time, the instant that was due.
    pub trigger: Value,
    /// What it did.
    pub actions: Vec<ActionRecord>,
    /// What the script logged.
    pub log: Vec<String>,
    /// Why it failed.
    pub error: Option<RunError>,
    /// The trace that it belongs to.
    pub traceparent: Option<TraceParent>,
    /// When the evaluation began.
    pub started_at: Timestamp,
    /// When the run ended.
    pub finished_at: Option<Timestamp>,
    /// Evaluation time in microseconds.
    pub duration_us: i64,
    /// When a suspended run goes on.
    pub resumes_at: Option<Timestamp>,
}

/// One thing that a script asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// The call, such as `email` or `task.update`.
    pub action: String,
    /// Its arguments.
    pub detail: Value,
}

/// Why and where a script failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunError {
    /// What was wrong.
    pub message: String,
    /// The line in the script, from 1.
    pub line: Option<usize>,
    /// The column, from 1.
    pub column: Option<usize>,
}

/// Which runs of a workspace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Of this rule.
    pub rule_id: Option<RuleId>,
    /// About this task.
    pub task_id: Option<TaskId>,
    /// That stand there.
    pub status: Option<RunStatus>,
}

/// Which of these runs exist already: their messages were delivered before.
///
/// # Errors
/// When the database cannot be read.
pub async fn existing(tx: &Tx, ids: impl IntoIterator<Item = RunId>) -> Result<HashSet<RunId>> {
    among(tx.conn(), ids).await
}

/// The same outside of a transaction.
///
/// # Errors
/// When the database cannot be read.
pub async fn known(db: &Db, ids: impl IntoIterator<Item = RunId>) -> Result<HashSet<RunId>> {
    among(db.reader(), ids).await
}

async fn among(
    conn: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = RunId>,
) -> Result<HashSet<RunId>> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let found: Vec<uuid::Uuid> = runs::Entity::find()
        .select_only()
        .column(runs::Column::Id)
        .filter(runs::Column::Id.is_in(ids))
        .into_tuple()
        .all(conn)
        .await?;
    Ok(found.into_iter().map(RunId).collect())
}

/// Records a run.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn record(tx: &mut Tx, run: &Run) -> Result<()> {
    let row = runs::Model {
        id: run.id.0,
        workspace_id: run.workspace_id.0,
        rule_id: run.rule_id.0,
        rule_version: run.rule_version,
        task_id: run.task_id.map(|id| id.0),
        event_id: run.event_id.0,
        status: status_name(run.status).to_owned(),
        trigger: json(&run.trigger)?,
        actions: json(&run.actions)?,
        log: json(&run.log)?,
        error: run.error.as_ref().map(json).transpose()?,
        traceparent: run.traceparent.map(|parent| parent.to_string()),
        started_at: run.started_at.unix_millis(),
        finished_at: run.finished_at.map(|at| at.unix_millis()),
        duration_us: run.duration_us,
        resumes_at: run.resumes_at.map(|at| at.unix_millis()),
    };
    tx.insert::<runs::Entity>(row.into_active_model());
    Ok(())
}

/// Counts runs for their rules: matches and failures.
///
/// # Errors
/// When the database cannot be written.
pub async fn count(tx: &mut Tx, counts: HashMap<RuleId, (i64, i64)>) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    let now = tx.now().unix_millis();
    // In order, so that two engines do not lock each other out.
    let counts: BTreeMap<RuleId, (i64, i64)> = counts.into_iter().collect();
    let rows = counts
        .into_iter()
        .map(|(rule, (matches, failures))| rule_stats::ActiveModel {
            rule_id: Set(rule.0),
            matches: Set(matches),
            failures: Set(failures),
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
        .update_column(rule_stats::Column::LastRunAt)
        .to_owned();
    rule_stats::Entity::insert_many(rows)
        .on_conflict(add)
        .exec_without_returning(tx.write_conn())
        .await?;
    Ok(())
}

/// A run of this workspace.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &Db, workspace: WorkspaceId, id: RunId) -> Result<Run> {
    runs::Entity::find_by_id(id.0)
        .filter(runs::Column::WorkspaceId.eq(workspace.0))
        .one(db.reader())
        .await?
        .ok_or(Error::NotFound("run"))?
        .try_into()
}

/// The runs of a workspace, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(
    db: &Db,
    workspace: WorkspaceId,
    filter: &Filter,
    page: &Page,
) -> Result<Listed<Run>> {
    let mut query = runs::Entity::find().filter(runs::Column::WorkspaceId.eq(workspace.0));
    if let Some(rule) = filter.rule_id {
        query = query.filter(runs::Column::RuleId.eq(rule.0));
    }
    if let Some(task) = filter.task_id {
        query = query.filter(runs::Column::TaskId.eq(task.0));
    }
    if let Some(status) = filter.status {
        query = query.filter(runs::Column::Status.eq(status_name(status)));
    }
    page::by_id(
        db,
        query,
        runs::Column::Id,
        Order::Desc,
        page,
        |row| row.id,
        Run::try_from,
    )
    .await
}

const STATUSES: [(RunStatus, &str); 6] = [
    (RunStatus::Running, "running"),
    (RunStatus::Suspended, "suspended"),
    (RunStatus::Succeeded, "succeeded"),
    (RunStatus::Failed, "failed"),
    (RunStatus::Cancelled, "cancelled"),
    (RunStatus::Diverged, "diverged"),
];

fn status_name(status: RunStatus) -> &'static str {
    STATUSES
        .iter()
        .find(|(of, _)| *of == status)
        .map_or("running", |(_, name)| name)
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Unreadable("run", error.to_string()))
}

impl TryFrom<runs::Model> for Run {
    type Error = Error;
    fn try_from(row: runs::Model) -> Result<Self> {
        let unreadable =
            |error: serde_json::Error| Error::Unreadable("run", format!("{}: {error}", row.id));
        let status = STATUSES.iter().find(|(_, name)| *name == row.status);
        let (status, _) = status.ok_or_else(|| Error::Unreadable("run", row.status.clone()))?;
        Ok(Self {
            id: RunId(row.id),
            workspace_id: WorkspaceId(row.workspace_id),
            rule_id: RuleId(row.rule_id),
            rule_version: row.rule_version,
            task_id: row.task_id.map(TaskId),
            event_id: EventId(row.event_id),
            status: *status,
            trigger: serde_json::from_str(&row.trigger).map_err(unreadable)?,
            actions: serde_json::from_str(&row.actions).map_err(unreadable)?,
            log: serde_json::from_str(&row.log).map_err(unreadable)?,
            error: row
                .error
                .as_deref()
                .map(serde_json::from_str)
                .transpose()
                .map_err(unreadable)?,
            traceparent: row.traceparent.and_then(|parent| parent.parse().ok()),
            started_at: at(row.started_at),
            finished_at: row.finished_at.map(at),
            duration_us: row.duration_us,
            resumes_at: row.resumes_at.map(at),
        })
    }
}
