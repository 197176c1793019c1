//! What each kind of due timer causes, checked against the state as it is now.

use crate::occurrences::{self, Come, Fired};
use crate::retention;
use serde_json::{Map, Value, json};
use smarttasks_model::{
    ChangeId, Event, EventData, EventId, EventType, Message, RuleId, Snapshot, Span, Task, TaskId,
    Timestamp, WorkspaceId, derive_id,
};
use smarttasks_store::rules::Rule;
use smarttasks_store::workspaces::Workspace;
use smarttasks_store::{Due, Result, Timer, Tx, events, rules, tasks, workspaces};
use std::collections::{HashMap, HashSet};

/// What the timers of a batch are checked against: one statement for each kind.
struct Present {
    tasks: HashMap<TaskId, Task>,
    rules: HashMap<RuleId, Rule>,
    workspaces: HashMap<WorkspaceId, Workspace>,
}

/// Writes what these timers cause.
pub(crate) async fn fire(tx: &mut Tx, due: Vec<Timer>) -> Result<()> {
    let present = Present::load(tx, &due).await?;
    let now = tx.now();
    let mut raised = Vec::new();
    let mut sweeps = Vec::new();
    for timer in due {
        metrics::histogram!("smarttasks_timer_lag_seconds").record(now.since(timer.fire_at));
        match timer.due {
            Due::DueSoon { task_id, due_at } => {
                raised.extend(present.deadline("task.due_soon", task_id, due_at, now));
            }
            Due::Overdue { task_id, due_at } => {
                raised.extend(present.deadline("task.overdue", task_id, due_at, now));
            }
            Due::RuleDue {
                rule_id,
                task_id,
                due_at,
                offset,
            } => {
                raised.extend(present.offset(rule_id, task_id, due_at, offset, now));
            }
            Due::Cron {
                rule_id,
                trigger,
                scheduled_at,
            } => {
                if let Some(rule) = present.rules.get(&rule_id) {
                    let workspace = present.workspaces.get(&rule.workspace_id);
                    let come = Come {
                        trigger,
                        scheduled_at,
                        fire_at: timer.fire_at,
                    };
                    for fired in occurrences::fire(tx, rule, workspace, &come) {
                        match fired {
                            Fired::Once(event) => raised.push(*event),
                            Fired::Sweep(asked) => sweeps.push(asked),
                        }
                    }
                }
            }
            Due::DeliveryRetry { delivery_id } | Due::DeliveryRecovery { delivery_id } => {
                tx.publish(Message::Delivery(delivery_id))?;
            }
            Due::Message { message, .. } => tx.publish(*message)?,
            Due::Retention => tx.schedule(Timer {
                fire_at: now + retention::INTERVAL,
                workspace_id: None,
                due: Due::Retention,
            }),
        }
    }
    occurrences::sweep(tx, sweeps).await?;
    raise(tx, raised).await
}

/// Raises what was not raised before: a deadline that moves away and back is the same deadline.
async fn raise(tx: &mut Tx, raised: Vec<Event>) -> Result<()> {
    let mut known = events::existing(tx, raised.iter().map(|event| event.id)).await?;
    for event in raised {
        if known.insert(event.id) {
            metrics::counter!("smarttasks_timer_events_total", "type" => event.kind.to_string())
                .increment(1);
            tx.raise(event)?;
        }
    }
    Ok(())
}

impl Present {
    async fn load(tx: &Tx, due: &[Timer]) -> Result<Self> {
        let mut task_ids = HashSet::new();
        let mut rule_ids = HashSet::new();
        for timer in due {
            match timer.due {
                Due::DueSoon { task_id, .. }
                | Due::Overdue { task_id, .. }
                | Due::RuleDue { task_id, .. } => drop(task_ids.insert(task_id)),
                Due::Cron { rule_id, .. } => drop(rule_ids.insert(rule_id)),
                Due::DeliveryRetry { .. }
                | Due::DeliveryRecovery { .. }
                | Due::Retention
                | Due::Message { .. } => {}
            }
        }
        let rules = rules::by_ids_in(tx, rule_ids).await?;
        let workspace_ids: HashSet<_> = rules.values().map(|rule| rule.workspace_id).collect();
        Ok(Self {
            tasks: tasks::by_ids_in(tx, task_ids).await?,
            rules,
            workspaces: workspaces::by_ids_in(tx, workspace_ids).await?,
        })
    }

    /// The task, while it is open and has this deadline.
    fn task(&self, id: TaskId, due_at: Timestamp) -> Option<&Task> {
        self.tasks
            .get(&id)
            .filter(|task| task.due_at == Some(due_at) && task.status.is_open())
    }

    fn deadline(
        &self,
        kind: &'static str,
        task_id: TaskId,
        due_at: Timestamp,
        now: Timestamp,
    ) -> Option<Event> {
        let task = self.task(task_id, due_at)?;
        let key = derive_id(due_at, &[kind.as_bytes(), task_id.as_bytes()]);
        Some(Event {
            id: EventId(key),
            workspace_id: task.workspace_id,
            kind: EventType::system(kind),
            task_id: Some(task_id),
            time: now,
            traceparent: None,
            change: ChangeId(key),
            depth: 0,
            actor_id: None,
            rule_id: None,
            data: data(Some(task), Map::new()),
        })
    }

    fn offset(
        &self,
        rule_id: RuleId,
        task_id: TaskId,
        due_at: Timestamp,
        offset: Span,
        now: Timestamp,
    ) -> Option<Event> {
        let task = self.task(task_id, due_at)?;
        let millis = offset.millis().to_be_bytes();
        let key = derive_id(due_at, &[rule_id.as_bytes(), task_id.as_bytes(), &millis]);
        let mut more = Map::new();
        more.insert("due_at".to_owned(), json!(due_at));
        more.insert("offset".to_owned(), json!(offset));
        Some(addressed(
            key,
            "rule.due",
            task.workspace_id,
            rule_id,
            Some(task),
            more,
            now,
        ))
    }
}

/// An event for one rule.
pub(crate) fn addressed(
    key: uuid::Uuid,
    kind: &'static str,
    workspace_id: WorkspaceId,
    rule_id: RuleId,
    task: Option<&Task>,
    more: Map<String, Value>,
    now: Timestamp,
) -> Event {
    Event {
        id: EventId(key),
        workspace_id,
        kind: EventType::system(kind),
        task_id: task.map(|task| task.id),
        time: now,
        traceparent: None,
        change: ChangeId(key),
        depth: 0,
        actor_id: None,
        rule_id: Some(rule_id),
        data: data(task, more),
    }
}

fn data(task: Option<&Task>, more: Map<String, Value>) -> EventData {
    EventData::System(Box::new(Snapshot {
        task: task.cloned(),
        more,
        ..Snapshot::default()
    }))
}
