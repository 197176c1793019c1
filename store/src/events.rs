//! Events as recorded facts.

use crate::entity::events::{Column, Entity};
use crate::page::{Listed, Page, Position};
use crate::{Db, Error, Result};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use smarttasks_model::{Event, EventType, TaskId, Timestamp, WorkspaceId};

/// Which events of a workspace.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this type.
    pub kind: Option<EventType>,
    /// About this task.
    pub task_id: Option<TaskId>,
    /// At or after this.
    pub since: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
}

/// The events of a workspace, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(
    db: &Db,
    workspace: WorkspaceId,
    filter: &Filter,
    page: &Page,
) -> Result<Listed<Event>> {
    let mut query = Entity::find().filter(Column::WorkspaceId.eq(workspace.0));
    if let Some(kind) = &filter.kind {
        query = query.filter(Column::Kind.eq(kind.as_str()));
    }
    if let Some(task) = filter.task_id {
        query = query.filter(Column::TaskId.eq(task.0));
    }
    if let Some(since) = filter.since {
        query = query.filter(Column::At.gte(since.unix_millis()));
    }
    if let Some(until) = filter.until {
        query = query.filter(Column::At.lt(until.unix_millis()));
    }
    if let Some(position) = &page.after {
        query = query.filter(Column::Id.lt(position.id));
    }
    let rows = query
        .order_by_desc(Column::Id)
        .limit(page.limit + 1)
        .all(db.reader())
        .await?;
    page.cut(
        rows,
        |row| Position {
            key: None,
            id: row.id,
        },
        |row| {
            serde_json::from_str(&row.body)
                .map_err(|error| Error::Unreadable("event", format!("{}: {error}", row.id)))
        },
    )
}
