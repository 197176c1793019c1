//! What was done to a task, by whom: kept as long as the workspace, unlike events.

use crate::db::at;
use crate::entity::activity::{self, Column, Entity};
use crate::page::{self, Listed, Page};
use crate::{Cause, Db, Error, Result, Tx, tasks};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter};
use smarttasks_model::{RuleId, Task, TaskId, Timestamp, UserId, WorkspaceId, derive_id};
use uuid::Uuid;

/// One thing that was done.
#[derive(Clone, Debug)]
pub struct Activity {
    /// Its id.
    pub id: Uuid,
    /// What was done, as an event type.
    pub kind: String,
    /// Names of the fields that changed.
    pub changes: Vec<String>,
    /// Who did it, unless a rule did.
    pub actor_id: Option<UserId>,
    /// The rule that did it.
    pub rule_id: Option<RuleId>,
    /// When.
    pub at: Timestamp,
}

pub(crate) fn record(
    tx: &mut Tx,
    task: &Task,
    kind: &str,
    changes: &[&'static str],
    cause: &Cause,
    // What tells it from another of the same kind in the same change, such as a comment's id.
    which: &[u8],
) -> Result<()> {
    let now = tx.now();
    let version = task.version.to_be_bytes();
    let key = [
        kind.as_bytes(),
        cause.change.as_bytes(),
        task.id.as_bytes(),
        &version,
        which,
    ];
    let row = activity::Model {
        id: derive_id(now, &key),
        workspace_id: task.workspace_id.0,
        task_id: task.id.0,
        kind: kind.to_owned(),
        changes: serde_json::to_string(changes)
            .map_err(|error| Error::Unreadable("activity", error.to_string()))?,
        actor_id: cause.actor_id().map(|id| id.0),
        rule_id: cause.rule_id.map(|id| id.0),
        at: now.unix_millis(),
    };
    tx.insert::<Entity>(row.into_active_model());
    Ok(())
}

/// What was done to a task, newest first.
///
/// # Errors
/// [`Error::NotFound`] when there is no such task.
pub async fn list(
    db: &Db,
    workspace: WorkspaceId,
    task_id: TaskId,
    page: &Page,
) -> Result<Listed<Activity>> {
    tasks::get(db, workspace, task_id).await?;
    let query = Entity::find().filter(Column::TaskId.eq(task_id.0));
    page::by_id(
        db,
        query,
        Column::Id,
        Order::Desc,
        page,
        |row| row.id,
        |row| {
            let changes = serde_json::from_str(&row.changes)
                .map_err(|error| Error::Unreadable("activity", error.to_string()))?;
            Ok(Activity {
                id: row.id,
                kind: row.kind,
                changes,
                actor_id: row.actor_id.map(UserId),
                rule_id: row.rule_id.map(RuleId),
                at: at(row.at),
            })
        },
    )
    .await
}
