//! The names under which keys are given, and the nearest one to a name that is none.

use super::Config;
use super::key::Key;

/// A name of a key: its own, or, for a secret, that of a file which holds it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) key: &'static Key,
    pub(super) in_file: bool,
}

impl Name {
    /// Every name.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Config::keys().flat_map(|key| {
            let names = [false, true].map(|in_file| Self { key, in_file });
            names.into_iter().take(if key.secret { 2 } else { 1 })
        })
    }

    /// The name that is `id` in the file and after `--set`.
    pub(super) fn of_id(id: &str) -> Option<Self> {
        Self::all().find(|name| name.id() == id)
    }

    /// The name that is `variable` in the environment.
    pub(super) fn of_env(variable: &str) -> Option<Self> {
        Self::all().find(|name| name.env() == variable)
    }

    /// The name in the file and after `--set`.
    pub(super) fn id(&self) -> String {
        let suffix = if self.in_file { "_file" } else { "" };
        format!("{}{suffix}", self.key.id())
    }

    /// The name in the environment.
    pub(super) fn env(&self) -> String {
        let suffix = if self.in_file { "_FILE" } else { "" };
        format!("{}{suffix}", self.key.env())
    }
}

/// How many slips of the finger a name may be away to be meant.
const SLIPS: usize = 3;

/// A hint at the name nearest to `wrong`, each name written by `write`.
pub(super) fn nearest(wrong: &str, write: fn(&Name) -> String) -> String {
    Name::all()
        .map(|name| write(&name))
        .map(|name| (strsim::osa_distance(wrong, &name), name))
        .filter(|(distance, _)| *distance <= SLIPS)
        .min()
        .map_or_else(
            || "docs/configuration.md lists all".to_owned(),
            |(_, name)| format!("did you mean {name}?"),
        )
}
