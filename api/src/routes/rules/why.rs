//! Why a rule fires for a task, or does not: evaluated now, and nothing done.

mod verdict;

use super::trial::{Surroundings, Tried, answer, occasion, task_of};
use crate::app::App;
use crate::caller::{Member, Read};
use crate::extract::{ApiPath, ApiQuery};
use crate::problem::ApiError;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use smarttasks_model::{
    Event, EventId, Overlap, Repeat, RuleId, RunId, RunStatus, Span, TaskId, Timestamp, Trigger,
    WorkspaceId,
};
use smarttasks_rules::{Guard, Inputs, Need, ScriptError, Traced, Tracer};
use smarttasks_store::matches::{self, Match};
use smarttasks_store::rules::{self, Rule};
use smarttasks_store::runs::{self, ActionRecord, Run, RunError};
use smarttasks_store::{Page, events};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use verdict::Known;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(why))
}

/// Runs that are shown.
const RUNS: u64 = 5;
/// Recorded events of the task that are looked through for the last that the rule listens to.
const EVENTS: u64 = 250;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct WhyQuery {
    /// The workspace; your personal one when absent.
    #[param(value_type = Option<Uuid>)]
    #[expect(dead_code, reason = "read by `Member`")]
    workspace_id: Option<WorkspaceId>,
    /// The task; of a rule that is about none it is left out.
    #[param(value_type = Option<Uuid>)]
    task: Option<TaskId>,
}

/// Why a rule fires for a task, or does not.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Why)]
struct WhyView {
    #[schema(value_type = Uuid)]
    rule_id: RuleId,
    rule_version: i64,
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// Whether it would do anything for this task now.
    fires: bool,
    /// Why, in a sentence.
    #[schema(
        example = "it does not act: `task.priority >= HIGH` on line 2 is false (task.priority is normal)"
    )]
    verdict: String,
    enabled: bool,
    /// Why the system has disabled it.
    disabled_reason: Option<String>,
    /// With what it was evaluated.
    event: OccasionView,
    /// Whether the script asks for anything: an action, or a wait.
    matches: bool,
    /// The conditions of the script with their values, as they are now; those within functions are
    /// not shown.
    #[schema(value_type = Vec<GuardSchema>)]
    guards: Vec<Guard>,
    /// What it would do up to its first wait.
    #[schema(value_type = Vec<Object>)]
    actions: Vec<ActionRecord>,
    /// What it would wait for then.
    #[schema(value_type = Option<Object>)]
    wait: Option<Value>,
    log: Vec<String>,
    #[schema(value_type = Option<Object>)]
    error: Option<ScriptError>,
    /// How the match between rule and task stands, as sweeps have found it.
    #[serde(rename = "match")]
    standing: Option<MatchView>,
    #[schema(value_type = String, example = "once")]
    repeat: Repeat,
    #[schema(value_type = Option<String>)]
    hold: Option<Span>,
    #[schema(value_type = String, example = "skip")]
    overlap: Overlap,
    /// Its last runs for this task, newest first.
    runs: Vec<RunInShort>,
    /// The unfinished run of this rule for this task.
    #[schema(value_type = Option<Uuid>)]
    suspended_run_id: Option<RunId>,
}

/// With what a rule was evaluated.
#[derive(Serialize, utoipa::ToSchema)]
struct OccasionView {
    #[serde(rename = "type")]
    #[schema(example = "task.updated")]
    kind: String,
    /// The recorded event: the last about this task that the rule listens to. `null` when there is
    /// none, and the event is made up after the first trigger of the rule.
    #[schema(value_type = Option<Uuid>)]
    id: Option<EventId>,
    /// When it happened.
    #[schema(value_type = Option<String>, format = DateTime)]
    time: Option<Timestamp>,
}

/// How a match stands.
#[derive(Serialize, utoipa::ToSchema)]
struct MatchView {
    /// The occurrence that found it first.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// When the rule last fired for it.
    #[schema(value_type = Option<String>, format = DateTime)]
    fired_at: Option<Timestamp>,
    /// Whether it matched before the rule applied, which then says nothing until it has stopped.
    noted: bool,
}

/// A run, in short.
#[derive(Serialize, utoipa::ToSchema)]
struct RunInShort {
    #[schema(value_type = Uuid)]
    id: RunId,
    #[schema(value_type = String, example = "succeeded")]
    status: RunStatus,
    rule_version: i64,
    #[schema(value_type = Object)]
    trigger: Value,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = Option<Object>)]
    error: Option<RunError>,
}

/// A condition of a script.
#[derive(utoipa::ToSchema)]
#[schema(as = Guard)]
#[expect(dead_code, reason = "only its description matters")]
struct GuardSchema {
    line: Option<usize>,
    column: Option<usize>,
    /// As it is written.
    #[schema(example = "task.is_open && task.priority >= HIGH")]
    condition: String,
    /// Whether the script came to it.
    reached: bool,
    /// Whether it held, when it was last evaluated.
    holds: Option<bool>,
    /// What it is made of; what was left out because another part had decided does not hold or
    /// fail.
    parts: Vec<GuardPartSchema>,
    /// How often it was evaluated.
    evaluations: u64,
}

/// A part of a condition.
#[derive(utoipa::ToSchema)]
#[schema(as = GuardPart)]
#[expect(dead_code, reason = "only its description matters")]
struct GuardPartSchema {
    line: Option<usize>,
    #[schema(example = "task.priority >= HIGH")]
    text: String,
    holds: Option<bool>,
    /// What is compared in it: `text` and `value`.
    #[schema(value_type = Vec<Object>, example = json!([{ "text": "task.priority", "value": "normal" }]))]
    operands: Vec<Value>,
}

/// Says why a rule fires for a task, or does not. Nothing is done.
#[utoipa::path(get, path = "/api/v1/rules/{id}/why", tag = "rules",
    params(("id" = Uuid, Path), WhyQuery), responses((status = 200, body = WhyView)))]
async fn why(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<RuleId>,
    ApiQuery(query): ApiQuery<WhyQuery>,
) -> Result<Json<WhyView>, ApiError> {
    let (workspace, now) = (member.workspace_id, app.now());
    let rule = rules::get(&app.db, workspace, id).await?;
    let task = task_of(&app, workspace, query.task).await?;
    let around = Surroundings::of(&app, workspace).await?;
    let tried = Tried::stored(&app, &rule, task).await?;
    let event = event_of(&app, &rule, &tried, now).await?;
    let inputs = around.inputs(&tried, event.event.clone(), now);
    let traced = traced(&app, workspace, rule.spec.script.clone(), inputs).await?;
    let known = Known {
        standing: standing(&app, &rule, query.task).await?,
        runs: runs_of(&app, &rule, query.task).await?,
        task: tried.task,
        now,
        rule,
    };
    Ok(Json(view(&known, &event, traced)))
}

fn view(known: &Known, event: &Occasion, traced: Result<Traced, ScriptError>) -> WhyView {
    let verdict = known.verdict(event, &traced);
    let (outcome, guards) = match traced {
        Ok(traced) => (traced.outcome, traced.guards),
        Err(error) => {
            let outcome = smarttasks_rules::Outcome {
                error: Some(error),
                ..Default::default()
            };
            (outcome, Vec::new())
        }
    };
    let rule = &known.rule;
    let actions = outcome.actions.iter().map(|action| ActionRecord {
        action: action.name().to_owned(),
        detail: action.detail(),
    });
    let wait = match &outcome.need {
        Some(Need::Wait(wait)) => Some(json!(wait.without_secrets())),
        _ => None,
    };
    WhyView {
        rule_id: rule.id,
        rule_version: rule.version,
        task_id: known.task.as_ref().map(|task| task.id),
        fires: verdict.fires,
        verdict: verdict.sentence,
        enabled: rule.spec.enabled,
        disabled_reason: rule.disabled_reason.clone(),
        event: OccasionView {
            kind: event.event.kind.to_string(),
            id: event.recorded.then_some(event.event.id),
            time: event.recorded.then_some(event.event.time),
        },
        matches: !outcome.actions.is_empty() || wait.is_some(),
        guards,
        actions: actions.collect(),
        wait,
        log: outcome.log,
        error: outcome.error,
        standing: known.standing.map(|standing| MatchView {
            since: standing.since,
            fired_at: standing.fired_at,
            noted: standing.noted,
        }),
        repeat: rule.spec.repeat,
        hold: rule.spec.hold,
        overlap: rule.spec.overlap,
        suspended_run_id: known.unfinished().map(|run| run.id),
        runs: known.runs.iter().map(RunInShort::of).collect(),
    }
}

impl RunInShort {
    fn of(run: &Run) -> Self {
        Self {
            id: run.id,
            status: run.status,
            rule_version: run.rule_version,
            trigger: run.trigger.clone(),
            started_at: run.started_at,
            error: run.error.clone(),
        }
    }
}

/// What the rule is evaluated with.
struct Occasion {
    event: Event,
    /// Whether it has happened.
    recorded: bool,
    /// What brings it about.
    trigger: Option<Trigger>,
}

/// The last recorded event about the task that the rule listens to; or else what its first trigger
/// would bring.
async fn event_of(
    app: &App,
    rule: &Rule,
    tried: &Tried,
    now: Timestamp,
) -> Result<Occasion, ApiError> {
    let triggers = &rule.spec.triggers;
    let listens = |event: &Event| {
        let mut patterns = triggers.iter().filter_map(|trigger| match trigger {
            Trigger::Event(pattern) => Some(pattern),
            Trigger::Cron { .. } | Trigger::Due(_) => None,
        });
        patterns.any(|pattern| pattern.matches(&event.kind))
    };
    let by_event = triggers.iter().any(|of| matches!(of, Trigger::Event(_)));
    if let (true, Some(task)) = (by_event, &tried.task) {
        let filter = events::Filter {
            task_id: Some(task.id),
            ..events::Filter::default()
        };
        let page = Page {
            limit: EVENTS,
            after: None,
        };
        let found = events::list(&app.db, rule.workspace_id, &filter, &page).await?;
        if let Some(event) = found.rows.into_iter().find(listens) {
            return Ok(Occasion {
                event,
                recorded: true,
                trigger: None,
            });
        }
    }
    let first = triggers.first().cloned();
    let requested = Trigger::Due(Span::ZERO);
    let trigger = first.as_ref().unwrap_or(&requested);
    let task = tried.task.as_deref();
    Ok(Occasion {
        event: occasion(trigger, rule.workspace_id, rule.id, task, now),
        recorded: false,
        trigger: first,
    })
}

/// Evaluates a script so that it tells its conditions, up to its first wait.
async fn traced(
    app: &App,
    workspace: WorkspaceId,
    script: String,
    mut inputs: Inputs,
) -> Result<Result<Traced, ScriptError>, ApiError> {
    let trial = app.trials.begin().await?;
    let tracer = trial.run(move |language| language.tracer(&script)).await?;
    let tracer: Arc<Tracer> = match tracer {
        Ok(tracer) => Arc::new(tracer),
        Err(found) => {
            let first = found.into_iter().next();
            return Ok(Err(ScriptError {
                code: "invalid_script".to_owned(),
                message: first.as_ref().map_or_else(
                    || "the script does not compile".to_owned(),
                    |first| format!("the script does not compile: {}", first.message),
                ),
                line: first.as_ref().and_then(|first| first.line),
                column: first.as_ref().and_then(|first| first.column),
            }));
        }
    };
    loop {
        let (by, given) = (Arc::clone(&tracer), inputs.clone());
        let traced = trial.run(move |_| by.evaluate(given)).await?;
        let Some(Need::Query(query)) = &traced.outcome.need else {
            return Ok(Ok(traced));
        };
        let answer = answer(app, workspace, query, inputs.now).await?;
        inputs.spent = traced.outcome.duration;
        Arc::make_mut(&mut inputs.answers).push(answer);
    }
}

async fn standing(app: &App, rule: &Rule, task: Option<TaskId>) -> Result<Option<Match>, ApiError> {
    let Some(task) = task else { return Ok(None) };
    let found = matches::of(&app.db, &[rule.id], &[task]).await?;
    Ok(found.into_values().next())
}

async fn runs_of(app: &App, rule: &Rule, task: Option<TaskId>) -> Result<Vec<Run>, ApiError> {
    let filter = runs::Filter {
        rule_id: Some(rule.id),
        task_id: task,
        ..runs::Filter::default()
    };
    let page = Page {
        limit: RUNS,
        after: None,
    };
    let mut found = runs::list(&app.db, rule.workspace_id, &filter, &page)
        .await?
        .rows;
    for status in [RunStatus::Suspended, RunStatus::Paused] {
        let filter = runs::Filter {
            status: Some(status),
            ..filter
        };
        let page = Page {
            limit: 1,
            after: None,
        };
        let unfinished = runs::list(&app.db, rule.workspace_id, &filter, &page)
            .await?
            .rows;
        for run in unfinished {
            if found.iter().all(|of| of.id != run.id) {
                found.push(run);
            }
        }
    }
    Ok(found)
}
