//! Predicates put together, in the fewest tests that say the same.
//!
//! "All" is simplified by what its parts have to do with each other; "any" is "all" seen in the
//! mirror, since negation is exact. Only the bound on size makes a predicate wider than what it was
//! put together from, and only ever wider.

use super::{Check, Field, Predicate, Subject, Test, Value};
use crate::{Priority, Status};
use std::collections::BTreeSet;

/// Most tests of a predicate; what would have more is widened.
const MOST: usize = 64;

/// How often parts are held against each other before what is left is left as it is.
const ROUNDS: usize = 4;

impl Predicate {
    /// A predicate of one test, in its simplest form.
    pub fn test(of: Subject, check: Check) -> Self {
        normal(Test::new(of, check))
    }

    /// Holds where every part holds; perhaps elsewhere too, if there are very many.
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let parts: Vec<Self> = parts.into_iter().take(2 * MOST).collect();
        narrowest(parts).bounded()
    }

    /// Holds where any part holds; perhaps elsewhere too, if there are very many.
    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut negated = Vec::new();
        for part in parts {
            if part.is_always() || negated.len() == 2 * MOST {
                return Self::ALWAYS;
            }
            if !part.is_never() {
                negated.push(part.negate());
            }
        }
        match &negated[..] {
            [one] => one.negate(),
            _ => narrowest(negated).negate().bounded(),
        }
    }

    /// Holds where both hold; see [`Predicate::all`].
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self.is_always() || other.is_never() {
            return other;
        }
        if other.is_always() || self.is_never() {
            return self;
        }
        Self::all([self, other])
    }

    /// Holds where either holds; see [`Predicate::any`].
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self.is_never() || other.is_always() {
            return other;
        }
        if other.is_never() || self.is_always() {
            return self;
        }
        Self::any([self, other])
    }

    /// Holds exactly where this one does not.
    pub fn negate(&self) -> Self {
        match self {
            Self::All(parts) => Self::Any(sorted(parts.iter().map(Self::negate).collect())),
            Self::Any(parts) => Self::All(sorted(parts.iter().map(Self::negate).collect())),
            Self::Test(test) => normal(test.negate()),
        }
    }

    fn bounded(self) -> Self {
        if self.size() <= MOST {
            return self;
        }
        match self {
            Self::All(mut parts) => {
                // Conditions that are left out only make it wider; the simplest say most.
                parts.sort_by_key(Self::size);
                let mut left = MOST;
                parts.retain(|part| {
                    let fits = part.size() <= left;
                    left -= if fits { part.size() } else { 0 };
                    fits
                });
                one_or(sorted(parts), Self::All)
            }
            Self::Any(parts) if parts.len() <= MOST / 2 => {
                let each = MOST / parts.len();
                let parts = parts.into_iter().map(|part| part.shortened(each));
                one_or(sorted(parts.collect()), Self::Any)
            }
            _ => Self::ALWAYS,
        }
    }

    /// Wider, with at most so many tests.
    fn shortened(self, most: usize) -> Self {
        match self {
            part if part.size() <= most => part,
            Self::All(parts) => {
                let tests = parts.into_iter().filter(|part| part.size() == 1);
                one_or(tests.take(most).collect(), Self::All)
            }
            _ => Self::ALWAYS,
        }
    }
}

fn sorted(mut parts: Vec<Predicate>) -> Vec<Predicate> {
    parts.sort_unstable();
    parts.dedup();
    parts
}

fn one_or(mut parts: Vec<Predicate>, many: fn(Vec<Predicate>) -> Predicate) -> Predicate {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}

/// One way to write each test: sets of what there are few of are never negated, and no set is
/// empty or full.
fn normal(test: Test) -> Predicate {
    let Check::OneOf(values) = &test.check else {
        return Predicate::Test(test);
    };
    let Some(domain) = domain(&test.of) else {
        return match values.is_empty() {
            false => Predicate::Test(test),
            true if test.negated => Predicate::ALWAYS,
            true => Predicate::NEVER,
        };
    };
    let kept = domain
        .iter()
        .filter(|value| values.contains(value) != test.negated);
    match kept.clone().count() {
        0 => Predicate::NEVER,
        all if all == domain.len() => Predicate::ALWAYS,
        some if some == values.len() && !test.negated => Predicate::Test(test),
        _ => Predicate::Test(Test::new(test.of, Check::one_of(kept.cloned()))),
    }
}

/// All that a subject can be, where that is little.
fn domain(of: &Subject) -> Option<&'static [Value]> {
    use Value::Absent;
    const STATUSES: &[Value] = &[
        Absent,
        Value::Status(Status::Todo),
        Value::Status(Status::InProgress),
        Value::Status(Status::Blocked),
        Value::Status(Status::Done),
        Value::Status(Status::Cancelled),
    ];
    const PRIORITIES: &[Value] = &[
        Absent,
        Value::Priority(Priority::Low),
        Value::Priority(Priority::Normal),
        Value::Priority(Priority::High),
        Value::Priority(Priority::Urgent),
    ];
    match of {
        Subject::Task(Field::Status) | Subject::Previous(Field::Status) => Some(STATUSES),
        Subject::Task(Field::Priority) | Subject::Previous(Field::Priority) => Some(PRIORITIES),
        Subject::Changed(_) => Some(&[Value::Bool(false), Value::Bool(true)]),
        _ => None,
    }
}

/// Parts of which all must hold.
#[derive(Default)]
struct Parts {
    tests: Vec<Test>,
    /// Of each at least one must hold.
    choices: Vec<Vec<Predicate>>,
    never: bool,
}

/// Exactly what holds where all parts hold.
fn narrowest(parts: Vec<Predicate>) -> Predicate {
    let mut all = Parts::default();
    parts.into_iter().for_each(|part| all.add(part));
    for _ in 0..ROUNDS {
        if all.never || !all.held_against_each_other() {
            break;
        }
    }
    if all.never {
        return Predicate::NEVER;
    }
    all.factor();
    let tests = all.tests.into_iter().map(Predicate::Test);
    let choices = all.choices.into_iter();
    let choices = choices.map(|choice| one_or(sorted(choice), Predicate::Any));
    one_or(sorted(tests.chain(choices).collect()), Predicate::All)
}

impl Parts {
    fn add(&mut self, part: Predicate) {
        match part {
            Predicate::All(parts) => parts.into_iter().for_each(|part| self.add(part)),
            Predicate::Any(parts) if parts.is_empty() => self.never = true,
            Predicate::Any(parts) => self.choices.push(parts),
            Predicate::Test(test) => self.add_test(test),
        }
    }

    /// Adds a test, or what it makes of one that is there.
    fn add_test(&mut self, mut test: Test) {
        let mut at = 0;
        while at < self.tests.len() {
            match self.tests[at].meet(&test) {
                Meet::Apart => at += 1,
                Meet::Never => {
                    self.never = true;
                    return;
                }
                Meet::One(one) if one == self.tests[at] => return,
                Meet::One(one) => {
                    // What is there now may have to do with those before.
                    self.tests.swap_remove(at);
                    (test, at) = (one, 0);
                }
            }
        }
        self.tests.push(test);
    }

    /// Takes from the choices what the tests decide; whether anything has come of it that may
    /// decide more.
    fn held_against_each_other(&mut self) -> bool {
        let mut again = false;
        let choices = std::mem::take(&mut self.choices);
        for choice in choices {
            match self.decided(choice) {
                None => {}
                Some(mut choice) if choice.len() <= 1 => {
                    again = true;
                    match choice.pop() {
                        Some(only) => self.add(only),
                        None => self.never = true,
                    }
                }
                Some(choice) => self.choices.push(choice),
            }
        }
        self.drop_wider_choices();
        again && !self.choices.is_empty()
    }

    /// What is left of a choice, given the tests; none when it holds anyway.
    fn decided(&self, choice: Vec<Predicate>) -> Option<Vec<Predicate>> {
        let mut left = Vec::with_capacity(choice.len());
        for part in choice {
            let part = match part {
                Predicate::Test(test) => self.given(test),
                Predicate::All(parts) => {
                    let given = parts.into_iter().map(|part| match part {
                        Predicate::Test(test) => self.given(test),
                        other => other,
                    });
                    let given: Vec<Predicate> = given.filter(|part| !part.is_always()).collect();
                    match given.iter().any(Predicate::is_never) {
                        true => Predicate::NEVER,
                        false => one_or(given, Predicate::All),
                    }
                }
                other @ Predicate::Any(_) => other,
            };
            if part.is_always() {
                return None;
            }
            match part {
                Predicate::Any(parts) => left.extend(parts),
                other => left.push(other),
            }
        }
        Some(left)
    }

    /// A test where those of all hold.
    fn given(&self, test: Test) -> Predicate {
        for known in &self.tests {
            match known.meet(&test) {
                Meet::Never => return Predicate::NEVER,
                Meet::One(one) if one == *known => return Predicate::ALWAYS,
                Meet::One(_) | Meet::Apart => {}
            }
        }
        Predicate::Test(test)
    }

    /// Of two choices, one of which has all parts of the other, that one says nothing.
    fn drop_wider_choices(&mut self) {
        let choices: Vec<BTreeSet<Predicate>> = std::mem::take(&mut self.choices)
            .into_iter()
            .map(|choice| choice.into_iter().collect())
            .collect();
        for (at, choice) in choices.iter().enumerate() {
            let says_nothing = choices.iter().enumerate().any(|(of, other)| {
                of != at && other.is_subset(choice) && (other != choice || of < at)
            });
            if !says_nothing {
                self.choices.push(choice.iter().cloned().collect());
            }
        }
    }

    /// "A or B, and A or C" is "A, or B and C".
    fn factor(&mut self) {
        let Some((first, rest)) = self.choices.split_first() else {
            return;
        };
        let common: Vec<Predicate> = first
            .iter()
            .filter(|part| rest.iter().all(|choice| choice.contains(part)))
            .cloned()
            .collect();
        if common.is_empty() || rest.is_empty() {
            return;
        }
        let left = std::mem::take(&mut self.choices).into_iter();
        let left = left.map(|choice| {
            let others = choice.into_iter().filter(|part| !common.contains(part));
            one_or(sorted(others.collect()), Predicate::Any)
        });
        let both = narrowest(left.collect());
        let mut choice = common;
        match both {
            Predicate::Any(parts) => choice.extend(parts),
            both => choice.push(both),
        }
        self.choices.push(choice);
    }
}

/// What becomes of two tests that must both hold.
enum Meet {
    /// Neither decides anything of the other.
    Apart,
    Never,
    One(Test),
}

impl Test {
    fn meet(&self, other: &Self) -> Meet {
        if self.of != other.of {
            return Meet::Apart;
        }
        let (a, b) = (&self.check, &other.check);
        match (self.negated, other.negated) {
            (false, false) if a.is_within(b) => Meet::One(self.clone()),
            (false, false) if b.is_within(a) => Meet::One(other.clone()),
            (false, false) if a.is_apart(b) => Meet::Never,
            (false, false) => self.both(a.meet(b)),
            (false, true) => self.without(other),
            (true, false) => other.without(self),
            (true, true) if a.is_within(b) => Meet::One(other.clone()),
            (true, true) if b.is_within(a) => Meet::One(self.clone()),
            (true, true) => self.neither(other),
        }
    }

    fn both(&self, check: Option<Check>) -> Meet {
        match check.map(|check| normal(Self::new(self.of.clone(), check))) {
            None => Meet::Apart,
            Some(Predicate::Test(test)) => Meet::One(test),
            Some(_) => Meet::Never,
        }
    }

    /// This one, which is not negated, and another, which is.
    fn without(&self, other: &Self) -> Meet {
        let (a, b) = (&self.check, &other.check);
        if a.is_within(b) {
            return Meet::Never;
        }
        if a.is_apart(b) {
            return Meet::One(self.clone());
        }
        if let (Check::Range(a), Check::Range(b)) = (a, b)
            && let Some(met) = b.beyond().and_then(|beyond| a.meet(&beyond))
        {
            return self.both(Some(Check::Range(met)));
        }
        self.both(a.without(b))
    }

    /// Both are negated.
    fn neither(&self, other: &Self) -> Meet {
        let negated = |check| Self {
            of: self.of.clone(),
            check,
            negated: true,
        };
        match (&self.check, &other.check) {
            (Check::OneOf(a), Check::OneOf(b)) => Meet::One(negated(Check::OneOf(a.union(b)))),
            (Check::OneOf(set), Check::Range(range)) | (Check::Range(range), Check::OneOf(set))
                if self.of.is_of_kind(range) && set.len() == 1 && set.contains(&Value::Absent) =>
            {
                self.both(range.beyond().map(Check::Range))
            }
            _ => Meet::Apart,
        }
    }
}
