//! How a sweep finds the tasks for which a rule may act, as the database says itself.

use super::trial::occasion;
use crate::app::App;
use crate::problem::ApiError;
use serde::Serialize;
use smarttasks_model::predicate::Predicate;
use smarttasks_model::{ForEach, Trigger};
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
    /// Whether indexes find all these tasks, so that others cost nothing.
    indexed: bool,
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
        predicate: &Predicate,
    ) -> Result<Option<Self>, ApiError> {
        let sweeps = |trigger: &&Trigger| {
            let each = ForEach::Task;
            matches!(trigger, Trigger::Cron { for_each, .. } if *for_each == each)
        };
        let Some(trigger) = rule.spec.triggers.iter().find(sweeps) else {
            return Ok(None);
        };
        let (workspace, now) = (rule.workspace_id, app.now());
        let predicate = predicate.for_event(&occasion(trigger, workspace, rule.id, None, now), now);
        let plan = candidates::plan(&app.db, workspace, &predicate, now).await?;
        Ok(Some(Self {
            indexed: plan.is_indexed(),
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
