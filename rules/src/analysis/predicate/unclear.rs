//! What is said of a condition that is not understood.

use crate::source::{between, offset, start};
use rhai::{Expr, Position};
use serde::Serialize;

/// A condition that is not understood, so that it may be true and may be false.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unclear {
    /// Where it stands, from 1.
    pub line: Option<usize>,
    /// Likewise.
    pub column: Option<usize>,
    /// As it is written.
    pub text: String,
    /// Why it is not understood.
    pub why: String,
    /// How to write it so that it is.
    pub hint: String,
}

/// Most of them that are told of.
pub(super) const MOST: usize = 20;

impl Unclear {
    /// Of a part of a condition, which ends where the next begins.
    pub(super) fn new(source: &str, expr: &Expr, end: Option<Position>, why: &Why) -> Self {
        let at = start(expr);
        let from = offset(source, at);
        let to = end.and_then(|end| offset(source, end));
        let text = match (from, to) {
            (Some(from), Some(to)) if from < to => between(source, from, to),
            (Some(from), _) => line_from(source, from),
            _ => String::new(),
        };
        let (why, hint) = why.words();
        Self {
            line: at.line(),
            column: at.position(),
            text,
            why,
            hint: hint.to_owned(),
        }
    }

    pub(super) fn too_long() -> Self {
        let (why, hint) = Why::Long.words();
        Self {
            line: None,
            column: None,
            text: String::new(),
            why,
            hint: hint.to_owned(),
        }
    }
}

/// The rest of a line, up to where a block or statement would begin or end.
fn line_from(source: &str, from: usize) -> String {
    let rest = &source[from..];
    let end = rest.find(['{', ';', '\n']).unwrap_or(rest.len());
    between(source, from, from + end)
}

/// Why a value is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It asks the workspace.
    Query,
    /// It is what the rule keeps.
    State,
    /// It depends on who somebody is.
    Person,
    /// It depends on the hour or the day.
    Clock,
    /// It counts business days.
    BusinessDays,
    /// It compares two stored values.
    TwoFields,
    /// It is what a function of the script gives.
    Own(String),
    /// It is a variable that is changed.
    Changed(String),
    /// It is a variable that a loop, `catch` or a function sets.
    Given(String),
    /// A time too far away.
    Far,
    /// The script is too long.
    Long,
    /// None of these.
    Other,
}

impl Why {
    fn words(&self) -> (String, &'static str) {
        let (why, hint) = match self {
            Self::Query => (
                "it asks the workspace, which is done only when the script runs",
                "test the task or the event first, so that few runs come to this",
            ),
            Self::State => (
                "what the rule keeps is known only when the script runs",
                "test the task or the event first, so that few runs come to this",
            ),
            Self::Person => (
                "who a user is, is looked up only when the script runs",
                "compare an id: `task.assignee_id == \"…\"`; whether there is anybody: `task.assignee != ()`",
            ),
            Self::Clock => (
                "it depends on the hour or the day, whoever the task is about",
                "let a cron trigger choose the time, or compare a time of the task with `now()`",
            ),
            Self::BusinessDays => (
                "business days depend on the time zone",
                "test the least time that they take besides: `task.time_in_status >= days(3)`",
            ),
            Self::TwoFields => (
                "it compares two stored values with each other",
                "compare each with a constant; whether a field was changed, tells `changed(\"…\")`",
            ),
            Self::Own(name) => {
                return (
                    format!("`{name}` is a function of the script"),
                    "write the condition where it is tested, or into a `let`",
                );
            }
            Self::Changed(name) => {
                return (
                    format!("`{name}` is changed somewhere in the script"),
                    "keep the condition in a variable that is not: `const late = …;`",
                );
            }
            Self::Given(name) => {
                return (
                    format!("what `{name}` is, is known only when the script runs"),
                    "test the task or the event before the loop",
                );
            }
            Self::Far => (
                "it counts from a time more than ten years away",
                "compare with a time that is nearer",
            ),
            Self::Long => (
                "the script has too many conditions",
                "split the rule into several",
            ),
            Self::Other => (
                "it is no comparison of a field with a constant",
                "compare fields of `task`, `previous` or `event` with constants or with `now()`, and join comparisons by `&&` and `||`",
            ),
        };
        (why.to_owned(), hint)
    }
}
