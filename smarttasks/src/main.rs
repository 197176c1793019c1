//! Reads the command line, loads the configuration, and runs the command.

use clap::Parser;
use smarttasks::cli::{AdminCommand, Cli, Command, ConfigCommand};
use smarttasks::{Error, commands, config};
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

/// Counts what each evaluation of a rule holds, so that it can be stopped.
#[global_allocator]
static HEAP: smarttasks_heap::Counting = smarttasks_heap::Counting;

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
    let config = &loaded.config;
    let mut out = std::io::stdout();
    match &cli.command {
        None | Some(Command::Serve) => wait_for(commands::serve::run(&loaded, &mut out)),
        Some(Command::Migrate) => wait_for(commands::migrate::run(config, &mut out)),
        Some(Command::Admin(AdminCommand::CreateUser(user))) => {
            let mut input = std::io::BufReader::new(std::io::stdin());
            wait_for(commands::create_user::run(
                config, user, &mut input, &mut out,
            ))
        }
        Some(Command::Config(ConfigCommand::Show)) => {
            commands::config::show_settings(&loaded, &mut out)
        }
        Some(Command::Config(ConfigCommand::Check)) => commands::config::check(&loaded, &mut out),
        Some(Command::Doctor(asked)) => wait_for(commands::doctor::run(&loaded, asked, &mut out)),
        Some(Command::Healthcheck) => commands::healthcheck::run(&config.http, &mut out),
    }
}

fn wait_for(command: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::start("start the runtime", &error))?
        .block_on(command)
}
