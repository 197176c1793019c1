//! Counting in this process, bounded, by the project's clock.

use super::{LOCKED_FOR, WINDOW, busy, locked};
use crate::problem::ApiError;
use quick_cache::sync::Cache;
use smarttasks_model::Timestamp;
use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Accounts and addresses that are remembered: some 100 bytes each, and 8 for each wrong
/// password, of which the time that hashing takes allows only so many an hour.
const REMEMBERED: usize = 50_000;

/// Wrong attempts by key.
pub(super) struct Lockout<K> {
    most: usize,
    counts: Cache<K, Arc<Mutex<Count>>>,
}

#[derive(Default)]
struct Count {
    pending: usize,
    /// When each wrong password came, within the last hour; never more than lock.
    wrong: VecDeque<Timestamp>,
}

impl Count {
    /// When the lock ends, if there are enough wrong passwords for one.
    fn locked_until(&self, most: usize) -> Option<Timestamp> {
        let last = self.wrong.back().filter(|_| self.wrong.len() >= most)?;
        Some(*last + LOCKED_FOR)
    }

    /// Forgets what is over. After a clock was set back, what lies ahead counts as of now.
    fn refresh(&mut self, most: usize, now: Timestamp) {
        for at in &mut self.wrong {
            *at = now.min(*at);
        }
        match self.locked_until(most) {
            Some(ends) if now >= ends => self.wrong.clear(),
            Some(_) => {}
            None => self.wrong.retain(|at| now < *at + WINDOW),
        }
    }
}

impl<K: Eq + Hash + Clone> Lockout<K> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            counts: Cache::new(REMEMBERED),
        }
    }

    pub(super) fn begin(&self, key: K, now: Timestamp) -> Result<Pending, ApiError> {
        let count = self.count(key);
        {
            let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
            count.refresh(self.most, now);
            if let Some(ends) = count.locked_until(self.most) {
                return Err(locked(ends.since(now)));
            }
            if count.wrong.len() + count.pending >= self.most {
                return Err(busy());
            }
            count.pending += 1;
        }
        Ok(Pending { count })
    }

    fn count(&self, key: K) -> Arc<Mutex<Count>> {
        let fresh = || Ok::<_, std::convert::Infallible>(Arc::default());
        match self.counts.get_or_insert_with(&key, fresh) {
            Ok(count) => count,
        }
    }
}

pub(super) struct Pending {
    count: Arc<Mutex<Count>>,
}

impl Pending {
    pub(super) fn wrong(self, now: Timestamp) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.wrong.push_back(now);
    }

    pub(super) fn forgive(self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.wrong.clear();
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.pending = count.pending.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_accounts_is_not_kept() {
        let now = Timestamp::from_unix_millis(1_800_000_000_000);
        let lockout = Lockout::new(10);
        for key in 0..60_000u32 {
            lockout.begin(key, now).unwrap().wrong(now);
        }
        assert!(lockout.counts.len() <= REMEMBERED);
    }
}
