//! What can be said about a script without running it.

mod checks;
mod names;
mod walk;

use crate::{Diagnostic, Language, Severity};
pub(crate) use names::explain;
use rhai::{AST, Expr};
use smarttasks_model::Trigger;

/// What can be said about a script without running it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Analysis {
    /// Errors and warnings, in the order of the script.
    pub diagnostics: Vec<Diagnostic>,
    /// The actions that it may ask for, in alphabetical order, each once.
    pub actions: Vec<&'static str>,
    /// Whether it may suspend its run. No call of the language does so at present.
    pub suspends: bool,
}

/// Whether the script speaks of a host name anywhere.
pub(crate) fn mentions(ast: &AST, name: &str) -> bool {
    let mut found = false;
    walk::script(ast, &mut |node| {
        if let walk::Node::Expr(Expr::Variable(variable, _, _)) = node {
            found |= variable.1 == name;
        }
    });
    found
}

/// The findings that keep a script from being stored.
pub(crate) fn errors(language: &Language, ast: &AST) -> Vec<Diagnostic> {
    let mut found = checks::check(language, ast).diagnostics;
    found.retain(|diagnostic| diagnostic.severity == Severity::Error);
    sort(&mut found);
    found
}

pub(crate) fn analyse(language: &Language, ast: &AST, triggers: &[Trigger]) -> Analysis {
    let checked = checks::check(language, ast);
    let mut diagnostics = checked.diagnostics;
    diagnostics.extend(checks::without_action(&checked.actions));
    if let Some(at) = checked.task_at {
        diagnostics.extend(checks::without_task(at, triggers));
    }
    sort(&mut diagnostics);
    Analysis {
        diagnostics,
        actions: checked.actions.into_iter().collect(),
        suspends: false,
    }
}

fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by_key(|found| (found.line, found.column));
    diagnostics.dedup();
}
