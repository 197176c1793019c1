//! Recording deliveries and what comes of their attempts.

use super::read::find;
use super::{Channel, Delivery, Outcome, Report, Status};
use crate::entity::{attempts, deliveries};
use crate::{Conflict, Due, Error, Result, Timer, Tx};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use smarttasks_model::{DeliveryId, Message, Timestamp, WorkspaceId};
use std::collections::HashSet;

/// Which of these deliveries exist already: their messages were delivered before.
///
/// # Errors
/// When the database cannot be read.
pub async fn existing(
    tx: &Tx,
    ids: impl IntoIterator<Item = DeliveryId>,
) -> Result<HashSet<DeliveryId>> {
    let ids = ids.into_iter().map(|id| id.0);
    let found: Vec<uuid::Uuid> = deliveries::Entity::find()
        .select_only()
        .column(deliveries::Column::Id)
        .filter(deliveries::Column::Id.is_in(ids))
        .into_tuple()
        .all(tx.conn())
        .await?;
    Ok(found.into_iter().map(DeliveryId).collect())
}

/// Records a delivery.
///
/// # Errors
/// When its content cannot be written as JSON.
pub fn insert(tx: &mut Tx, delivery: &Delivery) -> Result<()> {
    let content = serde_json::to_string(&delivery.content)
        .map_err(|error| Error::Unreadable("delivery", error.to_string()))?;
    let row = deliveries::Model {
        id: delivery.id.0,
        workspace_id: delivery.workspace_id.0,
        notification_id: delivery.notification_id.0,
        channel: delivery.content.channel().as_str().to_owned(),
        status: delivery.status.as_str().to_owned(),
        reason: delivery.reason.clone(),
        rule_id: delivery.rule_id.map(|id| id.0),
        run_id: delivery.run_id.map(|id| id.0),
        task_id: delivery.task_id.map(|id| id.0),
        endpoint_id: delivery.endpoint_id.map(|id| id.0),
        recipient: delivery.recipient.clone(),
        external: delivery.external,
        content,
        traceparent: delivery.traceparent.map(|parent| parent.to_string()),
        depth: delivery.depth.into(),
        attempts_made: delivery.attempts_made,
        created_at: delivery.created_at.unix_millis(),
        next_attempt_at: delivery.next_attempt_at.map(|at| at.unix_millis()),
        finished_at: delivery.finished_at.map(|at| at.unix_millis()),
    };
    tx.insert::<deliveries::Entity>(row.into_active_model());
    Ok(())
}

/// How many mails to people who are no members a workspace asked for since then.
///
/// # Errors
/// When the database cannot be read.
pub async fn count_external(tx: &Tx, workspace: WorkspaceId, since: Timestamp) -> Result<u64> {
    Ok(deliveries::Entity::find()
        .filter(deliveries::Column::WorkspaceId.eq(workspace.0))
        .filter(deliveries::Column::External.eq(true))
        .filter(deliveries::Column::CreatedAt.gte(since.unix_millis()))
        .filter(deliveries::Column::Status.ne(Status::Suppressed.as_str()))
        .count(tx.conn())
        .await?)
}

/// The deliveries of these ids that are still pending, for the notifier, which they wait for
/// until its transaction ends.
///
/// # Errors
/// When the database cannot be read.
pub async fn pending(tx: &Tx, ids: impl IntoIterator<Item = DeliveryId>) -> Result<Vec<Delivery>> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    deliveries::Entity::find()
        .filter(deliveries::Column::Id.is_in(ids))
        .filter(deliveries::Column::Status.eq(Status::Pending.as_str()))
        .order_by_asc(deliveries::Column::Id)
        .lock_exclusive()
        .all(tx.conn())
        .await?
        .into_iter()
        .map(Delivery::try_from)
        .collect()
}

/// Records attempts and what follows from them; returns the deliveries that were pending. What
/// failed on one that is not any more changes nothing: another notifier, which had given this one
/// up for dead, or an earlier try to record the same has had the last word.
///
/// # Errors
/// When the database cannot be written.
pub async fn report(tx: &mut Tx, reports: &[Report]) -> Result<HashSet<DeliveryId>> {
    let ids = reports.iter().map(|report| report.delivery_id);
    let pending = pending(tx, ids).await?;
    let pending: HashSet<DeliveryId> = pending.iter().map(|delivery| delivery.id).collect();
    insert_attempts(tx, reports).await?;
    let delivered = reports
        .iter()
        .filter(|report| matches!(report.outcome, Outcome::Delivered));
    let delivered: Vec<_> = delivered.map(|report| report.delivery_id).collect();
    finish(tx, &delivered, Status::Delivered, None, 1).await?;
    for report in reports
        .iter()
        .filter(|report| pending.contains(&report.delivery_id))
    {
        let made = i32::from(report.attempt.is_some());
        match &report.outcome {
            Outcome::Delivered => {}
            Outcome::Failed(reason) => {
                let ids = [report.delivery_id];
                finish(tx, &ids, Status::Failed, Some(reason), made).await?;
            }
            Outcome::Retry(at) => retry_later(tx, report.delivery_id, *at, made).await?,
        }
    }
    Ok(pending)
}

async fn finish(
    tx: &mut Tx,
    ids: &[DeliveryId],
    status: Status,
    reason: Option<&str>,
    attempts_made: i32,
) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    for id in ids {
        tx.unschedule_delivery(*id);
    }
    let now = tx.now().unix_millis();
    deliveries::Entity::update_many()
        .col_expr(deliveries::Column::Status, Expr::value(status.as_str()))
        .col_expr(deliveries::Column::Reason, Expr::value(reason))
        .col_expr(deliveries::Column::NextAttemptAt, Expr::value(None::<i64>))
        .col_expr(deliveries::Column::FinishedAt, Expr::value(now))
        .col_expr(
            deliveries::Column::AttemptsMade,
            Expr::col(deliveries::Column::AttemptsMade).add(attempts_made),
        )
        .filter(deliveries::Column::Id.is_in(ids.iter().map(|id| id.0)))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

async fn retry_later(
    tx: &mut Tx,
    delivery_id: DeliveryId,
    at: Timestamp,
    attempts_made: i32,
) -> Result<()> {
    tx.schedule(Timer {
        fire_at: at,
        workspace_id: None,
        due: Due::DeliveryRetry { delivery_id },
    });
    deliveries::Entity::update_many()
        .col_expr(
            deliveries::Column::NextAttemptAt,
            Expr::value(at.unix_millis()),
        )
        .col_expr(
            deliveries::Column::AttemptsMade,
            Expr::col(deliveries::Column::AttemptsMade).add(attempts_made),
        )
        .filter(deliveries::Column::Id.eq(delivery_id.0))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

/// An attempt that is recorded already was made by another notifier, which this one had been
/// given up for dead when it made the same.
async fn insert_attempts(tx: &mut Tx, reports: &[Report]) -> Result<()> {
    let rows: Vec<_> = reports
        .iter()
        .filter_map(|report| {
            let attempt = report.attempt.as_ref()?;
            let row = attempts::Model {
                delivery_id: report.delivery_id.0,
                number: attempt.number,
                at: attempt.at.unix_millis(),
                status_code: attempt.status_code.map(i32::from),
                duration_ms: attempt.duration_ms,
                error: attempt.error.clone(),
                response: attempt.response.clone(),
            };
            Some(row.into_active_model())
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    attempts::Entity::insert_many(rows)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx.write_conn())
        .await?;
    Ok(())
}

/// Asks for another attempt now, whether the delivery is pending, delivered or failed.
///
/// # Errors
/// [`Error::NotFound`]; [`Conflict::Suppressed`], because what keeps a workspace from sending
/// must not be undone by asking again; [`Conflict::RequestEnded`].
pub async fn retry_now(tx: &mut Tx, workspace: WorkspaceId, id: DeliveryId) -> Result<()> {
    let row = find(tx.conn(), workspace, id).await?;
    if row.status == Status::Suppressed.as_str() {
        return Err(Conflict::Suppressed.into());
    }
    if row.channel == Channel::Http.as_str() && row.status != Status::Pending.as_str() {
        return Err(Conflict::RequestEnded.into());
    }
    let now = tx.now().unix_millis();
    deliveries::Entity::update_many()
        .col_expr(
            deliveries::Column::Status,
            Expr::value(Status::Pending.as_str()),
        )
        .col_expr(deliveries::Column::Reason, Expr::value(None::<String>))
        .col_expr(deliveries::Column::NextAttemptAt, Expr::value(now))
        .col_expr(deliveries::Column::FinishedAt, Expr::value(None::<i64>))
        .filter(deliveries::Column::Id.eq(id.0))
        .exec(tx.write_conn())
        .await?;
    tx.publish(Message::Delivery(id))
}
