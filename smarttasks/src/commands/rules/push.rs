//! `smarttasks rules push`: brings rule files to a server.

use super::finding::Finding;
use super::plan::{Plan, Wish, quoted};
use super::server::{Refusal, Saved, Server};
use super::{Ending, Terminal};
use crate::Error;
use crate::cli::PushRules;
use smarttasks_model::RuleSpec;
use std::io::Write;
use std::path::Path;

/// Shows what would change on the server, and changes it when that is allowed. What the server
/// refuses is said, and the rest goes on.
///
/// # Errors
/// The files or the rules of the server cannot be read, or the server is gone meanwhile.
pub(super) async fn run(asked: &PushRules, terminal: &mut Terminal) -> Result<Ending, Error> {
    let wish = Wish {
        prune: asked.prune,
        enable: asked.enable,
    };
    let (server, plan) = Plan::made(&asked.directory, &asked.connection, wish).await?;
    plan.show(&mut terminal.out)?;
    let ending = match plan.broken.is_empty() {
        true => Ending::Done,
        false => Ending::Failed,
    };
    if plan.is_empty() {
        return Ok(ending);
    }
    if !asked.yes {
        match terminal.agrees("Apply?")? {
            Some(true) => {}
            Some(false) => {
                writeln!(terminal.out, "nothing was changed")?;
                return Ok(Ending::Pending);
            }
            None => {
                writeln!(terminal.out, "nothing was changed; say --yes to apply it")?;
                return Ok(Ending::Pending);
            }
        }
    }
    let mut applying = Applying {
        out: &mut terminal.out,
        skip_existing: asked.skip_existing,
        refused: 0,
    };
    applying.apply(&server, &plan).await?;
    Ok(match applying.refused {
        0 => ending,
        _ => Ending::Failed,
    })
}

struct Applying<'a> {
    out: &'a mut (dyn Write + Send),
    skip_existing: bool,
    refused: usize,
}

impl Applying<'_> {
    async fn apply(&mut self, server: &Server, plan: &Plan) -> Result<(), Error> {
        for file in &plan.create {
            let done = server.create(&self.saved(&file.spec)).await;
            let version = done.map(|rule| Some(rule.version));
            self.told("created", &file.spec, Some(&file.path), version)?;
        }
        for change in &plan.change {
            let (file, rule) = (&change.file, &change.rule);
            let done = server.replace(rule, &self.saved(&file.spec)).await;
            let version = done.map(|rule| Some(rule.version));
            self.told("changed", &file.spec, Some(&file.path), version)?;
        }
        if self.refused > 0 && !plan.delete.is_empty() {
            // A rule that was given another name would be gone under both.
            writeln!(
                self.out,
                "nothing was deleted, because something was refused"
            )?;
            return Ok(());
        }
        for rule in &plan.delete {
            let done = server.delete(rule).await;
            self.told("deleted", &rule.spec, None, done.map(|()| None))?;
        }
        Ok(())
    }

    fn saved<'s>(&self, spec: &'s RuleSpec) -> Saved<'s> {
        Saved {
            source: &spec.script,
            skip_existing: self.skip_existing,
        }
    }

    /// Says what was done, or why the server refused it. Any other error ends the command.
    fn told(
        &mut self,
        done: &str,
        spec: &RuleSpec,
        path: Option<&Path>,
        answer: Result<Option<i64>, Error>,
    ) -> Result<(), Error> {
        let name = quoted(spec);
        match answer {
            Ok(Some(version)) => writeln!(self.out, "{done} {name}, version {version}")?,
            Ok(None) => writeln!(self.out, "{done} {name}")?,
            Err(Error::Refused(refusal)) => {
                self.refused += 1;
                let path = path.unwrap_or(Path::new(&name));
                for finding in findings(path, &spec.script, &refusal) {
                    write!(self.out, "{finding}")?;
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn findings(path: &Path, source: &str, refusal: &Refusal) -> Vec<Finding> {
    if !refusal.errors.is_empty() {
        return refusal
            .errors
            .iter()
            .map(|wrong| Finding::of_refusal(path, source, &refusal.code, wrong))
            .collect();
    }
    let finding = Finding::of_file(path, &refusal.code, &refusal.detail);
    vec![match refusal.code.as_str() {
        "precondition_failed" | "not_found" => finding
            .hint("it was changed on the server meanwhile; look at `smarttasks rules diff` again"),
        _ => finding,
    }]
}
