//! What is wrong with a configuration, said all at once.

use super::source::Source;
use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, or what was taken for one; none when the problem is with the whole source.
    pub key: Option<String>,
    /// Where the value came from.
    pub source: Source,
    /// What is wrong, and what would be right.
    pub detail: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            source,
            detail,
        } = self;
        match key {
            Some(key) => write!(f, "{key} ({source}): {detail}"),
            None => write!(f, "{source}: {detail}"),
        }
    }
}

/// Everything that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = &self.0;
        let s = if problems.len() == 1 { "" } else { "s" };
        write!(f, "{} problem{s} in the configuration:", problems.len())?;
        for problem in problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
