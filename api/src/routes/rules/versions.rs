//! What a rule was before, and back to it.

use super::super::schedules::workspace_zone;
use super::super::tasks::OnlyWorkspace;
use super::check::{Checked, checked};
use super::fields::Saving;
use super::view::{RuleSchema, RuleView, TriggerSchema};
use crate::answer::Answer;
use crate::app::App;
use crate::caller::{Manage, Member, Read};
use crate::etag::IfMatch;
use crate::extract::{ApiPath, ListQuery};
use crate::once::Post;
use crate::page::{Page, PageParams, Scope};
use crate::problem::{ApiError, Problem};
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use smarttasks_model::{RuleId, RuleSpec, Timestamp, User, UserId};
use smarttasks_store::rules::{self, Version};
use smarttasks_store::{Error, Listed, users};
use std::collections::{HashMap, HashSet};
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
    author: Option<AuthorView>,
    created_at: Timestamp,
    note: Option<String>,
    changes: Vec<String>,
    #[serde(flatten)]
    spec: RuleSpec,
}

/// A person.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Author)]
struct AuthorView {
    #[schema(value_type = Uuid)]
    id: UserId,
    /// What they are called now.
    name: String,
}

impl VersionView {
    fn of(version: Version, people: &HashMap<UserId, User>) -> Self {
        let author = version.author_id.and_then(|id| people.get(&id));
        Self {
            rule_id: version.rule_id,
            version: version.version,
            author: author.map(|author| AuthorView {
                id: author.id,
                name: author.name.clone(),
            }),
            created_at: version.created_at,
            note: version.note,
            changes: version.changes,
            spec: version.spec,
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
    /// Who wrote it; `null` when the system did.
    author: Option<AuthorView>,
    /// When it was written.
    #[schema(format = DateTime)]
    created_at: String,
    /// How it came about, when nobody simply wrote it.
    #[schema(example = "rolled back to version 1")]
    note: Option<String>,
    /// The names of the fields that differ from the version before; none in the first.
    #[schema(example = json!(["script", "triggers"]))]
    changes: Vec<String>,
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
    let Listed { rows, next } =
        rules::versions(&app.db, member.workspace_id, id, &page.of(scope)?).await?;
    let authors: HashSet<UserId> = rows.iter().filter_map(|of| of.author_id).collect();
    let people = users::by_ids(&app.db, authors).await?;
    let rows = rows.into_iter().map(|of| VersionView::of(of, &people));
    let rows = rows.collect();
    page.listed::<VersionView, _>(scope, Listed { rows, next })
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RollBack {
    /// The version to go back to.
    #[schema(example = 1)]
    version: i64,
    /// As with a save of the rule: whether its sweeps are for the tasks that match already, too;
    /// `true` when absent.
    apply_to_existing: Option<bool>,
}

/// Stores an old version of a rule as its newest. It is checked like any other, because what it
/// names may be gone. An old version that was enabled enables the rule. `If-Match` is of the present
/// version.
#[utoipa::path(post, path = "/api/v1/rules/{id}/rollback", tag = "rules",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = RollBack,
    responses((status = 200, body = RuleSchema),
        (status = 412, body = Problem, content_type = "application/problem+json",
            description = "`If-Match` names another version.")))]
async fn roll_back(
    State(app): State<App>,
    member: Member<Manage>,
    ApiPath(id): ApiPath<RuleId>,
    if_match: IfMatch,
    Post { body, key }: Post<RollBack>,
) -> Result<Response, ApiError> {
    let (workspace, author) = (member.workspace_id, member.caller.actor.id);
    let old = rules::version(&app.db, workspace, id, body.version).await?;
    let zone = workspace_zone(&app, workspace).await?;
    let saving = Saving {
        apply_to_existing: body.apply_to_existing.unwrap_or(true),
        suspended_runs: None,
    };
    let Checked { new, warnings } = checked(&app, workspace, id, old.spec, saving).await?;
    app.write_once(key, move |tx| {
        let (new, warnings, if_match) = (new.clone(), warnings.clone(), if_match.clone());
        Box::pin(async move {
            let rule = rules::roll_back(tx, workspace, author, new, body.version).await?;
            // Only here, so that a repetition gets its answer: by then the version is another. An
            // error takes back what was written.
            let current = rule.version - 1;
            if if_match.check(current).is_err() {
                return Err(Error::Changed { current });
            }
            let (version, stats) = (rule.version, rules::stats_in(tx, id).await?);
            let view = RuleView::of(rule, stats, tx.now(), zone).saying(warnings);
            Answer::ok(version, &view)
        })
    })
    .await
}
