//! Rules as the API shows them.

use super::super::schedules::next_occurrences;
use super::validate::DiagnosticSchema;
use serde::Serialize;
use smarttasks_model::{RuleId, RuleSpec, TimeZone, Timestamp, UserId, WorkspaceId};
use smarttasks_rules::Diagnostic;
use smarttasks_store::rules::{Rule, Stats};
use uuid::Uuid;

/// A rule as the API shows it; described by [`RuleSchema`], because the model knows nothing of
/// OpenAPI.
#[derive(Serialize)]
pub(super) struct RuleView {
    id: RuleId,
    workspace_id: WorkspaceId,
    #[serde(flatten)]
    spec: RuleSpec,
    disabled_reason: Option<String>,
    version: i64,
    author_id: UserId,
    created_at: Timestamp,
    updated_at: Timestamp,
    stats: StatsView,
    next_occurrences: Vec<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostics: Option<Vec<Diagnostic>>,
}

impl RuleView {
    /// The answer to whoever wrote it: with what there is to say of it.
    pub(super) fn saying(self, warnings: Vec<Diagnostic>) -> Self {
        Self {
            diagnostics: Some(warnings),
            ..self
        }
    }

    pub(super) fn of(rule: Rule, stats: Stats, now: Timestamp, workspace_zone: TimeZone) -> Self {
        let next_occurrences = if rule.spec.enabled {
            next_occurrences(&rule.spec.triggers, now, workspace_zone)
        } else {
            Vec::new()
        };
        Self {
            id: rule.id,
            workspace_id: rule.workspace_id,
            spec: rule.spec,
            disabled_reason: rule.disabled_reason,
            version: rule.version,
            author_id: rule.author_id,
            created_at: rule.created_at,
            updated_at: rule.updated_at,
            stats: stats.into(),
            next_occurrences,
            diagnostics: None,
        }
    }
}

/// A rule: triggers and a script.
#[derive(utoipa::ToSchema)]
#[schema(as = Rule)]
#[expect(dead_code, reason = "only its description matters")]
pub(super) struct RuleSchema {
    id: Uuid,
    workspace_id: Uuid,
    /// Unique in the workspace.
    #[schema(example = "Chase overdue work")]
    name: String,
    description: String,
    /// A disabled rule starts nothing.
    enabled: bool,
    triggers: Vec<TriggerSchema>,
    /// Rhai source.
    #[schema(example = "email(task.owner, `Overdue: ${task.title}`, \"Please look.\");")]
    script: String,
    /// How often its sweeps fire for a task that keeps matching: `once`, when it starts to match;
    /// `always`, at every occurrence; or again after a time, such as `1d`.
    #[schema(example = "once")]
    repeat: String,
    /// How long a task must match before its sweeps fire for it; `null` for at once.
    #[schema(example = "30m")]
    hold: Option<String>,
    /// Always `skip`: runs do not suspend yet.
    #[schema(example = "skip")]
    overlap: String,
    /// What becomes of occurrences missed while the system was down: `last`, `skip` or `all`.
    #[schema(example = "last")]
    misfire: String,
    /// Why the system has disabled it; enabling forgets it.
    #[schema(example = "10 failures in a row, the last one: division by zero (line 3, column 9)")]
    disabled_reason: Option<String>,
    /// Counts the edits, from 1.
    version: i64,
    /// Who wrote it last: its owner, who is told when the system disables it.
    author_id: Uuid,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    stats: StatsView,
    /// The next occurrences of all cron triggers, at most 5; none when disabled.
    next_occurrences: Vec<String>,
    /// The warnings about it; in the answer to whoever wrote it only.
    diagnostics: Option<Vec<DiagnosticSchema>>,
}

/// What starts a run: exactly one of `event`, `cron` and `due`.
#[derive(utoipa::ToSchema)]
#[schema(as = Trigger, example = json!({ "event": "task.overdue" }))]
#[expect(dead_code, reason = "only its description matters")]
pub(super) struct TriggerSchema {
    /// An event type, or a pattern with `*` for one segment.
    #[schema(example = "task.overdue")]
    event: Option<String>,
    /// Five fields or a nickname such as `@daily`.
    #[schema(example = "0 9 * * MON-FRI")]
    cron: Option<String>,
    /// With `cron`: an IANA time zone; the workspace's when absent.
    #[schema(example = "Europe/Berlin")]
    timezone: Option<String>,
    /// With `cron`: `task`, which is meant when it is absent, for a sweep: the script is evaluated
    /// for each task of the workspace. `once` for one run without a task.
    #[schema(example = "once")]
    for_each: Option<String>,
    /// An offset from each task's deadline: before (`-`), at (`0`), after (`+`).
    #[schema(example = "-24h")]
    due: Option<String>,
}

/// How often a rule matched and failed.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RuleStats)]
pub(super) struct StatsView {
    /// Runs in which it acted.
    matches: i64,
    /// Runs that failed.
    failures: i64,
    /// Failed runs since the last that acted, in this version of the rule: ten disable it. What
    /// did not match is no run.
    failures_in_row: i64,
    /// When it last acted or failed.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_run_at: Option<Timestamp>,
}

impl From<Stats> for StatsView {
    fn from(stats: Stats) -> Self {
        Self {
            matches: stats.matches,
            failures: stats.failures,
            failures_in_row: stats.failures_in_row,
            last_run_at: stats.last_run_at,
        }
    }
}
