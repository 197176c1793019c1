//! The parts of a script that run one after the other: its top level, and each function.

use super::walk::{self, Node};
use rhai::{AST, ASTNode, Expr, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// The top level or a function.
pub(super) struct Body {
    /// Absent for the top level.
    pub(super) name: Option<String>,
    pub(super) parameters: Vec<String>,
    pub(super) at: Position,
    pub(super) statements: Vec<Stmt>,
}

impl Body {
    /// Whether it is a function without a name of its own.
    pub(super) fn is_closure(&self) -> bool {
        self.name.as_deref().is_some_and(is_closure)
    }
}

/// Whether a function has a name that Rhai gave it.
pub(super) fn is_closure(name: &str) -> bool {
    name.starts_with("anon$")
}

/// The top level first. The statements are copies, because Rhai shows those of a function only
/// one by one.
pub(super) fn bodies(ast: &AST) -> Vec<Body> {
    let top = Body {
        name: None,
        parameters: Vec::new(),
        at: Position::NONE,
        statements: ast.statements().to_vec(),
    };
    let functions = ast.iter_fn_def().map(|function| {
        let arity = function.params.len();
        let mut alone = ast.clone_functions_only();
        alone.retain_functions(|_, _, name, parameters| {
            name == function.name.as_str() && parameters == arity
        });
        let mut statements = Vec::new();
        alone.walk(&mut |path: &[ASTNode]| {
            if let [ASTNode::Stmt(root)] = path {
                statements.push((*root).clone());
            }
            true
        });
        Body {
            name: Some(function.name.to_string()),
            parameters: function.params.iter().map(ToString::to_string).collect(),
            at: function.body.start_position(),
            statements,
        }
    });
    std::iter::once(top).chain(functions).collect()
}

/// Methods that change what they are called on.
const CHANGING: &[&str] = &[
    "append",
    "chop",
    "clear",
    "crop",
    "dedup",
    "drain",
    "extract",
    "fill_with",
    "for_each",
    "insert",
    "make_lower",
    "make_upper",
    "mixin",
    "pad",
    "pop",
    "push",
    "remove",
    "replace",
    "retain",
    "reverse",
    "set",
    "shift",
    "sort",
    "splice",
    "trim",
    "truncate",
];

/// What a script does to its variables, wherever it does it. By name: of two variables of one
/// name, what happens to the one is believed of the other too.
#[derive(Default)]
pub(super) struct Names {
    /// May be given a value of another kind.
    pub(super) assigned: BTreeSet<String>,
    /// May be changed within.
    pub(super) changed: BTreeSet<String>,
    /// Are spoken of, other than by being declared.
    pub(super) used: BTreeSet<String>,
    /// The keys of maps, under which closures may stand, called like methods.
    pub(super) keys: BTreeSet<String>,
    /// Texts that stand in the script: by one a variable or function may be spoken of.
    pub(super) texts: BTreeSet<String>,
    /// The script's functions, with the numbers of their arguments.
    pub(super) own: BTreeMap<String, BTreeSet<usize>>,
}

impl Names {
    pub(super) fn of(bodies: &[Body]) -> Self {
        let mut names = Self::default();
        for body in bodies {
            if let Some(name) = &body.name {
                let arities = names.own.entry(name.clone()).or_default();
                arities.insert(body.parameters.len());
            }
        }
        for body in bodies {
            walk::block(&body.statements, &mut |node| match node {
                Node::Stmt(stmt) => names.stmt(stmt),
                Node::Expr(expr) => names.expr(expr),
            });
        }
        names
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Assignment(parts) => match &parts.1.lhs {
                Expr::Variable(variable, _, _) => {
                    self.assigned.insert(variable.1.to_string());
                }
                other => self.change(other),
            },
            Stmt::FnCall(call, _) => self.call(&call.name, &call.args),
            _ => {}
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Variable(variable, _, _) => {
                self.used.insert(variable.1.to_string());
            }
            Expr::StringConstant(text, _) => {
                self.texts.insert(text.to_string());
            }
            Expr::Map(parts, _) => {
                self.keys
                    .extend(parts.0.iter().map(|(key, _)| key.name.to_string()));
            }
            Expr::Property(property, _) => {
                self.keys.insert(property.2.to_string());
            }
            Expr::FnCall(call, _) => self.call(&call.name, &call.args),
            Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => self.chain(&pair.lhs, &pair.rhs),
            _ => {}
        }
    }

    fn call(&mut self, name: &str, arguments: &[Expr]) {
        if CHANGING.contains(&name)
            && let Some(first) = arguments.first()
        {
            self.change(first);
        }
    }

    /// A method of Rhai's may change its subject, and one of the script's own may replace it.
    fn chain(&mut self, subject: &Expr, mut rest: &Expr) {
        let Some(subject) = root(subject) else {
            return;
        };
        loop {
            let link = match rest {
                Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => {
                    rest = &pair.rhs;
                    Some(&pair.lhs)
                }
                _ => None,
            };
            if let Expr::MethodCall(call, _) = link.unwrap_or(rest) {
                let name = call.name.as_str();
                if name == "call" || self.own.contains_key(name) || self.keys.contains(name) {
                    self.assigned.insert(subject.to_owned());
                } else if CHANGING.contains(&name) {
                    self.changed.insert(subject.to_owned());
                }
            }
            if link.is_none() {
                return;
            }
        }
    }

    fn change(&mut self, expr: &Expr) {
        if let Some(name) = root(expr) {
            self.changed.insert(name.to_owned());
        }
    }

    /// Whether the script has a function of its own of this name.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.own.contains_key(name)
    }
}

/// The variable at the beginning of a chain.
fn root(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Variable(variable, _, _) => Some(&variable.1),
        Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => root(&pair.lhs),
        _ => None,
    }
}
