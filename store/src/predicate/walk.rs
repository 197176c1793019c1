//! In which order candidates are read, so that each page costs what it returns.
//!
//! In the order of ids, the few tasks that an index of deadlines finds would be sorted for each page
//! anew, or all tasks be read until a page is full. So candidates are read along the index that finds
//! them: in the order of its last columns, with one value each of those before. What has several
//! values, or several ways to hold, is several walks, one after the other. Then a database has no
//! choice to get wrong, whether it knows how the values are spread or not.

use super::{column, condition};
use crate::entity::tasks::Column;
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{Condition, DbBackend};
use smarttasks_model::predicate::{
    Bounds, Check, Field, Predicate, Range, Subject, Test, Value, Values,
};
use smarttasks_model::{RuleId, Status, Timestamp};

/// Most walks; what would take more is read as a whole.
const MOST: usize = 32;
/// Most values of which each has its walk.
const VALUES: usize = 16;

/// Candidates along one index.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub(crate) predicate: Predicate,
    /// What has one value in all of it, or is absent in all of it, which PostgreSQL does not take for
    /// one value when it looks for an order.
    pub(crate) in_one: Option<Column>,
    /// What comes before the id.
    pub(crate) by: Option<Column>,
    /// Whether an index of open tasks must be told in its own words that all are.
    pub(crate) open: bool,
    /// Whether only tasks are read that match a rule, in the order of its matches.
    pub(crate) among: Option<Among>,
}

/// Matches of a rule.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Among {
    /// Those that are due at an occurrence, the longest first.
    Due(RuleId, Timestamp),
    /// Those whose tasks surely do not pass the predicate any more.
    Stopped(RuleId),
}

impl Walk {
    /// In the order of ids.
    pub(crate) fn of(predicate: Predicate) -> Self {
        Self {
            predicate,
            in_one: None,
            by: None,
            open: false,
            among: None,
        }
    }

    /// What it reads.
    pub(crate) fn condition(&self, now: Timestamp, on: DbBackend) -> SimpleExpr {
        let open = self.open.then(is_open);
        let passes = condition(&self.predicate, now, on);
        let passes = match self.among {
            Some(Among::Stopped(_)) => passes.is_not(SimpleExpr::Constant(true.into())),
            _ => passes,
        };
        Condition::all().add_option(open).add(passes).into()
    }
}

fn is_open() -> SimpleExpr {
    Expr::col(Column::Status)
        .is_in(Status::OPEN.map(|status| SimpleExpr::Constant(status.as_str().into())))
}

/// How the candidates of a predicate are read. No task is read twice, but where a test is not said
/// exactly in SQL.
pub(crate) fn walks(predicate: &Predicate) -> Vec<Walk> {
    let predicate = predicate.of_task();
    let alternatives = match &predicate {
        Predicate::Any(parts) => &parts[..],
        other => std::slice::from_ref(other),
    };
    let found: Option<Vec<Vec<Walk>>> = alternatives.iter().map(narrow).collect();
    let found: Option<Vec<Walk>> = found.map(|found| found.into_iter().flatten().collect());
    match found {
        Some(walks) if walks.len() <= MOST => apart(walks),
        _ => vec![Walk::of(predicate)],
    }
}

/// The same walks, each without what those before it read.
fn apart(walks: Vec<Walk>) -> Vec<Walk> {
    let mut read: Vec<Predicate> = Vec::with_capacity(walks.len());
    let mut apart = Vec::with_capacity(walks.len());
    for mut walk in walks {
        let own = walk.predicate.clone();
        for before in &read {
            walk.predicate = walk.predicate.and(before.negate());
        }
        if !walk.predicate.is_never() {
            apart.push(walk);
        }
        read.push(own);
    }
    apart
}

/// The walks along indexes; none when some of it is found only among all.
fn narrow(predicate: &Predicate) -> Option<Vec<Walk>> {
    let all = Conjunction::of(predicate);
    let ways = all.ways();
    let best = ways.iter().min_by_key(|(rank, _)| *rank);
    match best {
        Some((rank, way)) if *rank < BY_STATUS => Some(all.along(way)),
        best => all
            .by_choice()
            .or_else(|| best.map(|(_, way)| all.along(way))),
    }
}

/// Parts that must all hold.
struct Conjunction<'a> {
    parts: &'a [Predicate],
}

/// An index that finds candidates.
enum Way {
    /// In the order of a time.
    Time(Column),
    /// In the order of a time for each status.
    TimeInStatus,
    /// In the order of ids for each value of a field.
    Values(Field),
}

/// The last that is tried: most tasks of a workspace may be open.
const BY_STATUS: u8 = 9;

impl<'a> Conjunction<'a> {
    fn of(predicate: &'a Predicate) -> Self {
        Self {
            parts: match predicate {
                Predicate::All(parts) => parts,
                other => std::slice::from_ref(other),
            },
        }
    }

    /// What may be looked for in an index: the field and what is asked of it.
    fn tests(&self) -> impl Iterator<Item = (&'a Field, &'a Check)> {
        self.parts.iter().filter_map(|part| match part {
            Predicate::Test(Test {
                of: Subject::Task(field),
                check,
                negated: false,
            }) => Some((field, check)),
            _ => None,
        })
    }

    fn values(&self, of: &Field) -> Option<&'a Values> {
        self.tests().find_map(|(field, check)| match check {
            Check::OneOf(values) if field == of && values.len() <= VALUES => Some(values),
            _ => None,
        })
    }

    fn statuses(&self) -> Option<Vec<Status>> {
        let status = |value: &Value| match value {
            Value::Status(status) => Some(*status),
            _ => None,
        };
        self.values(&Field::Status)
            .map(|values| values.iter().filter_map(status).collect())
    }

    /// Whether every task is open.
    fn is_open(&self) -> bool {
        let statuses = self.statuses();
        statuses.is_some_and(|of| of.iter().all(|status| status.is_open()))
    }

    /// Whether nothing else is said of its status.
    fn is_just_open(&self) -> bool {
        self.statuses() == Some(Status::OPEN.into())
    }

    /// The indexes that find these tasks, each with its rank: the least finds fewest, as far as that
    /// can be told from what is asked.
    fn ways(&self) -> Vec<(u8, Way)> {
        let open = self.is_open();
        let by_status = self.statuses().is_some();
        let ways = self.tests().filter_map(|(field, check)| {
            Some(match (field, check) {
                (Field::DueAt, Check::Range(Range::Time(of))) => {
                    let rank = match () {
                        () if is_window(of) => 0,
                        () if open => 3,
                        () => 8,
                    };
                    (rank, Way::Time(Column::DueAt))
                }
                (Field::UpdatedAt, Check::Range(Range::Time(of))) if of.min.is_some() => {
                    (1, Way::Time(Column::UpdatedAt))
                }
                (Field::CreatedAt, Check::Range(Range::Time(of))) if of.min.is_some() => {
                    (1, Way::Time(Column::CreatedAt))
                }
                (Field::StatusChangedAt, Check::Range(Range::Time(of))) if by_status => {
                    (if is_window(of) { 0 } else { 4 }, Way::TimeInStatus)
                }
                (field, Check::OneOf(values)) if values.len() <= VALUES => (
                    rank_of_values(field, values, open)?,
                    Way::Values(field.clone()),
                ),
                _ => return None,
            })
        });
        ways.collect()
    }

    /// The walks along an index.
    fn along(&self, way: &Way) -> Vec<Walk> {
        let open = self.is_open() && !self.is_just_open();
        let by_time = |by| Walk {
            by: Some(by),
            open: open && matches!(by, Column::DueAt),
            ..Walk::of(self.with(None))
        };
        match way {
            Way::Time(by) => vec![by_time(*by)],
            Way::TimeInStatus => self.each_value(&Field::Status, Some(Column::StatusChangedAt)),
            Way::Values(field) => self.each_value(field, None),
        }
    }

    /// A walk for each value of a field.
    fn each_value(&self, field: &Field, by: Option<Column>) -> Vec<Walk> {
        let values = self.values(field).into_iter().flatten();
        let possible = values.filter(|value| field.may_be_absent() || **value != Value::Absent);
        let open = self.is_open() && !self.is_just_open();
        let walks = possible.map(|value| {
            let one = Test::new(Subject::Task(field.clone()), Check::is(value.clone()));
            Walk {
                in_one: column(field),
                by,
                open: open && *field == Field::Priority,
                ..Walk::of(self.with(Some(one)))
            }
        });
        walks.collect()
    }

    /// All parts and perhaps a test more.
    fn with(&self, test: Option<Test>) -> Predicate {
        let test = test.map(Predicate::Test);
        Predicate::all(self.parts.iter().cloned().chain(test))
    }

    /// The walks for each way in which a part may hold that has several.
    fn by_choice(&self) -> Option<Vec<Walk>> {
        let (at, choice) = self.parts.iter().enumerate().find_map(|(at, part)| {
            let Predicate::Any(choice) = part else {
                return None;
            };
            Some((at, choice))
        })?;
        let others = self.parts.iter().enumerate().filter(|(of, _)| *of != at);
        let others: Vec<Predicate> = others.map(|(_, part)| part.clone()).collect();
        let mut walks = Vec::new();
        for part in choice {
            let all = Predicate::all(others.iter().chain([part]).cloned());
            walks.extend(match &all {
                all if all.is_never() => Vec::new(),
                Predicate::Any(_) => return None,
                all => narrow(all)?,
            });
        }
        Some(walks)
    }
}

fn is_window<T>(bounds: &Bounds<T>) -> bool {
    bounds.min.is_some() && bounds.max.is_some()
}

fn rank_of_values(field: &Field, values: &Values, open: bool) -> Option<u8> {
    Some(match field {
        Field::AssigneeId if values.contains(&Value::Absent) => 6,
        Field::AssigneeId => 2,
        Field::Project => 5,
        Field::Priority if open => 7,
        Field::Status => BY_STATUS,
        _ => return None,
    })
}
