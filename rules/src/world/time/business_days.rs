//! Lengths of time in business days, from Monday to Friday: how long one is depends on when it
//! begins, so that it is no duration.

use super::Moment;
use crate::cron::first_instant;
use crate::evaluation::Host;
use crate::words::Words;
use crate::world::kind_of;
use chrono::{Datelike, NaiveDate, TimeDelta};
use rhai::Dynamic;

/// A number of days from Monday to Friday.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct BusinessDays(i64);

/// A hundred years of them.
const MOST: i64 = 26_100;

pub(super) fn define(words: &mut Words) {
    words.type_name::<BusinessDays>("BusinessDays");
    words.written::<BusinessDays>(|days| Ok(days.spoken().into()));
    words
        .function(
            "business_days(count: int) -> BusinessDays",
            "So many days from Monday to Friday, to be added to or taken from a time; holidays are not known. Only a whole number; more than a hundred years is an error.",
            "log((now() + business_days(1)).weekday); // Monday",
        )
        .is(words, business_days);
    words
        .operator(
            "Timestamp + BusinessDays -> Timestamp",
            "So many business days later, at the same time of the day in its zone. From a weekend, the first is the Monday after it.",
            "task.update(#{ due_at: now() + business_days(2) });",
        )
        .is(words, |a: Moment, b: BusinessDays| a.plus_business_days(b.0))
        .is(words, |a: BusinessDays, b: Moment| b.plus_business_days(a.0));
    words
        .operator(
            "Timestamp - BusinessDays -> Timestamp",
            "So many business days earlier. From a weekend, the first is the Friday before it.",
            "if now() > task.due_at - business_days(1) { log(\"tomorrow\"); } // tomorrow",
        )
        .is(words, |a: Moment, b: BusinessDays| {
            a.plus_business_days(-b.0)
        });
    words
        .operator(
            "-BusinessDays -> BusinessDays",
            "As many the other way.",
            "log(now() + -business_days(1) == now() - business_days(1)); // true",
        )
        .is(words, |a: BusinessDays| BusinessDays(-a.0));
}

fn business_days(count: Dynamic) -> Host<BusinessDays> {
    let Ok(count) = count.as_int() else {
        return Err(format!(
            "business_days(…) takes a whole number, not {}",
            kind_of(&count)
        )
        .into());
    };
    if count.unsigned_abs() > MOST.unsigned_abs() {
        return Err("business_days(…) is longer than a hundred years".into());
    }
    Ok(BusinessDays(count))
}

impl BusinessDays {
    fn spoken(self) -> String {
        let plural = if self.0 == 1 { "" } else { "s" };
        format!("{} business day{plural}", self.0)
    }
}

impl Moment {
    /// At the same time of the day, by the clocks of its zone.
    fn plus_business_days(self, count: i64) -> Self {
        let local = self.local();
        let date = on_from(local.date_naive(), count);
        // The same day again might be the other of two equal local times.
        if date == local.date_naive() {
            return self;
        }
        Self {
            at: first_instant(date.and_time(local.time()), self.zone).into(),
            ..self
        }
    }
}

/// So many business days on from `date`, without counting them one by one.
fn on_from(date: NaiveDate, count: i64) -> NaiveDate {
    if count == 0 {
        return date;
    }
    // A weekend counts as the business day behind it: then the first step leads out of it.
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
