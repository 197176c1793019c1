//! Reads each key from the first source that gives it, and remembers what it found.

use super::Config;
use super::key::{Key, WhenAbsent};
use super::layer::{Given, Layer};
use super::problem::Problem;
use super::setting::Setting;
use super::source::{Source, Sources};

/// The sources, the winning one first, and what was found in them so far.
#[derive(Debug)]
pub struct Reader {
    layers: Vec<Layer>,
    problems: Vec<Problem>,
    effective: Vec<Effective>,
}

/// What holds for one key.
#[derive(Debug)]
pub struct Effective {
    /// The key.
    pub key: &'static Key,
    /// The value as text, less what is secret in it.
    pub value: String,
    /// Where it came from.
    pub source: Source,
}

/// What reading found.
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    pub(super) effective: Vec<Effective>,
}

impl Reader {
    pub(super) fn new(sources: &Sources) -> Self {
        let mut layers = vec![Layer::of_flags(&sources.flags), Layer::of_env(&sources.env)];
        layers.extend(sources.file.as_ref().map(Layer::of_file));
        Self {
            layers,
            problems: Vec::new(),
            effective: Vec::new(),
        }
    }

    /// The value of a key; none when it is faulty, which is then among the problems.
    pub fn read<T: Setting>(&mut self, section: &str, name: &str) -> Option<T> {
        let key = Config::key(section, name)?;
        let Given { value, source } = self.given(key)?;
        match T::parse(&value) {
            Ok(parsed) => {
                self.effective.push(Effective {
                    key,
                    value: parsed.show(),
                    source,
                });
                Some(parsed)
            }
            Err(expected) => {
                let detail = if T::SECRET {
                    expected
                } else {
                    format!("is {value:?}; {expected}")
                };
                self.problems.push(Problem {
                    key: Some(key.id()),
                    source,
                    detail,
                });
                None
            }
        }
    }

    /// The value of another key, for the defaults that follow from it; none when it is faulty.
    pub fn get<T: Setting>(&self, section: &str, name: &str) -> Option<T> {
        let given = self.given(Config::key(section, name)?)?;
        T::parse(&given.value).ok()
    }

    /// Adds what is wrong with keys that were read, by their sections and names.
    pub(super) fn add_problems(
        &mut self,
        problems: Vec<((&'static str, &'static str), &'static str)>,
    ) {
        for ((section, name), detail) in problems {
            let key = Config::key(section, name);
            let source = key.and_then(|key| self.given(key));
            self.problems.push(Problem {
                key: key.map(Key::id),
                source: source.map_or(Source::Default, |given| given.source),
                detail: detail.to_owned(),
            });
        }
    }

    pub(super) fn finish(mut self) -> Findings {
        let mut findings = Findings {
            problems: Vec::new(),
            warnings: Vec::new(),
            effective: self.effective,
        };
        for layer in &mut self.layers {
            findings.problems.append(&mut layer.problems);
            findings.warnings.append(&mut layer.warnings);
        }
        findings.problems.append(&mut self.problems);
        findings
    }

    /// What the winning source says, or else the default; none when that follows from a key
    /// that is faulty.
    fn given(&self, key: &Key) -> Option<Given> {
        if let Some(given) = self.layers.iter().find_map(|layer| layer.get(key)) {
            return Some(given.clone());
        }
        let value = match key.default {
            WhenAbsent::Text(text) => text.to_owned(),
            WhenAbsent::Derived { from, .. } => from(self)?,
        };
        Some(Given {
            value,
            source: Source::Default,
        })
    }
}
