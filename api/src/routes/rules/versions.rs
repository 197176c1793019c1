//! What a rule was before, and back to it.

use super::super::schedules::workspace_zone;
use super::super::tasks::OnlyWorkspace;
use super::check::checked;
use super::stats_of;
use super::view::{RuleSchema, RuleView, TriggerSchema};
use crate::answer::Answer;
use crate::app::App;
use crate::caller::{Manage, Member, Read};
use crate::extract::{ApiPath, ListQuery};
use crate::once::Post;
use crate::page::{Page, PageParams, Scope};
use crate::problem::ApiError;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use smarttasks_model::{RuleId, RuleSpec, Timestamp, UserId};
use smarttasks_store::rules::{self, Rule};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_versions))
        .routes(routes!(roll_back))
}

#[derive(Serialize)]
struct VersionView {
    rule_id: RuleId,
    version: i64,
    author_id: UserId,
    created_at: Timestamp,
    #[serde(flatten)]
    spec: RuleSpec,
}

impl From<Rule> for VersionView {
    fn from(rule: Rule) -> Self {
        Self {
            rule_id: rule.id,
            version: rule.version,
            author_id: rule.author_id,
            created_at: rule.updated_at,
            spec: rule.spec,
        }
    }
}

/// A rule as it was.
#[derive(utoipa::ToSchema)]
#[schema(as = RuleVersion)]
#[expect(dead_code, reason = "only its description matters")]
struct VersionSchema {
    rule_id: Uuid,
    version: i64,
    /// Who wrote it.
    author_id: Uuid,
    /// When it was written.
    #[schema(format = DateTime)]
    created_at: String,
    name: String,
    description: String,
    enabled: bool,
    triggers: Vec<TriggerSchema>,
    script: String,
    repeat: String,
    hold: Option<String>,
    overlap: String,
    misfire: String,
}

/// The versions of a rule, newest first.
#[utoipa::path(get, path = "/api/v1/rules/{id}/versions", tag = "rules",
    params(("id" = Uuid, Path), OnlyWorkspace, PageParams),
    responses((status = 200, body = Page<VersionSchema>)))]
async fn list_versions(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<RuleId>,
    ListQuery { page, .. }: ListQuery<OnlyWorkspace>,
) -> Result<Page<VersionView>, ApiError> {
    let scope = Scope {
        workspace: member.workspace_id,
        order: "rule_versions",
    };
    let listed = rules::versions(&app.db, member.workspace_id, id, &page.of(scope)?).await?;
    page.listed(scope, listed)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RollBack {
    /// The version to go back to.
    #[schema(example = 1)]
    version: i64,
}

/// Stores an old version of a rule as its newest.
#[utoipa::path(post, path = "/api/v1/rules/{id}/rollback", tag = "rules",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = RollBack,
    responses((status = 200, body = RuleSchema)))]
async fn roll_back(
    State(app): State<App>,
    member: Member<Manage>,
    ApiPath(id): ApiPath<RuleId>,
    Post { body, key }: Post<RollBack>,
) -> Result<Response, ApiError> {
    let (workspace, author) = (member.workspace_id, member.caller.actor.id);
    let old = rules::version(&app.db, workspace, id, body.version).await?;
    let zone = workspace_zone(&app, workspace).await?;
    let stats = stats_of(&app, id).await?;
    let new = checked(&app, id, old.spec, zone, true).await?;
    app.write_once(key, move |tx| {
        let new = new.clone();
        Box::pin(async move {
            let rule = rules::update(tx, workspace, author, new, None).await?;
            let version = rule.version;
            Answer::ok(version, &RuleView::of(rule, stats, tx.now(), zone))
        })
    })
    .await
}
