//! Runs: what came of rules.

mod control;
mod view;

use self::view::{JournalView, RunView};

use super::tasks::OnlyWorkspace;
use crate::app::App;
use crate::caller::{Member, Read};
use crate::extract::{ApiPath, ListQuery};
use crate::page::{Page, PageParams, PageRequest, Scope};
use crate::problem::ApiError;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use smarttasks_model::{RuleId, RunId, RunStatus, TaskId, Timestamp, WorkspaceId};
use smarttasks_store::runs::{self, Filter};
use smarttasks_store::{rules, tasks};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_runs))
        .routes(routes!(get_run))
        .routes(routes!(list_runs_of_rule))
        .routes(routes!(list_runs_of_task))
        .merge(control::routes())
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
    /// One of suspended, paused, succeeded, failed, cancelled, diverged.
    #[param(value_type = Option<String>)]
    status: Option<RunStatus>,
    /// Begun at or after this.
    #[param(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// Begun before this.
    #[param(value_type = Option<String>)]
    until: Option<Timestamp>,
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
        since: filter.since,
        until: filter.until,
    };
    listed(&app, &member, filter, &page).await
}

/// A run, with its journal.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs",
    params(("id" = Uuid, Path), OnlyWorkspace), responses((status = 200, body = JournalView)))]
async fn get_run(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<RunId>,
) -> Result<Json<JournalView>, ApiError> {
    let run = runs::get(&app.db, member.workspace_id, id).await?;
    let segments = runs::steps(&app.db, member.workspace_id, id).await?;
    let view = JournalView::of(run, &segments).map_err(ApiError::internal)?;
    Ok(Json(view))
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
