//! The types of values that only SmartTasks has.

use super::setting::Setting;
use smarttasks_model::Email;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use url::Url;

/// An amount of memory in bytes, written `65536`, `64KiB` or `1MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(NonZeroUsize);

impl ByteSize {
    const UNITS: [(&'static str, usize); 3] =
        [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

    /// The amount in bytes.
    pub fn bytes(self) -> usize {
        self.0.get()
    }
}

impl Setting for ByteSize {
    const KIND: &'static str = "size in bytes";

    fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = Self::UNITS
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
            .unwrap_or((text, 1));
        number
            .trim_end()
            .replace('_', "")
            .parse::<usize>()
            .ok()
            .and_then(|number| NonZeroUsize::new(number.checked_mul(unit)?))
            .map(Self)
            .ok_or_else(|| "expected a size above zero, such as 65536, 64KiB or 1MiB".to_owned())
    }

    fn show(&self) -> String {
        let bytes = self.bytes();
        Self::UNITS
            .iter()
            .find(|(_, unit)| bytes.is_multiple_of(*unit))
            .map_or_else(
                || bytes.to_string(),
                |(name, unit)| format!("{}{name}", bytes / unit),
            )
    }
}

/// How many requests a client may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimit {
    /// As many as it likes.
    Off,
    /// So many a minute.
    PerMinute(NonZeroU32),
}

impl Setting for RateLimit {
    const KIND: &'static str = "`off` or requests per minute";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        NonZeroU32::parse(text)
            .map(Self::PerMinute)
            .map_err(|_| "expected `off` or a whole number above zero".to_owned())
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "off".to_owned(),
            Self::PerMinute(requests) => requests.to_string(),
        }
    }
}

/// How much evaluation time the rules of one workspace may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkspaceBudget {
    /// As much as they like.
    Off,
    /// So much within a minute.
    PerMinute(Duration),
}

impl WorkspaceBudget {
    /// So much within a minute, if it is bounded.
    pub fn per_minute(self) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::PerMinute(time) => Some(time),
        }
    }
}

impl Setting for WorkspaceBudget {
    const KIND: &'static str = "`off` or a duration";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        Duration::parse(text)
            .map(Self::PerMinute)
            .map_err(|_| "expected `off` or a duration above zero, such as 10s".to_owned())
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "off".to_owned(),
            Self::PerMinute(time) => time.show(),
        }
    }
}

/// Declares a type whose values are a few words.
macro_rules! words {
    (
        $(#[doc = $about:literal])+
        $type:ident: $kind:literal {
            $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl Setting for $type {
            const KIND: &'static str = $kind;

            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $( $word => Ok(Self::$variant), )+
                    _ => Err(concat!("expected ", $kind).to_owned()),
                }
            }

            fn show(&self) -> String {
                match self {
                    $( Self::$variant => $word, )+
                }
                .to_owned()
            }
        }
    };
}

words! {
    /// Who may register.
    Registration: "`open`, `invitation` or `closed`" {
        /// Everyone.
        Open = "open",
        /// Who was invited to a workspace.
        Invitation = "invitation",
        /// Nobody; accounts are made by `smarttasks admin create-user`.
        Closed = "closed",
    }
}

words! {
    /// How log lines are written.
    LogFormat: "`text` or `json`" {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

/// Which log lines are written, as `tracing-subscriber` reads it: `info,smarttasks_engine=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for LogFilter {
    const KIND: &'static str = "levels, separated by commas";

    fn parse(text: &str) -> Result<Self, String> {
        let expected = "expected a level (error, warn, info, debug, trace, off), or several such as info,smarttasks_engine=debug";
        match EnvFilter::builder().parse(text) {
            Ok(_) if !text.trim().is_empty() => Ok(Self(text.to_owned())),
            _ => Err(expected.to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// The address under which people and other systems reach this service, without a slash at
/// its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for PublicUrl {
    const KIND: &'static str = "URL";

    fn parse(text: &str) -> Result<Self, String> {
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .filter(|url| url.query().is_none() && url.fragment().is_none())
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .map(|url| Self(url.as_str().trim_end_matches('/').to_owned()))
            .ok_or_else(|| {
                "expected an http or https URL without user, query and fragment, such as https://tasks.example.com"
                    .to_owned()
            })
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Whom mail comes from: an address, and perhaps a name to show with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The name to show.
    pub name: Option<String>,
    /// The address.
    pub email: Email,
}

impl Setting for Sender {
    const KIND: &'static str = "e-mail address";

    fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            "expected an e-mail address, or a name and an address as in \"Tasks <tasks@example.com>\""
                .to_owned()
        };
        let (name, email) = match text
            .strip_suffix('>')
            .and_then(|text| text.rsplit_once('<'))
        {
            Some((name, email)) => (name.trim(), email),
            None => ("", text),
        };
        let plain = |c: char| !c.is_control() && !"<>\"\\".contains(c);
        if !name.chars().all(plain) {
            return Err(expected());
        }
        Ok(Self {
            name: (!name.is_empty()).then(|| name.to_owned()),
            email: email.parse().map_err(|_| expected())?,
        })
    }

    fn show(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} <{}>", self.email),
            None => self.email.to_string(),
        }
    }
}

/// What the names of exchanges and queues begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusPrefix(String);

impl BusPrefix {
    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for BusPrefix {
    const KIND: &'static str = "name";

    fn parse(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected 1 to 64 letters, digits, dots, dashes and underscores".to_owned())
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A part of the service that can run as a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers requests.
    Api,
    /// Evaluates rules.
    Engine,
    /// Fires timers.
    Scheduler,
    /// Sends mails and webhooks.
    Notifier,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Api, Self::Engine, Self::Scheduler, Self::Notifier];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Engine => "engine",
            Self::Scheduler => "scheduler",
            Self::Notifier => "notifier",
        }
    }
}

/// The roles of a process; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// Whether this is one of them.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether they are all there are.
    pub fn are_all(&self) -> bool {
        Role::ALL.into_iter().all(|role| self.has(role))
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|role| role.as_str())
    }
}

impl Setting for Roles {
    const KIND: &'static str = "names, separated by commas";

    fn parse(text: &str) -> Result<Self, String> {
        let role = |name: &str| Role::ALL.into_iter().find(|role| role.as_str() == name);
        let roles: Option<Vec<Role>> = text.split(',').map(|name| role(name.trim())).collect();
        roles.map(Self).ok_or_else(|| {
            "expected some of api, engine, scheduler and notifier, separated by commas".to_owned()
        })
    }

    fn show(&self) -> String {
        self.names().collect::<Vec<_>>().join(",")
    }
}
