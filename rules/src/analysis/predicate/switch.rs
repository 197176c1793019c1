//! `switch`: of its cases Rhai keeps hashes only. What stands in them is found in the source: each
//! literal there is hashed as Rhai hashes it, in a `switch` made of them all.

use super::Walk;
use super::unclear::Why;
use super::value::{Constant, Kind, Pair, Value};
use rhai::{Engine, Expr, Position, RangeCase, Stmt, SwitchCasesCollection};
use smarttasks_model::predicate::Predicate;
use std::collections::HashMap;

/// Most literals that are looked at.
const MOST: usize = 200;

impl Walk<'_> {
    pub(super) fn switch(
        &mut self,
        subject: &Expr,
        cases: &SwitchCasesCollection,
        at: Position,
    ) -> Value {
        let value = self.expr(subject);
        let told = self.unclear.len();
        self.tell(subject, None, &value);
        let decided = self.unclear.len();
        let of_cases = self.conditions(&value, cases, at);
        let mut ways = Vec::with_capacity(cases.expressions.len() + 1);
        // When none of the cases so far has been taken.
        let mut left = Predicate::ALWAYS;
        for (case, condition) in cases.expressions.iter().zip(of_cases) {
            let Some(condition) = condition else {
                continue;
            };
            let (flow, guard) = self.apart(|walk| walk.condition(&case.lhs, None));
            self.perhaps(&condition.yes, flow);
            let yes = self.both(&condition.yes, &guard.yes);
            let no = self.either(&condition.no, &guard.no);
            let (flow, _) = self.apart(|walk| match yes.is_never() {
                true => Value::Unknown(Why::Other),
                false => walk.expr(&case.rhs),
            });
            ways.push((yes, flow));
            left = self.both(&left, &no);
        }
        let default = cases
            .def_case
            .and_then(|index| cases.expressions.get(index));
        let (flow, _) = self.apart(|walk| match default {
            Some(default) if !left.is_never() => walk.expr(&default.rhs),
            _ => Value::Unknown(Why::Other),
        });
        ways.push((left, flow));
        if ways.iter().all(|(_, flow)| flow.is_plain()) && decided == self.unclear.len() {
            self.unclear.truncate(told);
        }
        self.join(&ways);
        Value::Unknown(Why::Other)
    }

    /// For each expression of a `switch` when the value is of one of its cases; none of the default.
    fn conditions(
        &mut self,
        value: &Value,
        cases: &SwitchCasesCollection,
        at: Position,
    ) -> Vec<Option<Pair>> {
        let mut of: Vec<Option<Pair>> = vec![Some(Pair::FALSE); cases.expressions.len()];
        if let Some(default) = cases.def_case.and_then(|index| of.get_mut(index)) {
            *default = None;
        }
        let known = match cases.cases.is_empty() {
            true => HashMap::new(),
            false => literals(&self.language.engine, self.source, at),
        };
        for (hash, case) in &cases.cases {
            let pair = match known.get(hash) {
                Some(Some(literal)) => self.is_case(value, literal),
                // No value is a range.
                Some(None) => Pair::FALSE,
                None => Pair::UNKNOWN,
            };
            for index in &case.blocks {
                self.widen(&mut of, *index, &pair);
            }
        }
        for range in &cases.ranges {
            let pair = self.is_in_range(value, range);
            self.widen(&mut of, range.index(), &pair);
        }
        of
    }

    fn widen(&mut self, of: &mut [Option<Pair>], index: usize, by: &Pair) {
        if let Some(Some(pair)) = of.get_mut(index) {
            *pair = Pair {
                yes: self.either(&pair.yes, &by.yes),
                no: self.both(&pair.no, &by.no),
            };
        }
    }

    /// A case takes a value of exactly its own kind: of whole numbers no fractions.
    fn is_case(&mut self, value: &Value, literal: &Constant) -> Pair {
        let pair = match value {
            Value::Read(_, Kind::Text | Kind::Status | Kind::Id | Kind::Number | Kind::Json)
            | Value::Constant(Constant::Text(_) | Constant::Absent | Constant::Bool(_))
            | Value::Truth(_) => self.equal(value, &Value::Constant(literal.clone())),
            // Of what is neither text nor number there is no case.
            Value::Read(..) | Value::Time(_) | Value::Length(_) => {
                return match literal {
                    Constant::Absent => value.absence(),
                    _ => Pair::FALSE,
                };
            }
            _ => Pair::UNKNOWN,
        };
        match literal {
            Constant::Number(_) => Pair {
                no: Predicate::ALWAYS,
                ..pair
            },
            _ => pair,
        }
    }

    fn is_in_range(&mut self, value: &Value, range: &RangeCase) -> Pair {
        let (from, to) = match range {
            RangeCase::ExclusiveInt(range, _) => (range.start, range.end),
            RangeCase::InclusiveInt(range, _) => (*range.start(), *range.end()),
        };
        // Here Rhai compares fractions exactly, and a comparison would call the last before the end
        // equal to it.
        let numbers = Value::Numbers {
            from,
            to,
            inclusive: true,
        };
        match value {
            Value::Read(_, Kind::Number | Kind::Json) => Pair {
                no: Predicate::ALWAYS,
                ..self.within(value, &numbers).unwrap_or(Pair::UNKNOWN)
            },
            Value::Read(..) | Value::Time(_) | Value::Length(_) | Value::Truth(_) => Pair::FALSE,
            _ => Pair::UNKNOWN,
        }
    }
}

/// The constants that stand in the source behind a place, by the hashes of cases; of ranges, which
/// are hashed too, only that they are.
fn literals(engine: &Engine, source: &str, at: Position) -> HashMap<u64, Option<Constant>> {
    let from = crate::source::offset(source, at).unwrap_or(0);
    let mut found = scan(&source[from..]);
    // Behind ranges Rhai takes no numbers.
    found.extend(ranges(&source[from..]));
    let (list, cases) = (found.join(", "), found.join(" => 0, "));
    let script = format!("switch [{list}] {{ {cases} => 0 }}");
    let Ok(ast) = engine.compile(script) else {
        return HashMap::new();
    };
    let Some((Expr::Array(values, _), cases)) = ast.statements().first().and_then(parts) else {
        return HashMap::new();
    };
    let of_cases = cases.cases.iter().filter_map(|(hash, case)| {
        let value = values.get(*case.blocks.first()?)?;
        match value {
            Expr::FnCall(..) => Some((*hash, None)),
            value => Some((*hash, Some(constant(value)?))),
        }
    });
    of_cases.collect()
}

fn parts(statement: &Stmt) -> Option<(&Expr, &SwitchCasesCollection)> {
    match statement {
        Stmt::Switch(parts, _) => Some((&parts.0, &parts.1)),
        Stmt::Expr(expr) => match &**expr {
            Expr::Stmt(block) => parts(block.statements().first()?),
            _ => None,
        },
        _ => None,
    }
}

/// What a literal is; a letter compares in ways of its own.
pub(super) fn constant(expr: &Expr) -> Option<Constant> {
    Some(match expr {
        Expr::BoolConstant(truth, _) => Constant::Bool(*truth),
        Expr::IntegerConstant(number, _) => Constant::Number((*number).into()),
        Expr::FloatConstant(number, _) => {
            Constant::Number(smarttasks_model::predicate::Number::fraction(**number)?)
        }
        Expr::StringConstant(text, _) => Constant::Text(text.to_string()),
        Expr::Unit(_) => Constant::Absent,
        _ => return None,
    })
}

/// The literals of a source, as they are written, each once. One that is missed, or is none, does no
/// harm: a case that is not found among them may be any.
fn scan(source: &str) -> Vec<&str> {
    let mut found = vec!["()", "true", "false"];
    let mut rest = source;
    while let Some(at) = rest.find(|letter: char| letter == '"' || letter.is_ascii_digit()) {
        let before = &rest[..at];
        let literal = &rest[at..];
        let length = match literal.starts_with('"') {
            true => text_length(literal),
            false => literal
                .find(|letter: char| !letter.is_ascii_digit())
                .unwrap_or(literal.len()),
        };
        let word = before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        let from = match before.ends_with('-') && !literal.starts_with('"') {
            true => at - 1,
            false => at,
        };
        let whole = &rest[from..at + length];
        let ended = whole.len() > 1 || !whole.starts_with('"');
        if !word && ended && !found.contains(&whole) && found.len() < MOST {
            found.push(whole);
        }
        rest = &rest[at + length..];
    }
    found
}

/// Likewise the ranges.
fn ranges(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, dots) in source.match_indices("..").take(MOST) {
        let of_number = |letter: char| letter.is_ascii_digit() || letter == '-';
        let before = source[..at].trim_end_matches(of_number).len();
        let after = at + dots.len();
        let after = after + usize::from(source[after..].starts_with('='));
        let rest = &source[after..];
        let end = source.len() - rest.trim_start_matches(of_number).len();
        let range = &source[before..end];
        if before < at && after < end && !found.contains(&range) {
            found.push(range);
        }
    }
    found
}

/// The length of a text in quotes, both included; of one that does not end, that of the first quote.
fn text_length(literal: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in literal.char_indices().skip(1) {
        match letter {
            '\n' => return 1,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    1
}
