//! The command line.

mod rules;

pub use rules::{CheckRules, Connection, DiffRules, PullRules, PushRules, RulesCommand, TestRules};

use crate::Error;
use crate::config::{ConfigFile, Flag, Sources};
use clap::{Args, Parser, Subcommand};
use smarttasks_model::Email;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Tasks, deadlines, and rules that turn them into mails and webhooks.
///
/// Without a command: serve. Settings come from flags, else from the environment, else from
/// the configuration file, else from the defaults; docs/configuration.md lists them.
#[derive(Debug, Parser)]
#[command(name = "smarttasks", version)]
pub struct Cli {
    /// Settings, good for every command.
    #[command(flatten)]
    pub settings: SettingFlags,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service (the default).
    Serve,
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Bring the database's schema up to date, and end.
    Migrate,
    /// Keep rules as files: check them, and bring them to a server and from it.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Administer accounts.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Look at everything that the service needs: configuration, database, migrations, clock,
    /// broker, queues, dead letters, cache, mail.
    Doctor(Doctor),
    /// Ask the service that runs with this configuration whether it is well; for containers.
    Healthcheck,
}

/// Looks at everything that the service needs.
#[derive(Debug, Default, Args)]
pub struct Doctor {
    /// Give dead letters back to their queues: those with these ids, or all. Embedded, the service
    /// must be stopped.
    #[arg(long, num_args = 0.., value_name = "ID")]
    pub replay: Option<Vec<String>>,
    /// Show at most so many dead letters.
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    pub dead_letters: usize,
}

/// Looks at the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print what holds and where it comes from, without secrets.
    Show,
    /// Say whether the configuration is one to start with, and all that is wrong with it.
    Check,
}

/// Administers accounts.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Make an account; its password is the first line of standard input.
    CreateUser(CreateUser),
}

/// Whom to make an account for.
#[derive(Debug, Args)]
pub struct CreateUser {
    /// The address to log in with.
    #[arg(long)]
    pub email: Email,
    /// The name that others see.
    #[arg(long)]
    pub name: String,
}

/// The flags that set something.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingFlags {
    /// The configuration file [default: smarttasks.toml, if there is one].
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where data is kept; short for --set data_dir=DIR.
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Where to listen; short for --set http.listen=ADDR.
    #[arg(long, global = true, value_name = "ADDR")]
    pub listen: Option<String>,
    /// What this process does: some of api, engine, scheduler, notifier; short for
    /// --set roles=ROLES.
    #[arg(long, global = true, value_name = "ROLES")]
    pub roles: Option<String>,
    /// Set one key; may be given many times.
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<(String, String)>,
}

impl SettingFlags {
    /// The sources of the configuration: these flags, the environment of this process, and the file.
    ///
    /// # Errors
    /// The file cannot be read; that it is absent is an error only when it was asked for.
    pub fn sources(&self) -> Result<Sources, Error> {
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        Ok(Sources {
            flags: self.flags(),
            env,
            file: self.file()?,
        })
    }

    fn flags(&self) -> Vec<Flag> {
        let short = [
            ("--data-dir", "data_dir", &self.data_dir),
            ("--listen", "http.listen", &self.listen),
            ("--roles", "roles", &self.roles),
        ];
        let short = short.into_iter().filter_map(|(flag, key, value)| {
            Some(Flag {
                flag: flag.to_owned(),
                key: key.to_owned(),
                value: value.clone()?,
            })
        });
        let set = self.set.iter().map(|(key, value)| Flag {
            flag: format!("--set {key}"),
            key: key.clone(),
            value: value.clone(),
        });
        short.chain(set).collect()
    }

    fn file(&self) -> Result<Option<ConfigFile>, Error> {
        let path = self
            .config
            .as_deref()
            .unwrap_or(Path::new("smarttasks.toml"));
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(ConfigFile {
                path: path.to_owned(),
                text,
            })),
            Err(error) if error.kind() == ErrorKind::NotFound && self.config.is_none() => Ok(None),
            Err(cause) => Err(Error::ConfigFile {
                path: path.to_owned(),
                cause,
            }),
        }
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().to_owned(), value.to_owned()))
        .ok_or_else(|| "expected a key and a value, such as http.rate_limit=off".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_flags_are_settings_of_the_service() {
        let cli = Cli::try_parse_from([
            "smarttasks",
            "--listen",
            "[::1]:9000",
            "--set",
            "log.filter=info,tower=off",
        ])
        .unwrap();
        assert!(cli.command.is_none());
        let flags = cli.settings.flags();
        let given: Vec<_> = flags
            .iter()
            .map(|f| (f.flag.as_str(), f.key.as_str(), f.value.as_str()))
            .collect();
        assert_eq!(
            given,
            [
                ("--listen", "http.listen", "[::1]:9000"),
                ("--set log.filter", "log.filter", "info,tower=off"),
            ]
        );
    }

    #[test]
    fn settings_may_stand_after_the_command() {
        let cli =
            Cli::try_parse_from(["smarttasks", "config", "show", "--data-dir", "/tmp/x"]).unwrap();
        assert!(matches!(
            cli.command,
            Some(Command::Config(ConfigCommand::Show))
        ));
        assert_eq!(cli.settings.data_dir.as_deref(), Some("/tmp/x"));
    }

    #[test]
    fn a_setting_without_a_value_is_refused() {
        let error = Cli::try_parse_from(["smarttasks", "--set", "http.listen"]).unwrap_err();
        assert!(error.to_string().contains("http.rate_limit=off"), "{error}");
    }

    #[test]
    fn a_configuration_file_that_was_asked_for_must_exist() {
        let flags = SettingFlags {
            config: Some("/nowhere/smarttasks.toml".into()),
            ..SettingFlags::default()
        };
        let error = flags.sources().unwrap_err();
        assert!(
            error.to_string().contains("/nowhere/smarttasks.toml"),
            "{error}"
        );
    }
}
