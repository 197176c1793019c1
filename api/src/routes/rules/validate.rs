//! What can be said about a script before it is stored.

use super::super::schedules::{next_occurrences, workspace_zone};
use super::check::{analysed, refused};
use super::fields::{RuleFields, header_of, in_header};
use super::view::TriggerSchema;
use crate::app::App;
use crate::caller::{Caller, Member, Read};
use crate::extract::fit;
use crate::once::Post;
use crate::problem::{ApiError, FieldError};
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smarttasks_model::{Timestamp, Trigger, WorkspaceId};
use smarttasks_rules::{Diagnostic, Severity, Unclear};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(validate_rule))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ValidateRule {
    /// The workspace whose time zone, endpoints and members are meant; your personal one when
    /// absent.
    #[schema(value_type = Option<Uuid>)]
    workspace_id: Option<WorkspaceId>,
    /// Rhai source.
    script: String,
    /// Those of the `//!` header when absent.
    #[schema(value_type = Option<Vec<TriggerSchema>>)]
    triggers: Option<Vec<Value>>,
}

/// What can be said about a script without running it.
#[derive(Serialize, utoipa::ToSchema)]
struct Validation {
    /// Errors, which keep the rule from being stored, and warnings.
    #[schema(value_type = Vec<DiagnosticSchema>)]
    diagnostics: Vec<Diagnostic>,
    /// The actions that it may ask for.
    actions: Vec<&'static str>,
    /// Whether it may suspend its run.
    suspends: bool,
    /// The condition without which the script surely does nothing, in words; see the explanation
    /// of a rule. `null` when there are errors.
    predicate: Option<String>,
    /// The conditions that are not understood.
    #[schema(value_type = Vec<UnclearSchema>)]
    unclear: Vec<Unclear>,
    /// The next occurrences of the cron triggers, at most 5.
    #[schema(value_type = Vec<String>)]
    next_occurrences: Vec<Timestamp>,
}

/// One finding about a script, with its place.
#[derive(utoipa::ToSchema)]
#[schema(as = Diagnostic)]
#[expect(dead_code, reason = "only its description matters")]
pub(super) struct DiagnosticSchema {
    #[schema(example = "error")]
    severity: String,
    /// Stable, in `snake_case`.
    #[schema(example = "unknown_function")]
    code: String,
    /// From 1; `null` when it concerns the whole script or a trigger.
    line: Option<usize>,
    /// From 1.
    column: Option<usize>,
    message: String,
    /// What to do about it.
    hint: Option<String>,
}

/// A condition that is not understood, so that the script may act whether it holds or not.
#[derive(utoipa::ToSchema)]
#[schema(as = Unclear)]
#[expect(dead_code, reason = "only its description matters")]
pub(super) struct UnclearSchema {
    /// From 1.
    line: Option<usize>,
    /// From 1.
    column: Option<usize>,
    /// As it is written.
    #[schema(example = "now().hour >= 9")]
    text: String,
    /// Why it is not understood.
    why: String,
    /// How to write it so that it is.
    hint: String,
}

/// Says what is wrong with a script and its triggers; 200 even with errors.
#[utoipa::path(post, path = "/api/v1/rules/validate", tag = "rules",
    request_body = ValidateRule, responses((status = 200, body = Validation)))]
async fn validate_rule(
    State(app): State<App>,
    caller: Caller,
    Post { body, key }: Post<ValidateRule>,
) -> Result<Response, ApiError> {
    let member: Member<Read> = caller.workspace(&app, body.workspace_id).await?;
    let zone = workspace_zone(&app, member.workspace_id).await?;
    let mut diagnostics = Vec::new();
    let fields = readable(&body.script, body.triggers, &mut diagnostics);
    let triggers = fields.triggers.clone().unwrap_or_default();
    let analysis = analysed(
        &app,
        member.workspace_id,
        body.script.clone(),
        triggers.clone(),
    )
    .await?;
    // What could not be read is said already, and would only be missed here.
    if diagnostics.is_empty()
        && let Ok(spec) = fields.into_spec(body.script)
    {
        // Of the script, the analysis says more, and places.
        let wrong = refused(&app, &spec)
            .into_iter()
            .filter(|wrong| analysis.diagnostics.is_empty() || wrong.pointer != "/script");
        diagnostics.extend(wrong.map(|wrong| finding("invalid", &wrong.into())));
    }
    diagnostics.extend(analysis.diagnostics);
    let sound = diagnostics
        .iter()
        .all(|found| found.severity != Severity::Error);
    let next_occurrences = next_occurrences(&triggers, app.now(), zone);
    let validation = Validation {
        diagnostics,
        actions: analysis.actions,
        suspends: analysis.suspends,
        predicate: sound.then(|| analysis.candidates.predicate.to_string()),
        unclear: analysis.candidates.unclear,
        next_occurrences,
    };
    app.answer_once(key, validation).await
}

/// What can be read of the header and the triggers; the rest becomes diagnostics. A name is not
/// asked for here.
fn readable(
    script: &str,
    triggers: Option<Vec<Value>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> RuleFields {
    let mut header = header_of(script).unwrap_or_else(|error| {
        diagnostics.push(finding("header", &error));
        Default::default()
    });
    let of_header = header.remove("triggers");
    let mut fields: RuleFields = fit(Value::Object(header)).unwrap_or_else(|error| {
        diagnostics.push(finding("header", &in_header(script, error)));
        RuleFields::default()
    });
    fields.name.get_or_insert_with(|| "draft".to_owned());
    fields.triggers = match (triggers, of_header) {
        (Some(given), _) => Some(readable_triggers(given, diagnostics)),
        (None, Some(Value::Array(given))) => Some(readable_triggers(given, diagnostics)),
        (None, Some(_)) => {
            let error = FieldError::at("/triggers", "expected an array");
            diagnostics.push(finding("header", &in_header(script, error)));
            None
        }
        (None, None) => None,
    };
    fields
}

fn readable_triggers(given: Vec<Value>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Trigger> {
    let mut triggers = Vec::with_capacity(given.len());
    for (index, trigger) in given.into_iter().enumerate() {
        match fit(trigger) {
            Ok(trigger) => triggers.push(trigger),
            Err(error) => {
                let pointer = format!("/triggers/{index}{}", error.pointer);
                let error = FieldError { pointer, ..error };
                diagnostics.push(finding("trigger", &error));
            }
        }
    }
    triggers
}

fn finding(code: &'static str, error: &FieldError) -> Diagnostic {
    let message = if error.pointer == "/script" {
        error.detail.clone()
    } else {
        format!("{}: {}", error.pointer, error.detail)
    };
    Diagnostic {
        severity: Severity::Error,
        code,
        line: error.line,
        column: error.column,
        message,
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn triggers_come_from_the_request_or_else_from_the_header() {
        let script = "//! triggers = [{ event = \"task.created\" }, { due = \"0\" }]\nlog(1);";
        let mut found = Vec::new();
        let fields = readable(script, None, &mut found);
        assert_eq!(fields.triggers.unwrap().len(), 2);
        let fields = readable(script, Some(vec![json!({ "due": "0" })]), &mut found);
        assert_eq!(fields.triggers.unwrap().len(), 1);
        assert_eq!(found, []);
    }

    #[test]
    fn what_cannot_be_read_is_said_and_the_rest_is_used() {
        let mut found = Vec::new();
        let given = vec![json!({ "due": "soon" }), json!({ "due": "0" })];
        let fields = readable("//! colour = 1\nlog(1);", Some(given), &mut found);
        assert_eq!(fields.triggers.unwrap().len(), 1);
        let codes: Vec<_> = found.iter().map(|found| found.code).collect();
        assert_eq!(codes, ["header", "trigger"]);
        assert!(
            found[1].message.starts_with("/triggers/0/due: "),
            "{found:?}"
        );
    }
}
