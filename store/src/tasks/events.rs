//! The events that a write of a task raises.

use crate::{Cause, Result, Tx};
use smarttasks_model::{Event, EventData, EventId, EventType, Snapshot, Status, Task};

pub(super) fn created(tx: &mut Tx, task: &Task, cause: &Cause) -> Result<()> {
    raise(tx, "task.created", task, None, &[], cause)?;
    if task
        .assignee_id
        .is_some_and(|assignee| assignee != task.creator_id)
    {
        raise(tx, "task.assigned", task, None, &[], cause)?;
    }
    Ok(())
}

/// The narrower facts come first: a rule that listens to several of them fires for the first
/// that it acts on.
pub(super) fn updated(
    tx: &mut Tx,
    before: &Task,
    task: &Task,
    changed: &[&'static str],
    cause: &Cause,
) -> Result<()> {
    if changed.contains(&"status") {
        if task.status == Status::Done {
            raise(tx, "task.completed", task, Some(before), changed, cause)?;
        }
        raise(
            tx,
            "task.status_changed",
            task,
            Some(before),
            changed,
            cause,
        )?;
    }
    if changed.contains(&"assignee_id") && task.assignee_id.is_some() {
        raise(tx, "task.assigned", task, Some(before), changed, cause)?;
    }
    raise(tx, "task.updated", task, Some(before), changed, cause)
}

pub(super) fn deleted(tx: &mut Tx, task: &Task, cause: &Cause) -> Result<()> {
    raise(tx, "task.deleted", task, None, &[], cause)
}

fn raise(
    tx: &mut Tx,
    kind: &'static str,
    task: &Task,
    previous: Option<&Task>,
    changed: &[&'static str],
    cause: &Cause,
) -> Result<()> {
    let now = tx.now();
    let id = EventId::derived(
        now,
        &[
            kind.as_bytes(),
            cause.change.as_bytes(),
            task.id.as_bytes(),
            &task.version.to_be_bytes(),
        ],
    );
    tx.raise(Event {
        id,
        workspace_id: task.workspace_id,
        kind: EventType::system(kind),
        task_id: Some(task.id),
        time: now,
        traceparent: cause.traceparent,
        change: cause.change,
        depth: cause.depth,
        actor_id: cause.actor_id(),
        rule_id: None,
        data: EventData::System(Box::new(Snapshot {
            task: Some(task.clone()),
            previous: previous.cloned(),
            changes: changed.iter().map(|&field| field.to_owned()).collect(),
            actor: cause.actor.clone(),
            ..Snapshot::default()
        })),
    })
}
