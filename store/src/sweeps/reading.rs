//! In which order the tasks of a part of a sweep are read.

use crate::candidates::Reading;
use crate::entity::tasks::Column;
use crate::predicate::{Among, Walk, walks};
use smarttasks_model::predicate::{
    Bound, Bounds, Check, Field, Moment, Passing, Predicate, Range, Subject, Value, Window,
};
use smarttasks_model::{Sought, Status, SweepPart, SweepRange, Timestamp};

/// How far back one looks beyond an instant up to which something is known: for transactions that
/// began before and ended after it, and for clocks that are not quite the same.
pub const MARGIN: std::time::Duration = std::time::Duration::from_secs(60);

/// Most tests by which a task is not read twice; beyond that it may be.
const MOST: usize = 40;

/// How the tasks of a part of a sweep are read: those sought as candidates by what the predicate
/// of their rule says `now`, the others in one and the same order whenever it is.
pub fn reading(
    range: &SweepRange,
    part: &SweepPart,
    predicate: &Predicate,
    now: Timestamp,
) -> Reading {
    let walks = match &part.sought {
        Sought::All => vec![Walk::of(Predicate::ALWAYS)],
        Sought::Candidates => {
            let rules = part.versions.keys().map(|rule| Walk {
                among: Some(Among::Stopped(*rule)),
                ..Walk::of(predicate.of_task())
            });
            walks(predicate).into_iter().chain(rules).collect()
        }
        Sought::Changed {
            since,
            windows,
            due,
        } => {
            let due = due.iter().map(|rule| Walk {
                among: Some(Among::Due(*rule, range.scheduled_at)),
                ..Walk::of(Predicate::ALWAYS)
            });
            let passed = windows.iter().flat_map(passed);
            unwritten(*since, part.begun_at, passed.chain(due))
        }
    };
    Reading {
        workspace: range.workspace_id,
        now,
        walks,
    }
}

/// Those that were written since an instant, and then what else is to be read, each without what
/// those before it read. What is written long after the sweep began is left to the next, or one might
/// follow who writes for ever; what another's clock puts a little later than it was is not.
fn unwritten(
    since: Timestamp,
    begun_at: Timestamp,
    others: impl Iterator<Item = Walk>,
) -> Vec<Walk> {
    let written = Bounds {
        min: Bounds::from(Moment::At(since), true).min,
        max: Bounds::up_to(Moment::At(begun_at + MARGIN), true).max,
    };
    let written = within(Field::UpdatedAt, written);
    let mut read = written.negate();
    let mut all = vec![Walk {
        by: Some(Column::UpdatedAt),
        ..Walk::of(written)
    }];
    for mut walk in others {
        let own = walk.predicate.clone();
        walk.predicate = own.clone().and(read.clone());
        if walk.predicate.is_never() {
            continue;
        }
        if walk.among.is_none() && read.size() + own.size() <= MOST {
            read = read.and(own.negate());
        }
        all.push(walk);
    }
    all
}

fn within(field: Field, bounds: Bounds<Moment>) -> Predicate {
    Predicate::test(Subject::Task(field), Check::Range(Range::Time(bounds)))
}

/// Those past which a threshold went.
fn passed(window: &Window) -> Vec<Walk> {
    let end = |at| {
        let inclusive = true;
        Some(Bound {
            at: Moment::At(at),
            inclusive,
        })
    };
    let (min, max) = (end(window.from), end(window.to));
    let inside = within(window.of.field(), Bounds { min, max });
    let statuses = || {
        let all = Status::ALL.iter().copied();
        all.filter(|status| status.is_open() || !window.open)
    };
    let of_status = |status: &[Status]| {
        let values = status.iter().map(|status| Value::Status(*status));
        let test = Predicate::test(Subject::Task(Field::Status), Check::one_of(values));
        inside.clone().and(test)
    };
    let by = |column, predicate| Walk {
        by: Some(column),
        ..Walk::of(predicate)
    };
    match window.of {
        Passing::StatusChangedAt => statuses()
            .map(|status| Walk {
                in_one: Some(Column::Status),
                ..by(Column::StatusChangedAt, of_status(&[status]))
            })
            .collect(),
        Passing::DueAt if window.open => {
            let open: Vec<Status> = statuses().collect();
            vec![Walk {
                open: true,
                ..by(Column::DueAt, of_status(&open))
            }]
        }
        Passing::DueAt => vec![by(Column::DueAt, inside)],
        Passing::UpdatedAt => vec![by(Column::UpdatedAt, inside)],
        Passing::CreatedAt => vec![by(Column::CreatedAt, inside)],
    }
}
