//! Numbers that look random and can be had again.

use super::say;
use std::time::Duration;

/// A sequence of numbers, by its seed.
pub struct Dice(u64);

impl Dice {
    /// By `SMARTTASKS_TEST_SEED`, or else another one each time; says which.
    pub fn seeded() -> Self {
        let seed = std::env::var("SMARTTASKS_TEST_SEED");
        let seed = seed.map(|seed| seed.parse().expect("SMARTTASKS_TEST_SEED is a number"));
        let seed = seed.unwrap_or_else(|_| uuid::Uuid::new_v4().as_u64_pair().0);
        say(&format!("SMARTTASKS_TEST_SEED={seed}"));
        Self(seed)
    }

    /// Others, for somebody who rolls at the same time.
    pub fn fork(&mut self) -> Self {
        Self(self.roll())
    }

    /// A duration below this one.
    pub fn below(&mut self, limit: Duration) -> Duration {
        let limit = u64::try_from(limit.as_micros()).unwrap();
        Duration::from_micros(self.roll() % limit)
    }

    /// A number from 1 to this one.
    pub fn up_to(&mut self, most: u64) -> u64 {
        1 + self.roll() % most
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
