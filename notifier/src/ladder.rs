//! When to try again: the retry schedule as data.

use sha2::{Digest, Sha256};
use smarttasks_model::{DeliveryId, Timestamp};
use std::time::Duration;

/// How long to wait after each failed attempt, in seconds: eight attempts within 28 hours.
/// The schedule of Standard Webhooks 1.0 ("Retry Schedule"), less its last steps.
pub const DELAYS_SECONDS: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

/// How much a delay may differ from the schedule, so that what failed together does not come back
/// together.
const JITTER_PERCENT: u64 = 20;

/// When the next attempt of `delivery` is due, after `attempts_made` of them, the last one at
/// `at`; `None` when it has had all its attempts.
///
/// The jitter follows from the delivery and the number, so that a repeated message comes to the
/// same answer. A receiver's `retry_after` can only make it later.
pub fn next_attempt(
    delivery: DeliveryId,
    attempts_made: u32,
    at: Timestamp,
    retry_after: Option<Duration>,
) -> Option<Timestamp> {
    let step = usize::try_from(attempts_made.max(1) - 1).ok()?;
    let seconds = *DELAYS_SECONDS.get(step)?;
    let delay = jittered(seconds * 1_000, delivery, attempts_made);
    Some(at + delay.max(retry_after.unwrap_or_default()))
}

fn jittered(millis: u64, delivery: DeliveryId, attempts_made: u32) -> Duration {
    let mut hash = Sha256::new();
    hash.update(delivery.as_bytes());
    hash.update(attempts_made.to_be_bytes());
    let digest = hash.finalize();
    let draw = u64::from(u32::from_be_bytes([
        digest[0], digest[1], digest[2], digest[3],
    ]));
    let spread = millis * 2 * JITTER_PERCENT / 100;
    let offset = spread * draw / u64::from(u32::MAX);
    Duration::from_millis(millis - spread / 2 + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_unix_millis(1_000_000_000);

    fn delivery(number: u8) -> DeliveryId {
        DeliveryId::derived(AT, &[&[number]])
    }

    #[test]
    fn a_delivery_has_eight_attempts_and_then_no_more() {
        for made in 1..=7 {
            let next = next_attempt(delivery(1), made, AT, None).unwrap();
            let planned = DELAYS_SECONDS[made as usize - 1] * 1_000;
            let waited = next.since(AT).as_millis() as u64;
            assert!(waited >= planned * 8 / 10, "{made}: {waited}");
            assert!(waited <= planned * 12 / 10, "{made}: {waited}");
        }
        assert_eq!(next_attempt(delivery(1), 8, AT, None), None);
        assert_eq!(next_attempt(delivery(1), u32::MAX, AT, None), None);
    }

    #[test]
    fn the_jitter_is_the_same_for_the_same_attempt_and_spreads_the_others() {
        let next = |number| next_attempt(delivery(number), 3, AT, None).unwrap();
        assert_eq!(next(1), next(1));
        let mut waits: Vec<u128> = (0..=255).map(|n| next(n).since(AT).as_millis()).collect();
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 250, "{}", waits.len());
        // 256 draws reach both ends of 24 to 36 minutes.
        assert!(waits[0] < 1_500_000, "{}", waits[0]);
        assert!(waits[waits.len() - 1] > 2_100_000);
    }

    #[test]
    fn a_receiver_can_ask_for_later_but_not_for_sooner() {
        let hour = Some(Duration::from_secs(3_600));
        assert_eq!(
            next_attempt(delivery(1), 1, AT, hour),
            Some(AT + Duration::from_secs(3_600))
        );
        let soon = Some(Duration::from_millis(1));
        assert_eq!(
            next_attempt(delivery(1), 2, AT, soon),
            next_attempt(delivery(1), 2, AT, None)
        );
    }
}
