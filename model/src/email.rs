//! E-mail addresses.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// An e-mail address as it may stand in a header, with the domain in lower case.
///
/// Case of the local part is kept for sending; [`Email::key`] is what makes two addresses the
/// same account. Only ASCII is taken: an address that a header cannot carry unencoded is not an
/// address that every server delivers to.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Email(String);

/// Not an address.
#[derive(Debug, thiserror::Error)]
#[error(
    "not an e-mail address: expected something like ann@example.com, ASCII, at most 254 characters"
)]
pub struct EmailError;

impl Email {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What identifies the mailbox: the whole address in lower case.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for Email {
    type Err = EmailError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim_matches(' ');
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError)?;
        let domain = domain.to_ascii_lowercase();
        if text.len() > 254 || !is_local_part(local) || !is_domain(&domain) {
            return Err(EmailError);
        }
        Ok(Self(format!("{local}@{domain}")))
    }
}

/// A dot-atom of RFC 5322, section 3.2.3; quoted local parts are refused.
fn is_local_part(local: &str) -> bool {
    let atom = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    local.len() <= 64 && local.split('.').all(atom)
}

fn is_domain(domain: &str) -> bool {
    let label = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    domain.len() <= 253 && domain.split('.').all(label)
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Email {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_normalised() {
        let email: Email = " Ann.Smith@Example.COM ".parse().unwrap();
        assert_eq!(email.as_str(), "Ann.Smith@example.com");
        assert_eq!(email.key(), "ann.smith@example.com");
        assert_eq!(email.domain(), "example.com");
        assert!("ann@localhost".parse::<Email>().is_ok());
    }

    #[test]
    fn what_a_header_could_not_carry_is_refused() {
        for bad in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "a b@example.com",
            "ann@exa mple.com",
            "ann@example.com\r\nBcc: eve@example.com",
            "ann\n@example.com",
            "ann\0@example.com",
            "\"ann\"@example.com",
            "ann@-example.com",
            "ann..b@example.com",
            "änn@example.com",
            "ann@example..com",
            "<ann@example.com>",
            "ann@example.com,eve@example.com",
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }
}
