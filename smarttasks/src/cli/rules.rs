//! `smarttasks rules`: what can be said to it.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Keeps rules as files.
///
/// A rule file is a script (*.rhai) whose leading `//!` lines are TOML with the other fields of the
/// rule. Files and rules are matched by `name`. docs/rules-as-code.md has more.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Say what is wrong with rule files, without a server.
    #[command(
        after_help = "Exit codes: 0 nothing is wrong, 1 an error (or a warning, with \
                            --deny-warnings)."
    )]
    Check(CheckRules),
    /// Run the tests that are beside rule files (*.test.toml), without a server.
    #[command(
        after_help = "Exit codes: 0 every rule does what its tests expect, 1 one does not, or \
                      cannot be tested."
    )]
    Test(TestRules),
    /// Bring rule files to a server, after showing what would change.
    #[command(
        after_help = "Exit codes: 0 the server has what the files say, 1 a rule was refused or \
                      something failed, 3 there is something to do, and nobody said --yes."
    )]
    Push(PushRules),
    /// Bring the rules of a server into a directory, after showing what would change in its files.
    #[command(
        after_help = "Exit codes: 0 the files say what the server has, 1 something failed, 3 a file \
                      differs, and nobody said --yes."
    )]
    Pull(PullRules),
    /// Show what `push` would do.
    #[command(after_help = "Exit codes: 0 nothing, 1 something, 2 it cannot be told.")]
    Diff(DiffRules),
}

/// Says what is wrong with rule files.
#[derive(Debug, Args)]
pub struct CheckRules {
    /// Rule files, and directories of them.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Let warnings count as errors.
    #[arg(long)]
    pub deny_warnings: bool,
    /// Ask a server too, which knows its endpoints and users. Here SMARTTASKS_SERVER is not enough.
    #[command(flatten)]
    pub connection: Connection,
}

/// Runs the tests beside rule files.
#[derive(Debug, Args)]
pub struct TestRules {
    /// Rule files or their tests, and directories of them.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// Brings rule files to a server.
#[derive(Debug, Args)]
pub struct PushRules {
    /// The directory of the rule files.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Apply without asking.
    #[arg(long)]
    pub yes: bool,
    /// Delete the rules of the server that have no file.
    #[arg(long)]
    pub prune: bool,
    /// Enable again what SmartTasks has disabled, even where nothing else differs.
    #[arg(long)]
    pub enable: bool,
    /// Let sweeps that are new, or enabled again, not fire for the tasks that match already
    /// (apply_to_existing: false).
    #[arg(long)]
    pub skip_existing: bool,
    /// Which server.
    #[command(flatten)]
    pub connection: Connection,
}

/// Brings the rules of a server into a directory.
#[derive(Debug, Args)]
pub struct PullRules {
    /// The directory of the rule files; made if it is not there.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Overwrite without asking.
    #[arg(long)]
    pub yes: bool,
    /// Which server.
    #[command(flatten)]
    pub connection: Connection,
}

/// Shows what `push` would do.
#[derive(Debug, Args)]
pub struct DiffRules {
    /// The directory of the rule files.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// As `push --prune` would.
    #[arg(long)]
    pub prune: bool,
    /// As `push --enable` would.
    #[arg(long)]
    pub enable: bool,
    /// Which server.
    #[command(flatten)]
    pub connection: Connection,
}

/// Which server, and who asks. The token is an access token of the API; it is no flag, because
/// others see those.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct Connection {
    /// The address of the server [default: SMARTTASKS_SERVER].
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// The file with the access token [default: the token is SMARTTASKS_TOKEN].
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The workspace [default: the personal one].
    #[arg(long, value_name = "ID")]
    pub workspace: Option<String>,
}
