//! What the value of an expression depends on.

use super::unclear::Why;
use smarttasks_model::predicate::{Check, Field, Number, Predicate, Subject};
use smarttasks_model::{Priority, Timestamp};

/// When a condition may be true, and when it may be false. Where it fails it is neither.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) yes: Predicate,
    pub(super) no: Predicate,
}

impl Pair {
    pub(super) const UNKNOWN: Self = Self {
        yes: Predicate::ALWAYS,
        no: Predicate::ALWAYS,
    };
    pub(super) const TRUE: Self = Self {
        yes: Predicate::ALWAYS,
        no: Predicate::NEVER,
    };
    pub(super) const FALSE: Self = Self {
        yes: Predicate::NEVER,
        no: Predicate::ALWAYS,
    };

    /// Of what is known exactly.
    pub(super) fn exactly(yes: Predicate) -> Self {
        Self {
            no: yes.negate(),
            yes,
        }
    }

    pub(super) fn constant(truth: bool) -> Self {
        if truth { Self::TRUE } else { Self::FALSE }
    }

    pub(super) fn negated(self) -> Self {
        Self {
            yes: self.no,
            no: self.yes,
        }
    }
}

/// The value of an expression, as far as it is understood.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Constant(Constant),
    /// Something stored.
    Read(Subject, Kind),
    /// A time.
    Time(Time),
    /// A length of time.
    Length(Length),
    /// A length of time in whole units of so many milliseconds.
    Units(Length, i64),
    /// True or false.
    Truth(Box<Pair>),
    /// A list that stands in the script.
    List(Vec<Value>),
    /// Whole numbers from the first up to the second, or before it.
    Numbers {
        from: i64,
        to: i64,
        inclusive: bool,
    },
    /// The task, or what it was before the event.
    Task(Which),
    /// Users by their ids: the first of these that is there.
    User(Vec<Subject>),
    Event,
    /// The first of these that is there.
    Either(Vec<Value>),
    Unknown(Why),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Absent,
    Bool(bool),
    Number(Number),
    Text(String),
    Priority(Priority),
}

/// What kind of value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Status,
    Priority,
    Id,
    Number,
    Texts,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Current,
    Previous,
}

impl Which {
    pub(super) fn field(self, field: Field) -> Subject {
        match self {
            Self::Current => Subject::Task(field),
            Self::Previous => Subject::Previous(field),
        }
    }
}

/// A time: so many milliseconds after a point.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Time {
    pub(super) point: Point,
    pub(super) offset: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Point {
    Now,
    At(Timestamp),
    Field(Subject),
}

impl From<Point> for Time {
    fn from(point: Point) -> Self {
        Self { point, offset: 0 }
    }
}

/// A length of time, in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Length {
    Constant(i64),
    /// From one point to another, and so much more.
    Between {
        from: Point,
        to: Point,
        more: i64,
    },
}

impl Value {
    pub(super) fn truth(pair: Pair) -> Self {
        Self::Truth(Box::new(pair))
    }

    pub(super) fn number(number: i64) -> Self {
        Self::Constant(Constant::Number(number.into()))
    }

    /// How many values it is made of.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::List(values) | Self::Either(values) => values.len(),
            Self::Truth(pair) => pair.yes.size() + pair.no.size(),
            _ => 1,
        }
    }

    /// The whole number that it is.
    pub(super) fn whole(&self) -> Option<i64> {
        match self {
            Self::Constant(Constant::Number(number)) => number.whole(),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Constant(Constant::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether it is absent.
    pub(super) fn absence(&self) -> Pair {
        let absent = |subject: &Subject| {
            let check = Check::is(smarttasks_model::predicate::Value::Absent);
            Predicate::test(subject.clone(), check)
        };
        match self {
            Self::Constant(Constant::Absent) => Pair::TRUE,
            Self::Constant(_)
            | Self::Length(_)
            | Self::Units(..)
            | Self::List(_)
            | Self::Numbers { .. }
            | Self::Event => Pair::FALSE,
            Self::Read(Subject::Task(Field::Custom(path)), _) if path.is_empty() => Pair::UNKNOWN,
            Self::Read(subject, _) => Pair::exactly(absent(subject)),
            Self::Time(Time {
                point: Point::Field(subject),
                offset: 0,
            }) => Pair::exactly(absent(subject)),
            Self::Task(which) => Pair::exactly(absent(&which.field(Field::Id))),
            Self::User(ids) => Pair::exactly(Predicate::all(ids.iter().map(absent))),
            // What is true or false is absent where what it is read from is.
            Self::Time(_) | Self::Truth(_) | Self::Either(_) | Self::Unknown(_) => Pair::UNKNOWN,
        }
    }
}
