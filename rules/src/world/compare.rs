//! Comparisons between kinds.
//!
//! Rhai answers `task.priority == "high"` with false, and the author never learns why the rule
//! does nothing. Here every comparison of a host type with another kind is an error that names
//! both; only an absent value may be compared with anything, is equal to nothing else, and is
//! neither less nor more.

use super::{BusinessDays, Moment, TaskHandle, UserHandle, kind_of};
use crate::evaluation::{self, Host};
use crate::words::{Defined, Words};
use rhai::{Dynamic, Variant};
use smarttasks_model::{Priority, Span};

/// The operators and functions that compare.
struct Comparisons {
    equal: Defined,
    unequal: Defined,
    less: Defined,
    at_most: Defined,
    more: Defined,
    at_least: Defined,
    min: Defined,
    max: Defined,
}

pub(super) fn define(words: &mut Words) {
    let comparisons = comparisons(words);
    let Comparisons { equal, unequal, .. } = comparisons;
    ordered::<Priority>(words, &comparisons);
    ordered::<Moment>(words, &comparisons);
    ordered::<Span>(words, &comparisons);
    ordered::<BusinessDays>(words, &comparisons);
    equal.is(words, |a: UserHandle, b: UserHandle| a == b);
    unequal.is(words, |a: UserHandle, b: UserHandle| a != b);
    equal.is(words, |a: TaskHandle, b: TaskHandle| same(a, b));
    unequal.is(words, |a: TaskHandle, b: TaskHandle| {
        same(a, b).map(|same| !same)
    });
    mixed_equality::<UserHandle>(words, &comparisons);
    mixed_equality::<TaskHandle>(words, &comparisons);
}

fn comparisons(words: &mut Words) -> Comparisons {
    words.topic("Comparing");
    Comparisons {
        equal: words.operator(
            "any == any -> bool",
            "Whether both are the same. An absent value equals only another absent value. To compare a priority, a time, a duration, a task or a user with something of another kind is an error.",
            "if task.assignee == user(\"bob@example.com\") { log(\"Bob's\"); } // Bob's",
        ),
        unequal: words.operator(
            "any != any -> bool",
            "Whether they differ.",
            "if task.assignee != () { log(\"taken\"); } // taken",
        ),
        less: words.operator(
            "any < any -> bool",
            "Whether the first is less: an earlier time, a shorter duration, a lower priority. With an absent value it is false, whichever way round.",
            "log(task.completed_at < now()); // false",
        ),
        at_most: words.operator(
            "any <= any -> bool",
            "Whether the first is less or the same.",
            "log(task.age <= days(10)); // true",
        ),
        more: words.operator(
            "any > any -> bool",
            "Whether the first is more.",
            "log(now() > task.due_at); // true",
        ),
        at_least: words.operator(
            "any >= any -> bool",
            "Whether the first is more or the same.",
            "log(task.priority >= HIGH); // true",
        ),
        min: words.function(
            "min(a: any, b: any) -> any",
            "The lesser of two of a kind.",
            "log(min(task.priority, NORMAL)); // normal",
        ),
        max: words.function(
            "max(a: any, b: any) -> any",
            "The greater of two of a kind.",
            "log(max(task.due_at, now()) == now()); // true",
        ),
    }
}

fn ordered<T: Variant + Clone + Ord>(words: &mut Words, comparisons: &Comparisons) {
    comparisons.equal.is(words, |a: T, b: T| a == b);
    comparisons.unequal.is(words, |a: T, b: T| a != b);
    comparisons.less.is(words, |a: T, b: T| a < b);
    comparisons.at_most.is(words, |a: T, b: T| a <= b);
    comparisons.more.is(words, |a: T, b: T| a > b);
    comparisons.at_least.is(words, |a: T, b: T| a >= b);
    comparisons.max.is(words, |a: T, b: T| a.max(b));
    comparisons.min.is(words, |a: T, b: T| a.min(b));
    mixed_equality::<T>(words, comparisons);
    let Comparisons {
        less,
        at_most,
        more,
        at_least,
        ..
    } = *comparisons;
    for operator in [less, at_most, more, at_least] {
        operator
            .is(words, |a: T, b: Dynamic| apart(a, b, false))
            .is(words, |a: Dynamic, b: T| apart(b, a, false));
    }
}

fn mixed_equality<T: Variant + Clone>(words: &mut Words, comparisons: &Comparisons) {
    for (operator, when_absent) in [(comparisons.equal, false), (comparisons.unequal, true)] {
        operator
            .is(words, move |a: T, b: Dynamic| apart(a, b, when_absent))
            .is(words, move |a: Dynamic, b: T| apart(b, a, when_absent));
    }
}

/// Whether two handles stand for one task.
fn same(a: TaskHandle, b: TaskHandle) -> Host<bool> {
    evaluation::with(|e| Ok(e.task(a)?.id == e.task(b)?.id))
}

/// The answer when `other` is absent, and an error when it is anything else.
fn apart<T: Variant + Clone>(host: T, other: Dynamic, when_absent: bool) -> Host<bool> {
    if other.is_unit() {
        return Ok(when_absent);
    }
    let host = Dynamic::from(host);
    let hint = if host.is::<Priority>() && other.is_string() {
        "; write HIGH, not \"high\""
    } else if host.is::<Moment>() && other.is_string() {
        "; read a text with timestamp(…)"
    } else if host.is::<UserHandle>() && other.is_string() {
        "; compare its `.id` or `.email`, or write user(…)"
    } else if host.is::<TaskHandle>() && other.is_string() {
        "; compare its `.id`"
    } else if host.is::<Span>() && (other.is_int() || other.is_float()) {
        "; write hours(1), not 1"
    } else {
        ""
    };
    let message = format!(
        "{} cannot be compared with {}{hint}",
        kind_of(&host),
        kind_of(&other)
    );
    Err(message.into())
}
