//! Wrong passwords: after too many nobody may try again for a while, neither for the account
//! nor from the address.
//!
//! A login is counted before its password is looked at, so that many at once get no further than
//! many in a row. Addresses without an account are counted alike, so that a lock tells nobody
//! which exist.

use super::one_address;
use crate::problem::{ApiError, Code};
use quick_cache::sync::Cache;
use smarttasks_model::{Email, Timestamp};
use std::collections::VecDeque;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const WINDOW: Duration = Duration::from_hours(1);
const LOCKED_FOR: Duration = Duration::from_mins(15);
const WRONG_PER_ACCOUNT: usize = 10;
/// More, because many people may share an address.
const WRONG_PER_ADDRESS: usize = 100;
/// Accounts and addresses that are remembered: some 100 bytes each, and 8 for each wrong
/// password, of which the time that hashing takes allows only so many an hour.
const REMEMBERED: usize = 50_000;

/// Counts wrong passwords.
#[derive(Debug)]
pub struct Logins {
    accounts: Lockout<String>,
    addresses: Lockout<IpAddr>,
}

impl Default for Logins {
    fn default() -> Self {
        Self::new()
    }
}

impl Logins {
    /// With nothing counted yet.
    pub fn new() -> Self {
        Self {
            accounts: Lockout::new(WRONG_PER_ACCOUNT),
            addresses: Lockout::new(WRONG_PER_ADDRESS),
        }
    }

    /// Begins a login to `account` from `address`. Say how it ended to what is returned.
    ///
    /// # Errors
    /// 429 while the account or the address is locked.
    pub fn attempt(
        &self,
        account: &Email,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Attempt, ApiError> {
        let of_account = self.accounts.begin(account.key(), now)?;
        let of_address = self.addresses.begin(one_address(address), now)?;
        Ok(Attempt {
            of_account,
            of_address,
        })
    }
}

/// A login that has begun. Dropped without a word, as when the client went away, it is not counted.
#[derive(Debug)]
#[must_use = "say how the login ended"]
pub struct Attempt {
    of_account: Pending,
    of_address: Pending,
}

impl Attempt {
    /// The password was wrong, or there is no such account.
    pub fn wrong(self, now: Timestamp) {
        self.of_account.wrong(now);
        self.of_address.wrong(now);
    }

    /// The password was right: earlier mistakes with this account are forgotten, those from the
    /// address are not, or an account of one's own would pay for guessing at others.
    pub fn right(self) {
        self.of_account.forgive();
    }
}

/// Wrong attempts by key.
#[derive(Debug)]
struct Lockout<K> {
    most: usize,
    counts: Cache<K, Arc<Mutex<Count>>>,
}

#[derive(Debug, Default)]
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
    fn new(most: usize) -> Self {
        Self {
            most,
            counts: Cache::new(REMEMBERED),
        }
    }

    fn begin(&self, key: K, now: Timestamp) -> Result<Pending, ApiError> {
        let count = self.count(key);
        {
            let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
            count.refresh(self.most, now);
            if let Some(ends) = count.locked_until(self.most) {
                return Err(locked("Too many wrong passwords.", ends.since(now)));
            }
            if count.wrong.len() + count.pending >= self.most {
                return Err(locked("Too many logins at once.", Duration::from_secs(1)));
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

fn locked(detail: &str, after: Duration) -> ApiError {
    ApiError::too_many(Code::LoginLocked, detail, after)
}

#[derive(Debug)]
struct Pending {
    count: Arc<Mutex<Count>>,
}

impl Pending {
    fn wrong(self, now: Timestamp) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.wrong.push_back(now);
    }

    fn forgive(self) {
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

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_800_000_000_000) + Duration::from_secs(seconds)
    }

    fn email(name: &str) -> Email {
        format!("{name}@example.com").parse().unwrap()
    }

    fn home() -> IpAddr {
        "192.0.2.1".parse().unwrap()
    }

    fn try_wrong(logins: &Logins, name: &str, now: Timestamp) -> Result<(), ApiError> {
        logins
            .attempt(&email(name), home(), now)
            .map(|attempt| attempt.wrong(now))
    }

    #[test]
    fn of_a_hundred_wrong_logins_ten_are_tried() {
        let logins = Logins::new();
        let tried = (0..100).filter(|second| try_wrong(&logins, "ann", at(*second)).is_ok());
        assert_eq!(tried.count(), 10);
        let locked = logins.attempt(&email("ANN"), home(), at(100)).unwrap_err();
        let ApiError::Later { code, after, .. } = locked else {
            panic!("{locked:?}")
        };
        assert_eq!(code, Code::LoginLocked);
        assert_eq!(after, LOCKED_FOR - Duration::from_secs(91));
        assert!(logins.attempt(&email("bob"), home(), at(100)).is_ok());
    }

    #[test]
    fn a_lock_ends() {
        let logins = Logins::new();
        for _ in 0..10 {
            try_wrong(&logins, "ann", at(0)).unwrap();
        }
        assert!(try_wrong(&logins, "ann", at(15 * 60 - 1)).is_err());
        for _ in 0..10 {
            try_wrong(&logins, "ann", at(15 * 60)).unwrap();
        }
        assert!(try_wrong(&logins, "ann", at(15 * 60)).is_err());
    }

    #[test]
    fn nine_wrong_logins_an_hour_never_lock() {
        let logins = Logins::new();
        for hour in 0..5 {
            for _ in 0..9 {
                try_wrong(&logins, "ann", at(hour * 3600)).unwrap();
            }
        }
    }

    #[test]
    fn the_hour_slides() {
        let logins = Logins::new();
        try_wrong(&logins, "ann", at(0)).unwrap();
        for _ in 0..8 {
            try_wrong(&logins, "ann", at(3599)).unwrap();
        }
        try_wrong(&logins, "ann", at(3600)).unwrap();
        try_wrong(&logins, "ann", at(3600)).unwrap();
        assert!(try_wrong(&logins, "ann", at(3600)).is_err());
    }

    #[test]
    fn a_right_password_forgives_the_wrong_ones_before() {
        let logins = Logins::new();
        for _ in 0..5 {
            for _ in 0..9 {
                try_wrong(&logins, "ann", at(0)).unwrap();
            }
            logins
                .attempt(&email("ann"), home(), at(0))
                .unwrap()
                .right();
        }
    }

    #[test]
    fn many_at_once_get_no_further_than_many_in_a_row() {
        let logins = Logins::new();
        let attempt = || logins.attempt(&email("ann"), home(), at(0));
        let at_once: Vec<_> = (0..100).filter_map(|_| attempt().ok()).collect();
        assert_eq!(at_once.len(), 10);
        let ApiError::Later { after, .. } = attempt().unwrap_err() else {
            panic!("the eleventh was let through")
        };
        assert_eq!(after, Duration::from_secs(1));
        drop(at_once);
        assert!(attempt().is_ok(), "logins given up are not counted");
    }

    #[test]
    fn an_address_is_locked_over_many_accounts() {
        let logins = Logins::new();
        for account in 0..100 {
            try_wrong(&logins, &format!("user{account}"), at(0)).unwrap();
        }
        assert!(try_wrong(&logins, "one-more", at(1)).is_err());
        let elsewhere = "192.0.2.2".parse().unwrap();
        assert!(logins.attempt(&email("one-more"), elsewhere, at(1)).is_ok());
    }

    #[test]
    fn a_clock_set_back_does_not_lengthen_a_lock() {
        let logins = Logins::new();
        for _ in 0..10 {
            try_wrong(&logins, "ann", at(7200)).unwrap();
        }
        assert!(try_wrong(&logins, "ann", at(0)).is_err());
        assert!(try_wrong(&logins, "ann", at(15 * 60)).is_ok());
    }

    #[test]
    fn a_flood_of_accounts_is_not_kept() {
        let lockout = Lockout::new(10);
        for key in 0..60_000u32 {
            lockout.begin(key, at(0)).unwrap().wrong(at(0));
        }
        assert!(lockout.counts.len() <= REMEMBERED);
    }
}
