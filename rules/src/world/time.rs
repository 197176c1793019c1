//! Instants and lengths of time.

use super::kind_of;
use crate::cron::first_instant;
use crate::evaluation::{self, Evaluation, Host};
use chrono::format::StrftimeItems;
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike};
use chrono_tz::Tz;
use rhai::{Dynamic, Engine, INT, ImmutableString};
use smarttasks_model::{Span, TimeZone, Timestamp};
use std::cmp::Ordering;
use std::fmt::Write;

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

    /// At the same time of the day, by the clocks of its zone.
    fn plus_business_days(self, count: i64) -> Self {
        let local = self.local();
        let date = business_days_from(local.date_naive(), count);
        if date == local.date_naive() {
            return self;
        }
        Self {
            at: first_instant(date.and_time(local.time()), self.zone).into(),
            ..self
        }
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

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Moment>("Timestamp");
    engine.register_type_with_name::<Span>("Duration");
    engine.register_type_with_name::<BusinessDays>("BusinessDays");
    register_instants(engine);
    register_parts(engine);
    register_spans(engine);
    register_arithmetic(engine);
    register_business_days(engine);
}

fn register_instants(engine: &mut Engine) {
    engine.register_fn("now", || -> Host<Dynamic> {
        evaluation::with(|e| Ok(moment(e, e.inputs.now)))
    });
    engine.register_fn("timestamp", |text: &str| -> Host<Dynamic> {
        let at: Timestamp = text
            .parse()
            .map_err(|error| format!("timestamp(\"{text}\"): {error}"))?;
        evaluation::with(|e| Ok(moment(e, at)))
    });
    engine.register_fn("in_zone", |moment: Moment, zone: &str| -> Host<Moment> {
        let zone: TimeZone = zone
            .parse()
            .map_err(|error| format!("in_zone(\"{zone}\"): {error}"))?;
        Ok(Moment {
            zone: zone.0,
            ..moment
        })
    });
    engine.register_fn("format", |moment: Moment, pattern: &str| {
        format(moment, pattern)
    });
    engine.register_fn("to_string", |moment: &mut Moment| {
        moment.local().to_rfc3339()
    });
    engine.register_fn("to_debug", |moment: &mut Moment| {
        moment.local().to_rfc3339()
    });
}

fn register_parts(engine: &mut Engine) {
    engine.register_get("year", |moment: &mut Moment| {
        INT::from(moment.local().year())
    });
    engine.register_get("month", |moment: &mut Moment| {
        INT::from(moment.local().month())
    });
    engine.register_get("day", |moment: &mut Moment| INT::from(moment.local().day()));
    engine.register_get("hour", |moment: &mut Moment| {
        INT::from(moment.local().hour())
    });
    engine.register_get("minute", |moment: &mut Moment| {
        INT::from(moment.local().minute())
    });
    engine.register_get("second", |moment: &mut Moment| {
        INT::from(moment.local().second())
    });
    engine.register_get("weekday", |moment: &mut Moment| -> ImmutableString {
        moment.local().format("%A").to_string().into()
    });
    engine.register_get("is_weekend", |moment: &mut Moment| {
        moment.local().weekday().num_days_from_monday() >= 5
    });
    engine.register_get("zone", |moment: &mut Moment| moment.zone.name());
}

fn register_spans(engine: &mut Engine) {
    for (name, millis) in [
        ("seconds", 1_000),
        ("minutes", 60_000),
        ("hours", 3_600_000),
        ("days", 86_400_000),
        ("weeks", 604_800_000),
    ] {
        engine.register_fn(name, move |count: Dynamic| span(name, millis, &count));
        engine.register_get(name, move |span: &mut Span| span.millis() / millis);
    }
    engine.register_fn("to_string", |span: &mut Span| spoken(*span));
    engine.register_fn("to_debug", |span: &mut Span| spoken(*span));
    engine.register_fn("abs", |span: Span| {
        Span::from_millis(span.millis().saturating_abs())
    });
}

fn register_arithmetic(engine: &mut Engine) {
    engine.register_fn("-", |a: Moment, b: Moment| {
        Span::from_millis(a.at.unix_millis() - b.at.unix_millis())
    });
    engine.register_fn("+", |a: Moment, b: Span| a.plus(b.millis()));
    engine.register_fn("+", |a: Span, b: Moment| b.plus(a.millis()));
    engine.register_fn("-", |a: Moment, b: Span| {
        a.plus(b.millis().saturating_neg())
    });
    engine.register_fn("+", |a: Span, b: Span| {
        Span::from_millis(a.millis().saturating_add(b.millis()))
    });
    engine.register_fn("-", |a: Span, b: Span| {
        Span::from_millis(a.millis().saturating_sub(b.millis()))
    });
    engine.register_fn("-", |a: Span| {
        Span::from_millis(a.millis().saturating_neg())
    });
    engine.register_fn("*", |a: Span, b: INT| {
        Span::from_millis(a.millis().saturating_mul(b))
    });
    engine.register_fn("*", |a: INT, b: Span| {
        Span::from_millis(b.millis().saturating_mul(a))
    });
    engine.register_fn("/", |a: Span, b: INT| -> Host<Span> {
        a.millis()
            .checked_div(b)
            .map(Span::from_millis)
            .ok_or_else(|| "a duration cannot be divided by zero".into())
    });
    engine.register_fn("/", |a: Span, b: Span| -> Host<f64> {
        if b.millis() == 0 {
            return Err("a duration cannot be divided by an empty one".into());
        }
        Ok(a.millis() as f64 / b.millis() as f64)
    });
}

/// A number of days from Monday to Friday.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct BusinessDays(i64);

/// A hundred years of them.
const MOST_BUSINESS_DAYS: i64 = 26_100;

fn register_business_days(engine: &mut Engine) {
    engine.register_fn("business_days", |count: Dynamic| -> Host<BusinessDays> {
        let Ok(count) = count.as_int() else {
            return Err(format!(
                "business_days(…) takes a whole number, not {}",
                kind_of(&count)
            )
            .into());
        };
        if count.unsigned_abs() > MOST_BUSINESS_DAYS.unsigned_abs() {
            return Err("business_days(…) is longer than a hundred years".into());
        }
        Ok(BusinessDays(count))
    });
    engine.register_fn("+", |a: Moment, b: BusinessDays| a.plus_business_days(b.0));
    engine.register_fn("+", |a: BusinessDays, b: Moment| b.plus_business_days(a.0));
    engine.register_fn("-", |a: Moment, b: BusinessDays| a.plus_business_days(-b.0));
    engine.register_fn("-", |a: BusinessDays| BusinessDays(-a.0));
    engine.register_fn("to_string", |days: &mut BusinessDays| days.spoken());
    engine.register_fn("to_debug", |days: &mut BusinessDays| days.spoken());
}

impl BusinessDays {
    fn spoken(self) -> String {
        let plural = if self.0 == 1 { "" } else { "s" };
        format!("{} business day{plural}", self.0)
    }
}

/// So many working days on from `date`. From a weekend, the first is the Monday after it, and
/// backwards the Friday before it.
fn business_days_from(date: NaiveDate, count: i64) -> NaiveDate {
    if count == 0 {
        return date;
    }
    let weekday = i64::from(date.weekday().num_days_from_monday());
    let (weekday, roll) = match weekday {
        0..=4 => (weekday, 0),
        _ if count > 0 => (4, 4 - weekday),
        _ => (0, 7 - weekday),
    };
    let total = weekday + count;
    let days = roll - weekday + total.div_euclid(5) * 7 + total.rem_euclid(5);
    date.checked_add_signed(TimeDelta::days(days))
        .unwrap_or(date)
}

/// A hundred years, beyond which a length of time is a mistake.
const LONGEST_MILLIS: i64 = 100 * 366 * 86_400_000;

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
