//! The timers that a task's deadline sets, written and taken back with it.

use crate::{Due, Result, Timer, Tx, rules, workspaces};
use smarttasks_model::{Span, Task, Timestamp};
use std::time::Duration;

/// How long before the deadline `task.due_soon` is raised.
const SOON: Duration = Duration::from_secs(24 * 3600);

/// Takes back what was scheduled and schedules what the task now asks for.
pub(super) async fn reschedule(tx: &mut Tx, task: &Task) -> Result<()> {
    tx.unschedule_task(task.id);
    schedule(tx, task).await
}

/// Schedules what the task's deadline asks for; nothing for a task that is not open.
pub(super) async fn schedule(tx: &mut Tx, task: &Task) -> Result<()> {
    let Some(due_at) = task.due_at.filter(|_| task.status.is_open()) else {
        return Ok(());
    };
    let task_id = task.id;
    let timer = |fire_at, due| Timer {
        fire_at,
        workspace_id: Some(task.workspace_id),
        due,
    };
    let soon = due_at - SOON;
    if soon >= tx.now() {
        tx.schedule(timer(soon, Due::DueSoon { task_id, due_at }));
    }
    tx.schedule(timer(due_at, Due::Overdue { task_id, due_at }));
    workspaces::lock_rules(tx, task.workspace_id).await?;
    for (rule_id, offset) in rules::due_offsets(tx, task.workspace_id).await? {
        if let Some(fire_at) = instant(due_at, offset, tx.now()) {
            tx.schedule(timer(
                fire_at,
                Due::RuleDue {
                    rule_id,
                    task_id,
                    due_at,
                    offset,
                },
            ));
        }
    }
    Ok(())
}

/// When an offset from a deadline that is set at `now` fires: one that lies before the deadline
/// and has passed already is skipped, one at or after it is made up for.
pub(crate) fn instant(due_at: Timestamp, offset: Span, now: Timestamp) -> Option<Timestamp> {
    let fire_at = due_at + offset;
    (fire_at >= now || offset >= Span::ZERO).then_some(fire_at)
}
