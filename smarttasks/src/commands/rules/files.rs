//! Rule files on this machine.

use super::finding::Finding;
use crate::Error;
use smarttasks_model::RuleSpec;
use smarttasks_rules::{header_place, parse_rule_file};
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// No script is as large as this, in bytes: a file that is one was not meant.
const LARGEST: u64 = 1024 * 1024;

/// What the name of a file of tests ends with; before it stands what the file of the rule is called.
const TESTS: &str = ".test.toml";

/// A file that is a rule.
#[derive(Clone, Debug)]
pub(super) struct RuleFile {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it says; its text is the script.
    pub(super) spec: RuleSpec,
}

/// The rule files of a directory.
#[derive(Debug, Default)]
pub(super) struct RuleFiles {
    /// Those that are rules, each with a name of its own.
    pub(super) rules: Vec<RuleFile>,
    /// What is wrong with the others.
    pub(super) broken: Vec<Finding>,
}

impl RuleFiles {
    /// Reads what is in `directory`.
    pub(super) fn read(directory: &Path) -> Result<Self, Error> {
        if !directory.is_dir() {
            return Err(failed("list", directory, &"it is no directory"));
        }
        let mut files = Self::default();
        let mut names = Names::default();
        for path in found(directory, &is_rule)? {
            match RuleFile::read(path) {
                Ok(file) => match names.taken(&file) {
                    Some(finding) => files.broken.push(finding),
                    None => files.rules.push(file),
                },
                Err(finding) => files.broken.push(*finding),
            }
        }
        Ok(files)
    }

    /// Whether there is no file at all, neither good nor broken.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.broken.is_empty()
    }
}

impl RuleFile {
    pub(super) fn read(path: PathBuf) -> Result<Self, Box<Finding>> {
        let source = text_of(&path)?;
        match parse_rule_file(&source) {
            Ok(spec) => Ok(Self { path, spec }),
            Err(error) => Err(Finding::of_header(&path, &source, &error).into()),
        }
    }
}

/// The names that files have taken.
#[derive(Default)]
pub(super) struct Names(HashMap<String, PathBuf>);

impl Names {
    /// What is wrong when another file has taken its name.
    pub(super) fn taken(&mut self, file: &RuleFile) -> Option<Finding> {
        let RuleFile { path, spec } = file;
        let Some(other) = self.0.get(&spec.name) else {
            self.0.insert(spec.name.clone(), path.clone());
            return None;
        };
        let message = format!("{} is a rule of the same name", other.display());
        let finding = Finding::of_file(path, "duplicate_name", message)
            .at(&spec.script, header_place(&spec.script, "/name"));
        Some(finding.hint("a file is matched with a rule of the server by its name"))
    }
}

/// The rule files that `paths` name, or hold.
pub(super) fn named(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    match all(paths, &is_rule)? {
        none if none.is_empty() => Err(none_in(paths)),
        all => Ok(all),
    }
}

/// The files of tests that `paths` name, by themselves or by their rules, or hold.
pub(super) fn tests(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let beside = |path: &PathBuf| match !path.is_dir() && is_rule(path) {
        true => path.with_extension(&TESTS[1..]),
        false => path.clone(),
    };
    let named: Vec<PathBuf> = paths.iter().map(beside).collect();
    match all(&named, &is_tests)? {
        none if none.is_empty() => Err(Error::NoRuleTests {
            paths: shown(paths),
        }),
        all => Ok(all),
    }
}

/// The file of the rule that these are tests of.
pub(super) fn of_tests(tests: &Path) -> PathBuf {
    // Without `.toml`, and with `.rhai` for `.test`.
    tests.with_extension("").with_extension("rhai")
}

fn is_rule(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "rhai")
}

fn is_tests(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with(TESTS))
}

/// The files that `paths` name, and those of a kind that are in the directories that they name; in
/// their order, each once.
fn all(paths: &[PathBuf], kind: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Error> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            all.extend(found(path, kind)?);
        } else {
            all.push(path.clone());
        }
    }
    let mut seen = HashSet::new();
    all.retain(|path| seen.insert(path.clone()));
    Ok(all)
}

/// There is no rule file there.
pub(super) fn none_in(paths: &[PathBuf]) -> Error {
    Error::NoRuleFiles {
        paths: shown(paths),
    }
}

fn shown(paths: &[PathBuf]) -> Vec<String> {
    let paths = paths.iter().map(|path| path.display().to_string());
    paths.collect()
}

/// The text of a file.
pub(super) fn text_of(path: &Path) -> Result<String, Box<Finding>> {
    let wrong = |code, message: String| Box::new(Finding::of_file(path, code, message));
    let unreadable = |error: std::io::Error| wrong("unreadable", error.to_string());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let mut start = file.take(LARGEST + 1);
    start.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        let message = "is larger than 1 MiB, which no script may be".to_owned();
        return Err(wrong("unreadable", message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        wrong("unreadable", format!("line {line} is not UTF-8"))
    })
}

/// A file that cannot be used.
pub(super) fn failed(doing: &'static str, path: &Path, cause: &dyn std::fmt::Display) -> Error {
    Error::File {
        doing,
        path: path.to_owned(),
        cause: std::io::Error::other(cause.to_string()),
    }
}

/// The files of a kind below `directory`, in order. Hidden directories are left out, and links to
/// directories, which may lead round in a circle.
fn found(directory: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Error> {
    let unlisted = |error: std::io::Error| failed("list", directory, &error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unlisted)? {
        let entry = entry.map_err(unlisted)?;
        entries.push((entry.path(), entry.file_type().map_err(unlisted)?));
    }
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut files = Vec::new();
    for (path, kind) in entries {
        let hidden = path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with('.')
        });
        if hidden {
            continue;
        }
        if kind.is_dir() {
            files.extend(found(&path, wanted)?);
        } else if wanted(&path) && path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_dir::TestDir;

    fn rule(name: &str) -> String {
        format!("//! name = \"{name}\"\n//! triggers = [{{ due = \"0\" }}]\nlog(1);\n")
    }

    #[test]
    fn a_directory_is_read_with_what_is_below_it() {
        let directory = TestDir::new();
        let below = directory.path().join("team");
        let hidden = directory.path().join(".git");
        for made in [&below, &hidden] {
            std::fs::create_dir(made).unwrap();
        }
        std::fs::write(directory.path().join("b.rhai"), rule("B")).unwrap();
        std::fs::write(below.join("a.rhai"), rule("A")).unwrap();
        std::fs::write(below.join("a.txt"), rule("Text")).unwrap();
        std::fs::write(hidden.join("h.rhai"), rule("Hidden")).unwrap();
        std::os::unix::fs::symlink(directory.path(), below.join("round")).unwrap();
        std::fs::write(directory.path().join("c.rhai"), rule("B")).unwrap();
        std::fs::write(directory.path().join("d.rhai"), b"//! \n//! \xff").unwrap();
        std::fs::write(directory.path().join("e.rhai"), "log(1);").unwrap();

        let files = RuleFiles::read(directory.path()).unwrap();
        let names: Vec<_> = files.rules.iter().map(|file| &*file.spec.name).collect();
        assert_eq!(names, ["B", "A"]);
        let told: Vec<_> = files.broken.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:#?}");
        for (told, expected) in told.iter().zip([
            "c.rhai:1:5: error[duplicate_name]: ",
            "d.rhai: error[unreadable]: line 2 is not UTF-8",
            "e.rhai:1:1: error[header]: the //! header is missing",
        ]) {
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn a_file_that_is_too_large_or_gone_is_a_finding_and_a_missing_directory_an_error() {
        let directory = TestDir::new();
        let path = directory.path().join("a.rhai");
        let told = text_of(&path).unwrap_err().to_string();
        assert!(told.contains("error[unreadable]: No such file"), "{told}");
        std::fs::write(&path, " ".repeat(1024 * 1024 + 1)).unwrap();
        let told = text_of(&path).unwrap_err().to_string();
        assert!(told.contains("larger than 1 MiB"), "{told}");
        let error = RuleFiles::read(&directory.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("it is no directory"), "{error}");
        let empty = directory.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        let error = named(&[empty]).unwrap_err();
        assert!(error.to_string().contains("no rule files"), "{error}");
    }
}
