//! Why a command ended without doing what it was asked for.

use crate::config::Problems;
use std::path::PathBuf;

/// What went wrong, for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is not one to start with.
    #[error(transparent)]
    Config(#[from] Problems),
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}: {cause}", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// The data directory, or a file in it, cannot be used.
    #[error("cannot {doing} {}: {cause}", path.display())]
    DataDir {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        cause: std::io::Error,
    },
    /// Another process holds the data directory.
    #[error(
        "the data directory {} is in use by another smarttasks process{}; stop that one, or give this one its own with --data-dir",
        path.display(),
        pid.as_ref().map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    DataDirInUse {
        /// The directory.
        path: PathBuf,
        /// The other process, if it said so.
        pid: Option<u32>,
    },
    /// The key file holds something else.
    #[error("{} does not hold a secret key: {expected}; restore it from a backup", path.display())]
    SecretKeyFile {
        /// The file.
        path: PathBuf,
        /// What was expected.
        expected: String,
    },
    /// Two keys, of which the data was encrypted with one.
    #[error(
        "SMARTTASKS_SECRET_KEY differs from the key in {}, with which the data there was encrypted; remove the wrong one",
        path.display()
    )]
    SecretKeysDiffer {
        /// The key file.
        path: PathBuf,
    },
    /// The system gives no random bytes.
    #[error("cannot make a secret key: {0}")]
    Random(getrandom::Error),
    /// Logs or metrics cannot be set up.
    #[error("cannot set up {what}: {cause}")]
    Telemetry {
        /// What of it.
        what: &'static str,
        /// Why not.
        cause: String,
    },
    /// A part of the service cannot be set up.
    #[error("cannot {doing}: {cause}")]
    Start {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        cause: String,
    },
    /// The service is not well.
    #[error("not healthy: {0}")]
    Unhealthy(String),
    /// What a command has to say cannot be said.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// A part that cannot be set up, with every cause of its failure.
    pub fn start(doing: &'static str, error: &dyn std::error::Error) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            cause = format!("{cause}: {inner}");
            source = inner.source();
        }
        Self::Start { doing, cause }
    }
}
