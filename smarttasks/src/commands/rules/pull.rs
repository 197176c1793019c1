//! `smarttasks rules pull`: brings the rules of a server into a directory.

use super::files::{RuleFiles, failed};
use super::plan::{differing, quoted};
use super::server::{RemoteRule, Server};
use super::text::difference;
use super::{Ending, Terminal};
use crate::Error;
use crate::cli::PullRules;
use smarttasks_rules::rule_file;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Longest name of a file without its ending, in characters.
const LONGEST: usize = 60;

/// What would make the files those of a server's rules.
#[derive(Debug, Default)]
struct Arrival {
    new: Vec<Page>,
    /// Files that are there already and say something else.
    overwrite: Vec<(Page, String)>,
    /// The names of rules that have a file and are not on the server.
    only_here: Vec<String>,
    unchanged: usize,
}

/// A file to write.
#[derive(Debug)]
struct Page {
    path: PathBuf,
    text: String,
}

/// Writes the rules that have no file; shows what would change in files that are there, and
/// overwrites them when that is allowed.
///
/// # Errors
/// The rules of the server cannot be read, or the files not read or written.
pub(super) async fn run(asked: &PullRules, terminal: &mut Terminal) -> Result<Ending, Error> {
    let rules = Server::named(&asked.connection)?.rules().await?;
    let directory = &asked.directory;
    std::fs::create_dir_all(directory).map_err(|cause| failed("make", directory, &cause))?;
    let files = RuleFiles::read(directory)?;
    for finding in &files.broken {
        write!(terminal.out, "{finding}")?;
    }
    let arrival = Arrival::of(directory, files, rules)?;
    for page in &arrival.new {
        page.write()?;
        writeln!(terminal.out, "new        {}", page.path.display())?;
    }
    arrival.show(&mut terminal.out)?;
    if arrival.overwrite.is_empty() {
        return Ok(Ending::Done);
    }
    if !asked.yes && !allowed(terminal)? {
        return Ok(Ending::Pending);
    }
    for (page, _) in &arrival.overwrite {
        page.write()?;
        writeln!(terminal.out, "written    {}", page.path.display())?;
    }
    Ok(Ending::Done)
}

fn allowed(terminal: &mut Terminal) -> Result<bool, Error> {
    let allowed = terminal.agrees("Overwrite?")?;
    match allowed {
        Some(true) => {}
        Some(false) => writeln!(terminal.out, "nothing was overwritten")?,
        None => writeln!(
            terminal.out,
            "nothing was overwritten; say --yes to overwrite what differs"
        )?,
    }
    Ok(allowed == Some(true))
}

impl Arrival {
    fn of(directory: &Path, files: RuleFiles, mut rules: Vec<RemoteRule>) -> Result<Self, Error> {
        // So that the same rules get the same files wherever they are pulled.
        rules.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        let mut arrival = Self::default();
        let mut names = FileNames::default();
        let mut by_name = HashMap::new();
        for file in files.rules {
            names.take(&file.path);
            by_name.insert(file.spec.name.clone(), file);
        }
        for RemoteRule { spec, .. } in rules {
            let text = rule_file(&spec);
            let (path, old) = match by_name.remove(&spec.name) {
                Some(file) if differing(&file.spec, &spec).is_empty() => {
                    arrival.unchanged += 1;
                    continue;
                }
                Some(file) => (file.path, Some(file.spec.script)),
                None => {
                    let path = names.free(directory, &spec.name);
                    let old = existing(&path)?;
                    (path, old)
                }
            };
            let page = Page { path, text };
            match old {
                None => arrival.new.push(page),
                Some(old) => arrival.overwrite.push((page, old)),
            }
        }
        let rest = by_name.into_values();
        arrival.only_here = rest
            .map(|file| format!("{} ({})", quoted(&file.spec), file.path.display()))
            .collect();
        arrival.only_here.sort();
        Ok(arrival)
    }

    fn show(&self, out: &mut dyn Write) -> Result<(), Error> {
        for (page, old) in &self.overwrite {
            let path = page.path.display().to_string();
            writeln!(out, "differs    {path}")?;
            let shown = difference((&path, old), ("on the server", &page.text));
            write!(out, "{shown}")?;
        }
        for rule in &self.only_here {
            writeln!(out, "only here  {rule}")?;
        }
        let numbers = [
            (self.new.len(), "new"),
            (self.overwrite.len(), "differing"),
            (self.only_here.len(), "only here"),
        ];
        let numbers = numbers.iter().filter(|(number, _)| *number > 0);
        let mut parts: Vec<_> = numbers
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        parts.push(format!("{} unchanged", self.unchanged));
        writeln!(out, "{}", parts.join(", "))?;
        Ok(())
    }
}

impl Page {
    fn write(&self) -> Result<(), Error> {
        std::fs::write(&self.path, &self.text).map_err(|cause| failed("write", &self.path, &cause))
    }
}

/// The content of a file that is there, whatever it is.
fn existing(path: &Path) -> Result<Option<String>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(failed("read", path, &cause)),
    }
}

/// The names of files that are taken, in lower case: some file systems do not tell case apart.
#[derive(Default)]
struct FileNames(HashSet<String>);

impl FileNames {
    fn take(&mut self, path: &Path) -> bool {
        self.0.insert(path.to_string_lossy().to_lowercase())
    }

    /// A file for a rule of this name that is not another's.
    fn free(&mut self, directory: &Path, name: &str) -> PathBuf {
        let slug = slug(name);
        let numbered = (2_u64..).map(|number| format!("{slug}-{number}"));
        std::iter::once(slug.clone())
            .chain(numbered)
            .map(|name| directory.join(format!("{name}.rhai")))
            .find(|path| self.take(path))
            .unwrap_or_default()
    }
}

/// The letters and digits of a name in lower case, with a dash for all that is between them.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug: String = slug.chars().take(LONGEST).collect();
    match slug.trim_end_matches('-') {
        "" => "rule".to_owned(),
        slug => slug.to_owned(),
    }
}

#[cfg(test)]
mod tests;
