//! What is asked of a subject, and what two questions have to do with each other.

use super::subject::Found;
use super::{Number, Values};
use crate::{Priority, Span, Status, Timestamp};
use std::cmp::Ordering;
use uuid::Uuid;

/// What is asked of a subject.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Check {
    /// It equals one of these; equality is a set of one.
    OneOf(Values),
    /// It lies within bounds.
    Range(Range),
    /// Of tags: this is among them.
    Has(String),
    /// It is a text with this in it.
    Holds(String),
}

/// What a subject may equal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Value {
    /// Nothing is there.
    Absent,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A status.
    Status(Status),
    /// A priority.
    Priority(Priority),
    /// An id of a task or user.
    Id(Uuid),
}

/// Bounds of one kind of value. Whatever is of another kind lies outside.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Range {
    /// Of times.
    Time(Bounds<Moment>),
    /// Of numbers.
    Number(Bounds<Number>),
    /// Of texts, by code point.
    Text(Bounds<String>),
}

/// A lower and an upper bound; at least one of them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Bounds<T> {
    /// What it is not less than.
    pub min: Option<Bound<T>>,
    /// What it is not more than.
    pub max: Option<Bound<T>>,
}

/// One end of a range.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Bound<T> {
    /// Where it is.
    pub at: T,
    /// Whether it belongs to the range itself.
    pub inclusive: bool,
}

/// An instant to compare with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Moment {
    /// That stands still.
    At(Timestamp),
    /// So long after now, or before it.
    Now(Span),
}

impl Moment {
    /// The instant, when it is `now`.
    pub fn instant(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(instant) => instant,
            Self::Now(offset) => now + offset,
        }
    }
}

impl Check {
    /// Whether it is one of these.
    pub fn one_of(values: impl IntoIterator<Item = Value>) -> Self {
        Self::OneOf(values.into_iter().collect())
    }

    /// Whether it is this.
    pub fn is(value: Value) -> Self {
        Self::one_of([value])
    }

    pub(super) fn holds(&self, found: &Found<'_>, now: Timestamp) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|value| value.equals(found)),
            Self::Range(range) => range.holds(found, now),
            Self::Has(tag) => matches!(found, Found::Texts(tags) if tags.contains(tag)),
            Self::Holds(part) => matches!(found, Found::Text(text) if text.contains(part)),
        }
    }

    /// Whether whatever is of this is surely of the other too.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        match (self, other) {
            (Self::OneOf(a), Self::OneOf(b)) => a.is_subset(b),
            (Self::OneOf(a), other) => a.iter().all(|value| value.answer(other) == Some(true)),
            (Self::Range(a), Self::Range(b)) => a.is_within(b),
            (Self::Holds(a), Self::Holds(b)) => a.contains(b.as_str()),
            _ => false,
        }
    }

    /// Whether surely nothing is of both.
    pub(super) fn is_apart(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OneOf(a), Self::OneOf(b)) => a.is_disjoint(b) && !nearly_meet(a, b),
            (Self::OneOf(a), other) | (other, Self::OneOf(a)) => {
                a.iter().all(|value| value.answer(other) == Some(false))
            }
            (Self::Range(a), Self::Range(b)) => a.is_apart(b),
            (Self::Has(_) | Self::Holds(_), Self::Range(Range::Number(_) | Range::Time(_)))
            | (Self::Range(Range::Number(_) | Range::Time(_)), Self::Has(_) | Self::Holds(_)) => {
                true
            }
            _ => false,
        }
    }

    /// What is of both, if that is one check.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::OneOf(a), Self::OneOf(b)) if !nearly_meet(a, b) => {
                Some(Self::OneOf(a.intersection(b)))
            }
            (Self::OneOf(a), other) | (other, Self::OneOf(a)) => filtered(a, other, true),
            (Self::Range(a), Self::Range(b)) => a.meet(b).map(Self::Range),
            _ => None,
        }
    }

    /// What is of this and not of the other, if that is one check.
    pub(super) fn without(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::OneOf(a), Self::OneOf(b)) if !nearly_meet(a, b) => {
                Some(Self::OneOf(a.difference(b)))
            }
            (Self::OneOf(_), Self::OneOf(_)) => None,
            (Self::OneOf(a), other) => filtered(a, other, false),
            _ => None,
        }
    }
}

/// The values of which another check is true or false, if that is known of each.
fn filtered(values: &Values, by: &Check, answer: bool) -> Option<Check> {
    let mut kept = Vec::new();
    for value in values {
        if value.answer(by)? == answer {
            kept.push(value.clone());
        }
    }
    Some(Check::one_of(kept))
}

/// Whether the sets have numbers that are not the same and may be equal to the same.
fn nearly_meet(a: &Values, b: &Values) -> bool {
    let numbers = |values: &Values| -> Vec<Number> {
        let numbers = values.iter().filter_map(|value| match value {
            Value::Number(number) => Some(*number),
            _ => None,
        });
        numbers.collect()
    };
    let of_b = numbers(b);
    let meets = |a: &Number| of_b.iter().any(|b| a != b && !a.is_far_from(*b));
    !of_b.is_empty() && numbers(a).iter().any(meets)
}

impl Value {
    fn equals(&self, found: &Found<'_>) -> bool {
        match (self, found) {
            (Self::Absent, Found::Absent) => true,
            (Self::Bool(a), Found::Bool(b)) => a == b,
            (Self::Number(a), Found::Number(b)) => b.equals(*a),
            (Self::Text(a), Found::Text(b)) => a == b,
            (Self::Status(a), Found::Status(b)) => a == b,
            (Self::Priority(a), Found::Priority(b)) => a == b,
            (Self::Id(a), Found::Id(b)) => a == b,
            _ => false,
        }
    }

    /// What a check that is no set says of whatever equals this, as far as that is known.
    fn answer(&self, check: &Check) -> Option<bool> {
        match (self, check) {
            (Self::Number(number), Check::Range(Range::Number(bounds))) => bounds.answer(*number),
            (Self::Text(text), Check::Range(Range::Text(bounds))) => Some(bounds.hold(text)),
            (Self::Text(text), Check::Holds(part)) => Some(text.contains(part.as_str())),
            (_, Check::OneOf(_)) => None,
            _ => Some(false),
        }
    }
}

impl Range {
    fn holds(&self, found: &Found<'_>, now: Timestamp) -> bool {
        match (self, found) {
            (Self::Time(bounds), Found::Time(at)) => bounds.hold_by(
                |min| at.cmp(&min.instant(now)),
                |max| at.cmp(&max.instant(now)),
            ),
            (Self::Number(bounds), Found::Number(number)) => bounds.contain(*number),
            (Self::Text(bounds), Found::Text(text)) => bounds.hold(text),
            _ => false,
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Time(a), Self::Time(b)) => a.is_within(b, order_of_moments),
            (Self::Number(a), Self::Number(b)) => a.is_within(b, order_of_numbers),
            (Self::Text(a), Self::Text(b)) => a.is_within(b, |a, b| Some(a.cmp(b))),
            _ => false,
        }
    }

    fn is_apart(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Time(a), Self::Time(b)) => a.is_apart(b, order_of_moments),
            (Self::Number(a), Self::Number(b)) => a.is_apart(b, order_of_numbers),
            (Self::Text(a), Self::Text(b)) => a.is_apart(b, |a, b| Some(a.cmp(b))),
            // Nothing is of two kinds.
            _ => true,
        }
    }

    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Time(a), Self::Time(b)) => Self::Time(a.meet(b, order_of_moments)?),
            (Self::Number(a), Self::Number(b)) => Self::Number(a.meet(b, order_of_numbers)?),
            (Self::Text(a), Self::Text(b)) => Self::Text(a.meet(b, |a, b| Some(a.cmp(b)))?),
            _ => return None,
        })
    }

    /// What lies on the other side of the end, where there is only one. Of numbers none: as scripts
    /// compare them, one that is nearly the bound can be on both sides, or on none.
    pub(super) fn beyond(&self) -> Option<Self> {
        match self {
            Self::Time(bounds) => bounds.beyond().map(Self::Time),
            Self::Text(bounds) => bounds.beyond().map(Self::Text),
            Self::Number(_) => None,
        }
    }
}

fn order_of_moments(a: &Moment, b: &Moment) -> Option<Ordering> {
    match (a, b) {
        (Moment::At(a), Moment::At(b)) => Some(a.cmp(b)),
        // Both are kept within the same years, so that one may become the other's equal.
        (Moment::Now(a), Moment::Now(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn order_of_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match a == b {
        true => Some(Ordering::Equal),
        false => a.is_far_from(*b).then(|| a.cmp(b)),
    }
}

impl Bounds<Number> {
    fn contain(&self, number: Number) -> bool {
        let over = self.min.as_ref().is_none_or(|min| match min.inclusive {
            true => min.at.is_at_most(number),
            false => min.at.is_less(number),
        });
        over && self.max.as_ref().is_none_or(|max| match max.inclusive {
            true => number.is_at_most(max.at),
            false => number.is_less(max.at),
        })
    }

    fn answer(&self, number: Number) -> Option<bool> {
        let mut ends = self.min.iter().chain(&self.max);
        ends.all(|end| end.at.is_far_from(number))
            .then(|| self.contain(number))
    }
}

impl Bounds<String> {
    fn hold(&self, text: &str) -> bool {
        self.hold_by(|min| text.cmp(min.as_str()), |max| text.cmp(max.as_str()))
    }
}

impl<T: Clone> Bounds<T> {
    /// From a bound on.
    pub fn from(at: T, inclusive: bool) -> Self {
        Self {
            min: Some(Bound { at, inclusive }),
            max: None,
        }
    }

    /// Up to a bound.
    pub fn up_to(at: T, inclusive: bool) -> Self {
        Self {
            min: None,
            max: Some(Bound { at, inclusive }),
        }
    }

    fn hold_by(
        &self,
        to_min: impl FnOnce(&T) -> Ordering,
        to_max: impl FnOnce(&T) -> Ordering,
    ) -> bool {
        let over = self.min.as_ref().is_none_or(|min| match to_min(&min.at) {
            Ordering::Greater => true,
            Ordering::Equal => min.inclusive,
            Ordering::Less => false,
        });
        over && self.max.as_ref().is_none_or(|max| match to_max(&max.at) {
            Ordering::Less => true,
            Ordering::Equal => max.inclusive,
            Ordering::Greater => false,
        })
    }

    fn beyond(&self) -> Option<Self> {
        match (&self.min, &self.max) {
            (Some(min), None) => Some(Self::up_to(min.at.clone(), !min.inclusive)),
            (None, Some(max)) => Some(Self::from(max.at.clone(), !max.inclusive)),
            _ => None,
        }
    }

    fn is_within(&self, other: &Self, order: fn(&T, &T) -> Option<Ordering>) -> bool {
        let tighter = |a: &Option<Bound<T>>, b: &Option<Bound<T>>, side| match (a, b) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(a), Some(b)) => match order(&a.at, &b.at) {
                Some(Ordering::Equal) => b.inclusive || !a.inclusive,
                Some(order) => order == side,
                None => false,
            },
        };
        tighter(&self.min, &other.min, Ordering::Greater)
            && tighter(&self.max, &other.max, Ordering::Less)
    }

    fn is_apart(&self, other: &Self, order: fn(&T, &T) -> Option<Ordering>) -> bool {
        let behind = |max: &Option<Bound<T>>, min: &Option<Bound<T>>| match (max, min) {
            (Some(max), Some(min)) => match order(&max.at, &min.at) {
                Some(Ordering::Less) => true,
                Some(Ordering::Equal) => !(max.inclusive && min.inclusive),
                _ => false,
            },
            _ => false,
        };
        behind(&self.max, &other.min) || behind(&other.max, &self.min)
    }

    fn meet(&self, other: &Self, order: fn(&T, &T) -> Option<Ordering>) -> Option<Self> {
        let tighter = |a: &Option<Bound<T>>, b: &Option<Bound<T>>, side| match (a, b) {
            (one, None) | (None, one) => Some(one.clone()),
            (Some(a), Some(b)) => {
                let kept = match order(&a.at, &b.at)? {
                    Ordering::Equal if a.inclusive => b,
                    Ordering::Equal => a,
                    of if of == side => a,
                    _ => b,
                };
                Some(Some(kept.clone()))
            }
        };
        Some(Self {
            min: tighter(&self.min, &other.min, Ordering::Greater)?,
            max: tighter(&self.max, &other.max, Ordering::Less)?,
        })
    }
}
