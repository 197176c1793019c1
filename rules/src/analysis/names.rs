//! Names that the parser does not know: a slip of the finger, or a closure that looks out.

use super::walk::{self, Node};
use crate::nearest::did_you_mean;
use crate::{Diagnostic, world};
use rhai::{AST, Engine, Expr, ParseError, ParseErrorType, Position, Stmt};

/// Says what the parser refused. With strict variables it refuses both `titel` and a closure
/// that captures; which of them it was shows only in the whole script.
pub(crate) fn explain(engine: &Engine, script: &str, error: &ParseError) -> Diagnostic {
    let ParseError(kind, at) = error;
    let ParseErrorType::VariableUndefined(name) = &**kind else {
        return Diagnostic::from_parser(error);
    };
    let declared = Declared::of(engine, script, *at);
    if declared.at_is_in_function && declared.names.iter().any(|known| known == name) {
        return captured(name, *at);
    }
    let found = Diagnostic::from_parser(error);
    let known = declared
        .names
        .iter()
        .map(String::as_str)
        .chain(world::NAMES.iter().copied());
    match did_you_mean(name, known) {
        Some(hint) => found.hint(hint),
        None => found,
    }
}

fn captured(name: &str, at: Position) -> Diagnostic {
    Diagnostic::error(
        "captured_variable",
        at,
        format!("a function or closure does not see the variable `{name}` around it"),
    )
    .hint(format!(
        "hand it over: `(|{name}, x| …).curry({name})` for a closure, an argument for a function; or use a `for` loop"
    ))
}

/// The variables of a script that strict parsing refused, and where the refused name stands.
struct Declared {
    names: Vec<String>,
    at_is_in_function: bool,
}

impl Declared {
    fn of(engine: &Engine, script: &str, at: Position) -> Self {
        let mut declared = Self {
            names: Vec::new(),
            at_is_in_function: false,
        };
        // A relaxed parser takes the script, so that all of it can be looked at. Only the flag
        // differs from the engine that runs scripts, and this one runs none.
        let mut relaxed = Engine::new_raw();
        relaxed.set_optimization_level(rhai::OptimizationLevel::None);
        relaxed.set_max_expr_depths(engine.max_expr_depth(), engine.max_function_expr_depth());
        relaxed.set_max_functions(engine.max_functions());
        if let Ok(ast) = relaxed.compile(script) {
            declared.collect(&ast, at);
        }
        declared
    }

    fn collect(&mut self, ast: &AST, at: Position) {
        walk::script(ast, &mut |node| {
            if let Node::Stmt(stmt) = node {
                self.declare(stmt);
            }
        });
        walk::functions(ast, &mut |node| {
            if let Node::Expr(Expr::Variable(_, _, place)) = node {
                self.at_is_in_function |= *place == at;
            }
        });
        for function in ast.iter_fn_def() {
            self.names
                .extend(function.params.iter().map(ToString::to_string));
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
