//! One field of a cron expression, translated for the `cron` crate: that counts Sunday as 1 and
//! reports errors without saying in which field.

use super::CronError;

const MONTHS: &[&str] = &[
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

pub(super) struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    /// Names of the values, from `first`.
    names: &'static [&'static str],
}

impl Field {
    pub(super) const MINUTE: Self = Self::new("minute", 0, 59, &[]);
    pub(super) const HOUR: Self = Self::new("hour", 0, 23, &[]);
    pub(super) const DAY: Self = Self::new("day of month", 1, 31, &[]);
    pub(super) const MONTH: Self = Self::new("month", 1, 12, MONTHS);
    /// 0 and 7 are Sunday.
    pub(super) const WEEKDAY: Self = Self::new("day of week", 0, 7, WEEKDAYS);

    const fn new(
        name: &'static str,
        first: u32,
        last: u32,
        names: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            first,
            last,
            names,
        }
    }

    /// The field in the crate's notation: `*`, or every value.
    pub(super) fn parse(&self, text: &str) -> Result<String, CronError> {
        let mut values = Vec::new();
        for part in text.split(',') {
            values.extend(self.part(part)?);
        }
        if self.is_weekday() {
            for value in &mut values {
                *value %= 7;
            }
        }
        values.sort_unstable();
        values.dedup();
        let all = if self.is_weekday() {
            7
        } else {
            self.last - self.first + 1
        };
        if values.len() == all as usize {
            return Ok("*".to_owned());
        }
        let shown: Vec<String> = values.into_iter().map(|value| self.shown(value)).collect();
        Ok(shown.join(","))
    }

    fn is_weekday(&self) -> bool {
        self.last == 7
    }

    fn shown(&self, value: u32) -> String {
        match WEEKDAYS.get(value as usize) {
            Some(name) if self.is_weekday() => (*name).to_owned(),
            _ => value.to_string(),
        }
    }

    /// `*`, `a`, `a-b`, each with `/n` if wanted.
    fn part(&self, part: &str) -> Result<impl Iterator<Item = u32> + use<>, CronError> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last - u32::from(self.is_weekday())),
            Some((from, to)) => self.range(part, from, to)?,
            None => {
                let value = self.value(range)?;
                (value, if step.is_some() { self.last } else { value })
            }
        };
        Ok((from..=to).step_by(step.unwrap_or(1)))
    }

    fn range(&self, part: &str, from: &str, to: &str) -> Result<(u32, u32), CronError> {
        let (from, mut to) = (self.value(from)?, self.value(to)?);
        if self.is_weekday() && to == 0 && from > 0 {
            // FRI-SUN
            to = 7;
        }
        if from > to {
            return Err(self.wrong(format!("the range \"{part}\" ends before it begins")));
        }
        Ok((from, to))
    }

    fn step(&self, text: &str) -> Result<usize, CronError> {
        let step: Option<u32> = digits(text);
        match step {
            Some(step) if step > 0 && step <= self.last => Ok(step as usize),
            _ => Err(self.wrong(format!(
                "the step \"/{text}\" must be a number from 1 to {}",
                self.last
            ))),
        }
    }

    fn value(&self, text: &str) -> Result<u32, CronError> {
        let named = self
            .names
            .iter()
            .zip(self.first..)
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, value)| value);
        named
            .or_else(|| digits(text))
            .filter(|value| (self.first..=self.last).contains(value))
            .ok_or_else(|| self.wrong(self.expected(text)))
    }

    fn expected(&self, found: &str) -> String {
        let names = match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!(" or {first} to {last}"),
            _ => String::new(),
        };
        format!(
            "expected {} to {}{names}, alone or with * , - /, but found \"{found}\"",
            self.first, self.last
        )
    }

    fn wrong(&self, detail: String) -> CronError {
        CronError::Field {
            field: self.name,
            detail,
        }
    }
}

/// A number in plain digits; `u32::from_str` would take a sign.
fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
