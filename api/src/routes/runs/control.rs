//! What people do with runs: end them, let them go on, try them again.

use super::super::tasks::OnlyWorkspace;
use super::view::RunView;
use crate::answer::Answer;
use crate::app::App;
use crate::caller::{Member, Write};
use crate::extract::ApiPath;
use crate::once::Post;
use crate::problem::ApiError;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use smarttasks_model::RunId;
use smarttasks_store::{rules, runs};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(cancel_run))
        .routes(routes!(resume_run))
        .routes(routes!(retry_run))
}

/// Nothing is to be said.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Ends a run that is suspended or paused; what it has done stays done. One that has ended: 409.
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", tag = "runs",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = Nothing,
    responses((status = 200, body = RunView)))]
async fn cancel_run(
    State(app): State<App>,
    member: Member<Write>,
    ApiPath(id): ApiPath<RunId>,
    Post { key, .. }: Post<Nothing>,
) -> Result<Response, ApiError> {
    let workspace = member.workspace_id;
    let why = format!("cancelled by {}", member.caller.actor.name);
    app.write_once(key, move |tx| {
        let why = why.clone();
        Box::pin(async move {
            let run = runs::cancel(tx, workspace, id, &why).await?;
            Answer::ok(None, &RunView::from(run))
        })
    })
    .await
}

/// Lets a suspended run go on now, as if what it waits for had not come in time; a paused one with
/// what it was to go on with. One that has ended: 409.
#[utoipa::path(post, path = "/api/v1/runs/{id}/resume", tag = "runs",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = Nothing,
    responses((status = 202, body = RunView)))]
async fn resume_run(
    State(app): State<App>,
    member: Member<Write>,
    ApiPath(id): ApiPath<RunId>,
    Post { key, .. }: Post<Nothing>,
) -> Result<Response, ApiError> {
    let workspace = member.workspace_id;
    app.write_once(key, move |tx| {
        Box::pin(async move {
            let run = runs::skip_wait(tx, workspace, id).await?;
            Answer::accepted(&RunView::from(run))
        })
    })
    .await
}

/// From where a run is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum From {
    /// From its beginning.
    Start,
    /// From the wait after which it failed; what came before is not done again.
    Segment,
}

/// With which version of its rule a run is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum With {
    /// With that which it had.
    Same,
    /// With the present one.
    Newest,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RetryRun {
    /// `start` when absent.
    from: Option<From>,
    /// `same` when absent.
    version: Option<With>,
}

/// Tries a run again that has failed, diverged or been cancelled: a new run with ids of its own,
/// which says `retry_of`. Any other: 409.
#[utoipa::path(post, path = "/api/v1/runs/{id}/retry", tag = "runs",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = RetryRun,
    responses((status = 202, body = RunView)))]
async fn retry_run(
    State(app): State<App>,
    member: Member<Write>,
    ApiPath(id): ApiPath<RunId>,
    Post { body, key }: Post<RetryRun>,
) -> Result<Response, ApiError> {
    let workspace = member.workspace_id;
    let from_segment = body.from == Some(From::Segment);
    let newest = body.version == Some(With::Newest);
    app.write_once(key, move |tx| {
        Box::pin(async move {
            let version = match newest {
                true => {
                    let rule = runs::rule_of(tx, workspace, id).await?;
                    Some(rules::get_in(tx, workspace, rule).await?.version)
                }
                false => None,
            };
            let how = runs::Retry {
                version,
                from_segment,
            };
            let run = runs::retry(tx, workspace, id, how).await?;
            Answer::accepted(&RunView::from(run))
        })
    })
    .await
}
