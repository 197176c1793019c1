//! Runs: what came of rules.

use super::tasks::OnlyWorkspace;
use crate::app::App;
use crate::caller::{Member, Read};
use crate::extract::{ApiPath, ListQuery};
use crate::page::{Page, PageParams, PageRequest, Scope};
use crate::problem::ApiError;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smarttasks_model::{RuleId, RunId, RunStatus, TaskId, Timestamp, WorkspaceId};
use smarttasks_store::runs::{self, ActionRecord, Filter, Run, RunError};
use smarttasks_store::{rules, tasks};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_runs))
        .routes(routes!(get_run))
        .routes(routes!(list_runs_of_rule))
        .routes(routes!(list_runs_of_task))
}

/// An evaluation of a rule that acted or failed; one that did neither leaves nothing.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Run)]
struct RunView {
    #[schema(value_type = Uuid)]
    id: RunId,
    #[schema(value_type = Uuid)]
    rule_id: RuleId,
    /// The version of the rule that was evaluated.
    rule_version: i64,
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    #[schema(value_type = String, example = "succeeded")]
    status: RunStatus,
    /// What started it: `type` and `event_id` of the event, and when it was.
    #[schema(value_type = Object)]
    trigger: Value,
    /// What it did, in order.
    #[schema(value_type = Vec<ActionSchema>)]
    actions: Vec<ActionRecord>,
    /// What the script logged.
    log: Vec<String>,
    /// Why it failed.
    #[schema(value_type = Option<RunErrorSchema>)]
    error: Option<RunError>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// How long the evaluation took, in microseconds.
    duration_us: i64,
    /// When a suspended run goes on.
    #[schema(value_type = Option<String>, format = DateTime)]
    resumes_at: Option<Timestamp>,
}

/// One thing that a script asked for.
#[derive(utoipa::ToSchema)]
#[schema(as = Action)]
#[expect(dead_code, reason = "only its description matters")]
struct ActionSchema {
    #[schema(example = "email")]
    action: String,
    /// Its arguments; `suppressed` says why nothing came of it.
    #[schema(value_type = Object)]
    detail: Value,
}

/// Why and where a script failed.
#[derive(utoipa::ToSchema)]
#[schema(as = RunError)]
#[expect(dead_code, reason = "only its description matters")]
struct RunErrorSchema {
    message: String,
    line: Option<usize>,
    column: Option<usize>,
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            rule_id: run.rule_id,
            rule_version: run.rule_version,
            task_id: run.task_id,
            status: run.status,
            trigger: run.trigger,
            actions: run.actions,
            log: run.log,
            error: run.error,
            started_at: run.started_at,
            finished_at: run.finished_at,
            duration_us: run.duration_us,
            resumes_at: run.resumes_at,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RunFilter {
    /// The workspace; your personal one when absent.
    #[param(value_type = Option<Uuid>)]
    #[expect(dead_code, reason = "read by `Member`")]
    workspace_id: Option<WorkspaceId>,
    #[param(value_type = Option<Uuid>)]
    rule_id: Option<RuleId>,
    #[param(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// One of running, suspended, succeeded, failed, cancelled, diverged.
    #[param(value_type = Option<String>)]
    status: Option<RunStatus>,
}

async fn listed(
    app: &App,
    member: &Member<Read>,
    filter: Filter,
    page: &PageRequest,
) -> Result<Page<RunView>, ApiError> {
    let scope = Scope {
        workspace: member.workspace_id,
        order: "runs",
    };
    let listed = runs::list(&app.db, member.workspace_id, &filter, &page.of(scope)?).await?;
    page.listed(scope, listed)
}

/// The runs of a workspace, newest first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(RunFilter, PageParams),
    responses((status = 200, body = Page<RunView>)))]
async fn list_runs(
    State(app): State<App>,
    member: Member<Read>,
    ListQuery { filter, page }: ListQuery<RunFilter>,
) -> Result<Page<RunView>, ApiError> {
    let filter = Filter {
        rule_id: filter.rule_id,
        task_id: filter.task_id,
        status: filter.status,
    };
    listed(&app, &member, filter, &page).await
}

/// A run.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs",
    params(("id" = Uuid, Path), OnlyWorkspace), responses((status = 200, body = RunView)))]
async fn get_run(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<RunId>,
) -> Result<Json<RunView>, ApiError> {
    let run = runs::get(&app.db, member.workspace_id, id).await?;
    Ok(Json(run.into()))
}

/// The runs of a rule, newest first.
#[utoipa::path(get, path = "/api/v1/rules/{id}/runs", tag = "runs",
    params(("id" = Uuid, Path), OnlyWorkspace, PageParams),
    responses((status = 200, body = Page<RunView>)))]
async fn list_runs_of_rule(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<RuleId>,
    ListQuery { page, .. }: ListQuery<OnlyWorkspace>,
) -> Result<Page<RunView>, ApiError> {
    rules::get(&app.db, member.workspace_id, id).await?;
    let filter = Filter {
        rule_id: Some(id),
        ..Filter::default()
    };
    listed(&app, &member, filter, &page).await
}

/// The runs about a task, newest first.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/runs", tag = "runs",
    params(("id" = Uuid, Path), OnlyWorkspace, PageParams),
    responses((status = 200, body = Page<RunView>)))]
async fn list_runs_of_task(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<TaskId>,
    ListQuery { page, .. }: ListQuery<OnlyWorkspace>,
) -> Result<Page<RunView>, ApiError> {
    tasks::get(&app.db, member.workspace_id, id).await?;
    let filter = Filter {
        task_id: Some(id),
        ..Filter::default()
    };
    listed(&app, &member, filter, &page).await
}
