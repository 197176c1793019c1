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
use std::collections::BTreeMap;
use std::time::Duration;

/// An occurrence that is no later than this was not missed.
const GRACE: Duration = Duration::from_secs(60);
/// How far back `all` makes up for missed occurrences.
const MADE_UP: Duration = Duration::from_secs(24 * 3600);
/// How many `all` makes up for.
const MOST: usize = 100;
/// Most rules of one sweep.
const RULES: usize = 100;

/// After how long a rule is looked at again whose sweep has not ended.
const AGAIN: Duration = Duration::from_secs(5);

/// What an occurrence begins.
pub(crate) enum Fired {
    /// One run, without a task.
    Once(Box<Event>),
    /// A look at the tasks of the rule's workspace.
    Sweep(Asked),
}

/// A sweep that a trigger asks for.
pub(crate) struct Asked {
    workspace_id: WorkspaceId,
    rule_id: RuleId,
    trigger: usize,
    scheduled_at: Timestamp,
}

/// An occurrence that has come.
pub(crate) struct Come {
    /// Of which trigger.
    pub(crate) trigger: usize,
    /// When it was to be.
    pub(crate) scheduled_at: Timestamp,
    /// When it was to be fired: later, if it had to wait for the sweep before.
    pub(crate) fire_at: Timestamp,
}

/// Schedules the next occurrence and returns what those begin that are fired now.
pub(crate) fn fire(
    tx: &mut Tx,
    rule: &Rule,
    workspace: Option<&Workspace>,
    come: &Come,
) -> Vec<Fired> {
    let trigger = come.trigger;
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
        schedule(tx, rule.workspace_id, rule.id, trigger, next, next);
    }
    let mut due = due(&cron, zone, come, now, rule.spec.misfire);
    match for_each {
        ForEach::Once => due
            .into_iter()
            .map(|occurrence| Fired::Once(Box::new(event(rule, trigger, occurrence, now))))
            .collect(),
        // A sweep shows what is now, so one makes up for all that were missed.
        ForEach::Task => due
            .pop()
            .map(|scheduled_at| {
                Fired::Sweep(Asked {
                    workspace_id: rule.workspace_id,
                    rule_id: rule.id,
                    trigger,
                    scheduled_at,
                })
            })
            .into_iter()
            .collect(),
    }
}

fn schedule(
    tx: &mut Tx,
    workspace_id: WorkspaceId,
    rule_id: RuleId,
    trigger: usize,
    scheduled_at: Timestamp,
    fire_at: Timestamp,
) {
    tx.schedule(Timer {
        fire_at,
        workspace_id: Some(workspace_id),
        due: Due::Cron {
            rule_id,
            trigger,
            scheduled_at,
        },
    });
}

/// Begins sweeps. Rules that are due at the same instant share one. One of which the sweep before
/// has not ended waits for it: its occurrence takes the place of the next, which is computed when
/// it has been fired, so that no more than one waits for each trigger.
pub(crate) async fn sweep(tx: &mut Tx, asked: Vec<Asked>) -> Result<()> {
    let workspaces = asked.iter().map(|asked| asked.workspace_id);
    let busy = sweeps::under_way(tx, workspaces).await?;
    let (late, asked): (Vec<_>, Vec<_>) = asked
        .into_iter()
        .partition(|asked| busy.contains(&asked.rule_id));
    for asked in late {
        metrics::counter!("smarttasks_sweeps_put_off_total").increment(1);
        tracing::info!(rule.id = %asked.rule_id, scheduled_at = %asked.scheduled_at,
            "a sweep waits: the one before has not ended");
        let again = tx.now() + AGAIN;
        schedule(
            tx,
            asked.workspace_id,
            asked.rule_id,
            asked.trigger,
            asked.scheduled_at,
            again,
        );
    }
    sweeps::add(tx, ranges(&asked)).await
}

/// One sweep for each rule, whichever of its triggers ask for it.
fn ranges(asked: &[Asked]) -> Vec<SweepRange> {
    let mut last: BTreeMap<(WorkspaceId, RuleId), Timestamp> = BTreeMap::new();
    for asked in asked {
        let at = last
            .entry((asked.workspace_id, asked.rule_id))
            .or_insert(asked.scheduled_at);
        *at = asked.scheduled_at.max(*at);
    }
    let mut together: BTreeMap<(WorkspaceId, Timestamp), Vec<RuleId>> = BTreeMap::new();
    for ((workspace, rule), at) in last {
        together.entry((workspace, at)).or_default().push(rule);
    }
    together
        .into_iter()
        .flat_map(|((workspace, at), rules)| {
            rules
                .chunks(RULES)
                .map(|rules| range(workspace, at, rules))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn range(workspace_id: WorkspaceId, scheduled_at: Timestamp, rules: &[RuleId]) -> SweepRange {
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
        part: None,
    }
}

/// Of the occurrences from the one that has come to `now`, those that the policy fires, in order.
fn due(
    cron: &CronExpression,
    zone: TimeZone,
    come: &Come,
    now: Timestamp,
    misfire: Misfire,
) -> Vec<Timestamp> {
    let first = come.scheduled_at;
    // Bounded by how far back they look.
    let since = |from: Timestamp| -> Vec<Timestamp> {
        (first > from)
            .then_some(first)
            .into_iter()
            .chain(cron.between(first.max(from), now, zone))
            .collect()
    };
    match misfire {
        Misfire::Last => vec![last(cron, zone, first, now)],
        Misfire::Skip => {
            let mut due = since(now - GRACE);
            // One that had to wait was not missed.
            if due.is_empty() && come.fire_at > now - GRACE {
                due.push(first);
            }
            due
        }
        Misfire::All => {
            let mut due = since(now - MADE_UP);
            due.split_off(due.len().saturating_sub(MOST))
        }
    }
}

/// The last occurrence until `now`, of a schedule that has one at `first`: found by halving, since
/// there may be one a minute or one a year.
fn last(cron: &CronExpression, zone: TimeZone, first: Timestamp, now: Timestamp) -> Timestamp {
    let after = |at| cron.next_after(at, zone).filter(|next| *next <= now);
    // None lies beyond `until`.
    let (mut last, mut until) = (first, now);
    while let Some(next) = after(last) {
        let middle = next + until.since(next) / 2;
        match after(middle) {
            Some(later) => last = later,
            None => (last, until) = (next, middle),
        }
    }
    last
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

    fn on_time(scheduled_at: Timestamp) -> Come {
        Come {
            trigger: 0,
            scheduled_at,
            fire_at: scheduled_at,
        }
    }

    fn fired_of(cron: &str, come: &Come, misfire: Misfire, now: &str) -> Vec<Timestamp> {
        let cron = CronExpression::parse(cron).unwrap();
        due(&cron, TimeZone::default(), come, at(now), misfire)
    }

    fn fired(misfire: Misfire, now: &str) -> Vec<String> {
        let come = on_time(at("2026-03-02T09:00:00Z"));
        fired_of("0 * * * *", &come, misfire, now)
            .into_iter()
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
    fn a_rare_occurrence_missed_long_ago_is_the_last_one_and_none_of_the_last_day() {
        let now = "2026-03-20T09:30:00Z";
        for (cron, first, last) in [
            ("@yearly", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("@yearly", "2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("@weekly", "2026-03-01T00:00:00Z", "2026-03-15T00:00:00Z"),
            ("* 0 1 3 *", "2026-03-01T00:00:00Z", "2026-03-01T00:59:00Z"),
            ("* * * 1 *", "2024-01-01T00:00:00Z", "2026-01-31T23:59:00Z"),
        ] {
            let come = on_time(at(first));
            assert_eq!(fired_of(cron, &come, Misfire::Last, now), [at(last)]);
            assert!(fired_of(cron, &come, Misfire::Skip, now).is_empty());
            assert!(fired_of(cron, &come, Misfire::All, now).is_empty());
        }
        let come = on_time(at("2025-06-01T00:00:00Z"));
        let last = fired_of("* * * * *", &come, Misfire::Last, "2026-03-20T09:30:20Z");
        assert_eq!(last, [at("2026-03-20T09:30:00Z")]);
    }

    #[test]
    fn an_occurrence_that_waited_for_a_sweep_was_not_missed() {
        let waited = Come {
            fire_at: at("2026-03-02T00:20:00Z"),
            ..on_time(at("2026-03-02T00:00:00Z"))
        };
        let fired = |misfire, now| fired_of("@weekly", &waited, misfire, now);
        for misfire in [Misfire::Last, Misfire::Skip, Misfire::All] {
            let fired = fired(misfire, "2026-03-02T00:20:01Z");
            assert_eq!(fired, [waited.scheduled_at]);
        }
        assert!(fired(Misfire::Skip, "2026-03-02T00:30:00Z").is_empty());
    }

    #[test]
    fn a_rule_is_swept_once_for_the_last_of_its_triggers_and_with_the_others_of_that_instant() {
        let workspace_id = WorkspaceId::new(at("2026-03-02T09:00:00Z"));
        let [one, two] = [1, 2].map(|number| RuleId(uuid::Uuid::from_u128(number)));
        let (early, late) = (at("2026-03-02T09:00:00Z"), at("2026-03-02T09:05:00Z"));
        let asked: Vec<_> = [(one, 0, late), (two, 0, early), (two, 1, late)]
            .into_iter()
            .map(|(rule_id, trigger, scheduled_at)| Asked {
                workspace_id,
                rule_id,
                trigger,
                scheduled_at,
            })
            .collect();
        let ranges = ranges(&asked);
        let ranges: Vec<_> = ranges
            .iter()
            .map(|range| (range.scheduled_at, range.rules.as_slice()))
            .collect();
        assert_eq!(ranges, [(late, [one, two].as_slice())]);
    }
}
