//! Rules: written, changed, and brought back.

mod backtest;
mod check;
mod explain;
mod fields;
mod language;
mod run;
mod search;
mod simulate;
mod templates;
mod trial;
mod validate;
mod versions;
mod view;
mod why;

use super::endpoints::overtaken;
use super::schedules::workspace_zone;
use super::tasks::OnlyWorkspace;
use crate::answer::{Answer, Versioned};
use crate::app::App;
use crate::caller::{Caller, Manage, Member, Read};
use crate::etag::IfMatch;
use crate::extract::{ApiJson, ApiPath, ListQuery};
use crate::once::Post;
use crate::page::{Page, PageParams, Scope};
use crate::problem::ApiError;
use axum::extract::State;
use axum::response::Response;
use check::{Checked, checked};
use fields::{RuleFields, patched};
use http::StatusCode;
use serde_json::{Map, Value};
use smarttasks_model::{Invalid, RuleId, WorkspaceId};
use smarttasks_store::rules::{self, NewRule, Rule, Stats};
use smarttasks_store::{Listed, Result as Stored};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use view::{RuleSchema, RuleView};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_rule, list_rules))
        .routes(routes!(get_rule, replace_rule, update_rule, delete_rule))
        .merge(versions::routes())
        .merge(validate::routes())
        .merge(language::routes())
        .merge(run::routes())
        .merge(templates::routes())
        .merge(explain::routes())
        .merge(why::routes())
        .merge(simulate::routes())
        .merge(backtest::routes())
}

/// Makes a rule. What the body leaves out is taken from the `//!` header of its script.
#[utoipa::path(post, path = "/api/v1/rules", tag = "rules", request_body = RuleFields,
    responses((status = 201, body = RuleSchema)))]
async fn create_rule(
    State(app): State<App>,
    caller: Caller,
    Post { body, key }: Post<RuleFields>,
) -> Result<Response, ApiError> {
    let member: Member<Manage> = caller.workspace(&app, body.workspace_id).await?;
    let workspace = member.workspace_id;
    let saving = body.saving();
    let spec = body.complete()?;
    let zone = workspace_zone(&app, workspace).await?;
    let (id, author) = (RuleId::new(app.now()), caller.actor.id);
    let Checked { new, warnings } = checked(&app, workspace, id, spec, saving).await?;
    app.write_once(key, move |tx| {
        let (new, warnings) = (new.clone(), warnings.clone());
        Box::pin(async move {
            let rule = rules::create(tx, workspace, author, new).await?;
            let (location, version) = (format!("/api/v1/rules/{id}"), rule.version);
            let view = RuleView::of(rule, Stats::default(), tx.now(), zone).saying(warnings);
            Answer::created(location, version, &view)
        })
    })
    .await
}

/// The rules of a workspace, newest first.
#[utoipa::path(get, path = "/api/v1/rules", tag = "rules", params(OnlyWorkspace, PageParams),
    responses((status = 200, body = Page<RuleSchema>)))]
async fn list_rules(
    State(app): State<App>,
    member: Member<Read>,
    ListQuery { page, .. }: ListQuery<OnlyWorkspace>,
) -> Result<Page<RuleView>, ApiError> {
    let workspace = member.workspace_id;
    let scope = Scope {
        workspace,
        order: "rules",
    };
    let Listed { rows, next } = rules::list(&app.db, workspace, &page.of(scope)?).await?;
    let mut stats = rules::stats(&app.db, rows.iter().map(|rule| rule.id)).await?;
    let (now, zone) = (app.now(), workspace_zone(&app, workspace).await?);
    let rows = rows
        .into_iter()
        .map(|rule| {
            let stats = stats.remove(&rule.id).unwrap_or_default();
            RuleView::of(rule, stats, now, zone)
        })
        .collect();
    page.listed::<RuleView, _>(scope, Listed { rows, next })
}

/// A rule. Its `stats` change without its version, so it is always sent whole.
#[utoipa::path(get, path = "/api/v1/rules/{id}", tag = "rules",
    params(("id" = Uuid, Path), OnlyWorkspace), responses((status = 200, body = RuleSchema)))]
async fn get_rule(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<RuleId>,
) -> Result<Versioned<RuleView>, ApiError> {
    let rule = rules::get(&app.db, member.workspace_id, id).await?;
    let version = rule.version;
    Ok(Versioned::new(version, shown(&app, rule).await?))
}

async fn shown(app: &App, rule: Rule) -> Result<RuleView, ApiError> {
    let zone = workspace_zone(app, rule.workspace_id).await?;
    let stats = stats_of(app, rule.id).await?;
    Ok(RuleView::of(rule, stats, app.now(), zone))
}

async fn stats_of(app: &App, id: RuleId) -> Stored<Stats> {
    let mut stats = rules::stats(&app.db, [id]).await?;
    Ok(stats.remove(&id).unwrap_or_default())
}

/// Replaces a rule. What the body leaves out is taken from the `//!` header of its script, or
/// else is what it is for a new rule. Runs that have begun go on as they began.
#[utoipa::path(put, path = "/api/v1/rules/{id}", tag = "rules",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = RuleFields,
    responses((status = 200, body = RuleSchema)))]
async fn replace_rule(
    State(app): State<App>,
    member: Member<Manage>,
    ApiPath(id): ApiPath<RuleId>,
    if_match: IfMatch,
    ApiJson(body): ApiJson<RuleFields>,
) -> Result<Versioned<RuleView>, ApiError> {
    let before = rules::get(&app.db, member.workspace_id, id).await?;
    if_match.check(before.version)?;
    let Checked { new, warnings } = changed(&app, &member, id, body).await?;
    let expected = if_match.versions().map(<[i64]>::to_vec);
    let rule = write(&app, &member, new, expected).await?;
    let version = rule.version;
    let view = shown(&app, rule).await?.saying(warnings);
    Ok(Versioned::new(version, view))
}

/// Changes a rule (JSON merge patch, RFC 7396). `null` resets a field to what the `//!` header of
/// the script says, or else to what it is for a new rule.
#[utoipa::path(patch, path = "/api/v1/rules/{id}", tag = "rules",
    params(("id" = Uuid, Path), OnlyWorkspace),
    request_body(content = RuleFields, content_type = "application/merge-patch+json"),
    responses((status = 200, body = RuleSchema)))]
async fn update_rule(
    State(app): State<App>,
    member: Member<Manage>,
    ApiPath(id): ApiPath<RuleId>,
    if_match: IfMatch,
    ApiJson(patch): ApiJson<Map<String, Value>>,
) -> Result<Versioned<RuleView>, ApiError> {
    let before = rules::get(&app.db, member.workspace_id, id).await?;
    if_match.check(before.version)?;
    let fields = patched(&before.spec, patch)?;
    let Checked { new, warnings } = changed(&app, &member, id, fields).await?;
    let rule = write(&app, &member, new, Some(vec![before.version]))
        .await
        .map_err(|error| overtaken(error, &if_match))?;
    let version = rule.version;
    let view = shown(&app, rule).await?.saying(warnings);
    Ok(Versioned::new(version, view))
}

/// The next version of a rule, checked.
async fn changed(
    app: &App,
    member: &Member<Manage>,
    id: RuleId,
    fields: RuleFields,
) -> Result<Checked, ApiError> {
    stays(member.workspace_id, fields.workspace_id)?;
    let saving = fields.saving();
    checked(app, member.workspace_id, id, fields.complete()?, saving).await
}

fn stays(workspace: WorkspaceId, named: Option<WorkspaceId>) -> Result<(), Invalid> {
    if named.is_none_or(|named| named == workspace) {
        return Ok(());
    }
    let detail = "a rule stays in its workspace; to find it in another than your personal one, \
                  name that in the query";
    Err(Invalid::at("/workspace_id", detail))
}

async fn write(
    app: &App,
    member: &Member<Manage>,
    new: NewRule,
    expected: Option<Vec<i64>>,
) -> Result<Rule, ApiError> {
    let (workspace, author) = (member.workspace_id, member.caller.actor.id);
    app.write(move |tx| {
        let (new, expected) = (new.clone(), expected.clone());
        Box::pin(
            async move { rules::update(tx, workspace, author, new, expected.as_deref()).await },
        )
    })
    .await
}

/// Removes a rule with its versions; its runs stay until their retention ends.
#[utoipa::path(delete, path = "/api/v1/rules/{id}", tag = "rules",
    params(("id" = Uuid, Path), OnlyWorkspace), responses((status = 204)))]
async fn delete_rule(
    State(app): State<App>,
    member: Member<Manage>,
    ApiPath(id): ApiPath<RuleId>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    let workspace = member.workspace_id;
    let expected = if_match.versions().map(<[i64]>::to_vec);
    app.write(move |tx| {
        let expected = expected.clone();
        Box::pin(async move { rules::delete(tx, workspace, id, expected.as_deref()).await })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
