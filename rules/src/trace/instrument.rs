//! A copy of a script whose conditions tell what they were.
//!
//! Done to the syntax tree, not to the text: lines and columns stay, short circuits stay, and no
//! text that a script may hold can be mistaken for code. The functions of a script cannot be
//! reached that way, so that a condition within one is not told of; what it returns to a condition
//! outside is.

use crate::analysis::walk::{self, Node};
use crate::source::{between, offset, start};
use crate::{action, waiting};
use rhai::{AST, Expr, FnCallExpr, Position, Stmt, StmtBlock};

/// A condition of a script.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) at: Position,
    pub(super) text: String,
    /// Its own number among all that is told.
    pub(super) number: usize,
    /// What it is made of.
    pub(super) parts: Vec<PartPlace>,
    /// What it decides.
    pub(super) decides: Decides,
}

/// What depends on a condition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decides {
    /// An action is done only when it holds.
    pub(super) action: bool,
    /// The script may end when it holds.
    pub(super) end: bool,
}

/// A part of a condition that is true or false by itself.
#[derive(Clone, Debug)]
pub(super) struct PartPlace {
    pub(super) at: Position,
    pub(super) text: String,
    pub(super) number: usize,
    /// What is compared in it, with the numbers under which their values are told.
    pub(super) operands: Vec<(String, usize)>,
}

/// Works through a script.
pub(super) struct Instrument<'a> {
    source: &'a str,
    /// A call of the function that is told, with two arguments to be replaced.
    call: FnCallExpr,
    told: usize,
    places: Vec<Place>,
}

impl<'a> Instrument<'a> {
    pub(super) fn new(source: &'a str, call: FnCallExpr) -> Self {
        Self {
            source,
            call,
            told: 0,
            places: Vec::new(),
        }
    }

    /// The copy, and the conditions in it.
    pub(super) fn script(mut self, ast: &AST) -> (AST, Vec<Place>) {
        let mut statements = ast.statements().to_vec();
        for stmt in &mut statements {
            self.stmt(stmt);
        }
        (AST::new(statements, ast.shared_lib().clone()), self.places)
    }

    fn block(&mut self, block: &mut StmtBlock) {
        for stmt in block.statements_mut() {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &mut Stmt) {
        match stmt {
            Stmt::If(flow, at) => {
                let decides = decided(flow.body.statements());
                let end = offset(self.source, flow.body.position());
                self.condition(&mut flow.expr, *at, end, decides);
                self.block(&mut flow.body);
                self.block(&mut flow.branch);
            }
            Stmt::While(flow, at) => {
                // A `loop` has no condition.
                if !matches!(flow.expr, Expr::Unit(_)) {
                    let decides = decided(flow.body.statements());
                    let end = offset(self.source, flow.body.position());
                    self.condition(&mut flow.expr, *at, end, decides);
                }
                self.block(&mut flow.body);
            }
            Stmt::Switch(parts, at) => {
                let (subject, cases) = &mut **parts;
                self.subject(subject, *at);
                for case in &mut cases.expressions {
                    self.expr(&mut case.rhs);
                }
            }
            Stmt::Var(parts, _, at) if is_condition(&parts.1) => {
                let from = offset(self.source, start(&parts.1)).unwrap_or(0);
                let end = self.source[from..].find(';').map(|length| from + length);
                self.condition(&mut parts.1, *at, end, Decides::default());
            }
            Stmt::Var(parts, ..) => self.expr(&mut parts.1),
            Stmt::Do(flow, ..) | Stmt::TryCatch(flow, _) => {
                self.block(&mut flow.body);
                self.block(&mut flow.branch);
            }
            Stmt::For(parts, _) => self.block(&mut parts.2.body),
            Stmt::Block(block) => self.block(block),
            Stmt::Expr(expr) => self.expr(expr),
            _ => {}
        }
    }

    /// Only what holds statements is looked into.
    fn expr(&mut self, expr: &mut Expr) {
        if let Expr::Stmt(block) = expr {
            self.block(block);
        }
    }

    fn condition(&mut self, expr: &mut Expr, at: Position, end: Option<usize>, decides: Decides) {
        let from = offset(self.source, start(expr));
        let (Some(from), Some(end)) = (from, end) else {
            return;
        };
        let text = between(self.source, from, end);
        let mut leaves = Vec::new();
        starts(expr, &mut leaves);
        leaves.sort_unstable();
        let mut parts = Vec::new();
        self.parts(expr, &leaves, end, &mut parts);
        parts.sort_by_key(|part| part.at);
        let number = self.tell(expr);
        self.places.push(Place {
            at,
            text,
            number,
            parts,
            decides,
        });
    }

    fn parts(
        &mut self,
        expr: &mut Expr,
        leaves: &[Position],
        end: usize,
        parts: &mut Vec<PartPlace>,
    ) {
        if let Expr::And(all, _) | Expr::Or(all, _) = expr {
            for part in all.iter_mut() {
                self.parts(part, leaves, end, parts);
            }
            return;
        }
        let at = start(expr);
        let next = leaves.iter().find(|leaf| **leaf > at);
        let to = next.and_then(|next| offset(self.source, *next));
        let to = to.unwrap_or(end).min(end);
        let from = offset(self.source, at).unwrap_or(to);
        let operands = self.operands(expr, to);
        parts.push(PartPlace {
            at,
            text: between(self.source, from, to),
            number: self.tell(expr),
            operands,
        });
    }

    /// What a comparison compares, and what a `!` turns round.
    fn operands(&mut self, expr: &mut Expr, end: usize) -> Vec<(String, usize)> {
        let Expr::FnCall(call, at) = expr else {
            return Vec::new();
        };
        let sign = offset(self.source, *at).unwrap_or(end);
        // `in` is a call by another name.
        if call.op_token.is_none() && call.name != "contains" {
            return Vec::new();
        }
        let mut operands = Vec::new();
        for operand in &mut call.args {
            if operand.is_constant() || is_priority(operand) {
                continue;
            }
            let from = start(operand);
            let Some(begin) = offset(self.source, from) else {
                continue;
            };
            let to = if begin < sign { sign } else { end };
            let text = between(self.source, begin, to);
            operands.push((from, text, self.tell(operand)));
        }
        operands.sort_by_key(|(at, ..)| *at);
        let named = operands.into_iter().map(|(_, text, number)| (text, number));
        named.collect()
    }

    fn subject(&mut self, subject: &mut Expr, at: Position) {
        let Some(from) = offset(self.source, start(subject)) else {
            return;
        };
        let end = self.source[from..].find('{');
        let text = between(self.source, from, end.map_or(from, |length| from + length));
        let first = start(subject);
        let value = self.tell(subject);
        self.places.push(Place {
            at,
            text: format!("switch {text}"),
            number: value,
            parts: vec![PartPlace {
                at: first,
                operands: vec![(text.clone(), value)],
                text,
                number: value,
            }],
            decides: Decides::default(),
        });
    }

    /// Lets an expression tell its value, under the number that is returned.
    fn tell(&mut self, expr: &mut Expr) -> usize {
        let number = self.told;
        self.told += 1;
        let at = expr.position();
        let mut call = self.call.clone();
        let told = std::mem::take(expr);
        let name = i64::try_from(number).unwrap_or(i64::MAX);
        call.args = [Expr::IntegerConstant(name, at), told]
            .into_iter()
            .collect();
        *expr = call.into_fn_call_expr(at);
        number
    }
}

/// Where the parts of a condition begin.
fn starts(expr: &Expr, found: &mut Vec<Position>) {
    match expr {
        Expr::And(all, _) | Expr::Or(all, _) => {
            for part in all.iter() {
                starts(part, found);
            }
        }
        part => found.push(start(part)),
    }
}

/// Whether a value is worth telling of when it is given a name.
fn is_condition(expr: &Expr) -> bool {
    const COMPARED: [&str; 7] = ["==", "!=", "<", "<=", ">", ">=", "!"];
    match expr {
        Expr::And(..) | Expr::Or(..) => true,
        Expr::FnCall(call, _) => call.op_token.is_some() && COMPARED.contains(&call.name.as_str()),
        _ => false,
    }
}

/// `HIGH` needs no telling what it is.
fn is_priority(expr: &Expr) -> bool {
    const PRIORITIES: [&str; 4] = ["LOW", "NORMAL", "HIGH", "URGENT"];
    matches!(expr, Expr::Variable(name, ..) if PRIORITIES.contains(&name.1.as_str()))
}

fn decided(body: &[Stmt]) -> Decides {
    let mut decides = Decides::default();
    walk::block(body, &mut |node| match node {
        Node::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _))
        | Node::Stmt(Stmt::FnCall(call, _)) => {
            let name = call.name.as_str();
            decides.action |=
                action::CALLS.iter().any(|(of, _)| *of == name) || waiting::CALLS.contains(&name);
        }
        Node::Stmt(Stmt::Return(..)) => decides.end = true,
        _ => {}
    });
    decides
}
