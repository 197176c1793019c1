//! What a webhook endpoint is made of: its URL and its secret.
//!
//! Both are written by strangers and used from inside our network, so that each is checked
//! here once, when it is parsed, and the sender can trust the types.

use crate::net;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use url::{Host, Url};
use uuid::Uuid;

/// An absolute `http` or `https` URL with a host, without user info and fragment.
///
/// Literal addresses are in their usual form, however they were written: `http://0x7f.1/` reads
/// back as `http://127.0.0.1/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WebhookUrl(Url);

/// Why a URL may not be a webhook's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WebhookUrlError {
    /// Not a URL at all.
    #[error("not a URL: expected something like https://example.com/hooks/tasks")]
    NotAUrl,
    /// Longer than [`WebhookUrl::LONGEST`].
    #[error("is too long: at most {} characters are allowed", WebhookUrl::LONGEST)]
    TooLong,
    /// Neither `http` nor `https`.
    #[error("has the scheme {0:?}: only https is allowed (http only to allowed networks)")]
    Scheme(String),
    /// A user name or password.
    #[error(
        "holds a user name or password: send an Authorization header instead (the endpoint's headers)"
    )]
    UserInfo,
    /// A fragment, which is never sent.
    #[error("holds a fragment (#…), which would never be sent: leave it off")]
    Fragment,
    /// Plain `http` to where that is not allowed.
    #[error("must be https: plain http is only allowed to networks that the operator lists")]
    HttpsRequired,
    /// A host that is private by its very name.
    #[error("{0} is a private address: webhooks may only reach public ones")]
    PrivateAddress(String),
}

impl WebhookUrl {
    /// The longest URL, in characters.
    pub const LONGEST: usize = 2_048;

    /// Whether a webhook may go here, as far as that can be known without resolving the host.
    ///
    /// Literal addresses and the names of this machine are decided here. For any other name the
    /// connector decides when it has resolved it: plain `http` only to one of the `allowed`
    /// networks, `https` to these and to public addresses.
    pub fn check(&self, allowed: &[IpNet]) -> Result<(), WebhookUrlError> {
        let known = self.known_addresses();
        if known.is_empty() {
            return match self.is_https() || !allowed.is_empty() {
                true => Ok(()),
                false => Err(WebhookUrlError::HttpsRequired),
            };
        }
        if !known.iter().any(|a| net::may_connect(*a, allowed)) {
            return Err(WebhookUrlError::PrivateAddress(self.host().to_owned()));
        }
        if !self.is_https() && !known.iter().any(|a| net::is_allowed(*a, allowed)) {
            return Err(WebhookUrlError::HttpsRequired);
        }
        Ok(())
    }

    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host as the URL writes it.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The address, when the host is one: no resolver is ever asked for it.
    pub fn literal_address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed URL.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Where the host leads without a question to the network: `localhost` and the names below it
    /// are this machine's (RFC 6761, section 6.3).
    fn known_addresses(&self) -> Vec<IpAddr> {
        if let Some(address) = self.literal_address() {
            return vec![address];
        }
        let name = self.host().trim_end_matches('.');
        match name == "localhost" || name.ends_with(".localhost") {
            true => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            false => Vec::new(),
        }
    }
}

impl FromStr for WebhookUrl {
    type Err = WebhookUrlError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().count() > Self::LONGEST {
            return Err(WebhookUrlError::TooLong);
        }
        // The URL standard drops line breaks and tabs; a URL that holds them is a mistake or a try.
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(WebhookUrlError::NotAUrl);
        }
        let url = Url::parse(text).map_err(|_| WebhookUrlError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(WebhookUrlError::Scheme(url.scheme().to_owned()));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(WebhookUrlError::NotAUrl);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(WebhookUrlError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(WebhookUrlError::Fragment);
        }
        if url.as_str().len() > Self::LONGEST {
            return Err(WebhookUrlError::TooLong);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for WebhookUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for WebhookUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer)
    }
}

/// A key that signs webhooks, by Standard Webhooks 1.0: `whsec_` and the base64 of 24 to 64 bytes.
///
/// It has no `Display`, no `Serialize` and a silent `Debug`; [`SigningSecret::reveal`] is the only
/// way to its text.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

/// Not a signing secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a signing secret: expected whsec_ and the base64 of 24 to 64 bytes")]
pub struct SigningSecretError;

impl SigningSecret {
    const PREFIX: &'static str = "whsec_";

    /// A fresh secret of 32 bytes.
    pub fn generate() -> Self {
        // Each version 4 UUID brings 122 bits of the system's randomness; four of them, hashed,
        // make 32 even bytes without another way to ask for randomness (and another way to fail).
        let mut hash = Sha256::new();
        for _ in 0..4 {
            hash.update(Uuid::new_v4().as_bytes());
        }
        Self(hash.finalize().to_vec())
    }

    /// The text that its owner gives to the receiver.
    pub fn reveal(&self) -> String {
        format!("{}{}", Self::PREFIX, BASE64.encode(&self.0))
    }

    /// The key of the HMAC.
    pub fn key(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for SigningSecret {
    type Err = SigningSecretError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix(Self::PREFIX).ok_or(SigningSecretError)?;
        let key = BASE64.decode(encoded).map_err(|_| SigningSecretError)?;
        match (24..=64).contains(&key.len()) {
            true => Ok(Self(key)),
            false => Err(SigningSecretError),
        }
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(text: &[&str]) -> Vec<IpNet> {
        text.iter()
            .map(|network| network.parse().unwrap())
            .collect()
    }

    #[test]
    fn what_is_not_a_plain_web_address_is_refused() {
        let long = format!("https://example.com/{}", "a".repeat(2_048));
        let long_once_encoded = format!("https://example.com/{}", "ä".repeat(1_000));
        for bad in [
            "",
            "example.com/hook",
            "https://",
            "ftp://example.com/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://user@example.com/",
            "https://user:secret@example.com/",
            "https://:secret@example.com/",
            "https://example.com/#top",
            "https://exam\nple.com/",
            " https://example.com/",
            "https://example.com/\0",
            "https://[fe80::1%25eth0]/",
            "https://1.2.3.4.5/",
            "https://example.com:99999/",
            &long,
            &long_once_encoded,
        ] {
            assert!(bad.parse::<WebhookUrl>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_url_reads_what_it_writes() {
        let url: WebhookUrl = "https://Example.com:8443/hook?x=1".parse().unwrap();
        assert_eq!(url.as_str(), "https://example.com:8443/hook?x=1");
        assert_eq!((url.host(), url.literal_address()), ("example.com", None));
        let json = serde_json::to_string(&url).unwrap();
        assert_eq!(serde_json::from_str::<WebhookUrl>(&json).unwrap(), url);
        assert!(serde_json::from_str::<WebhookUrl>("\"https://a@b/\"").is_err());
    }

    #[test]
    fn private_addresses_are_refused_in_every_spelling() {
        for private in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://017700000001/",
            "https://127.0.0.1./",
            "https://%31%32%37.0.0.1/",
            "https://１２７.0.0.1/",
            "https://10.0.0.1:8443/",
            "https://169.254.169.254/latest/meta-data/",
            "https://0/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a00:1]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[2002:7f00:1::]/",
            "https://[fd00:ec2::254]/",
            "https://[fe80::1]/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://smtp.localhost/",
        ] {
            let url: WebhookUrl = private.parse().unwrap();
            let refused = url.check(&networks(&["192.168.7.0/24"]));
            assert!(
                matches!(refused, Err(WebhookUrlError::PrivateAddress(_))),
                "{private}: {refused:?}"
            );
        }
    }

    #[test]
    fn plain_http_is_for_allowed_networks_only() {
        let loopback = networks(&["127.0.0.0/8"]);
        for (url, allowed, expected) in [
            ("https://example.com/", &[][..], Ok(())),
            ("https://1.1.1.1/", &[], Ok(())),
            (
                "http://example.com/",
                &[],
                Err(WebhookUrlError::HttpsRequired),
            ),
            ("http://1.1.1.1/", &[], Err(WebhookUrlError::HttpsRequired)),
            (
                "http://1.1.1.1/",
                &loopback,
                Err(WebhookUrlError::HttpsRequired),
            ),
            ("http://127.0.0.1:9000/", &loopback, Ok(())),
            ("http://localhost:9000/", &loopback, Ok(())),
            // The connector decides this one, when it knows the address.
            ("http://receiver.internal/", &loopback, Ok(())),
        ] {
            let parsed: WebhookUrl = url.parse().unwrap();
            assert_eq!(parsed.check(allowed), expected, "{url}");
        }
    }

    #[test]
    fn a_secret_reads_what_it_reveals_and_shows_nothing_else() {
        let secret = SigningSecret::generate();
        assert_eq!(secret.key().len(), 32);
        assert_ne!(secret, SigningSecret::generate());
        assert_eq!(secret.reveal().parse(), Ok(secret.clone()));
        let shown = format!("{secret:?}");
        assert_eq!(shown, "SigningSecret(…)");
        for (length, fine) in [(23, false), (24, true), (64, true), (65, false)] {
            let text = format!("whsec_{}", BASE64.encode(vec![7; length]));
            assert_eq!(text.parse::<SigningSecret>().is_ok(), fine, "{length}");
        }
        for bad in [
            "",
            "whsec_",
            "whsec_!!!!",
            &secret.reveal()["whsec_".len()..],
        ] {
            assert_eq!(
                bad.parse::<SigningSecret>(),
                Err(SigningSecretError),
                "{bad:?}"
            );
        }
    }
}
