//! Cron expressions: the five fields of Vixie cron, in a time zone.

mod field;
mod zone;

use chrono::{NaiveDateTime, TimeDelta, Utc};
use cron::Schedule;
use field::Field;
use smarttasks_model::{TimeZone, Timestamp};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
pub(crate) use zone::first_instant;

/// Not a cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields.
    #[error(
        "expected five fields (minute, hour, day of month, month, day of week), such as \"0 9 * * MON-FRI\", or one of @hourly @daily @weekly @monthly @yearly; found {0}"
    )]
    Shape(String),
    /// Longer than any that is meant seriously.
    #[error("is {0} characters long; at most {LONGEST} are allowed")]
    TooLong(usize),
    /// One field.
    #[error("{field}: {detail}")]
    Field {
        /// Which.
        field: &'static str,
        /// What was wrong and what would be right.
        detail: String,
    },
    /// A date that never comes.
    #[error("has no occurrence within five years; is there such a date?")]
    Never,
    /// Too often.
    #[error("fires every {0} s; at least {1} s must lie between two occurrences")]
    TooOften(u64, u64),
}

/// Longest expression, in characters.
const LONGEST: usize = 128;
/// How far ahead the next occurrence may lie.
const HORIZON: TimeDelta = TimeDelta::days(5 * 366);
/// The shortest interval that five fields can write.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(60);

/// A cron expression that has occurrences.
#[derive(Clone, Debug)]
pub struct CronExpression {
    source: String,
    /// One, or one by day of month and one by day of week: when both are set, either matches.
    schedules: Vec<Schedule>,
    /// Whether it fires every hour: such a schedule follows elapsed time, through a repeated hour
    /// as through any other, and over a skipped one.
    hourly: bool,
}

impl CronExpression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong, with the field.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let length = text.chars().count();
        if length > LONGEST {
            return Err(CronError::TooLong(length));
        }
        let text = text.trim();
        let [minute, hour, day, month, weekday] = five_fields(text)?;
        let minutes = Field::MINUTE.parse(minute)?;
        let hours = Field::HOUR.parse(hour)?;
        let days = Field::DAY.parse(day)?;
        let months = Field::MONTH.parse(month)?;
        let weekdays = Field::WEEKDAY.parse(weekday)?;
        let schedule = |days: &str, weekdays: &str| {
            // The crate's first field is the second.
            let source = format!("0 {minutes} {hours} {days} {months} {weekdays}");
            Schedule::from_str(&source).map_err(|error| CronError::Shape(error.to_string()))
        };
        let both_set = !day.starts_with('*') && !weekday.starts_with('*');
        let schedules = if both_set {
            vec![schedule(&days, "*")?, schedule("*", &weekdays)?]
        } else {
            vec![schedule(&days, &weekdays)?]
        };
        let expression = Self {
            source: text.to_owned(),
            schedules,
            hourly: hours == "*",
        };
        match expression.local_after(zone::REFERENCE) {
            Some(_) => Ok(expression),
            None => Err(CronError::Never),
        }
    }

    /// Reads an expression that may not fire more often than every `interval`.
    ///
    /// # Errors
    /// What is wrong, with the field.
    pub fn parse_at_least(text: &str, interval: Duration) -> Result<Self, CronError> {
        let expression = Self::parse(text)?;
        if interval <= SHORTEST_INTERVAL {
            return Ok(expression);
        }
        let shortest = expression.shortest_interval();
        if shortest < interval {
            return Err(CronError::TooOften(shortest.as_secs(), interval.as_secs()));
        }
        Ok(expression)
    }

    /// The first occurrence after `after`, at most five years ahead.
    ///
    /// A local time that a change of the clocks skips occurs right after the gap. One that it
    /// repeats occurs once, the first time. A schedule that fires every hour follows elapsed time.
    pub fn next_after(&self, after: Timestamp, zone: TimeZone) -> Option<Timestamp> {
        zone::next_after(self, after.to_utc(), zone.0).map(Timestamp::from)
    }

    /// The occurrences after `after` until `until`, in order; compute as many as you take.
    pub fn between(
        &self,
        after: Timestamp,
        until: Timestamp,
        zone: TimeZone,
    ) -> impl Iterator<Item = Timestamp> + '_ {
        let next = move |at: Timestamp| self.next_after(at, zone);
        std::iter::successors(next(after), move |at| next(*at)).take_while(move |at| *at <= until)
    }

    /// The expression, as written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The first local time of the schedule after `after`.
    fn local_after(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        // The crate wants a zone; in UTC every local time exists once.
        let from = after.and_utc();
        self.schedules
            .iter()
            .filter_map(|schedule| schedule.after::<Utc>(&from).next())
            .map(|at| at.naive_utc())
            .min()
            .filter(|at| *at - after <= HORIZON)
    }

    /// Over a day of minutes and more, which shows the pattern of minutes and hours whole.
    fn shortest_interval(&self) -> Duration {
        const OCCURRENCES: usize = 1_500;
        let next = |at: &NaiveDateTime| self.local_after(*at);
        let mut before = None;
        let mut shortest = Duration::MAX;
        for at in std::iter::successors(self.local_after(zone::REFERENCE), next).take(OCCURRENCES) {
            if let Some(before) = before.replace(at) {
                shortest = shortest.min((at - before).to_std().unwrap_or_default());
            }
        }
        shortest
    }
}

impl fmt::Display for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

fn five_fields(text: &str) -> Result<[&str; 5], CronError> {
    let expanded = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        nickname if nickname.starts_with('@') => {
            return Err(CronError::Shape(format!("\"{nickname}\"")));
        }
        fields => fields,
    };
    let fields: Vec<&str> = expanded.split_ascii_whitespace().collect();
    let count = fields.len();
    fields
        .try_into()
        .map_err(|_| CronError::Shape(format!("{count} fields")))
}

#[cfg(test)]
mod tests;
