//! Brings the database's schema up to date.

use crate::Error;
use crate::config::{Config, Setting};
use crate::data_dir::DataDir;
use crate::service;
use smarttasks_model::Clock;
use std::io::Write;

/// Brings the schema up to date, and says so.
///
/// # Errors
/// The database cannot be opened, or a service uses it.
pub async fn run(config: &Config, out: &mut (dyn Write + Send)) -> Result<(), Error> {
    let data = DataDir::of(config)?;
    service::open(config, &data, Clock::system()).await?;
    writeln!(out, "{} is up to date", config.instance.database_url.show())?;
    Ok(())
}
