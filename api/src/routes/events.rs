//! Events: facts of the system, and those that people post.

use super::tasks::OnlyWorkspace;
use crate::answer::Answer;
use crate::app::App;
use crate::caller::{Caller, Member, Read, Write};
use crate::extract::{ApiPath, ListQuery};
use crate::once::Post;
use crate::page::{Page, PageParams, Scope};
use crate::problem::ApiError;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use smarttasks_model::{
    Event, EventData, EventId, EventType, Invalid, TaskId, Timestamp, WorkspaceId,
};
use smarttasks_store::events::{self, Filter};
use smarttasks_store::tasks;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_event, list_events))
        .routes(routes!(get_event))
}

/// Most bytes of what an event carries, as JSON.
const DATA_BYTES: usize = 64 * 1024;

/// An immutable fact: a CloudEvent 1.0 in structured mode.
#[derive(utoipa::ToSchema)]
#[schema(as = Event)]
#[expect(dead_code, reason = "only its description matters")]
struct EventSchema {
    #[schema(example = "1.0")]
    specversion: String,
    id: Uuid,
    /// The workspace.
    #[schema(example = "/workspaces/01890a5d-ac96-774b-bcce-b302099a8057")]
    source: String,
    #[serde(rename = "type")]
    #[schema(example = "ci.build_failed")]
    kind: String,
    /// The task that it is about; absent when there is none.
    #[schema(example = "tasks/01890a5d-ac96-774b-bcce-b302099a8057")]
    subject: Option<String>,
    #[schema(format = DateTime)]
    time: String,
    #[schema(example = "application/json")]
    datacontenttype: String,
    /// The trace that caused it.
    traceparent: Option<String>,
    /// The write that it belongs to: a rule fires once per change and task.
    change: Uuid,
    /// How many rules stand between it and a person or the clock.
    depth: u8,
    /// The user who caused it; absent when time or a rule did.
    actor: Option<Uuid>,
    /// The one rule that it is addressed to, if any.
    rule: Option<Uuid>,
    /// What it carries.
    data: Value,
}

/// An event of your own.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateEvent {
    /// The workspace; your personal one when absent.
    #[schema(value_type = Option<Uuid>)]
    workspace_id: Option<WorkspaceId>,
    /// Two to eight segments of a-z, 0-9 and _ joined by dots; the first may not be one of the
    /// system's.
    #[serde(rename = "type")]
    #[schema(example = "ci.build_failed")]
    kind: String,
    /// A task of the workspace that it is about.
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// Any JSON, at most 64 KiB.
    #[serde(default)]
    data: Value,
}

impl CreateEvent {
    fn parse(self) -> Result<(EventType, Value), ApiError> {
        let kind =
            EventType::custom(&self.kind).map_err(|error| Invalid::at("/type", error.to_string()));
        let data = sized("/data", self.data);
        match (kind, data) {
            (Ok(kind), Ok(data)) => Ok((kind, data)),
            (kind, data) => Err(ApiError::invalid(
                [kind.err(), data.err()].into_iter().flatten(),
            )),
        }
    }
}

/// `data`, unless an event may not carry as much.
pub(super) fn sized(pointer: &str, data: Value) -> Result<Value, Invalid> {
    let bytes = data.to_string().len();
    if bytes > DATA_BYTES {
        let detail = format!("has {bytes} bytes as JSON; at most {DATA_BYTES} are allowed");
        return Err(Invalid::at(pointer, detail));
    }
    Ok(data)
}

/// Posts an event; rules and endpoints that listen to its type are started and told.
#[utoipa::path(post, path = "/api/v1/events", tag = "events", request_body = CreateEvent,
    responses((status = 201, body = EventSchema)))]
async fn create_event(
    State(app): State<App>,
    caller: Caller,
    Post { body, key }: Post<CreateEvent>,
) -> Result<Response, ApiError> {
    let member: Member<Write> = caller.workspace(&app, body.workspace_id).await?;
    let task_id = body.task_id;
    let (kind, data) = body.parse()?;
    let (workspace, cause) = (member.workspace_id, caller.cause(&app));
    app.write_once(key, move |tx| {
        let (kind, data, cause) = (kind.clone(), data.clone(), cause.clone());
        Box::pin(async move {
            if let Some(task) = task_id {
                tasks::expect_task(tx, workspace, task, "/task_id").await?;
            }
            let now = tx.now();
            let event = Event {
                id: EventId::new(now),
                workspace_id: workspace,
                kind,
                task_id,
                time: now,
                traceparent: cause.traceparent,
                change: cause.change,
                depth: cause.depth,
                actor_id: cause.actor.map(|actor| actor.id),
                rule_id: None,
                data: EventData::Custom(data),
            };
            tx.raise(event.clone())?;
            Answer::created(format!("/api/v1/events/{}", event.id), None, &event)
        })
    })
    .await
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventFilter {
    /// The workspace; your personal one when absent.
    #[param(value_type = Option<Uuid>)]
    #[expect(dead_code, reason = "read by `Member`")]
    workspace_id: Option<WorkspaceId>,
    #[serde(rename = "type")]
    #[param(value_type = Option<String>)]
    kind: Option<EventType>,
    #[param(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// At or after this.
    #[param(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// Before this.
    #[param(value_type = Option<String>)]
    until: Option<Timestamp>,
}

/// The events of a workspace, newest first.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(EventFilter, PageParams),
    responses((status = 200, body = Page<EventSchema>)))]
async fn list_events(
    State(app): State<App>,
    member: Member<Read>,
    ListQuery { filter, page }: ListQuery<EventFilter>,
) -> Result<Page<Event>, ApiError> {
    let scope = Scope {
        workspace: member.workspace_id,
        order: "events",
    };
    let filter = Filter {
        kind: filter.kind,
        task_id: filter.task_id,
        since: filter.since,
        until: filter.until,
    };
    let listed = events::list(&app.db, member.workspace_id, &filter, &page.of(scope)?).await?;
    page.listed(scope, listed)
}

/// An event.
#[utoipa::path(get, path = "/api/v1/events/{id}", tag = "events",
    params(("id" = Uuid, Path), OnlyWorkspace), responses((status = 200, body = EventSchema)))]
async fn get_event(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<EventId>,
) -> Result<Json<Event>, ApiError> {
    let event = events::get(&app.db, member.workspace_id, id).await?;
    Ok(Json(event))
}
