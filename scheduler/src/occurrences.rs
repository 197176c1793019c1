//! Occurrences of cron triggers: which of those that have come are fired, when the next is, and
//! the sweeps that they begin.

use crate::fire::addressed;
use serde_json::{Map, json};
use smarttasks_model::{
    Event, ForEach, Misfire, RuleId, SweepPurpose, SweepRange, TimeZone, Timestamp, Trigger,
    WorkspaceId, derive_id,
};
use smarttasks_rules::CronExpression;
use smarttasks_store::rules::Rule;
use smarttasks_store::workspaces::Workspace;
use smarttasks_store::{Due, Result, Timer, Tx, sweeps};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An occurrence that is no later than this was not missed.
const GRACE: Duration = Duration::from_secs(60);
/// How far back `all` makes up for missed occurrences.
const MADE_UP: Duration = Duration::from_secs(24 * 3600);
/// How many `all` makes up for.
const MOST: usize = 100;
/// Most rules of one sweep.
const RULES: usize = 100;

/// What an occurrence begins.
pub(crate) enum Fired {
    /// One run, without a task.
    Once(Box<Event>),
    /// A look at every task of the rule's workspace.
    Sweep(WorkspaceId, Timestamp, RuleId),
}

/// Schedules the next occurrence and returns what those begin that are fired now.
pub(crate) fn fire(
    tx: &mut Tx,
    rule: &Rule,
    workspace: Option<&Workspace>,
    trigger: usize,
    scheduled_at: Timestamp,
) -> Vec<Fired> {
    let Some(workspace) = workspace.filter(|_| rule.spec.enabled) else {
        return Vec::new();
    };
    let Some(Trigger::Cron {
        cron,
        timezone,
        for_each,
    }) = rule.spec.triggers.get(trigger)
    else {
        return Vec::new();
    };
    let zone = timezone.unwrap_or(workspace.timezone);
    let cron = match CronExpression::parse(cron) {
        Ok(cron) => cron,
        Err(error) => {
            tracing::error!(rule.id = %rule.id, %error, "a stored schedule cannot be read");
            return Vec::new();
        }
    };
    let now = tx.now();
    if let Some(next) = cron.next_after(now, zone) {
        tx.schedule(Timer {
            fire_at: next,
            workspace_id: Some(rule.workspace_id),
            due: Due::Cron {
                rule_id: rule.id,
                trigger,
                scheduled_at: next,
            },
        });
    }
    due(&cron, zone, scheduled_at, now, rule.spec.misfire)
        .into_iter()
        .map(|occurrence| match for_each {
            ForEach::Once => Fired::Once(Box::new(event(rule, trigger, occurrence, now))),
            ForEach::Task => Fired::Sweep(rule.workspace_id, occurrence, rule.id),
        })
        .collect()
}

/// Begins sweeps. Rules that are due at the same instant share one, and one of which the sweep
/// before has not ended sits this one out: the next shows all that this would have shown.
pub(crate) async fn sweep(
    tx: &mut Tx,
    due: BTreeMap<(WorkspaceId, Timestamp), BTreeSet<RuleId>>,
) -> Result<()> {
    let workspaces = due.keys().map(|(workspace, _)| *workspace);
    let busy = sweeps::under_way(tx, workspaces, tx.now()).await?;
    for ((workspace_id, scheduled_at), rules) in due {
        let (late, rules): (Vec<_>, Vec<_>) = rules.into_iter().partition(|id| busy.contains(id));
        if !late.is_empty() {
            metrics::counter!("smarttasks_sweeps_left_out_total").increment(late.len() as u64);
            tracing::warn!(workspace.id = %workspace_id, rules = late.len(),
                "a sweep is left out: the one before has not ended");
        }
        let ranges = rules.chunks(RULES).map(|rules| {
            let ids = rules.iter().map(|id| id.as_bytes());
            let key: Vec<&[u8]> = [b"sweep".as_slice(), workspace_id.as_bytes()]
                .into_iter()
                .chain(ids)
                .collect();
            SweepRange {
                sweep_id: derive_id(scheduled_at, &key),
                workspace_id,
                scheduled_at,
                rules: rules.to_vec(),
                purpose: SweepPurpose::Fire,
                after: None,
                to: None,
            }
        });
        sweeps::add(tx, ranges)?;
    }
    Ok(())
}

/// Of the occurrences from `first` to `now`, those that the policy fires.
fn due(
    cron: &CronExpression,
    zone: TimeZone,
    first: Timestamp,
    now: Timestamp,
    misfire: Misfire,
) -> Vec<Timestamp> {
    // Only the last day matters to any policy, which bounds the walk after a long outage.
    let from = first.max(now - MADE_UP);
    let mut occurrences: Vec<Timestamp> = if from == first {
        vec![first]
    } else {
        Vec::new()
    };
    let mut last = from;
    while let Some(next) = cron.next_after(last, zone).filter(|next| *next <= now) {
        occurrences.push(next);
        last = next;
    }
    if occurrences.is_empty() {
        occurrences.push(first);
    }
    match misfire {
        Misfire::Last => occurrences.split_off(occurrences.len() - 1),
        Misfire::Skip => {
            occurrences.retain(|occurrence| now.since(*occurrence) <= GRACE);
            occurrences
        }
        Misfire::All => occurrences.split_off(occurrences.len().saturating_sub(MOST)),
    }
}

fn event(rule: &Rule, trigger: usize, scheduled_at: Timestamp, now: Timestamp) -> Event {
    let number = trigger.to_be_bytes();
    let at = scheduled_at.unix_millis().to_be_bytes();
    let key = derive_id(scheduled_at, &[b"cron", rule.id.as_bytes(), &number, &at]);
    let mut more = Map::new();
    more.insert("scheduled_at".to_owned(), json!(scheduled_at));
    addressed(
        key,
        "rule.scheduled",
        rule.workspace_id,
        rule.id,
        None,
        more,
        now,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn fired(misfire: Misfire, now: &str) -> Vec<String> {
        let cron = CronExpression::parse("0 * * * *").unwrap();
        let first = at("2026-03-02T09:00:00Z");
        let due = due(&cron, TimeZone::default(), first, at(now), misfire);
        due.into_iter()
            .map(|occurrence| occurrence.to_string()[11..16].to_owned())
            .collect()
    }

    #[test]
    fn an_occurrence_on_time_is_fired_under_every_policy() {
        for misfire in [Misfire::Last, Misfire::Skip, Misfire::All] {
            assert_eq!(fired(misfire, "2026-03-02T09:00:00.040Z"), ["09:00"]);
        }
    }

    #[test]
    fn after_an_outage_each_policy_does_as_it_says() {
        let now = "2026-03-02T12:30:00Z";
        assert_eq!(fired(Misfire::Last, now), ["12:00"]);
        assert!(fired(Misfire::Skip, now).is_empty());
        assert_eq!(
            fired(Misfire::All, now),
            ["09:00", "10:00", "11:00", "12:00"]
        );
        assert_eq!(fired(Misfire::Skip, "2026-03-02T12:00:30Z"), ["12:00"]);
    }

    #[test]
    fn after_a_long_outage_only_the_last_day_is_made_up_for() {
        assert_eq!(fired(Misfire::All, "2026-04-02T09:00:00Z").len(), 24);
        assert_eq!(fired(Misfire::Last, "2026-04-02T09:00:00Z"), ["09:00"]);
    }

    #[test]
    fn a_yearly_occurrence_missed_by_a_month_is_made_up_for() {
        let cron = CronExpression::parse("@yearly").unwrap();
        let first = at("2026-01-01T00:00:00Z");
        let zone = TimeZone::default();
        let due = |misfire| due(&cron, zone, first, at("2026-02-01T00:00:00Z"), misfire);
        assert_eq!(due(Misfire::Last), [first]);
        assert!(due(Misfire::Skip).is_empty());
    }
}
