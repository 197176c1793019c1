//! Makes an account, whether registration is open or not.

use crate::Error;
use crate::cli::CreateUser;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::service;
use smarttasks_api::register_user;
use smarttasks_model::Clock;
use std::io::{BufRead, Write};

/// Makes an account; its password is the first line of `input`.
///
/// # Errors
/// A value is not valid, the address has an account, or a service uses the database.
pub async fn run(
    config: &Config,
    user: &CreateUser,
    input: &mut (dyn BufRead + Send),
    out: &mut (dyn Write + Send),
) -> Result<(), Error> {
    let mut password = String::new();
    input.read_line(&mut password)?;
    let password = password.trim_end_matches(['\r', '\n']);
    let data = DataDir::of(config)?;
    let db = service::open(config, &data, Clock::system()).await?;
    let id = register_user(&db, &user.name, &user.email, password)
        .await
        .map_err(|error| Error::start("make the account", &error))?;
    writeln!(out, "{} has an account: {id}", user.email)?;
    Ok(())
}
