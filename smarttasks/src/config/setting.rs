//! How values of the common types are read from text and shown.
//!
//! Flags and environment variables are text, so the file's values are read as text too: one
//! reading for all sources.

use ipnet::IpNet;
use smarttasks_model::Span;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

/// A type that a key may have.
pub trait Setting: Sized {
    /// What values it takes, for people.
    const KIND: &'static str;
    /// Whether its values are kept out of every output.
    const SECRET: bool = false;

    /// The value that `text` means.
    ///
    /// # Errors
    /// What was expected; never the text itself, which may be a secret.
    fn parse(text: &str) -> Result<Self, String>;

    /// The value as text that [`Setting::parse`] reads again, less what is secret in it.
    fn show(&self) -> String;
}

/// An optional value is absent when its text is empty.
impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;
    const SECRET: bool = T::SECRET;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Ok(None)
        } else {
            T::parse(text).map(Some)
        }
    }

    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }
}

macro_rules! number {
    ($type:ty, $least:literal) => {
        impl Setting for $type {
            const KIND: &'static str = concat!("number from ", $least);

            fn parse(text: &str) -> Result<Self, String> {
                text.replace('_', "").parse().map_err(|_| {
                    format!(
                        concat!("expected a whole number from ", $least, " to {}"),
                        <$type>::MAX
                    )
                })
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    };
}
number!(u32, 0);
number!(NonZeroU32, 1);
number!(NonZeroU64, 1);
number!(NonZeroUsize, 1);

impl Setting for Duration {
    const KIND: &'static str = "duration";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse::<Span>()
            .ok()
            .and_then(|span| u64::try_from(span.millis()).ok())
            .filter(|millis| *millis > 0)
            .map(Self::from_millis)
            .ok_or_else(|| {
                "expected a duration above zero: a whole number and one of s, m, h, d, w, such as 15m"
                    .to_owned()
            })
    }

    fn show(&self) -> String {
        let millis = i64::try_from(self.as_millis()).unwrap_or(i64::MAX);
        Span::from_millis(millis).to_string()
    }
}

impl Setting for SocketAddr {
    const KIND: &'static str = "address and port";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            "expected an IP address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned()
        })
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "path";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            Err("expected a path".to_owned())
        } else {
            Ok(Self::from(text))
        }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for Vec<IpNet> {
    const KIND: &'static str = "networks, separated by commas";

    fn parse(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(str::trim)
            .filter(|network| !network.is_empty())
            .map(|network| {
                network.parse().map_err(|_| {
                    "expected networks with their prefix lengths, such as 10.0.0.0/8,fd00::/8"
                        .to_owned()
                })
            })
            .collect()
    }

    fn show(&self) -> String {
        let networks: Vec<_> = self.iter().map(ToString::to_string).collect();
        networks.join(",")
    }
}
