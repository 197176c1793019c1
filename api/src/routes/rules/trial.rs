//! What it takes to try a rule without consequences: what the engine would give it, read and never
//! written.

use crate::app::App;
use crate::problem::{ApiError, Code};
use serde_json::{Map, Value, json};
use smarttasks_model::{
    ChangeId, Event, EventData, EventId, EventPattern, EventType, RuleId, RuleSpec, RunId,
    Snapshot, Task, TaskId, TimeZone, Timestamp, Trigger, User, UserId, WorkspaceId,
};
use smarttasks_rules::{Answer, Diagnostic, Inputs, Query, RuleFacts, WorkspaceFacts};
use smarttasks_store::rules::Rule;
use smarttasks_store::{endpoints, state, tasks, workspaces};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// What of a workspace its rules see.
pub(super) struct Surroundings {
    workspace: Arc<WorkspaceFacts>,
    members: Arc<HashMap<UserId, User>>,
    /// Whether each endpoint is enabled.
    pub(super) endpoints: BTreeMap<String, bool>,
}

impl Surroundings {
    pub(super) async fn of(app: &App, id: WorkspaceId) -> Result<Self, ApiError> {
        let found = workspaces::by_ids(&app.db, [id]).await?.remove(&id);
        let workspace = found.ok_or_else(|| ApiError::not_found("workspace"))?;
        let mut members = workspaces::members_of(&app.db, [id]).await?;
        let endpoints = endpoints::of_workspaces(&app.db, [id]).await?;
        Ok(Self {
            workspace: Arc::new(WorkspaceFacts {
                id,
                name: workspace.name,
                timezone: workspace.timezone,
            }),
            members: Arc::new(members.remove(&id).unwrap_or_default()),
            endpoints: endpoints
                .into_iter()
                .map(|endpoint| (endpoint.name, endpoint.enabled))
                .collect(),
        })
    }

    /// The zone in which its rules mean times.
    pub(super) fn zone(&self) -> TimeZone {
        self.workspace.timezone
    }

    pub(super) fn members(&self) -> &HashMap<UserId, User> {
        &self.members
    }

    /// What the first segment of a run is given.
    pub(super) fn inputs(&self, tried: &Tried, event: Event, now: Timestamp) -> Inputs {
        let task_id = tried.task.as_ref().map(|task| task.id);
        Inputs {
            now,
            run_id: RunId::of(tried.rule.id, event.change, task_id, event.time),
            workspace: Arc::clone(&self.workspace),
            rule: Arc::clone(&tried.rule),
            event: Arc::new(event),
            task: tried.task.clone(),
            users: Arc::clone(&self.members),
            state: Arc::clone(&tried.state),
            journal: Arc::default(),
            answers: Arc::default(),
            spent: Duration::ZERO,
        }
    }
}

/// A rule that is tried, and for which task.
pub(super) struct Tried {
    pub(super) rule: Arc<RuleFacts>,
    pub(super) task: Option<Arc<Task>>,
    pub(super) state: Arc<Map<String, Value>>,
}

impl Tried {
    /// A rule that is stored.
    pub(super) async fn stored(
        app: &App,
        rule: &Rule,
        task: Option<Arc<Task>>,
    ) -> Result<Self, ApiError> {
        let kept = state::of(&app.db, [rule.id]).await?.remove(&rule.id);
        Ok(Self {
            rule: facts(rule.id, &rule.spec, rule.version, rule.author_id),
            task,
            state: kept.unwrap_or_default().values,
        })
    }
}

/// A rule as it sees itself.
pub(super) fn facts(id: RuleId, spec: &RuleSpec, version: i64, owner_id: UserId) -> Arc<RuleFacts> {
    Arc::new(RuleFacts {
        id,
        name: spec.name.clone(),
        version,
        owner_id,
    })
}

/// The task, which must be one of the workspace.
pub(super) async fn task_of(
    app: &App,
    workspace: WorkspaceId,
    id: Option<TaskId>,
) -> Result<Option<Arc<Task>>, ApiError> {
    Ok(match id {
        Some(id) => Some(Arc::new(tasks::get(&app.db, workspace, id).await?)),
        None => None,
    })
}

/// The answer to what a script asks about its workspace.
pub(super) async fn answer(
    app: &App,
    workspace: WorkspaceId,
    query: &Query,
    now: Timestamp,
) -> Result<Answer, ApiError> {
    let most = app.pool.language().limits().heap_bytes;
    Ok(match query {
        Query::Tasks { filter, limit } => {
            Answer::Tasks(tasks::gather(&app.db, workspace, filter, *limit, now, most).await?)
        }
        Query::Count(filter) => Answer::Count(tasks::count(&app.db, workspace, filter, now).await?),
    })
}

/// A script that does not compile.
pub(super) fn refused(found: Vec<Diagnostic>) -> ApiError {
    let errors = found.into_iter().map(super::check::in_script);
    ApiError::refused_values(Code::InvalidScript, errors.collect::<Vec<_>>())
}

/// The event with which a trigger would start the rule for a task now.
pub(super) fn occasion(
    trigger: &Trigger,
    workspace: WorkspaceId,
    rule: RuleId,
    task: Option<&Task>,
    now: Timestamp,
) -> Event {
    let mut more = Map::new();
    let (kind, carried, addressed) = match trigger {
        Trigger::Event(pattern) => (first_kind(pattern), task, false),
        Trigger::Cron { .. } => {
            more.insert("scheduled_at".to_owned(), json!(now));
            (EventType::system("rule.scheduled"), None, true)
        }
        Trigger::Due(offset) => {
            more.insert(
                "due_at".to_owned(),
                json!(task.and_then(|task| task.due_at)),
            );
            more.insert("offset".to_owned(), json!(offset));
            (EventType::system("rule.due"), task, true)
        }
    };
    let data = match kind.is_system() {
        true => EventData::System(Box::new(Snapshot {
            task: carried.cloned(),
            more,
            ..Snapshot::default()
        })),
        false => EventData::Custom(Value::Null),
    };
    let key = [rule.as_bytes(), kind.as_str().as_bytes()];
    let (id, change) = (EventId::derived(now, &key), ChangeId::derived(now, &key));
    let of_sweep = matches!(trigger, Trigger::Cron { .. });
    Event {
        id,
        workspace_id: workspace,
        kind,
        task_id: task.map(|task| task.id).filter(|_| !of_sweep),
        time: now,
        traceparent: None,
        change,
        depth: 0,
        actor_id: None,
        rule_id: addressed.then_some(rule),
        data,
    }
}

/// A type that a pattern stands for.
fn first_kind(pattern: &EventPattern) -> EventType {
    let mut known = EventType::SYSTEM.iter().map(|name| EventType::system(name));
    let plain = pattern.as_str().replace('*', "any");
    known
        .find(|kind| pattern.matches(kind))
        .or_else(|| plain.parse().ok())
        .unwrap_or_else(|| EventType::system("rule.run_requested"))
}
