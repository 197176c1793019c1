//! A rule in words.

use super::super::schedules::next_occurrences;
use super::super::tasks::OnlyWorkspace;
use super::check::analysed;
use super::search::Search;
use super::trial::Surroundings;
use super::validate::{DiagnosticSchema, UnclearSchema};
use crate::app::App;
use crate::caller::{Member, Read};
use crate::extract::ApiPath;
use crate::problem::ApiError;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use smarttasks_model::{
    ForEach, Misfire, Overlap, Repeat, RuleId, RuleSpec, Span, TimeZone, Timestamp, Trigger,
};
use smarttasks_rules::{Diagnostic, Reference, Unclear};
use smarttasks_store::rules;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(explain_rule))
}

/// A rule in words.
#[derive(Serialize, utoipa::ToSchema)]
struct Explanation {
    #[schema(value_type = Uuid)]
    rule_id: RuleId,
    version: i64,
    name: String,
    enabled: bool,
    /// Why the system has disabled it.
    disabled_reason: Option<String>,
    /// What starts it.
    triggers: Vec<TriggerInWords>,
    /// The actions that it may ask for.
    actions: Vec<&'static str>,
    /// Whether its runs may wait.
    suspends: bool,
    /// The calls at which they may.
    waits: Vec<&'static str>,
    /// The endpoints that the script names.
    endpoints: Vec<Named>,
    /// The users that the script names.
    users: Vec<Named>,
    /// How often it fires for a task that keeps matching.
    repeat: String,
    /// How long a task must match before it fires.
    hold: String,
    /// What a new trigger does while a run for the same task waits.
    overlap: String,
    /// What becomes of occurrences that were missed.
    misfire: String,
    /// The condition without which the script surely neither acts nor waits nor changes what the
    /// rule keeps, as far as its conditions are understood.
    #[schema(
        example = "the status is todo, in_progress or blocked, and the deadline is before now"
    )]
    predicate: String,
    /// The conditions that are not understood, which therefore leave the predicate wider than the
    /// script; the first 20.
    #[schema(value_type = Vec<UnclearSchema>)]
    unclear: Vec<Unclear>,
    /// How a sweep finds the tasks that it looks at; `null` when no trigger is one.
    search: Option<Search>,
    /// What there is to say about the script.
    #[schema(value_type = Vec<DiagnosticSchema>)]
    diagnostics: Vec<Diagnostic>,
}

/// What starts a rule.
#[derive(Serialize, utoipa::ToSchema)]
struct TriggerInWords {
    #[schema(example = "when the event task.overdue comes")]
    text: String,
    /// Of a cron trigger the next, at most 5; none when the rule is disabled.
    #[schema(value_type = Vec<String>)]
    next_occurrences: Vec<Timestamp>,
}

/// What a script names.
#[derive(Serialize, utoipa::ToSchema)]
struct Named {
    name: String,
    line: Option<usize>,
    column: Option<usize>,
    /// Whether the workspace has it.
    exists: bool,
}

impl Named {
    fn all(references: Vec<Reference>, exists: impl Fn(&str) -> bool) -> Vec<Self> {
        let named = references.into_iter().map(|of| Self {
            exists: exists(&of.name),
            name: of.name,
            line: of.line,
            column: of.column,
        });
        named.collect()
    }
}

/// Says in words what starts a rule, what it may do, and what it speaks of.
#[utoipa::path(get, path = "/api/v1/rules/{id}/explain", tag = "rules",
    params(("id" = Uuid, Path), OnlyWorkspace), responses((status = 200, body = Explanation)))]
async fn explain_rule(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<RuleId>,
) -> Result<Json<Explanation>, ApiError> {
    let workspace = member.workspace_id;
    let rule = rules::get(&app.db, workspace, id).await?;
    let around = Surroundings::of(&app, workspace).await?;
    let spec = rule.spec.clone();
    let analysis = analysed(&app, workspace, spec.script.clone(), spec.triggers.clone()).await?;
    let search = Search::of(&app, &rule, &analysis.candidates).await?;
    let is_member = |name: &str| {
        let key = name.to_ascii_lowercase();
        let mut members = around.members().values();
        members.any(|user| user.email.key() == key || user.id.to_string() == key)
    };
    Ok(Json(Explanation {
        rule_id: id,
        version: rule.version,
        disabled_reason: rule.disabled_reason,
        triggers: triggers(&spec, app.now(), around.zone()),
        actions: analysis.actions,
        suspends: analysis.suspends,
        waits: analysis.waits,
        endpoints: Named::all(analysis.endpoints, |name| {
            around.endpoints.contains_key(name) || name.contains("://")
        }),
        users: Named::all(analysis.users, is_member),
        repeat: repeat(spec.repeat),
        hold: hold(spec.hold),
        overlap: overlap(spec.overlap).to_owned(),
        misfire: misfire(spec.misfire).to_owned(),
        predicate: analysis.candidates.predicate.to_string(),
        unclear: analysis.candidates.unclear,
        search,
        diagnostics: analysis.diagnostics,
        name: spec.name,
        enabled: spec.enabled,
    }))
}

fn triggers(spec: &RuleSpec, now: Timestamp, zone: TimeZone) -> Vec<TriggerInWords> {
    let in_words = spec.triggers.iter().map(|trigger| {
        let next = match spec.enabled {
            true => next_occurrences(std::slice::from_ref(trigger), now, zone),
            false => Vec::new(),
        };
        TriggerInWords {
            text: in_words(trigger, zone),
            next_occurrences: next,
        }
    });
    in_words.collect()
}

pub(super) fn in_words(trigger: &Trigger, workspace_zone: TimeZone) -> String {
    match trigger {
        Trigger::Event(pattern) => match pattern.as_str().contains('*') {
            true => format!("when an event like {} comes", pattern.as_str()),
            false => format!("when the event {} comes", pattern.as_str()),
        },
        Trigger::Cron {
            cron,
            timezone,
            for_each,
        } => {
            let zone = timezone.unwrap_or(workspace_zone);
            let each = match for_each {
                ForEach::Task => "for each task of the workspace",
                ForEach::Once => "once, about no task",
            };
            format!("at `{cron}` in {zone}, {each}")
        }
        Trigger::Due(offset) => due_in_words(*offset),
    }
}

fn due_in_words(offset: Span) -> String {
    let length = Span::from_millis(offset.millis().abs());
    match offset.millis() {
        0 => "at the deadline of each open task".to_owned(),
        ..0 => format!("{length} before the deadline of each open task"),
        1.. => format!("{length} after the deadline of each open task"),
    }
}

fn repeat(repeat: Repeat) -> String {
    match repeat {
        Repeat::Once => "a sweep fires for a task when it begins to match, and again only after it has stopped to".to_owned(),
        Repeat::Always => "a sweep fires at every occurrence for each task that matches".to_owned(),
        Repeat::Every(span) => format!("a sweep fires when a task begins to match, and again every {span} while it does"),
    }
}

fn hold(hold: Option<Span>) -> String {
    match hold {
        Some(span) => format!("a sweep fires for a task once it has matched for {span}"),
        None => "a sweep fires as soon as a task matches".to_owned(),
    }
}

fn overlap(overlap: Overlap) -> &'static str {
    match overlap {
        Overlap::Skip => "while a run for the same task waits, another trigger starts nothing",
        Overlap::Restart => {
            "while a run for the same task waits, another trigger ends it and starts anew"
        }
        Overlap::Parallel => {
            "while a run for the same task waits, another trigger starts one beside it"
        }
    }
}

fn misfire(misfire: Misfire) -> &'static str {
    match misfire {
        Misfire::Last => {
            "of the occurrences missed while the system was down, the last is made up for"
        }
        Misfire::Skip => "occurrences missed while the system was down are left out",
        Misfire::All => {
            "the occurrences missed while the system was down are made up for, as far as 24 hours back and at most 100"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_kind_of_trigger_has_its_words() {
        for (trigger, words) in [
            (
                json!({ "event": "task.overdue" }),
                "when the event task.overdue comes",
            ),
            (json!({ "event": "ci.*" }), "when an event like ci.* comes"),
            (
                json!({ "cron": "@daily", "for_each": "once" }),
                "at `@daily` in UTC, once, about no task",
            ),
            (
                json!({ "due": "-24h" }),
                "1d before the deadline of each open task",
            ),
            (json!({ "due": "0" }), "at the deadline of each open task"),
        ] {
            let trigger: Trigger = serde_json::from_value(trigger).unwrap();
            assert_eq!(in_words(&trigger, TimeZone::default()), words);
        }
    }
}
