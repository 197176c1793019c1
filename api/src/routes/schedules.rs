//! Cron expressions tried out before a rule is made of them.

use crate::app::App;
use crate::caller::{Caller, Member, Read};
use crate::once::Post;
use crate::problem::ApiError;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use smarttasks_model::{Invalid, TimeZone, Timestamp, Trigger, WorkspaceId};
use smarttasks_rules::CronExpression;
use smarttasks_store::workspaces;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(preview_schedule))
}

/// Occurrences shown when nobody says how many, and of a rule.
const SHOWN: usize = 5;
/// Most occurrences of one preview.
const MOST: usize = 100;

/// A cron expression, and which of its occurrences to show.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PreviewSchedule {
    /// The workspace whose time zone is meant; your personal one when absent.
    #[schema(value_type = Option<Uuid>)]
    workspace_id: Option<WorkspaceId>,
    /// Five fields or a nickname such as `@daily`.
    #[schema(example = "0 9 * * MON-FRI")]
    cron: String,
    /// An IANA time zone; the workspace's when absent.
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    timezone: Option<TimeZone>,
    /// The occurrences after this instant; now when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// How many, 1 to 100; 5 when absent.
    #[schema(minimum = 1, maximum = 100)]
    count: Option<usize>,
}

/// Instants at which a schedule fires.
#[derive(Serialize, utoipa::ToSchema)]
struct Occurrences {
    /// The first first.
    #[schema(value_type = Vec<String>, example = json!(["2026-03-29T01:00:00Z"]))]
    occurrences: Vec<Timestamp>,
}

/// The next occurrences of a cron expression.
#[utoipa::path(post, path = "/api/v1/schedules/preview", tag = "rules",
    request_body = PreviewSchedule, responses((status = 200, body = Occurrences)))]
async fn preview_schedule(
    State(app): State<App>,
    caller: Caller,
    Post { body, key }: Post<PreviewSchedule>,
) -> Result<Response, ApiError> {
    let member: Member<Read> = caller.workspace(&app, body.workspace_id).await?;
    let shortest = app.pool.language().limits().cron_interval;
    let cron = CronExpression::parse_at_least(&body.cron, shortest)
        .map_err(|error| Invalid::at("/cron", error.to_string()))?;
    let count = body.count.unwrap_or(SHOWN);
    if !(1..=MOST).contains(&count) {
        return Err(Invalid::at("/count", format!("must be from 1 to {MOST}")).into());
    }
    let zone = match body.timezone {
        Some(zone) => zone,
        None => workspace_zone(&app, member.workspace_id).await?,
    };
    let from = body.from.unwrap_or_else(|| app.now());
    let occurrences = after(&cron, from, zone).take(count).collect();
    app.answer_once(key, Occurrences { occurrences }).await
}

/// The time zone that the rules of a workspace mean when they name none.
pub(super) async fn workspace_zone(app: &App, id: WorkspaceId) -> Result<TimeZone, ApiError> {
    let found = workspaces::by_ids(&app.db, [id]).await?.remove(&id);
    found
        .map(|workspace| workspace.timezone)
        .ok_or_else(|| ApiError::not_found("workspace"))
}

/// The next occurrences of all cron triggers together, in order.
pub(super) fn next_occurrences(
    triggers: &[Trigger],
    from: Timestamp,
    workspace_zone: TimeZone,
) -> Vec<Timestamp> {
    let mut all: Vec<Timestamp> = crons(triggers, workspace_zone)
        .flat_map(|(_, cron, zone)| after(&cron, from, zone).take(SHOWN).collect::<Vec<_>>())
        .collect();
    all.sort();
    all.dedup();
    all.truncate(SHOWN);
    all
}

/// For each cron trigger its number and next occurrence.
pub(super) fn first_occurrences(
    triggers: &[Trigger],
    from: Timestamp,
    workspace_zone: TimeZone,
) -> Vec<(usize, Timestamp)> {
    crons(triggers, workspace_zone)
        .filter_map(|(index, cron, zone)| Some((index, cron.next_after(from, zone)?)))
        .collect()
}

/// The cron triggers that can be read, with their numbers and zones.
fn crons(
    triggers: &[Trigger],
    workspace_zone: TimeZone,
) -> impl Iterator<Item = (usize, CronExpression, TimeZone)> {
    triggers
        .iter()
        .enumerate()
        .filter_map(move |(index, trigger)| match trigger {
            Trigger::Cron { cron, timezone, .. } => {
                let cron = CronExpression::parse(cron).ok()?;
                Some((index, cron, timezone.unwrap_or(workspace_zone)))
            }
            Trigger::Event(_) | Trigger::Due(_) => None,
        })
}

fn after(
    cron: &CronExpression,
    from: Timestamp,
    zone: TimeZone,
) -> impl Iterator<Item = Timestamp> {
    cron.between(from, Timestamp::MAX, zone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn occurrences_of_several_triggers_are_one_list_in_order() {
        let triggers: Vec<Trigger> = serde_json::from_value(json!([
            { "cron": "0 9 * * *", "for_each": "once" },
            { "event": "task.created" },
            { "cron": "0 9,12 * * *", "timezone": "UTC", "for_each": "once" },
        ]))
        .unwrap();
        let from: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let zone: TimeZone = "Europe/Berlin".parse().unwrap();
        let next: Vec<String> = next_occurrences(&triggers, from, zone)
            .iter()
            .map(ToString::to_string)
            .collect();
        let expected = [
            "2026-01-01T08:00:00Z",
            "2026-01-01T09:00:00Z",
            "2026-01-01T12:00:00Z",
            "2026-01-02T08:00:00Z",
            "2026-01-02T09:00:00Z",
        ];
        assert_eq!(next, expected);
        let first = first_occurrences(&triggers, from, zone);
        assert_eq!(first.iter().map(|(of, _)| *of).collect::<Vec<_>>(), [0, 2]);
    }
}
