//! The library of rules, ready to be installed.

use super::super::tasks::OnlyWorkspace;
use super::view::TriggerSchema;
use crate::app::App;
use crate::caller::{Member, Read};
use crate::extract::ListQuery;
use crate::page::{Page, PageParams, Scope};
use crate::problem::ApiError;
use serde::Serialize;
use smarttasks_model::Trigger;
use smarttasks_rules::{LibraryRule, RuleFileError, library};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_templates))
}

/// A rule of the library. Its `script`, sent to `POST /api/v1/rules`, installs it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RuleTemplate)]
struct TemplateView {
    #[schema(example = "task-overdue")]
    key: &'static str,
    name: String,
    description: String,
    #[schema(value_type = Vec<TriggerSchema>)]
    triggers: Vec<Trigger>,
    script: String,
    /// Whether every new workspace has it.
    starter: bool,
}

impl TryFrom<&LibraryRule> for TemplateView {
    type Error = RuleFileError;
    fn try_from(rule: &LibraryRule) -> Result<Self, RuleFileError> {
        let spec = rule.spec()?;
        Ok(Self {
            key: rule.key,
            name: spec.name,
            description: spec.description,
            triggers: spec.triggers,
            script: spec.script,
            starter: rule.starter,
        })
    }
}

/// The library of rules.
#[utoipa::path(get, path = "/api/v1/rule-templates", tag = "rules",
    params(OnlyWorkspace, PageParams), responses((status = 200, body = Page<TemplateView>)))]
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
