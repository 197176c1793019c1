//! Expressions: what they are, and what a test of them establishes.

use super::compare::described;
use super::facts::Presence;
use super::flow::Flow;
use super::types::{self, Entry, Kind, Type};
use super::walk::{self, Node};
use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::nearest::did_you_mean;
use rhai::{ASTFlags, Expr, FnPtr, Position};
use std::sync::Arc;

impl Flow<'_> {
    /// What an expression is. Each is come by once, and so is what it holds.
    pub(super) fn expr(&mut self, expr: &Expr) -> Type {
        match expr {
            Expr::BoolConstant(..) => Type::of(Kind::Bool),
            Expr::IntegerConstant(..) => Type::of(Kind::Int),
            Expr::FloatConstant(..) => Type::of(Kind::Float),
            Expr::CharConstant(..) => Type::of(Kind::Char),
            Expr::StringConstant(text, _) => Type::text(text.clone()),
            Expr::Unit(_) => Type::of(Kind::Absent),
            Expr::InterpolatedString(parts, _) => {
                for part in parts {
                    self.expr(part);
                }
                Type::of(Kind::Text)
            }
            Expr::Array(items, _) => {
                let items = items.iter().map(|item| self.expr(item)).collect();
                Type::list(items)
            }
            Expr::Map(parts, _) => {
                let entries = parts.0.iter().map(|(key, value)| Entry {
                    key: key.clone(),
                    at: value.start_position(),
                    value: self.expr(value),
                });
                Type {
                    entries: Some(entries.collect()),
                    ..Type::of(Kind::Map)
                }
            }
            Expr::DynamicConstant(value, _) => {
                if let Some(function) = value.read_lock::<FnPtr>() {
                    self.deeds.calls(function.fn_name(), self.is_dead());
                }
                Type::UNKNOWN
            }
            Expr::Variable(variable, _, at) => {
                let value = self.named(&variable.1, *at);
                self.believed(value)
            }
            Expr::Stmt(inner) => {
                self.block(inner.statements());
                Type::UNKNOWN
            }
            Expr::FnCall(call, at) => self.call(call, *at),
            Expr::Dot(pair, flags, _) => {
                let of = self.expr(&pair.lhs);
                self.link(of, &pair.rhs, *flags)
            }
            Expr::Index(pair, flags, _) => {
                let of = self.expr(&pair.lhs);
                self.index(of, &pair.rhs, *flags)
            }
            Expr::And(parts, _) => self.all_or_any(parts, true),
            Expr::Or(parts, _) => self.all_or_any(parts, false),
            Expr::Coalesce(parts, _) => self.coalesce(parts),
            // `this`, and what only stands within a chain.
            _ => Type::UNKNOWN,
        }
    }

    /// A part of `&&` is come to when those before it hold, one of `||` when they do not.
    fn all_or_any(&mut self, parts: &[Expr], holds: bool) -> Type {
        let before = self.facts.clone();
        for part in parts {
            self.condition(part);
            self.assume(part, holds);
        }
        self.facts = before;
        Type::of(Kind::Bool)
    }

    fn coalesce(&mut self, parts: &[Expr]) -> Type {
        let found: Vec<Type> = parts.iter().map(|part| self.expr(part)).collect();
        let Some(last) = found.last() else {
            return Type::UNKNOWN;
        };
        if found.iter().all(|part| part.kind == last.kind) {
            Type {
                absent: last.absent,
                path: last.path.clone(),
                ..Type::of(last.kind)
            }
        } else {
            Type::UNKNOWN
        }
    }

    /// The value, in the light of what the script has tested.
    fn believed(&self, mut value: Type) -> Type {
        if !value.absent {
            return value;
        }
        let Some(path) = &value.path else {
            return value;
        };
        match self.facts.of(path) {
            Some(Presence::Present) => value.absent = false,
            Some(Presence::Absent) => (value.kind, value.absent) = (Kind::Absent, false),
            None => {}
        }
        value
    }

    /// What follows a dot.
    fn link(&mut self, of: Type, rest: &Expr, flags: ASTFlags) -> Type {
        let asked = flags.contains(ASTFlags::NEGATED);
        match rest {
            Expr::Dot(pair, more, _) => {
                let next = self.step(&of, &pair.lhs, asked);
                self.link(next, &pair.rhs, *more)
            }
            Expr::Index(pair, more, _) => {
                let next = self.step(&of, &pair.lhs, asked);
                self.index(next, &pair.rhs, *more)
            }
            last => self.step(&of, last, asked),
        }
    }

    fn step(&mut self, of: &Type, link: &Expr, asked: bool) -> Type {
        let mut next = match link {
            Expr::Property(property, at) => {
                let next = self.field(of, &property.2, *at);
                self.believed(next)
            }
            Expr::MethodCall(call, at) => self.method(of, call, *at),
            _ => Type::UNKNOWN,
        };
        // `x?.y` is absent where x is.
        next.absent |= asked && next.kind != Kind::Unknown;
        next
    }

    /// What follows a bracket: the index, and perhaps more of the chain.
    fn index(&mut self, of: Type, rest: &Expr, flags: ASTFlags) -> Type {
        let item = of.item();
        let (index, more) = match rest {
            Expr::Dot(pair, more, _) if !flags.contains(ASTFlags::BREAK) => {
                (&pair.lhs, Some((&pair.rhs, *more, true)))
            }
            Expr::Index(pair, more, _) if !flags.contains(ASTFlags::BREAK) => {
                (&pair.lhs, Some((&pair.rhs, *more, false)))
            }
            whole => (whole, None),
        };
        self.expr(index);
        match more {
            Some((rest, flags, true)) => self.link(item, rest, flags),
            Some((rest, flags, false)) => self.index(item, rest, flags),
            None => item,
        }
    }

    /// A field of a value; one that it has not is said.
    pub(super) fn field(&mut self, of: &Type, name: &str, at: Position) -> Type {
        if of.path.as_deref() == Some("event.data") && name != "scheduled_at" {
            self.found.data_at.get_or_insert((at, name.to_owned()));
        }
        if !matches!(of.kind, Kind::Unknown | Kind::Map | Kind::Absent) {
            let fields = self.signatures().fields(of.kind);
            if !fields.contains(&name) {
                self.unknown_field(of, name, &fields, at);
                return Type::UNKNOWN;
            }
        }
        let mut field = types::of_field(of.kind, name);
        if let Some(path) = &of.path
            && path_of_field(path, name).is_some()
        {
            field.path = path_of_field(path, name);
        }
        field
    }

    fn unknown_field(&mut self, of: &Type, name: &str, fields: &[&str], at: Position) {
        let whose = match &of.path {
            Some(path) if of.kind.is_host() => format!("`{path}`, which is {},", of.kind.words()),
            _ => of.kind.words().to_owned(),
        };
        let whose = match of.path.as_deref() {
            Some("task" | "previous" | "event") => {
                whose.split(',').next().unwrap_or_default().to_owned()
            }
            _ => whose,
        };
        let found = Diagnostic::error(
            Code::UnknownField,
            at,
            format!("{whose} has no field `{name}`"),
        );
        let is_method = self
            .signatures()
            .methods(of.kind)
            .any(|method| method == name);
        let hint = if is_method {
            format!("it is called: `.{name}(…)`")
        } else {
            let near = did_you_mean(name, fields.iter().copied());
            near.unwrap_or_else(|| match (of.kind, fields) {
                (Kind::Task, _) => format!(
                    "a field of your own is `task.fields.{name}`; a task has {}",
                    fields.join(", ")
                ),
                (Kind::State, _) => {
                    format!("write `state.get(\"{name}\")` or `state.set(\"{name}\", …)`")
                }
                (_, []) => "it has no fields".to_owned(),
                _ => format!("it has {}", fields.join(", ")),
            })
        };
        self.say(found.hint(hint));
    }

    /// An expression that must be true or false, or else the script fails.
    pub(super) fn condition(&mut self, expr: &Expr) {
        let value = self.expr(expr);
        if value.kind == Kind::Bool && value.absent {
            let found = Diagnostic::warning(
                Code::WrongType,
                expr.start_position(),
                "a condition must be true or false, and this may be absent",
            );
            return self.say(found.hint("compare it: `… == true`"));
        }
        if matches!(value.kind, Kind::Unknown | Kind::Bool) {
            return;
        }
        let what = described(expr, &value);
        let found = Diagnostic::error(
            Code::WrongType,
            expr.start_position(),
            format!("a condition must be true or false, not {what}"),
        );
        self.say(found.hint(match value.kind {
            _ if value.absent => "to ask whether it is there, write `… != ()`",
            Kind::Text => "to ask whether there is a text, write `… != \"\"`",
            Kind::List => "to ask whether there is anything in it, write `….len > 0`",
            Kind::Int | Kind::Float => "compare it: `… > 0`",
            _ => "compare it with something",
        }));
    }

    /// Remembers what follows from a condition that holds, or does not.
    pub(super) fn assume(&mut self, condition: &Expr, holds: bool) {
        match condition {
            Expr::BoolConstant(..) | Expr::Unit(_) => {}
            Expr::FnCall(call, _) if call.name == "!" && call.args.len() == 1 => {
                self.assume(&call.args[0], !holds);
            }
            Expr::FnCall(call, _)
                if matches!(call.name.as_str(), "==" | "!=") && call.args.len() == 2 =>
            {
                let (a, b) = (&call.args[0], &call.args[1]);
                let tested = match (a, b) {
                    (tested, Expr::Unit(_)) | (Expr::Unit(_), tested) => self.path(tested),
                    _ => None,
                };
                match tested {
                    Some(path) if (call.name == "!=") == holds => {
                        self.facts.learn(path, Presence::Present);
                    }
                    Some(path) => self.facts.learn(path, Presence::Absent),
                    None => self.doubt(condition),
                }
            }
            Expr::And(parts, _) if holds => parts.iter().for_each(|part| self.assume(part, true)),
            Expr::Or(parts, _) if !holds => parts.iter().for_each(|part| self.assume(part, false)),
            other => self.doubt(other),
        }
    }

    /// What a test that is not understood speaks of may be there where it has passed; and what it
    /// speaks of through a variable, a function or the event may be anything.
    pub(super) fn doubt(&mut self, expr: &Expr) {
        let (mut paths, mut anything) = (Vec::new(), false);
        walk::expr(expr, &mut |node| {
            let Node::Expr(expr) = node else {
                return;
            };
            match expr {
                Expr::Variable(variable, _, _) => {
                    anything |= self.local(&variable.1).is_some() || variable.1 == "event";
                }
                Expr::FnCall(call, _) | Expr::MethodCall(call, _) => {
                    anything |= self.names.is_own(&call.name) || call.name == "changed";
                }
                Expr::ThisPtr(_) => anything = true,
                Expr::Dot(..) => paths.extend(self.path(expr)),
                _ => {}
            }
        });
        if anything {
            self.facts.doubt();
        }
        for path in paths {
            self.facts.learn(path, Presence::Present);
        }
    }

    /// The name under which tests of this expression are remembered.
    fn path(&self, expr: &Expr) -> Option<Arc<str>> {
        match expr {
            Expr::Variable(variable, _, _) => match self.local(&variable.1) {
                Some(local) => local.path.clone(),
                None => types::of_name(&variable.1).path,
            },
            Expr::Dot(pair, _, _) => {
                let of = self.path(&pair.lhs)?;
                let property = match &pair.rhs {
                    Expr::Property(property, _) => property,
                    // Of `task.assignee.name`, what comes first.
                    Expr::Dot(inner, _, _) | Expr::Index(inner, _, _) => match &inner.lhs {
                        Expr::Property(property, _) => property,
                        _ => return None,
                    },
                    _ => return None,
                };
                path_of_field(&of, &property.2)
            }
            _ => None,
        }
    }
}

/// An id is there exactly when what it belongs to is.
fn path_of_field(of: &str, field: &str) -> Option<Arc<str>> {
    let field = match field {
        "assignee_id" => "assignee",
        other => other,
    };
    Some(format!("{of}.{field}").into())
}
