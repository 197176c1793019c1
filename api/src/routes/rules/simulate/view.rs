//! How a timeline is described; it is written by the rules crate, which knows nothing of OpenAPI.

use serde_json::Value;

/// What a rule would do.
#[derive(utoipa::ToSchema)]
#[schema(as = Timeline)]
#[expect(dead_code, reason = "only its description matters")]
pub(super) struct TimelineSchema {
    /// How the run would end: `succeeded`, `failed`, `diverged`, `cancelled` (its task is deleted);
    /// or `suspended`, where it would still wait.
    #[schema(example = "succeeded")]
    status: String,
    /// Whether it would do anything, or wait.
    matched: bool,
    /// What would happen when, waits included.
    timeline: Vec<MomentSchema>,
    /// What the script would log.
    log: Vec<String>,
    /// Why it would fail: `message`, `line`, `column`.
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    /// Why a run that would still wait goes no further, and what to give it.
    note: Option<String>,
    /// When it would end, or begin the wait in which it stays.
    #[schema(format = DateTime)]
    ended_at: String,
    /// What the rule would keep from then on; `null` where it changes nothing.
    #[schema(value_type = Option<Object>)]
    state: Option<Value>,
}

/// Something that would happen.
#[derive(utoipa::ToSchema)]
#[schema(as = Moment)]
#[expect(dead_code, reason = "only its description matters")]
pub(in super::super) struct MomentSchema {
    #[schema(format = DateTime)]
    at: String,
    /// So long after the start.
    #[schema(example = "1d")]
    after: String,
    /// An action, or `sleep`, `wait_for`, `http`, `approve`.
    #[schema(example = "email")]
    action: String,
    /// In words.
    summary: String,
    /// Its arguments; `suppressed` says why nothing would come of it. Of a wait, `ended_at` and
    /// `ended_by` (`time`, `event`, `answer`, `timeout`) say how it would end.
    #[schema(value_type = Object)]
    detail: Value,
}
