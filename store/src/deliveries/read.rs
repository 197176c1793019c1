//! Looking at deliveries.

use super::{Attempt, Delivery, Filter};
use crate::db::at;
use crate::entity::{attempts, deliveries};
use crate::page::{self, Listed, Page};
use crate::{Db, Error, Result};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder,
};
use smarttasks_model::{
    DeliveryId, EndpointId, NotificationId, RuleId, RunId, TaskId, WorkspaceId,
};
use std::collections::HashMap;

/// A delivery of this workspace with its attempts, the first first.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(
    db: &Db,
    workspace: WorkspaceId,
    id: DeliveryId,
) -> Result<(Delivery, Vec<Attempt>)> {
    // In one statement: an attempt that is recorded meanwhile is seen with what follows from it.
    let found = deliveries::Entity::find_by_id(id.0)
        .filter(deliveries::Column::WorkspaceId.eq(workspace.0))
        .find_with_related(attempts::Entity)
        .order_by_asc(attempts::Column::Number)
        .all(db.reader())
        .await?;
    let (row, attempts) = found
        .into_iter()
        .next()
        .ok_or(Error::NotFound("delivery"))?;
    Ok((
        row.try_into()?,
        attempts.into_iter().map(Attempt::from).collect(),
    ))
}

pub(super) async fn find(
    conn: &impl ConnectionTrait,
    workspace: WorkspaceId,
    id: DeliveryId,
) -> Result<deliveries::Model> {
    deliveries::Entity::find_by_id(id.0)
        .filter(deliveries::Column::WorkspaceId.eq(workspace.0))
        .one(conn)
        .await?
        .ok_or(Error::NotFound("delivery"))
}

/// The deliveries of a workspace with their attempts, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(
    db: &Db,
    workspace: WorkspaceId,
    filter: &Filter,
    page: &Page,
) -> Result<Listed<(Delivery, Vec<Attempt>)>> {
    let query = deliveries::Entity::find().filter(deliveries::Column::WorkspaceId.eq(workspace.0));
    let query = query.filter(condition(filter));
    let column = deliveries::Column::Id;
    let listed = page::by_id(
        db,
        query,
        column,
        Order::Desc,
        page,
        |row| row.id,
        Delivery::try_from,
    )
    .await?;
    let ids: Vec<_> = listed.rows.iter().map(|delivery| delivery.id).collect();
    let mut attempts = attempts_of(db.reader(), &ids).await?;
    let rows = listed.rows.into_iter().map(|delivery| {
        let attempts = attempts.remove(&delivery.id).unwrap_or_default();
        (delivery, attempts)
    });
    Ok(Listed {
        rows: rows.collect(),
        next: listed.next,
    })
}

fn condition(filter: &Filter) -> Condition {
    use deliveries::Column;
    Condition::all()
        .add_option(
            filter
                .status
                .map(|status| Column::Status.eq(status.as_str())),
        )
        .add_option(
            filter
                .channel
                .map(|channel| Column::Channel.eq(channel.as_str())),
        )
        .add_option(filter.rule_id.map(|id| Column::RuleId.eq(id.0)))
        .add_option(filter.run_id.map(|id| Column::RunId.eq(id.0)))
        .add_option(filter.task_id.map(|id| Column::TaskId.eq(id.0)))
        .add_option(filter.endpoint_id.map(|id| Column::EndpointId.eq(id.0)))
        .add_option(
            filter
                .since
                .map(|at| Column::CreatedAt.gte(at.unix_millis())),
        )
        .add_option(
            filter
                .until
                .map(|at| Column::CreatedAt.lt(at.unix_millis())),
        )
}

async fn attempts_of(
    conn: &impl ConnectionTrait,
    ids: &[DeliveryId],
) -> Result<HashMap<DeliveryId, Vec<Attempt>>> {
    let rows = attempts::Entity::find()
        .filter(attempts::Column::DeliveryId.is_in(ids.iter().map(|id| id.0)))
        .order_by_asc(attempts::Column::Number)
        .all(conn)
        .await?;
    let mut found: HashMap<DeliveryId, Vec<Attempt>> = HashMap::new();
    for row in rows {
        found
            .entry(DeliveryId(row.delivery_id))
            .or_default()
            .push(row.into());
    }
    Ok(found)
}

impl From<attempts::Model> for Attempt {
    fn from(row: attempts::Model) -> Self {
        Self {
            number: row.number,
            at: at(row.at),
            status_code: row.status_code.and_then(|code| u16::try_from(code).ok()),
            duration_ms: row.duration_ms,
            error: row.error,
            response: row.response,
        }
    }
}

impl TryFrom<deliveries::Model> for Delivery {
    type Error = Error;
    fn try_from(row: deliveries::Model) -> Result<Self> {
        Ok(Self {
            id: DeliveryId(row.id),
            workspace_id: WorkspaceId(row.workspace_id),
            notification_id: NotificationId(row.notification_id),
            status: row.status.parse()?,
            reason: row.reason,
            rule_id: row.rule_id.map(RuleId),
            run_id: row.run_id.map(RunId),
            task_id: row.task_id.map(TaskId),
            endpoint_id: row.endpoint_id.map(EndpointId),
            recipient: row.recipient,
            external: row.external,
            content: serde_json::from_str(&row.content)
                .map_err(|error| Error::Unreadable("delivery", format!("{}: {error}", row.id)))?,
            traceparent: row.traceparent.and_then(|parent| parent.parse().ok()),
            depth: u8::try_from(row.depth).unwrap_or(u8::MAX),
            attempts_made: row.attempts_made,
            created_at: at(row.created_at),
            next_attempt_at: row.next_attempt_at.map(at),
            finished_at: row.finished_at.map(at),
        })
    }
}
