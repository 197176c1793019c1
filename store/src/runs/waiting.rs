//! Runs that wait: what they began with, what has happened in them so far, and how they stand.
//!
//! A run goes on in one transaction that holds its row and finds it at the wait which has ended;
//! whoever comes late finds it elsewhere and does nothing.

use super::{Run, count_of, json, pair, status_name};
use crate::db::{at, chunks};
use crate::entity::{run_segments, runs};
use crate::rules::Letter;
use crate::{Db, Error, Result, Tx, waits};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde::{Deserialize, Serialize};
use smarttasks_model::{
    Event, NotificationId, RuleId, RunId, RunStatus, TaskId, TimeZone, Timestamp, UserId, Wake,
    WorkspaceId,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What a run began with, and sees throughout.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    /// The event that started it.
    pub event: Arc<Event>,
    /// What the rule was called.
    pub rule_name: String,
    /// Who answers for it.
    pub owner_id: UserId,
    /// What the workspace was called.
    pub workspace_name: String,
    /// Its zone.
    pub timezone: TimeZone,
}

/// A suspended run.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The run.
    pub run: Run,
    /// What it began with.
    pub start: Start,
}

impl Waiting {
    /// The version of its rule that it began with, and whose it was.
    pub fn rule(&self) -> (RuleId, i64, UserId) {
        (self.run.rule_id, self.run.rule_version, self.start.owner_id)
    }
}

/// A run, and how many waits it has begun.
pub type At = (RunId, u32);

/// What happened in a run between two waits, as whoever evaluates has written it.
#[derive(Clone, Debug)]
pub struct SegmentRow {
    /// From 0.
    pub number: u32,
    /// JSON.
    pub body: String,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// Those of these runs that are suspended.
///
/// # Errors
/// When the database cannot be read.
pub async fn waiting(
    db: &Db,
    ids: impl IntoIterator<Item = RunId>,
) -> Result<HashMap<RunId, Waiting>> {
    let mut found = HashMap::new();
    for ids in chunks(ids) {
        let rows = runs::Entity::find()
            .filter(runs::Column::Id.is_in(ids.into_iter().map(|id| id.0)))
            .filter(runs::Column::Status.eq(status_name(RunStatus::Suspended)))
            .all(db.reader())
            .await?;
        for row in rows {
            let start = row.start.as_deref().map(serde_json::from_str).transpose();
            let start = start.map_err(|error| Error::Unreadable("run", error.to_string()))?;
            let run = Run::try_from(row)?;
            if let Some(start) = start {
                found.insert(run.id, Waiting { run, start });
            }
        }
    }
    Ok(found)
}

/// What has happened in these runs, in order, as JSON.
///
/// # Errors
/// When the database cannot be read.
pub async fn segments(
    db: &Db,
    ids: impl IntoIterator<Item = RunId>,
) -> Result<HashMap<RunId, Vec<String>>> {
    let mut found: HashMap<RunId, Vec<String>> = HashMap::new();
    for ids in chunks(ids) {
        let rows = run_segments::Entity::find()
            .filter(run_segments::Column::RunId.is_in(ids.into_iter().map(|id| id.0)))
            .order_by_asc(run_segments::Column::RunId)
            .order_by_asc(run_segments::Column::Number)
            .all(db.reader())
            .await?;
        for row in rows {
            found.entry(RunId(row.run_id)).or_default().push(row.body);
        }
    }
    Ok(found)
}

/// What has happened in one run, in order.
///
/// # Errors
/// When the database cannot be read.
pub async fn steps(db: &Db, workspace: WorkspaceId, id: RunId) -> Result<Vec<SegmentRow>> {
    let rows = run_segments::Entity::find()
        .filter(run_segments::Column::RunId.eq(id.0))
        .filter(run_segments::Column::WorkspaceId.eq(workspace.0))
        .order_by_asc(run_segments::Column::Number)
        .all(db.reader())
        .await?;
    let segment = |row: run_segments::Model| SegmentRow {
        number: u32::try_from(row.number).unwrap_or(0),
        body: row.body,
        ended_at: at(row.ended_at),
    };
    Ok(rows.into_iter().map(segment).collect())
}

/// Which of these runs are suspended at the wait of this number, counted from 1; they stay so until
/// the transaction ends.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold(tx: &Tx, waits: impl IntoIterator<Item = At>) -> Result<HashSet<RunId>> {
    let waits: HashMap<RunId, u32> = waits.into_iter().collect();
    // In order, so that two transactions do not wait for each other.
    let ids: BTreeSet<RunId> = waits.keys().copied().collect();
    let mut held = HashSet::new();
    for ids in chunks(ids) {
        let rows: Vec<(uuid::Uuid, i32)> = runs::Entity::find()
            .select_only()
            .columns([runs::Column::Id, runs::Column::Waits])
            .filter(runs::Column::Id.is_in(ids.into_iter().map(|id| id.0)))
            .filter(runs::Column::Status.eq(status_name(RunStatus::Suspended)))
            .order_by_asc(runs::Column::Id)
            .lock(LockType::Update)
            .into_tuple()
            .all(tx.conn())
            .await?;
        let at_wait =
            |(id, number): &(RunId, i32)| waits.get(id).is_some_and(|of| count_of(*of) == *number);
        let rows = rows.into_iter().map(|(id, number)| (RunId(id), number));
        held.extend(rows.filter(at_wait).map(|(id, _)| id));
    }
    Ok(held)
}

/// Keeps what has happened in a run.
pub fn add_segment(tx: &mut Tx, run: &Run, number: u32, body: String) {
    let row = run_segments::Model {
        run_id: run.id.0,
        number: count_of(number),
        workspace_id: run.workspace_id.0,
        body,
        ended_at: tx.now().unix_millis(),
    };
    tx.insert::<run_segments::Entity>(row.into_active_model());
}

/// Writes how a run stands that this transaction holds; of one that has failed, also with what it
/// had gone on, so that it can be tried again from there.
///
/// # Errors
/// When the database cannot be written.
pub async fn advance(tx: &mut Tx, run: &Run, wake: Option<&Wake>) -> Result<()> {
    let millis = |at: Option<Timestamp>| at.map(Timestamp::unix_millis);
    let mut update = runs::Entity::update_many()
        .col_expr(runs::Column::Status, Expr::value(status_name(run.status)))
        .col_expr(runs::Column::Actions, Expr::value(json(&run.actions)?))
        .col_expr(runs::Column::Log, Expr::value(json(&run.log)?))
        .col_expr(
            runs::Column::Error,
            Expr::value(run.error.as_ref().map(json).transpose()?),
        )
        .col_expr(
            runs::Column::FinishedAt,
            Expr::value(millis(run.finished_at)),
        )
        .col_expr(runs::Column::DurationUs, Expr::value(run.duration_us))
        .col_expr(runs::Column::ResumesAt, Expr::value(millis(run.resumes_at)))
        .col_expr(runs::Column::Waits, Expr::value(count_of(run.waits)))
        .col_expr(
            runs::Column::Waiting,
            Expr::value(run.waiting.as_ref().map(json).transpose()?),
        )
        .col_expr(runs::Column::Wake, Expr::value(wake.map(json).transpose()?));
    if run.finished_at.is_some() {
        update = update.col_expr(runs::Column::Exclusive, Expr::value(None::<String>));
    }
    update
        .filter(runs::Column::Id.eq(run.id.0))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

/// Pauses a run that this transaction holds and that could not go on with `wake`, though its script
/// is not to blame.
///
/// # Errors
/// When the database cannot be written.
pub async fn pause(tx: &mut Tx, waiting: &Waiting, wake: &Wake) -> Result<()> {
    advance(tx, &waiting.run, Some(wake)).await?;
    match wake.is_answered() {
        true => waits::end(tx, [waiting.run.id]).await,
        // With what its wait has ended is found out when it goes on.
        false => Ok(()),
    }
}

/// Tells the owner of a rule that a run of it is paused.
///
/// # Errors
/// When the database cannot be written.
pub async fn tell_of_pause(tx: &mut Tx, waiting: &Waiting, wake: &Wake) -> Result<()> {
    let Waiting { run, start } = waiting;
    let why = run.error.as_ref().map_or("", |error| &error.message);
    let number = wake.wait.number.to_be_bytes();
    let letter = Letter {
        id: NotificationId::derived(tx.now(), &[b"run.paused", run.id.as_bytes(), &number]),
        workspace_id: run.workspace_id,
        run_id: Some(run.id),
        rule_id: run.rule_id,
        depth: start.event.depth,
        traceparent: run.traceparent,
        subject: format!("Run paused: {}", start.rule_name),
        text: format!(
            "A run of the rule \"{}\" is paused: it has often been tried, and could not go on for a \
             reason outside of its script.\n\nThe last time: {why}\n\nWhen that is mended, let it \
             go on:\nPOST /api/v1/runs/{}/resume\n",
            start.rule_name, run.id
        ),
    };
    letter.send(tx, start.owner_id).await
}

/// The unfinished run of each of these rules and tasks beside which no other may begin.
///
/// # Errors
/// When the database cannot be read.
pub async fn unfinished(
    tx: &Tx,
    pairs: impl IntoIterator<Item = (RuleId, Option<TaskId>)>,
) -> Result<HashMap<(RuleId, Option<TaskId>), RunId>> {
    unfinished_on(tx.conn(), pairs).await
}

/// The same outside of a transaction.
///
/// # Errors
/// When the database cannot be read.
pub async fn known_unfinished(
    db: &Db,
    pairs: impl IntoIterator<Item = (RuleId, Option<TaskId>)>,
) -> Result<HashMap<(RuleId, Option<TaskId>), RunId>> {
    unfinished_on(db.reader(), pairs).await
}

async fn unfinished_on(
    conn: &impl ConnectionTrait,
    pairs: impl IntoIterator<Item = (RuleId, Option<TaskId>)>,
) -> Result<HashMap<(RuleId, Option<TaskId>), RunId>> {
    let keys: HashMap<String, (RuleId, Option<TaskId>)> = pairs
        .into_iter()
        .map(|(rule, task)| (pair(rule, task), (rule, task)))
        .collect();
    let mut found = HashMap::new();
    for names in chunks(keys.keys().cloned()) {
        let rows: Vec<(uuid::Uuid, Option<String>)> = runs::Entity::find()
            .select_only()
            .columns([runs::Column::Id, runs::Column::Exclusive])
            .filter(runs::Column::Exclusive.is_in(names))
            .into_tuple()
            .all(conn)
            .await?;
        for (id, name) in rows {
            if let Some(pair) = name.and_then(|name| keys.get(&name)) {
                found.insert(*pair, RunId(id));
            }
        }
    }
    Ok(found)
}

/// Reads what a paused or failed run was to go on with.
pub(super) fn wake_of(row: &runs::Model) -> Result<Option<Wake>> {
    row.wake
        .as_deref()
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| Error::Unreadable("run", error.to_string()))
}
