//! What a rule must pass to be stored.

use super::super::schedules::{first_occurrences, workspace_zone};
use super::fields::{Saving, SuspendedRuns};
use crate::app::App;
use crate::problem::{ApiError, Code, FieldError};
use smarttasks_model::{Invalid, RuleId, RuleSpec, Trigger, User, WorkspaceId};
use smarttasks_rules::{Analysis, Diagnostic, Severity, check_rule};
use smarttasks_store::rules::NewRule;
use smarttasks_store::{endpoints, workspaces};
use tokio::sync::oneshot;

/// A rule that may be stored.
pub(super) struct Checked {
    /// The rule.
    pub(super) new: NewRule,
    /// What there is to say of it all the same.
    pub(super) warnings: Vec<Diagnostic>,
}

/// `spec`, ready to be stored.
pub(super) async fn checked(
    app: &App,
    workspace: WorkspaceId,
    id: RuleId,
    spec: RuleSpec,
    saving: Saving,
) -> Result<Checked, ApiError> {
    let mut wrong = refused(app, &spec);
    if saving.suspended_runs.is_some() && spec.enabled {
        let detail =
            "is for a save that disables the rule; leave it out, or set `enabled` to false";
        wrong.push(Invalid::at("/suspended_runs", detail));
    }
    if !wrong.is_empty() {
        return Err(wrong.into());
    }
    let zone = workspace_zone(app, workspace).await?;
    let script = spec.script.clone();
    let analysis = analysed(app, workspace, script, spec.triggers.clone()).await?;
    let (errors, warnings): (Vec<_>, Vec<_>) = analysis
        .diagnostics
        .into_iter()
        .partition(|found| found.severity == Severity::Error);
    if !errors.is_empty() {
        let errors: Vec<FieldError> = errors.into_iter().map(in_script).collect();
        return Err(ApiError::refused_values(Code::InvalidScript, errors));
    }
    let occurrences = first_occurrences(&spec.triggers, app.now(), zone);
    let new = NewRule {
        id,
        spec,
        occurrences,
        apply_to_existing: saving.apply_to_existing,
        cancel_runs: saving.suspended_runs == Some(SuspendedRuns::Cancel),
    };
    Ok(Checked { new, warnings })
}

/// Everything that is wrong with a rule but for what stands in its script.
pub(super) fn refused(app: &App, spec: &RuleSpec) -> Vec<Invalid> {
    check_rule(spec, app.pool.language().limits())
}

/// What can be said about a script of this workspace without running it.
pub(super) async fn analysed(
    app: &App,
    workspace: WorkspaceId,
    script: String,
    triggers: Vec<Trigger>,
) -> Result<Analysis, ApiError> {
    let (done, analysis) = oneshot::channel();
    app.pool.analyse(script, triggers, move |found| {
        // Nobody waits any more when the request was given up.
        drop(done.send(found));
    });
    let mut analysis: Analysis = analysis.await.map_err(ApiError::internal)?;
    if !analysis.endpoints.is_empty() || !analysis.users.is_empty() {
        let endpoints = endpoints::names(&app.db, workspace).await?;
        let mut members = workspaces::members_of(&app.db, [workspace]).await?;
        let members: Vec<User> = members
            .remove(&workspace)
            .unwrap_or_default()
            .into_values()
            .collect();
        analysis.check_references(&endpoints, &members);
    }
    Ok(analysis)
}

pub(super) fn in_script(found: Diagnostic) -> FieldError {
    let detail = match found.hint {
        Some(hint) => format!("{}; {hint}", found.message),
        None => found.message,
    };
    FieldError {
        line: found.line,
        column: found.column,
        ..FieldError::at("/script", detail)
    }
}
