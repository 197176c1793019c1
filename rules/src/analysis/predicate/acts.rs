//! Which calls act: those of the language, and functions of the script in which one stands.

use crate::analysis::walk::{self, Node};
use crate::{action, waiting};
use rhai::{AST, ASTFlags, Expr, FnCallExpr, FnPtr, Stmt};
use std::collections::BTreeSet;

/// Methods by which what a rule keeps is changed.
const KEEPING: &[&str] = &["set", "remove"];

/// Functions that take the name of a function, and call it: `Fn`, and what Rhai has for lists by
/// the names of functions beside closures.
const CALLING: &[&str] = &[
    "Fn",
    "all",
    "dedup",
    "drain",
    "filter",
    "index_of",
    "map",
    "reduce",
    "reduce_rev",
    "retain",
    "some",
    "sort",
];

/// The action that a call of this name asks for: of methods of the task it says so.
fn action_of(name: &str) -> Option<&'static str> {
    let mut calls = action::CALLS.iter();
    calls
        .find(|(call, _)| *call == name)
        .map(|(_, action)| *action)
}

/// The calls that act.
pub(super) struct Acts {
    /// The script speaks of what its rule keeps.
    keeps: bool,
    /// Its own functions and closures.
    own: BTreeSet<String>,
    /// Those of them that act, themselves or by calling others.
    own_acting: BTreeSet<String>,
}

impl Acts {
    pub(super) fn of(ast: &AST) -> Self {
        let own: BTreeSet<String> = ast
            .iter_functions()
            .map(|function| function.name.to_owned())
            .collect();
        let mut acts = Self {
            keeps: false,
            own,
            own_acting: BTreeSet::new(),
        };
        walk::script(ast, &mut |node| {
            if let Node::Expr(Expr::Variable(variable, _, _)) = node {
                acts.keeps |= variable.1 == "state";
            }
        });
        if !acts.own.is_empty() {
            acts.find_own(ast);
        }
        acts
    }

    fn find_own(&mut self, ast: &AST) {
        let mut calls: Vec<(String, BTreeSet<String>)> = Vec::new();
        for function in ast.iter_functions() {
            let mut alone = ast.clone_functions_only();
            let arity = function.params.len();
            alone.retain_functions(|_, _, name, parameters| {
                name == function.name && parameters == arity
            });
            let (mut act, mut called) = (false, BTreeSet::new());
            walk::script(&alone, &mut |node| self.look(&node, &mut act, &mut called));
            if act {
                self.own_acting.insert(function.name.to_owned());
            }
            calls.push((function.name.to_owned(), called));
        }
        let mut before = usize::MAX;
        while before != self.own_acting.len() {
            before = self.own_acting.len();
            for (name, called) in &calls {
                if !called.is_disjoint(&self.own_acting) {
                    self.own_acting.insert(name.clone());
                }
            }
        }
    }

    /// What a node of a function's body does, or which functions it names.
    fn look(&self, node: &Node<'_>, act: &mut bool, called: &mut BTreeSet<String>) {
        match node {
            Node::Stmt(Stmt::FnCall(call, _))
            | Node::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _)) => {
                *act |= self.is_act(&call.name) || self.calls_unnamed(call);
                called.insert(call.name.to_string());
            }
            Node::Expr(Expr::Variable(variable, _, _)) => {
                called.insert(variable.1.to_string());
            }
            Node::Expr(Expr::StringConstant(text, _)) => {
                called.insert(text.to_string());
            }
            Node::Expr(Expr::DynamicConstant(value, _)) => match value.read_lock::<FnPtr>() {
                Some(function) => {
                    called.insert(function.fn_name().to_owned());
                }
                None => *act = true,
            },
            Node::Expr(Expr::Custom(..)) => *act = true,
            // A `throw`.
            Node::Stmt(Stmt::Return(_, options, _)) => *act |= options.contains(ASTFlags::BREAK),
            _ => {}
        }
    }

    /// Whether a call of this name may act.
    pub(super) fn is_act(&self, name: &str) -> bool {
        self.own_acting.contains(name)
            || action::CALLS.iter().any(|(call, _)| *call == name)
            || waiting::CALLS.contains(&name)
            || (self.keeps && KEEPING.contains(&name))
    }

    /// Whether a call of a function of this name surely asks for an action, unless it fails.
    pub(super) fn is_sure(&self, name: &str) -> bool {
        !self.is_own(name) && action_of(name).is_some_and(|action| action == name)
    }

    /// Likewise of a method of the task.
    pub(super) fn is_sure_of_task(&self, name: &str) -> bool {
        !self.is_own(name) && action_of(name).is_some_and(|action| action != name)
    }

    /// Whether the script speaks of what its rule keeps.
    pub(super) fn keeps(&self) -> bool {
        self.keeps
    }

    /// Whether the script has a function of its own of this name.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.own.contains(name)
    }

    /// Whether a call may call what acts by a name that it is given: a closure does so where it is
    /// made.
    pub(super) fn calls_unnamed(&self, call: &FnCallExpr) -> bool {
        CALLING.contains(&call.name.as_str())
            && call.args.iter().any(|name| match name {
                Expr::StringConstant(text, _) => self.is_act(text),
                Expr::DynamicConstant(value, _) => !value.is::<FnPtr>(),
                Expr::BoolConstant(..)
                | Expr::IntegerConstant(..)
                | Expr::FloatConstant(..)
                | Expr::CharConstant(..)
                | Expr::Unit(_) => false,
                _ => true,
            })
    }
}
