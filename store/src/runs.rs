//! Runs: evaluations that acted or failed. A rule that did not match leaves no row.

use crate::db::{at, chunks};
use crate::entity::{rule_stats, runs};
use crate::page::{self, Listed, Page};
use crate::rules::{self, Disabling};
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

/// So many failing runs in a row disable their rule.
pub const FAILURES_IN_ROW: i64 = 10;
/// Characters of an error that its rule's owner is told.
const TOLD: usize = 300;

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

/// A run that has been recorded.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The run.
    pub run: Run,
    /// How many rules stand between a person or the clock and the event that started it.
    pub depth: u8,
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
        retry_of: None,
        start: None,
        waits: 0,
        waiting: None,
        wake: None,
        exclusive: None,
    };
    tx.insert::<runs::Entity>(row.into_active_model());
    Ok(())
}

/// Counts the runs that a transaction has recorded, in their order, for their rules: matches,
/// failures, and failures in a row. A rule with [`FAILURES_IN_ROW`] of them is disabled.
///
/// # Errors
/// When the database cannot be written.
pub async fn count(tx: &mut Tx, ended: &[Ended]) -> Result<()> {
    // In order, so that two engines do not lock each other out.
    let mut of_rules: BTreeMap<RuleId, Vec<&Ended>> = BTreeMap::new();
    for one in ended {
        of_rules.entry(one.run.rule_id).or_default().push(one);
    }
    // Failures before the first match continue those of earlier transactions.
    let (mut continuing, mut anew) = (BTreeMap::new(), BTreeMap::new());
    for (rule, runs) in &of_rules {
        let first_match = runs.iter().position(|one| !one.failed());
        let (failures, rest) = runs.split_at(first_match.unwrap_or(runs.len()));
        continuing.insert(*rule, Tally::of(failures));
        anew.insert(*rule, Tally::of(rest));
    }
    continuing.retain(|_, tally| !tally.is_empty());
    anew.retain(|_, tally| !tally.is_empty());
    add(tx, &continuing).await?;
    let standing = failures_in_row(tx, continuing.keys().copied()).await?;
    add(tx, &anew).await?;
    for (rule, runs) in of_rules {
        let added = continuing.get(&rule).map_or(0, |tally| tally.in_row);
        let before = standing.get(&rule).map_or(0, |standing| standing - added);
        if let Some(last) = last_straw(before, &runs) {
            rules::disable(tx, &last.disabling()).await?;
        }
    }
    Ok(())
}

/// What some runs of one rule add up to.
#[derive(Clone, Copy, Default)]
struct Tally {
    matches: i64,
    failures: i64,
    /// Failures since the last match.
    in_row: i64,
}

impl Tally {
    fn of(runs: &[&Ended]) -> Self {
        runs.iter()
            .fold(Self::default(), |tally, one| match one.failed() {
                true => Self {
                    failures: tally.failures + 1,
                    in_row: tally.in_row + 1,
                    ..tally
                },
                false => Self {
                    matches: tally.matches + 1,
                    in_row: 0,
                    ..tally
                },
            })
    }

    fn is_empty(&self) -> bool {
        self.matches + self.failures == 0
    }
}

async fn add(tx: &mut Tx, tallies: &BTreeMap<RuleId, Tally>) -> Result<()> {
    let now = tx.now().unix_millis();
    let rows = tallies.iter().map(|(rule, tally)| rule_stats::ActiveModel {
        rule_id: Set(rule.0),
        matches: Set(tally.matches),
        failures: Set(tally.failures),
        failures_in_row: Set(tally.in_row),
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
        .value(
            rule_stats::Column::FailuresInRow,
            Expr::cust(
                "CASE WHEN excluded.matches > 0 THEN excluded.failures_in_row \
                 ELSE rule_stats.failures_in_row + excluded.failures_in_row END",
            ),
        )
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

/// How many failures stand in a row, of rules whose rows this transaction has written.
async fn failures_in_row(
    tx: &Tx,
    rules: impl Iterator<Item = RuleId>,
) -> Result<HashMap<RuleId, i64>> {
    let mut in_row = HashMap::new();
    for ids in chunks(rules) {
        let rows: Vec<(uuid::Uuid, i64)> = rule_stats::Entity::find()
            .select_only()
            .columns([
                rule_stats::Column::RuleId,
                rule_stats::Column::FailuresInRow,
            ])
            .filter(rule_stats::Column::RuleId.is_in(ids.into_iter().map(|id| id.0)))
            .into_tuple()
            .all(tx.conn())
            .await?;
        in_row.extend(rows.into_iter().map(|(id, n)| (RuleId(id), n)));
    }
    Ok(in_row)
}

/// The run with which a rule, after `before` failures in a row, has had too many.
fn last_straw<'a>(before: i64, runs: &[&'a Ended]) -> Option<&'a Ended> {
    let mut in_row = before;
    runs.iter().copied().find(|one| {
        in_row = if one.failed() { in_row + 1 } else { 0 };
        in_row == FAILURES_IN_ROW
    })
}

impl Ended {
    fn failed(&self) -> bool {
        self.run.status == RunStatus::Failed
    }

    fn disabling(&self) -> Disabling {
        let error = self.run.error.as_ref();
        let told = error.map_or_else(|| "no error".to_owned(), RunError::told);
        Disabling {
            workspace_id: self.run.workspace_id,
            rule_id: self.run.rule_id,
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

const STATUSES: [(RunStatus, &str); 7] = [
    (RunStatus::Running, "running"),
    (RunStatus::Suspended, "suspended"),
    (RunStatus::Paused, "paused"),
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
