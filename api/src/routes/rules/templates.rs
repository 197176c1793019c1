//! The library of rules, ready to be installed.

use super::super::tasks::OnlyWorkspace;
use super::view::TriggerSchema;
use crate::app::App;
use crate::caller::{Member, Read};
use crate::extract::ListQuery;
use crate::page::{Page, PageParams, Scope};
use crate::problem::ApiError;
use serde::Serialize;
use smarttasks_model::RuleSpec;
use smarttasks_rules::{LibraryRule, RuleFileError, library};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_templates))
}

/// A rule of the library, described by [`TemplateSchema`].
#[derive(Serialize)]
struct TemplateView {
    key: &'static str,
    /// Whether every new workspace has it.
    starter: bool,
    #[serde(flatten)]
    spec: RuleSpec,
}

/// A rule of the library. Its `script` says all the rest in its header: sent to
/// `POST /api/v1/rules`, alone or with fields that shall be others, it installs the rule.
#[derive(utoipa::ToSchema)]
#[schema(as = RuleTemplate)]
#[expect(dead_code, reason = "only its description matters")]
struct TemplateSchema {
    #[schema(example = "task-overdue")]
    key: String,
    /// Whether every new workspace has it.
    starter: bool,
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

impl TryFrom<&LibraryRule> for TemplateView {
    type Error = RuleFileError;
    fn try_from(rule: &LibraryRule) -> Result<Self, RuleFileError> {
        Ok(Self {
            key: rule.key,
            starter: rule.starter,
            spec: rule.spec()?,
        })
    }
}

/// The library of rules.
#[utoipa::path(get, path = "/api/v1/rule-templates", tag = "rules",
    params(OnlyWorkspace, PageParams), responses((status = 200, body = Page<TemplateSchema>)))]
async fn list_templates(
    member: Member<Read>,
    ListQuery { page, .. }: ListQuery<OnlyWorkspace>,
) -> Result<Page<TemplateView>, ApiError> {
    let scope = Scope {
        workspace: member.workspace_id,
        order: "rule_templates",
    };
    let from = page.after::<usize>(scope)?.unwrap_or(0);
    let limit = usize::try_from(page.limit()).unwrap_or(usize::MAX);
    let rest = library().get(from..).unwrap_or_default();
    let rows: Vec<_> = rest
        .iter()
        .take(limit)
        .map(TemplateView::try_from)
        .collect::<Result<_, _>>()
        .map_err(ApiError::internal)?;
    let next = (rest.len() > limit).then_some(from.saturating_add(limit));
    page.answer::<TemplateView, _, _>(scope, rows, next)
}
