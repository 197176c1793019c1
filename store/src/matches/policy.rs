//! What a look at a task means for the match between it and a rule.

use super::Match;
use smarttasks_model::{Repeat, Span, SweepPurpose, Timestamp};

/// When a rule fires for a task that matches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// How often, while it keeps matching.
    pub repeat: Repeat,
    /// How long it must have matched.
    pub hold: Option<Span>,
}

/// What follows from a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Nothing.
    Stay,
    /// It begins to match, and nothing is done for it: it has not held yet, or it matched before
    /// the rule applied.
    Begin(Match),
    /// The rule fires, and this is how the match stands then.
    Fire(Match),
    /// Nothing, but when it is looked at next is another instant than was thought: the rule fires
    /// at other times than it did.
    Await(Match),
    /// It has stopped to match; `told` says whether it had fired.
    End {
        /// Whether it had fired.
        told: bool,
    },
}

/// What a look at the occurrence `at` changes in a match that stands like `before`.
pub fn decide(
    before: Option<&Match>,
    matches: bool,
    at: Timestamp,
    policy: Policy,
    purpose: SweepPurpose,
) -> Change {
    match (before, matches) {
        (None, false) => Change::Stay,
        (Some(before), false) => Change::End {
            told: before.fired_at.is_some(),
        },
        (None, true) => begin(at, policy, purpose),
        (Some(before), true) if purpose == SweepPurpose::Note && !before.noted => {
            let found = Match {
                noted: true,
                ..*before
            };
            Change::Begin(policy.awaited(found))
        }
        (Some(before), true) => again(before, at, policy, purpose),
    }
}

fn begin(at: Timestamp, policy: Policy, purpose: SweepPurpose) -> Change {
    let found = Match {
        since: at,
        fired_at: None,
        noted: purpose == SweepPurpose::Note,
        next_at: None,
    };
    if found.noted || policy.hold.is_some() {
        return Change::Begin(policy.awaited(found));
    }
    let fired_at = Some(at);
    Change::Fire(policy.awaited(Match { fired_at, ..found }))
}

fn again(before: &Match, at: Timestamp, policy: Policy, purpose: SweepPurpose) -> Change {
    let now = policy.awaited(*before);
    let due = now.next_at.is_some_and(|next_at| next_at <= at);
    // A second look at one occurrence is none.
    if due && before.fired_at != Some(at) && purpose == SweepPurpose::Fire {
        let fired_at = Some(at);
        return Change::Fire(policy.awaited(Match { fired_at, ..now }));
    }
    match now == *before {
        true => Change::Stay,
        false => Change::Await(now),
    }
}

impl Policy {
    /// The match, with the instant from which on an occurrence makes the rule fire though it has
    /// matched all the time.
    fn awaited(self, found: Match) -> Match {
        let next_at = match (found.fired_at, self.repeat) {
            _ if found.noted => None,
            (None, _) => Some(found.since + self.hold.unwrap_or(Span::ZERO)),
            (Some(_), Repeat::Once) => None,
            (Some(_), Repeat::Always) => Some(Timestamp::default()),
            (Some(fired), Repeat::Every(span)) => Some(fired + span),
        };
        Match { next_at, ..found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(number: i64) -> Timestamp {
        Timestamp::from_unix_millis(1_800_000_000_000 + number * 60_000)
    }

    /// The minutes of `looks` at which a task that matches as they say makes the rule fire.
    fn fired(policy: Policy, looks: &[bool]) -> Vec<usize> {
        let mut stands = None;
        let mut fired = Vec::new();
        for (number, matches) in looks.iter().enumerate() {
            let at = minute(i64::try_from(number).unwrap());
            match decide(stands.as_ref(), *matches, at, policy, SweepPurpose::Fire) {
                Change::Stay => {}
                Change::Begin(found) | Change::Await(found) => stands = Some(found),
                Change::Fire(found) => {
                    stands = Some(found);
                    fired.push(number);
                }
                Change::End { .. } => stands = None,
            }
        }
        fired
    }

    fn policy(repeat: &str, hold: Option<&str>) -> Policy {
        Policy {
            repeat: serde_json::from_value(repeat.into()).unwrap(),
            hold: hold.map(|hold| hold.parse().unwrap()),
        }
    }

    const LOOKS: [bool; 8] = [false, true, true, true, true, false, true, true];

    #[test]
    fn a_match_fires_once_and_again_after_it_has_stopped() {
        assert_eq!(fired(policy("once", None), &LOOKS), [1, 6]);
    }

    #[test]
    fn a_match_may_fire_at_every_look_or_after_a_time() {
        assert_eq!(fired(policy("always", None), &LOOKS), [1, 2, 3, 4, 6, 7]);
        assert_eq!(fired(policy("2m", None), &LOOKS), [1, 3, 6]);
    }

    #[test]
    fn a_week_of_minutes_is_one_firing_or_seven() {
        let week = [true; 7 * 24 * 60];
        assert_eq!(fired(policy("once", None), &week).len(), 1);
        assert_eq!(fired(policy("24h", None), &week).len(), 7);
        assert_eq!(fired(policy("always", None), &week).len(), week.len());
    }

    #[test]
    fn a_match_that_must_hold_fires_when_it_has() {
        assert_eq!(fired(policy("once", Some("2m")), &LOOKS), [3]);
        assert_eq!(fired(policy("1m", Some("2m")), &LOOKS), [3, 4]);
    }

    #[test]
    fn what_was_noted_fires_only_after_it_has_stopped() {
        let policy = policy("always", None);
        let noted = match decide(None, true, minute(0), policy, SweepPurpose::Note) {
            Change::Begin(found) => found,
            other => panic!("{other:?}"),
        };
        for purpose in [SweepPurpose::Fire, SweepPurpose::Note] {
            let stays = decide(Some(&noted), true, minute(9), policy, purpose);
            assert_eq!(stays, Change::Stay);
        }
        let told = Match {
            noted: false,
            fired_at: Some(minute(0)),
            ..noted
        };
        let silenced = decide(Some(&told), true, minute(9), policy, SweepPurpose::Note);
        assert!(matches!(silenced, Change::Begin(found) if found.noted));
        let ends = decide(Some(&noted), false, minute(10), policy, SweepPurpose::Fire);
        assert_eq!(ends, Change::End { told: false });
    }

    #[test]
    fn an_occurrence_that_comes_late_changes_nothing() {
        let before = Match {
            since: minute(5),
            fired_at: Some(minute(5)),
            noted: false,
            next_at: Some(minute(7)),
        };
        let policy = policy("2m", None);
        let stays = decide(Some(&before), true, minute(3), policy, SweepPurpose::Fire);
        assert_eq!(stays, Change::Stay);
    }

    #[test]
    fn a_second_look_at_an_occurrence_fires_nothing() {
        let policy = policy("always", None);
        let fire = |before, at| decide(before, true, at, policy, SweepPurpose::Fire);
        let Change::Fire(found) = fire(None, minute(1)) else {
            panic!("it begins");
        };
        assert_eq!(fire(Some(&found), minute(1)), Change::Stay);
        assert!(matches!(fire(Some(&found), minute(2)), Change::Fire(_)));
    }

    #[test]
    fn a_match_fires_just_when_it_is_due() {
        for repeat in ["once", "always", "2m", "3m"] {
            for hold in [None, Some("1m"), Some("3m")] {
                let policy = policy(repeat, hold);
                let mut stands: Option<Match> = None;
                for at in (0..12).map(minute) {
                    let due = |of: Match| of.next_at.is_some_and(|next| next <= at);
                    let due = stands.is_none_or(due);
                    match decide(stands.as_ref(), true, at, policy, SweepPurpose::Fire) {
                        Change::Stay => assert!(!due, "{policy:?} at {at}"),
                        Change::Begin(found) | Change::Fire(found) if due => stands = Some(found),
                        other => panic!("{policy:?} at {at}: {other:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn a_rule_that_fires_at_other_times_is_due_at_other_times() {
        let at = |at, before, repeat| {
            decide(
                before,
                true,
                minute(at),
                policy(repeat, None),
                SweepPurpose::Fire,
            )
        };
        let Change::Fire(once) = at(0, None, "once") else {
            panic!("it begins");
        };
        assert_eq!(once.next_at, None);
        let Change::Await(reminds) = at(1, Some(&once), "5m") else {
            panic!("it is due later");
        };
        assert_eq!(reminds.next_at, Some(minute(5)));
        assert!(matches!(at(6, Some(&reminds), "5m"), Change::Fire(_)));
        assert!(matches!(at(6, Some(&reminds), "once"), Change::Await(_)));
    }
}
