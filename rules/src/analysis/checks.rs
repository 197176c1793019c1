//! The checks themselves: each looks at one node.

use super::walk::{self, Node};
use crate::nearest::did_you_mean;
use crate::{Diagnostic, Language, action, world};
use rhai::{AST, Expr, FnCallExpr, Position, Stmt};
use smarttasks_model::{ForEach, Priority, Status, Trigger};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// Words that look like calls and are syntax to Rhai.
const KEYWORDS: &[&str] = &[
    "Fn",
    "call",
    "curry",
    "type_of",
    "is_def_var",
    "is_def_fn",
    "print",
    "debug",
];

pub(super) struct Checked {
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) actions: BTreeSet<&'static str>,
    /// Where the script first speaks of `task`.
    pub(super) task_at: Option<Position>,
}

pub(super) fn check(language: &Language, ast: &AST) -> Checked {
    let mut checker = Checker {
        language,
        own: own_functions(ast),
        keys: keys(ast),
        checked: Checked {
            diagnostics: Vec::new(),
            actions: BTreeSet::new(),
            task_at: None,
        },
    };
    checker.parameters(ast);
    walk::script(ast, &mut |node| match node {
        Node::Block(block) => checker.block(block),
        Node::Stmt(stmt) => checker.stmt(stmt),
        Node::Expr(expr) => checker.expr(expr),
    });
    checker.checked
}

/// The functions that the script defines, with the numbers of their arguments.
fn own_functions(ast: &AST) -> BTreeMap<String, BTreeSet<usize>> {
    let mut own: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for function in ast.iter_functions() {
        own.entry(function.name.to_owned())
            .or_default()
            .insert(function.params.len());
    }
    own
}

/// The keys of the script's maps: under one there may be a closure, called like a method.
fn keys(ast: &AST) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    walk::script(ast, &mut |node| match node {
        Node::Expr(Expr::Map(parts, _)) => {
            keys.extend(parts.0.iter().map(|(key, _)| key.name.to_string()));
        }
        Node::Expr(Expr::Property(property, _)) => {
            keys.insert(property.2.to_string());
        }
        _ => {}
    });
    keys
}

struct Checker<'a> {
    language: &'a Language,
    own: BTreeMap<String, BTreeSet<usize>>,
    keys: BTreeSet<String>,
    checked: Checked,
}

impl Checker<'_> {
    fn say(&mut self, found: Diagnostic) {
        self.checked.diagnostics.push(found);
    }

    /// Rhai asks about `let` only, so parameters and the names of loops are looked at here.
    fn parameters(&mut self, ast: &AST) {
        for function in ast.iter_fn_def() {
            for name in &function.params {
                self.own_name(name, function.body.start_position());
            }
        }
    }

    fn own_name(&mut self, name: &str, at: Position) {
        if world::NAMES.contains(&name) {
            self.say(Diagnostic::reserved_name(name, at));
        }
    }

    fn block(&mut self, block: &[Stmt]) {
        let mut after = block
            .iter()
            .skip_while(|stmt| !matches!(stmt, Stmt::Return(..) | Stmt::BreakLoop(..)));
        if after.next().is_some()
            && let Some(next) = after.find(|stmt| !matches!(stmt, Stmt::Noop(_)))
        {
            self.say(Diagnostic::warning(
                "unreachable_code",
                next.position(),
                "nothing from here on is ever reached",
            ));
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::For(parts, _) => {
                self.own_name(&parts.0.name, parts.0.pos);
                if let Some(counter) = &parts.1 {
                    self.own_name(&counter.name, counter.pos);
                }
            }
            Stmt::TryCatch(flow, _) => {
                if let Expr::Variable(variable, _, at) = &flow.expr {
                    self.own_name(&variable.1, *at);
                }
            }
            Stmt::Assignment(parts) => {
                if let Expr::Variable(variable, _, at) = &parts.1.lhs {
                    self.own_name(&variable.1, *at);
                }
            }
            Stmt::FnCall(call, at) => self.call(call, *at),
            _ => {}
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Variable(variable, _, at) if variable.1 == "task" => {
                self.checked.task_at.get_or_insert(*at);
            }
            Expr::FnCall(call, at) => self.call(call, *at),
            Expr::Dot(pair, _, _) => self.dot(&pair.lhs, &pair.rhs),
            Expr::MethodCall(call, at) => self.method(call, *at),
            _ => {}
        }
    }

    /// `task.titel`.
    fn dot(&mut self, lhs: &Expr, rhs: &Expr) {
        let Expr::Variable(of, _, _) = lhs else {
            return;
        };
        let Some(fields) = world::fields_of(&of.1) else {
            return;
        };
        // `task.owner.name` is task . (owner . name).
        let property = match rhs {
            Expr::Dot(pair, _, _) | Expr::Index(pair, _, _) => &pair.lhs,
            other => other,
        };
        if let Expr::Property(property, at) = property
            && !fields.contains(&property.2.as_str())
        {
            let found = Diagnostic::error(
                "unknown_field",
                *at,
                format!("`{}` has no field `{}`", of.1, property.2),
            );
            let hint = did_you_mean(&property.2, fields.iter().copied())
                .unwrap_or_else(|| format!("it has {}", fields.join(", ")));
            self.say(found.hint(hint));
        }
    }

    fn method(&mut self, call: &FnCallExpr, at: Position) {
        if !self.keys.contains(call.name.as_str()) {
            self.known(call, call.args.len() + 1, at);
        }
        self.note_action(&call.name, true);
    }

    fn call(&mut self, call: &FnCallExpr, at: Position) {
        if call.op_token.is_some() {
            self.comparison(call, at);
            return;
        }
        self.known(call, call.args.len(), at);
        self.note_action(&call.name, false);
        if call.name == "email" {
            self.absent_recipient(call);
        }
    }

    fn note_action(&mut self, name: &str, method: bool) {
        let action = action::CALLS
            .iter()
            .find(|(call, _)| *call == name)
            .filter(|(_, action)| method || !action.starts_with("task."));
        if let Some((_, action)) = action {
            self.checked.actions.insert(action);
        }
    }

    /// Whether there is such a function with so many arguments.
    fn known(&mut self, call: &FnCallExpr, arguments: usize, at: Position) {
        let name = call.name.as_str();
        if KEYWORDS.contains(&name) {
            return;
        }
        // A script's own function, called like a method, has its subject as `this`.
        if let Some(own) = self.own.get(name)
            && (own.contains(&arguments) || own.contains(&call.args.len()))
        {
            return;
        }
        let known = self.language.functions.get(name);
        let own = self.own.get(name);
        if known.is_some_and(|known| known.contains(&arguments)) {
            return;
        }
        if known.is_none() && own.is_none() {
            let candidates = self
                .language
                .functions
                .keys()
                .chain(self.own.keys())
                .map(String::as_str)
                .filter(|candidate| candidate.starts_with(char::is_alphabetic))
                .filter(|candidate| !candidate.contains('$'));
            let hint = did_you_mean(name, candidates);
            let found = Diagnostic::error(
                "unknown_function",
                at,
                format!("there is no function `{name}`"),
            );
            self.say(match hint {
                Some(hint) => found.hint(hint),
                None => found,
            });
            return;
        }
        let subject = arguments - call.args.len();
        let counts: BTreeSet<String> = known
            .into_iter()
            .chain(own)
            .flatten()
            .map(|count| count.saturating_sub(subject).to_string())
            .collect();
        let counts: Vec<String> = counts.into_iter().collect();
        self.say(Diagnostic::error(
            "wrong_arguments",
            at,
            format!(
                "`{name}` does not take {} arguments; it takes {}",
                call.args.len(),
                counts.join(" or ")
            ),
        ));
    }

    fn absent_recipient(&mut self, call: &FnCallExpr) {
        if let Some(Expr::Dot(pair, _, at)) = call.args.first()
            && let (Expr::Variable(of, _, _), Expr::Property(field, _)) = (&pair.lhs, &pair.rhs)
            && of.1 == "task"
            && field.2 == "assignee"
        {
            let found = Diagnostic::warning(
                "absent_recipient",
                *at,
                "a task without an assignee gets no mail",
            );
            self.say(found.hint("`task.owner` is the assignee, or else the creator"));
        }
    }

    /// What would fail, or quietly be false, at every evaluation.
    fn comparison(&mut self, call: &FnCallExpr, at: Position) {
        if !matches!(call.name.as_str(), "==" | "!=" | "<" | "<=" | ">" | ">=") {
            return;
        }
        let [a, b] = &call.args[..] else {
            return;
        };
        let found = task_field(a)
            .and_then(|field| compared(field, b, at))
            .or_else(|| task_field(b).and_then(|field| compared(field, a, at)));
        if let Some(found) = found {
            self.say(found);
        }
    }
}

/// `x` of `task.x` or `previous.x`.
fn task_field(expr: &Expr) -> Option<&str> {
    if let Expr::Dot(pair, _, _) = expr
        && let (Expr::Variable(of, _, _), Expr::Property(field, _)) = (&pair.lhs, &pair.rhs)
        && (of.1 == "task" || of.1 == "previous")
    {
        return Some(&field.2);
    }
    None
}

fn compared(field: &str, with: &Expr, at: Position) -> Option<Diagnostic> {
    let text = match with {
        Expr::StringConstant(text, _) => Some(text.as_str()),
        _ => None,
    };
    let constant =
        text.is_some() || matches!(with, Expr::IntegerConstant(..) | Expr::FloatConstant(..));
    let mixed = |message: String| Diagnostic::error("mixed_comparison", at, message);
    match (field, text) {
        ("priority", Some(text)) if Priority::from_str(text).is_ok() => Some(
            mixed("a priority is compared with a text".to_owned())
                .hint(format!("write {}", text.to_ascii_uppercase())),
        ),
        ("priority", _) if constant => Some(
            mixed("a priority is compared with something else".to_owned())
                .hint("the priorities are LOW, NORMAL, HIGH and URGENT"),
        ),
        ("status", Some(text)) if Status::from_str(text).is_err() => {
            let all = Status::ALL.iter().map(|status| status.as_str());
            let hint = did_you_mean(text, all.clone())
                .unwrap_or_else(|| format!("it is one of {}", all.collect::<Vec<_>>().join(", ")));
            Some(
                Diagnostic::error("unknown_status", at, format!("no status is \"{text}\""))
                    .hint(hint),
            )
        }
        (field, _) if constant && world::TIME_FIELDS.contains(&field) => Some(
            mixed(format!(
                "`task.{field}` is a time and is compared with a constant"
            ))
            .hint("compare it with now(), now() + days(1) or timestamp(\"2026-12-01T09:00:00Z\")"),
        ),
        ("age" | "time_in_status", _) if constant => Some(
            mixed(format!(
                "`task.{field}` is a duration and is compared with a constant"
            ))
            .hint("compare it with hours(4) or days(2)"),
        ),
        _ => None,
    }
}

pub(super) fn without_action(actions: &BTreeSet<&'static str>) -> Option<Diagnostic> {
    actions.is_empty().then(|| {
        Diagnostic::warning(
            "no_action",
            Position::NONE,
            "the script has no action, so it never does anything",
        )
        .hint("call email, webhook, task.update or another action")
    })
}

/// A rule that only the clock starts, once for all tasks, is about no task.
pub(super) fn without_task(at: Position, triggers: &[Trigger]) -> Option<Diagnostic> {
    let once = |trigger: &Trigger| {
        matches!(
            trigger,
            Trigger::Cron {
                for_each: ForEach::Once,
                ..
            }
        )
    };
    (!triggers.is_empty() && triggers.iter().all(once)).then(|| {
        Diagnostic::warning(
            "no_task",
            at,
            "`task` is absent: a trigger with for_each \"once\" is about no task",
        )
        .hint("use for_each \"task\" to look at each task")
    })
}
