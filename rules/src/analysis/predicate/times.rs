//! Times and lengths of time: sums of them, and comparisons turned round until a stored time stands
//! on one side, and `now` or an instant on the other.

use super::compare::Operator;
use super::unclear::Why;
use super::value::{Constant, Length, Pair, Point, Time, Value};
use smarttasks_model::predicate::{Bounds, Check, Moment, Predicate, Range, Subject};
use smarttasks_model::{Span, Timestamp};
use std::cmp::Ordering;

pub(super) const SECOND: i64 = 1_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;
pub(super) const WEEK: i64 = 7 * DAY;

/// Farthest distance that is reckoned with: within it of a time of our day no sum comes to the ends
/// of the calendar, where sums stop.
const FARTHEST: i64 = 10 * 366 * DAY;

/// Longest length that a script can name.
const LONGEST: i64 = 100 * 366 * DAY;

fn far() -> Value {
    Value::Unknown(Why::Far)
}

fn is_near(millis: i64) -> bool {
    millis.unsigned_abs() <= FARTHEST.unsigned_abs()
}

/// `days(2)`.
pub(super) fn length(count: &Value, unit: i64) -> Value {
    let Value::Constant(Constant::Number(count)) = count else {
        return Value::Unknown(Why::Other);
    };
    let millis = match count.whole() {
        Some(count) => count.checked_mul(unit),
        None => {
            let millis = (count.value() * unit as f64).round();
            // The cast is exact within this bound.
            (millis.abs() <= LONGEST as f64).then_some(millis as i64)
        }
    };
    match millis.filter(|millis| millis.unsigned_abs() <= LONGEST.unsigned_abs()) {
        Some(millis) => Value::Length(Length::Constant(millis)),
        None => far(),
    }
}

/// A time so much later.
pub(super) fn later(time: Time, by: &Length) -> Value {
    let Length::Constant(millis) = by else {
        return Value::Unknown(Why::TwoFields);
    };
    if let Point::At(instant) = time.point {
        let point = Point::At(instant + Span::from_millis(*millis));
        return Value::Time(point.into());
    }
    let offset = time.offset.saturating_add(*millis);
    // A stored time may be near the end of the calendar, and what is cut off there is not come by
    // again.
    let back = matches!(time.point, Point::Field(_)) && time.offset.signum() * millis.signum() < 0;
    match is_near(offset) && !back {
        true => Value::Time(Time { offset, ..time }),
        false => far(),
    }
}

/// How long from the second time to the first.
pub(super) fn between(to: Time, from: Time) -> Value {
    let more = to.offset.saturating_sub(from.offset);
    match (from.point, to.point) {
        (Point::Now, Point::Now) => Value::Length(Length::Constant(more)),
        (Point::At(a), Point::At(b)) => {
            let length = b.unix_millis() - a.unix_millis();
            Value::Length(Length::Constant(length))
        }
        (from, to) => Value::Length(Length::Between { from, to, more }),
    }
}

/// A length and another, or without the other.
pub(super) fn sum(a: &Length, b: &Length, minus: bool) -> Value {
    let by = |millis: i64| match minus {
        true => millis.saturating_neg(),
        false => millis,
    };
    match (a, b) {
        (Length::Constant(a), Length::Constant(b)) => {
            Value::Length(Length::Constant(a.saturating_add(by(*b))))
        }
        (Length::Between { from, to, more }, Length::Constant(b)) => {
            Value::Length(Length::Between {
                from: from.clone(),
                to: to.clone(),
                more: more.saturating_add(by(*b)),
            })
        }
        (Length::Constant(_), Length::Between { .. }) => {
            let other = match minus {
                true => opposite(b),
                false => b.clone(),
            };
            sum(&other, a, false)
        }
        _ => Value::Unknown(Why::TwoFields),
    }
}

pub(super) fn opposite(length: &Length) -> Length {
    match length {
        Length::Constant(millis) => Length::Constant(millis.saturating_neg()),
        Length::Between { from, to, more } => Length::Between {
            from: to.clone(),
            to: from.clone(),
            more: more.saturating_neg(),
        },
    }
}

pub(super) fn compare_times(a: &Time, operator: Operator, b: &Time) -> Result<Pair, Why> {
    match (&a.point, &b.point) {
        (Point::Field(subject), point @ (Point::Now | Point::At(_))) => {
            moment(point, b.offset.saturating_sub(a.offset), a.offset)
                .map(|moment| on(subject, operator, moment))
                .ok_or(Why::Far)
        }
        (Point::Now | Point::At(_), Point::Field(_)) => compare_times(b, operator.turned(), a),
        (Point::Now, Point::Now) => Ok(Pair::constant(operator.accepts(a.offset.cmp(&b.offset)))),
        (Point::At(a), Point::At(b)) => Ok(Pair::constant(operator.accepts(a.cmp(b)))),
        (Point::Field(_), Point::Field(_)) => Err(Why::TwoFields),
        _ => Err(Why::Clock),
    }
}

/// The point so much later, for a comparison with what is `besides` later than a stored time.
fn moment(point: &Point, offset: i64, besides: i64) -> Option<Moment> {
    if !is_near(offset) || !is_near(besides) {
        return None;
    }
    match point {
        Point::Now => Some(Moment::Now(Span::from_millis(offset))),
        Point::At(instant) => {
            let (first, last) = (FARTHEST, Timestamp::MAX.unix_millis() - FARTHEST);
            let inner = (first..=last).contains(&instant.unix_millis());
            (inner || (offset == 0 && besides == 0))
                .then(|| Moment::At(*instant + Span::from_millis(offset)))
        }
        Point::Field(_) => None,
    }
}

fn on(subject: &Subject, operator: Operator, moment: Moment) -> Pair {
    let range = |bounds| {
        let check = Check::Range(Range::Time(bounds));
        Pair::exactly(Predicate::test(subject.clone(), check))
    };
    let same = || {
        let ends = Bounds {
            max: Bounds::up_to(moment, true).max,
            ..Bounds::from(moment, true)
        };
        range(ends)
    };
    match operator {
        Operator::Less => range(Bounds::up_to(moment, false)),
        Operator::AtMost => range(Bounds::up_to(moment, true)),
        Operator::More => range(Bounds::from(moment, false)),
        Operator::AtLeast => range(Bounds::from(moment, true)),
        Operator::Equal => same(),
        Operator::Unequal => same().negated(),
    }
}

pub(super) fn compare_lengths(a: &Length, operator: Operator, b: &Length) -> Result<Pair, Why> {
    match (a, b) {
        (Length::Constant(a), Length::Constant(b)) => {
            Ok(Pair::constant(operator.accepts(a.cmp(b))))
        }
        (Length::Between { from, to, more }, Length::Constant(length)) => {
            let from = Time {
                point: from.clone(),
                offset: length.saturating_sub(*more),
            };
            compare_times(&to.clone().into(), operator, &from)
        }
        (Length::Constant(_), Length::Between { .. }) => compare_lengths(b, operator.turned(), a),
        _ => Err(Why::TwoFields),
    }
}

/// Compares a length in whole units with a number of them.
pub(super) fn compare_units(
    length: &Length,
    unit: i64,
    operator: Operator,
    count: i64,
) -> Result<Pair, Why> {
    let at = |operator, count: i64| {
        let millis = count.checked_mul(unit).ok_or(Why::Far)?;
        compare_lengths(length, operator, &Length::Constant(millis))
    };
    // What is left over is cut off towards zero.
    let at_least = |count: i64| match count.cmp(&0) {
        Ordering::Greater => at(Operator::AtLeast, count),
        _ => at(Operator::More, count.saturating_sub(1)),
    };
    let at_most = |count: i64| match count.cmp(&0) {
        Ordering::Less => at(Operator::AtMost, count),
        _ => at(Operator::Less, count.saturating_add(1)),
    };
    match operator {
        Operator::AtLeast => at_least(count),
        Operator::More => at_least(count.saturating_add(1)),
        Operator::AtMost => at_most(count),
        Operator::Less => at_most(count.saturating_sub(1)),
        Operator::Equal | Operator::Unequal => {
            let (from, to) = (at_least(count)?, at_most(count)?);
            let same = Pair {
                yes: from.yes.and(to.yes),
                no: from.no.or(to.no),
            };
            Ok(match operator {
                Operator::Equal => same,
                _ => same.negated(),
            })
        }
    }
}
