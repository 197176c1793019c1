//! Reads the command line, loads the configuration, and runs the command.

use clap::Parser;
use smarttasks::cli::{Cli, Command, ConfigCommand};
use smarttasks::{Error, commands, config};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "smarttasks: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Error> {
    let loaded = config::load(&cli.settings.sources()?)?;
    let mut out = std::io::stdout().lock();
    match &cli.command {
        Some(Command::Config(ConfigCommand::Show)) => {
            commands::config::show_settings(&loaded, &mut out)
        }
        Some(Command::Config(ConfigCommand::Check)) => commands::config::check(&loaded, &mut out),
        Some(Command::Healthcheck) => commands::healthcheck::run(&loaded.config.http, &mut out),
        None | Some(Command::Serve | Command::Migrate | Command::Admin(_)) => Err(
            Error::Unhealthy("serve, migrate and admin are not wired yet".to_owned()),
        ),
    }
}
