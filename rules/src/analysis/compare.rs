//! Operators and comparisons: what would fail, or quietly always be false.

use super::flow::Flow;
use super::signatures::Fit;
use super::types::{self, Kind, Type};
use super::values;
use crate::Diagnostic;
use crate::diagnostic::Code;
use rhai::{Expr, FnCallExpr, Position};
use smarttasks_model::Priority;
use std::str::FromStr;

impl Flow<'_> {
    pub(super) fn operator(&mut self, call: &FnCallExpr, kinds: &[Type], at: Position) -> Type {
        let name = call.name.as_str();
        match (&call.args[..], kinds) {
            ([of], [kind]) if name == "!" => {
                if !matches!(kind.kind, Kind::Unknown | Kind::Bool) {
                    self.negation(of, kind, at);
                }
                Type::of(Kind::Bool)
            }
            ([_], [kind]) if name == "-" && kind.kind != Kind::Unknown => Type::of(kind.kind),
            ([a, b], [of_a, of_b]) => {
                if matches!(name, "==" | "!=" | "<" | "<=" | ">" | ">=") {
                    self.comparison(name, (a, of_a), (b, of_b), at);
                } else {
                    self.arithmetic(name, (a, of_a), (b, of_b), at);
                }
                types::of_operator(name, of_a.kind, of_b.kind)
            }
            _ => Type::UNKNOWN,
        }
    }

    fn negation(&mut self, of: &Expr, kind: &Type, at: Position) {
        let what = described(of, kind);
        let message = format!("`!` takes true or false, not {what}");
        let found = Diagnostic::error(Code::WrongType, at, message);
        self.say(match kind.absent {
            true => found.hint("to ask whether it is absent, write `… == ()`"),
            false => found.hint("compare it with something"),
        });
    }

    /// Of operators only those of host values are all registered; of Rhai's own many are not.
    fn arithmetic(&mut self, name: &str, a: (&Expr, &Type), b: (&Expr, &Type), at: Position) {
        if !a.1.kind.is_host() && !b.1.kind.is_host() {
            return;
        }
        let fit = self.signatures().fit(name, &[a.1.kinds(), b.1.kinds()]);
        if matches!(fit, Fit::Fits) {
            return;
        }
        let message = match name {
            "+" => format!(
                "{} cannot be added to {}",
                described(b.0, b.1),
                described(a.0, a.1)
            ),
            "-" => format!(
                "{} cannot be taken from {}",
                described(b.0, b.1),
                described(a.0, a.1)
            ),
            other => format!(
                "`{other}` does not go with {} and {}",
                described(a.0, a.1),
                described(b.0, b.1)
            ),
        };
        let found = Diagnostic::error(Code::WrongType, at, message);
        let with_number = a.1.kind.is_number() || b.1.kind.is_number();
        let with_time = [a.1.kind, b.1.kind]
            .iter()
            .any(|kind| matches!(kind, Kind::Moment | Kind::Span));
        self.say(found.hint(match (with_number, with_time, name) {
            (true, true, "+" | "-") => "say what is counted: hours(4), days(2)",
            (_, true, _) => {
                "to a time a duration can be added, `now() + hours(1)`; two times can be subtracted"
            }
            _ => "put what you mean to write out into a text: `${…}` between backticks",
        }));
    }

    fn comparison(&mut self, name: &str, a: (&Expr, &Type), b: (&Expr, &Type), at: Position) {
        for ((tested, of), (_, with)) in [(a, b), (b, a)] {
            if with.kind == Kind::Absent {
                return self.never_absent(name, tested, of, at);
            }
            if of.kind == Kind::Status
                && let Some(text) = &with.text
            {
                return self.refuse(Code::UnknownStatus, at, values::status(text));
            }
        }
        if a.1.kind.comparable(b.1.kind) {
            return;
        }
        let message = format!(
            "{} cannot be compared with {}",
            described(a.0, a.1),
            described(b.0, b.1)
        );
        let found = Diagnostic::error(Code::MixedComparison, at, message);
        let hint = hint(a, b).or_else(|| hint(b, a));
        self.say(match hint {
            Some(hint) => found.hint(hint),
            None => found.hint("compare values of one kind"),
        });
    }

    /// `task.description == ()`.
    fn never_absent(&mut self, name: &str, tested: &Expr, of: &Type, at: Position) {
        let host = matches!(tested, Expr::Dot(..)) && of.path.is_some();
        if of.absent || !host || matches!(of.kind, Kind::Unknown | Kind::Absent) {
            return;
        }
        // What a test has found to be there was absent before.
        if of
            .path
            .as_deref()
            .is_some_and(|path| self.facts.of(path).is_some())
        {
            return;
        }
        let always = match name {
            "==" => "false",
            "!=" => "true",
            _ => return,
        };
        let what = spoken(tested).unwrap_or_else(|| of.kind.words().to_owned());
        let found = Diagnostic::warning(
            Code::NeverAbsent,
            at,
            format!("{what} is never absent, so this is always {always}"),
        );
        self.say(match of.kind {
            Kind::Text => found.hint("a text that nobody wrote is empty: compare it with \"\""),
            Kind::List => found.hint("a list without elements is empty: ask for its `.len`"),
            _ => found.hint("leave the comparison out"),
        });
    }

    /// `x in list`, which Rhai turns into `contains(list, x)`, and `list.contains(x)`.
    pub(super) fn membership(
        &mut self,
        written: &[Expr],
        arguments: &[Type],
        method: bool,
        at: Position,
    ) {
        let [list, of] = arguments else {
            return;
        };
        if of.kind == Kind::Unknown || list.kind == Kind::Unknown {
            return;
        }
        let element = written.last();
        let what = element.map_or_else(|| of.kind.words().to_owned(), |expr| described(expr, of));
        match list.kind {
            Kind::List => self.among(list, of, &what, at),
            Kind::Text if of.kind.is_text() => {}
            // Keys of a map are texts, and a range is unknown here.
            Kind::Map if of.kind.is_text() => {}
            _ => {
                let subject = match (method, written.first()) {
                    (false, Some(subject)) => described(subject, list),
                    _ => list.kind.words().to_owned(),
                };
                let message = format!("{what} cannot be looked for in {subject}");
                let found = Diagnostic::error(Code::WrongType, at, message);
                self.say(found.hint("look for a value in a list, or for a text in a text"));
            }
        }
    }

    fn among(&mut self, list: &Type, of: &Type, what: &str, at: Position) {
        let Some(items) = list.items.as_deref().filter(|items| !items.is_empty()) else {
            return;
        };
        if of.kind == Kind::Status {
            for text in items.iter().filter_map(|item| item.text.as_deref()) {
                self.refuse(Code::UnknownStatus, at, values::status(text));
            }
        }
        // Of a list as Rhai knows it every element is compared, and one of a strange kind fails.
        let strange = items.iter().find(|item| {
            item.kind != Kind::Absent && !item.absent && !item.kind.comparable(of.kind)
        });
        let none = items.iter().all(|item| !item.kind.comparable(of.kind));
        let fails = of.kind.is_host() || strange.is_some_and(|item| item.kind.is_host());
        let Some(strange) = strange.filter(|_| none || fails) else {
            return;
        };
        let message = match none {
            true => format!(
                "{what} is never in this list, which has {} in it",
                strange.kind.words()
            ),
            false => format!(
                "{what} cannot be compared with {} of this list",
                strange.kind.words()
            ),
        };
        let found = Diagnostic::error(Code::MixedComparison, at, message);
        self.say(match (of.kind, strange.kind, &strange.text) {
            (Kind::Priority, Kind::Text, Some(text)) | (Kind::Text, Kind::Priority, Some(text))
                if Priority::from_str(text).is_ok() =>
            {
                found.hint(format!(
                    "write {}, without quotes",
                    text.to_ascii_uppercase()
                ))
            }
            (Kind::User, Kind::Text, _) => found.hint("look for its `.email` or `.id`"),
            (Kind::Text, Kind::User, _) => {
                found.hint("look for a user: `user(\"ann@example.com\")`")
            }
            _ => found.hint("compare values of one kind"),
        });
    }
}

/// What is probably meant by comparing `a` with `b`.
fn hint(a: (&Expr, &Type), b: (&Expr, &Type)) -> Option<String> {
    let name = spoken(a.0);
    Some(match (a.1.kind, b.1.kind) {
        (Kind::Priority, Kind::Text) => match &b.1.text {
            Some(text) if Priority::from_str(text).is_ok() => {
                format!("write {}, without quotes", text.to_ascii_uppercase())
            }
            _ => "the priorities are LOW, NORMAL, HIGH and URGENT".to_owned(),
        },
        (Kind::Priority, _) => "the priorities are LOW, NORMAL, HIGH and URGENT".to_owned(),
        (Kind::Moment, Kind::Text) => {
            "read a text as a time with timestamp(\"2026-12-01T09:00:00Z\")".to_owned()
        }
        (Kind::Moment, Kind::Span) => {
            "how far away it is, is itself a duration: `… - now()`".to_owned()
        }
        (Kind::Moment, Kind::Int | Kind::Float) => {
            "compare it with a time, such as now() or now() + days(1)".to_owned()
        }
        (Kind::Span, _) => "compare it with a duration, such as hours(4) or days(2)".to_owned(),
        (Kind::List, Kind::Text) => {
            let list = name.map_or_else(|| "list".to_owned(), |name| name.replace('`', ""));
            let text = spoken(b.0).map_or_else(|| "…".to_owned(), |text| text.replace('`', ""));
            format!("to ask whether it is in the list, write `{text} in {list}`")
        }
        (Kind::User, Kind::Text) => {
            let user = name.map_or_else(|| "user".to_owned(), |name| name.replace('`', ""));
            format!("compare `{user}.email`, or `{user}.id`, or with user(\"ann@example.com\")")
        }
        (Kind::Bool, _) => "it is true or false by itself: leave the comparison out".to_owned(),
        (Kind::Text, Kind::Int | Kind::Float) => "a text stands between quotes".to_owned(),
        (Kind::Int | Kind::Float, Kind::Text) => match &b.1.text {
            Some(text) if text.parse::<f64>().is_ok() => format!("leave out the quotes: {text}"),
            _ => return None,
        },
        _ => return None,
    })
}

/// An expression and its kind, as in "`task.age` (duration)".
pub(super) fn described(expr: &Expr, of: &Type) -> String {
    match (spoken(expr), of.kind) {
        (Some(text), Kind::Event | Kind::Rule | Kind::Workspace | Kind::Absent) => text,
        (Some(text), kind) => format!("{text} ({})", short(kind)),
        (None, kind) => kind.words().to_owned(),
    }
}

/// Without its article.
fn short(kind: Kind) -> &'static str {
    let words = kind.words();
    words
        .strip_prefix("a ")
        .or_else(|| words.strip_prefix("an "))
        .unwrap_or(words)
}

/// A short expression as it stands in the script, in backticks.
pub(super) fn spoken(expr: &Expr) -> Option<String> {
    source(expr).map(|text| format!("`{text}`"))
}

fn source(expr: &Expr) -> Option<String> {
    const LONGEST: usize = 40;
    Some(match expr {
        Expr::Variable(variable, _, _) => variable.1.to_string(),
        Expr::Property(property, _) => property.2.to_string(),
        Expr::IntegerConstant(number, _) => number.to_string(),
        Expr::FloatConstant(number, _) => number.to_string(),
        Expr::BoolConstant(value, _) => value.to_string(),
        Expr::StringConstant(text, _) if text.chars().count() <= LONGEST => format!("\"{text}\""),
        Expr::Unit(_) => "()".to_owned(),
        Expr::Dot(pair, _, _) => format!("{}.{}", source(&pair.lhs)?, source(&pair.rhs)?),
        Expr::FnCall(call, _) | Expr::MethodCall(call, _)
            if call.op_token.is_none() && call.args.is_empty() =>
        {
            format!("{}()", call.name)
        }
        _ => return None,
    })
}
