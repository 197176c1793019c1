//! Counting in this process, bounded, by the project's clock.

use super::{Left, Policy, Quotas, Subject};
use governor::clock::Clock as GovernorClock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use quick_cache::sync::Cache;
use smarttasks_model::{Clock, Timestamp, UserId};
use std::convert::Infallible;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Principals and addresses that are remembered; some 100 bytes each.
const REMEMBERED: usize = 100_000;

pub(super) struct Local {
    quotas: Quotas,
    principals: Limiter<UserId>,
    addresses: Limiter<IpAddr>,
}

impl Local {
    pub(super) fn new(quotas: Quotas, clock: &Clock) -> Self {
        Self {
            quotas,
            principals: limiter(quotas.per_principal, clock),
            addresses: limiter(quotas.per_address, clock),
        }
    }

    pub(super) fn count(&self, subjects: &[Subject]) -> Vec<Left> {
        let mut lefts = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let policy = Policy::of(*subject, self.quotas);
            let left = match subject {
                Subject::Address(address) => count(&self.addresses, address, policy),
                Subject::Principal(user) => count(&self.principals, user, policy),
            };
            lefts.push(left);
            if left.exceeded {
                break;
            }
        }
        lefts
    }
}

type Limiter<K> = RateLimiter<K, Bounded<K>, Elapsed, StateInformationMiddleware>;

fn limiter<K: Eq + Hash + Clone>(quota: NonZeroU32, clock: &Clock) -> Limiter<K> {
    let states = Bounded(Cache::new(REMEMBERED));
    RateLimiter::new(Quota::per_minute(quota), states, Elapsed::by(clock))
}

fn count<K: Eq + Hash + Clone>(limiter: &Limiter<K>, key: &K, policy: Policy) -> Left {
    match limiter.check_key(key) {
        Ok(state) => policy.left(state.remaining_burst_capacity()),
        Err(until) => policy.exceeded(until.wait_time_from(limiter.clock().now())),
    }
}

/// One state for each key, as many as there is room for: a flood of keys costs no more memory.
struct Bounded<K>(Cache<K, Arc<InMemoryState>>);

impl<K: Eq + Hash + Clone> StateStore for Bounded<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let fresh = || Ok::<_, Infallible>(Arc::default());
        match self.0.get_or_insert_with(key, fresh) {
            Ok(state) => state.measure_and_replace(&NotKeyed::NonKey, decide),
        }
    }
}

/// The time that went by on the project's clock. A clock that is set back stands still until its
/// next step forward, so that nobody waits for an hour to come by again.
#[derive(Clone, Debug)]
struct Elapsed {
    clock: Clock,
    seen: Arc<Mutex<(Timestamp, Duration)>>,
}

impl Elapsed {
    fn by(clock: &Clock) -> Self {
        Self {
            seen: Arc::new(Mutex::new((clock.now(), Duration::ZERO))),
            clock: clock.clone(),
        }
    }
}

impl GovernorClock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        *seen = (now, seen.1 + now.since(seen.0));
        seen.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_keys_is_not_kept() {
        let clock = Clock::fake(Timestamp::from_unix_millis(1_800_000_000_000));
        let limiter = limiter(NonZeroU32::MIN, &clock);
        for key in 0..120_000u32 {
            assert!(limiter.check_key(&key).is_ok());
        }
        assert!(limiter.into_state_store().0.len() <= REMEMBERED);
    }
}
