//! A complete walk over a script's syntax tree. Rhai's own `AST::walk` skips what follows
//! `break`, so only its roots are taken from it.

use rhai::{AST, ASTNode, Expr, FnCallExpr, Stmt};

/// What the walk comes by.
pub(crate) enum Node<'a> {
    Stmt(&'a Stmt),
    Expr(&'a Expr),
}

/// A visitor; it is called before what is within the node.
type Visit<'v> = dyn FnMut(Node<'_>) + 'v;

/// Walks all of a script, functions and closures included.
pub(super) fn script(ast: &AST, visit: &mut Visit<'_>) {
    ast.walk(&mut |path: &[ASTNode]| {
        if let [ASTNode::Stmt(root)] = path {
            stmt(root, visit);
        }
        true
    });
}

/// Walks a list of statements.
pub(crate) fn block(statements: &[Stmt], visit: &mut Visit<'_>) {
    for inner in statements {
        stmt(inner, visit);
    }
}

fn stmt(node: &Stmt, visit: &mut Visit<'_>) {
    visit(Node::Stmt(node));
    match node {
        Stmt::Noop(_) => {}
        Stmt::If(flow, _)
        | Stmt::While(flow, _)
        | Stmt::Do(flow, _, _)
        | Stmt::TryCatch(flow, _) => {
            expr(&flow.expr, visit);
            block(flow.body.statements(), visit);
            block(flow.branch.statements(), visit);
        }
        Stmt::For(parts, _) => {
            let (_, _, flow) = &**parts;
            expr(&flow.expr, visit);
            block(flow.body.statements(), visit);
        }
        Stmt::Switch(parts, _) => {
            let (subject, cases) = &**parts;
            expr(subject, visit);
            for case in &cases.expressions {
                expr(&case.lhs, visit);
                expr(&case.rhs, visit);
            }
        }
        Stmt::Var(parts, _, _) => expr(&parts.1, visit),
        Stmt::Assignment(parts) => {
            expr(&parts.1.lhs, visit);
            expr(&parts.1.rhs, visit);
        }
        Stmt::FnCall(call, _) => arguments(call, visit),
        Stmt::Block(inner) => block(inner.statements(), visit),
        Stmt::Expr(inner) => expr(inner, visit),
        Stmt::BreakLoop(Some(inner), _, _) | Stmt::Return(Some(inner), _, _) => {
            expr(inner, visit);
        }
        // `Stmt` is open-ended; what is new holds nothing that today's checks look for.
        _ => {}
    }
}

/// Walks an expression.
pub(crate) fn expr(node: &Expr, visit: &mut Visit<'_>) {
    visit(Node::Expr(node));
    match node {
        Expr::InterpolatedString(parts, _) | Expr::Array(parts, _) => {
            for part in parts {
                expr(part, visit);
            }
        }
        Expr::Map(parts, _) => {
            for (_, value) in &parts.0 {
                expr(value, visit);
            }
        }
        Expr::MethodCall(call, _) | Expr::FnCall(call, _) => arguments(call, visit),
        Expr::Stmt(inner) => block(inner.statements(), visit),
        Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => {
            expr(&pair.lhs, visit);
            expr(&pair.rhs, visit);
        }
        Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => {
            for part in &***parts {
                expr(part, visit);
            }
        }
        // Constants, names and properties hold nothing.
        _ => {}
    }
}

fn arguments(call: &FnCallExpr, visit: &mut Visit<'_>) {
    for argument in &call.args {
        expr(argument, visit);
    }
}
