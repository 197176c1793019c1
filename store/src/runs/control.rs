//! What people do with runs: end them, let them go on at once, try them again.

use super::waiting::{Start, wake_of};
use super::{Kept, Run, RunError, add_segment, advance, json, record, status_name};
use crate::entity::{run_segments, runs};
use crate::{Conflict, Error, Result, Tx, rules, timers, waits};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use smarttasks_model::{
    Because, EndRuns, Message, RuleId, RunId, RunStatus, RunsOf, Span, TaskId, WaitId, Wake,
    WorkspaceId,
};

/// Runs that are ended together.
const PART: u64 = 200;

/// Ends a run that waits or is paused.
///
/// # Errors
/// [`Error::NotFound`]; [`Conflict::RunEnded`].
pub async fn cancel(tx: &mut Tx, workspace: WorkspaceId, id: RunId, why: &str) -> Result<Run> {
    let row = lock(tx, workspace, id).await?;
    let run = Run::try_from(row)?;
    if run.finished_at.is_some() {
        return Err(Conflict::RunEnded.into());
    }
    let error = ended(why);
    end(tx, &[run.id], &error).await?;
    Ok(Run {
        status: RunStatus::Cancelled,
        error: Some(error),
        finished_at: Some(tx.now()),
        resumes_at: None,
        waiting: None,
        ..run
    })
}

/// Ends the unfinished runs about a task that is gone: some now, and of very many the rest later.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_of_task(tx: &mut Tx, workspace: WorkspaceId, task: TaskId) -> Result<()> {
    let which = EndRuns {
        workspace_id: workspace,
        of: RunsOf::Task(task),
        // Those that the deletion itself begins are not meant.
        before: tx.now(),
        why: "the task was deleted".to_owned(),
    };
    end_some(tx, &which, Condition::all()).await
}

/// Likewise those of a rule.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_of_rule(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    why: &str,
) -> Result<()> {
    let which = EndRuns {
        workspace_id: workspace,
        of: RunsOf::Rule(rule),
        // Those that begin when it is enabled again are not meant.
        before: tx.now() + Span::from_millis(1),
        why: why.to_owned(),
    };
    end_some(tx, &which, Condition::all()).await
}

/// Ends a page of what is left, and leaves the rest to a further message.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_page(tx: &mut Tx, which: &EndRuns) -> Result<()> {
    let begun = runs::Column::StartedAt.lt(which.before.unix_millis());
    end_some(tx, which, Condition::all().add(begun)).await
}

/// Whether a rule has runs that may go on.
pub(crate) async fn any_unfinished(tx: &Tx, rule: RuleId) -> Result<bool> {
    let one: Option<uuid::Uuid> = runs::Entity::find()
        .select_only()
        .column(runs::Column::Id)
        .filter(runs::Column::RuleId.eq(rule.0))
        .filter(runs::Column::FinishedAt.is_null())
        .limit(1)
        .into_tuple()
        .one(tx.conn())
        .await?;
    Ok(one.is_some())
}

async fn end_some(tx: &mut Tx, which: &EndRuns, more: Condition) -> Result<()> {
    tx.alone()?;
    let of = match which.of {
        RunsOf::Rule(rule) => runs::Column::RuleId.eq(rule.0),
        RunsOf::Task(task) => runs::Column::TaskId.eq(task.0),
    };
    let ids: Vec<uuid::Uuid> = runs::Entity::find()
        .select_only()
        .column(runs::Column::Id)
        .filter(of)
        .filter(runs::Column::FinishedAt.is_null())
        .filter(more)
        .order_by_asc(runs::Column::Id)
        .limit(PART)
        .lock(LockType::Update)
        .into_tuple()
        .all(tx.conn())
        .await?;
    if ids.len() as u64 >= PART {
        tx.publish(Message::EndRuns(Box::new(which.clone())))?;
    }
    let ids: Vec<RunId> = ids.into_iter().map(RunId).collect();
    end(tx, &ids, &ended(&which.why)).await
}

fn ended(why: &str) -> RunError {
    RunError {
        message: why.to_owned(),
        line: None,
        column: None,
    }
}

/// Ends runs that this transaction holds, however many, in a few statements.
async fn end(tx: &mut Tx, ids: &[RunId], why: &RunError) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    runs::Entity::update_many()
        .col_expr(
            runs::Column::Status,
            Expr::value(status_name(RunStatus::Cancelled)),
        )
        .col_expr(runs::Column::Error, Expr::value(Some(json(why)?)))
        .col_expr(
            runs::Column::FinishedAt,
            Expr::value(Some(tx.now().unix_millis())),
        )
        .col_expr(runs::Column::ResumesAt, Expr::value(None::<i64>))
        .col_expr(runs::Column::Waiting, Expr::value(None::<String>))
        .col_expr(runs::Column::Wake, Expr::value(None::<String>))
        .col_expr(runs::Column::Exclusive, Expr::value(None::<String>))
        .filter(runs::Column::Id.is_in(ids.iter().map(|id| id.0)))
        .exec(tx.write_conn())
        .await?;
    waits::end(tx, ids.iter().copied()).await
}

/// Lets a run go on at once: one that waits as if its time had come, a paused one with what it was
/// to go on with.
///
/// # Errors
/// [`Error::NotFound`]; [`Conflict::RunEnded`].
pub async fn skip_wait(tx: &mut Tx, workspace: WorkspaceId, id: RunId) -> Result<Run> {
    let row = lock(tx, workspace, id).await?;
    let paused_with = wake_of(&row)?;
    let mut run = Run::try_from(row)?;
    let wake = match (run.status, paused_with) {
        (RunStatus::Suspended, _) => Wake {
            workspace_id: workspace,
            wait: WaitId {
                run_id: id,
                number: run.waits.saturating_sub(1),
            },
            because: match run.waits {
                0 => Because::Retry,
                _ => Because::Skipped,
            },
            failures: 0,
        },
        (RunStatus::Paused, Some(wake)) => {
            run.status = RunStatus::Suspended;
            run.error = None;
            advance(tx, &run, None).await?;
            Wake {
                failures: 0,
                ..wake
            }
        }
        _ => return Err(Conflict::RunEnded.into()),
    };
    // It may have its answer already, and wait for its turn to go on with it.
    let answered = timers::wake_of(tx, id).await?;
    let answered = answered.filter(|of| of.wait == wake.wait && of.is_answered());
    tx.unschedule_run(id);
    tx.publish(Message::Wake(Box::new(answered.unwrap_or(wake))))?;
    Ok(run)
}

/// The rule of a run.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn rule_of(tx: &mut Tx, workspace: WorkspaceId, id: RunId) -> Result<RuleId> {
    Ok(RuleId(lock(tx, workspace, id).await?.rule_id))
}

/// How a run is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// With which version of its rule; the one that it had when absent.
    pub version: Option<i64>,
    /// From where it failed, and not from the start.
    pub from_segment: bool,
}

/// Tries a run that has failed again: a new run, with ids of its own.
///
/// # Errors
/// [`Error::NotFound`]; [`Conflict::RunNotFailed`]; [`Conflict::NoSegment`] when it did not fail in
/// going on.
pub async fn retry(tx: &mut Tx, workspace: WorkspaceId, id: RunId, how: Retry) -> Result<Run> {
    let row = lock(tx, workspace, id).await?;
    let start: Option<Start> = row
        .start
        .as_deref()
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| Error::Unreadable("run", error.to_string()))?;
    let failed_with = wake_of(&row)?;
    let before = Run::try_from(row)?;
    let Some(start) = start.filter(|_| is_failed(before.status)) else {
        return Err(Conflict::RunNotFailed.into());
    };
    let version = how.version.unwrap_or(before.rule_version);
    if !rules::has_version(tx, before.rule_id, version).await? {
        return Err(Conflict::NoVersion.into());
    }
    let new = RunId::new(tx.now());
    let (waits, because) = match (how.from_segment, failed_with) {
        (false, _) => (0, Because::Retry),
        (true, Some(wake)) => (before.waits, wake.because),
        (true, None) => return Err(Conflict::NoSegment.into()),
    };
    let run = Run {
        id: new,
        rule_version: version,
        status: RunStatus::Suspended,
        actions: match waits {
            0 => Vec::new(),
            _ => before.actions,
        },
        log: match waits {
            0 => Vec::new(),
            _ => before.log,
        },
        error: None,
        started_at: tx.now(),
        finished_at: None,
        duration_us: 0,
        resumes_at: Some(tx.now()),
        retry_of: Some(id),
        waits,
        waiting: None,
        ..before
    };
    if waits > 0 {
        copy_segments(tx, id, &run).await?;
    }
    let kept = Kept {
        start: Some(&start),
        alone: false,
    };
    record(tx, &run, &kept)?;
    tx.publish(Message::Wake(Box::new(Wake {
        workspace_id: workspace,
        wait: WaitId {
            run_id: new,
            number: waits.saturating_sub(1),
        },
        because,
        failures: 0,
    })))?;
    Ok(run)
}

async fn copy_segments(tx: &mut Tx, from: RunId, to: &Run) -> Result<()> {
    let rows = run_segments::Entity::find()
        .filter(run_segments::Column::RunId.eq(from.0))
        .order_by_asc(run_segments::Column::Number)
        .all(tx.conn())
        .await?;
    for row in rows {
        let number = u32::try_from(row.number).unwrap_or(0);
        if number < to.waits {
            add_segment(tx, to, number, row.body);
        }
    }
    Ok(())
}

const fn is_failed(status: RunStatus) -> bool {
    matches!(
        status,
        RunStatus::Failed | RunStatus::Diverged | RunStatus::Cancelled
    )
}

async fn lock(tx: &mut Tx, workspace: WorkspaceId, id: RunId) -> Result<runs::Model> {
    tx.alone()?;
    runs::Entity::find_by_id(id.0)
        .filter(runs::Column::WorkspaceId.eq(workspace.0))
        .lock(LockType::Update)
        .one(tx.conn())
        .await?
        .ok_or(Error::NotFound("run"))
}
