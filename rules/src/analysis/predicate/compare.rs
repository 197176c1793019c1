//! Comparisons, as scripts make them: of what is absent, and across kinds.

use super::Walk;
use super::times;
use super::unclear::Why;
use super::value::{Constant, Kind, Pair, Point, Time, Value};
use smarttasks_model::predicate::Value as Stored;
use smarttasks_model::predicate::{Bounds, Check, Number, Predicate, Range, Subject};
use smarttasks_model::{Priority, Status};
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Operator {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "==" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::More,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    /// With its sides exchanged.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Less => Self::More,
            Self::AtMost => Self::AtLeast,
            Self::More => Self::Less,
            Self::AtLeast => Self::AtMost,
            same => same,
        }
    }

    pub(super) fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }

    /// What is so of values that are not equal, and neither less nor more.
    fn of_apart(self) -> Pair {
        Pair::constant(self == Self::Unequal)
    }
}

/// What a stored value is compared with, as it would be stored.
enum Known {
    Is(Stored),
    /// It is never that.
    Never,
    /// To compare the two fails, unless the stored value is absent.
    Fails,
    Unknown,
}

impl Walk<'_> {
    pub(super) fn compare(&mut self, a: &Value, operator: Operator, b: &Value) -> Value {
        match self.compared(a, operator, b) {
            Ok(pair) => Value::truth(pair),
            Err(why) => Value::Unknown(why),
        }
    }

    pub(super) fn equal(&mut self, a: &Value, b: &Value) -> Pair {
        self.compared(a, Operator::Equal, b)
            .unwrap_or(Pair::UNKNOWN)
    }

    fn compared(&mut self, a: &Value, operator: Operator, b: &Value) -> Result<Pair, Why> {
        use Value::{Constant as Known, Either, Length, Read, Truth, Units, Unknown, User};
        match (a, b) {
            (Unknown(why), _) | (_, Unknown(why)) => Err(why.clone()),
            (Either(values), other) => {
                let mut why = None;
                let pair = self.first_there(values.clone(), |walk, value| {
                    let compared = walk.compared(&value, operator, other);
                    compared.unwrap_or_else(|of| {
                        why = Some(of);
                        Pair::UNKNOWN
                    })
                });
                why.map_or(Ok(pair), Err)
            }
            (_, Either(_)) => self.compared(b, operator.turned(), a),
            (_, Known(Constant::Absent)) => with_absent(a, operator),
            (Known(Constant::Absent), _) => with_absent(b, operator),
            (Known(a), Known(b)) => constants(a, operator, b),
            (Read(subject, kind), Known(constant)) => stored(subject, *kind, operator, constant),
            (Value::Time(a), Value::Time(b)) => times::compare_times(a, operator, b),
            (Length(a), Length(b)) => times::compare_lengths(a, operator, b),
            (Units(length, unit), Known(Constant::Number(count))) => match count.whole() {
                Some(count) => times::compare_units(length, *unit, operator, count),
                None => Err(Why::Other),
            },
            (Truth(pair), Known(Constant::Bool(truth))) => match (operator, truth) {
                (Operator::Equal, true) | (Operator::Unequal, false) => Ok((**pair).clone()),
                (Operator::Equal, false) | (Operator::Unequal, true) => {
                    Ok((**pair).clone().negated())
                }
                _ => Err(Why::Other),
            },
            (Known(_), Read(..) | Truth(_) | Units(..)) => self.compared(b, operator.turned(), a),
            (User(_), _) | (_, User(_)) => Err(Why::Person),
            (Read(..) | Value::Time(_), Read(..) | Value::Time(_)) => Err(Why::TwoFields),
            _ => Err(Why::Other),
        }
    }

    /// `value in list`.
    pub(super) fn within(&mut self, value: &Value, list: &Value) -> Result<Pair, Why> {
        let test =
            |subject: &Subject, check| Ok(Pair::exactly(Predicate::test(subject.clone(), check)));
        match (list, value) {
            (Value::List(items), _) => self.among(value, items),
            (
                Value::Numbers {
                    from,
                    to,
                    inclusive,
                },
                Value::Read(subject, Kind::Number | Kind::Json),
            ) => {
                let bounds: Bounds<Number> = Bounds {
                    max: Bounds::up_to((*to).into(), *inclusive).max,
                    ..Bounds::from((*from).into(), true)
                };
                test(subject, Check::Range(Range::Number(bounds)))
            }
            (Value::Read(subject, Kind::Texts), Value::Constant(Constant::Text(tag))) => {
                test(subject, Check::Has(tag.clone()))
            }
            (Value::Read(subject, Kind::Text), Value::Constant(Constant::Text(part))) => {
                test(subject, Check::Holds(part.clone()))
            }
            _ => Err(Why::Other),
        }
    }

    fn among(&mut self, value: &Value, items: &[Value]) -> Result<Pair, Why> {
        if let Value::Read(subject, kind) = value
            && let Some(values) = all_known(*kind, items)
        {
            let check = Check::one_of(values);
            return Ok(Pair::exactly(Predicate::test(subject.clone(), check)));
        }
        let mut whole = Pair::FALSE;
        for item in items {
            let pair = self.compared(value, Operator::Equal, item)?;
            whole = Pair {
                yes: self.either(&whole.yes, &pair.yes),
                no: self.both(&whole.no, &pair.no),
            };
        }
        Ok(whole)
    }
}

/// The values of a list of constants, as they would be stored, without those that it never is.
fn all_known(kind: Kind, items: &[Value]) -> Option<Vec<Stored>> {
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value::Constant(Constant::Absent) => values.push(Stored::Absent),
            Value::Constant(constant) => match known(kind, constant) {
                Known::Is(value) => values.push(value),
                Known::Never => {}
                Known::Fails | Known::Unknown => return None,
            },
            _ => return None,
        }
    }
    Some(values)
}

fn with_absent(value: &Value, operator: Operator) -> Result<Pair, Why> {
    if let Value::Time(Time {
        point: Point::Field(_),
        offset: 1.. | ..=-1,
    }) = value
    {
        // What is absent cannot be added to.
        return Ok(operator.of_apart());
    }
    let absent = match value {
        Value::Time(Time {
            point: Point::Now | Point::At(_),
            ..
        }) => Pair::FALSE,
        Value::Truth(_) => return Err(Why::Other),
        other => other.absence(),
    };
    match operator {
        Operator::Equal => Ok(absent),
        Operator::Unequal => Ok(absent.negated()),
        // What is absent is neither less nor more, not even than itself.
        _ => Ok(Pair::FALSE),
    }
}

fn constants(a: &Constant, operator: Operator, b: &Constant) -> Result<Pair, Why> {
    let order = match (a, b) {
        (Constant::Bool(a), Constant::Bool(b)) => a.cmp(b),
        (Constant::Text(a), Constant::Text(b)) => a.cmp(b),
        (Constant::Priority(a), Constant::Priority(b)) => a.cmp(b),
        (Constant::Number(a), Constant::Number(b)) => match (a.whole(), b.whole()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => return Err(Why::Other),
        },
        _ => return Err(Why::Other),
    };
    Ok(Pair::constant(operator.accepts(order)))
}

fn stored(subject: &Subject, kind: Kind, operator: Operator, with: &Constant) -> Result<Pair, Why> {
    let test = |check| Pair::exactly(Predicate::test(subject.clone(), check));
    let equality = matches!(operator, Operator::Equal | Operator::Unequal);
    match (kind, with) {
        // To a script statuses and ids are texts, and so less or more than any other.
        (Kind::Status, Constant::Text(with)) if !equality => {
            return Ok(test(statuses(operator, with)));
        }
        (Kind::Id, Constant::Text(_)) if !equality => return Err(Why::Other),
        _ => {}
    }
    let value = match known(kind, with) {
        Known::Is(value) => value,
        Known::Never => return Ok(operator.of_apart()),
        Known::Fails if operator == Operator::Unequal => return Ok(Pair::UNKNOWN),
        Known::Fails => return Ok(Pair::FALSE),
        Known::Unknown => return Err(Why::Other),
    };
    match operator {
        Operator::Equal => return Ok(test(Check::is(value))),
        Operator::Unequal => return Ok(test(Check::is(value)).negated()),
        _ => {}
    }
    Ok(test(match value {
        Stored::Number(number) => Check::Range(Range::Number(bounds(operator, number))),
        Stored::Text(text) => Check::Range(Range::Text(bounds(operator, text))),
        Stored::Priority(with) => {
            let of = Priority::ALL
                .iter()
                .filter(|of| operator.accepts((**of).cmp(&with)));
            Check::one_of(of.map(|of| Stored::Priority(*of)))
        }
        _ => return Err(Why::Other),
    }))
}

fn statuses(operator: Operator, with: &str) -> Check {
    let of = Status::ALL.iter();
    let of = of.filter(|of| operator.accepts(of.as_str().cmp(with)));
    Check::one_of(of.map(|of| Stored::Status(*of)))
}

fn bounds<T: Clone>(operator: Operator, at: T) -> Bounds<T> {
    match operator {
        Operator::Less => Bounds::up_to(at, false),
        Operator::AtMost => Bounds::up_to(at, true),
        Operator::More => Bounds::from(at, false),
        Operator::AtLeast | Operator::Equal | Operator::Unequal => Bounds::from(at, true),
    }
}

fn known(kind: Kind, constant: &Constant) -> Known {
    let text = |text: &String| Known::Is(Stored::Text(text.clone()));
    match (kind, constant) {
        (_, Constant::Absent) => Known::Is(Stored::Absent),
        (Kind::Text | Kind::Json, Constant::Text(of)) => text(of),
        (Kind::Status, Constant::Text(of)) => match of.parse() {
            Ok(status) => Known::Is(Stored::Status(status)),
            Err(_) => Known::Never,
        },
        (Kind::Id, Constant::Text(of)) => match uuid(of) {
            Some(id) => Known::Is(id),
            None => Known::Never,
        },
        (Kind::Priority, Constant::Priority(of)) => Known::Is(Stored::Priority(*of)),
        (Kind::Number | Kind::Json, Constant::Number(of)) => Known::Is(Stored::Number(*of)),
        (Kind::Json, Constant::Bool(of)) => Known::Is(Stored::Bool(*of)),
        (Kind::Priority, _) | (_, Constant::Priority(_)) => Known::Fails,
        (Kind::Texts, _) => Known::Unknown,
        (Kind::Text | Kind::Status | Kind::Id | Kind::Number, _) => Known::Never,
    }
}

/// An id, if the text is written as ids are.
fn uuid(text: &str) -> Option<Stored> {
    let id: smarttasks_model::TaskId = text.parse().ok()?;
    (id.to_string() == text).then_some(Stored::Id(id.0))
}
