//! What is different between the files of a directory and the rules of a server.

use super::files::{RuleFile, RuleFiles, none_in};
use super::finding::Finding;
use super::server::{RemoteRule, Server};
use super::text::{difference, printable};
use crate::Error;
use crate::cli::Connection;
use smarttasks_model::RuleSpec;
use smarttasks_rules::{rule_file, script_body};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

/// What is done only on demand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    /// Delete the rules that have no file.
    pub(super) prune: bool,
    /// Enable what the system has disabled and nobody has changed since.
    pub(super) enable: bool,
}

/// What would make the rules of a server those of the files.
#[derive(Debug, Default)]
pub(super) struct Plan {
    wish: Wish,
    pub(super) create: Vec<RuleFile>,
    pub(super) change: Vec<Change>,
    pub(super) delete: Vec<RemoteRule>,
    /// Rules without a file that stay.
    only_there: Vec<RemoteRule>,
    /// What the system has disabled, and the files would only enable as it is: it would fail again.
    disabled: Vec<Change>,
    unchanged: usize,
    /// Files that are no rules; they say nothing of what should be.
    pub(super) broken: Vec<Finding>,
}

/// A rule that is not what its file says.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) file: RuleFile,
    pub(super) rule: RemoteRule,
    fields: Vec<&'static str>,
}

impl Plan {
    /// Compares what is in `directory` with what is on the server.
    pub(super) async fn made(
        directory: &Path,
        connection: &Connection,
        wish: Wish,
    ) -> Result<(Server, Self), Error> {
        let files = RuleFiles::read(directory)?;
        if files.is_empty() {
            // Whoever prunes by a directory that is not the right one would lose all rules.
            return Err(none_in(&[directory.to_owned()]));
        }
        let server = Server::named(connection)?;
        let rules = server.rules().await?;
        Ok((server, Self::of(files, rules, wish)))
    }

    fn of(files: RuleFiles, rules: Vec<RemoteRule>, wish: Wish) -> Self {
        let mut plan = Self {
            wish,
            broken: files.broken,
            ..Self::default()
        };
        let mut rules = by_name(rules);
        for file in files.rules {
            match rules.remove(&file.spec.name) {
                None => plan.create.push(file),
                Some((_, rule)) => match differing(&file.spec, &rule.spec) {
                    fields if fields.is_empty() => plan.unchanged += 1,
                    fields => plan.add(Change { file, rule, fields }),
                },
            }
        }
        let mut rest: Vec<_> = rules.into_values().collect();
        rest.sort_by_key(|(number, _)| *number);
        let rest = rest.into_iter().map(|(_, rule)| rule).collect();
        // The file of one of them may be among those that could not be read.
        if wish.prune && plan.broken.is_empty() {
            plan.delete = rest;
        } else {
            plan.only_there = rest;
        }
        plan
    }

    fn add(&mut self, change: Change) {
        let as_it_is = change.enables().is_some() && change.fields == ["enabled"];
        if as_it_is && !self.wish.enable {
            self.disabled.push(change);
        } else {
            self.change.push(change);
        }
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.create.is_empty() && self.change.is_empty() && self.delete.is_empty()
    }

    /// Says what would be done.
    pub(super) fn show(&self, out: &mut dyn Write) -> Result<(), Error> {
        for finding in &self.broken {
            write!(out, "{finding}")?;
        }
        for file in &self.create {
            let name = quoted(&file.spec);
            writeln!(out, "create     {name} ({})", file.path.display())?;
        }
        for change in &self.change {
            change.show(out)?;
        }
        for rule in &self.delete {
            writeln!(out, "delete     {}", quoted(&rule.spec))?;
        }
        for rule in &self.only_there {
            writeln!(out, "only there {}", quoted(&rule.spec))?;
        }
        for change in &self.disabled {
            let (name, path) = (quoted(&change.file.spec), change.file.path.display());
            let reason = printable(change.enables().unwrap_or_default());
            writeln!(
                out,
                "left       {name} ({path}): disabled by SmartTasks: {reason}"
            )?;
        }
        self.explain(out)?;
        self.summarise(out)
    }

    /// Says what is not done, and what follows from that.
    fn explain(&self, out: &mut dyn Write) -> Result<(), Error> {
        if !self.disabled.is_empty() {
            writeln!(
                out,
                "what SmartTasks has disabled stays so until its file is changed; --enable enables it"
            )?;
        }
        if !self.only_there.is_empty() {
            let why = match (self.wish.prune, self.create.is_empty()) {
                (true, _) => {
                    "nothing is deleted: a file that could not be read may be that of a rule"
                }
                (false, true) => {
                    "what is only there stays, and runs on if it is enabled; --prune deletes it"
                }
                (false, false) => {
                    "what is only there stays, and runs on if it is enabled: so a rule that was given \
                     another name would run twice; --prune deletes it"
                }
            };
            writeln!(out, "{why}")?;
        }
        if !self.create.is_empty() && !self.delete.is_empty() {
            writeln!(
                out,
                "what is new is created first; if that is refused, nothing is deleted"
            )?;
        }
        Ok(())
    }

    fn summarise(&self, out: &mut dyn Write) -> Result<(), Error> {
        let numbers = [
            (self.create.len(), "to create"),
            (self.change.len(), "to change"),
            (self.delete.len(), "to delete"),
            (self.only_there.len(), "only on the server"),
            (self.disabled.len(), "disabled by SmartTasks"),
            (self.broken.len(), "not to be read"),
        ];
        let rules = numbers.iter().filter(|(number, _)| *number > 0);
        let mut parts: Vec<_> = rules
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        parts.push(format!("{} unchanged", self.unchanged));
        writeln!(out, "{}", parts.join(", "))?;
        Ok(())
    }
}

impl Change {
    /// Why the system has disabled the rule, if this enables it again.
    fn enables(&self) -> Option<&str> {
        let reason = self.rule.disabled_reason.as_deref();
        reason.filter(|_| self.file.spec.enabled && !self.rule.spec.enabled)
    }

    fn show(&self, out: &mut dyn Write) -> Result<(), Error> {
        let path = self.file.path.display().to_string();
        let name = quoted(&self.file.spec);
        writeln!(
            out,
            "change     {name} ({path}): {}",
            self.fields.join(", ")
        )?;
        if let Some(reason) = self.enables() {
            let reason = printable(reason);
            writeln!(
                out,
                "it is enabled again; it was disabled by SmartTasks: {reason}"
            )?;
        }
        let there = rule_file(&self.rule.spec);
        let version = format!("version {} on the server", self.rule.version);
        let shown = difference((&version, &there), (&path, &self.file.spec.script));
        write!(out, "{shown}")?;
        Ok(())
    }
}

/// Rules by their names, with their numbers in the list.
fn by_name(rules: Vec<RemoteRule>) -> HashMap<String, (usize, RemoteRule)> {
    let numbered = rules.into_iter().enumerate();
    numbered
        .map(|(number, rule)| (rule.spec.name.clone(), (number, rule)))
        .collect()
}

/// The fields in which a file says something else than the rule of its name.
///
/// A rule whose script says itself what the rule is has the script that its file has. The file of
/// another has a header over that script, or another header, and what it says is in the fields.
pub(super) fn differing(file: &RuleSpec, rule: &RuleSpec) -> Vec<&'static str> {
    let scripts_differ = if rule_file(rule) == rule.script {
        file.script != rule.script
    } else {
        file.script != rule.script && script_body(&file.script) != script_body(&rule.script)
    };
    [
        ("description", file.description != rule.description),
        ("enabled", file.enabled != rule.enabled),
        ("triggers", file.triggers != rule.triggers),
        ("repeat", file.repeat != rule.repeat),
        ("hold", file.hold != rule.hold),
        ("overlap", file.overlap != rule.overlap),
        ("misfire", file.misfire != rule.misfire),
        ("script", scripts_differ),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
    .collect()
}

/// The name of a rule, to show.
pub(super) fn quoted(spec: &RuleSpec) -> String {
    printable(&format!("\"{}\"", spec.name))
}

#[cfg(test)]
mod tests;
