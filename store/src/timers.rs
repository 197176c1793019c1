//! Timers: messages due later. Whatever waits, waits here.

use crate::entity::{outbox, timers};
use crate::{Db, Error, Result, Tx};
use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query, SelectStatement, SubQueryStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
};
use serde::{Deserialize, Serialize};
use smarttasks_model::{
    DeliveryId, Message, RuleId, RunId, Span, TaskId, Timestamp, Wake, WorkspaceId,
};
use std::collections::HashMap;
use uuid::Uuid;

/// What is due.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "due", rename_all = "snake_case")]
pub enum Due {
    /// A task's deadline is near (24 h).
    DueSoon {
        /// The task.
        task_id: TaskId,
        /// The deadline for which this was written; another one makes it stale.
        due_at: Timestamp,
    },
    /// A task's deadline passes.
    Overdue {
        /// The task.
        task_id: TaskId,
        /// The deadline for which this was written.
        due_at: Timestamp,
    },
    /// A rule's offset from a task's deadline.
    RuleDue {
        /// The rule.
        rule_id: RuleId,
        /// The task.
        task_id: TaskId,
        /// The deadline for which this was written.
        due_at: Timestamp,
        /// The rule's offset from it.
        offset: Span,
    },
    /// An occurrence of a rule's cron trigger.
    Cron {
        /// The rule.
        rule_id: RuleId,
        /// Which of its triggers.
        trigger: usize,
        /// The occurrence.
        scheduled_at: Timestamp,
    },
    /// The next attempt of a delivery.
    DeliveryRetry {
        /// The delivery.
        delivery_id: DeliveryId,
    },
    /// A delivery that its notifier took up and has not reported on.
    DeliveryRecovery {
        /// The delivery.
        delivery_id: DeliveryId,
    },
    /// Rows past their retention are removed.
    Retention,
    /// A message that waits for its turn.
    Message {
        /// What tells it from others that wait.
        key: String,
        /// What is published then.
        message: Box<Message>,
    },
}

impl Due {
    const fn kind(&self) -> &'static str {
        match self {
            Self::DueSoon { .. } => "due_soon",
            Self::Overdue { .. } => "overdue",
            Self::RuleDue { .. } => "rule_due",
            Self::Cron { .. } => CRON,
            Self::DeliveryRetry { .. } => "delivery_retry",
            Self::DeliveryRecovery { .. } => DELIVERY_RECOVERY,
            Self::Retention => "retention",
            Self::Message { .. } => "message",
        }
    }

    /// What makes two timers the same one: scheduling it again moves it.
    fn key(&self) -> String {
        match self {
            Self::DueSoon { task_id, .. } => format!("due_soon:{task_id}"),
            Self::Overdue { task_id, .. } => format!("overdue:{task_id}"),
            Self::RuleDue {
                rule_id,
                task_id,
                offset,
                ..
            } => {
                format!("rule_due:{rule_id}:{task_id}:{}", offset.millis())
            }
            Self::Cron {
                rule_id, trigger, ..
            } => format!("cron:{rule_id}:{trigger}"),
            // One timer per delivery: it either waits for a retry or is being recovered.
            Self::DeliveryRetry { delivery_id } | Self::DeliveryRecovery { delivery_id } => {
                delivery_key(*delivery_id)
            }
            Self::Retention => "retention".to_owned(),
            Self::Message { key, .. } => format!("message:{key}"),
        }
    }

    const fn task_id(&self) -> Option<TaskId> {
        match self {
            Self::DueSoon { task_id, .. }
            | Self::Overdue { task_id, .. }
            | Self::RuleDue { task_id, .. } => Some(*task_id),
            _ => None,
        }
    }

    const fn rule_id(&self) -> Option<RuleId> {
        match self {
            Self::RuleDue { rule_id, .. } | Self::Cron { rule_id, .. } => Some(*rule_id),
            _ => None,
        }
    }
}

const CRON: &str = "cron";
const DELIVERY_RECOVERY: &str = "delivery_recovery";

/// The key of a delivery's one timer.
pub(crate) fn delivery_key(delivery_id: DeliveryId) -> String {
    format!("delivery:{delivery_id}")
}

/// The key of a run's one timer.
pub(crate) fn run_key(run_id: RunId) -> String {
    format!("message:run:{run_id}")
}

/// Something that is due at an instant.
#[derive(Clone, PartialEq, Debug)]
pub struct Timer {
    /// When.
    pub fire_at: Timestamp,
    /// Where it belongs; absent for the installation's own.
    pub workspace_id: Option<WorkspaceId>,
    /// What.
    pub due: Due,
}

impl Timer {
    /// The one timer of a run: it goes on then. A later one moves it.
    pub fn of_run(wake: Wake, fire_at: Timestamp) -> Self {
        Self {
            fire_at,
            workspace_id: Some(wake.workspace_id),
            due: Due::Message {
                key: format!("run:{}", wake.wait.run_id),
                message: Box::new(Message::Wake(Box::new(wake))),
            },
        }
    }

    pub(crate) fn key(&self) -> String {
        self.due.key()
    }

    pub(crate) fn task_id(&self) -> Option<TaskId> {
        self.due.task_id()
    }

    pub(crate) fn rule_id(&self) -> Option<RuleId> {
        self.due.rule_id()
    }

    pub(crate) fn into_row(self, instance: Uuid) -> Result<timers::ActiveModel> {
        let is_taken_up = matches!(self.due, Due::DeliveryRecovery { .. });
        let body = serde_json::to_string(&self.due)
            .map_err(|error| Error::Unreadable("timer", error.to_string()))?;
        Ok(timers::Model {
            key: self.due.key(),
            fire_at: self.fire_at.unix_millis(),
            kind: self.due.kind().to_owned(),
            workspace_id: self.workspace_id.map(|id| id.0),
            task_id: self.due.task_id().map(|id| id.0),
            rule_id: self.due.rule_id().map(|id| id.0),
            owner: is_taken_up.then_some(instance),
            body,
        }
        .into_active_model())
    }
}

/// Takes the timers that are due, at most `limit`, out of the table; those that another scheduler
/// is taking at this moment are passed over.
///
/// What they cause must be written in the same transaction. A timer that this version cannot
/// read is taken too and reported, so that it cannot hold up the others.
///
/// # Errors
/// When the database cannot be written.
pub async fn take_due(tx: &mut Tx, limit: u64) -> Result<Vec<Timer>> {
    let now = tx.now().unix_millis();
    let rows = timers::Entity::find()
        .filter(timers::Column::FireAt.lte(now))
        .order_by_asc(timers::Column::FireAt)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx.conn())
        .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
    timers::Entity::delete_many()
        .filter(timers::Column::Key.is_in(keys))
        .exec(tx.write_conn())
        .await?;
    Ok(rows.into_iter().filter_map(read).collect())
}

fn read(row: timers::Model) -> Option<Timer> {
    match serde_json::from_str(&row.body) {
        Ok(due) => Some(Timer {
            fire_at: Timestamp::from_unix_millis(row.fire_at),
            workspace_id: row.workspace_id.map(WorkspaceId),
            due,
        }),
        Err(error) => {
            tracing::error!(timer.key = row.key, %error, "a timer cannot be read and is dropped");
            None
        }
    }
}

/// The timers of a rule that are due and not yet fired, which stay so until the transaction ends;
/// among them those whose occurrence has come, though they are to be fired a little later.
pub(crate) async fn due_of_rule(tx: &Tx, rule: RuleId) -> Result<Vec<Timer>> {
    let now = tx.now();
    let comes_due = Condition::any()
        .add(timers::Column::FireAt.lte(now.unix_millis()))
        .add(timers::Column::Kind.eq(CRON));
    let rows = timers::Entity::find()
        .filter(timers::Column::RuleId.eq(rule.0))
        .filter(comes_due)
        .order_by_asc(timers::Column::Key)
        .lock(LockType::Update)
        .all(tx.conn())
        .await?;
    let is_due = |timer: &Timer| match timer.due {
        Due::Cron { scheduled_at, .. } => scheduled_at <= now,
        _ => timer.fire_at <= now,
    };
    Ok(rows.into_iter().filter_map(read).filter(is_due).collect())
}

/// With what a run is to go on at its timer.
pub(crate) async fn wake_of(tx: &Tx, run: RunId) -> Result<Option<Wake>> {
    let row = timers::Entity::find_by_id(run_key(run))
        .one(tx.conn())
        .await?;
    Ok(row.and_then(read).and_then(|timer| match timer.due {
        Due::Message { message, .. } => match *message {
            Message::Wake(wake) => Some(*wake),
            _ => None,
        },
        _ => None,
    }))
}

/// When the next timer is due.
///
/// # Errors
/// When the database cannot be read.
pub async fn next_instant(db: &Db) -> Result<Option<Timestamp>> {
    let next: Option<i64> = timers::Entity::find()
        .select_only()
        .column(timers::Column::FireAt)
        .order_by_asc(timers::Column::FireAt)
        .limit(1)
        .into_tuple()
        .one(db.reader())
        .await?;
    Ok(next.map(Timestamp::from_unix_millis))
}

/// Which processes have taken up these deliveries.
///
/// # Errors
/// When the database cannot be read.
pub async fn owners(
    tx: &Tx,
    ids: impl IntoIterator<Item = DeliveryId>,
) -> Result<HashMap<DeliveryId, Uuid>> {
    let by_key: HashMap<String, DeliveryId> =
        ids.into_iter().map(|id| (delivery_key(id), id)).collect();
    if by_key.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(String, Uuid)> = timers::Entity::find()
        .select_only()
        .columns([timers::Column::Key, timers::Column::Owner])
        .filter(timers::Column::Key.is_in(by_key.keys().map(String::as_str)))
        .filter(timers::Column::Owner.is_not_null())
        .into_tuple()
        .all(tx.conn())
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(key, owner)| Some((*by_key.get(&key)?, owner)))
        .collect())
}

/// Makes every delivery that a notifier had taken up due at once.
///
/// Called at the start of the only process on a database: whoever had taken them up is gone.
///
/// # Errors
/// When the database cannot be written.
pub async fn recover_deliveries(tx: &mut Tx) -> Result<u64> {
    let now = tx.now().unix_millis();
    let recovered = timers::Entity::update_many()
        .col_expr(timers::Column::FireAt, Expr::value(now))
        .col_expr(timers::Column::Owner, Expr::value(None::<Uuid>))
        .filter(timers::Column::Owner.is_not_null())
        .exec(tx.write_conn())
        .await?;
    Ok(recovered.rows_affected)
}

/// How much is left to do, for tests and metrics; of one instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unfinished {
    /// Messages in the outbox.
    pub messages: i64,
    /// Timers that are due and not yet taken.
    pub due: i64,
    /// Deliveries that are being attempted.
    pub in_flight: i64,
}

/// What is left to do as of `now`: one statement, so that nothing moves from one place to another
/// between two looks.
///
/// # Errors
/// When the database cannot be read.
pub async fn unfinished(db: &Db, now: Timestamp) -> Result<Unfinished> {
    let messages = outbox::Entity::find()
        .select_only()
        .column_as(outbox::Column::Id.count(), "messages");
    let due = timers::Entity::find()
        .select_only()
        .column_as(timers::Column::Key.count(), "due")
        .filter(timers::Column::FireAt.lte(now.unix_millis()));
    let in_flight = timers::Entity::find()
        .select_only()
        .column_as(timers::Column::Key.count(), "in_flight")
        .filter(timers::Column::Owner.is_not_null());
    let all = Query::select()
        .expr_as(subquery(messages.into_query()), "messages")
        .expr_as(subquery(due.into_query()), "due")
        .expr_as(subquery(in_flight.into_query()), "in_flight")
        .to_owned();
    let row = db.reader().query_one(&all).await?;
    let row = row.ok_or(DbErr::RecordNotFound("unfinished work".to_owned()))?;
    Ok(Unfinished {
        messages: row.try_get("", "messages")?,
        due: row.try_get("", "due")?,
        in_flight: row.try_get("", "in_flight")?,
    })
}

fn subquery(select: SelectStatement) -> Expr {
    Expr::SubQuery(None, Box::new(SubQueryStatement::SelectStatement(select)))
}
