//! How a sweep finds the tasks for which a rule may act, as the database says itself.

use super::trial::occasion;
use crate::app::App;
use crate::problem::ApiError;
use serde::Serialize;
use smarttasks_model::Trigger;
use smarttasks_rules::Candidates;
use smarttasks_store::candidates::{self, Step};
use smarttasks_store::rules::Rule;

/// How a sweep finds the tasks for which a script may act.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Search {
    /// The predicate as a condition in SQL, with the values of this moment.
    #[schema(
        example = r#""status" IN ('todo', 'in_progress', 'blocked') AND "due_at" < 1796371200000"#
    )]
    sql: String,
    /// Whether indexes find all that is read; what else the condition says leaves out more of that.
    indexed: bool,
    /// Whether a sweep reads only the tasks that were written since the one before, those past which
    /// time moved a condition, and matches that are due. Another reads all that pass, and those that
    /// matched.
    incremental: bool,
    /// What is read, one after the other; nothing when no task can be meant.
    reads: Vec<ReadAlong>,
}

/// What is read at once.
#[derive(Serialize, utoipa::ToSchema)]
struct ReadAlong {
    /// Condition and order.
    sql: String,
    /// The index that finds the tasks; `null` when all of the workspace are looked at.
    #[schema(example = "tasks_open_by_deadline")]
    index: Option<String>,
    /// The database's own plan.
    plan: String,
}

impl Search {
    /// None for a rule without sweeps, which looks for no tasks.
    pub(super) async fn of(
        app: &App,
        rule: &Rule,
        candidates: &Candidates,
    ) -> Result<Option<Self>, ApiError> {
        let sweeps = |trigger: &&Trigger| trigger.is_sweep();
        let Some(trigger) = rule.spec.triggers.iter().find(sweeps) else {
            return Ok(None);
        };
        let (workspace, now) = (rule.workspace_id, app.now());
        let occurrence = occasion(trigger, workspace, rule.id, None, now);
        let predicate = candidates.predicate.for_event(&occurrence, now);
        let tracked = candidates.predicate.for_occurrences(&occurrence);
        let incremental = candidates.exact
            && !candidates.predicate.is_never()
            && tracked.is_some_and(|of| of.windows(now, now).is_some());
        let plan = candidates::plan(&app.db, workspace, &predicate, now).await?;
        Ok(Some(Self {
            indexed: plan.is_indexed(),
            incremental,
            sql: plan.condition,
            reads: plan.steps.into_iter().map(ReadAlong::from).collect(),
        }))
    }
}

impl From<Step> for ReadAlong {
    fn from(step: Step) -> Self {
        Self {
            sql: step.sql,
            index: step.index,
            plan: step.detail,
        }
    }
}
