//! From local times to instants, across changes of the clocks.
//!
//! The schedule is computed in local time, where it is regular, and each local time is then
//! placed: one that is skipped right after the gap, one that is repeated at its first instant. A
//! schedule that fires every hour follows elapsed time instead: what is repeated it repeats, and
//! what is skipped it skips.

use super::{CronExpression, HORIZON};
use chrono::{
    DateTime, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;

/// Where expressions are tried out: any five years hold every date that there is.
pub(super) const REFERENCE: NaiveDateTime = NaiveDateTime::new(
    match NaiveDate::from_ymd_opt(2025, 1, 1) {
        Some(date) => date,
        None => NaiveDate::MIN,
    },
    NaiveTime::MIN,
);

/// More than clocks were put back since 1970 (seven hours, Antarctica/Vostok, 1994).
const PUT_BACK: TimeDelta = TimeDelta::hours(8);

pub(super) fn next_after(
    expression: &CronExpression,
    after: DateTime<Utc>,
    zone: Tz,
) -> Option<DateTime<Utc>> {
    let local = local(after, zone);
    let next = expression.local_after(local)?;
    if let LocalResult::Single(at) = zone.from_local_datetime(&next) {
        let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        let at = at.to_utc();
        if offset(after) == offset(at) && offset(after) == offset(after + PUT_BACK) {
            return Some(at);
        }
    }
    across_a_change(expression, after, local, zone)
}

/// Looks at every local time near `after`, because the order of instants is not that of local
/// times where the clocks are put back.
fn across_a_change(
    expression: &CronExpression,
    after: DateTime<Utc>,
    local_after: NaiveDateTime,
    zone: Tz,
) -> Option<DateTime<Utc>> {
    let mut best: Option<DateTime<Utc>> = None;
    let mut candidate = expression.local_after(local_after - PUT_BACK)?;
    while candidate - local_after <= HORIZON {
        if best.is_some_and(|best| candidate > local(best, zone) + PUT_BACK) {
            break;
        }
        let placed = place(candidate, zone, expression.hourly);
        let nearest = placed.into_iter().flatten().filter(|at| *at > after).min();
        best = best.into_iter().chain(nearest).min();
        let Some(next) = expression.local_after(candidate) else {
            break;
        };
        candidate = next;
    }
    best
}

fn local(at: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// The first instant at which a local time occurs; the end of the gap, if clocks skip it.
pub(crate) fn first_instant(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let [first, _] = place(local, zone, false);
    first.unwrap_or_else(|| local.and_utc())
}

/// The instants at which a local time occurs.
fn place(local: NaiveDateTime, zone: Tz, hourly: bool) -> [Option<DateTime<Utc>>; 2] {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) => [Some(at.to_utc()), None],
        LocalResult::Ambiguous(a, b) => {
            let (a, b) = (a.to_utc(), b.to_utc());
            [Some(a.min(b)), hourly.then_some(a.max(b))]
        }
        LocalResult::None => [(!hourly).then(|| end_of_gap(local, zone)), None],
    }
}

/// The instant at which the clocks skip over `gone`: the first whose local time is later. Offsets
/// reach from -12 to +14 hours, which bounds where to look.
fn end_of_gap(gone: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let mut before = gone.and_utc() - TimeDelta::hours(15);
    let mut behind = gone.and_utc() + TimeDelta::hours(13);
    while behind - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((behind - before).num_seconds() / 2);
        if local(middle, zone) > gone {
            behind = middle;
        } else {
            before = middle;
        }
    }
    behind
}
