//! What a rule would have done: the recorded events of a time, once more.

mod replay;

use super::super::tasks::OnlyWorkspace;
use super::fields::RuleFields;
use super::simulate::{Draft, MomentSchema};
use super::view::TriggerSchema;
use crate::app::App;
use crate::caller::{Member, Read};
use crate::extract::ApiPath;
use crate::once::Post;
use crate::problem::ApiError;
use axum::extract::State;
use axum::response::Response;
use replay::Replay;
use serde::{Deserialize, Serialize};
use smarttasks_model::{
    EventId, EventType, ForEach, Invalid, Overlap, RuleId, RuleSpec, Span, TaskId, Timestamp,
    Trigger, WorkspaceId,
};
use smarttasks_rules::{Moment, ScriptError};
use smarttasks_store::rules;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(backtest_rule))
}

/// With which events a rule is tried.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct BacktestRule {
    /// From then on.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Before then; now when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// What is different about the rule, to try a draft of it.
    rule: Option<RuleFields>,
    /// A script in place of its own.
    script: Option<String>,
    /// Triggers in place of its own.
    #[schema(value_type = Option<Vec<TriggerSchema>>)]
    triggers: Option<Vec<Trigger>>,
}

/// What a rule would have done.
#[derive(Default, Serialize, utoipa::ToSchema)]
struct Backtest {
    /// Events of that time that start the rule.
    events: u64,
    /// Those upon which it would have acted, or waited.
    matches: u64,
    /// Those upon which it would have failed.
    failures: u64,
    /// The same by the day, in UTC; days without either are left out.
    by_day: Vec<Day>,
    /// The first 100 matches and failures.
    data: Vec<Replayed>,
    /// Whether there were more events than could be looked at.
    truncated: bool,
    /// What could not be replayed as it would have been.
    notes: Vec<String>,
}

/// A day.
#[derive(Serialize, utoipa::ToSchema)]
struct Day {
    #[schema(example = "2026-03-02")]
    date: String,
    matches: u64,
    failures: u64,
}

/// What a rule would have done upon an event.
#[derive(Serialize, utoipa::ToSchema)]
struct Replayed {
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    #[schema(value_type = Uuid)]
    event_id: EventId,
    #[schema(value_type = String, example = "task.updated")]
    event_type: EventType,
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// How the run would have ended, as of a simulation.
    status: &'static str,
    /// What it would have done when.
    #[schema(value_type = Vec<MomentSchema>)]
    timeline: Vec<Moment>,
    #[schema(value_type = Option<Object>)]
    error: Option<ScriptError>,
}

/// Says what a rule would have done upon the recorded events of a time. Nothing is done.
#[utoipa::path(post, path = "/api/v1/rules/{id}/backtest", tag = "rules",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = BacktestRule,
    responses((status = 200, body = Backtest)))]
async fn backtest_rule(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<RuleId>,
    Post { body, key }: Post<BacktestRule>,
) -> Result<Response, ApiError> {
    let workspace: WorkspaceId = member.workspace_id;
    let rule = rules::get(&app.db, workspace, id).await?;
    // What has been recorded at this very moment counts, too.
    let until = body
        .until
        .unwrap_or_else(|| app.now() + Span::from_millis(1));
    if until <= body.since {
        return Err(Invalid::at("/until", "must be after `since`").into());
    }
    let draft = Draft {
        rule: body.rule,
        script: body.script,
        triggers: body.triggers,
    };
    let spec = draft.spec(Some(&rule))?;
    let mut told = Backtest {
        notes: notes(&spec),
        ..Backtest::default()
    };
    let mut replay = Replay::new(&app, &rule, spec, (body.since, until)).await?;
    replay.run(&mut told).await?;
    app.answer_once(key, told).await
}

/// What a backtest of such a rule leaves out.
fn notes(spec: &RuleSpec) -> Vec<String> {
    let mut notes = Vec::new();
    let any = |which: &dyn Fn(&Trigger) -> bool| spec.triggers.iter().any(which);
    if any(&Trigger::is_sweep) {
        notes.push(
            "sweeps are not replayed: what tasks were at each occurrence is not recorded"
                .to_owned(),
        );
    }
    if any(&|of| {
        matches!(
            of,
            Trigger::Cron {
                for_each: ForEach::Once,
                ..
            }
        )
    }) {
        notes.push(
            "occurrences of cron triggers are not replayed: they are no recorded events".to_owned(),
        );
    }
    if any(&|of| matches!(of, Trigger::Due(_))) {
        notes.push(
            "triggers relative to deadlines are not replayed: what raises them is not recorded"
                .to_owned(),
        );
    }
    if spec.overlap == Overlap::Restart {
        notes.push(
            "a run that a later event would have ended is shown to its end (overlap restart)"
                .to_owned(),
        );
    }
    notes
}

impl Backtest {
    fn count(&mut self, replayed: Replayed) {
        let date = replayed.time.to_string();
        let date = date.get(..10).unwrap_or_default();
        if self.by_day.last().is_none_or(|day| day.date != date) {
            self.by_day.push(Day {
                date: date.to_owned(),
                matches: 0,
                failures: 0,
            });
        }
        let failed = replayed.error.is_some();
        if let Some(day) = self.by_day.last_mut() {
            day.matches += u64::from(!failed);
            day.failures += u64::from(failed);
        }
        self.matches += u64::from(!failed);
        self.failures += u64::from(failed);
        if self.data.len() < replay::SHOWN {
            self.data.push(replayed);
        }
    }
}
