//! The walk along the ways that a script can take: what is in scope, what its tests have
//! established, and what no way reaches.

use super::body::{Body, Names};
use super::facts::Facts;
use super::reach::Deeds;
use super::signatures::Signatures;
use super::types::{self, Kind, Type};
use super::walk::{self, Node};
use super::{Context, Reference};
use crate::diagnostic::Code;
use crate::{Diagnostic, world};
use rhai::{ASTFlags, Expr, FlowControl, Ident, Position, Stmt, StmtBlock, SwitchCasesCollection};

/// The state of the walk through one body.
pub(super) struct Flow<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) names: &'a Names,
    pub(super) found: Findings,
    /// What this body does, for the question which actions are reached.
    pub(super) deeds: Deeds,
    pub(super) facts: Facts,
    /// The variables in scope, the innermost last.
    locals: Vec<(String, Type)>,
    /// Within code that nothing reaches.
    dead: bool,
    /// Within a function or closure, of which it is not known what held where it was called.
    function: bool,
}

/// What the walks bring home.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) endpoints: Vec<Reference>,
    pub(super) users: Vec<Reference>,
    /// Where the script first speaks of `task`.
    pub(super) task_at: Option<Position>,
    /// Where it asks what changed, and how.
    pub(super) changes: Vec<(Position, &'static str)>,
    /// Where it first reads what the event carries, and by which key.
    pub(super) data_at: Option<(Position, String)>,
}

/// What ends the statements of a block.
#[derive(Clone, Copy)]
pub(super) struct End {
    what: &'static str,
    at: Position,
}

impl End {
    fn hint(self) -> String {
        let line = self.at.line().unwrap_or_default();
        format!("{} in line {line} leaves before it, always", self.what)
    }
}

impl<'a> Flow<'a> {
    pub(super) fn new(context: &'a Context<'a>, names: &'a Names, found: Findings) -> Self {
        Self {
            context,
            names,
            found,
            deeds: Deeds::default(),
            facts: Facts::default(),
            locals: Vec::new(),
            dead: false,
            function: false,
        }
    }

    /// Walks through a body, and gives what was found and done.
    pub(super) fn body(mut self, body: &Body) -> (Findings, Deeds) {
        self.function = body.name.is_some();
        if self.function {
            self.facts.doubt();
        }
        self.hides(body);
        for name in &body.parameters {
            self.own_name(name, body.at);
            self.declare(name, Type::UNKNOWN);
        }
        self.block(&body.statements);
        (self.found, self.deeds)
    }

    pub(super) fn say(&mut self, found: Diagnostic) {
        self.found.diagnostics.push(found);
    }

    pub(super) fn signatures(&self) -> &'a Signatures {
        &self.context.language.signatures
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// A variable of the script, unless it is none.
    pub(super) fn local(&self, name: &str) -> Option<&Type> {
        let mut innermost = self.locals.iter().rev();
        innermost
            .find(|(local, _)| local == name)
            .map(|(_, value)| value)
    }

    /// Rhai's parser looks at `let` only, so parameters and the names of loops are looked at here.
    fn own_name(&mut self, name: &str, at: Position) {
        if world::NAMES.contains(&name) {
            self.say(Diagnostic::reserved_name(name, at));
        }
    }

    /// A function of the script's own is called instead of one of the language.
    fn hides(&mut self, body: &Body) {
        let Some(name) = body.name.as_deref() else {
            return;
        };
        let known = self.context.language.functions.get(name);
        if known.is_some_and(|known| known.contains(&body.parameters.len())) {
            let found = Diagnostic::warning(
                Code::HiddenFunction,
                body.at,
                format!(
                    "this function hides the `{name}` of the language, which is no longer called"
                ),
            );
            self.say(found.hint("choose another name"));
        }
    }

    fn declare(&mut self, name: &str, mut value: Type) {
        if self.names.assigned.contains(name) {
            value = Type::UNKNOWN;
        }
        if self.names.changed.contains(name) {
            (value.text, value.items, value.entries) = (None, None, None);
        }
        value.path.get_or_insert_with(|| name.into());
        self.locals.push((name.to_owned(), value));
    }

    pub(super) fn block(&mut self, statements: &[Stmt]) -> Option<End> {
        let (scope, was_dead) = (self.locals.len(), self.dead);
        let mut ended: Option<End> = None;
        for stmt in statements {
            if let Some(end) = ended
                && !self.dead
                && !matches!(stmt, Stmt::Noop(_))
            {
                self.unreachable(stmt.position(), end.hint());
            }
            let end = self.stmt(stmt);
            ended = ended.or(end);
        }
        self.locals.truncate(scope);
        self.dead = was_dead;
        ended
    }

    /// What follows is walked through all the same, for its errors.
    fn unreachable(&mut self, at: Position, hint: String) {
        let found = Diagnostic::warning(
            Code::Unreachable,
            at,
            "nothing from here on is ever reached",
        );
        self.say(found.hint(hint));
        self.dead = true;
    }

    fn stmt(&mut self, stmt: &Stmt) -> Option<End> {
        match stmt {
            Stmt::If(flow, at) => self.choice(flow, *at),
            Stmt::Switch(parts, at) => self.switch(&parts.0, &parts.1, *at),
            Stmt::While(flow, at) => self.while_loop(flow, *at),
            Stmt::Do(flow, options, at) => self.do_loop(flow, *options, *at),
            Stmt::For(parts, _) => {
                self.for_loop(&parts.0, parts.1.as_ref(), &parts.2);
                None
            }
            Stmt::TryCatch(flow, _) => self.try_catch(flow),
            Stmt::Var(parts, _, at) => {
                self.variable(&parts.0, &parts.1, *at);
                None
            }
            Stmt::Assignment(parts) => {
                self.assignment(&parts.1.lhs, &parts.1.rhs);
                None
            }
            Stmt::FnCall(call, at) => {
                self.call(call, *at);
                None
            }
            Stmt::Block(inner) => self.block(inner.statements()),
            Stmt::Expr(inner) => {
                self.expr(inner);
                None
            }
            Stmt::BreakLoop(value, options, at) => {
                let what = match options.contains(ASTFlags::BREAK) {
                    true => "`break`",
                    false => "`continue`",
                };
                self.leave(value.as_deref(), what, *at)
            }
            Stmt::Return(value, options, at) => {
                let what = match options.contains(ASTFlags::BREAK) {
                    true => "`throw`",
                    false => "`return`",
                };
                self.leave(value.as_deref(), what, *at)
            }
            _ => None,
        }
    }

    fn leave(&mut self, value: Option<&Expr>, what: &'static str, at: Position) -> Option<End> {
        if let Some(value) = value {
            self.expr(value);
        }
        Some(End { what, at })
    }

    fn variable(&mut self, name: &Ident, value: &Expr, at: Position) {
        let value = self.expr(value);
        let name = name.name.as_str();
        let unused = !self.names.used.contains(name)
            && !self.names.assigned.contains(name)
            && !self.names.texts.contains(name)
            && !name.starts_with('_');
        if unused {
            let found = Diagnostic::warning(
                Code::UnusedVariable,
                at,
                format!("the variable `{name}` is never used"),
            );
            self.say(found.hint(format!("leave it out, or call it `_{name}`")));
        }
        self.declare(name, value);
    }

    fn assignment(&mut self, to: &Expr, value: &Expr) {
        self.expr(value);
        match to {
            Expr::Variable(variable, _, at) => self.own_name(&variable.1, *at),
            Expr::Dot(pair, _, _) => {
                let of = self.expr(&pair.lhs);
                match &pair.rhs {
                    Expr::Property(property, at) => self.read_only(of.kind, &property.2, *at),
                    _ => {
                        self.expr(to);
                    }
                }
            }
            other => {
                self.expr(other);
            }
        }
    }

    /// Fields of host values have no setters.
    fn read_only(&mut self, of: Kind, field: &str, at: Position) {
        if !of.is_host() {
            return;
        }
        if !self.signatures().fields(of).contains(&field) {
            self.field(&Type::of(of), field, at);
            return;
        }
        let found = Diagnostic::error(
            Code::ReadOnly,
            at,
            format!(
                "`{field}` cannot be assigned: {} is only looked at",
                of.words()
            ),
        );
        self.say(match of {
            Kind::Task => found.hint(format!(
                "a task is changed by an action: `task.update(#{{ {field}: … }})`"
            )),
            _ => found.hint("keep the value in a variable of your own"),
        });
    }

    fn choice(&mut self, flow: &FlowControl, at: Position) -> Option<End> {
        self.condition(&flow.expr);
        let constant = match &flow.expr {
            Expr::BoolConstant(value, _) => Some(*value),
            _ => None,
        };
        let before = self.facts.clone();
        self.assume(&flow.expr, true);
        let then = self.branch(&flow.body, constant == Some(false), at);
        let after_then = std::mem::replace(&mut self.facts, before);
        self.assume(&flow.expr, false);
        let otherwise = self.branch(&flow.branch, constant == Some(true), at);
        match (constant, then, otherwise) {
            (Some(true), then, _) => {
                self.facts = after_then;
                then
            }
            (Some(false), _, otherwise) => otherwise,
            (None, Some(_), None) => None,
            (None, None, Some(_)) => {
                self.facts = after_then;
                None
            }
            (None, None, None) => {
                self.join(&after_then);
                None
            }
            (None, Some(_), Some(_)) => Some(End {
                what: "each branch of `if`",
                at,
            }),
        }
    }

    fn branch(&mut self, block: &StmtBlock, never: bool, at: Position) -> Option<End> {
        let was_dead = self.dead;
        if never && !was_dead && !block.is_empty() {
            let line = at.line().unwrap_or_default();
            let first = block.statements()[0].position();
            self.unreachable(
                first,
                format!("the condition in line {line} is always the same"),
            );
        }
        let end = self.block(block.statements());
        self.dead = was_dead;
        end
    }

    fn join(&mut self, other: &Facts) {
        self.facts = std::mem::take(&mut self.facts).join(other);
    }

    fn switch(
        &mut self,
        subject: &Expr,
        cases: &SwitchCasesCollection,
        at: Position,
    ) -> Option<End> {
        let value = self.expr(subject);
        self.switch_cases(subject, &value, cases, at);
        let before = self.facts.clone();
        let mut all_end = cases.def_case.is_some();
        for case in &cases.expressions {
            self.facts = before.clone();
            self.doubt(subject);
            self.condition(&case.lhs);
            self.assume(&case.lhs, true);
            let end = match &case.rhs {
                Expr::Stmt(inner) => self.block(inner.statements()),
                other => {
                    self.expr(other);
                    None
                }
            };
            all_end &= end.is_some();
        }
        self.facts = before;
        self.doubt(subject);
        all_end.then_some(End {
            what: "each case of `switch`",
            at,
        })
    }

    fn while_loop(&mut self, flow: &FlowControl, at: Position) -> Option<End> {
        let endless = matches!(flow.expr, Expr::Unit(_) | Expr::BoolConstant(true, _));
        if !endless {
            self.condition(&flow.expr);
        }
        let never = matches!(flow.expr, Expr::BoolConstant(false, _));
        let before = self.facts.clone();
        self.assume(&flow.expr, true);
        self.branch(&flow.body, never, at);
        self.facts = before;
        self.facts.doubt();
        if endless {
            self.endless(&flow.body, at)
        } else {
            None
        }
    }

    fn do_loop(&mut self, flow: &FlowControl, options: ASTFlags, at: Position) -> Option<End> {
        self.block(flow.body.statements());
        self.condition(&flow.expr);
        self.facts.doubt();
        let until = options.contains(ASTFlags::NEGATED);
        match flow.expr {
            Expr::BoolConstant(value, _) if value != until => self.endless(&flow.body, at),
            _ => None,
        }
    }

    /// A loop that ends by itself never.
    fn endless(&mut self, body: &StmtBlock, at: Position) -> Option<End> {
        if breaks(body.statements()) {
            return None;
        }
        if !leaves(body.statements()) && !self.dead {
            let found = Diagnostic::warning(Code::EndlessLoop, at, "this loop never ends");
            self.say(found.hint("leave it with `break`, or use `for`"));
        }
        Some(End {
            what: "the loop",
            at,
        })
    }

    fn for_loop(&mut self, name: &Ident, counter: Option<&Ident>, flow: &FlowControl) {
        let over = self.expr(&flow.expr);
        let (before, scope) = (self.facts.clone(), self.locals.len());
        self.own_name(&name.name, name.pos);
        self.declare(&name.name, over.item());
        if let Some(counter) = counter {
            self.own_name(&counter.name, counter.pos);
            self.declare(&counter.name, Type::of(Kind::Int));
        }
        self.block(flow.body.statements());
        self.locals.truncate(scope);
        self.join(&before);
    }

    fn try_catch(&mut self, flow: &FlowControl) -> Option<End> {
        let before = self.facts.clone();
        let tried = self.block(flow.body.statements());
        let scope = self.locals.len();
        self.facts = before;
        self.facts.doubt();
        if let Expr::Variable(variable, _, at) = &flow.expr {
            self.own_name(&variable.1, *at);
            self.declare(&variable.1, Type::UNKNOWN);
        }
        let caught = self.block(flow.branch.statements());
        self.locals.truncate(scope);
        caught.and(tried)
    }

    /// What the name stands for here.
    pub(super) fn named(&mut self, name: &str, at: Position) -> Type {
        if name == "task" {
            self.found.task_at.get_or_insert(at);
        }
        if name == "previous" {
            self.found.changes.push((at, "`previous`"));
        }
        match self.local(name) {
            Some(local) => local.clone(),
            None => types::of_name(name),
        }
    }
}

/// Whether a `break` of this very loop stands in it.
fn breaks(statements: &[Stmt]) -> bool {
    statements.iter().any(|stmt| match stmt {
        Stmt::BreakLoop(_, options, _) => options.contains(ASTFlags::BREAK),
        Stmt::If(flow, _) | Stmt::TryCatch(flow, _) => {
            breaks(flow.body.statements()) || breaks(flow.branch.statements())
        }
        Stmt::Block(inner) => breaks(inner.statements()),
        Stmt::While(..) | Stmt::Do(..) | Stmt::For(..) | Stmt::Noop(_) => false,
        // Within an expression, such as a case of `switch`, any `break` is believed to be.
        other => {
            let mut found = false;
            walk::block(std::slice::from_ref(other), &mut |node| {
                if let Node::Stmt(Stmt::BreakLoop(_, options, _)) = node {
                    found |= options.contains(ASTFlags::BREAK);
                }
            });
            found
        }
    })
}

/// Whether anything in the loop ends the script or the function round it.
fn leaves(statements: &[Stmt]) -> bool {
    let mut found = false;
    walk::block(statements, &mut |node| {
        found |= matches!(node, Node::Stmt(Stmt::Return(..)));
    });
    found
}
