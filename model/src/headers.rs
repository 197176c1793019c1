//! Headers that an endpoint's owner adds to each webhook, or a script to its request: written by
//! strangers, so that each is checked here once, when it is parsed.

use crate::Invalid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Headers that somebody adds to a request of ours, names in lower case.
///
/// Values may be credentials, so `Debug` shows the names only.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, String>",
    into = "BTreeMap<String, String>"
)]
pub struct HeaderSet(BTreeMap<String, String>);

impl HeaderSet {
    const MOST: usize = 20;
    const LONGEST_NAME: usize = 64;
    const LONGEST_VALUE: usize = 2_048;

    /// Ours to set: what frames the request, says who we are, or signs it.
    const RESERVED: [&'static str; 18] = [
        "accept-encoding",
        "connection",
        "date",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "traceparent",
        "tracestate",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-http-method-override",
        "x-real-ip",
    ];
    const RESERVED_PREFIXES: [&'static str; 5] =
        ["content-", "proxy-", "sec-", "webhook-", "x-forwarded-"];
    /// What describes a body that is not ours.
    const OF_BODIES: [&'static str; 3] = ["content-encoding", "content-language", "content-type"];

    /// Checks the `headers` of a webhook; `pointer` is the JSON pointer to them, for the refusal.
    ///
    /// # Errors
    /// The first that is none, or is ours to set.
    pub fn parse(pointer: &str, headers: &BTreeMap<String, String>) -> Result<Self, Invalid> {
        Self::parse_but(pointer, headers, &[])
    }

    /// Checks the `headers` of a request whose body is somebody else's too, who may describe it.
    ///
    /// # Errors
    /// The first that is none, or is ours to set.
    pub fn of_request(pointer: &str, headers: &BTreeMap<String, String>) -> Result<Self, Invalid> {
        Self::parse_but(pointer, headers, &Self::OF_BODIES)
    }

    fn parse_but(
        pointer: &str,
        headers: &BTreeMap<String, String>,
        allowed: &[&str],
    ) -> Result<Self, Invalid> {
        if headers.len() > Self::MOST {
            let detail = format!("at most {} headers are allowed", Self::MOST);
            return Err(Invalid::at(pointer, detail));
        }
        let mut parsed = BTreeMap::new();
        for (name, value) in headers {
            let at = |detail: &str| {
                let name = name.replace('~', "~0").replace('/', "~1");
                Invalid::at(format!("{pointer}/{name}"), detail)
            };
            let lower = Self::name(name, allowed).map_err(|detail| at(&detail))?;
            let value = Self::value(value).map_err(|detail| at(&detail))?;
            if parsed.insert(lower, value).is_some() {
                return Err(at("is given twice (case does not matter)"));
            }
        }
        Ok(Self(parsed))
    }

    /// Whether there is one of this name, which is in lower case.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// A token of RFC 9110, section 5.6.2, that is not reserved.
    fn name(name: &str, allowed: &[&str]) -> Result<String, String> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || name.len() > Self::LONGEST_NAME || !name.bytes().all(token) {
            let longest = Self::LONGEST_NAME;
            return Err(format!(
                "is not a header name: expected at most {longest} letters, digits and hyphens"
            ));
        }
        let name = name.to_ascii_lowercase();
        let reserved = Self::RESERVED.contains(&name.as_str())
            || Self::RESERVED_PREFIXES.iter().any(|p| name.starts_with(p));
        match reserved && !allowed.contains(&name.as_str()) {
            true => Err("is set by SmartTasks and cannot be overridden".to_owned()),
            false => Ok(name),
        }
    }

    fn value(value: &str) -> Result<String, String> {
        let value = value.trim_matches([' ', '\t']);
        if value.len() > Self::LONGEST_VALUE {
            let longest = Self::LONGEST_VALUE;
            return Err(format!(
                "is too long: at most {longest} characters are allowed"
            ));
        }
        match value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            true => Ok(value.to_owned()),
            false => Err(
                "holds a character that a header cannot carry: use printable ASCII on one line"
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Debug for HeaderSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl TryFrom<BTreeMap<String, String>> for HeaderSet {
    type Error = Invalid;
    fn try_from(headers: BTreeMap<String, String>) -> Result<Self, Self::Error> {
        Self::parse("", &headers)
    }
}

impl From<HeaderSet> for BTreeMap<String, String> {
    fn from(headers: HeaderSet) -> Self {
        headers.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Result<HeaderSet, Invalid> {
        let map = pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        HeaderSet::parse("/headers", &map.collect())
    }

    #[test]
    fn headers_that_are_ours_or_inject_are_refused() {
        for (name, value) in [
            ("Host", "internal"),
            ("hOST", "internal"),
            ("Content-Length", "0"),
            ("content-type", "text/plain"),
            ("Webhook-Id", "other"),
            ("webhook-signature", "v1,x"),
            ("Connection", "close"),
            ("Transfer-Encoding", "chunked"),
            ("Traceparent", "00-1"),
            ("X-Forwarded-For", "127.0.0.1"),
            ("Proxy-Authorization", "x"),
            ("User-Agent", "x"),
            ("", "x"),
            ("X Y", "x"),
            ("X:Y", "x"),
            ("X\r\nHost", "x"),
            ("X-Ü", "x"),
            ("X-Fine", "a\r\nHost: internal"),
            ("X-Fine", "a\nb"),
            ("X-Fine", "a\rb"),
            ("X-Fine", "a\0b"),
            ("X-Fine", "ü"),
            ("X-Fine", &"x".repeat(2_049)),
        ] {
            let refused = headers(&[(name, value)]).unwrap_err();
            assert!(
                refused.pointer.starts_with("/headers/"),
                "{name:?}: {refused}"
            );
        }
        assert!(headers(&[("X-A", "1"), ("x-a", "2")]).is_err());
        let many: Vec<String> = (0..21).map(|n| format!("x-{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|n| (n.as_str(), "")).collect();
        assert_eq!(headers(&many).unwrap_err().pointer, "/headers");
    }

    #[test]
    fn a_requests_headers_may_describe_its_body_and_nothing_else_of_ours() {
        let of_request = |name: &str| {
            let header = BTreeMap::from([(name.to_owned(), "x".to_owned())]);
            HeaderSet::of_request("/headers", &header)
        };
        for name in [
            "Content-Type",
            "content-language",
            "Accept",
            "Authorization",
        ] {
            assert!(
                of_request(name)
                    .unwrap()
                    .contains(&name.to_ascii_lowercase())
            );
        }
        for name in ["Content-Length", "Host", "Connection", "Webhook-Id", "X Y"] {
            assert!(of_request(name).is_err(), "{name}");
        }
    }

    #[test]
    fn headers_keep_their_values_to_themselves() {
        let set = headers(&[("Authorization", " Bearer s3cret\t"), ("X-Team", "ops")]).unwrap();
        let pairs: Vec<_> = set.iter().collect();
        assert_eq!(
            pairs,
            [("authorization", "Bearer s3cret"), ("x-team", "ops")]
        );
        assert_eq!(format!("{set:?}"), r#"{"authorization", "x-team"}"#);
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<HeaderSet>(&json).unwrap(), set);
        assert!(serde_json::from_str::<HeaderSet>(r#"{"host": "x"}"#).is_err());
    }
}
