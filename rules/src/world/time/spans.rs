//! Lengths of time: `hours(2)`, `now() - task.due_at`.

use super::Moment;
use crate::evaluation::Host;
use crate::words::{Defined, Words};
use crate::world::{kind_of, unknown_field};
use rhai::{Dynamic, INT};
use smarttasks_model::Span;

/// A hundred years, beyond which a length of time is a mistake.
const LONGEST_MILLIS: i64 = 100 * 366 * 86_400_000;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// The fields of a [`Span`].
const PARTS: &[&str] = &["seconds", "minutes", "hours", "days", "weeks"];

pub(super) fn define(words: &mut Words) {
    words.type_name::<Span>("Duration");
    words.written::<Span>(|span| Ok(spoken(span).into()));
    words.other_fields::<Span>(|name| unknown_field("a duration", name, PARTS));
    define_units(words);
    define_parts(words);
    define_sums(words);
    define_multiples(words);
}

fn define_units(words: &mut Words) {
    let seconds = words.function(
        "seconds(count: int | float) -> Duration",
        "So many seconds. More than a hundred years is an error, as with the other units.",
        "log(now() + seconds(90) > now()); // true",
    );
    let minutes = words.function(
        "minutes(count: int | float) -> Duration",
        "So many minutes.",
        "log(minutes(90)); // 1h 30m",
    );
    let hours = words.function(
        "hours(count: int | float) -> Duration",
        "So many hours.",
        "if task.time_in_status > hours(4) { log(\"stale\"); } // stale",
    );
    let days = words.function(
        "days(count: int | float) -> Duration",
        "So many times 24 hours.",
        "task.update(#{ due_at: now() + days(2) });",
    );
    let weeks = words.function(
        "weeks(count: int | float) -> Duration",
        "So many times seven days of 24 hours.",
        "log(task.age < weeks(2)); // true",
    );
    for (unit, name, millis) in [
        (seconds, "seconds", SECOND),
        (minutes, "minutes", MINUTE),
        (hours, "hours", HOUR),
        (days, "days", DAY),
        (weeks, "weeks", WEEK),
    ] {
        unit.is(words, move |count: Dynamic| span(name, millis, &count));
    }
}

fn define_parts(words: &mut Words) {
    words.field(
        "Duration.seconds: int",
        "How many whole seconds it is.",
        "log(minutes(2).seconds); // 120",
        |span: &mut Span| Ok(span.millis() / SECOND),
    );
    words.field(
        "Duration.minutes: int",
        "How many whole minutes it is.",
        "log(hours(2).minutes); // 120",
        |span: &mut Span| Ok(span.millis() / MINUTE),
    );
    words.field(
        "Duration.hours: int",
        "How many whole hours it is.",
        "log(days(2).hours); // 48",
        |span: &mut Span| Ok(span.millis() / HOUR),
    );
    words.field(
        "Duration.days: int",
        "How many whole days of 24 hours it is.",
        "log((now() - task.due_at).days); // 2",
        |span: &mut Span| Ok(span.millis() / DAY),
    );
    words.field(
        "Duration.weeks: int",
        "How many whole weeks it is.",
        "log(days(20).weeks); // 2",
        |span: &mut Span| Ok(span.millis() / WEEK),
    );
    words
        .function(
            "Duration.abs() -> Duration",
            "Without its sign.",
            "log((task.due_at - now()).abs() < days(3)); // true",
        )
        .is(words, |span: Span| {
            Span::from_millis(span.millis().saturating_abs())
        });
}

fn define_sums(words: &mut Words) {
    words
        .operator(
            "Timestamp - Timestamp -> Duration",
            "How long from the second to the first; negative when the second is later.",
            "log(now() - task.due_at); // 2d 23h",
        )
        .is(words, |a: Moment, b: Moment| {
            Span::from_millis(a.at.unix_millis() - b.at.unix_millis())
        });
    let plus = words
        .operator(
            "Timestamp + Duration -> Timestamp",
            "So much later. Instants end with the year 9999. With an absent value it is an error, and so is `-`.",
            "log((now() + days(1)).weekday); // Saturday",
        )
        .is(words, |a: Moment, b: Span| a.plus(b.millis()))
        .is(words, |a: Span, b: Moment| b.plus(a.millis()));
    refuse_absent(words, plus);
    let minus = words
        .operator(
            "Timestamp - Duration -> Timestamp",
            "So much earlier. Instants begin with the year 1970.",
            "log(task.created_at < now() - weeks(1)); // true",
        )
        .is(words, |a: Moment, b: Span| {
            a.plus(b.millis().saturating_neg())
        });
    refuse_absent(words, minus);
    words
        .operator(
            "Duration + Duration -> Duration",
            "Both together.",
            "log(days(1) + hours(2)); // 1d 2h",
        )
        .is(words, |a: Span, b: Span| {
            Span::from_millis(a.millis().saturating_add(b.millis()))
        });
    words
        .operator(
            "Duration - Duration -> Duration",
            "The first without the second.",
            "log(days(1) - hours(2)); // 22h",
        )
        .is(words, |a: Span, b: Span| {
            Span::from_millis(a.millis().saturating_sub(b.millis()))
        });
    words
        .operator(
            "-Duration -> Duration",
            "As long the other way.",
            "log(-hours(2)); // -2h",
        )
        .is(words, |a: Span| {
            Span::from_millis(a.millis().saturating_neg())
        });
}

fn define_multiples(words: &mut Words) {
    words
        .operator(
            "Duration * int -> Duration",
            "So many times as long.",
            "log(hours(8) * 3); // 1d",
        )
        .is(words, |a: Span, b: INT| {
            Span::from_millis(a.millis().saturating_mul(b))
        })
        .is(words, |a: INT, b: Span| {
            Span::from_millis(b.millis().saturating_mul(a))
        });
    words
        .operator(
            "Duration / int -> Duration",
            "So many times shorter. By zero is an error.",
            "log(days(1) / 4); // 6h",
        )
        .is(words, |a: Span, b: INT| -> Host<Span> {
            a.millis()
                .checked_div(b)
                .map(Span::from_millis)
                .ok_or_else(|| "a duration cannot be divided by zero".into())
        });
    words
        .operator(
            "Duration / Duration -> float",
            "How many times the second is in the first. By an empty one is an error.",
            "log(days(1) / hours(16)); // 1.5",
        )
        .is(words, |a: Span, b: Span| -> Host<f64> {
            if b.millis() == 0 {
                return Err("a duration cannot be divided by an empty one".into());
            }
            Ok(a.millis() as f64 / b.millis() as f64)
        });
}

/// That the task has no deadline is the mistake most often made here.
fn refuse_absent(words: &mut Words, operator: Defined) {
    operator
        .is(words, |_: Moment, _: ()| absent("a time"))
        .is(words, |_: (), _: Moment| absent("a time"))
        .is(words, |_: Span, _: ()| absent("a duration"))
        .is(words, |_: (), _: Span| absent("a duration"));
}

fn absent(other: &str) -> Host<Dynamic> {
    Err(format!(
        "one of these two values is absent, the other is {other}; test it first, such as `if task.due_at != ()`"
    )
    .into())
}

fn span(unit: &str, millis: i64, count: &Dynamic) -> Host<Span> {
    let length = if let Ok(count) = count.as_int() {
        count.checked_mul(millis)
    } else if let Ok(count) = count.as_float() {
        let length = (count * millis as f64).round();
        // The cast is exact within this bound.
        (length.abs() <= LONGEST_MILLIS as f64).then_some(length as i64)
    } else {
        return Err(format!("{unit}(…) takes a number, not {}", kind_of(count)).into());
    };
    length
        .filter(|length| length.unsigned_abs() <= LONGEST_MILLIS.unsigned_abs())
        .map(Span::from_millis)
        .ok_or_else(|| format!("{unit}(…) is longer than a hundred years").into())
}

/// `2d 3h`, `45m`, `-10s`: for mails, so whole seconds and no more than is there.
fn spoken(span: Span) -> String {
    let mut left = span.millis().unsigned_abs() / 1000;
    if left == 0 {
        return "0s".to_owned();
    }
    let mut parts = Vec::new();
    for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if left >= seconds {
            parts.push(format!("{}{unit}", left / seconds));
            left %= seconds;
        }
    }
    let sign = if span.millis() < 0 { "-" } else { "" };
    format!("{sign}{}", parts.join(" "))
}
