//! Where a connection may go, decided by the resolver of the connector that makes it: between the
//! check and the connection no second lookup can answer otherwise.

use crate::Reason;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use smarttasks_model::{WebhookUrl, net};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Whether a request may connect to `address`: encrypted to public addresses and allowed
/// networks, in plain text to allowed networks only.
pub(super) fn may_connect(is_https: bool, address: IpAddr, allowed: &[IpNet]) -> bool {
    match is_https {
        true => net::may_connect(address, allowed),
        false => net::is_allowed(address, allowed),
    }
}

/// The answer of a resolver, less the addresses that may not be reached.
pub(super) struct Guard {
    resolver: Arc<dyn Resolve>,
    allowed: Arc<[IpNet]>,
    is_https: bool,
}

/// None of a host's addresses may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// Not in this way, nor in any other.
    #[error("the address may not be reached")]
    Address,
    /// A public address, which needs `https`.
    #[error("the address may only be reached by https")]
    HttpsRequired,
}

/// The system's resolver.
pub(super) struct SystemResolver;

impl Guard {
    /// For `https`.
    pub(super) fn secure(resolver: Arc<dyn Resolve>, allowed: Arc<[IpNet]>) -> Self {
        Self {
            resolver,
            allowed,
            is_https: true,
        }
    }

    /// For `http`.
    pub(super) fn plain(resolver: Arc<dyn Resolve>, allowed: Arc<[IpNet]>) -> Self {
        Self {
            resolver,
            allowed,
            is_https: false,
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let resolving = self.resolver.resolve(name);
        let (allowed, is_https) = (self.allowed.clone(), self.is_https);
        Box::pin(async move {
            let found: Vec<SocketAddr> = resolving.await?.collect();
            let reachable: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|address| may_connect(is_https, address.ip(), &allowed))
                .collect();
            match reachable.is_empty() && !found.is_empty() {
                true => Err(Refused::of(found.iter().map(SocketAddr::ip), &allowed).into()),
                false => Ok(Box::new(reachable.into_iter()) as Addrs),
            }
        })
    }
}

impl Refused {
    /// Why none of `addresses` may be reached.
    pub(super) fn of(mut addresses: impl Iterator<Item = IpAddr>, allowed: &[IpNet]) -> Self {
        match addresses.any(|address| net::may_connect(address, allowed)) {
            true => Self::HttpsRequired,
            false => Self::Address,
        }
    }

    /// The same, for the log.
    pub(super) fn reason(self, url: &WebhookUrl) -> Reason {
        let host = url.host().to_owned();
        match self {
            Self::Address => Reason::AddressRefused { host },
            Self::HttpsRequired => Reason::HttpsRequired { host },
        }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The connector replaces port 0 by the URL's.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}
