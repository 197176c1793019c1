//! Values that no output may show.

use super::setting::Setting;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use std::fmt;
use std::path::PathBuf;
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

/// Where the database is.
#[derive(Debug, Clone)]
pub enum DatabaseUrl {
    /// A SQLite file.
    File(PathBuf),
    /// A PostgreSQL server.
    Server(ServerUrl),
}

impl Setting for DatabaseUrl {
    const KIND: &'static str = "URL";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres:") || text.starts_with("postgresql:") {
            return ServerUrl::with_scheme(text, &["postgres", "postgresql"])
                .map(Self::Server)
                .ok_or_else(|| expected_server("postgres", "db.example.com/smarttasks"));
        }
        let Some(path) = text.strip_prefix("sqlite:") else {
            return Err(
                "expected sqlite:<path of a file> or postgres://user:password@host/database"
                    .to_owned(),
            );
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.starts_with(':') || path.contains(['?', '\0']) {
            return Err(
                "expected sqlite:<path of a file> without parameters, such as sqlite:/var/lib/smarttasks/smarttasks.db"
                    .to_owned(),
            );
        }
        Ok(Self::File(PathBuf::from(path)))
    }

    fn show(&self) -> String {
        match self {
            Self::File(path) => format!("sqlite:{}", path.display()),
            Self::Server(url) => url.show(),
        }
    }
}

fn expected_server(scheme: &str, rest: &str) -> String {
    format!(
        "expected {scheme}://user:password@{rest}, with what is special in user and password percent-encoded"
    )
}

/// Another server, with the user and the password in its address, if any.
#[derive(Debug, Clone)]
pub struct ServerUrl(SecretString);

impl ServerUrl {
    fn with_scheme(text: &str, schemes: &[&str]) -> Option<Self> {
        Url::parse(text)
            .ok()
            .filter(|url| schemes.contains(&url.scheme()) && url.has_host())
            .map(|_| Self(text.into()))
    }

    /// The whole address, password included.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The address with neither user, password nor parameters.
    fn show(&self) -> String {
        redacted(self.expose())
    }
}

/// An address with neither user nor password: with some services the user is half the secret.
/// Parameters go too, because PostgreSQL takes a password there.
fn redacted(address: &str) -> String {
    let Ok(url) = Url::parse(address) else {
        return REDACTED.to_owned();
    };
    let server = &url[url::Position::BeforeHost..url::Position::AfterPath];
    if url.username().is_empty() && url.password().is_none() {
        format!("{}://{server}", url.scheme())
    } else {
        format!("{}://{REDACTED}@{server}", url.scheme())
    }
}

/// Declares a server's address by its schemes.
macro_rules! server {
    ($(#[doc = $doc:literal])+ $type:ident: [$($scheme:literal),+], $rest:literal) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone)]
        pub struct $type(ServerUrl);

        impl $type {
            /// The whole address, password included.
            pub fn expose(&self) -> &str {
                self.0.expose()
            }
        }

        impl Setting for $type {
            const KIND: &'static str = "URL";
            const SECRET: bool = true;

            fn parse(text: &str) -> Result<Self, String> {
                let schemes = [$($scheme),+];
                ServerUrl::with_scheme(text, &schemes)
                    .map(Self)
                    .ok_or_else(|| expected_server(schemes[0], $rest))
            }

            fn show(&self) -> String {
                self.0.show()
            }
        }
    };
}

server! {
    /// The broker.
    AmqpUrl: ["amqp", "amqps"], "mq.example.com/vhost"
}
server! {
    /// The cache.
    RedisUrl: ["redis", "rediss"], "cache.example.com"
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

    fn show(&self) -> String {
        redacted(self.expose())
    }
}

fn is_tls(key: &str, value: &str) -> bool {
    key == "tls" && matches!(value, "required" | "opportunistic" | "none")
}
