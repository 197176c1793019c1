//! Time in whole milliseconds, and the clock, the only thing that knows it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// An instant: whole milliseconds since the Unix epoch, RFC 3339 in UTC as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// Not an instant that SmartTasks can hold.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a time: expected RFC 3339 with a zone, such as 2026-12-01T09:00:00Z, years 1970 to 9999"
)]
pub struct TimestampError;

impl Timestamp {
    /// The last instant of the year 9999, the latest that RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// From milliseconds since the Unix epoch, kept within the years 1970 to 9999.
    pub const fn from_unix_millis(millis: i64) -> Self {
        if millis < 0 {
            Self(0)
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since the Unix epoch.
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn unix_seconds(self) -> i64 {
        self.0 / 1000
    }

    pub(crate) fn unix_millis_unsigned(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// As a `chrono` instant.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// For people: the day and the minute in their zone, and which that is.
    pub fn in_words(self, zone: &TimeZone) -> String {
        let local = self.to_utc().with_timezone(&zone.0);
        format!("{} ({zone})", local.format("%A, %-d %B %Y, %H:%M"))
    }

    /// How long from `earlier` to this instant; zero when it is the other way round.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(instant: DateTime<Utc>) -> Self {
        Self::from_unix_millis(instant.timestamp_millis())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_millis(self.0.saturating_add(millis))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_millis(self.0.saturating_sub(millis))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, by: Span) -> Self {
        Self::from_unix_millis(self.0.saturating_add(by.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let millis = DateTime::parse_from_rfc3339(text)
            .map_err(|_| TimestampError)?
            .timestamp_millis();
        if (0..=Self::MAX.0).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(TimestampError)
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer)
    }
}

/// A signed length of time in whole milliseconds, written as `24h`, `-90m`, `+7d` or `0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

/// Not a length of time.
#[derive(Debug, thiserror::Error)]
#[error(
    "not a duration: expected a whole number and one of s, m, h, d, w, such as 24h or -30m (at most ten years)"
)]
pub struct SpanError;

impl Span {
    const LONGEST_MILLIS: i64 = 10 * 366 * 86_400_000;
    const UNITS: [(&'static str, i64); 5] = [
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ];

    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// In milliseconds.
    pub const fn millis(self) -> i64 {
        self.0
    }
}

impl FromStr for Span {
    type Err = SpanError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sign, digits) = match text.as_bytes().first() {
            Some(b'-') => (-1, &text[1..]),
            Some(b'+') => (1, &text[1..]),
            _ => (1, text),
        };
        if digits == "0" {
            return Ok(Self::ZERO);
        }
        for (unit, millis) in Self::UNITS {
            if let Some(number) = digits.strip_suffix(unit) {
                if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(SpanError);
                }
                let length = number
                    .parse::<i64>()
                    .ok()
                    .and_then(|number| number.checked_mul(millis))
                    .filter(|length| *length <= Self::LONGEST_MILLIS)
                    .ok_or(SpanError)?;
                return Ok(Self(sign * length));
            }
        }
        Err(SpanError)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        let length = self.0.unsigned_abs();
        for (unit, millis) in Self::UNITS {
            let millis = millis.unsigned_abs();
            if length.is_multiple_of(millis) {
                return write!(f, "{sign}{}{unit}", length / millis);
            }
        }
        write!(f, "{sign}{}ms", length)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer)
    }
}

/// An IANA time zone, such as `Europe/Berlin`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimeZone(pub chrono_tz::Tz);

/// Not a zone of the IANA database.
#[derive(Debug, thiserror::Error)]
#[error("not an IANA time zone: expected a name such as Europe/Berlin or UTC")]
pub struct TimeZoneError;

impl Default for TimeZone {
    fn default() -> Self {
        Self(chrono_tz::UTC)
    }
}

impl FromStr for TimeZone {
    type Err = TimeZoneError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| TimeZoneError)
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Serialize for TimeZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer)
    }
}

/// The one source of time: the system's, or one that a test moves by hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Fake(Arc<watch::Sender<Timestamp>>),
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn fake(start: Timestamp) -> Self {
        Self(Source::Fake(Arc::new(watch::Sender::new(start))))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Source::Fake(now) => *now.borrow(),
        }
    }

    /// Returns once the clock shows `instant` or later, or `at_most` has passed by this clock.
    pub async fn sleep_until(&self, instant: Timestamp, at_most: Duration) {
        let instant = instant.min(self.now() + at_most);
        match &self.0 {
            Source::System => tokio::time::sleep(instant.since(self.now())).await,
            Source::Fake(now) => {
                // The sender lives as long as the clock, so waiting cannot fail.
                let _ = now.subscribe().wait_for(|now| *now >= instant).await;
            }
        }
    }

    /// Moves a fake clock forward. The system's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Fake(now) = &self.0 {
            now.send_modify(|now| *now = *now + by);
        }
    }

    /// Sets a fake clock, back or forth. The system's clock is left alone.
    pub fn set(&self, instant: Timestamp) {
        if let Source::Fake(now) = &self.0 {
            now.send_replace(instant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_what_it_writes() {
        let written = "2026-12-01T09:00:00Z";
        let read: Timestamp = written.parse().unwrap();
        assert_eq!(read.to_string(), written);
        let offset: Timestamp = "2026-12-01T10:00:00+01:00".parse().unwrap();
        assert_eq!(offset, read);
        for bad in [
            "",
            "tomorrow",
            "2026-12-01",
            "0001-01-01T00:00:00Z",
            "2026-12-01T09:00:00",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn people_are_told_the_time_of_their_zone() {
        let at: Timestamp = "2026-03-29T01:05:59.999Z".parse().unwrap();
        let berlin: TimeZone = "Europe/Berlin".parse().unwrap();
        assert_eq!(
            at.in_words(&berlin),
            "Sunday, 29 March 2026, 03:05 (Europe/Berlin)"
        );
    }

    #[test]
    fn a_span_reads_what_it_writes() {
        for text in ["0", "24h", "-90m", "7d", "45s", "2w"] {
            let read: Span = text.parse().unwrap();
            assert_eq!(read.to_string().parse::<Span>().unwrap(), read);
        }
        assert_eq!("+30m".parse::<Span>().unwrap().millis(), 1_800_000);
        for bad in [
            "",
            "h",
            "1",
            "1.5h",
            "-",
            "--1h",
            "999999999999w",
            "1 h",
            "1y",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_fake_clock_wakes_its_sleepers_when_moved() {
        let clock = Clock::fake(Timestamp::from_unix_millis(0));
        let sleeper = clock.clone();
        let wake = Timestamp::from_unix_millis(60_000);
        let task = tokio::spawn(async move {
            sleeper.sleep_until(wake, Duration::from_secs(3600)).await;
            sleeper.now()
        });
        clock.advance(Duration::from_secs(61));
        assert_eq!(task.await.unwrap(), Timestamp::from_unix_millis(61_000));
    }
}
