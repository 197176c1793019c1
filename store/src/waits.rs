//! Runs that wait for an event.
//!
//! A run asks for an event in one transaction, and an event comes in another, so each could miss
//! the other. Therefore whoever has begun to wait also looks, in a message of its own and so after
//! its commit, for what has come meanwhile: an event is either recorded by then, or handled after
//! the wait is known.

use crate::db::chunks;
use crate::entity::{events, run_waits, runs};
use crate::{Db, Error, Result, Tx, approvals};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use smarttasks_model::{
    Because, ChangeId, Event, EventId, EventPattern, EventType, Message, RunId, TaskId, Timestamp,
    WaitId, Waiters, Wake, WorkspaceId,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;
use uuid::Uuid;

/// Runs that one transaction wakes.
const PAGE: u64 = 200;
/// Events that are looked through at once.
const LOOK: u64 = 200;
/// Patterns that one statement asks by, and those of one event more.
const PATTERNS: usize = 2_000;
/// No event is handled later than this.
const BACKLOG: Duration = Duration::from_secs(7 * 86_400);
/// An event is recorded with the instant of its transaction's beginning: so much earlier it may seem
/// to have happened than what it follows.
const SLACK: Duration = Duration::from_secs(60);

/// A run that waits for an event.
#[derive(Clone, Debug)]
pub struct EventWait {
    /// Which wait.
    pub wait: WaitId,
    /// Where it belongs.
    pub workspace_id: WorkspaceId,
    /// About which task; about any or none when absent.
    pub task_id: Option<TaskId>,
    /// Of which type.
    pub pattern: EventPattern,
    /// Since when, and what does not count.
    pub since: Since,
}

/// From when on an event counts, and which do not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Since {
    /// What happened from then on.
    pub at: Timestamp,
    /// The version of the task that the script has seen: an event that left a later one is new,
    /// whatever the clocks say.
    pub version: Option<i64>,
    /// Changes that the run has seen, or has made itself.
    pub except: Vec<ChangeId>,
    /// Before then.
    pub until: Timestamp,
}

impl EventWait {
    /// Whether this event is one that is waited for.
    pub fn accepts(&self, event: &Event) -> bool {
        let since = &self.since;
        event.workspace_id == self.workspace_id
            // What is addressed to one rule is told to nobody else.
            && event.rule_id.is_none()
            && (self.task_id.is_none() || event.task_id == self.task_id)
            && self.pattern.matches(&event.kind)
            && event.time < since.until
            && !since.except.contains(&event.change)
            && self.is_new(event)
    }

    fn is_new(&self, event: &Event) -> bool {
        let left = event.task().filter(|task| Some(task.id) == self.task_id);
        match (left, self.since.version) {
            (Some(left), Some(seen)) if left.version != seen => left.version > seen,
            _ => event.time >= self.since.at,
        }
    }

    fn wake(&self, because: Because) -> Message {
        Message::Wake(Box::new(Wake {
            workspace_id: self.workspace_id,
            wait: self.wait,
            because,
            failures: 0,
        }))
    }
}

/// Begins to wait, and asks to look for what has come meanwhile.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn begin(tx: &mut Tx, wait: &EventWait) -> Result<()> {
    let body = serde_json::to_string(&wait.since)
        .map_err(|error| Error::Unreadable("wait", error.to_string()))?;
    let row = run_waits::Model {
        run_id: wait.wait.run_id.0,
        number: i32::try_from(wait.wait.number).unwrap_or(i32::MAX),
        workspace_id: wait.workspace_id.0,
        task_id: wait.task_id.map(|id| id.0),
        pattern: wait.pattern.as_str().to_owned(),
        looked: false,
        event_id: None,
        body,
    };
    tx.insert::<run_waits::Entity>(row.into_active_model());
    tx.publish(wait.wake(Because::Look))
}

/// Ends whatever these runs wait for, with its timers and questions.
///
/// # Errors
/// When the database cannot be written.
pub async fn end(tx: &mut Tx, runs: impl IntoIterator<Item = RunId>) -> Result<()> {
    let runs: BTreeSet<RunId> = runs.into_iter().collect();
    for run in &runs {
        tx.unschedule_run(*run);
    }
    approvals::close(tx, runs.iter().copied()).await?;
    for runs in chunks(runs) {
        run_waits::Entity::delete_many()
            .filter(run_waits::Column::RunId.is_in(runs.into_iter().map(|id| id.0)))
            .exec(tx.write_conn())
            .await?;
    }
    Ok(())
}

/// Those of these waits that are over: the run has gone on, or has ended.
///
/// # Errors
/// When the database cannot be read.
pub async fn over(db: &Db, waits: impl IntoIterator<Item = WaitId>) -> Result<HashSet<WaitId>> {
    let mut over = HashSet::new();
    for waits in chunks(waits) {
        let rows: Vec<(Uuid, i32, Option<i64>)> = runs::Entity::find()
            .select_only()
            .columns([
                runs::Column::Id,
                runs::Column::Waits,
                runs::Column::FinishedAt,
            ])
            .filter(runs::Column::Id.is_in(waits.iter().map(|wait| wait.run_id.0)))
            .into_tuple()
            .all(db.reader())
            .await?;
        let stand: HashMap<RunId, (i32, bool)> = rows
            .into_iter()
            .map(|(id, begun, end)| (RunId(id), (begun, end.is_some())))
            .collect();
        over.extend(waits.into_iter().filter(|wait| {
            let number = i32::try_from(wait.number).unwrap_or(i32::MAX);
            let stand = stand.get(&wait.run_id);
            stand.is_some_and(|(begun, ended)| *ended || *begun > number.saturating_add(1))
        }));
    }
    Ok(over)
}

/// The waits of these runs that have not ended, with the event that has come.
///
/// # Errors
/// When the database cannot be read.
pub async fn of(
    db: &Db,
    runs: impl IntoIterator<Item = RunId>,
) -> Result<HashMap<WaitId, (EventWait, Option<EventId>)>> {
    let mut found = HashMap::new();
    for runs in chunks(runs) {
        let rows = run_waits::Entity::find()
            .filter(run_waits::Column::RunId.is_in(runs.into_iter().map(|id| id.0)))
            .all(db.reader())
            .await?;
        for row in rows {
            let event = row.event_id.map(EventId);
            let wait = EventWait::try_from(row)?;
            found.insert(wait.wait, (wait, event));
        }
    }
    Ok(found)
}

/// What had come meanwhile has been looked for, and was not there.
///
/// # Errors
/// When the database cannot be written.
pub async fn looked(tx: &mut Tx, waits: &[WaitId]) -> Result<()> {
    for wait in waits {
        run_waits::Entity::update_many()
            .col_expr(run_waits::Column::Looked, Expr::value(true))
            .filter(run_waits::Column::RunId.eq(wait.run_id.0))
            .filter(run_waits::Column::Number.eq(i32::try_from(wait.number).unwrap_or(i32::MAX)))
            .exec(tx.write_conn())
            .await?;
    }
    Ok(())
}

/// The first recorded event that is waited for; when it has been `looked` for before, one that has not
/// been handled yet.
///
/// # Errors
/// When the database cannot be read.
pub async fn first(db: &Db, wait: &EventWait, looked: bool) -> Result<Option<Event>> {
    let until = wait.since.until;
    let mut from = wait.since.at - SLACK;
    let pattern = wait.pattern.as_str();
    if looked && pattern.contains('*') && wait.task_id.is_none() {
        // All but what is still to be handled has been told; that is not as old.
        from = from.max(until - BACKLOG);
    }
    let kind = of_kind(pattern);
    let mut offset = 0;
    loop {
        let mut query = events::Entity::find()
            .filter(events::Column::WorkspaceId.eq(wait.workspace_id.0))
            .filter(kind.clone())
            .filter(events::Column::At.gte(from.unix_millis()))
            .filter(events::Column::At.lt(until.unix_millis()));
        if let Some(task) = wait.task_id {
            query = query.filter(events::Column::TaskId.eq(task.0));
        }
        let rows = query
            .order_by_asc(events::Column::At)
            .order_by_asc(events::Column::Id)
            .offset(offset)
            .limit(LOOK)
            .all(db.reader())
            .await?;
        let last = (rows.len() as u64) < LOOK;
        for row in rows {
            let event = crate::events::event(row)?;
            if wait.accepts(&event) {
                return Ok(Some(event));
            }
        }
        if last {
            return Ok(None);
        }
        offset += LOOK;
    }
}

/// What an index finds for a pattern; it may let too much through.
fn of_kind(pattern: &str) -> Condition {
    let prefix = match pattern.split_once('*') {
        None => return Condition::all().add(events::Column::Kind.eq(pattern)),
        Some((prefix, _)) => prefix,
    };
    match prefix.strip_suffix('.') {
        // `/` comes right after `.`, and texts compare by code point on both databases.
        Some(segments) => Condition::all()
            .add(events::Column::Kind.gte(prefix))
            .add(events::Column::Kind.lt(format!("{segments}/"))),
        None => Condition::all(),
    }
}

/// Wakes the runs that wait for these events: a few at once, many in messages of their own.
///
/// # Errors
/// When the database cannot be written.
pub async fn wake(tx: &mut Tx, events: &[&Event]) -> Result<()> {
    let mut part = Vec::new();
    let mut asked_by = 0;
    for event in events {
        asked_by += patterns(&event.kind).len();
        part.push(*event);
        if asked_by > PATTERNS {
            wake_part(tx, &std::mem::take(&mut part)).await?;
            asked_by = 0;
        }
    }
    wake_part(tx, &part).await
}

async fn wake_part(tx: &mut Tx, events: &[&Event]) -> Result<()> {
    let Some(asked) = asked(events) else {
        return Ok(());
    };
    let found = select(tx, asked, None).await?;
    if found.len() as u64 >= PAGE {
        // Those of one event may have left no room for those of another.
        for event in events.iter().filter(|event| event.rule_id.is_none()) {
            tx.publish(Message::Waiters(Waiters {
                workspace_id: event.workspace_id,
                event_id: event.id,
                after: None,
            }))?;
        }
        return Ok(());
    }
    let mut woken = BTreeMap::new();
    for event in events {
        tell(tx, event, &found, &mut woken)?;
    }
    claim(tx, woken).await
}

/// Wakes a page of the runs that wait for an event, and leaves the rest to a further message.
///
/// # Errors
/// When the database cannot be written.
pub async fn wake_page(tx: &mut Tx, event: &Event, after: Option<RunId>) -> Result<()> {
    let Some(asked) = asked(&[event]) else {
        return Ok(());
    };
    let found = select(tx, asked, after).await?;
    let mut woken = BTreeMap::new();
    tell(tx, event, &found, &mut woken)?;
    if found.len() as u64 >= PAGE
        && let Some((last, _)) = found.last()
    {
        tx.publish(Message::Waiters(Waiters {
            workspace_id: event.workspace_id,
            event_id: event.id,
            after: Some(last.wait.run_id),
        }))?;
    }
    claim(tx, woken).await
}

/// An event wakes a run once; one whose first look is still to come is only told to look.
fn tell(
    tx: &mut Tx,
    event: &Event,
    found: &[(EventWait, bool)],
    woken: &mut BTreeMap<RunId, EventId>,
) -> Result<()> {
    for (wait, looked) in found.iter().filter(|(wait, _)| wait.accepts(event)) {
        if woken.contains_key(&wait.wait.run_id) {
            continue;
        }
        tx.publish(wait.wake(match looked {
            true => Because::Event { event_id: event.id },
            false => Because::Look,
        }))?;
        if *looked {
            woken.insert(wait.wait.run_id, event.id);
        }
    }
    Ok(())
}

/// What has been told of its event waits for no other: whatever wakes it from here on, it goes on
/// with that.
async fn claim(tx: &mut Tx, woken: BTreeMap<RunId, EventId>) -> Result<()> {
    let mut of_event: BTreeMap<EventId, Vec<RunId>> = BTreeMap::new();
    for (run, event) in woken {
        of_event.entry(event).or_default().push(run);
    }
    for (event, runs) in of_event {
        run_waits::Entity::update_many()
            .col_expr(run_waits::Column::EventId, Expr::value(Some(event.0)))
            .filter(run_waits::Column::RunId.is_in(runs.into_iter().map(|id| id.0)))
            .exec(tx.write_conn())
            .await?;
    }
    Ok(())
}

/// Those whose wait may be for one of these events.
fn asked(events: &[&Event]) -> Option<Condition> {
    // Those that are addressed to one rule are told to nobody else.
    let told = events.iter().filter(|event| event.rule_id.is_none());
    let mut alike: BTreeMap<_, BTreeSet<TaskId>> = BTreeMap::new();
    for event in told {
        let tasks = alike.entry((event.workspace_id, &event.kind)).or_default();
        tasks.extend(event.task_id);
    }
    // Each way to be for one of them by itself, as the index has it.
    let mut any = None;
    for ((workspace, kind), tasks) in alike {
        let of_kind = Condition::all()
            .add(run_waits::Column::WorkspaceId.eq(workspace.0))
            .add(run_waits::Column::Pattern.is_in(patterns(kind)));
        let mut ways: Condition = any.unwrap_or_else(Condition::any);
        ways = ways.add(of_kind.clone().add(run_waits::Column::TaskId.is_null()));
        if !tasks.is_empty() {
            let tasks = tasks.into_iter().map(|id| id.0);
            ways = ways.add(of_kind.add(run_waits::Column::TaskId.is_in(tasks)));
        }
        any = Some(ways);
    }
    any
}

/// Every pattern that events of this type are of.
fn patterns(kind: &EventType) -> Vec<String> {
    let mut all = vec![String::new()];
    for part in kind.as_str().split('.') {
        let longer = |before: &String, part: &str| match before.is_empty() {
            true => part.to_owned(),
            false => format!("{before}.{part}"),
        };
        all = all
            .iter()
            .flat_map(|before| [longer(before, part), longer(before, "*")])
            .collect();
    }
    all
}

async fn select(tx: &Tx, asked: Condition, after: Option<RunId>) -> Result<Vec<(EventWait, bool)>> {
    let mut query = run_waits::Entity::find()
        .filter(asked)
        .filter(run_waits::Column::EventId.is_null());
    if let Some(after) = after {
        query = query.filter(run_waits::Column::RunId.gt(after.0));
    }
    let rows = query
        .order_by_asc(run_waits::Column::RunId)
        .limit(PAGE)
        .lock(LockType::Update)
        .all(tx.conn())
        .await?;
    rows.into_iter()
        .map(|row| {
            let looked = row.looked;
            Ok((EventWait::try_from(row)?, looked))
        })
        .collect()
}

impl TryFrom<run_waits::Model> for EventWait {
    type Error = Error;
    fn try_from(row: run_waits::Model) -> Result<Self> {
        let unreadable = |error: String| Error::Unreadable("wait", error);
        Ok(Self {
            wait: WaitId {
                run_id: RunId(row.run_id),
                number: u32::try_from(row.number).unwrap_or(0),
            },
            workspace_id: WorkspaceId(row.workspace_id),
            task_id: row.task_id.map(TaskId),
            pattern: row
                .pattern
                .parse()
                .map_err(|_| unreadable(row.pattern.clone()))?,
            since: serde_json::from_str(&row.body)
                .map_err(|error| unreadable(error.to_string()))?,
        })
    }
}

/// The events of these ids that are recorded.
///
/// # Errors
/// When the database cannot be read.
pub async fn events_by_ids(
    db: &Db,
    ids: impl IntoIterator<Item = EventId>,
) -> Result<HashMap<EventId, Event>> {
    let mut found = HashMap::new();
    for ids in chunks(ids) {
        let rows = events::Entity::find()
            .filter(events::Column::Id.is_in(ids.into_iter().map(|id| id.0)))
            .all(db.reader())
            .await?;
        for row in rows {
            let event = crate::events::event(row)?;
            found.insert(event.id, event);
        }
    }
    Ok(found)
}
