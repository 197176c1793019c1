//! One write: what it changes, publishes and schedules commits together or not at all.
//!
//! Rows are not inserted one by one: they gather in memory, and reach the database as one
//! statement per table when the transaction ends, together with those of the other writes that
//! share it.

use crate::db::chunks;
use crate::entity::{events, outbox, timers};
use crate::outbox::{OutboxIds, Outgoing, Published};
use crate::{Error, Result, Timer, Vault};
use futures_util::future::BoxFuture;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, Iterable,
    QueryFilter, Set, TransactionTrait,
};
use smarttasks_model::{
    Actor, ChangeId, DeliveryId, Event, Failpoint, Message, RuleId, RunId, TaskId, Timestamp,
    TraceParent, UserId,
};
use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// Who or what causes a write.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The write: all its events carry this id.
    pub change: ChangeId,
    /// The person, when one does it.
    pub actor: Option<Actor>,
    /// The rule, when one does it.
    pub rule_id: Option<RuleId>,
    /// How many rules stand between it and a person or the clock.
    pub depth: u8,
    /// The trace that it belongs to.
    pub traceparent: Option<TraceParent>,
}

impl Cause {
    /// A person's request.
    pub fn person(now: Timestamp, actor: Actor, traceparent: Option<TraceParent>) -> Self {
        Self {
            change: ChangeId::new(now),
            actor: Some(actor),
            rule_id: None,
            depth: 0,
            traceparent,
        }
    }

    pub(crate) fn actor_id(&self) -> Option<UserId> {
        self.actor.as_ref().map(|actor| actor.id)
    }
}

/// What the transactions of a process have in common.
#[derive(Clone)]
pub(crate) struct Process {
    /// Its own name among those that use the database.
    pub(crate) instance: Uuid,
    pub(crate) vault: Vault,
}

/// A transaction as the closures of [`Db::write`](crate::Db::write) see it.
pub struct Tx {
    conn: DatabaseTransaction,
    now: Timestamp,
    process: Process,
    pending: Pending,
    touched: bool,
    /// Whether other writes share the transaction.
    shared: bool,
}

impl Tx {
    pub(crate) fn new(
        conn: DatabaseTransaction,
        now: Timestamp,
        process: Process,
        shared: bool,
    ) -> Self {
        Self {
            conn,
            now,
            process,
            pending: Pending::default(),
            touched: false,
            shared,
        }
    }

    /// The instant of this transaction.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Publishes `message`: it exists once this transaction commits.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn publish(&mut self, message: Message) -> Result<()> {
        self.pending.published.push(Published::new(message)?);
        Ok(())
    }

    /// Records `event` as a fact and publishes it.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn raise(&mut self, event: Event) -> Result<()> {
        let body = serde_json::to_string(&event)
            .map_err(|error| Error::Unreadable("event", error.to_string()))?;
        self.insert::<events::Entity>(events::ActiveModel {
            id: Set(event.id.0),
            workspace_id: Set(event.workspace_id.0),
            kind: Set(event.kind.as_str().to_owned()),
            task_id: Set(event.task_id.map(|id| id.0)),
            body: Set(body.clone()),
            at: Set(event.time.unix_millis()),
        });
        self.pending.published.push(Published::event(event, body));
        Ok(())
    }

    /// Schedules `timer`; one with the same key is moved.
    pub fn schedule(&mut self, timer: Timer) {
        self.pending.timers.push(timer);
    }

    /// Takes back the one timer of a delivery.
    pub fn unschedule_delivery(&mut self, delivery_id: DeliveryId) {
        self.pending
            .unschedule(Unscheduled::Key(crate::timers::delivery_key(delivery_id)));
    }

    /// Takes back the one timer of a run.
    pub fn unschedule_run(&mut self, run_id: RunId) {
        self.pending
            .unschedule(Unscheduled::Key(crate::timers::run_key(run_id)));
    }

    /// Takes back every timer of a task.
    pub fn unschedule_task(&mut self, task_id: TaskId) {
        self.pending.unschedule(Unscheduled::Task(task_id));
    }

    /// Takes back every timer of a rule.
    pub fn unschedule_rule(&mut self, rule_id: RuleId) {
        self.pending.unschedule(Unscheduled::Rule(rule_id));
    }

    /// Marks consumed messages as such: embedded, this is the confirm.
    pub fn settle(&mut self, ids: impl IntoIterator<Item = i64>) {
        self.pending.settled.extend(ids);
    }

    /// Writes what has gathered so far, so that a later statement of this transaction sees it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn flush(&mut self) -> Result<()> {
        self.touched = true;
        self.pending.insert_rows(&self.conn).await
    }

    /// Runs `part` so that it can fail without the rest: what it did is undone.
    ///
    /// # Errors
    /// Those of the part.
    pub async fn nested<T>(
        &mut self,
        part: impl for<'a> FnOnce(&'a mut Self) -> BoxFuture<'a, Result<T>>,
    ) -> Result<T> {
        let conn = self.write_conn().begin().await?;
        let mut inner = Self::new(conn, self.now, self.process.clone(), self.shared);
        let outcome = part(&mut inner).await;
        let (pending, _) = inner.take_part();
        let conn = inner.into_conn();
        match outcome {
            Ok(value) => {
                conn.commit().await?;
                self.pending.merge(pending);
                Ok(value)
            }
            Err(error) => {
                conn.rollback().await?;
                Err(error)
            }
        }
    }

    /// For a write that must see the gathered rows of all before it, and be seen by all after
    /// it: asks to run in a transaction of its own.
    ///
    /// # Errors
    /// [`Error::NotAlone`], which does so.
    pub fn alone(&mut self) -> Result<()> {
        if self.shared {
            self.touched = true;
            return Err(Error::NotAlone);
        }
        Ok(())
    }

    pub(crate) fn insert<E: EntityTrait>(&mut self, row: E::ActiveModel)
    where
        E::ActiveModel: Send + Sync,
    {
        self.pending.insert::<E>(row);
    }

    /// For reading inside the transaction.
    pub(crate) fn conn(&self) -> &DatabaseTransaction {
        &self.conn
    }

    /// For statements that change rows at once: from here on this write cannot be dropped from a
    /// shared transaction without ending it.
    pub(crate) fn write_conn(&mut self) -> &DatabaseTransaction {
        self.touched = true;
        &self.conn
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.process.vault
    }

    /// The name of this process among those that use the database.
    pub fn instance(&self) -> Uuid {
        self.process.instance
    }

    /// Ends one closure's part: its pending rows, and whether it has changed the database.
    pub(crate) fn take_part(&mut self) -> (Pending, bool) {
        (
            std::mem::take(&mut self.pending),
            std::mem::take(&mut self.touched),
        )
    }

    pub(crate) fn into_conn(self) -> DatabaseTransaction {
        self.conn
    }
}

enum Unscheduled {
    Key(String),
    Task(TaskId),
    Rule(RuleId),
}

/// What a transaction has gathered and not yet written.
#[derive(Default)]
pub(crate) struct Pending {
    inserts: Vec<(TypeId, Box<dyn Rows>)>,
    published: Vec<Published>,
    timers: Vec<Timer>,
    unscheduled: Vec<Unscheduled>,
    settled: Vec<i64>,
}

/// What became visible with a commit and others in this process want to know.
#[derive(Default)]
pub(crate) struct Committed {
    pub(crate) outgoing: Vec<Outgoing>,
    pub(crate) settled: u64,
    pub(crate) earliest_timer: Option<Timestamp>,
}

impl Pending {
    fn insert<E: EntityTrait>(&mut self, row: E::ActiveModel)
    where
        E::ActiveModel: Send + Sync,
    {
        let table = TypeId::of::<E>();
        let position = self.inserts.iter().position(|(id, _)| *id == table);
        let position = position.unwrap_or_else(|| {
            self.inserts
                .push((table, Box::new(RowsOf::<E>(Vec::new()))));
            self.inserts.len() - 1
        });
        if let Some((_, rows)) = self.inserts.get_mut(position)
            && let Some(rows) = rows.as_any().downcast_mut::<RowsOf<E>>()
        {
            rows.0.push(row);
        }
    }

    fn unschedule(&mut self, what: Unscheduled) {
        self.forget(&what);
        self.unscheduled.push(what);
    }

    fn forget(&mut self, what: &Unscheduled) {
        self.timers.retain(|timer| match what {
            Unscheduled::Key(key) => timer.key() != *key,
            Unscheduled::Task(id) => timer.task_id() != Some(*id),
            Unscheduled::Rule(id) => timer.rule_id() != Some(*id),
        });
    }

    /// Adds what a later write of the same transaction has gathered.
    pub(crate) fn merge(&mut self, later: Self) {
        for what in &later.unscheduled {
            self.forget(what);
        }
        for (table, rows) in later.inserts {
            match self.inserts.iter_mut().find(|(id, _)| *id == table) {
                Some((_, mine)) => mine.append(rows),
                None => self.inserts.push((table, rows)),
            }
        }
        self.published.extend(later.published);
        self.timers.extend(later.timers);
        self.unscheduled.extend(later.unscheduled);
        self.settled.extend(later.settled);
    }

    async fn insert_rows(&mut self, conn: &DatabaseTransaction) -> Result<()> {
        for (_, rows) in &mut self.inserts {
            rows.write(conn).await?;
        }
        self.inserts.clear();
        Ok(())
    }

    /// Writes everything: what goes away first, then what comes.
    pub(crate) async fn write(
        mut self,
        conn: &DatabaseTransaction,
        now: Timestamp,
        ids: &OutboxIds,
        instance: Uuid,
    ) -> Result<Committed> {
        let mut settled = 0;
        for ids in chunks(std::mem::take(&mut self.settled)) {
            let gone = outbox::Entity::delete_many()
                .filter(outbox::Column::Id.is_in(ids))
                .exec(conn)
                .await?;
            settled += gone.rows_affected;
        }
        self.delete_timers(conn).await?;
        let published = std::mem::take(&mut self.published);
        let mut outgoing = Vec::with_capacity(published.len());
        let ids = ids.take(conn, published.len()).await?;
        for (id, published) in ids.into_iter().zip(published) {
            let (row, message) = published.into_row(id, now, conn.get_database_backend());
            self.insert::<outbox::Entity>(row);
            outgoing.push(message);
        }
        self.insert_rows(conn).await?;
        let earliest_timer = self.timers.iter().map(|timer| timer.fire_at).min();
        self.write_timers(conn, instance).await?;
        if !outgoing.is_empty() {
            Failpoint::Committing.pass();
        }
        Ok(Committed {
            outgoing,
            settled,
            earliest_timer,
        })
    }

    async fn delete_timers(&mut self, conn: &DatabaseTransaction) -> Result<()> {
        let mut keys = Vec::new();
        let mut tasks = HashSet::new();
        let mut rules = HashSet::new();
        for what in self.unscheduled.drain(..) {
            match what {
                Unscheduled::Key(key) => keys.push(key),
                Unscheduled::Task(id) => drop(tasks.insert(id.0)),
                Unscheduled::Rule(id) => drop(rules.insert(id.0)),
            }
        }
        let delete = timers::Entity::delete_many;
        for keys in chunks(keys) {
            delete()
                .filter(timers::Column::Key.is_in(keys))
                .exec(conn)
                .await?;
        }
        for tasks in chunks(tasks) {
            delete()
                .filter(timers::Column::TaskId.is_in(tasks))
                .exec(conn)
                .await?;
        }
        for rules in chunks(rules) {
            delete()
                .filter(timers::Column::RuleId.is_in(rules))
                .exec(conn)
                .await?;
        }
        Ok(())
    }

    async fn write_timers(&mut self, conn: &DatabaseTransaction, instance: Uuid) -> Result<()> {
        // The last word on a key wins, and one statement may name a key only once.
        // In order, so that two transactions with the same keys do not wait for each other.
        let latest: BTreeMap<String, Timer> = self
            .timers
            .drain(..)
            .map(|timer| (timer.key(), timer))
            .collect();
        let mut rows = RowsOf::<timers::Entity>(Vec::with_capacity(latest.len()));
        for timer in latest.into_values() {
            rows.0.push(timer.into_row(instance)?);
        }
        let moves = OnConflict::column(timers::Column::Key)
            .update_columns([
                timers::Column::FireAt,
                timers::Column::Kind,
                timers::Column::Owner,
                timers::Column::Body,
            ])
            .to_owned();
        rows.write_with(conn, Some(moves)).await
    }
}

/// Rows of some table, to be inserted together.
trait Rows: Send + Sync {
    fn write<'a>(&'a mut self, conn: &'a DatabaseTransaction) -> BoxFuture<'a, Result<()>>;
    fn append(&mut self, other: Box<dyn Rows>);
    fn as_any(&mut self) -> &mut dyn Any;
}

struct RowsOf<E: EntityTrait>(Vec<E::ActiveModel>);

/// Both backends take more bound values than this in one statement (SQLite 32,766, PostgreSQL
/// 65,535).
const BOUND_VALUES: usize = 30_000;

impl<E: EntityTrait> RowsOf<E>
where
    E::ActiveModel: Send + Sync,
{
    async fn write_with(
        &mut self,
        conn: &DatabaseTransaction,
        on_conflict: Option<OnConflict>,
    ) -> Result<()> {
        let per_statement = BOUND_VALUES / E::Column::iter().count().max(1);
        while !self.0.is_empty() {
            let rest = self.0.split_off(self.0.len().min(per_statement));
            let mut insert = E::insert_many(std::mem::replace(&mut self.0, rest));
            if let Some(on_conflict) = &on_conflict {
                insert = insert.on_conflict(on_conflict.clone());
            }
            insert.exec_without_returning(conn).await?;
        }
        Ok(())
    }
}

impl<E: EntityTrait> Rows for RowsOf<E>
where
    E::ActiveModel: ActiveModelTrait + Send + Sync,
{
    fn write<'a>(&'a mut self, conn: &'a DatabaseTransaction) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.write_with(conn, None))
    }

    fn append(&mut self, mut other: Box<dyn Rows>) {
        if let Some(other) = other.as_any().downcast_mut::<Self>() {
            self.0.append(&mut other.0);
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
