//! What a script names and only its workspace knows: endpoints and users.

use super::{Analysis, sort};
use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::nearest::did_you_mean;
use rhai::Position;
use smarttasks_model::User;

/// A name that stands in a script, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// As it is written.
    pub name: String,
    /// From 1.
    pub line: Option<usize>,
    /// From 1.
    pub column: Option<usize>,
}

impl Reference {
    pub(super) fn new(name: &str, at: Position) -> Self {
        Self {
            name: name.to_owned(),
            line: at.line(),
            column: at.position(),
        }
    }

    fn unknown(&self, code: Code, message: String, hint: String) -> Diagnostic {
        Diagnostic {
            line: self.line,
            column: self.column,
            ..Diagnostic::warning(code, Position::NONE, message).hint(hint)
        }
    }
}

impl Analysis {
    /// Warns of endpoints and users that there are not in the workspace whose endpoints and
    /// members these are. No errors: an endpoint may be made after the rule that uses it.
    pub fn check_references(&mut self, endpoints: &[String], members: &[User]) {
        for named in &self.endpoints {
            if !endpoints.contains(&named.name) {
                let near = did_you_mean(&named.name, endpoints.iter().map(String::as_str));
                self.diagnostics.push(named.unknown(
                    Code::UnknownEndpoint,
                    format!("the workspace has no endpoint \"{}\"", named.name),
                    near.unwrap_or_else(|| "register it, or give a URL".to_owned()),
                ));
            }
        }
        for named in &self.users {
            let key = named.name.to_ascii_lowercase();
            let known = |user: &User| user.email.key() == key || user.id.to_string() == key;
            if !members.iter().any(known) {
                let near =
                    did_you_mean(&named.name, members.iter().map(|user| user.email.as_str()));
                self.diagnostics.push(named.unknown(
                    Code::UnknownUser,
                    format!("no member of the workspace is \"{}\"", named.name),
                    near.unwrap_or_else(|| "name a member by address or id".to_owned()),
                ));
            }
        }
        sort(&mut self.diagnostics);
    }
}
