//! Events as recorded facts.

use crate::db::chunks;
use crate::entity::events::{Column, Entity, Model};
use crate::page::{self, Listed, Page};
use crate::{Db, Error, Result, Tx};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QuerySelect};
use smarttasks_model::{Event, EventId, EventType, TaskId, Timestamp, WorkspaceId};
use std::collections::HashSet;

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

/// Which of these events were raised already.
///
/// # Errors
/// When the database cannot be read.
pub async fn existing(tx: &Tx, ids: impl IntoIterator<Item = EventId>) -> Result<HashSet<EventId>> {
    let mut existing = HashSet::new();
    for ids in chunks(ids) {
        let found: Vec<uuid::Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Id.is_in(ids.into_iter().map(|id| id.0)))
            .into_tuple()
            .all(tx.conn())
            .await?;
        existing.extend(found.into_iter().map(EventId));
    }
    Ok(existing)
}

/// An event of this workspace.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &Db, workspace: WorkspaceId, id: EventId) -> Result<Event> {
    let row = Entity::find_by_id(id.0)
        .filter(Column::WorkspaceId.eq(workspace.0))
        .one(db.reader())
        .await?;
    event(row.ok_or(Error::NotFound("event"))?)
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
    page::by_id(
        db,
        query,
        Column::Id,
        Order::Desc,
        page,
        |row| row.id,
        event,
    )
    .await
}

pub(crate) fn event(row: Model) -> Result<Event> {
    serde_json::from_str(&row.body)
        .map_err(|error| Error::Unreadable("event", format!("{}: {error}", row.id)))
}
