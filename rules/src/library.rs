//! The library: rules ready to be installed, as the files of `library/`, each with its tests
//! beside it.

use crate::rule_file::{RuleFileError, parse_rule_file};
use smarttasks_model::RuleSpec;

/// A rule ready to be installed.
#[derive(Clone, Copy, Debug)]
pub struct LibraryRule {
    /// Its name in the library.
    pub key: &'static str,
    /// The rule file.
    pub source: &'static str,
    /// Its tests; see [`RuleTests`](crate::RuleTests).
    pub tests: &'static str,
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

macro_rules! rule {
    ($key:literal, starter: $starter:literal) => {
        LibraryRule {
            key: $key,
            source: include_str!(concat!("../library/", $key, ".rhai")),
            tests: include_str!(concat!("../library/", $key, ".test.toml")),
            starter: $starter,
        }
    };
}

/// Every rule of the library.
pub fn library() -> &'static [LibraryRule] {
    &[
        rule!("task-created", starter: true),
        rule!("task-overdue", starter: true),
        rule!("due-soon", starter: false),
        rule!("chase-overdue", starter: false),
        rule!("escalate-overdue", starter: false),
        rule!("sla-timer", starter: false),
        rule!("stale-in-status", starter: false),
        rule!("unassigned-urgent", starter: false),
        rule!("blocked-too-long", starter: false),
        rule!("reopened", starter: false),
        rule!("large-workload", starter: false),
        rule!("weekly-digest", starter: false),
        rule!("auto-tag", starter: false),
        rule!("task-from-event", starter: false),
    ]
}
