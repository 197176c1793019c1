//! Questions to people, for whose answers runs wait: over the API, and on the pages to which the
//! links of a mail lead.

mod pages;

pub(super) use pages::pages;

use super::tasks::{OnlyWorkspace, person};
use crate::answer::Answer;
use crate::app::App;
use crate::caller::{Manage, Member, Read};
use crate::extract::{ApiPath, ListQuery};
use crate::once::Post;
use crate::page::{Page, PageParams, Scope};
use crate::problem::ApiError;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use smarttasks_model::{ApprovalId, RuleId, RunId, TaskId, Timestamp, UserId, WorkspaceId};
use smarttasks_store::approvals::{self, Approval, Filter, Status};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_approvals))
        .routes(routes!(get_approval))
        .routes(routes!(answer_approval))
}

/// A question to a person, for whose answer a run waits.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Approval)]
struct ApprovalView {
    #[schema(value_type = Uuid)]
    id: ApprovalId,
    #[schema(value_type = Uuid)]
    run_id: RunId,
    #[schema(value_type = Uuid)]
    rule_id: RuleId,
    /// What the rule was called when it asked.
    rule_name: String,
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// What the task was called when the rule asked.
    task_title: Option<String>,
    /// Who is asked.
    #[schema(value_type = Uuid)]
    user_id: UserId,
    question: String,
    #[schema(value_type = String, example = "pending")]
    status: Status,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the run goes on without an answer.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Who answered.
    #[schema(value_type = Option<Uuid>)]
    answered_by: Option<UserId>,
    #[schema(value_type = Option<String>, format = DateTime)]
    answered_at: Option<Timestamp>,
}

impl From<Approval> for ApprovalView {
    fn from(approval: Approval) -> Self {
        let asked = approval.asked;
        Self {
            id: asked.id,
            run_id: asked.wait.run_id,
            rule_id: asked.rule_id,
            rule_name: asked.rule_name,
            task_id: asked.task_id,
            task_title: asked.task_title,
            user_id: asked.user_id,
            question: asked.question,
            status: approval.status,
            created_at: approval.created_at,
            expires_at: asked.expires_at,
            answered_by: approval.answered_by,
            answered_at: approval.answered_at,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ApprovalFilter {
    /// The workspace; your personal one when absent.
    #[param(value_type = Option<Uuid>)]
    #[expect(dead_code, reason = "read by `Member`")]
    workspace_id: Option<WorkspaceId>,
    /// Whom it asks: an id, or `me`.
    user_id: Option<String>,
    /// One of pending, approved, denied, expired, cancelled.
    #[param(value_type = Option<String>)]
    status: Option<Status>,
    #[param(value_type = Option<Uuid>)]
    run_id: Option<RunId>,
}

/// The questions of a workspace, newest first.
#[utoipa::path(get, path = "/api/v1/approvals", tag = "approvals",
    params(ApprovalFilter, PageParams), responses((status = 200, body = Page<ApprovalView>)))]
async fn list_approvals(
    State(app): State<App>,
    member: Member<Read>,
    ListQuery { filter, page }: ListQuery<ApprovalFilter>,
) -> Result<Page<ApprovalView>, ApiError> {
    let scope = Scope {
        workspace: member.workspace_id,
        order: "approvals",
    };
    let me = member.caller.actor.id;
    let filter = Filter {
        user_id: person("?user_id", filter.user_id.as_deref(), me)?,
        status: filter.status,
        run_id: filter.run_id,
    };
    let of_store = page.of(scope)?;
    let listed = approvals::list(&app.db, member.workspace_id, &filter, &of_store).await?;
    page.listed(scope, listed)
}

/// A question.
#[utoipa::path(get, path = "/api/v1/approvals/{id}", tag = "approvals",
    params(("id" = Uuid, Path), OnlyWorkspace), responses((status = 200, body = ApprovalView)))]
async fn get_approval(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<ApprovalId>,
) -> Result<Json<ApprovalView>, ApiError> {
    let approval = approvals::get(&app.db, member.workspace_id, id).await?;
    Ok(Json(approval.into()))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AnswerApproval {
    /// Yes or no.
    approved: bool,
}

/// Answers, and lets the run go on. Whoever is asked may, and who runs the workspace. One that is
/// answered or closed: 409, which says who answered what.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/answer", tag = "approvals",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = AnswerApproval,
    responses((status = 200, body = ApprovalView)))]
async fn answer_approval(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<ApprovalId>,
    Post { body, key }: Post<AnswerApproval>,
) -> Result<Response, ApiError> {
    let (workspace, by) = (member.workspace_id, member.caller.actor.id);
    let approval = approvals::get(&app.db, workspace, id).await?;
    if approval.asked.user_id != by {
        let _: Member<Manage> = member.caller.workspace(&app, Some(workspace)).await?;
    }
    let approved = body.approved;
    app.write_once(key, move |tx| {
        Box::pin(async move {
            let approval = approvals::answer(tx, workspace, id, approved, by).await?;
            Answer::ok(None, &ApprovalView::from(approval))
        })
    })
    .await
}
