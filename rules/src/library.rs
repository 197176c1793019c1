//! The library: rules ready to be installed, as the files of `library/`.

use crate::rule_file::{RuleFileError, parse_rule_file};
use smarttasks_model::RuleSpec;

/// A rule ready to be installed.
#[derive(Clone, Copy, Debug)]
pub struct LibraryRule {
    /// Its name in the library.
    pub key: &'static str,
    /// The rule file.
    pub source: &'static str,
    /// Whether every new workspace gets it.
    pub starter: bool,
}

impl LibraryRule {
    /// The rule.
    ///
    /// # Errors
    /// None for the rules of [`library`], which the tests of this crate hold.
    pub fn spec(&self) -> Result<RuleSpec, RuleFileError> {
        parse_rule_file(self.source)
    }
}

/// Every rule of the library.
pub fn library() -> &'static [LibraryRule] {
    &[
        LibraryRule {
            key: "task-created",
            source: include_str!("../library/task-created.rhai"),
            starter: true,
        },
        LibraryRule {
            key: "task-overdue",
            source: include_str!("../library/task-overdue.rhai"),
            starter: true,
        },
    ]
}
