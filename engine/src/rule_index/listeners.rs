//! The rules that listen to one event pattern, filed under what few events share.

use super::intervals::Intervals;
use super::{Slot, Slots};
use smarttasks_model::Timestamp;
use smarttasks_model::predicate::{
    Bounds, Check, Facts, Field, Found, Moment, Number, Predicate, Range, Subject, Test, Value,
};
use std::collections::HashMap;

/// Where a rule is filed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Filed {
    /// Among those that every event of the pattern may concern.
    Rest,
    /// Under these tests of its predicate, counted from the left, as bits: whenever it holds, one
    /// of them does.
    Under(u64),
}

/// Rules that listen to the same events.
#[derive(Default)]
pub(super) struct Listeners {
    subjects: HashMap<Subject, Filings>,
    rest: Slots,
    len: usize,
}

impl Listeners {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Files a rule, and says where.
    pub(super) fn insert(&mut self, slot: Slot, predicate: &Predicate) -> Filed {
        let choice = self.choose(predicate, &mut 0);
        let filed = match choice.filter(|choice| choice.share < 1.0) {
            Some(choice) => Filed::Under(choice.tests),
            None => Filed::Rest,
        };
        self.len += 1;
        match filed {
            Filed::Rest => drop(self.rest.insert(slot)),
            Filed::Under(tests) => each_test(predicate, tests, &mut |test| {
                let filings = self.subjects.entry(test.of.clone()).or_default();
                for key in keys(&test.check).unwrap_or_default() {
                    filings.insert(key, slot);
                }
            }),
        }
        filed
    }

    pub(super) fn remove(&mut self, slot: Slot, predicate: &Predicate, filed: Filed) {
        self.len -= 1;
        match filed {
            Filed::Rest => drop(self.rest.remove(&slot)),
            Filed::Under(tests) => each_test(predicate, tests, &mut |test| {
                let Some(filings) = self.subjects.get_mut(&test.of) else {
                    return;
                };
                for key in keys(&test.check).unwrap_or_default() {
                    filings.remove(key, slot);
                }
                if filings.len == 0 {
                    self.subjects.remove(&test.of);
                }
            }),
        }
    }

    /// The slots of all rules whose predicate may hold; some perhaps more than once.
    pub(super) fn collect(&self, facts: &Facts<'_>, into: &mut Vec<Slot>) {
        into.extend(&self.rest);
        for (subject, filings) in &self.subjects {
            filings.collect(&subject.find(facts), facts.now, into);
        }
    }

    /// The tests that let the fewest events through, of those by which a predicate can be found.
    fn choose(&self, predicate: &Predicate, number: &mut u32) -> Option<Choice> {
        match predicate {
            Predicate::Test(test) => {
                let bit = 1_u64.checked_shl(*number);
                *number += 1;
                Some(Choice {
                    tests: bit?,
                    share: self.share(test)?,
                })
            }
            Predicate::All(parts) => {
                // Every part is looked at, for the numbers to be right.
                let choices: Vec<_> = parts.iter().map(|part| self.choose(part, number)).collect();
                let choices = choices.into_iter().flatten();
                choices.min_by(|a, b| a.share.total_cmp(&b.share))
            }
            Predicate::Any(parts) => {
                let choices: Vec<_> = parts.iter().map(|part| self.choose(part, number)).collect();
                let nowhere = Choice {
                    tests: 0,
                    share: 0.0,
                };
                choices.into_iter().try_fold(nowhere, |all, choice| {
                    let choice = choice?;
                    Some(Choice {
                        tests: all.tests | choice.tests,
                        share: all.share + choice.share,
                    })
                })
            }
        }
    }

    /// About the share of events that pass a test; none when it cannot be looked up.
    fn share(&self, test: &Test) -> Option<f64> {
        if test.negated {
            return None;
        }
        match &test.check {
            Check::Holds(_) => None,
            Check::Has(tag) => Some(TAGS * self.share_of(test, &Key::Text(tag))),
            Check::OneOf(values) if values.len() > FILED => None,
            Check::OneOf(values) => {
                Some(values.iter().map(|of| self.share_of_value(test, of)).sum())
            }
            Check::Range(range) => Some(if has_both_ends(range) { 0.25 } else { 0.5 }),
        }
    }

    fn share_of_value(&self, test: &Test, value: &Value) -> f64 {
        match (&test.of, value) {
            (Subject::EventType, _) => 0.25,
            (_, Value::Absent | Value::Bool(_)) => 0.5,
            (_, Value::Status(_)) => 0.2,
            (_, Value::Priority(_)) => 0.25,
            // An id is absent where there is no task, and else hardly ever the same.
            (Subject::Task(Field::Id), Value::Id(_)) => 0.0,
            (_, Value::Text(text)) => self.share_of(test, &Key::Text(text)),
            (_, Value::Id(_)) => self.share_of(test, &Key::Plain(value)),
            (_, Value::Number(_)) => 1.0 / UNKNOWN,
        }
    }

    /// How common a value is among the rules that are filed under its like, and so perhaps among
    /// events.
    fn share_of(&self, test: &Test, key: &Key<'_>) -> f64 {
        let Some(filings) = self.subjects.get(&test.of) else {
            return 1.0 / UNKNOWN;
        };
        let same = match key {
            Key::Text(text) => filings.texts.get(*text),
            Key::Plain(value) => filings.plain.get(value),
            _ => None,
        };
        let same = same.map_or(0, Slots::len) as f64;
        (same + 1.0) / (filings.values as f64 + UNKNOWN)
    }
}

/// Values that a subject is taken to have before any are known.
const UNKNOWN: f64 = 32.0;
/// Values that a rule is filed under because of one test, at most: each takes memory.
const FILED: usize = 256;
/// Tags that a task is taken to have.
const TAGS: f64 = 3.0;

struct Choice {
    tests: u64,
    share: f64,
}

fn has_both_ends(range: &Range) -> bool {
    fn both<T>(bounds: &Bounds<T>) -> bool {
        bounds.min.is_some() && bounds.max.is_some()
    }
    match range {
        Range::Time(bounds) => both(bounds),
        Range::Number(bounds) => both(bounds),
        Range::Text(bounds) => both(bounds),
    }
}

/// The tests of a predicate that are among `tests`.
fn each_test(predicate: &Predicate, tests: u64, then: &mut impl FnMut(&Test)) {
    fn walk(predicate: &Predicate, left: &mut u64, then: &mut impl FnMut(&Test)) {
        match predicate {
            Predicate::Test(test) => {
                if *left & 1 == 1 {
                    then(test);
                }
                *left >>= 1;
            }
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().for_each(|part| walk(part, left, then));
            }
        }
    }
    walk(predicate, &mut { tests }, then);
}

/// Rules by what they ask of one subject.
#[derive(Default)]
struct Filings {
    texts: HashMap<String, Slots>,
    /// What is neither a text nor a number.
    plain: HashMap<Value, Slots>,
    numbers: Intervals<i64>,
    times: Intervals<i64>,
    /// Times less the present one.
    from_now: Intervals<i64>,
    alphabet: Intervals<String>,
    /// Under how many keys there is something, each as often as there is.
    len: usize,
    /// How many of them are texts and ids.
    values: usize,
}

/// What a rule is filed under: a value, or from where to where.
enum Key<'a> {
    Text(&'a str),
    Plain(&'a Value),
    Numbers(Ends<i64>),
    Times(Ends<i64>),
    FromNow(Ends<i64>),
    Alphabet(Ends<String>),
}

type Ends<T> = (Option<T>, Option<T>);

impl Key<'_> {
    fn is_value(&self) -> bool {
        matches!(self, Key::Text(_) | Key::Plain(Value::Id(_)))
    }
}

impl Filings {
    fn insert(&mut self, key: Key<'_>, slot: Slot) {
        self.len += 1;
        self.values += usize::from(key.is_value());
        match key {
            Key::Text(text) => match self.texts.get_mut(text) {
                Some(slots) => drop(slots.insert(slot)),
                None => drop(self.texts.insert(text.to_owned(), Slots::from([slot]))),
            },
            Key::Plain(value) => {
                self.plain.entry(value.clone()).or_default().insert(slot);
            }
            Key::Numbers((min, max)) => self.numbers.insert(min, max, slot),
            Key::Times((min, max)) => self.times.insert(min, max, slot),
            Key::FromNow((min, max)) => self.from_now.insert(min, max, slot),
            Key::Alphabet((min, max)) => self.alphabet.insert(min, max, slot),
        }
    }

    fn remove(&mut self, key: Key<'_>, slot: Slot) {
        self.len -= 1;
        self.values -= usize::from(key.is_value());
        match key {
            Key::Text(text) => {
                if let Some(slots) = self.texts.get_mut(text) {
                    slots.remove(&slot);
                    if slots.is_empty() {
                        self.texts.remove(text);
                    }
                }
            }
            Key::Plain(value) => {
                if let Some(slots) = self.plain.get_mut(value) {
                    slots.remove(&slot);
                    if slots.is_empty() {
                        self.plain.remove(value);
                    }
                }
            }
            Key::Numbers((min, max)) => self.numbers.remove(min, max, slot),
            Key::Times((min, max)) => self.times.remove(min, max, slot),
            Key::FromNow((min, max)) => self.from_now.remove(min, max, slot),
            Key::Alphabet((min, max)) => self.alphabet.remove(min, max, slot),
        }
    }

    fn collect(&self, found: &Found<'_>, now: Timestamp, into: &mut Vec<Slot>) {
        match found {
            Found::Text(text) => {
                into.extend(self.texts.get(&**text).into_iter().flatten());
                self.alphabet.collect::<str>(text, text, into);
            }
            Found::Texts(texts) => {
                let filed = texts.iter().filter_map(|text| self.texts.get(text));
                into.extend(filed.flatten());
            }
            Found::Number(number) => {
                let at = ordered(number.value());
                self.numbers.collect(&at, &at, into);
            }
            Found::Time(at) => {
                let millis = at.unix_millis();
                self.times.collect(&millis, &millis, into);
                let (from, to) = distance(*at, now);
                self.from_now.collect(&from, &to, into);
            }
            Found::Absent => self.collect_plain(&Value::Absent, into),
            Found::Bool(truth) => self.collect_plain(&Value::Bool(*truth), into),
            Found::Status(status) => self.collect_plain(&Value::Status(*status), into),
            Found::Priority(priority) => self.collect_plain(&Value::Priority(*priority), into),
            Found::Id(id) => self.collect_plain(&Value::Id(*id), into),
            Found::Many => {}
        }
    }

    fn collect_plain(&self, value: &Value, into: &mut Vec<Slot>) {
        into.extend(self.plain.get(value).into_iter().flatten());
    }
}

/// What is to be looked up to find whatever passes a check; none when it cannot be looked up.
fn keys(check: &Check) -> Option<Vec<Key<'_>>> {
    Some(match check {
        Check::Holds(_) => return None,
        Check::Has(tag) => vec![Key::Text(tag)],
        Check::OneOf(values) => values.iter().map(key).collect(),
        Check::Range(Range::Time(bounds)) => vec![times(bounds)],
        Check::Range(Range::Number(bounds)) => {
            let min = bounds.min.as_ref().map(|min| ordered(min.at.least()));
            let max = bounds.max.as_ref().map(|max| ordered(max.at.most()));
            vec![Key::Numbers((min, max))]
        }
        Check::Range(Range::Text(bounds)) => {
            let min = bounds.min.as_ref().map(|min| min.at.clone());
            let max = bounds.max.as_ref().map(|max| max.at.clone());
            vec![Key::Alphabet((min, max))]
        }
    })
}

fn key(value: &Value) -> Key<'_> {
    match value {
        Value::Text(text) => Key::Text(text),
        Value::Number(number) => Key::Numbers(near(*number)),
        plain => Key::Plain(plain),
    }
}

/// The numbers that a script may call equal to this one.
fn near(number: Number) -> Ends<i64> {
    (Some(ordered(number.least())), Some(ordered(number.most())))
}

/// Of an end that stands still and one that moves with now, the one that stands still serves.
fn times(bounds: &Bounds<Moment>) -> Key<'static> {
    let min = bounds.min.as_ref().map(|min| min.at);
    let max = bounds.max.as_ref().map(|max| max.at);
    let still = |moment| match moment {
        Moment::At(instant) => Some(instant.unix_millis()),
        Moment::Now(_) => None,
    };
    let moving = |moment| match moment {
        Moment::Now(offset) => Some(offset.millis()),
        Moment::At(_) => None,
    };
    match (min.and_then(still), max.and_then(still)) {
        (None, None) => Key::FromNow((min.and_then(moving), max.and_then(moving))),
        ends => Key::Times(ends),
    }
}

/// How long after now an instant is, at least and at most. Instants are kept within their first
/// and their last: what lies there may be any distance away.
fn distance(at: Timestamp, now: Timestamp) -> (i64, i64) {
    let distance = at.unix_millis() - now.unix_millis();
    let first = at.unix_millis() <= 0;
    let last = at >= Timestamp::MAX;
    (
        if first { i64::MIN } else { distance },
        if last { i64::MAX } else { distance },
    )
}

/// A whole number that is in the same order as the fraction, as `f64::total_cmp` has it.
fn ordered(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    bits ^ (bits >> 63).cast_unsigned().wrapping_shr(1).cast_signed()
}
