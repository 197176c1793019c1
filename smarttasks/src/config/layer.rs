//! The keys that one source gives, found by their names.

use super::key::Key;
use super::name::{Name, nearest};
use super::problem::Problem;
use super::source::{ConfigFile, Flag, Source};
use std::collections::HashMap;
use std::ffi::OsString;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// What says where a server is and who asks it, of the commands that do: no settings of a server.
const OF_CLIENTS: [&str; 2] = ["SMARTTASKS_SERVER", "SMARTTASKS_TOKEN"];

/// A value as it was given.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) value: String,
    pub(super) source: Source,
}

/// What one source gives, by the ids of keys.
#[derive(Debug, Default)]
pub(super) struct Layer {
    given: HashMap<String, Given>,
    /// What could not be understood.
    pub(super) problems: Vec<Problem>,
    /// What is suspicious, but no error.
    pub(super) warnings: Vec<Problem>,
}

impl Layer {
    /// The settings of the command line.
    pub(super) fn of_flags(flags: &[Flag]) -> Self {
        let mut layer = Self::default();
        for flag in flags {
            layer.take(
                &flag.key,
                flag.value.clone(),
                Source::Flag(flag.flag.clone()),
            );
        }
        layer
    }

    /// The environment. An empty variable counts as absent, as compose files and unit files
    /// write it when they have nothing to say.
    pub(super) fn of_env(env: &[(String, OsString)]) -> Self {
        let mut layer = Self::default();
        for (variable, value) in env.iter().filter(|(_, value)| !value.is_empty()) {
            let source = Source::Env(variable.clone());
            match Name::of_env(variable) {
                Some(name) => match value.to_str() {
                    Some(value) => layer.insert(&name, value.to_owned(), source),
                    None => layer.problem(Some(name.id()), source, "is not valid UTF-8".to_owned()),
                },
                None => layer.unknown_variable(variable, source),
            }
        }
        layer
    }

    /// The configuration file.
    pub(super) fn of_file(file: &ConfigFile) -> Self {
        let mut layer = Self::default();
        let line = |span: Range<usize>| Source::File {
            path: file.path.clone(),
            line: Some(1 + file.text[..span.start].matches('\n').count()),
        };
        let (root, errors) = DeTable::parse_recoverable(&file.text);
        for error in errors {
            // The error as a whole would quote the line, and with it perhaps a secret.
            let source = line(error.span().unwrap_or_default());
            layer.problem(None, source, format!("is not TOML: {}", error.message()));
        }
        for (name, value) in root.get_ref() {
            match value.get_ref() {
                DeValue::Table(section) => {
                    for (key, value) in section {
                        let id = format!("{}.{}", name.get_ref(), key.get_ref());
                        layer.take_toml(&id, value.get_ref(), line(key.span()));
                    }
                }
                scalar => layer.take_toml(name.get_ref(), scalar, line(name.span())),
            }
        }
        layer
    }

    /// What this source gives for `key`.
    pub(super) fn get(&self, key: &Key) -> Option<&Given> {
        self.given.get(&key.id())
    }

    fn take_toml(&mut self, id: &str, value: &DeValue<'_>, source: Source) {
        match text_of(value) {
            Some(text) => self.take(id, text, source),
            None if Name::of_id(id).is_none() => self.unknown_key(id, source),
            None => self.problem(
                Some(id.to_owned()),
                source,
                format!(
                    "is a TOML {}; expected a string, a number or a list of strings",
                    value.type_str()
                ),
            ),
        }
    }

    fn take(&mut self, id: &str, value: String, source: Source) {
        match Name::of_id(id) {
            Some(name) => self.insert(&name, value, source),
            None => self.unknown_key(id, source),
        }
    }

    fn insert(&mut self, name: &Name, value: String, source: Source) {
        let id = name.key.id();
        if let Some(other) = self.given.get(&id) {
            let detail = format!("is given twice, also by {}; give one of them", other.source);
            return self.problem(Some(id), source, detail);
        }
        let value = if name.in_file {
            match std::fs::read_to_string(&value) {
                Ok(content) => content.trim_end_matches(['\r', '\n']).to_owned(),
                Err(error) => {
                    let detail = format!("cannot read the file {value:?} that it names: {error}");
                    return self.problem(Some(name.id()), source, detail);
                }
            }
        } else {
            value
        };
        self.given.insert(id, Given { value, source });
    }

    fn unknown_key(&mut self, id: &str, source: Source) {
        let detail = format!("is no key; {}", nearest(id, Name::id));
        self.problem(Some(id.to_owned()), source, detail);
    }

    fn unknown_variable(&mut self, variable: &str, source: Source) {
        let Some(rest) = variable.strip_prefix("SMARTTASKS_") else {
            return;
        };
        if OF_CLIENTS.contains(&variable) {
            return;
        }
        let detail = format!("is no setting; {}", nearest(variable, Name::env));
        let found = Problem {
            key: None,
            source,
            detail,
        };
        if rest.contains("__") {
            self.problems.push(found);
        } else {
            self.warnings.push(found);
        }
    }

    fn problem(&mut self, key: Option<String>, source: Source, detail: String) {
        self.problems.push(Problem {
            key,
            source,
            detail,
        });
    }
}

/// A TOML value as the text that would mean the same in the environment.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<_>> = items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect();
            Some(items?.join(","))
        }
        _ => None,
    }
}
