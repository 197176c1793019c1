//! How long something takes that takes microseconds.

use crate::{Failure, thread_time};
use std::time::{Duration, Instant};

/// How long each figure is measured.
const LENGTH: Duration = Duration::from_millis(500);

/// How long something takes, and what it finds.
pub struct Took<T> {
    /// Microseconds of this thread on a processor each time: others on the machine count less.
    pub micros: f64,
    /// What it found, the last time.
    pub found: T,
}

/// Does something again and again for half a second, at least twice.
///
/// # Errors
/// It fails, or Linux does not say how long it took.
pub fn each<T>(mut what: impl FnMut() -> Result<T, Failure>) -> Result<Took<T>, Failure> {
    // Once to warm up, and to know how often it goes between two looks at the clock.
    let started = Instant::now();
    let mut found = what()?;
    let once = started.elapsed().max(Duration::from_nanos(100));
    let between = (LENGTH.as_nanos() / once.as_nanos() / 10).clamp(1, 10_000);
    let (started, before, mut times) = (Instant::now(), thread_time()?, 0_u32);
    while started.elapsed() < LENGTH {
        for _ in 0..between {
            found = what()?;
            times += 1;
        }
    }
    let took = thread_time()?.saturating_sub(before);
    let micros = took.as_secs_f64() * 1e6 / f64::from(times);
    Ok(Took { micros, found })
}
