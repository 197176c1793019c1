//! What is wrong with a script, said before it runs.

use rhai::Position;
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

/// Declares the codes with their stable texts, and the list of them all.
macro_rules! codes {
    ($($name:ident = $text:literal,)+) => {
        /// What kind of finding it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $($name,)+ }

        impl Code {
            const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }

        impl Diagnostic {
            /// Every code that analysis may say.
            pub const CODES: &[&str] = &[$($text,)+];
        }
    };
}

codes! {
    Syntax = "syntax",
    NoEval = "no_eval",
    SwitchLiteral = "switch_literal",
    ReservedName = "reserved_name",
    UnknownVariable = "unknown_variable",
    CapturedVariable = "captured_variable",
    LimitSource = "limit_source",
    LimitExprDepth = "limit_expr_depth",
    LimitFunctions = "limit_functions",
    LimitLiteral = "limit_literal",
    UnknownFunction = "unknown_function",
    WrongArguments = "wrong_arguments",
    WrongType = "wrong_type",
    InvalidValue = "invalid_value",
    UnknownField = "unknown_field",
    UnknownKey = "unknown_key",
    MissingKey = "missing_key",
    ReadOnly = "read_only",
    UnknownStatus = "unknown_status",
    MixedComparison = "mixed_comparison",
    NeverAbsent = "never_absent",
    NeverMatches = "never_matches",
    ConstantSwitch = "constant_switch",
    Unreachable = "unreachable_code",
    UnreachableAction = "unreachable_action",
    EndlessLoop = "endless_loop",
    HiddenFunction = "hidden_function",
    UnusedVariable = "unused_variable",
    AbsentRecipient = "absent_recipient",
    NoAction = "no_action",
    NoTask = "no_task",
    NoChange = "no_change",
    UnknownEndpoint = "unknown_endpoint",
    UnknownUser = "unknown_user",
}

impl Diagnostic {
    pub(crate) fn error(code: Code, at: Position, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: code.as_str(),
            line: at.line(),
            column: at.position(),
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn warning(code: Code, at: Position, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, at, message)
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn reserved_name(name: &str, at: Position) -> Self {
        Self::error(
            Code::ReservedName,
            at,
            format!("`{name}` belongs to the language and cannot be assigned or shadowed"),
        )
        .hint("choose another name")
    }
}
