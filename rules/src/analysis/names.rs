//! Names that the parser does not know: a slip of the finger, or a closure that looks out.

use super::body::{Body, bodies};
use super::syntax::{explained, foreign, unknown_name};
use super::walk::{self, Node};
use crate::diagnostic::Code;
use crate::nearest::did_you_mean;
use crate::{Diagnostic, world};
use rhai::{Engine, Expr, ParseError, ParseErrorType, Position, Stmt};

/// Says what the parser refused. With strict variables it refuses both `titel` and a closure
/// that captures; which of them it was shows only in the whole script.
pub(crate) fn explain(engine: &Engine, script: &str, error: &ParseError) -> Diagnostic {
    let ParseError(kind, at) = error;
    let ParseErrorType::VariableUndefined(name) = &**kind else {
        return explained(script, error);
    };
    let declared = Declared::of(engine, script, *at);
    if declared.at_is_in_function && declared.names.iter().any(|known| known == name) {
        return captured(name, *at, declared.at_is_in_closure);
    }
    let found = explained(script, error);
    if let Some(hint) = foreign(name) {
        return found.hint(hint);
    }
    let known = declared
        .names
        .iter()
        .map(String::as_str)
        .chain(world::NAMES.iter().copied());
    match did_you_mean(name, known) {
        Some(hint) => found.hint(hint),
        None => found.hint(unknown_name(script, name, *at)),
    }
}

fn captured(name: &str, at: Position, closure: bool) -> Diagnostic {
    let (what, hint) = match closure {
        true => (
            "closure",
            format!("hand it over, `(|{name}, x| …).curry({name})`, or use a `for` loop"),
        ),
        false => (
            "function",
            format!("hand it over as an argument: `fn name({name}) {{ … }}`"),
        ),
    };
    Diagnostic::error(
        Code::CapturedVariable,
        at,
        format!("a {what} does not see the variable `{name}` around it"),
    )
    .hint(hint)
}

/// The variables of a script that strict parsing refused, and where the refused name stands.
struct Declared {
    names: Vec<String>,
    at_is_in_function: bool,
    at_is_in_closure: bool,
}

impl Declared {
    fn of(engine: &Engine, script: &str, at: Position) -> Self {
        let mut declared = Self {
            names: Vec::new(),
            at_is_in_function: false,
            at_is_in_closure: false,
        };
        // A relaxed parser takes the script, so that all of it can be looked at. Only the flag
        // differs from the engine that runs scripts, and this one runs none.
        let mut relaxed = Engine::new_raw();
        relaxed.set_optimization_level(rhai::OptimizationLevel::None);
        relaxed.set_max_expr_depths(engine.max_expr_depth(), engine.max_function_expr_depth());
        relaxed.set_max_functions(engine.max_functions());
        if let Ok(ast) = relaxed.compile(script) {
            declared.collect(&bodies(&ast), at);
        }
        declared
    }

    fn collect(&mut self, bodies: &[Body], at: Position) {
        for body in bodies {
            let in_closure = body.is_closure();
            let in_function = body.name.is_some();
            walk::block(&body.statements, &mut |node| match node {
                Node::Stmt(stmt) => self.declare(stmt),
                Node::Expr(Expr::Variable(_, _, place)) => {
                    self.at_is_in_function |= in_function && *place == at;
                    self.at_is_in_closure |= in_closure && *place == at;
                }
                Node::Expr(_) => {}
            });
            self.names.extend(body.parameters.iter().cloned());
        }
    }

    fn declare(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Var(parts, _, _) => self.names.push(parts.0.name.to_string()),
            Stmt::For(parts, _) => {
                self.names.push(parts.0.name.to_string());
                self.names
                    .extend(parts.1.iter().map(|counter| counter.name.to_string()));
            }
            _ => {}
        }
    }
}
