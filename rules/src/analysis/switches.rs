//! `switch`: of its cases Rhai keeps hashes only, so what stands in them is found by hash.

use super::flow::Flow;
use super::types::{Kind, Type};
use super::values;
use crate::Diagnostic;
use crate::diagnostic::Code;
use rhai::{AST, Engine, Expr, Position, Stmt, SwitchCasesCollection};
use smarttasks_model::Status;

impl Flow<'_> {
    pub(super) fn switch_cases(
        &mut self,
        subject: &Expr,
        of: &Type,
        cases: &SwitchCasesCollection,
        at: Position,
    ) {
        if cases.cases.is_empty() && cases.ranges.is_empty() {
            return;
        }
        let constant = subject.is_constant() && !matches!(subject, Expr::BoolConstant(..));
        if constant {
            let found = Diagnostic::warning(
                Code::ConstantSwitch,
                subject.start_position(),
                "`switch` looks at a value that is always the same",
            );
            self.say(found.hint("look at something that changes, such as `task.status`"));
        }
        if of.kind.is_host() {
            let what = super::compare::spoken(subject).unwrap_or_else(|| "this".to_owned());
            let found = Diagnostic::error(
                Code::NeverMatches,
                at,
                format!(
                    "no case ever matches: {what} is {}, and a case is a text, a number or true or false",
                    of.kind.words()
                ),
            );
            self.say(match of.kind {
                Kind::Priority => found.hint(
                    "use `if`: `if task.priority == HIGH { … } else if …`; or `switch task.priority.to_string()` with \"high\"",
                ),
                Kind::User => found.hint("use `if`, or look at its `.email`"),
                _ => found.hint("use `if` and `else if`"),
            });
        }
        if of.kind == Kind::Status {
            self.statuses(cases, at);
        }
    }

    fn statuses(&mut self, cases: &SwitchCasesCollection, at: Position) {
        let engine = &self.context.language.engine;
        let real: Vec<u64> = Status::ALL
            .iter()
            .filter_map(|status| hash(engine, &format!("\"{}\"", status.as_str())))
            .collect();
        let absent = hash(engine, "()");
        let strange = cases
            .cases
            .keys()
            .filter(|case| !real.contains(case) && Some(**case) != absent)
            .count();
        if strange == 0 {
            return;
        }
        let mut told = 0;
        for (text, place) in texts(self.context.source, at) {
            let Some(hash) = hash(engine, &format!("\"{text}\"")) else {
                continue;
            };
            if cases.cases.contains_key(&hash) && !real.contains(&hash) {
                told += 1;
                self.refuse(Code::UnknownStatus, place, values::status(&text));
            }
        }
        if told < strange {
            let all: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
            let found = Diagnostic::error(
                Code::NeverMatches,
                at,
                "a case of this `switch` is no status, so it never matches",
            );
            self.say(found.hint(format!("a status is one of {}", all.join(", "))));
        }
    }
}

/// The hash under which Rhai keeps a case.
fn hash(engine: &Engine, literal: &str) -> Option<u64> {
    let ast: AST = engine
        .compile(format!("switch 0 {{ {literal} => 0 }}"))
        .ok()?;
    match ast.statements() {
        [Stmt::Switch(parts, _)] => parts.1.cases.keys().next().copied(),
        [Stmt::Expr(expr)] => match &**expr {
            Expr::Stmt(block) => match block.statements() {
                [Stmt::Switch(parts, _)] => parts.1.cases.keys().next().copied(),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Most texts of one script that are looked at, so that a script of nothing but texts does not
/// take long.
const MOST: usize = 100;

/// The plain texts from a place on that stand like a case: before `=>`, `|` or `if`.
fn texts(source: &str, from: Position) -> Vec<(String, Position)> {
    let (Some(first), Some(column)) = (from.line(), from.position()) else {
        return Vec::new();
    };
    let mut found: Vec<(String, Position)> = Vec::new();
    for (number, line) in source.lines().enumerate().skip(first - 1) {
        let skipped = match number + 1 == first {
            true => column - 1,
            false => 0,
        };
        let letters: Vec<char> = line.chars().collect();
        let mut at = skipped.min(letters.len());
        while let Some(open) = letters[at..].iter().position(|letter| *letter == '"') {
            let start = at + open + 1;
            let Some(length) = letters[start..].iter().position(|letter| *letter == '"') else {
                break;
            };
            let text: String = letters[start..start + length].iter().collect();
            at = start + length + 1;
            let after: String = letters[at..].iter().collect();
            let after = after.trim_start();
            let is_case =
                after.starts_with("=>") || after.starts_with('|') || after.starts_with("if");
            let seen = found.iter().any(|(known, _)| *known == text);
            let (Ok(line), Ok(column)) = (u16::try_from(number + 1), u16::try_from(start)) else {
                return found;
            };
            if is_case && !seen && !text.contains('\\') && found.len() < MOST {
                found.push((text, Position::new(line, column)));
            }
        }
    }
    found
}
