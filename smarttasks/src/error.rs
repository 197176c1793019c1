//! Why a command ended without doing what it was asked for.

use crate::commands::rules::Refusal;
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
    /// A file or directory cannot be used.
    #[error("cannot {doing} {}: {cause}", path.display())]
    File {
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
    /// No server was named.
    #[error("which server? Say --server URL, or set SMARTTASKS_SERVER")]
    NoServer,
    /// What was named cannot be a server.
    #[error("{given:?} is no server: {expected}")]
    NotAServer {
        /// What was named.
        given: String,
        /// What was expected.
        expected: String,
    },
    /// No token was given, or what cannot be one.
    #[error("{0}; say --token-file FILE, or set SMARTTASKS_TOKEN")]
    NoToken(&'static str),
    /// What was named cannot be a workspace.
    #[error("{0:?} is no workspace: expected an id, such as the workspace_id of a task")]
    NotAWorkspace(String),
    /// The server knows no such token, or none any more.
    #[error(
        "the token is not accepted by {server}, or has expired (they live for 15 minutes); get one with\n  \
         curl -s {server}/api/v1/auth/token -d grant_type=password -d username=ann@example.com \\\n    \
         --data-urlencode password@password-file | jq -r .access_token"
    )]
    TokenNotAccepted {
        /// The server.
        server: String,
    },
    /// The server refuses to do what it was asked for.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server does not answer, or not as SmartTasks does.
    #[error("{server} {why}")]
    Server {
        /// The server.
        server: String,
        /// What it does instead.
        why: String,
    },
    /// Nothing to read.
    #[error("there are no rule files (*.rhai) in {}", paths.join(", "))]
    NoRuleFiles {
        /// Where they were sought.
        paths: Vec<String>,
    },
    /// Nothing to test.
    #[error("there are no tests of rules (*.test.toml) in {}", paths.join(", "))]
    NoRuleTests {
        /// Where they were sought.
        paths: Vec<String>,
    },
    /// What a command has to say cannot be said.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// A part that cannot be set up, with every cause of its failure.
    pub fn start(doing: &'static str, error: &dyn std::error::Error) -> Self {
        let cause = chain(error);
        Self::Start { doing, cause }
    }
}

/// An error with every cause of it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        told = format!("{told}: {cause}");
        source = cause.source();
    }
    told
}
