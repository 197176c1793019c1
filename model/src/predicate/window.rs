//! Where an answer may change though nobody writes: time passes, and the threshold of a test goes
//! past what a task has.
//!
//! Of a task that nobody has written since an instant, a predicate can only have another answer
//! now if one of its times lies between where a threshold was then and where it is now.

use super::{Bounds, Check, Field, Moment, Predicate, Range, Subject, Test, Value};
use crate::{Span, Status, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Instants past which thresholds went.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Window {
    /// Which time of a task.
    pub of: Passing,
    /// Whether the answer can change of open tasks only.
    pub open: bool,
    /// The first instant.
    pub from: Timestamp,
    /// The last.
    pub to: Timestamp,
}

/// A time of a task by which tasks are found in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Passing {
    /// The deadline.
    DueAt,
    /// The last change of status.
    StatusChangedAt,
    /// The last write.
    UpdatedAt,
    /// The creation.
    CreatedAt,
}

impl Passing {
    /// The field.
    pub fn field(self) -> Field {
        match self {
            Self::DueAt => Field::DueAt,
            Self::StatusChangedAt => Field::StatusChangedAt,
            Self::UpdatedAt => Field::UpdatedAt,
            Self::CreatedAt => Field::CreatedAt,
        }
    }

    fn of(field: &Field) -> Option<Self> {
        Some(match field {
            Field::DueAt => Self::DueAt,
            Field::StatusChangedAt => Self::StatusChangedAt,
            Field::UpdatedAt => Self::UpdatedAt,
            Field::CreatedAt => Self::CreatedAt,
            _ => return None,
        })
    }
}

/// Most windows on one time.
const MOST: usize = 16;

impl Window {
    /// The same with fewer: those that meet are one, and of too many those nearest to each other.
    pub fn merged(windows: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut by_field: BTreeMap<(Passing, bool), Vec<Self>> = BTreeMap::new();
        let sorted: BTreeSet<Self> = windows.into_iter().collect();
        for window in sorted {
            let before = by_field.entry((window.of, window.open)).or_default();
            match before.last_mut() {
                Some(last) if last.to >= window.from => last.to = last.to.max(window.to),
                _ => before.push(window),
            }
        }
        by_field.into_values().flat_map(fewer).collect()
    }
}

/// At most so many, in order.
fn fewer(mut windows: Vec<Window>) -> Vec<Window> {
    while windows.len() > MOST {
        let gaps = windows.windows(2).enumerate();
        let nearest = gaps.min_by_key(|(_, pair)| pair[1].from.since(pair[0].to));
        let Some((at, _)) = nearest else { break };
        let next = windows.remove(at + 1);
        windows[at].to = next.to;
    }
    windows
}

impl Predicate {
    /// Where the times of a task lie that nobody has written since an instant and of which the
    /// answer may be another now. None when that cannot be said: it asks for more than the task,
    /// or time passes by what tasks are not found by in order.
    pub fn windows(&self, since: Timestamp, now: Timestamp) -> Option<Vec<Window>> {
        let mut thresholds = BTreeSet::new();
        if !self.gather(&mut thresholds) {
            return None;
        }
        let open = self.is_of_open_tasks();
        let windows = thresholds.into_iter().map(|(of, offset)| Window {
            of,
            open,
            from: (since + offset).min(now + offset),
            to: now + offset,
        });
        Some(Window::merged(windows))
    }

    /// Gathers the thresholds that move; whether those are all that time can change.
    fn gather(&self, thresholds: &mut BTreeSet<(Passing, Span)>) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().all(|part| part.gather(thresholds)),
            Self::Test(test) => test.gather(thresholds),
        }
    }

    fn is_of_open_tasks(&self) -> bool {
        let closed = Status::ALL.iter().filter(|status| !status.is_open());
        let closed = Check::one_of(closed.map(|status| Value::Status(*status)));
        let closed = Self::test(Subject::Task(Field::Status), closed);
        self.clone().and(closed).is_never()
    }
}

impl Test {
    fn gather(&self, thresholds: &mut BTreeSet<(Passing, Span)>) -> bool {
        let Subject::Task(field) = &self.of else {
            return false;
        };
        let Check::Range(Range::Time(bounds)) = &self.check else {
            return true;
        };
        let mut offsets = moving(bounds).peekable();
        match Passing::of(field) {
            Some(of) => thresholds.extend(offsets.map(|offset| (of, offset))),
            None => return offsets.peek().is_none(),
        }
        true
    }
}

fn moving(bounds: &Bounds<Moment>) -> impl Iterator<Item = Span> {
    let ends = bounds.min.iter().chain(&bounds.max);
    ends.filter_map(|end| match end.at {
        Moment::Now(offset) => Some(offset),
        Moment::At(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predicate::Path;

    const DAY: i64 = 86_400_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_unix_millis(1_800_000_000_000 + millis)
    }

    fn before(field: Field, moment: Moment) -> Predicate {
        let range = Range::Time(Bounds::up_to(moment, false));
        Predicate::test(Subject::Task(field), Check::Range(range))
    }

    fn ahead(days: i64) -> Moment {
        Moment::Now(Span::from_millis(days * DAY))
    }

    fn open() -> Predicate {
        let open = Check::one_of([
            Value::Status(Status::Todo),
            Value::Status(Status::InProgress),
        ]);
        Predicate::test(Subject::Task(Field::Status), open)
    }

    fn spans(predicate: &Predicate) -> Option<Vec<(Passing, bool, i64, i64)>> {
        let windows = predicate.windows(at(0), at(60_000))?;
        let from_start = |instant: Timestamp| instant.unix_millis() - at(0).unix_millis();
        let spans = windows
            .iter()
            .map(|window| {
                let (from, to) = (from_start(window.from), from_start(window.to));
                (window.of, window.open, from, to)
            })
            .collect();
        Some(spans)
    }

    #[test]
    fn a_threshold_goes_past_what_lies_between_where_it_was_and_where_it_is() {
        let due = before(Field::DueAt, ahead(1));
        let window = (Passing::DueAt, false, DAY, DAY + 60_000);
        assert_eq!(spans(&due), Some(vec![window]));
        assert_eq!(spans(&due.negate()), Some(vec![window]));
        let both = due.and(open());
        assert_eq!(
            spans(&both),
            Some(vec![(Passing::DueAt, true, DAY, DAY + 60_000)])
        );
    }

    #[test]
    fn each_test_has_a_window_and_those_that_meet_are_one() {
        let idle = before(Field::UpdatedAt, ahead(-7)).negate();
        let late = before(Field::DueAt, ahead(0));
        let nearly = before(Field::DueAt, Moment::Now(Span::from_millis(30_000)));
        let all = idle.or(late).and(nearly.negate().or(open()));
        let old = before(Field::CreatedAt, ahead(-1));
        let window = (Passing::CreatedAt, false, -DAY, -DAY + 60_000);
        assert_eq!(spans(&old), Some(vec![window]));
        assert_eq!(
            spans(&all),
            Some(vec![
                (Passing::DueAt, false, 0, 90_000),
                (Passing::UpdatedAt, false, -7 * DAY, -7 * DAY + 60_000)
            ])
        );
    }

    #[test]
    fn what_stands_still_has_none() {
        assert_eq!(
            spans(&before(Field::DueAt, Moment::At(at(5)))),
            Some(vec![])
        );
        assert_eq!(
            spans(&before(Field::CreatedAt, Moment::At(at(5)))),
            Some(vec![])
        );
        assert_eq!(spans(&open()), Some(vec![]));
        assert_eq!(spans(&Predicate::ALWAYS), Some(vec![]));
    }

    #[test]
    fn of_what_is_not_found_in_order_or_not_of_the_task_nothing_can_be_said() {
        assert_eq!(spans(&before(Field::CompletedAt, ahead(-1))), None);
        let custom = Field::Custom(Path::from(["a".to_owned()]));
        assert_eq!(spans(&before(custom, ahead(0))), None);
        let event = Check::is(Value::Text("a".to_owned()));
        let event = Predicate::test(Subject::EventType, event);
        assert_eq!(spans(&event.or(open())), None);
    }

    #[test]
    fn of_very_many_the_nearest_are_one() {
        let of = |day: i64| Window {
            of: Passing::DueAt,
            open: false,
            from: at(day * DAY),
            to: at(day * DAY + 60_000),
        };
        let days = (0..40).map(|number| number * number);
        let merged = Window::merged(days.clone().map(of));
        assert_eq!(merged.len(), MOST);
        for window in days.map(of) {
            let covers = |of: &&Window| of.from <= window.from && of.to >= window.to;
            assert_eq!(merged.iter().filter(covers).count(), 1);
        }
        assert_eq!(merged.last(), Some(&of(39 * 39)), "what is far stays apart");
    }

    /// Whatever the answer does, it does within a window.
    #[test]
    fn an_answer_changes_only_within_a_window() {
        let moments = [ahead(-1), ahead(0), ahead(1), Moment::At(at(30_000))];
        for first in moments {
            for second in moments {
                let one = before(Field::DueAt, first);
                let other = before(Field::DueAt, second).negate();
                for predicate in [one.clone().and(other.clone()), one.or(other)] {
                    changes_within(&predicate);
                }
            }
        }
    }

    fn changes_within(predicate: &Predicate) {
        let windows = predicate.windows(at(0), at(60_000)).unwrap();
        let near = [-DAY, 0, DAY].into_iter().flat_map(|around| {
            [-1, 0, 1, 29_999, 30_000, 30_001, 59_999, 60_000, 60_001].map(|by| around + by)
        });
        for due in near.map(at) {
            let holds = |now| match predicate {
                Predicate::Test(test) => holds_of(test, due, now),
                Predicate::All(parts) => parts.iter().all(|part| of_part(part, due, now)),
                Predicate::Any(parts) => parts.iter().any(|part| of_part(part, due, now)),
            };
            let covered = windows.iter().any(|of| of.from <= due && due <= of.to);
            assert!(
                covered || holds(at(0)) == holds(at(60_000)),
                "{predicate} of {due}: {windows:?}"
            );
        }
    }

    fn of_part(part: &Predicate, due: Timestamp, now: Timestamp) -> bool {
        match part {
            Predicate::Test(test) => holds_of(test, due, now),
            _ => panic!("no simple predicate"),
        }
    }

    fn holds_of(test: &Test, due: Timestamp, now: Timestamp) -> bool {
        let found = super::super::Found::Time(due);
        test.check.holds(&found, now) != test.negated
    }
}
