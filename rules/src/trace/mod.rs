//! Why a script does what it does for a task, or nothing: the values of its conditions.
//!
//! The script that tells is a copy; its outcome is that of the script itself. The function by which
//! it tells is known only to the language of that copy, under a name that the script does not hold.

mod instrument;

use crate::evaluation::{self, Evaluation, Host};
use crate::world::shown;
use crate::{Candidates, Diagnostic, Inputs, Language, Outcome, Program};
use instrument::{Decides, Instrument, PartPlace, Place};
use rhai::{AST, Dynamic, Expr, FnCallExpr, INT, Stmt};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};

/// A condition of a script, as it was when it was last evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guard {
    /// Where it stands, from 1.
    pub line: Option<usize>,
    /// Likewise.
    pub column: Option<usize>,
    /// As it is written.
    pub condition: String,
    /// Whether the script came to it.
    pub reached: bool,
    /// Whether it held; none when it was not reached, and of a `switch`.
    pub holds: Option<bool>,
    /// The parts that are true or false by themselves, in the order of the script; those that were
    /// left out because another had decided are not reached.
    pub parts: Vec<GuardPart>,
    /// How often it was evaluated.
    pub evaluations: u64,
}

/// A part of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuardPart {
    /// Where it stands, from 1.
    pub line: Option<usize>,
    /// As it is written.
    pub text: String,
    /// Whether it held; none when it was left out.
    pub holds: Option<bool>,
    /// What is compared in it, with the values.
    pub operands: Vec<Operand>,
}

/// What is compared in a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operand {
    /// As it is written.
    pub text: String,
    /// Written out: a text in quotes, a time as RFC 3339, what is not there as `()`.
    pub value: String,
}

/// A script that tells the values of its conditions.
pub struct Tracer {
    program: Program,
    places: Vec<Place>,
    told: Arc<Mutex<Told>>,
}

/// What came of an evaluation that tells.
#[derive(Clone, Debug)]
pub struct Traced {
    /// What the script itself would have come to.
    pub outcome: Outcome,
    /// Its conditions, but for those within functions, in the order of the script.
    pub guards: Vec<Guard>,
    /// The condition because of which it did nothing, where it did nothing.
    pub decisive: Option<Guard>,
}

/// What was told, by number.
#[derive(Default)]
struct Told {
    values: Vec<Option<Value>>,
    /// Counts what is told.
    time: u64,
}

#[derive(Clone)]
struct Value {
    text: String,
    truth: Option<bool>,
    /// When it was told last, and before.
    time: u64,
    before: u64,
    times: u64,
}

impl Language {
    /// Compiles a script so that it tells the values of its conditions. As for
    /// [`compile`](Self::compile), on a [`Pool`](crate::Pool).
    ///
    /// # Errors
    /// What the parser refuses, with its place.
    pub fn tracer(self: &Arc<Self>, script: &str) -> Result<Tracer, Vec<Diagnostic>> {
        let name = unused_name(script);
        let told: Arc<Mutex<Told>> = Arc::default();
        let told_by = Arc::clone(&told);
        let language = self.extended(|engine| {
            engine.register_fn(name.as_str(), move |number: INT, value: Dynamic| {
                tell(&told_by, number, value)
            });
        });
        let ast = language.parse(script).map_err(|found| vec![found])?;
        let source = script.strip_prefix('\u{feff}').unwrap_or(script);
        let (ast, mut places) = match call_of(&language, &name) {
            Some(call) => Instrument::new(source, call).script(&ast),
            None => (ast, Vec::new()),
        };
        places.sort_by_key(|place| place.at);
        Ok(Tracer {
            // Whoever asks has it evaluated, whether it may act or not.
            program: Program::new(language, source, ast, Candidates::default()),
            places,
            told,
        })
    }
}

/// A name that stands nowhere in the script.
fn unused_name(script: &str) -> String {
    let mut name = "told".to_owned();
    while script.contains(&name) {
        name.push('_');
    }
    name
}

/// How the parser writes a call of the function that is told.
fn call_of(language: &Language, name: &str) -> Option<FnCallExpr> {
    let ast: AST = language.engine.compile(format!("{name}(0, 0)")).ok()?;
    match ast.statements().first()? {
        Stmt::FnCall(call, _) => Some((**call).clone()),
        Stmt::Expr(expr) => match &**expr {
            Expr::FnCall(call, _) => Some((**call).clone()),
            _ => None,
        },
        _ => None,
    }
}

fn tell(told: &Mutex<Told>, number: INT, value: Dynamic) -> Host<Dynamic> {
    let text = evaluation::with(|e: &mut Evaluation| Ok(shown(e, &value)))?;
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.take(
        usize::try_from(number).unwrap_or(0),
        text,
        value.as_bool().ok(),
    );
    Ok(value)
}

impl Told {
    fn take(&mut self, number: usize, text: String, truth: Option<bool>) {
        self.time += 1;
        if self.values.len() <= number {
            self.values.resize(number + 1, None);
        }
        let last = self.values[number].as_ref();
        self.values[number] = Some(Value {
            text,
            truth,
            time: self.time,
            before: last.map_or(0, |last| last.time),
            times: last.map_or(0, |last| last.times) + 1,
        });
    }

    fn of(&self, number: usize) -> Option<&Value> {
        self.values.get(number)?.as_ref()
    }

    /// A value that belongs to the last evaluation of its condition.
    fn within(&self, whole: Option<&Value>, number: usize) -> Option<&Value> {
        let whole = whole?;
        self.of(number).filter(|value| value.time > whole.before)
    }
}

impl Tracer {
    /// Evaluates the script, as [`Program::evaluate`] does.
    pub fn evaluate(&self, inputs: Inputs) -> Traced {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Told::default();
        let outcome = self.program.evaluate(inputs);
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let guards = self.places.iter().map(|place| guard(place, &told));
        let idle = outcome.error.is_none() && outcome.actions.is_empty() && outcome.need.is_none();
        Traced {
            guards: guards.collect(),
            decisive: decisive(&self.places, &told)
                .filter(|_| idle)
                .map(|place| guard(place, &told)),
            outcome,
        }
    }
}

impl std::fmt::Debug for Tracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracer").finish_non_exhaustive()
    }
}

/// Of the conditions that were looked at, the last without which an action would have been done;
/// or else the last that ended the script; or else the last.
fn decisive<'a>(places: &'a [Place], told: &Told) -> Option<&'a Place> {
    let last = |wanted: &dyn Fn(Decides, Option<bool>) -> bool| {
        let looked_at = places.iter().filter_map(|place| {
            let value = told.of(place.number)?;
            wanted(place.decides, value.truth).then_some((value.time, place))
        });
        looked_at
            .max_by_key(|(time, _)| *time)
            .map(|(_, place)| place)
    };
    last(&|decides, truth| decides.action && truth == Some(false))
        .or_else(|| last(&|decides, truth| decides.end && truth == Some(true)))
        .or_else(|| last(&|_, _| true))
}

fn guard(place: &Place, told: &Told) -> Guard {
    let value = told.of(place.number);
    Guard {
        line: place.at.line(),
        column: place.at.position(),
        condition: place.text.clone(),
        reached: value.is_some(),
        holds: value.and_then(|value| value.truth),
        parts: place
            .parts
            .iter()
            .map(|part| self::part(part, value, told))
            .collect(),
        evaluations: value.map_or(0, |value| value.times),
    }
}

fn part(place: &PartPlace, whole: Option<&Value>, told: &Told) -> GuardPart {
    let operands = place.operands.iter().filter_map(|(text, number)| {
        Some(Operand {
            text: text.clone(),
            value: told.within(whole, *number)?.text.clone(),
        })
    });
    GuardPart {
        line: place.at.line(),
        text: place.text.clone(),
        holds: told
            .within(whole, place.number)
            .and_then(|value| value.truth),
        operands: operands.collect(),
    }
}

impl Guard {
    /// Why it came out as it did, such as "`task.priority >= HIGH` on line 2 is false
    /// (task.priority is normal)".
    pub fn sentence(&self) -> String {
        let line =
            |line: Option<usize>| line.map_or_else(String::new, |line| format!(" on line {line}"));
        let Some(holds) = self.holds else {
            let operand = self.parts.first().and_then(|part| part.operands.first());
            let value = operand.map_or("()", |operand| operand.value.as_str());
            return format!("`{}`{} found {value}", self.condition, line(self.line));
        };
        // What decided is the last that was looked at.
        let decided = self
            .parts
            .iter()
            .rev()
            .find(|part| part.holds == Some(holds));
        let (text, at, operands) = match decided {
            Some(part) => (&part.text, part.line, &part.operands[..]),
            None => (&self.condition, self.line, &[][..]),
        };
        let values: Vec<String> = operands
            .iter()
            .map(|operand| format!("{} is {}", operand.text, operand.value))
            .collect();
        let values = match values.is_empty() {
            true => String::new(),
            false => format!(" ({})", values.join(", ")),
        };
        format!("`{text}`{} is {holds}{values}", line(at))
    }
}

#[cfg(test)]
mod tests;
