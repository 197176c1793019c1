//! Cron expressions against others that count: an independent implementation of cron in UTC, and
//! across changes of the clocks every minute by itself.
//!
//! `SMARTTASKS_CRON_SEED` repeats a choice of expressions and instants.

use crate::child::report;
use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone as _, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::Cron;
use fastrand::Rng;
use smarttasks_model::{TimeZone, Timestamp};
use smarttasks_rules::{CronError, CronExpression};

const EXPRESSIONS: usize = 10_000;
const CHANGES: usize = 60;
const SEED: &str = "SMARTTASKS_CRON_SEED";

/// Five years, within which the next occurrence must lie.
const HORIZON: TimeDelta = TimeDelta::days(5 * 366);

fn random() -> Rng {
    let seed = match std::env::var(SEED) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    report(&format!("{SEED}={seed}"));
    Rng::with_seed(seed)
}

/// An instant whose seconds and milliseconds matter too.
fn instant(random: &mut Rng, years: std::ops::Range<i64>) -> DateTime<Utc> {
    const YEAR: i64 = 31_556_952_000;
    let millis = random.i64((years.start - 1970) * YEAR..(years.end - 1970) * YEAR);
    let whole = if random.bool() { 60_000 } else { 1 };
    DateTime::from_timestamp_millis(millis / whole * whole).unwrap()
}

/// One part of a field: a value, a range, either with a step.
///
/// Not `5/20`: the other implementation refuses a step after a single value, which Vixie cron and
/// ours read as from 5 to the end.
fn part(random: &mut Rng, first: u32, last: u32, names: &[&str]) -> String {
    let value = |random: &mut Rng| random.u32(first..=last);
    match random.u8(..4) {
        0 => {
            let (a, b) = (value(random), value(random));
            format!("{}-{}", a.min(b), a.max(b))
        }
        1 => {
            let (a, b) = (value(random), value(random));
            let step = random.u32(1..=last);
            format!("{}-{}/{step}", a.min(b), a.max(b))
        }
        2 if !names.is_empty() => random.choice(names).unwrap().to_string(),
        _ => value(random).to_string(),
    }
}

/// A field; a star, with or without a step, only where one may be.
fn field(random: &mut Rng, first: u32, last: u32, names: &[&str], star: bool) -> String {
    if star && random.u8(..3) == 0 {
        return "*".to_owned();
    }
    if star && random.u8(..4) == 0 {
        return format!("*/{}", random.u32(1..=last));
    }
    let parts: Vec<String> = (0..random.usize(1..=3))
        .map(|_| part(random, first, last, names))
        .collect();
    parts.join(",")
}

const MONTHS: &[&str] = &["JAN", "feb", "Mar", "APR", "JUN", "SEP", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "mon", "Tue", "WED", "THU", "fri", "SAT"];

/// A day of month and a day of week. Where both are set, none begins with a star: to Vixie cron and
/// ours `*/2` is a star, so that both must match, and to the other implementation it is none.
fn days(random: &mut Rng) -> (String, String) {
    let day = |random: &mut Rng, star| field(random, 1, 31, &[], star);
    let weekday = |random: &mut Rng, star| field(random, 0, 7, WEEKDAYS, star);
    match random.u8(..4) {
        0 => (day(random, true), "*".to_owned()),
        1 => ("*".to_owned(), weekday(random, true)),
        2 => (day(random, false), weekday(random, false)),
        _ => ("*".to_owned(), "*".to_owned()),
    }
}

fn expression(random: &mut Rng) -> String {
    let (day, weekday) = days(random);
    let minute = field(random, 0, 59, &[], true);
    let hour = field(random, 0, 23, &[], true);
    let month = match random.u8(..3) {
        0 => field(random, 1, 12, MONTHS, true),
        _ => "*".to_owned(),
    };
    format!("{minute} {hour} {day} {month} {weekday}")
}

fn theirs(text: &str) -> Cron {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn ten_thousand_expressions_agree_with_another_implementation() {
    let mut random = random();
    let mut never = 0;
    for _ in 0..EXPRESSIONS {
        let text = expression(&mut random);
        let theirs = theirs(&text);
        let mut at = instant(&mut random, 1971..2090);
        let ours = match CronExpression::parse(&text) {
            Ok(ours) => ours,
            Err(CronError::Never) => {
                never += 1;
                assert!(
                    theirs.find_next_occurrence(&at, false).is_err(),
                    "{text} does occur"
                );
                continue;
            }
            Err(error) => panic!("{text}: {error}"),
        };
        for _ in 0..3 {
            let expected = theirs
                .find_next_occurrence(&at, false)
                .ok()
                .filter(|next| *next - at <= HORIZON);
            let found = ours.next_after(at.into(), TimeZone::default());
            assert_eq!(found, expected.map(Timestamp::from), "{text} after {at}");
            let Some(next) = expected else { break };
            at = next;
        }
    }
    assert!(never < EXPRESSIONS / 10, "{never} dates that never come");
}

fn local(at: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// A day near which the clocks of some zone change. From 1975, when the last zone had come to
/// differ from UTC by whole minutes.
fn change(random: &mut Rng) -> (Tz, DateTime<Utc>) {
    loop {
        let zone = random.choice(TZ_VARIANTS).unwrap();
        let from = instant(random, 1975..2037);
        let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        let changed = (0..366)
            .map(|days| from + TimeDelta::days(days))
            .find(|at| offset(*at) != offset(*at + TimeDelta::days(1)));
        if let Some(at) = changed {
            let minute = at.timestamp() / 60 * 60;
            return (zone, DateTime::from_timestamp(minute, 0).unwrap());
        }
    }
}

/// Whether the second of the two instants of a local time.
fn is_repetition(at: DateTime<Utc>, zone: Tz) -> bool {
    match zone.from_local_datetime(&local(at, zone)) {
        LocalResult::Ambiguous(a, b) => a.max(b).to_utc() == at,
        _ => false,
    }
}

/// Minute after minute: one whose local time matches, unless it is a repetition; and the first
/// after a gap in which one would have been. A schedule for every hour goes by elapsed time:
/// repetitions count, and nothing is made up for.
fn minute_by_minute(
    cron: &Cron,
    zone: Tz,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<Timestamp> {
    let minute = TimeDelta::minutes(1);
    let matches = |local: NaiveDateTime| cron.is_time_matching(&local.and_utc()).unwrap();
    let date = local(from, zone).date();
    let hourly = (0..24)
        .all(|hour| (0..60).any(|minute| matches(date.and_hms_opt(hour, minute, 0).unwrap())));
    let mut found = Vec::new();
    let mut at = from + minute;
    while at <= until {
        let (now, before) = (local(at, zone), local(at - minute, zone));
        let skipped = std::iter::successors(Some(before + minute), |time| Some(*time + minute))
            .take_while(|time| *time < now)
            .any(matches);
        let due = matches(now) && (hourly || !is_repetition(at, zone));
        if due || (skipped && !hourly) {
            found.push(at.into());
        }
        at += minute;
    }
    found
}

#[test]
fn across_changes_of_the_clocks_every_minute_is_accounted_for() {
    let mut random = random();
    for _ in 0..CHANGES {
        let (zone, about) = change(&mut random);
        let minute = field(&mut random, 0, 59, &[], true);
        let hour = match random.u8(..3) {
            0 => "*".to_owned(),
            1 => random.u32(..5).to_string(),
            _ => field(&mut random, 0, 23, &[], true),
        };
        let text = format!("{minute} {hour} * * *");
        let (from, until) = (about - TimeDelta::hours(4), about + TimeDelta::hours(30));
        let expected = minute_by_minute(&theirs(&text), zone, from, until);
        let found: Vec<Timestamp> = CronExpression::parse(&text)
            .unwrap()
            .between(from.into(), until.into(), TimeZone(zone))
            .collect();
        let differs = (0..found.len().max(expected.len()))
            .map(|number| (found.get(number), expected.get(number)))
            .find(|(found, expected)| found != expected);
        assert_eq!(differs, None, "{text} in {zone} from {from}");
    }
}
