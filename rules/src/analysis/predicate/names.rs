//! Which variables may be other than what they were declared to be.

use super::acts::Acts;
use crate::analysis::walk::{self, Node};
use rhai::{AST, Expr, Stmt};
use std::collections::BTreeSet;

/// Methods that leave their subject as it is.
const READING: &[&str] = &[
    "abs",
    "contains",
    "ends_with",
    "format",
    "in_zone",
    "is_empty",
    "join",
    "len",
    "starts_with",
    "sub_string",
    "to_lower",
    "to_string",
    "to_upper",
];

/// By name: of two variables of one name, what happens to the one is believed of the other too.
pub(super) struct Names {
    assigned: BTreeSet<String>,
}

impl Names {
    pub(super) fn of(ast: &AST, acts: &Acts) -> Self {
        let mut names = Self {
            assigned: BTreeSet::new(),
        };
        walk::script(ast, &mut |node| match node {
            Node::Stmt(Stmt::Assignment(parts)) => names.change(&parts.1.lhs),
            Node::Stmt(Stmt::FnCall(call, _)) | Node::Expr(Expr::FnCall(call, _)) => {
                // What is called like a function may still change its first argument.
                if call.op_token.is_none()
                    && !READING.contains(&call.name.as_str())
                    && let Some(first) = call.args.first()
                {
                    names.change_by_call(first, &call.name, acts);
                }
            }
            Node::Expr(Expr::Dot(pair, _, _) | Expr::Index(pair, _, _))
                if may_change(&pair.rhs, acts) =>
            {
                names.change(&pair.lhs);
            }
            _ => {}
        });
        names
    }

    /// Whether a variable of this name may be given another value than its first, or be changed
    /// within.
    pub(super) fn is_changed(&self, name: &str) -> bool {
        self.assigned.contains(name)
    }

    fn change(&mut self, expr: &Expr) {
        match expr {
            Expr::Variable(variable, _, _) => {
                self.assigned.insert(variable.1.to_string());
            }
            Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => self.change(&pair.lhs),
            _ => {}
        }
    }

    /// Functions of the language that take what they are given by value, and so leave it alone.
    fn change_by_call(&mut self, first: &Expr, name: &str, acts: &Acts) {
        const TAKING: &[&str] = &[
            "changed",
            "count",
            "days",
            "debug",
            "hours",
            "log",
            "max",
            "min",
            "minutes",
            "print",
            "seconds",
            "tasks",
            "timestamp",
            "to_json",
            "type_of",
            "user",
            "weeks",
        ];
        if !TAKING.contains(&name) || acts.is_own(name) {
            self.change(first);
        }
    }
}

/// Whether what follows a dot or bracket calls something that may change what stands before it.
fn may_change(rest: &Expr, acts: &Acts) -> bool {
    match rest {
        Expr::MethodCall(call, _) => {
            acts.is_own(&call.name) || !READING.contains(&call.name.as_str())
        }
        Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => {
            may_change(&pair.lhs, acts) || may_change(&pair.rhs, acts)
        }
        _ => false,
    }
}
