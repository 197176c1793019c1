//! Wrong passwords: after too many nobody may try again for a while, neither for the account
//! nor from the address.
//!
//! A login is counted before its password is looked at, so that many at once get no further than
//! many in a row. Addresses without an account are counted alike, so that a lock tells nobody
//! which exist. Replicas count together in Redis, or the most that may be tried would grow with
//! their number; while it does not answer, each counts by itself.

mod local;
mod shared;
#[cfg(test)]
mod tests;

use super::one_address;
use crate::problem::{ApiError, Code};
use crate::redis::Redis;
use local::{Lockout, Pending};
use shared::{Begun, Shared};
use smarttasks_model::{Email, Timestamp};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const WINDOW: Duration = Duration::from_hours(1);
const LOCKED_FOR: Duration = Duration::from_mins(15);
const WRONG_PER_ACCOUNT: usize = 10;
/// More, because many people may share an address.
const WRONG_PER_ADDRESS: usize = 100;

/// Counts wrong passwords.
pub(crate) struct Logins {
    accounts: Lockout<String>,
    addresses: Lockout<IpAddr>,
    shared: Option<Shared>,
}

impl Logins {
    /// With nothing counted yet here; in `redis` if there is one.
    pub(crate) fn new(redis: Option<Arc<Redis>>) -> Self {
        Self {
            accounts: Lockout::new(WRONG_PER_ACCOUNT),
            addresses: Lockout::new(WRONG_PER_ADDRESS),
            shared: redis.map(Shared::new),
        }
    }

    /// Begins a login to `account` from `address`. Say how it ended to what is returned.
    ///
    /// # Errors
    /// 429 while the account or the address is locked.
    pub(crate) async fn attempt(
        &self,
        account: &Email,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Attempt<'_>, ApiError> {
        let address = one_address(address);
        let shared = match &self.shared {
            Some(shared) => shared.begin(account, address, now).await.transpose()?,
            None => None,
        };
        let counted = match shared {
            Some(begun) => Counted::Shared(begun),
            None => Counted::Here(self.begin_here(account, address, now)?),
        };
        Ok(Attempt {
            logins: self,
            account: account.clone(),
            address,
            counted,
        })
    }

    fn begin_here(
        &self,
        account: &Email,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Here, ApiError> {
        Ok(Here {
            of_account: self.accounts.begin(account.key(), now)?,
            of_address: self.addresses.begin(address, now)?,
        })
    }
}

/// A login that has begun. Dropped without a word, as when the client went away, it is not counted.
#[must_use = "say how the login ended"]
pub(crate) struct Attempt<'a> {
    logins: &'a Logins,
    account: Email,
    address: IpAddr,
    counted: Counted,
}

enum Counted {
    Here(Here),
    Shared(Begun),
}

struct Here {
    of_account: Pending,
    of_address: Pending,
}

impl Here {
    fn wrong(self, now: Timestamp) {
        self.of_account.wrong(now);
        self.of_address.wrong(now);
    }
}

impl Attempt<'_> {
    /// The password was wrong, or there is no such account.
    pub(crate) async fn wrong(self, now: Timestamp) {
        match self.counted {
            Counted::Here(here) => here.wrong(now),
            Counted::Shared(begun) => {
                // When Redis has gone meanwhile, this counts here.
                if begun.wrong().await.is_none()
                    && let Ok(here) = self.logins.begin_here(&self.account, self.address, now)
                {
                    here.wrong(now);
                }
            }
        }
    }

    /// The password was right: earlier mistakes with this account are forgotten, those from the
    /// address are not, or an account of one's own would pay for guessing at others.
    pub(crate) async fn right(self) {
        match self.counted {
            Counted::Here(here) => here.of_account.forgive(),
            Counted::Shared(begun) => begun.right().await,
        }
    }
}

fn locked(after: Duration) -> ApiError {
    ApiError::too_many(Code::LoginLocked, "Too many wrong passwords.", after)
}

fn busy() -> ApiError {
    let detail = "Too many logins at once.";
    ApiError::too_many(Code::LoginLocked, detail, Duration::from_secs(1))
}
