//! How often: requests per principal and per address, and wrong passwords per account.
//!
//! Replicas count together in Redis. Where there is none, or while it does not answer, each
//! counts in memory, bounded, and by the project's clock. What is forgotten when a process or
//! Redis ends, or when more keys turn up than there is room for, is only ever in the caller's
//! favour.

mod login;
mod rate;

pub use rate::Quotas;

pub(crate) use login::Logins;
pub(crate) use rate::{RateLimits, counted};

use std::net::{IpAddr, Ipv6Addr};

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 address, which is what one
/// customer is given.
pub(crate) fn one_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}
