//! Runs: evaluations that acted, wait or failed. A rule that did not match leaves no row.

mod control;
mod count;
mod waiting;

pub(crate) use control::any_unfinished;
pub use control::{Retry, cancel, end_of_rule, end_of_task, end_page, retry, rule_of, skip_wait};
pub use count::{Ended, FAILURES_IN_ROW, count};
pub use waiting::{
    At, SegmentRow, Start, Waiting, add_segment, advance, hold, known_unfinished, pause, segments,
    steps, tell_of_pause, unfinished, waiting,
};

use crate::db::{at, chunks};
use crate::entity::runs;
use crate::page::{self, Listed, Page};
use crate::{Db, Error, Result, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, QuerySelect,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smarttasks_model::{
    EventId, RuleId, RunId, RunStatus, TaskId, Timestamp, TraceParent, WorkspaceId,
};
use std::collections::HashSet;

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
    /// When a suspended run goes on at the latest.
    pub resumes_at: Option<Timestamp>,
    /// The run of which this is another try.
    pub retry_of: Option<RunId>,
    /// How many waits it has begun.
    pub waits: u32,
    /// What a suspended run waits for.
    pub waiting: Option<Value>,
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Begun at or after this.
    pub since: Option<Timestamp>,
    /// Begun before this.
    pub until: Option<Timestamp>,
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
    let mut existing = HashSet::new();
    for ids in chunks(ids) {
        let found: Vec<uuid::Uuid> = runs::Entity::find()
            .select_only()
            .column(runs::Column::Id)
            .filter(runs::Column::Id.is_in(ids.into_iter().map(|id| id.0)))
            .into_tuple()
            .all(conn)
            .await?;
        existing.extend(found.into_iter().map(RunId));
    }
    Ok(existing)
}

/// How a run is kept, beside what it is.
#[derive(Clone, Debug, Default)]
pub struct Kept<'a> {
    /// What it began with, of one that may go on or be tried again.
    pub start: Option<&'a Start>,
    /// Whether no other run of its rule and task may begin while it is unfinished.
    pub alone: bool,
}

/// What tells the unfinished runs of a rule and a task from others.
fn pair(rule: RuleId, task: Option<TaskId>) -> String {
    task.map_or_else(|| format!("{rule}:-"), |task| format!("{rule}:{task}"))
}

/// Records a run.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn record(tx: &mut Tx, run: &Run, kept: &Kept<'_>) -> Result<()> {
    let alone = kept.alone && run.finished_at.is_none();
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
        retry_of: run.retry_of.map(|id| id.0),
        start: kept.start.map(json).transpose()?,
        waits: count_of(run.waits),
        waiting: run.waiting.as_ref().map(json).transpose()?,
        wake: None,
        exclusive: alone.then(|| pair(run.rule_id, run.task_id)),
    };
    tx.insert::<runs::Entity>(row.into_active_model());
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
    if let Some(since) = filter.since {
        query = query.filter(runs::Column::StartedAt.gte(since.unix_millis()));
    }
    if let Some(until) = filter.until {
        query = query.filter(runs::Column::StartedAt.lt(until.unix_millis()));
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

/// Of a row, in which counts are signed.
fn count_of(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

const STATUSES: [(RunStatus, &str); 7] = [
    (RunStatus::Running, "running"),
    (RunStatus::Suspended, "suspended"),
    (RunStatus::Paused, "paused"),
    (RunStatus::Succeeded, "succeeded"),
    (RunStatus::Failed, "failed"),
    (RunStatus::Cancelled, "cancelled"),
    (RunStatus::Diverged, "diverged"),
];

pub(crate) fn status_name(status: RunStatus) -> &'static str {
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
            retry_of: row.retry_of.map(RunId),
            waits: u32::try_from(row.waits).unwrap_or(0),
            waiting: row
                .waiting
                .as_deref()
                .map(serde_json::from_str)
                .transpose()
                .map_err(unreadable)?,
        })
    }
}
