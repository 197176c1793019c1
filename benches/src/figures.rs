//! Latencies, and how figures are written.

use crate::Failure;
use std::io::Write;
use std::time::Duration;

/// How long many things took.
#[derive(Clone, Debug)]
pub struct Latencies(Vec<Duration>);

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable();
        Self(all)
    }
}

impl Latencies {
    /// What `percent` of them did not exceed (nearest rank); zero when there are none.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100);
        let at = self.0.get(rank.saturating_sub(1));
        at.copied().unwrap_or_default()
    }

    /// The median and the 99th percentile, as people read them.
    pub fn p50_p99(&self) -> String {
        format!(
            "{} / {} ms",
            millis(self.percentile(50)),
            millis(self.percentile(99))
        )
    }
}

/// Shows a figure as soon as there is one.
///
/// # Errors
/// Nobody reads it.
pub fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Milliseconds with as many digits as mean something.
pub fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    match millis {
        ..10.0 => format!("{millis:.2}"),
        ..100.0 => format!("{millis:.1}"),
        _ => format!("{millis:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let of = |count: u64| (1..=count).rev().map(Duration::from_millis).collect();
        let latencies: Latencies = of(200);
        assert_eq!(latencies.p50_p99(), "100 / 198 ms");
        let one: Latencies = of(1);
        assert_eq!(one.p50_p99(), "1.00 / 1.00 ms");
        let none: Latencies = of(0);
        assert_eq!(none.percentile(99), Duration::ZERO);
    }
}
