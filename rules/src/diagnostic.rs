//! What is wrong with a script, said before it runs.

use rhai::{LexError, ParseError, ParseErrorType, Position};
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The script cannot be stored.
    Error,
    /// The script probably does not do what its author means.
    Warning,
}

/// One finding about a script, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Stable, in `snake_case`.
    pub code: &'static str,
    /// From 1; absent when it concerns the whole script.
    pub line: Option<usize>,
    /// From 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    pub(crate) fn error(code: &'static str, at: Position, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            line: at.line(),
            column: at.position(),
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn warning(code: &'static str, at: Position, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, at, message)
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What the parser said, in the words of the rule language. An undefined variable is told
    /// apart elsewhere, because that needs the whole script.
    pub(crate) fn from_parser(error: &ParseError) -> Self {
        let ParseError(kind, at) = error;
        let said = |code, message: String| Self::error(code, *at, message);
        match &**kind {
            ParseErrorType::ForbiddenVariable(name) => Self::reserved_name(name, *at),
            ParseErrorType::VariableUndefined(name) => {
                said("unknown_variable", format!("there is no variable `{name}`"))
            }
            ParseErrorType::BadInput(LexError::ImproperSymbol(name, _)) if name == "eval" => said(
                "no_eval",
                "`eval` is off: a script cannot run text as a script".to_owned(),
            ),
            ParseErrorType::Reserved(name) => said(
                "syntax",
                format!("`{name}` is a reserved word and cannot be used here"),
            ),
            ParseErrorType::ExprTooDeep => said(
                "limit_expr_depth",
                "expressions and blocks stand too deep within each other".to_owned(),
            ),
            ParseErrorType::TooManyFunctions => said(
                "limit_functions",
                "the script has too many functions".to_owned(),
            ),
            ParseErrorType::LiteralTooLarge(what, most) => said(
                "limit_literal",
                format!("{what} is over the limit of {most}"),
            ),
            ParseErrorType::ExprExpected(what) if what == "a literal" => said(
                "switch_literal",
                "a case of `switch` must be a literal".to_owned(),
            )
            .hint("compare with `if` and `else if` instead"),
            ParseErrorType::BadInput(LexError::UnterminatedString) => {
                said("syntax", "this text is never closed".to_owned())
            }
            other => said("syntax", other.to_string()),
        }
    }

    pub(crate) fn reserved_name(name: &str, at: Position) -> Self {
        Self::error(
            "reserved_name",
            at,
            format!("`{name}` belongs to the language and cannot be assigned or shadowed"),
        )
        .hint("choose another name")
    }
}
