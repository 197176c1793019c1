//! What can be said about a script without running it.

mod body;
mod calls;
mod compare;
mod facts;
mod flow;
mod infer;
mod maps;
mod names;
mod predicate;
mod reach;
mod references;
mod signatures;
mod switches;
mod syntax;
mod triggers;
mod types;
mod values;
pub(crate) mod walk;

use crate::diagnostic::Code;
use crate::{Diagnostic, Language, Severity, waiting};
use body::{Names, bodies};
use flow::{Findings, Flow};
pub(crate) use names::explain;
pub(crate) use predicate::candidates;
pub use predicate::{Candidates, Unclear};
pub use references::Reference;
use rhai::{AST, Expr, FnPtr, Position, Stmt};
pub(crate) use signatures::Signatures;
use smarttasks_model::Trigger;

/// What can be said about a script without running it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Analysis {
    /// Errors and warnings, in the order of the script.
    pub diagnostics: Vec<Diagnostic>,
    /// The actions that it may ask for, in alphabetical order, each once.
    pub actions: Vec<&'static str>,
    /// Whether its run may wait.
    pub suspends: bool,
    /// The calls at which it may, in alphabetical order, each once.
    pub waits: Vec<&'static str>,
    /// The endpoints that it names.
    pub endpoints: Vec<Reference>,
    /// The users that it names, by address or id.
    pub users: Vec<Reference>,
    /// When it may act.
    pub candidates: Candidates,
}

/// What every part of the analysis looks at.
struct Context<'a> {
    language: &'a Language,
    source: &'a str,
}

/// Whether the script may call a function at which its run waits, by name or by a text that is one.
pub(crate) fn may_wait(ast: &AST) -> bool {
    let mut found = false;
    walk::script(ast, &mut |node| {
        found |= match node {
            walk::Node::Stmt(Stmt::FnCall(call, _))
            | walk::Node::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _)) => {
                waiting::CALLS.contains(&call.name.as_str())
            }
            walk::Node::Expr(Expr::StringConstant(text, _)) => {
                waiting::CALLS.contains(&text.as_str())
            }
            walk::Node::Expr(Expr::DynamicConstant(value, _)) => value
                .read_lock::<FnPtr>()
                .is_some_and(|function| waiting::CALLS.contains(&function.fn_name())),
            _ => false,
        };
    });
    found
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

pub(crate) fn analyse(
    language: &Language,
    source: &str,
    ast: &AST,
    triggers: &[Trigger],
) -> Analysis {
    let context = Context { language, source };
    let bodies = bodies(ast);
    let names = Names::of(&bodies);
    let mut found = Findings::default();
    let mut done = Vec::with_capacity(bodies.len());
    for body in bodies {
        let deeds;
        (found, deeds) = Flow::new(&context, &names, found).body(&body);
        done.push((body.name, deeds));
    }
    let reached = reach::reached(done);
    let mut diagnostics = found.diagnostics;
    let refused = diagnostics
        .iter()
        .any(|found| found.severity == Severity::Error);
    diagnostics.extend(reached.unreached.into_iter().map(unreached));
    // What it does, a script with errors may only say wrongly.
    diagnostics.extend((reached.idle && !refused).then(idle));
    if let Some(at) = found.task_at {
        diagnostics.extend(triggers::without_task(at, triggers));
    }
    for (at, what) in found.changes {
        diagnostics.extend(triggers::without_change(at, what, triggers));
    }
    if let Some((at, key)) = &found.data_at {
        diagnostics.extend(triggers::without_data(*at, key, triggers));
    }
    bound(&mut diagnostics);
    sort(&mut diagnostics);
    Analysis {
        diagnostics,
        actions: reached.actions.into_iter().collect(),
        suspends: !reached.waits.is_empty(),
        waits: reached.waits.into_iter().collect(),
        endpoints: found.endpoints,
        users: found.users,
        candidates: candidates(language, source, ast),
    }
}

fn idle() -> Diagnostic {
    Diagnostic::warning(
        Code::NoAction,
        Position::NONE,
        "the script has no action, so it never does anything",
    )
    .hint("call email, webhook, task.update or another action")
}

fn unreached((action, at, function): (&'static str, Position, String)) -> Diagnostic {
    Diagnostic::warning(
        Code::UnreachableAction,
        at,
        format!("this `{action}` is never done, because nothing calls the function `{function}`"),
    )
    .hint(format!("call `{function}(…)`, or leave it out"))
}

/// Most findings about one script: nobody reads more at a time.
const MOST: usize = 100;

/// Keeps the first of too many, and errors rather than warnings.
fn bound(diagnostics: &mut Vec<Diagnostic>) {
    if diagnostics.len() > MOST {
        diagnostics.sort_by_key(|found| found.severity == Severity::Warning);
        diagnostics.truncate(MOST);
    }
}

fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by_key(|found| (found.line, found.column));
    diagnostics.dedup();
}
