//! Instants, and lengths of time.

mod business_days;
mod spans;

pub(crate) use business_days::BusinessDays;

use super::unknown_field;
use crate::evaluation::{self, Evaluation, Host};
use crate::words::Words;
use chrono::format::StrftimeItems;
use chrono::{DateTime, Datelike, Timelike};
use chrono_tz::Tz;
use rhai::{Dynamic, INT, ImmutableString};
use smarttasks_model::{Span, TimeZone, Timestamp};
use std::cmp::Ordering;
use std::fmt::Write;

/// The fields of a [`Moment`].
const PARTS: &[&str] = &[
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "weekday",
    "is_weekend",
    "zone",
];

/// Longest pattern of `format`: chrono's output grows to twelve times its pattern.
const LONGEST_PATTERN: usize = 64;

/// An instant, and the zone in which it is taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Timestamp,
    zone: Tz,
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl Moment {
    fn local(self) -> DateTime<Tz> {
        self.at.to_utc().with_timezone(&self.zone)
    }

    fn plus(self, millis: i64) -> Self {
        Self {
            at: self.at + Span::from_millis(millis),
            ..self
        }
    }
}

/// An instant in the workspace's zone.
pub(super) fn moment(evaluation: &Evaluation, at: Timestamp) -> Dynamic {
    let zone = evaluation.inputs.workspace.timezone.0;
    Dynamic::from(Moment { at, zone })
}

pub(super) fn moment_if(evaluation: &Evaluation, at: Option<Timestamp>) -> Dynamic {
    at.map_or(Dynamic::UNIT, |at| moment(evaluation, at))
}

pub(super) fn define(words: &mut Words) {
    words.topic("Time");
    words.type_name::<Moment>("Timestamp");
    words.written::<Moment>(|moment| Ok(moment.local().to_rfc3339().into()));
    words.other_fields::<Moment>(|name| unknown_field("a time", name, PARTS));
    define_instants(words);
    define_date(words);
    define_clock(words);
    spans::define(words);
    business_days::define(words);
}

fn define_instants(words: &mut Words) {
    words
        .function(
            "now() -> Timestamp",
            "The instant of the run; it stands still throughout.",
            r#"if task.due_at < now() { log("late"); } // late"#,
        )
        .is(words, || -> Host<Dynamic> {
            evaluation::with(|e| Ok(moment(e, e.inputs.now)))
        });
    words
        .function(
            "timestamp(text: text) -> Timestamp",
            "Reads RFC 3339 with a zone, years 1970 to 9999. Anything else is an error.",
            r#"log(timestamp("2026-12-24T18:00:00Z") > now()); // true"#,
        )
        .is(words, |text: &str| -> Host<Dynamic> {
            let at: Timestamp = text
                .parse()
                .map_err(|error| format!("timestamp(\"{text}\"): {error}"))?;
            evaluation::with(|e| Ok(moment(e, at)))
        });
    words
        .function(
            "Timestamp.in_zone(zone: text) -> Timestamp",
            "The same instant, shown and taken apart in another zone, by its IANA name. Times are in the workspace's zone unless this says another. An unknown zone is an error.",
            r#"log(now().in_zone("Asia/Tokyo").hour); // 17"#,
        )
        .is(words, |moment: Moment, zone: &str| -> Host<Moment> {
            let zone: TimeZone = zone
                .parse()
                .map_err(|error| format!("in_zone(\"{zone}\"): {error}"))?;
            Ok(Moment {
                zone: zone.0,
                ..moment
            })
        });
    words
        .function(
            "Timestamp.format(pattern: text) -> text",
            "Written by a pattern of strftime, such as %d day, %b month, %Y year, %A weekday, %H:%M clock, %Z zone. A pattern has at most 64 bytes; a wrong one is an error.",
            r#"log(task.due_at.format("%d %b %H:%M")); // 01 Dec 10:00"#,
        )
        .is(words, |moment: Moment, pattern: &str| {
            format(moment, pattern)
        });
}

fn define_date(words: &mut Words) {
    words.field(
        "Timestamp.year: int",
        "The year, in its zone.",
        "log(now().year); // 2026",
        |moment: &mut Moment| Ok(INT::from(moment.local().year())),
    );
    words.field(
        "Timestamp.month: int",
        "The month, from 1.",
        "log(now().month); // 12",
        |moment: &mut Moment| Ok(INT::from(moment.local().month())),
    );
    words.field(
        "Timestamp.day: int",
        "The day of the month, from 1.",
        "log(now().day); // 4",
        |moment: &mut Moment| Ok(INT::from(moment.local().day())),
    );
    words.field(
        "Timestamp.weekday: text",
        "The English name of the day.",
        r#"if now().weekday == "Friday" { log("nearly there"); } // nearly there"#,
        |moment: &mut Moment| {
            Ok(ImmutableString::from(
                moment.local().format("%A").to_string(),
            ))
        },
    );
    words.field(
        "Timestamp.is_weekend: bool",
        "Whether it is Saturday or Sunday.",
        "log(now().is_weekend); // false",
        |moment: &mut Moment| Ok(moment.local().weekday().num_days_from_monday() >= 5),
    );
    words.field(
        "Timestamp.zone: text",
        "The IANA name of the zone in which it is taken apart.",
        "log(now().zone); // Europe/Berlin",
        |moment: &mut Moment| Ok(ImmutableString::from(moment.zone.name())),
    );
}

fn define_clock(words: &mut Words) {
    words.field(
        "Timestamp.hour: int",
        "The hour, from 0 to 23.",
        "log(now().hour >= 9 && now().hour < 17); // true",
        |moment: &mut Moment| Ok(INT::from(moment.local().hour())),
    );
    words.field(
        "Timestamp.minute: int",
        "The minute, from 0 to 59.",
        "log(now().minute); // 0",
        |moment: &mut Moment| Ok(INT::from(moment.local().minute())),
    );
    words.field(
        "Timestamp.second: int",
        "The second, from 0 to 59.",
        "log(now().second); // 0",
        |moment: &mut Moment| Ok(INT::from(moment.local().second())),
    );
}

/// By a pattern of `strftime`, checked first because chrono panics on a bad one.
fn format(moment: Moment, pattern: &str) -> Host<ImmutableString> {
    if pattern.len() > LONGEST_PATTERN {
        return Err(format!("a pattern may have {LONGEST_PATTERN} bytes at most").into());
    }
    let bad = || format!("`{pattern}` is not a pattern of strftime, such as %d %b %H:%M");
    let items = StrftimeItems::new(pattern).parse().map_err(|_| bad())?;
    let mut text = String::new();
    write!(text, "{}", moment.local().format_with_items(items.iter())).map_err(|_| bad())?;
    Ok(text.into())
}
