//! `smarttasks config show|check`.

use crate::Error;
use crate::config::{Loaded, show};
use std::io::Write;

/// Prints what holds and where it comes from; the output is a configuration file.
///
/// # Errors
/// The output cannot be written.
pub fn show_settings(loaded: &Loaded, out: &mut dyn Write) -> Result<(), Error> {
    write!(out, "{}", show(&loaded.settings))?;
    Ok(())
}

/// Says that the configuration is one to start with (it would not have been loaded otherwise),
/// and what is suspicious in it.
///
/// # Errors
/// The output cannot be written.
pub fn check(loaded: &Loaded, out: &mut dyn Write) -> Result<(), Error> {
    for warning in &loaded.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out, "the configuration is fine")?;
    Ok(())
}
