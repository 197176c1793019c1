//! Reads the command line, loads the configuration, and runs the command.

use clap::Parser;
use smarttasks::cli::{AdminCommand, Cli, Command, ConfigCommand, RulesCommand};
use smarttasks::commands::rules::{Ending, Terminal};
use smarttasks::config::Loaded;
use smarttasks::{Error, commands, config};
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Counts what each evaluation of a rule holds, so that it can be stopped.
#[global_allocator]
static HEAP: smarttasks_heap::Counting = smarttasks_heap::Counting;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ending = run(&cli).unwrap_or_else(|error| {
        // With standard error gone there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "smarttasks: {error}");
        match &cli.command {
            Some(Command::Rules(RulesCommand::Diff(_))) => Ending::Trouble,
            _ => Ending::Failed,
        }
    });
    ExitCode::from(ending.code())
}

fn run(cli: &Cli) -> Result<Ending, Error> {
    // Not for all: what asks a server has nothing to do with the configuration of one.
    let load = || -> Result<Loaded, Error> { Ok(config::load(&cli.settings.sources()?)?) };
    let mut out = std::io::stdout();
    match &cli.command {
        None | Some(Command::Serve) => wait_for(commands::serve::run(&load()?, &mut out)),
        Some(Command::Rules(command)) => return rules(command, cli),
        Some(Command::Migrate) => wait_for(commands::migrate::run(&load()?.config, &mut out)),
        Some(Command::Admin(AdminCommand::CreateUser(user))) => {
            let loaded = load()?;
            let mut input = std::io::BufReader::new(std::io::stdin());
            wait_for(commands::create_user::run(
                &loaded.config,
                user,
                &mut input,
                &mut out,
            ))
        }
        Some(Command::Config(ConfigCommand::Show)) => {
            commands::config::show_settings(&load()?, &mut out)
        }
        Some(Command::Config(ConfigCommand::Check)) => commands::config::check(&load()?, &mut out),
        Some(Command::Doctor(asked)) => wait_for(commands::doctor::run(&load()?, asked, &mut out)),
        Some(Command::Healthcheck) => commands::healthcheck::run(&load()?.config.http, &mut out),
    }
    .map(|()| Ending::Done)
}

fn rules(command: &RulesCommand, cli: &Cli) -> Result<Ending, Error> {
    let mut terminal = Terminal {
        interactive: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
        input: Box::new(std::io::BufReader::new(std::io::stdin())),
        out: Box::new(std::io::stdout()),
    };
    wait_for(commands::rules::run(command, &cli.settings, &mut terminal))
}

fn wait_for<T>(command: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::start("start the runtime", &error))?
        .block_on(command)
}
