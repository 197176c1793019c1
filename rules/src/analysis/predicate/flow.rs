//! The walk along the ways that a script can take: under which condition each is taken.

use super::unclear::{MOST, Unclear, Why};
use super::value::{Constant, Pair, Value};
use super::{Flow, MOST_WORK, Walk};
use rhai::{ASTFlags, Expr, FlowControl, Position, Stmt, StmtBlock};
use smarttasks_model::predicate::{Check, Predicate};

/// What decides between ways, and so is told of where it is not understood.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// Where what follows begins.
    end: Option<Position>,
}

impl Walk<'_> {
    /// Counts work; whether there has been too much of it.
    pub(super) fn works(&mut self, steps: usize) -> bool {
        self.work = self.work.saturating_add(steps);
        self.work <= MOST_WORK
    }

    pub(super) fn both(&mut self, a: &Predicate, b: &Predicate) -> Predicate {
        let size = a.size() + b.size();
        match self.works(size * size) {
            true => a.clone().and(b.clone()),
            false => Predicate::ALWAYS,
        }
    }

    pub(super) fn either(&mut self, a: &Predicate, b: &Predicate) -> Predicate {
        let size = a.size() + b.size();
        match self.works(size * size) {
            true => a.clone().or(b.clone()),
            false => Predicate::ALWAYS,
        }
    }

    /// Whether nothing reaches what follows, or what would come of it no longer matters.
    fn is_over(&self) -> bool {
        self.flow.next.is_never() || self.work > MOST_WORK
    }

    /// What surely acts, or fails.
    pub(super) fn act(&mut self) {
        let here = std::mem::replace(&mut self.flow.next, Predicate::NEVER);
        self.flow.acts = self.either(&self.flow.acts.clone(), &here);
    }

    /// What may act, and may not.
    pub(super) fn act_perhaps(&mut self) {
        let here = self.flow.next.clone();
        self.flow.ends = self.either(&self.flow.ends.clone(), &here);
        self.act();
    }

    fn stop(&mut self) {
        let here = std::mem::replace(&mut self.flow.next, Predicate::NEVER);
        self.flow.ends = self.either(&self.flow.ends.clone(), &here);
    }

    /// Walks through a part that may be taken, and gives what is reached given that it is.
    pub(super) fn apart<T>(&mut self, walk: impl FnOnce(&mut Self) -> T) -> (Flow, T) {
        let before = std::mem::replace(&mut self.flow, Flow::BEGIN);
        let result = walk(self);
        (std::mem::replace(&mut self.flow, before), result)
    }

    /// Goes on behind one of several parts, each taken under its condition; one of them is.
    pub(super) fn join(&mut self, ways: &[(Predicate, Flow)]) {
        if ways.iter().all(|(_, flow)| flow.is_plain()) {
            return;
        }
        let here = self.flow.next.clone();
        for (pick, of) in [
            (
                of_acts as fn(&Flow) -> &Predicate,
                of_acts_mut as fn(&mut Flow) -> &mut Predicate,
            ),
            (of_ends, of_ends_mut),
            (of_breaks, of_breaks_mut),
            (of_continues, of_continues_mut),
        ] {
            for (condition, flow) in ways.iter().filter(|(_, flow)| !pick(flow).is_never()) {
                let taken = self.both(&here, condition);
                let reached = self.both(&taken, pick(flow));
                *of(&mut self.flow) = self.either(&pick(&self.flow).clone(), &reached);
            }
        }
        if ways.iter().all(|(_, flow)| flow.next.is_always()) {
            return;
        }
        let mut next = Predicate::NEVER;
        for (condition, flow) in ways {
            let passed = self.both(condition, &flow.next);
            next = self.either(&next, &passed);
        }
        self.flow.next = self.both(&here, &next);
    }

    /// Goes on behind a part that is taken under a condition, or else left out.
    pub(super) fn perhaps(&mut self, condition: &Predicate, flow: Flow) {
        let rest = Flow {
            next: Predicate::ALWAYS,
            ..flow
        };
        self.join(&[(condition.clone(), rest), (Predicate::ALWAYS, Flow::BEGIN)]);
    }

    pub(super) fn block(&mut self, block: &StmtBlock) -> Value {
        self.statements(block.statements())
    }

    /// Walks through statements, and gives the value of the last.
    pub(super) fn statements(&mut self, statements: &[Stmt]) -> Value {
        let scope = self.locals.len();
        let mut value = Value::Constant(Constant::Absent);
        for statement in statements {
            if self.is_over() {
                value = Value::Unknown(Why::Other);
                break;
            }
            value = self.statement(statement);
        }
        self.locals.truncate(scope);
        value
    }

    fn statement(&mut self, statement: &Stmt) -> Value {
        self.works(1);
        match statement {
            Stmt::Expr(expr) => return self.expr(expr),
            Stmt::FnCall(call, _) => return self.call(call),
            Stmt::If(flow, _) => return self.choice(flow),
            Stmt::Switch(parts, at) => return self.switch(&parts.0, &parts.1, *at),
            Stmt::Block(inner) => return self.block(inner),
            Stmt::Noop(_) => {}
            Stmt::While(flow, _) => self.while_loop(flow),
            Stmt::Do(flow, options, _) => self.do_loop(flow, *options),
            Stmt::For(parts, _) => {
                let names = [Some(&parts.0), parts.1.as_ref()];
                let names = names.into_iter().flatten();
                self.for_loop(names.map(|name| name.name.as_str()).collect(), &parts.2);
            }
            Stmt::TryCatch(flow, _) => self.try_catch(flow),
            Stmt::Var(parts, _, _) => {
                let value = self.expr(&parts.1);
                self.declare(&parts.0.name, value);
            }
            Stmt::Assignment(parts) => {
                self.expr(&parts.1.rhs);
                self.expr(&parts.1.lhs);
            }
            Stmt::Return(value, options, _) => {
                if let Some(value) = value {
                    self.expr(value);
                }
                match options.contains(ASTFlags::BREAK) {
                    // A `throw`: whoever wrote it wants to learn of it.
                    true => self.act(),
                    false => self.stop(),
                }
            }
            Stmt::BreakLoop(value, options, _) => {
                if let Some(value) = value {
                    self.expr(value);
                }
                self.leave_loop(options.contains(ASTFlags::BREAK));
            }
            // `Stmt` is open-ended: what is new may do anything.
            _ => self.act_perhaps(),
        }
        Value::Unknown(Why::Other)
    }

    fn leave_loop(&mut self, breaks: bool) {
        let here = std::mem::replace(&mut self.flow.next, Predicate::NEVER);
        if self.loops == 0 {
            // Out of no loop: it ends the script.
            self.flow.ends = self.either(&self.flow.ends.clone(), &here);
        } else if breaks {
            self.flow.breaks = self.either(&self.flow.breaks.clone(), &here);
        } else {
            self.flow.continues = self.either(&self.flow.continues.clone(), &here);
        }
    }

    fn declare(&mut self, name: &str, value: Value) {
        let value = match self.names.is_changed(name) {
            true => Value::Unknown(Why::Changed(name.to_owned())),
            false => value,
        };
        self.locals.push((name.to_owned(), value));
    }

    /// A name of which only a run knows what it stands for.
    fn given(&mut self, name: &str) {
        let value = Value::Unknown(Why::Given(name.to_owned()));
        self.locals.push((name.to_owned(), value));
    }

    pub(super) fn local(&self, name: &str) -> Option<&Value> {
        let mut innermost = self.locals.iter().rev();
        innermost
            .find(|(local, _)| local == name)
            .map(|(_, value)| value)
    }

    fn choice(&mut self, flow: &FlowControl) -> Value {
        let told = self.unclear.len();
        let condition = self.condition(&flow.expr, Some(flow.body.position()));
        let decided = self.unclear.len();
        let (then, value) = self.apart(|walk| match condition.yes.is_never() {
            true => Value::Unknown(Why::Other),
            false => walk.block(&flow.body),
        });
        let (otherwise, other) = self.apart(|walk| match condition.no.is_never() {
            true => Value::Unknown(Why::Other),
            false => walk.block(&flow.branch),
        });
        if then.is_plain() && otherwise.is_plain() && decided == self.unclear.len() {
            // What it decides is of no matter to when the script acts.
            self.unclear.truncate(told);
        }
        let value = self.chosen(&condition, value, other);
        self.join(&[(condition.yes, then), (condition.no, otherwise)]);
        value
    }

    /// The value of `if … { … } else { … }`, where it is true or false.
    fn chosen(&mut self, condition: &Pair, then: Value, otherwise: Value) -> Value {
        let understood =
            |value: &Value| matches!(value, Value::Truth(_) | Value::Constant(Constant::Bool(_)));
        if !understood(&then) || !understood(&otherwise) {
            return Value::Unknown(Why::Other);
        }
        let (then, otherwise) = (self.truth_of(then), self.truth_of(otherwise));
        let one = self.both(&condition.yes, &then.yes);
        let other = self.both(&condition.no, &otherwise.yes);
        let yes = self.either(&one, &other);
        let one = self.both(&condition.yes, &then.no);
        let other = self.both(&condition.no, &otherwise.no);
        let no = self.either(&one, &other);
        Value::truth(Pair { yes, no })
    }

    fn while_loop(&mut self, flow: &FlowControl) {
        let endless = matches!(flow.expr, Expr::Unit(_));
        let condition = match endless {
            true => Pair::TRUE,
            false => self.condition(&flow.expr, Some(flow.body.position())),
        };
        let body = self.loop_body(&flow.body);
        // What it is tested for stays as it is, and with it what is known of the condition.
        let breaks = self.both(&condition.yes, &body.breaks);
        let left = self.either(&condition.no, &breaks);
        self.after_loop(&condition.yes, body, &left);
    }

    fn do_loop(&mut self, flow: &FlowControl, options: ASTFlags) {
        let body = self.loop_body(&flow.body);
        let (tested, condition) = self.apart(|walk| walk.condition(&flow.expr, None));
        let again = self.either(&body.next, &body.continues);
        let ends = match options.contains(ASTFlags::NEGATED) {
            true => condition.yes,
            false => condition.no,
        };
        let ends = self.both(&ends, &tested.next);
        let ended = self.both(&again, &ends);
        let left = self.either(&ended, &body.breaks);
        self.perhaps(&Predicate::ALWAYS, tested);
        self.after_loop(&Predicate::ALWAYS, body, &left);
    }

    fn for_loop(&mut self, names: Vec<&str>, flow: &FlowControl) {
        self.expr(&flow.expr);
        let scope = self.locals.len();
        for name in names {
            self.given(name);
        }
        let body = self.loop_body(&flow.body);
        self.locals.truncate(scope);
        // There may be nothing to go over.
        self.after_loop(&Predicate::ALWAYS, body, &Predicate::ALWAYS);
    }

    fn loop_body(&mut self, body: &StmtBlock) -> Flow {
        self.loops += 1;
        let (flow, _) = self.apart(|walk| walk.block(body));
        self.loops -= 1;
        flow
    }

    fn after_loop(&mut self, entered: &Predicate, body: Flow, left: &Predicate) {
        let here = self.flow.next.clone();
        let entered = self.both(&here, entered);
        let acts = self.both(&entered, &body.acts);
        self.flow.acts = self.either(&self.flow.acts.clone(), &acts);
        let ends = self.both(&entered, &body.ends);
        self.flow.ends = self.either(&self.flow.ends.clone(), &ends);
        self.flow.next = self.both(&here, left);
    }

    /// What is tried may fail anywhere, and then it goes on with `catch`.
    fn try_catch(&mut self, flow: &FlowControl) {
        let (tried, _) = self.apart(|walk| walk.block(&flow.body));
        let scope = self.locals.len();
        if let Expr::Variable(variable, _, _) = &flow.expr {
            self.given(&variable.1);
        }
        let (caught, _) = self.apart(|walk| walk.block(&flow.branch));
        self.locals.truncate(scope);
        self.join(&[(Predicate::ALWAYS, tried), (Predicate::ALWAYS, caught)]);
    }

    /// A condition that decides which way is taken.
    pub(super) fn condition(&mut self, expr: &Expr, end: Option<Position>) -> Pair {
        self.truth(expr, Asked { end })
    }

    fn truth(&mut self, expr: &Expr, asked: Asked) -> Pair {
        match expr {
            Expr::BoolConstant(truth, _) => Pair::constant(*truth),
            Expr::And(parts, _) => self.all(parts, asked),
            Expr::Or(parts, _) => self.any(parts, asked),
            Expr::FnCall(call, _) if call.name == "!" && call.args.len() == 1 => {
                self.truth(&call.args[0], asked).negated()
            }
            other => {
                let value = self.expr(other);
                self.tell(other, asked.end, &value);
                self.truth_of(value)
            }
        }
    }

    /// Remembers a part of a condition that is not understood.
    pub(super) fn tell(&mut self, expr: &Expr, end: Option<Position>, value: &Value) {
        if let Value::Unknown(why) = value
            && self.unclear.len() < MOST
            && !self.is_over()
        {
            let unclear = Unclear::new(self.source, expr, end, why);
            self.unclear.push(unclear);
        }
    }

    /// A part of `&&` is come to where those before it hold.
    fn all(&mut self, parts: &[Expr], asked: Asked) -> Pair {
        let mut whole = Pair::TRUE;
        for (number, part) in parts.iter().enumerate() {
            if whole.yes.is_never() {
                break;
            }
            let end = parts.get(number + 1).map(crate::source::start);
            let asked = Asked {
                end: end.or(asked.end),
            };
            let (flow, pair) = self.apart(|walk| walk.truth(part, asked));
            let pair = self.passed(pair, &flow);
            self.perhaps_or_surely(number == 0, &whole.yes, flow);
            whole.no = self.either(&whole.no, &pair.no);
            whole.yes = self.both(&whole.yes, &pair.yes);
        }
        whole
    }

    /// One of `||` where they do not.
    fn any(&mut self, parts: &[Expr], asked: Asked) -> Pair {
        let mut whole = Pair::FALSE;
        for (number, part) in parts.iter().enumerate() {
            if whole.no.is_never() {
                break;
            }
            let end = parts.get(number + 1).map(crate::source::start);
            let asked = Asked {
                end: end.or(asked.end),
            };
            let (flow, pair) = self.apart(|walk| walk.truth(part, asked));
            let pair = self.passed(pair, &flow);
            self.perhaps_or_surely(number == 0, &whole.no, flow);
            whole.yes = self.either(&whole.yes, &pair.yes);
            whole.no = self.both(&whole.no, &pair.no);
        }
        whole
    }

    fn passed(&mut self, pair: Pair, flow: &Flow) -> Pair {
        if flow.next.is_always() {
            return pair;
        }
        Pair {
            yes: self.both(&pair.yes, &flow.next),
            no: self.both(&pair.no, &flow.next),
        }
    }

    fn perhaps_or_surely(&mut self, surely: bool, condition: &Predicate, flow: Flow) {
        match surely {
            true => self.join(&[(Predicate::ALWAYS, flow)]),
            false => self.perhaps(condition, flow),
        }
    }

    /// A value that is tested; one that is neither true nor false fails.
    pub(super) fn truth_of(&mut self, value: Value) -> Pair {
        match value {
            Value::Truth(pair) => *pair,
            Value::Constant(Constant::Bool(truth)) => Pair::constant(truth),
            Value::Read(subject, super::value::Kind::Json) => {
                let is = |truth| {
                    let value = smarttasks_model::predicate::Value::Bool(truth);
                    Predicate::test(subject.clone(), Check::is(value))
                };
                Pair {
                    yes: is(true),
                    no: is(false),
                }
            }
            Value::Either(values) => self.first_there(values, |walk, value| walk.truth_of(value)),
            _ => Pair::UNKNOWN,
        }
    }

    /// What is so of the first value that is there, or else of the last.
    pub(super) fn first_there(
        &mut self,
        mut values: Vec<Value>,
        mut of: impl FnMut(&mut Self, Value) -> Pair,
    ) -> Pair {
        let Some(last) = values.pop() else {
            return Pair::UNKNOWN;
        };
        let mut found = of(self, last);
        for value in values.into_iter().rev() {
            let absent = value.absence();
            let here = of(self, value);
            let yes = self.both(&absent.no, &here.yes);
            let later = self.both(&absent.yes, &found.yes);
            let no = self.both(&absent.no, &here.no);
            let not_later = self.both(&absent.yes, &found.no);
            found = Pair {
                yes: self.either(&yes, &later),
                no: self.either(&no, &not_later),
            };
        }
        found
    }
}

fn of_acts(flow: &Flow) -> &Predicate {
    &flow.acts
}

fn of_acts_mut(flow: &mut Flow) -> &mut Predicate {
    &mut flow.acts
}

fn of_ends(flow: &Flow) -> &Predicate {
    &flow.ends
}

fn of_ends_mut(flow: &mut Flow) -> &mut Predicate {
    &mut flow.ends
}

fn of_breaks(flow: &Flow) -> &Predicate {
    &flow.breaks
}

fn of_breaks_mut(flow: &mut Flow) -> &mut Predicate {
    &mut flow.breaks
}

fn of_continues(flow: &Flow) -> &Predicate {
    &flow.continues
}

fn of_continues_mut(flow: &mut Flow) -> &mut Predicate {
    &mut flow.continues
}
