//! Runs asked for by hand.

use super::super::events::sized;
use super::super::tasks::OnlyWorkspace;
use crate::answer::Answer;
use crate::app::App;
use crate::caller::{Member, Write};
use crate::extract::ApiPath;
use crate::once::Post;
use crate::problem::ApiError;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smarttasks_model::{
    Event, EventData, EventId, EventType, Invalid, RuleId, RunId, Snapshot, Task, TaskId,
    Timestamp, WorkspaceId,
};
use smarttasks_store::{Cause, Conflict, rules, tasks};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(run_rule))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RunRule {
    /// The task that the run is about.
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// What the script sees as `event`; `rule.run_requested` when absent.
    event: Option<GivenEvent>,
}

/// An event that only this run sees.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct GivenEvent {
    /// A type of your own, or one of the system's.
    #[serde(rename = "type")]
    #[schema(example = "ci.build_failed")]
    kind: String,
    /// Any JSON, at most 64 KiB; with one of the system's types an object, to which the task is
    /// added.
    #[serde(default)]
    data: Value,
}

/// The type of a run that was asked for without an event.
const REQUESTED: &str = "rule.run_requested";
/// What the system itself puts into the data of its events.
const OF_SYSTEM: [&str; 4] = ["task", "previous", "changes", "actor"];

/// What the run is told, apart from its task.
#[derive(Clone, Debug, PartialEq)]
enum Occasion {
    /// As with an event of the system.
    System(EventType, Map<String, Value>),
    /// As with an event of somebody's own.
    Custom(EventType, Value),
}

impl Occasion {
    fn parse(given: Option<GivenEvent>) -> Result<Self, ApiError> {
        let Some(GivenEvent { kind, data }) = given else {
            return Ok(Self::System(EventType::system(REQUESTED), Map::new()));
        };
        let data = sized("/event/data", data)?;
        let of_system = EventType::SYSTEM.iter().chain([&REQUESTED]);
        if let Some(name) = of_system.copied().find(|name| *name == kind) {
            return Ok(Self::System(EventType::system(name), of_snapshot(data)?));
        }
        let kind = EventType::custom(&kind)
            .map_err(|error| Invalid::at("/event/type", error.to_string()))?;
        Ok(Self::Custom(kind, data))
    }

    fn event(self, asked: &Asked, task: Option<Task>, now: Timestamp) -> Event {
        let task_id = task.as_ref().map(|task| task.id);
        let (kind, data) = match self {
            Self::Custom(kind, data) => (kind, EventData::Custom(data)),
            Self::System(kind, more) => {
                let snapshot = Snapshot {
                    task,
                    actor: asked.cause.actor.clone(),
                    more,
                    ..Snapshot::default()
                };
                (kind, EventData::System(Box::new(snapshot)))
            }
        };
        Event {
            id: EventId::new(now),
            workspace_id: asked.workspace,
            kind,
            task_id,
            time: now,
            traceparent: asked.cause.traceparent,
            change: asked.cause.change,
            depth: asked.cause.depth,
            actor_id: asked.cause.actor.as_ref().map(|actor| actor.id),
            rule_id: Some(asked.rule),
            data,
        }
    }
}

/// `data` as the part of a system event's data that its type leaves open.
fn of_snapshot(data: Value) -> Result<Map<String, Value>, Invalid> {
    let more = match data {
        Value::Null => Map::new(),
        Value::Object(more) => more,
        _ => {
            let detail = "must be an object: so is the data of the system's own events";
            return Err(Invalid::at("/event/data", detail));
        }
    };
    match OF_SYSTEM.into_iter().find(|name| more.contains_key(*name)) {
        Some(name) => Err(Invalid::at(
            format!("/event/data/{name}"),
            "is filled in by the system; leave it out",
        )),
        None => Ok(more),
    }
}

/// Who asked for a run of which rule.
#[derive(Clone)]
struct Asked {
    workspace: WorkspaceId,
    rule: RuleId,
    cause: Cause,
}

/// Where to look for what comes of it.
#[derive(Serialize, utoipa::ToSchema)]
struct RunAsked {
    /// The run. One that neither acts nor fails leaves nothing to be found under it.
    #[schema(value_type = Uuid)]
    run_id: RunId,
    /// The event that starts it.
    #[schema(value_type = Uuid)]
    event_id: EventId,
}

/// Runs a rule now, for real. A disabled rule: 409.
#[utoipa::path(post, path = "/api/v1/rules/{id}/run", tag = "rules",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = RunRule,
    responses((status = 202, body = RunAsked)))]
async fn run_rule(
    State(app): State<App>,
    member: Member<Write>,
    ApiPath(id): ApiPath<RuleId>,
    Post { body, key }: Post<RunRule>,
) -> Result<Response, ApiError> {
    let occasion = Occasion::parse(body.event)?;
    let task_id = body.task_id;
    let asked = Asked {
        workspace: member.workspace_id,
        rule: id,
        cause: member.caller.cause(&app),
    };
    app.write_once(key, move |tx| {
        let (occasion, asked) = (occasion.clone(), asked.clone());
        Box::pin(async move {
            let rule = rules::get_in(tx, asked.workspace, id).await?;
            if !rule.spec.enabled {
                return Err(Conflict::RuleDisabled.into());
            }
            let task = match task_id {
                Some(task) => Some(tasks::get_in(tx, asked.workspace, task).await?),
                None => None,
            };
            let event = occasion.event(&asked, task, tx.now());
            let answer = RunAsked {
                run_id: RunId::of(id, event.change, task_id, event.time),
                event_id: event.id,
            };
            tx.raise(event)?;
            Answer::accepted(&answer)
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(event: Value) -> Result<Occasion, ApiError> {
        Occasion::parse(Some(serde_json::from_value(event).unwrap()))
    }

    #[test]
    fn an_event_of_either_kind_is_taken_in_its_own_form() {
        let asked = Occasion::parse(None).unwrap();
        let expected = Occasion::System(EventType::system(REQUESTED), Map::new());
        assert_eq!(asked, expected);
        let system = parse(json!({ "type": "task.overdue", "data": { "due_at": 1 } }));
        assert!(matches!(system, Ok(Occasion::System(_, more)) if more.len() == 1));
        let custom = parse(json!({ "type": "ci.failed", "data": [1] }));
        assert!(matches!(custom, Ok(Occasion::Custom(_, data)) if data == json!([1])));
    }

    #[test]
    fn what_an_event_of_the_system_cannot_carry_is_refused_where_it_stands() {
        for (event, pointer) in [
            (json!({ "type": "nonsense" }), "/event/type"),
            (json!({ "type": "rule.scheduled" }), "/event/type"),
            (json!({ "type": "task.exploded" }), "/event/type"),
            (json!({ "type": "task.created", "data": 1 }), "/event/data"),
            (
                json!({ "type": "task.created", "data": { "task": {} } }),
                "/event/data/task",
            ),
        ] {
            match parse(event.clone()) {
                Err(ApiError::Refused { errors, .. }) => {
                    assert_eq!(errors[0].pointer, pointer, "{event}");
                }
                other => panic!("{event}: {other:?}"),
            }
        }
    }
}
