//! Runs as the API shows them.

use serde::Serialize;
use serde_json::Value;
use smarttasks_model::{RuleId, RunId, RunStatus, TaskId, Timestamp};
use smarttasks_rules::Segment;
use smarttasks_store::runs::{ActionRecord, Run, RunError, SegmentRow};

/// An evaluation of a rule that acted, waited or failed; one that did none of it leaves nothing.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Run)]
pub(super) struct RunView {
    #[schema(value_type = Uuid)]
    id: RunId,
    #[schema(value_type = Uuid)]
    rule_id: RuleId,
    /// The version of the rule that was evaluated.
    rule_version: i64,
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    #[schema(value_type = String, example = "succeeded")]
    status: RunStatus,
    /// What started it: `type` and `event_id` of the event, and when it was.
    #[schema(value_type = Object)]
    trigger: Value,
    /// What it did, in order.
    #[schema(value_type = Vec<ActionSchema>)]
    actions: Vec<ActionRecord>,
    /// What the script logged.
    log: Vec<String>,
    /// Why it failed.
    #[schema(value_type = Option<RunErrorSchema>)]
    error: Option<RunError>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// How long the evaluation took, in microseconds.
    duration_us: i64,
    /// When a suspended run goes on at the latest.
    #[schema(value_type = Option<String>, format = DateTime)]
    resumes_at: Option<Timestamp>,
    /// What a suspended run waits for; the values of a request's headers are not shown.
    #[schema(value_type = Option<Object>)]
    waiting: Option<Value>,
    /// The run of which this is another try.
    #[schema(value_type = Option<Uuid>)]
    retry_of: Option<RunId>,
}

/// One thing that a script asked for.
#[derive(utoipa::ToSchema)]
#[schema(as = Action)]
#[expect(dead_code, reason = "only its description matters")]
struct ActionSchema {
    #[schema(example = "email")]
    action: String,
    /// Its arguments; `suppressed` says why nothing came of it.
    #[schema(value_type = Object)]
    detail: Value,
}

/// Why and where a script failed.
#[derive(utoipa::ToSchema)]
#[schema(as = RunError)]
#[expect(dead_code, reason = "only its description matters")]
struct RunErrorSchema {
    message: String,
    line: Option<usize>,
    column: Option<usize>,
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            rule_id: run.rule_id,
            rule_version: run.rule_version,
            task_id: run.task_id,
            status: run.status,
            trigger: run.trigger,
            actions: run.actions,
            log: run.log,
            error: run.error,
            started_at: run.started_at,
            finished_at: run.finished_at,
            duration_us: run.duration_us,
            resumes_at: run.resumes_at,
            waiting: run.waiting.filter(|_| run.status == RunStatus::Suspended),
            retry_of: run.retry_of,
        }
    }
}

/// A run with its journal.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RunWithJournal)]
pub(super) struct JournalView {
    #[serde(flatten)]
    run: RunView,
    /// What a run that has waited has done so far, in order; empty for one that never waited.
    journal: Vec<StepView>,
}

/// A call of the script that is recorded: an action, a query, or a wait.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = JournalStep)]
struct StepView {
    /// From 1.
    sequence: usize,
    #[schema(example = "sleep")]
    call: String,
    line: Option<usize>,
    column: Option<usize>,
    /// The instant of its segment.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When a wait ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// What it returned; of a wait, with what it ended.
    #[schema(value_type = Option<Object>)]
    result: Value,
}

impl JournalView {
    pub(super) fn of(run: Run, rows: &[SegmentRow]) -> serde_json::Result<Self> {
        let segments: Vec<Segment> = rows
            .iter()
            .map(|row| serde_json::from_str(&row.body))
            .collect::<serde_json::Result<_>>()?;
        let mut journal: Vec<StepView> = Vec::new();
        for (number, segment) in segments.iter().enumerate() {
            // Each but the first begins where the wait at the end of the one before ended.
            if number > 0
                && let Some(wait) = journal.last_mut()
            {
                wait.ended_at = Some(segment.now);
                wait.result = segment.woken.clone();
            }
            for entry in &segment.entries {
                journal.push(StepView {
                    sequence: journal.len() + 1,
                    call: entry.call.clone(),
                    line: entry.line,
                    column: entry.column,
                    at: segment.now,
                    ended_at: None,
                    result: entry.result.clone(),
                });
            }
        }
        Ok(Self {
            run: run.into(),
            journal,
        })
    }
}
