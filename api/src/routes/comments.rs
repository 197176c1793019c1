//! Remarks on tasks.

use super::tasks::OnlyWorkspace;
use crate::answer::Answer;
use crate::app::App;
use crate::caller::{Member, Read, Write};
use crate::extract::{ApiPath, ListQuery};
use crate::once::Post;
use crate::page::{Page, PageParams, Scope};
use crate::problem::ApiError;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use smarttasks_model::{CommentId, RuleId, TaskId, Timestamp, UserId, text_within};
use smarttasks_store::comments::{self, Comment};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_comment, list_comments))
}

/// Longest remark, in characters.
const TEXT: usize = 20_000;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateComment {
    #[schema(example = "Waiting for the supplier.")]
    text: String,
}

/// A remark on a task.
#[derive(Serialize, utoipa::ToSchema)]
struct CommentView {
    #[schema(value_type = Uuid)]
    id: CommentId,
    #[schema(value_type = Uuid)]
    task_id: TaskId,
    /// Absent when a rule wrote it.
    #[schema(value_type = Option<Uuid>)]
    author_id: Option<UserId>,
    /// The rule that wrote it.
    #[schema(value_type = Option<Uuid>)]
    rule_id: Option<RuleId>,
    text: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Comment> for CommentView {
    fn from(comment: Comment) -> Self {
        Self {
            id: comment.id,
            task_id: comment.task_id,
            author_id: comment.author_id,
            rule_id: comment.rule_id,
            text: comment.text,
            created_at: comment.created_at,
        }
    }
}

/// Adds a remark to a task.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/comments", tag = "tasks",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = CreateComment,
    responses((status = 201, body = CommentView)))]
async fn create_comment(
    State(app): State<App>,
    member: Member<Write>,
    ApiPath(task): ApiPath<TaskId>,
    Post { body, key }: Post<CreateComment>,
) -> Result<Response, ApiError> {
    let text = text_within("/text", &body.text, 1, TEXT, &['\n', '\r', '\t'])?;
    let (workspace, cause) = (member.workspace_id, member.caller.cause(&app));
    let id = CommentId::new(app.now());
    app.write_once(key, move |tx| {
        let (text, cause) = (text.clone(), cause.clone());
        Box::pin(async move {
            let comment = comments::create(tx, workspace, task, id, text, &cause).await?;
            let location = format!("/api/v1/tasks/{task}/comments");
            Answer::created(location, None, &CommentView::from(comment))
        })
    })
    .await
}

/// The remarks on a task, oldest first.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/comments", tag = "tasks",
    params(("id" = Uuid, Path), OnlyWorkspace, PageParams),
    responses((status = 200, body = Page<CommentView>)))]
async fn list_comments(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(task): ApiPath<TaskId>,
    ListQuery { page, .. }: ListQuery<OnlyWorkspace>,
) -> Result<Page<CommentView>, ApiError> {
    let scope = Scope {
        workspace: member.workspace_id,
        order: "comments",
    };
    let listed = comments::list(&app.db, member.workspace_id, task, &page.of(scope)?).await?;
    page.listed(scope, listed)
}
