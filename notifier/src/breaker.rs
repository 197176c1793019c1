//! Keeps one slow or dead receiver from taking the sender's hands: at most four requests to an
//! endpoint at once, and none for a while once it has failed five times in a row.
//!
//! A state machine over given instants: it reads no clock and waits for nothing.

use smarttasks_model::{EndpointId, Timestamp, WebhookUrl, WorkspaceId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Requests to one endpoint at once.
pub const CONCURRENCY: u32 = 4;
/// Failures in a row that open the breaker.
pub const FAILURES_TO_OPEN: u32 = 5;
/// How long it stays open the first time; each further time twice as long.
pub const SHORTEST_OPEN: Duration = Duration::from_secs(30);
/// The longest it stays open.
pub const LONGEST_OPEN: Duration = Duration::from_secs(600);
/// Endpoints remembered at once. Only those in use or in trouble are remembered.
pub const MOST_REMEMBERED: usize = 10_000;

/// Whose requests are counted together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BreakerKey {
    /// A registered endpoint.
    Endpoint(EndpointId),
    /// A bare URL, for one workspace: another's failures are not ours.
    Url(WorkspaceId, WebhookUrl),
}

/// The breakers of all endpoints. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Breakers(Arc<Mutex<HashMap<BreakerKey, Breaker>>>);

/// Whether a request may go.
#[derive(Debug)]
pub enum Admission {
    /// It may, while the permit lives.
    Go(Permit),
    /// Enough are under way (or, the breaker being half open, the one that tries is): ask again
    /// when one of them has ended.
    Wait,
    /// The endpoint is left alone until then.
    Open {
        /// When to ask again.
        until: Timestamp,
    },
}

/// The right to one request. Dropped without a verdict, it gives the place back and counts
/// neither way.
#[derive(Debug)]
#[must_use = "dropping the permit ends the request"]
pub struct Permit {
    breakers: Breakers,
    key: BreakerKey,
    is_probe: bool,
}

#[derive(Debug, Default)]
struct Breaker {
    in_flight: u32,
    /// In a row, while closed.
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: Timestamp,
    lasted: Duration,
    probing: bool,
}

impl Breakers {
    /// Asks for the right to one request.
    pub fn admit(&self, key: &BreakerKey, now: Timestamp) -> Admission {
        let mut breakers = self.lock();
        if !breakers.contains_key(key) && breakers.len() >= MOST_REMEMBERED {
            forget_one(&mut breakers);
        }
        let breaker = breakers.entry(key.clone()).or_default();
        let is_probe = match &mut breaker.open {
            // A clock that was set back must not keep an endpoint closed for longer than it may be.
            Some(open) if open.until > now && open.until.since(now) <= LONGEST_OPEN => {
                return Admission::Open { until: open.until };
            }
            Some(open) if open.probing => return Admission::Wait,
            Some(open) => {
                open.probing = true;
                true
            }
            None if breaker.in_flight >= CONCURRENCY => return Admission::Wait,
            None => false,
        };
        breaker.in_flight += 1;
        Admission::Go(Permit {
            breakers: self.clone(),
            key: key.clone(),
            is_probe,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BreakerKey, Breaker>> {
        // The map is whole after every statement, whatever panicked while it was held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Ends the request with a verdict: whether the endpoint did its part. A permanent rejection
    /// is an answer too; only transient failures speak against it.
    pub fn record(self, answered: bool, now: Timestamp) {
        let mut breakers = self.breakers.lock();
        if let Some(breaker) = breakers.get_mut(&self.key) {
            match answered {
                true => breaker.close(),
                false => breaker.fail(self.is_probe, now),
            }
        }
        drop(breakers);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut breakers = self.breakers.lock();
        let Some(breaker) = breakers.get_mut(&self.key) else {
            return;
        };
        breaker.in_flight -= 1;
        if let Some(open) = breaker.open.as_mut().filter(|_| self.is_probe) {
            open.probing = false;
        }
        if breaker.is_unremarkable() {
            breakers.remove(&self.key);
        }
    }
}

impl Breaker {
    fn close(&mut self) {
        self.failures = 0;
        self.open = None;
    }

    fn fail(&mut self, is_probe: bool, now: Timestamp) {
        let lasts = match &self.open {
            Some(open) if is_probe => (open.lasted * 2).min(LONGEST_OPEN),
            // Sent before it opened: already judged.
            Some(_) => return,
            None => {
                self.failures += 1;
                if self.failures < FAILURES_TO_OPEN {
                    return;
                }
                SHORTEST_OPEN
            }
        };
        self.open = Some(Open {
            until: now + lasts,
            lasted: lasts,
            probing: false,
        });
    }

    fn is_unremarkable(&self) -> bool {
        self.in_flight == 0 && self.failures == 0 && self.open.is_none()
    }
}

/// Makes room: forgets the endpoint without a request under way whose trouble ends (or ended)
/// first. With every place in use the map grows by the requests under way, which the caller
/// bounds.
fn forget_one(breakers: &mut HashMap<BreakerKey, Breaker>) {
    let idle = breakers
        .iter()
        .filter(|(_, breaker)| breaker.in_flight == 0);
    let first = idle.min_by_key(|(_, breaker)| breaker.open.as_ref().map(|open| open.until));
    if let Some(key) = first.map(|(key, _)| key.clone()) {
        breakers.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_millis(1_000_000);

    fn endpoint(number: u32) -> BreakerKey {
        BreakerKey::Endpoint(EndpointId::derived(START, &[&number.to_be_bytes()]))
    }

    fn go(breakers: &Breakers, key: &BreakerKey, now: Timestamp) -> Permit {
        match breakers.admit(key, now) {
            Admission::Go(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    fn fail(breakers: &Breakers, key: &BreakerKey, times: u32, now: Timestamp) {
        for _ in 0..times {
            go(breakers, key, now).record(false, now);
        }
    }

    fn open_until(breakers: &Breakers, key: &BreakerKey, now: Timestamp) -> Option<Timestamp> {
        match breakers.admit(key, now) {
            Admission::Open { until } => Some(until),
            _ => None,
        }
    }

    #[test]
    fn four_requests_go_at_once_and_the_fifth_waits() {
        let (breakers, key) = (Breakers::default(), endpoint(1));
        let mut permits: Vec<Permit> = (0..4).map(|_| go(&breakers, &key, START)).collect();
        assert!(matches!(breakers.admit(&key, START), Admission::Wait));
        go(&breakers, &endpoint(2), START).record(true, START);
        drop(permits.pop());
        permits.push(go(&breakers, &key, START));
        assert!(matches!(breakers.admit(&key, START), Admission::Wait));
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_between_does_not() {
        let (breakers, key) = (Breakers::default(), endpoint(1));
        fail(&breakers, &key, 4, START);
        go(&breakers, &key, START).record(true, START);
        fail(&breakers, &key, 4, START);
        assert_eq!(open_until(&breakers, &key, START), None);
        fail(&breakers, &key, 1, START);
        assert_eq!(
            open_until(&breakers, &key, START),
            Some(START + SHORTEST_OPEN)
        );
        go(&breakers, &endpoint(2), START).record(true, START);
    }

    #[test]
    fn half_open_lets_one_through_and_each_failure_doubles_the_wait() {
        let (breakers, key) = (Breakers::default(), endpoint(1));
        fail(&breakers, &key, 5, START);
        let mut now = START + SHORTEST_OPEN;
        for seconds in [60, 120, 240, 480, 600, 600] {
            let probe = go(&breakers, &key, now);
            assert!(matches!(breakers.admit(&key, now), Admission::Wait));
            probe.record(false, now);
            let until = now + Duration::from_secs(seconds);
            assert_eq!(open_until(&breakers, &key, now), Some(until));
            now = until;
        }
        go(&breakers, &key, now).record(true, now);
        let together: Vec<Permit> = (0..4).map(|_| go(&breakers, &key, now)).collect();
        assert_eq!(together.len(), 4);
    }

    #[test]
    fn a_probe_that_is_given_up_lets_the_next_one_through() {
        let (breakers, key) = (Breakers::default(), endpoint(1));
        fail(&breakers, &key, 5, START);
        let now = START + SHORTEST_OPEN;
        drop(go(&breakers, &key, now));
        go(&breakers, &key, now).record(true, now);
    }

    #[test]
    fn failures_sent_before_it_opened_do_not_prolong_it() {
        let (breakers, key) = (Breakers::default(), endpoint(1));
        fail(&breakers, &key, 4, START);
        let late: Vec<Permit> = (0..4).map(|_| go(&breakers, &key, START)).collect();
        for permit in late {
            permit.record(false, START);
        }
        assert_eq!(
            open_until(&breakers, &key, START),
            Some(START + SHORTEST_OPEN)
        );
    }

    #[test]
    fn a_clock_set_back_does_not_keep_it_open() {
        let (breakers, key) = (Breakers::default(), endpoint(1));
        fail(&breakers, &key, 5, START + Duration::from_secs(3_600));
        go(&breakers, &key, START).record(true, START);
    }

    #[test]
    fn memory_is_bounded_and_the_healthy_are_forgotten() {
        let breakers = Breakers::default();
        go(&breakers, &endpoint(0), START).record(true, START);
        assert_eq!(breakers.lock().len(), 0);
        let busy = go(&breakers, &endpoint(0), START);
        for number in 1..=MOST_REMEMBERED as u32 + 10 {
            fail(&breakers, &endpoint(number), 1, START);
        }
        assert_eq!(breakers.lock().len(), MOST_REMEMBERED);
        assert!(breakers.lock().contains_key(&endpoint(0)));
        drop(busy);
    }
}
