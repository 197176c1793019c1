//! What a simulation is asked with.

use super::super::fields::{RuleFields, patched};
use super::super::trial::{facts, occasion, task_of};
use super::super::view::TriggerSchema;
use crate::app::App;
use crate::caller::{Manage, Member, Read};
use crate::problem::ApiError;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use smarttasks_model::{
    Actor, ChangeId, Event, EventData, EventId, EventType, Invalid, NewTask, RuleId, RuleSpec,
    Snapshot, Span, Task, TaskId, Timestamp, Trigger,
};
use smarttasks_rules::{Coming, GivenAnswers, GivenEvent, RuleFacts};
use smarttasks_store::rules::Rule;
use smarttasks_store::state;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most events that are given.
const EVENTS: usize = 1_000;
/// How long a simulated run may take in virtual time, unless it is said.
const USUAL: Span = Span::from_millis(366 * 86_400_000);

/// What a rule is simulated with.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SimulateRule {
    /// Fields of a rule, as they would be stored: a draft, or what is different about the stored one.
    rule: Option<RuleFields>,
    /// The script alone.
    script: Option<String>,
    /// The triggers alone.
    #[schema(value_type = Option<Vec<TriggerSchema>>)]
    triggers: Option<Vec<Trigger>>,
    /// The task that the run is about.
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// A task that is not stored, with any fields of one; or what is different about that of
    /// `task_id`.
    #[schema(value_type = Option<Object>, example = json!({ "title": "Renew certificate", "priority": "high" }))]
    task: Option<Map<String, Value>>,
    /// What starts the run; when absent, what the first trigger waits for.
    event: Option<StartedBy>,
    /// When it starts; now when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// How far it is simulated; 366 days when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Events that come meanwhile: `after` the start, `type`, `data`, and in `task` what is then
    /// different about the task.
    #[serde(default)]
    #[schema(value_type = Vec<Object>, example = json!([{ "after": "2h", "type": "task.completed", "task": { "status": "done" } }]))]
    events: Vec<GivenEvent>,
    /// What is answered, in the order of the questions: to `http` objects with `status`, `json` or
    /// `body`, `headers` and `after`; to `approve` `true`, `false`, `null` for no answer, or objects
    /// with `approved`, `after` and `by`.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({ "http": [{ "status": 200 }], "approve": [true] }))]
    answers: GivenAnswers,
    /// What the rule keeps at the start. When absent, what it keeps now; a draft of it begins with
    /// nothing, unless you may change the rule.
    #[schema(value_type = Option<Object>)]
    state: Option<Map<String, Value>>,
}

/// A rule that is not stored, or what is different about one that is.
#[derive(Clone, Default)]
pub(in super::super) struct Draft {
    pub(in super::super) rule: Option<RuleFields>,
    pub(in super::super) script: Option<String>,
    pub(in super::super) triggers: Option<Vec<Trigger>>,
}

/// What starts a simulated run.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct StartedBy {
    /// A type of your own, or one of the system's.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "task.updated")]
    kind: EventType,
    /// What it carries, beside the task.
    #[serde(default)]
    data: Value,
    /// The fields of the task that were different before, as they were.
    #[schema(value_type = Option<Object>, example = json!({ "status": "todo" }))]
    previous: Option<Map<String, Value>>,
}

/// What a simulation begins with.
pub(super) struct Begun {
    pub(super) spec: RuleSpec,
    pub(super) rule: Arc<RuleFacts>,
    pub(super) task: Option<Arc<Task>>,
    pub(super) stored: Option<Arc<Task>>,
    pub(super) state: Arc<Map<String, Value>>,
    pub(super) event: Event,
    pub(super) at: Timestamp,
    pub(super) until: Timestamp,
    pub(super) events: VecDeque<Coming>,
    pub(super) answers: GivenAnswers,
}

impl Draft {
    /// The rule that is meant: this, over what is stored.
    pub(in super::super) fn spec(self, stored: Option<&Rule>) -> Result<RuleSpec, ApiError> {
        let mut fields = match stored {
            Some(stored) => over(&stored.spec, self.rule.unwrap_or_default())?,
            None => self.rule.unwrap_or_default(),
        };
        fields.script = self.script.or(fields.script);
        fields.triggers = self.triggers.or(fields.triggers);
        if fields.name.is_none() {
            fields.name = Some("draft".to_owned());
        }
        fields.complete()
    }
}

/// The fields that are given, and those of a stored rule where they are not.
fn over(stored: &RuleSpec, given: RuleFields) -> Result<RuleFields, ApiError> {
    let given = serde_json::to_value(given).map_err(ApiError::internal)?;
    let mut patch = match given {
        Value::Object(patch) => patch,
        _ => Map::new(),
    };
    patch.retain(|_, value| !value.is_null());
    patched(stored, patch)
}

impl SimulateRule {
    pub(super) async fn read(
        self,
        app: &App,
        member: &Member<Read>,
        stored: Option<&Rule>,
    ) -> Result<Begun, ApiError> {
        let at = self.at.unwrap_or_else(|| app.now());
        let until = self.until.unwrap_or(at + USUAL);
        if until < at {
            return Err(Invalid::at("/until", "is before the start").into());
        }
        if self.events.len() > EVENTS {
            let detail = format!("at most {EVENTS} events are allowed");
            return Err(Invalid::at("/events", detail).into());
        }
        let changed = self.rule.is_some() || self.script.is_some();
        let draft = Draft {
            rule: self.rule,
            script: self.script,
            triggers: self.triggers,
        };
        let spec = draft.spec(stored)?;
        let id = stored.map_or_else(|| RuleId::derived(at, &[b"draft"]), |rule| rule.id);
        let owner = stored.map_or(member.caller.actor.id, |rule| rule.author_id);
        let version = stored.map_or(1, |rule| rule.version);
        let known = task_of(app, member.workspace_id, self.task_id).await?;
        let task = match self.task {
            Some(given) => Some(Arc::new(given_task(member, known.as_deref(), given, at)?)),
            None => known.clone(),
        };
        let workspace = member.workspace_id;
        let event = match self.event {
            Some(event) => event.event(member, task.as_deref(), at)?,
            None => match spec.triggers.first() {
                Some(first) => occasion(first, workspace, id, task.as_deref(), at),
                None => return Err(Invalid::at("/triggers", "is required").into()),
            },
        };
        let state = match (self.state, stored) {
            (Some(given), _) => Arc::new(given),
            // A script that is not the rule's could tell whatever the rule keeps.
            (None, Some(_)) if changed && !may_change(app, member).await? => Arc::default(),
            (None, Some(rule)) => {
                let kept = state::of(&app.db, [rule.id]).await?.remove(&rule.id);
                kept.unwrap_or_default().values
            }
            (None, None) => Arc::default(),
        };
        Ok(Begun {
            rule: facts(id, &spec, version, owner),
            spec,
            task,
            stored: known,
            state,
            event,
            at,
            until,
            events: Coming::all(at, checked(self.events)?),
            answers: self.answers,
        })
    }
}

/// Whether somebody may change the rules of the workspace.
async fn may_change(app: &App, member: &Member<Read>) -> Result<bool, ApiError> {
    let workspace = Some(member.workspace_id);
    let manages: Result<Member<Manage>, ApiError> = member.caller.workspace(app, workspace).await;
    match manages {
        Ok(_) => Ok(true),
        Err(ApiError::Refused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn checked(events: Vec<GivenEvent>) -> Result<Vec<GivenEvent>, ApiError> {
    let check = |(index, mut event): (usize, GivenEvent)| {
        if event.after < Span::ZERO {
            let pointer = format!("/events/{index}/after");
            return Err(ApiError::from(Invalid::at(pointer, "must not be negative")));
        }
        event.task = event.task.map(|changes| changes.checked()).transpose()?;
        Ok(event)
    };
    events.into_iter().enumerate().map(check).collect()
}

/// A task with these fields, and else those of a stored one, or of a new one.
fn given_task(
    member: &Member<Read>,
    stored: Option<&Task>,
    given: Map<String, Value>,
    at: Timestamp,
) -> Result<Task, ApiError> {
    let base = match stored {
        Some(task) => task.clone(),
        None => NewTask {
            title: "A task".to_owned(),
            ..NewTask::default()
        }
        .into_task(
            TaskId::derived(at, &[b"given"]),
            member.workspace_id,
            member.caller.actor.id,
            at,
        ),
    };
    with_fields(&base, given, "/task")
}

fn with_fields(base: &Task, given: Map<String, Value>, pointer: &str) -> Result<Task, ApiError> {
    let mut fields = match json!(base) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (name, value) in given {
        if !fields.contains_key(&name) {
            let pointer = format!("{pointer}/{name}");
            return Err(Invalid::at(pointer, "is no field of a task").into());
        }
        if name != "workspace_id" {
            fields.insert(name, value);
        }
    }
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| Invalid::at(pointer, error.to_string()).into())
}

impl StartedBy {
    fn event(
        self,
        member: &Member<Read>,
        task: Option<&Task>,
        at: Timestamp,
    ) -> Result<Event, ApiError> {
        let actor = &member.caller.actor;
        let data = if self.kind.is_system() {
            let changes: Vec<String> = self
                .previous
                .iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect();
            let previous = match (self.previous, task) {
                (Some(before), Some(task)) => Some(with_fields(task, before, "/event/previous")?),
                (Some(_), None) => {
                    let detail = "is of a task, and there is none";
                    return Err(Invalid::at("/event/previous", detail).into());
                }
                (None, _) => None,
            };
            EventData::System(Box::new(Snapshot {
                task: task.cloned(),
                previous,
                changes,
                actor: Some(Actor {
                    id: actor.id,
                    name: actor.name.clone(),
                }),
                more: self.data.as_object().cloned().unwrap_or_default(),
            }))
        } else {
            EventData::Custom(self.data)
        };
        let key: [&[u8]; 2] = [b"simulated", self.kind.as_str().as_bytes()];
        let (id, change) = (EventId::derived(at, &key), ChangeId::derived(at, &key));
        Ok(Event {
            id,
            workspace_id: member.workspace_id,
            kind: self.kind,
            task_id: task.map(|task| task.id),
            time: at,
            traceparent: None,
            change,
            depth: 0,
            actor_id: Some(actor.id),
            rule_id: None,
            data,
        })
    }
}
