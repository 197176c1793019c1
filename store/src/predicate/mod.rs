//! Predicates as conditions over the table of tasks, so that a database returns candidates only.
//!
//! A script's comparison answers true or false of everything, SQL's knows a third answer of what is
//! NULL. A test that is not negated says true or not, which is enough wherever it stands, and stays
//! one that an index serves; a negated one is true unless the test is. What SQL cannot say exactly is
//! said wider: more where a test is not negated, less where it is.

mod fields;
mod walk;

use crate::entity::tasks::Column;
use crate::tasks::{has_tag, rank};
use fields::Custom;
use sea_orm::sea_query::{Expr, ExprTrait, Func, SimpleExpr};
use sea_orm::{Condition, DbBackend};
use smarttasks_model::Timestamp;
use smarttasks_model::predicate::{
    Bounds, Check, Field, Moment, Number, Predicate, Range, Subject, Test, Value, Values,
};
pub(crate) use walk::{Among, Walk, walks};

/// What every task passes of which a predicate holds at `now`. What is asked of anything else than
/// the task may hold.
pub(crate) fn condition(predicate: &Predicate, now: Timestamp, on: DbBackend) -> SimpleExpr {
    Dialect { now, on }.predicate(predicate)
}

/// What a condition depends on beside the predicate.
#[derive(Clone, Copy)]
struct Dialect {
    now: Timestamp,
    on: DbBackend,
}

/// On which side a test errs that is not exact.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lean {
    /// True wherever it may be true.
    Wide,
    /// True only where it surely is.
    Narrow,
}

impl Dialect {
    fn predicate(self, predicate: &Predicate) -> SimpleExpr {
        let (joined, parts) = match predicate {
            Predicate::Test(test) => return self.test(test),
            Predicate::All(parts) => (Condition::all(), parts),
            Predicate::Any(parts) => (Condition::any(), parts),
        };
        parts
            .iter()
            .fold(joined, |all, part| all.add(self.predicate(part)))
            .into()
    }

    fn test(self, test: &Test) -> SimpleExpr {
        let Subject::Task(field) = &test.of else {
            return truth(true);
        };
        if let Some(upright) = test.upright() {
            return self.test(&upright);
        }
        if !test.negated {
            let condition = self.check(field, &test.check, Lean::Wide);
            return condition.unwrap_or_else(|| truth(true));
        }
        if is_presence(&test.check)
            && let Some(column) = column(field)
        {
            return Expr::col(column).is_not_null();
        }
        match self.check(field, &test.check, Lean::Narrow) {
            Some(condition) => condition.is_not(truth(true)),
            None => truth(true),
        }
    }

    /// The check as SQL; none when a database cannot be asked at all.
    fn check(self, field: &Field, check: &Check, lean: Lean) -> Option<SimpleExpr> {
        if has_nul(check) {
            return None;
        }
        if let Field::Custom(path) = field {
            return Custom::at(path, self.on)?.check(check, lean);
        }
        if let (Field::Tags, Check::Has(tag)) = (field, check) {
            return Some(has_tag(tag, self.on));
        }
        let Some(column) = column(field) else {
            return Some(truth(false));
        };
        Some(match check {
            Check::OneOf(values) if *field == Field::Version => {
                any(numbers(values).map(|number| is_number(&Expr::col(column), number, lean)))
            }
            Check::OneOf(values) => one_of(field, column, values),
            Check::Range(range) => self.range(field, column, range, lean),
            Check::Holds(part) if is_text(field) => holds(Expr::col(column), part, self.on),
            Check::Holds(_) | Check::Has(_) => truth(false),
        })
    }

    fn range(self, field: &Field, column: Column, range: &Range, lean: Lean) -> SimpleExpr {
        let mut column = Expr::col(column);
        if let Range::Time(bounds) = range
            && matches!(field, Field::CreatedAt | Field::UpdatedAt)
            && bounds.min.is_none()
        {
            // Most tasks are old. An index by this time, which SQLite would take, finds those and not the
            // few of the walk, and out of its order.
            column = column.add(SimpleExpr::Constant(0.into()));
        }
        match range {
            Range::Time(bounds) if is_time(field) => between(&column, bounds, |moment: &Moment| {
                moment.instant(self.now).unix_millis().into()
            }),
            Range::Text(bounds) if is_text(field) => {
                between(&column, bounds, |text| text.as_str().into())
            }
            Range::Number(bounds) if *field == Field::Version => {
                number_between(&column, bounds, lean, |value| value.into())
            }
            _ => truth(false),
        }
    }
}

fn truth(value: bool) -> SimpleExpr {
    SimpleExpr::Constant(value.into())
}

fn any(conditions: impl Iterator<Item = SimpleExpr>) -> SimpleExpr {
    conditions.fold(Condition::any(), Condition::add).into()
}

/// Whether only that something is absent is asked.
fn is_presence(check: &Check) -> bool {
    *check == Check::is(Value::Absent)
}

/// PostgreSQL takes no text with a NUL, not even to compare.
fn has_nul(check: &Check) -> bool {
    let has = |text: &String| text.contains('\0');
    match check {
        Check::OneOf(values) => values
            .iter()
            .any(|value| matches!(value, Value::Text(text) if has(text))),
        Check::Range(Range::Text(bounds)) => bounds
            .min
            .iter()
            .chain(&bounds.max)
            .any(|bound| has(&bound.at)),
        Check::Has(text) | Check::Holds(text) => has(text),
        Check::Range(_) => false,
    }
}

/// The column of a field; none where it has none of its own that a value could equal.
fn column(field: &Field) -> Option<Column> {
    Some(match field {
        Field::Id => Column::Id,
        Field::Project => Column::Project,
        Field::Title => Column::Title,
        Field::Description => Column::Description,
        Field::Status => Column::Status,
        Field::Priority => Column::Priority,
        Field::CreatorId => Column::CreatorId,
        Field::AssigneeId => Column::AssigneeId,
        Field::ParentId => Column::ParentId,
        Field::DueAt => Column::DueAt,
        Field::CreatedAt => Column::CreatedAt,
        Field::UpdatedAt => Column::UpdatedAt,
        Field::StatusChangedAt => Column::StatusChangedAt,
        Field::CompletedAt => Column::CompletedAt,
        Field::Version => Column::Version,
        Field::Tags | Field::Custom(_) => return None,
    })
}

fn is_text(field: &Field) -> bool {
    matches!(field, Field::Project | Field::Title | Field::Description)
}

fn is_time(field: &Field) -> bool {
    matches!(
        field,
        Field::DueAt
            | Field::CreatedAt
            | Field::UpdatedAt
            | Field::StatusChangedAt
            | Field::CompletedAt
    )
}

fn one_of(field: &Field, column: Column, values: &Values) -> SimpleExpr {
    let absent = field.may_be_absent() && values.contains(&Value::Absent);
    let there: Vec<SimpleExpr> = values
        .iter()
        .filter_map(|value| stored(field, value))
        .collect();
    let column = Expr::col(column);
    let equals = (!there.is_empty()).then(|| is_one_of(&column, there));
    let absent = absent.then(|| column.is_null());
    any(equals.into_iter().chain(absent))
}

fn is_one_of(what: &SimpleExpr, mut values: Vec<SimpleExpr>) -> SimpleExpr {
    match values.len() {
        1 => what.clone().eq(values.remove(0)),
        _ => what.clone().is_in(values),
    }
}

/// A value as the field's column keeps it; none of another kind. What there are few of stands in
/// the text of the statement, where a planner sees that an index of open tasks has them all.
fn stored(field: &Field, value: &Value) -> Option<SimpleExpr> {
    match (field, value) {
        (Field::Status, Value::Status(status)) => {
            Some(SimpleExpr::Constant(status.as_str().into()))
        }
        (Field::Priority, Value::Priority(priority)) => {
            Some(SimpleExpr::Constant(rank(*priority).into()))
        }
        (Field::Id | Field::CreatorId | Field::AssigneeId | Field::ParentId, Value::Id(id)) => {
            Some(Expr::val(*id))
        }
        (field, Value::Text(text)) if is_text(field) => Some(Expr::val(text.as_str())),
        _ => None,
    }
}

/// Whether a text has another in it, by code point.
fn holds(text: SimpleExpr, part: &str, on: DbBackend) -> SimpleExpr {
    let place = match on {
        DbBackend::Postgres => "strpos",
        _ => "instr",
    };
    Func::cust(place)
        .args([text, Expr::val(part)])
        .gt(SimpleExpr::Constant(0.into()))
}

fn between<T>(
    what: &SimpleExpr,
    bounds: &Bounds<T>,
    value: impl Fn(&T) -> SimpleExpr,
) -> SimpleExpr {
    let min = bounds.min.as_ref().map(|min| match min.inclusive {
        true => what.clone().gte(value(&min.at)),
        false => what.clone().gt(value(&min.at)),
    });
    let max = bounds.max.as_ref().map(|max| match max.inclusive {
        true => what.clone().lte(value(&max.at)),
        false => what.clone().lt(value(&max.at)),
    });
    Condition::all().add_option(min).add_option(max).into()
}

fn numbers(values: &Values) -> impl Iterator<Item = Number> {
    values.iter().filter_map(|value| match value {
        Value::Number(number) => Some(*number),
        _ => None,
    })
}

/// Whether something is a number. Those that are nearly the same are equal to a script.
fn is_number(what: &SimpleExpr, number: Number, lean: Lean) -> SimpleExpr {
    let value = |value: f64| SimpleExpr::from(value);
    near(what, number, lean, value)
}

fn near(
    what: &SimpleExpr,
    number: Number,
    lean: Lean,
    value: impl Fn(f64) -> SimpleExpr,
) -> SimpleExpr {
    match lean {
        Lean::Wide => Condition::all()
            .add_option(at_least(what, number.least(), &value))
            .add_option(at_most(what, number.most(), &value))
            .into(),
        // As a fraction a whole number of very many digits is another.
        Lean::Narrow if number.value().abs() >= EXACT => truth(false),
        Lean::Narrow => what.clone().eq(value(number.value())),
    }
}

/// Up to here every whole number is itself as a fraction too.
const EXACT: f64 = 9e15;

fn number_between(
    what: &SimpleExpr,
    bounds: &Bounds<Number>,
    lean: Lean,
    value: impl Fn(f64) -> SimpleExpr,
) -> SimpleExpr {
    let ends = |number: &Number| match lean {
        Lean::Wide => (number.least(), number.most()),
        Lean::Narrow => (number.most(), number.least()),
    };
    let min = bounds.min.as_ref().map(|min| ends(&min.at).0);
    let max = bounds.max.as_ref().map(|max| ends(&max.at).1);
    if lean == Lean::Narrow && [min, max].iter().flatten().any(|end| !end.is_finite()) {
        return truth(false);
    }
    Condition::all()
        .add_option(min.and_then(|min| at_least(what, min, &value)))
        .add_option(max.and_then(|max| at_most(what, max, &value)))
        .into()
}

/// None where everything is.
fn at_least(what: &SimpleExpr, min: f64, value: impl Fn(f64) -> SimpleExpr) -> Option<SimpleExpr> {
    min.is_finite().then(|| what.clone().gte(value(min)))
}

fn at_most(what: &SimpleExpr, max: f64, value: impl Fn(f64) -> SimpleExpr) -> Option<SimpleExpr> {
    max.is_finite().then(|| what.clone().lte(value(max)))
}
