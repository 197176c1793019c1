//! Values that no output may show.

use super::setting::Setting;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use std::fmt;
use url::Url;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";

/// The key that encrypts what is secret at rest: 32 bytes, base64 as text.
pub struct SecretKey(SecretBox<[u8; 32]>);

impl SecretKey {
    /// The key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// The bytes, for the cipher.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    /// The key as text that [`Setting::parse`] reads again, for the file that keeps it.
    pub fn expose_base64(&self) -> String {
        STANDARD.encode(self.expose())
    }
}

impl Clone for SecretKey {
    fn clone(&self) -> Self {
        Self::new(*self.expose())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Setting for SecretKey {
    const KIND: &'static str = "32 bytes, base64";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self::new)
            .ok_or_else(|| {
                "expected 32 bytes in base64; `openssl rand -base64 32` makes them".to_owned()
            })
    }

    fn show(&self) -> String {
        REDACTED.to_owned()
    }
}

/// The mail server, with the user and the password in it, if any.
#[derive(Debug, Clone)]
pub struct SmtpUrl(SecretString);

impl SmtpUrl {
    /// The whole address, password included, for the mailer.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<SmtpUrl> for SecretString {
    fn from(url: SmtpUrl) -> Self {
        url.0
    }
}

impl Setting for SmtpUrl {
    const KIND: &'static str = "URL";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "smtp" | "smtps") && url.has_host())
            .filter(|url| url.username().is_empty() == url.password().is_none())
            .filter(|url| url.query_pairs().all(|(key, value)| is_tls(&key, &value)))
            .map(|_| Self(text.into()))
            .ok_or_else(|| {
                "expected smtps://user:password@host or smtp://user:password@host, with what is special in user and password percent-encoded, and no parameter but tls=required, opportunistic or none"
                    .to_owned()
            })
    }

    /// The address with neither user nor password: with some services the user is half the secret.
    fn show(&self) -> String {
        let Ok(url) = Url::parse(self.expose()) else {
            return REDACTED.to_owned();
        };
        let server = &url[url::Position::BeforeHost..];
        if url.username().is_empty() && url.password().is_none() {
            format!("{}://{server}", url.scheme())
        } else {
            format!("{}://{REDACTED}@{server}", url.scheme())
        }
    }
}

fn is_tls(key: &str, value: &str) -> bool {
    key == "tls" && matches!(value, "required" | "opportunistic" | "none")
}
