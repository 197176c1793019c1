//! Conditions as data: when a rule may act, as far as that is known without running its script.
//!
//! One form with two users. An index over rules asks which rules an event may concern; a sweep asks
//! the database which tasks may. Both may let too much through, never too little, so what is put
//! together here is widened where it would grow too large. The meaning of every test is that of the
//! comparison in a script: what is absent equals only what is absent, and is neither less nor more;
//! numbers compare by value, texts by code point; values of different kinds are unequal.

mod check;
mod number;
mod simplify;
mod subject;
mod values;
mod window;
mod words;

pub use check::{Bound, Bounds, Check, Moment, Range, Value};
pub use number::Number;
pub use subject::{Facts, Field, Found, Path, Subject};
pub use values::Values;
pub use window::{Passing, Window};

use crate::{Event, Timestamp};

/// A condition. Made by [`Predicate::all`] and [`Predicate::any`], it is flat and in order, and has
/// no part that decides nothing.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Predicate {
    /// One test.
    Test(Test),
    /// Every one holds; of none, always.
    All(Vec<Predicate>),
    /// At least one holds; of none, never.
    Any(Vec<Predicate>),
}

/// One look at one thing. It has an answer always, so that its negation is exact: of what is absent
/// a check is false, unless it asks for just that, and negated it is true.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Test {
    /// What is looked at.
    pub of: Subject,
    /// What is asked.
    pub check: Check,
    /// Whether the contrary is asked.
    pub negated: bool,
}

impl Predicate {
    /// What holds always.
    pub const ALWAYS: Self = Self::All(Vec::new());
    /// What never holds.
    pub const NEVER: Self = Self::Any(Vec::new());

    /// Whether it holds always.
    pub fn is_always(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }

    /// Whether it never holds.
    pub fn is_never(&self) -> bool {
        matches!(self, Self::Any(parts) if parts.is_empty())
    }

    /// Whether it holds of these facts.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Self::Test(test) => test.holds(facts),
        }
    }

    /// What remains when only the task is known: whatever asks for something else may hold.
    pub fn of_task(&self) -> Self {
        match self {
            Self::All(parts) => Self::all(parts.iter().map(Self::of_task)),
            Self::Any(parts) => Self::any(parts.iter().map(Self::of_task)),
            Self::Test(test) if matches!(test.of, Subject::Task(_)) => self.clone(),
            Self::Test(_) => Self::ALWAYS,
        }
    }

    /// What remains to be asked of a task when the event is known: whatever asks for something else
    /// is decided.
    pub fn for_event(&self, event: &Event, now: Timestamp) -> Self {
        let facts = Facts {
            task: None,
            event,
            now,
        };
        match self {
            Self::All(parts) => Self::all(parts.iter().map(|part| part.for_event(event, now))),
            Self::Any(parts) => Self::any(parts.iter().map(|part| part.for_event(event, now))),
            Self::Test(test) if matches!(test.of, Subject::Task(_)) => self.clone(),
            Self::Test(test) if test.holds(&facts) => Self::ALWAYS,
            Self::Test(_) => Self::NEVER,
        }
    }

    /// What remains to be asked of a task at each occurrence of a schedule, one of which this is. None
    /// when it asks for what one occurrence has and another has not.
    pub fn for_occurrences(&self, one: &Event) -> Option<Self> {
        (!self.asks_for_data()).then(|| self.for_event(one, one.time))
    }

    fn asks_for_data(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::asks_for_data),
            Self::Test(test) => matches!(test.of, Subject::EventData(_)),
        }
    }

    /// How many tests it is made of.
    pub fn size(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::size).sum(),
            Self::Test(_) => 1,
        }
    }
}

impl Test {
    /// The test, as it is written; see [`Predicate::test`] for its simplest form.
    pub fn new(of: Subject, check: Check) -> Self {
        Self {
            of,
            check,
            negated: false,
        }
    }

    /// Whether it holds of these facts.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        let found = self.of.find(facts);
        self.check.holds(&found, facts.now) != self.negated
    }

    /// The contrary, exactly.
    pub fn negate(&self) -> Self {
        Self {
            negated: !self.negated,
            ..self.clone()
        }
    }

    /// The same without a negation, of a range with one end, where the subject is there whenever
    /// there is a task: "not before" is "at or after".
    pub fn upright(&self) -> Option<Self> {
        let Check::Range(range) = &self.check else {
            return None;
        };
        // What is of another kind lies on neither side.
        (self.negated && self.of.is_of_kind(range) && !self.of.may_be_absent())
            .then(|| range.beyond())
            .flatten()
            .map(|range| Self::new(self.of.clone(), Check::Range(range)))
    }
}

#[cfg(test)]
mod tests;
