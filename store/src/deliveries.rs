//! The delivery log: one notification to one recipient, and every attempt at it.

use crate::db::at;
use crate::entity::{attempts, deliveries};
use crate::page::{Listed, Page, Position};
use crate::{Conflict, Db, Due, Error, Result, Timer, Tx};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use smarttasks_model::{
    DeliveryId, EndpointId, Message, NotificationId, RuleId, RunId, TaskId, Timestamp, TraceParent,
    WorkspaceId,
};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

/// Where a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waiting for its first or next attempt.
    Pending,
    /// Taken by the receiver.
    Delivered,
    /// Given up.
    Failed,
    /// Not to be sent.
    Suppressed,
}

impl Status {
    /// The name, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Suppressed => "suppressed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        [
            Self::Pending,
            Self::Delivered,
            Self::Failed,
            Self::Suppressed,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| Error::Unreadable("delivery", text.to_owned()))
    }
}

/// A way to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Mail.
    Email,
    /// A signed POST.
    Webhook,
}

impl Channel {
    /// The name, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }
}

/// What is sent, the same at every attempt.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "snake_case")]
pub enum Content {
    /// A mail.
    Email {
        /// What the recipient is called, when known.
        name: Option<String>,
        /// One line.
        subject: String,
        /// The plain text.
        text: String,
        /// The HTML alternative, when the script gave one.
        html: Option<String>,
    },
    /// A POST; where to is the delivery's recipient, or its endpoint as it is then.
    Webhook {
        /// The JSON that is signed and sent.
        body: String,
    },
}

impl Content {
    /// The channel that it is for.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Email { .. } => Channel::Email,
            Self::Webhook { .. } => Channel::Webhook,
        }
    }
}

/// One notification to one recipient over one channel.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Derived from the notification and the recipient.
    pub id: DeliveryId,
    /// Where it belongs.
    pub workspace_id: WorkspaceId,
    /// What it is part of.
    pub notification_id: NotificationId,
    /// Where it stands.
    pub status: Status,
    /// Why it failed or was suppressed.
    pub reason: Option<String>,
    /// The rule that asked for it.
    pub rule_id: Option<RuleId>,
    /// The run that asked for it.
    pub run_id: Option<RunId>,
    /// The task that it is about.
    pub task_id: Option<TaskId>,
    /// The endpoint that it goes to.
    pub endpoint_id: Option<EndpointId>,
    /// An address or a URL.
    pub recipient: String,
    /// Whether it is a mail to somebody who is no member of the workspace.
    pub external: bool,
    /// What is sent.
    pub content: Content,
    /// The trace that caused it.
    pub traceparent: Option<TraceParent>,
    /// How many rules stand between it and a person or the clock.
    pub depth: u8,
    /// How many attempts were made.
    pub attempts_made: i32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// One try at a delivery.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// From 1.
    pub number: i32,
    /// When it began.
    pub at: Timestamp,
    /// What the receiver answered.
    pub status_code: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// The start of the answer.
    pub response: Option<String>,
}

/// What follows from an attempt.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The receiver took it.
    Delivered,
    /// Another attempt is made then.
    Retry(Timestamp),
    /// It is given up.
    Failed(String),
}

/// An attempt and what follows from it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// The attempt; absent when none could be made.
    pub attempt: Option<Attempt>,
    /// What follows.
    pub outcome: Outcome,
}

/// Which deliveries of a workspace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// That stand there.
    pub status: Option<Status>,
    /// Over this channel.
    pub channel: Option<Channel>,
    /// Asked for by this rule.
    pub rule_id: Option<RuleId>,
    /// Asked for by this run.
    pub run_id: Option<RunId>,
    /// About this task.
    pub task_id: Option<TaskId>,
    /// To this endpoint.
    pub endpoint_id: Option<EndpointId>,
    /// Asked for at or after this.
    pub since: Option<Timestamp>,
    /// Asked for before this.
    pub until: Option<Timestamp>,
}

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

/// The deliveries of these ids that are still pending, for the notifier.
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
        .all(tx.conn())
        .await?
        .into_iter()
        .map(Delivery::try_from)
        .collect()
}

/// Records attempts and what follows from them.
///
/// # Errors
/// When the database cannot be written.
pub async fn report(tx: &mut Tx, reports: &[Report]) -> Result<()> {
    for report in reports {
        if let Some(attempt) = &report.attempt {
            insert_attempt(tx, report.delivery_id, attempt);
        }
    }
    let delivered = reports
        .iter()
        .filter(|report| matches!(report.outcome, Outcome::Delivered));
    let delivered: Vec<_> = delivered.map(|report| report.delivery_id).collect();
    finish(tx, &delivered, Status::Delivered, None, 1).await?;
    for report in reports {
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
    Ok(())
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

fn insert_attempt(tx: &mut Tx, delivery_id: DeliveryId, attempt: &Attempt) {
    let row = attempts::Model {
        delivery_id: delivery_id.0,
        number: attempt.number,
        at: attempt.at.unix_millis(),
        status_code: attempt.status_code.map(i32::from),
        duration_ms: attempt.duration_ms,
        error: attempt.error.clone(),
        response: attempt.response.clone(),
    };
    tx.insert::<attempts::Entity>(row.into_active_model());
}

/// Asks for another attempt now, whether the delivery is pending, delivered or failed.
///
/// # Errors
/// [`Error::NotFound`]; [`Conflict::Suppressed`], because what keeps a workspace from sending
/// must not be undone by asking again.
pub async fn retry_now(tx: &mut Tx, workspace: WorkspaceId, id: DeliveryId) -> Result<()> {
    let row = find(tx.conn(), workspace, id).await?;
    if row.status == Status::Suppressed.as_str() {
        return Err(Conflict::Suppressed.into());
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

/// A delivery of this workspace with its attempts, the first first.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(
    db: &Db,
    workspace: WorkspaceId,
    id: DeliveryId,
) -> Result<(Delivery, Vec<Attempt>)> {
    let delivery: Delivery = find(db.reader(), workspace, id).await?.try_into()?;
    let attempts = attempts_of(db.reader(), &[id])
        .await?
        .remove(&id)
        .unwrap_or_default();
    Ok((delivery, attempts))
}

async fn find(
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
    let mut query =
        deliveries::Entity::find().filter(deliveries::Column::WorkspaceId.eq(workspace.0));
    if let Some(position) = &page.after {
        query = query.filter(deliveries::Column::Id.lt(position.id));
    }
    let rows = query
        .filter(condition(filter))
        .order_by_desc(deliveries::Column::Id)
        .limit(page.limit + 1)
        .all(db.reader())
        .await?;
    let position = |row: &deliveries::Model| Position {
        key: None,
        id: row.id,
    };
    let listed = page.cut(rows, position, Delivery::try_from)?;
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

fn condition(filter: &Filter) -> sea_orm::Condition {
    use deliveries::Column;
    sea_orm::Condition::all()
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
            .push(Attempt {
                number: row.number,
                at: at(row.at),
                status_code: row.status_code.and_then(|code| u16::try_from(code).ok()),
                duration_ms: row.duration_ms,
                error: row.error,
                response: row.response,
            });
    }
    Ok(found)
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
