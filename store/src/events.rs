//! Events as recorded facts.

use crate::db::chunks;
use crate::entity::events::{Column, Entity, Model};
use crate::page::{self, Listed, Page};
use crate::{Db, Error, Result, Tx};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use smarttasks_model::{Event, EventId, EventType, TaskId, Timestamp, WorkspaceId};
use std::collections::HashSet;
use std::time::Duration;

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

/// How much later than its id says an event may have happened: a deadline that is told of late.
const LATE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The events of a time, in the order of their ids, after `after`, with the bytes of each.
///
/// # Errors
/// When the database cannot be read.
pub async fn between(
    db: &Db,
    workspace: WorkspaceId,
    (since, until): (Timestamp, Timestamp),
    after: Option<EventId>,
    limit: u64,
) -> Result<Vec<(Event, usize)>> {
    let first = first_id(since - LATE);
    let after = after.map_or(first, |after| after.0.max(first));
    Entity::find()
        .filter(Column::WorkspaceId.eq(workspace.0))
        .filter(Column::Id.gt(after))
        .filter(Column::At.gte(since.unix_millis()))
        .filter(Column::At.lt(until.unix_millis()))
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(db.reader())
        .await?
        .into_iter()
        .map(|row| {
            let bytes = row.body.len();
            Ok((event(row)?, bytes))
        })
        .collect()
}

/// The least id of an instant.
fn first_id(at: Timestamp) -> uuid::Uuid {
    let millis = u64::try_from(at.unix_millis()).unwrap_or(0);
    uuid::Uuid::from_u128(u128::from(millis) << 80)
}

pub(crate) fn event(row: Model) -> Result<Event> {
    serde_json::from_str(&row.body)
        .map_err(|error| Error::Unreadable("event", format!("{}: {error}", row.id)))
}
