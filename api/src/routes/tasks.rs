//! Tasks.

use crate::answer::{Answer, Versioned};
use crate::app::App;
use crate::caller::{Caller, Member, Read, Write};
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{ApiJson, ApiPath, ListQuery};
use crate::once::Post;
use crate::page::{Page, PageParams, Scope};
use crate::problem::{ApiError, FieldError};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smarttasks_model::{
    Failpoint, NewTask, Priority, RuleId, Status, Task, TaskChanges, TaskFilter, TaskId, Timestamp,
    UserId, WorkspaceId,
};
use smarttasks_store::tasks::{self, Sort};
use smarttasks_store::{activity, activity::Activity};
use std::fmt::Display;
use std::str::FromStr;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_task, list_tasks))
        .routes(routes!(get_task, update_task, delete_task))
        .routes(routes!(list_activity))
}

/// A task as the API shows it; described by [`TaskSchema`], because the model knows nothing of
/// OpenAPI.
#[derive(Serialize)]
pub(super) struct TaskView {
    #[serde(flatten)]
    task: Task,
    recurrence: (),
}

impl From<Task> for TaskView {
    fn from(task: Task) -> Self {
        Self {
            task,
            recurrence: (),
        }
    }
}

/// A work item.
#[derive(utoipa::ToSchema)]
#[schema(as = Task)]
#[expect(dead_code, reason = "only its description matters")]
pub(super) struct TaskSchema {
    id: Uuid,
    workspace_id: Uuid,
    #[schema(example = "website")]
    project: Option<String>,
    #[schema(example = "Renew certificate")]
    title: String,
    description: String,
    #[schema(example = "todo")]
    status: String,
    #[schema(example = "high")]
    priority: String,
    creator_id: Uuid,
    assignee_id: Option<Uuid>,
    #[schema(example = json!(["tls"]))]
    tags: Vec<String>,
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// Custom fields.
    #[schema(example = json!({ "customer": "acme" }))]
    fields: Map<String, Value>,
    parent_id: Option<Uuid>,
    /// Always `null`: tasks do not repeat yet.
    recurrence: Option<String>,
    /// Counts the writes, from 1.
    version: i64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[schema(format = DateTime)]
    status_changed_at: String,
    #[schema(format = DateTime)]
    completed_at: Option<String>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateTask {
    /// The workspace; your personal one when absent.
    #[schema(value_type = Option<Uuid>)]
    workspace_id: Option<WorkspaceId>,
    #[schema(example = "Renew certificate")]
    title: String,
    #[serde(default)]
    description: Option<String>,
    project: Option<String>,
    /// `todo` when absent.
    #[schema(value_type = Option<String>, example = "todo")]
    status: Option<Status>,
    /// `normal` when absent.
    #[schema(value_type = Option<String>, example = "high")]
    priority: Option<Priority>,
    /// A member of the workspace.
    #[schema(value_type = Option<Uuid>)]
    assignee_id: Option<UserId>,
    tags: Option<Vec<String>>,
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    /// Custom fields.
    fields: Option<Map<String, Value>>,
    /// Another task of the workspace.
    #[schema(value_type = Option<Uuid>)]
    parent_id: Option<TaskId>,
}

impl CreateTask {
    fn parse(self) -> Result<NewTask, ApiError> {
        let new = NewTask {
            title: self.title,
            description: self.description.unwrap_or_default(),
            project: self.project,
            status: self.status.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            assignee_id: self.assignee_id,
            tags: self.tags.unwrap_or_default(),
            due_at: self.due_at,
            fields: self.fields.unwrap_or_default(),
            parent_id: self.parent_id,
        };
        Ok(new.checked()?)
    }
}

/// Makes a task.
#[utoipa::path(post, path = "/api/v1/tasks", tag = "tasks", request_body = CreateTask,
    responses((status = 201, body = TaskSchema)))]
async fn create_task(
    State(app): State<App>,
    caller: Caller,
    Post { body, key }: Post<CreateTask>,
) -> Result<Response, ApiError> {
    let member: Member<Write> = caller.workspace(&app, body.workspace_id).await?;
    let new = body.parse()?;
    let cause = caller.cause(&app);
    let id = TaskId::new(app.now());
    let created = app.write_once(key, move |tx| {
        let (new, cause) = (new.clone(), cause.clone());
        let (workspace, creator) = (member.workspace_id, member.caller.actor.id);
        Box::pin(async move {
            let task = tasks::create(tx, workspace, id, creator, new, &cause).await?;
            let version = task.version;
            Answer::created(
                format!("/api/v1/tasks/{id}"),
                version,
                &TaskView::from(task),
            )
        })
    });
    let answer = created.await;
    Failpoint::TaskCreated.pass();
    answer
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct TaskParams {
    /// The workspace; your personal one when absent.
    #[param(value_type = Option<Uuid>)]
    #[expect(dead_code, reason = "read by `Member`")]
    workspace_id: Option<WorkspaceId>,
    /// One or more, separated by commas.
    status: Option<String>,
    /// One or more, separated by commas.
    priority: Option<String>,
    project: Option<String>,
    tag: Option<String>,
    /// A user, or `me`.
    assignee_id: Option<String>,
    /// A user, or `me`.
    creator_id: Option<String>,
    #[param(value_type = Option<String>)]
    due_before: Option<Timestamp>,
    #[param(value_type = Option<String>)]
    due_after: Option<Timestamp>,
    /// Open, with a deadline that has passed.
    overdue: Option<bool>,
    /// In title or description.
    q: Option<String>,
    #[param(value_type = Option<String>)]
    updated_since: Option<Timestamp>,
    /// One of created_at, updated_at, due_at, priority, title; `-` before it for descending
    /// order. `-created_at` when absent.
    sort: Option<String>,
}

impl TaskParams {
    fn parse(self, me: UserId) -> Result<(TaskFilter, Sort), ApiError> {
        let filter = TaskFilter {
            status: listed("?status", self.status.as_deref())?,
            priority: listed("?priority", self.priority.as_deref())?,
            project: self.project,
            tag: self.tag,
            assignee_id: person("?assignee_id", self.assignee_id.as_deref(), me)?,
            creator_id: person("?creator_id", self.creator_id.as_deref(), me)?,
            due_before: self.due_before,
            due_after: self.due_after,
            overdue: self.overdue,
            q: self.q.filter(|q| !q.is_empty()),
            updated_since: self.updated_since,
            ..TaskFilter::default()
        };
        let sort = self
            .sort
            .as_deref()
            .map(|sort| parsed("?sort", sort))
            .transpose()?;
        Ok((filter, sort.unwrap_or_default()))
    }
}

pub(super) fn parsed<T: FromStr<Err: Display>>(parameter: &str, text: &str) -> Result<T, ApiError> {
    text.parse()
        .map_err(|error| ApiError::invalid([FieldError::at(parameter, format!("{error}"))]))
}

fn listed<T: FromStr<Err: Display>>(
    parameter: &str,
    text: Option<&str>,
) -> Result<Vec<T>, ApiError> {
    text.into_iter()
        .flat_map(|text| text.split(','))
        .map(|item| parsed(parameter, item.trim()))
        .collect()
}

pub(super) fn person(
    parameter: &str,
    text: Option<&str>,
    me: UserId,
) -> Result<Option<UserId>, ApiError> {
    match text {
        None => Ok(None),
        Some("me") => Ok(Some(me)),
        Some(id) => parsed(parameter, id).map(Some),
    }
}

/// The tasks of a workspace.
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks", params(TaskParams, PageParams),
    responses((status = 200, body = Page<TaskSchema>)))]
async fn list_tasks(
    State(app): State<App>,
    member: Member<Read>,
    ListQuery { filter, page }: ListQuery<TaskParams>,
) -> Result<Page<TaskView>, ApiError> {
    let order = format!("tasks:{}", filter.sort.as_deref().unwrap_or("-created_at"));
    let scope = Scope {
        workspace: member.workspace_id,
        order: &order,
    };
    let (filter, sort) = filter.parse(member.caller.actor.id)?;
    let of_store = page.of(scope)?;
    let listed = tasks::list(
        &app.db,
        member.workspace_id,
        &filter,
        sort,
        &of_store,
        app.now(),
    )
    .await?;
    page.listed(scope, listed)
}

/// A task.
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "tasks",
    params(("id" = Uuid, Path), OnlyWorkspace),
    responses((status = 200, body = TaskSchema)))]
async fn get_task(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<TaskId>,
    known: IfNoneMatch,
) -> Result<Versioned<TaskView>, ApiError> {
    let task = tasks::get(&app.db, member.workspace_id, id).await?;
    Ok(Versioned::new(task.version, task.into()).unless(&known))
}

/// What may be changed; what is absent stays, `null` clears all but title, status and priority.
#[derive(utoipa::ToSchema)]
#[schema(as = UpdateTask)]
#[expect(dead_code, reason = "only its description matters")]
struct UpdateTaskSchema {
    title: Option<String>,
    description: Option<String>,
    project: Option<String>,
    status: Option<String>,
    priority: Option<String>,
    assignee_id: Option<Uuid>,
    tags: Option<Vec<String>>,
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// Merged key by key and into objects; `null` removes one.
    fields: Option<Map<String, Value>>,
    parent_id: Option<Uuid>,
}

/// Changes a task (JSON merge patch, RFC 7396).
#[utoipa::path(patch, path = "/api/v1/tasks/{id}", tag = "tasks",
    params(("id" = Uuid, Path), OnlyWorkspace),
    request_body(content = UpdateTaskSchema, content_type = "application/merge-patch+json"),
    responses((status = 200, body = TaskSchema)))]
async fn update_task(
    State(app): State<App>,
    member: Member<Write>,
    ApiPath(id): ApiPath<TaskId>,
    if_match: IfMatch,
    ApiJson(changes): ApiJson<TaskChanges>,
) -> Result<Versioned<TaskView>, ApiError> {
    let changes = changes.checked()?;
    let expected = if_match.versions().map(<[i64]>::to_vec);
    let (workspace, cause) = (member.workspace_id, member.caller.cause(&app));
    let task = app
        .write(move |tx| {
            let (changes, cause) = (changes.clone(), cause.clone());
            let expected = expected.clone();
            Box::pin(async move {
                tasks::update(tx, workspace, id, &changes, expected.as_deref(), &cause).await
            })
        })
        .await?;
    Ok(Versioned::new(task.version, task.into()))
}

/// Removes a task with its comments.
#[utoipa::path(delete, path = "/api/v1/tasks/{id}", tag = "tasks",
    params(("id" = Uuid, Path), OnlyWorkspace), responses((status = 204)))]
async fn delete_task(
    State(app): State<App>,
    member: Member<Write>,
    ApiPath(id): ApiPath<TaskId>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    let expected = if_match.versions().map(<[i64]>::to_vec);
    let (workspace, cause) = (member.workspace_id, member.caller.cause(&app));
    app.write(move |tx| {
        let (expected, cause) = (expected.clone(), cause.clone());
        Box::pin(async move { tasks::delete(tx, workspace, id, expected.as_deref(), &cause).await })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Something that was done to a task.
#[derive(Serialize, utoipa::ToSchema)]
struct ActivityView {
    id: Uuid,
    /// What was done, as an event type.
    #[serde(rename = "type")]
    kind: String,
    /// Names of the fields that changed.
    changes: Vec<String>,
    #[schema(value_type = Option<Uuid>)]
    actor_id: Option<UserId>,
    #[schema(value_type = Option<Uuid>)]
    rule_id: Option<RuleId>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl From<Activity> for ActivityView {
    fn from(activity: Activity) -> Self {
        Self {
            id: activity.id,
            kind: activity.kind,
            changes: activity.changes,
            actor_id: activity.actor_id,
            rule_id: activity.rule_id,
            at: activity.at,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OnlyWorkspace {
    /// The workspace; your personal one when absent.
    #[param(value_type = Option<Uuid>)]
    #[expect(dead_code, reason = "read by `Member`")]
    workspace_id: Option<WorkspaceId>,
}

/// What was done to a task, newest first.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/activity", tag = "tasks",
    params(("id" = Uuid, Path), OnlyWorkspace, PageParams),
    responses((status = 200, body = Page<ActivityView>)))]
async fn list_activity(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<TaskId>,
    ListQuery { page, .. }: ListQuery<OnlyWorkspace>,
) -> Result<Page<ActivityView>, ApiError> {
    let scope = Scope {
        workspace: member.workspace_id,
        order: "activity",
    };
    let listed = activity::list(&app.db, member.workspace_id, id, &page.of(scope)?).await?;
    page.listed(scope, listed)
}
