//! The configuration: flags over environment over file over defaults.
//!
//! Each key is declared once, in its section's file under `sections/`; its reading, `config show`
//! and docs/configuration.md come from there. Every problem is found before any is reported, so
//! that a person mends a configuration in one go.

mod document;
mod fit;
mod key;
mod layer;
mod name;
mod problem;
mod reader;
mod secret;
mod sections;
mod setting;
mod source;
mod values;

pub use document::{reference, show};
pub use key::{Key, WhenAbsent};
pub use problem::{Problem, Problems};
pub use reader::{Effective, Reader};
pub use secret::{AmqpUrl, DatabaseUrl, RedisUrl, SecretKey, ServerUrl, SmtpUrl};
pub use sections::{
    Accounts, Bus, Database, Http, Instance, Log, Mail, Notifier, Retention, Rules, Webhooks,
};
pub use setting::Setting;
pub use source::{ConfigFile, Flag, Source, Sources};
pub use values::{
    BusPrefix, ByteSize, LogFilter, LogFormat, PublicUrl, RateLimit, Registration, Role, Roles,
    Sender, WorkspaceBudget,
};

use key::Section;

/// Declares the whole: a struct of sections, read and listed in this order.
macro_rules! sections {
    ( $( $(#[doc = $doc:literal])+ $name:ident: $section:ty, )+ ) => {
        /// Everything that can be configured, checked.
        #[derive(Debug, Clone)]
        pub struct Config {
            $( $(#[doc = $doc])+ pub $name: $section, )+
        }

        impl Config {
            /// The sections: what each is about, and its keys.
            pub fn sections() -> impl Iterator<Item = (&'static str, &'static [Key])> {
                [ $( (<$section>::ABOUT, <$section>::KEYS), )+ ].into_iter()
            }

            fn read(reader: &mut Reader) -> Option<Self> {
                $( let $name = <$section>::read(reader); )+
                Some(Self { $( $name: $name?, )+ })
            }
        }
    };
}

sections! {
    /// The keys at the top of the file.
    instance: Instance,
    /// The listener.
    http: Http,
    /// Accounts and logins.
    accounts: Accounts,
    /// Outgoing mail.
    mail: Mail,
    /// Outgoing webhooks.
    webhooks: Webhooks,
    /// The sending of both.
    notifier: Notifier,
    /// What rules may use.
    rules: Rules,
    /// The connections to a database server.
    database: Database,
    /// Messages between the parts.
    bus: Bus,
    /// How long what has happened is kept.
    retention: Retention,
    /// Log lines.
    log: Log,
}

impl Config {
    /// Every key, in the order of the documentation.
    pub fn keys() -> impl Iterator<Item = &'static Key> {
        Self::sections().flat_map(|(_, keys)| keys)
    }

    fn key(section: &str, name: &str) -> Option<&'static Key> {
        Self::keys().find(|key| key.section == section && key.name == name)
    }
}

/// A configuration, and what there is to say of it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What holds for each key, and whence.
    pub settings: Vec<Effective>,
    /// What is suspicious, but no error.
    pub warnings: Vec<Problem>,
}

/// Reads the configuration from its sources.
///
/// # Errors
/// Everything that is wrong with them.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut reader = Reader::new(sources);
    let config = Config::read(&mut reader);
    if let Some(config) = &config {
        reader.add_problems(fit::problems(config));
    }
    let findings = reader.finish();
    match config {
        Some(config) if findings.problems.is_empty() => Ok(Loaded {
            config,
            settings: findings.effective,
            warnings: findings.warnings,
        }),
        _ => Err(Problems(findings.problems)),
    }
}

#[cfg(test)]
mod tests;
