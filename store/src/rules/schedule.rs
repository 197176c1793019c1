//! The timers that a rule's triggers ask for, written and taken back with it.
//!
//! A timer that is due belongs to whoever fires timers, who may be behind: saving a rule takes back
//! what lies ahead, and leaves what is due and would be due under the new version, too.

use super::{NewRule, find};
use crate::db::at;
use crate::entity::{rules, tasks as task_rows};
use crate::{Due, Error, Result, Timer, Tx, tasks, timers, workspaces};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use smarttasks_model::{RuleId, RuleSpec, Span, Status, TaskId, Trigger, WorkspaceId};

/// Moves a rule's timers to other instants, because its workspace's time zone has changed; one
/// that is no longer of this `version` has been scheduled by whoever changed it.
///
/// # Errors
/// When the database cannot be written.
pub async fn reschedule(
    tx: &mut Tx,
    workspace: WorkspaceId,
    version: i64,
    rule: &NewRule,
) -> Result<()> {
    workspaces::lock(tx, workspace).await?;
    match find(tx.conn(), workspace, rule.id).await? {
        Some(present) if present.version == version => {
            schedule(tx, workspace, &present.spec, rule).await
        }
        _ => Ok(()),
    }
}

/// Schedules a rule in the place of what it was `before`.
pub(super) async fn schedule(
    tx: &mut Tx,
    workspace: WorkspaceId,
    before: &RuleSpec,
    rule: &NewRule,
) -> Result<()> {
    // What others have gathered may be timers of this rule.
    tx.alone()?;
    let due: Vec<Timer> = timers::due_of_rule(tx, rule.id)
        .await?
        .into_iter()
        .filter(|timer| asks_still(before, &rule.spec, &timer.due))
        .collect();
    tx.unschedule_rule(rule.id);
    schedule_occurrences(tx, workspace, rule);
    schedule_deadlines(tx, workspace, rule).await?;
    // A schedule has one timer: it goes on from the occurrence that is due.
    for timer in due {
        tx.schedule(timer);
    }
    Ok(())
}

/// Whether a rule asks for this as it did before.
fn asks_still(before: &RuleSpec, rule: &RuleSpec, due: &Due) -> bool {
    rule.enabled
        && match due {
            Due::Cron { trigger, .. } => {
                let asked = before.triggers.get(*trigger);
                asked.is_some() && asked == rule.triggers.get(*trigger)
            }
            Due::RuleDue { offset, .. } => rule.triggers.contains(&Trigger::Due(*offset)),
            _ => false,
        }
}

/// Schedules the next occurrences of a rule that has no timers.
pub(super) fn schedule_occurrences(tx: &mut Tx, workspace: WorkspaceId, rule: &NewRule) {
    for (trigger, scheduled_at) in rule
        .occurrences
        .iter()
        .copied()
        .filter(|_| rule.spec.enabled)
    {
        tx.schedule(Timer {
            fire_at: scheduled_at,
            workspace_id: Some(workspace),
            due: Due::Cron {
                rule_id: rule.id,
                trigger,
                scheduled_at,
            },
        });
    }
}

/// The offsets from a deadline at which enabled rules of the workspace start.
pub(crate) async fn due_offsets(tx: &Tx, workspace: WorkspaceId) -> Result<Vec<(RuleId, Span)>> {
    let rows: Vec<(uuid::Uuid, String)> = rules::Entity::find()
        .select_only()
        .column(rules::Column::Id)
        .column(rules::Column::DueOffsets)
        .filter(rules::Column::WorkspaceId.eq(workspace.0))
        .filter(rules::Column::DueOffsets.is_not_null())
        .into_tuple()
        .all(tx.conn())
        .await?;
    let mut offsets = Vec::new();
    for (id, list) in rows {
        let list: Vec<Span> = serde_json::from_str(&list)
            .map_err(|error| Error::Unreadable("rule", error.to_string()))?;
        offsets.extend(list.into_iter().map(|offset| (RuleId(id), offset)));
    }
    Ok(offsets)
}

pub(super) fn offsets_of(spec: &RuleSpec) -> Vec<Span> {
    let mut offsets: Vec<Span> = spec
        .triggers
        .iter()
        .filter(|_| spec.enabled)
        .filter_map(|trigger| match trigger {
            Trigger::Due(offset) => Some(*offset),
            _ => None,
        })
        .collect();
    offsets.sort();
    offsets.dedup();
    offsets
}

/// Schedules the rule's offsets for deadlines that exist already. What lies in the past was
/// before the rule: it stays there.
pub(super) async fn schedule_deadlines(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: &NewRule,
) -> Result<()> {
    let open = Status::OPEN.map(Status::as_str);
    let now = tx.now().unix_millis();
    for offset in offsets_of(&rule.spec) {
        let deadlines: Vec<(uuid::Uuid, i64)> = task_rows::Entity::find()
            .select_only()
            .column(task_rows::Column::Id)
            .column(task_rows::Column::DueAt)
            .filter(task_rows::Column::WorkspaceId.eq(workspace.0))
            .filter(task_rows::Column::DueAt.gte(now.saturating_sub(offset.millis())))
            .filter(task_rows::Column::Status.is_in(open))
            .into_tuple()
            .all(tx.conn())
            .await?;
        for (id, due_at) in deadlines {
            let (task_id, due_at) = (TaskId(id), at(due_at));
            if let Some(fire_at) = tasks::instant(due_at, offset, tx.now()) {
                tx.schedule(Timer {
                    fire_at,
                    workspace_id: Some(workspace),
                    due: Due::RuleDue {
                        rule_id: rule.id,
                        task_id,
                        due_at,
                        offset,
                    },
                });
            }
        }
    }
    Ok(())
}
