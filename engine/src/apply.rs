//! Writes what was planned: runs, changes, events and notifications, in one transaction with the
//! receipts of the messages that led to them.

use crate::plan::Plan;
use crate::run::{PlannedRun, Step, change, fact};
use crate::{quarantine, suspend};
use futures_util::future::BoxFuture;
use serde_json::json;
use smarttasks_bus::Batch;
use smarttasks_model::{CommentId, Event, EventData, EventId, Message, RuleId, RunId, RunStatus};
use smarttasks_rules::Action;
use smarttasks_store::runs::{self, Ended, Run, RunError};
use smarttasks_store::{Cause, Db, Error, Result, Tx, comments, state, tasks, waits};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Commits the plan; a run that exists already is left as it is.
pub(crate) async fn apply(db: &Db, plan: Plan, batch: Batch, cautious: bool) -> Result<()> {
    let plan = Arc::new(plan);
    db.write(move |tx| {
        let (plan, batch) = (Arc::clone(&plan), batch.clone());
        Box::pin(async move { write(tx, &plan, &batch, cautious).await })
    })
    .await
}

async fn write(tx: &mut Tx, plan: &Plan, batch: &Batch, cautious: bool) -> Result<()> {
    batch.settle(tx);
    quarantine::settle(tx, batch).await?;
    for notification in &plan.notifications {
        tx.publish(Message::Notification(Box::new(notification.clone())))?;
    }
    for put_off in &plan.put_off {
        tx.schedule(put_off.timer());
    }
    let events: Vec<&Event> = plan.events.iter().map(|event| &**event).collect();
    waits::wake(tx, &events).await?;
    perform_all(tx, &plan.runs, &plan.versions, cautious).await?;
    Ok(())
}

/// Does what these runs ask for, and records them; those that exist already, or have gone on
/// already, are left as they are. Those that matched, now or before.
///
/// A run of which something cannot be done is undone without the others only when this is
/// `cautious`, which costs statements for each; else it is [`Error::Overtaken`].
pub(crate) async fn perform_all(
    tx: &mut Tx,
    runs: &[PlannedRun],
    versions: &HashMap<RuleId, i64>,
    cautious: bool,
) -> Result<HashSet<RunId>> {
    let existing = runs::existing(tx, begun(runs).map(|planned| planned.run.id)).await?;
    let mut open = suspend::Open::load(tx, runs).await?;
    let mut ended = Vec::new();
    let mut kept: BTreeMap<RuleId, &PlannedRun> = BTreeMap::new();
    let mut matched = HashSet::new();
    for planned in runs {
        if existing.contains(&planned.run.id) {
            matched.insert(planned.run.id);
            continue;
        }
        if !planned.recorded {
            kept.insert(planned.run.rule_id, planned);
            continue;
        }
        if !open.admits(tx, planned).await? {
            if planned.state.is_some() && followed(planned, runs) {
                return Err(Error::Overtaken);
            }
            continue;
        }
        let run = perform(tx, planned, cautious).await?;
        let run = open.ended_with_its_task(planned, run);
        if run.status == RunStatus::Failed && planned.state.is_some() && followed(planned, runs) {
            // Others went on from what it would have kept.
            return Err(Error::Overtaken);
        }
        told(&run);
        if matches!(run.status, RunStatus::Succeeded | RunStatus::Suspended) {
            matched.insert(run.id);
            if planned.state.is_some() {
                kept.insert(run.rule_id, planned);
            }
        }
        open.record(tx, planned, &run).await?;
        ended.push(Ended {
            run,
            begun: planned.waits_before() == 0,
            depth: planned.event.depth,
        });
    }
    keep(tx, kept, versions).await?;
    runs::count(tx, &ended).await?;
    Ok(matched)
}

/// Those that begin.
fn begun(runs: &[PlannedRun]) -> impl Iterator<Item = &PlannedRun> {
    runs.iter().filter(|planned| planned.wake.is_none())
}

/// Whether a later run is of the same rule.
fn followed(planned: &PlannedRun, runs: &[PlannedRun]) -> bool {
    let of_rule = |run: &&PlannedRun| run.run.rule_id == planned.run.rule_id;
    let last = runs.iter().rfind(of_rule);
    last.is_some_and(|last| last.run.id != planned.run.id)
}

/// Writes what rules keep from now on.
async fn keep(
    tx: &mut Tx,
    kept: BTreeMap<RuleId, &PlannedRun>,
    versions: &HashMap<RuleId, i64>,
) -> Result<()> {
    for (rule, planned) in kept {
        if let Some(values) = &planned.state {
            let read = versions.get(&rule).copied().unwrap_or(0);
            state::replace(tx, planned.run.workspace_id, rule, values, read).await?;
        }
    }
    Ok(())
}

fn told(run: &Run) {
    tracing::info!(
        run.id = %run.id,
        rule.id = %run.rule_id,
        task.id = run.task_id.map(tracing::field::display),
        trace.id = run.traceparent.map(|parent| parent.trace_id()),
        error = run.error.as_ref().map(|error| error.message.as_str()),
        "rule {}",
        match run.status {
            RunStatus::Suspended => "waits",
            RunStatus::Succeeded => "matched",
            _ => "failed",
        }
    );
}

/// Does what a run asks for, all of it or, when something in it cannot be done, none: one run
/// must not be able to fail the messages of others.
async fn perform(tx: &mut Tx, planned: &PlannedRun, cautious: bool) -> Result<Run> {
    let changes = planned.steps.iter().any(|step| matches!(step, Step::Do(_)));
    let done = if changes && cautious {
        let planned = planned.clone();
        tx.nested(|tx| Box::pin(async move { take_steps(tx, &planned).await }))
            .await
    } else {
        take_steps(tx, planned).await
    };
    match done {
        Err(Error::Invalid(_) | Error::Conflict(_)) if changes && !cautious => {
            Err(Error::Overtaken)
        }
        Err(Error::Invalid(wrong)) => {
            let told: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            Ok(failed(planned, told.join("; ")))
        }
        Err(Error::Conflict(conflict)) => Ok(failed(planned, conflict.to_string())),
        done => done,
    }
}

/// What the segments before have done stays done.
fn failed(planned: &PlannedRun, message: String) -> Run {
    let before = planned.before.as_deref();
    Run {
        status: RunStatus::Failed,
        error: Some(RunError {
            message,
            line: None,
            column: None,
        }),
        actions: before.map_or_else(Vec::new, |run| run.actions.clone()),
        finished_at: Some(planned.now),
        resumes_at: None,
        waits: planned.waits_before(),
        waiting: before.and_then(|run| run.waiting.clone()),
        ..planned.run.clone()
    }
}

async fn take_steps(tx: &mut Tx, planned: &PlannedRun) -> Result<Run> {
    let mut run = planned.run.clone();
    let cause = cause_of(planned);
    for (number, step) in planned.steps.iter().enumerate() {
        match step {
            Step::Suppressed(_) => {}
            Step::Notify(notification) => {
                tx.publish(Message::Notification(notification.clone()))?;
            }
            Step::Do(action) => {
                let of_run = planned.actions_before + number;
                let done = act(tx, planned, of_run, action, &cause).await;
                if let Err(Error::NotFound(_)) = &done {
                    // The task was deleted meanwhile; what else the run asks for stands.
                    if let Some(detail) = run
                        .actions
                        .get_mut(planned.records_before() + number)
                        .and_then(|record| record.detail.as_object_mut())
                    {
                        detail.insert("suppressed".to_owned(), json!("the task is gone"));
                    }
                } else {
                    done?;
                }
            }
        }
    }
    Ok(run)
}

fn cause_of(planned: &PlannedRun) -> Cause {
    let run = &planned.run;
    Cause {
        change: change(&planned.event, run.id, planned.waits_before()),
        actor: None,
        rule_id: Some(run.rule_id),
        depth: planned.event.depth.saturating_add(1),
        traceparent: run.traceparent,
    }
}

fn act<'a>(
    tx: &'a mut Tx,
    planned: &'a PlannedRun,
    of_run: usize,
    action: &'a Action,
    cause: &'a Cause,
) -> BoxFuture<'a, Result<()>> {
    let workspace = planned.run.workspace_id;
    let now = planned.now;
    let run = planned.run.id;
    let number = of_run.to_be_bytes();
    Box::pin(async move {
        match action {
            Action::Email { .. } | Action::Notify { .. } | Action::Webhook { .. } => Ok(()),
            Action::CreateTask {
                id,
                creator_id,
                task,
            } => {
                tasks::create(tx, workspace, *id, *creator_id, task.clone(), cause).await?;
                // A later action of the same run may read it back.
                tx.flush().await
            }
            Action::CommentTask { task_id, text } => {
                let id = CommentId::derived(now, &[run.as_bytes(), &number]);
                comments::create(tx, workspace, *task_id, id, text.clone(), cause).await?;
                Ok(())
            }
            Action::Emit { kind, data } => tx.raise(Event {
                id: EventId::derived(now, &[run.as_bytes(), &number]),
                workspace_id: workspace,
                kind: kind.clone(),
                task_id: planned.run.task_id,
                time: tx.now(),
                traceparent: cause.traceparent,
                change: fact(now, run, of_run),
                depth: cause.depth,
                actor_id: None,
                rule_id: None,
                data: EventData::Custom(data.clone()),
            }),
            Action::UpdateTask { task_id, .. }
            | Action::AssignTask { task_id, .. }
            | Action::TagTask { task_id, .. }
            | Action::UntagTask { task_id, .. } => {
                let task = tasks::lock(tx, workspace, *task_id).await?;
                if let Some(changes) = action.changes_for(&task) {
                    tasks::update(tx, workspace, *task_id, &changes, None, cause).await?;
                }
                Ok(())
            }
        }
    })
}
