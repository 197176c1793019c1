//! `smarttasks rules diff`: what `push` would do.

use super::Ending;
use super::plan::{Plan, Wish};
use crate::Error;
use crate::cli::DiffRules;
use std::io::Write;

/// Shows what would be created, changed and deleted on the server.
///
/// # Errors
/// The files or the rules of the server cannot be read.
pub(super) async fn run(asked: &DiffRules, out: &mut (dyn Write + Send)) -> Result<Ending, Error> {
    let wish = Wish {
        prune: asked.prune,
        enable: asked.enable,
    };
    let (_, plan) = Plan::made(&asked.directory, &asked.connection, wish).await?;
    plan.show(out)?;
    Ok(if !plan.broken.is_empty() {
        Ending::Trouble
    } else if plan.is_empty() {
        Ending::Done
    } else {
        Ending::Different
    })
}
