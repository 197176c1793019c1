//! What the parser says, for somebody who does not know Rhai.

use crate::Diagnostic;
use crate::diagnostic::Code;
use rhai::{LexError, ParseError, ParseErrorType, Position};

/// What the parser refused, said in the words of the rule language. Undefined variables are told
/// apart elsewhere, because that needs the whole script.
pub(super) fn explained(source: &str, error: &ParseError) -> Diagnostic {
    let ParseError(kind, at) = error;
    let word = word_at(source, *at);
    let found = match &**kind {
        ParseErrorType::VariableExpected if word.is_some() => syntax(
            *at,
            format!(
                "`{}` is a word of the language and cannot be a name",
                word.unwrap_or_default()
            ),
        )
        .hint("choose another name"),
        ParseErrorType::BadInput(error) => lexical(error, *at),
        other => structural(other, *at),
    };
    match word.and_then(foreign) {
        Some(hint) if found.code == "syntax" => found.hint(hint),
        _ => found,
    }
}

fn syntax(at: Position, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(Code::Syntax, at, message)
}

fn lexical(error: &LexError, at: Position) -> Diagnostic {
    match error {
        LexError::ImproperSymbol(name, _) if name == "eval" => Diagnostic::error(
            Code::NoEval,
            at,
            "`eval` is off: a script cannot run text as a script",
        )
        .hint("write what the text would say as code"),
        LexError::ImproperSymbol(symbol, _) => strange(symbol, at),
        LexError::UnterminatedString => syntax(at, "this text is never closed")
            .hint("close it with the quote that opened it; a text over several lines stands between backticks"),
        LexError::MalformedChar(text) => {
            syntax(at, format!("`'{text}'` is not a single letter"))
                .hint(format!("a text stands between double quotes: \"{text}\""))
        }
        LexError::MalformedNumber(text) => syntax(at, format!("`{text}` is not a number"))
            .hint("a number is such as 12, 1.5 or 1_000"),
        LexError::MalformedEscapeSequence(text) => {
            syntax(at, format!("`{text}` means nothing within a text"))
                .hint("a backslash is written `\\\\`, a line break `\\n`, a quote `\\\"`")
        }
        LexError::MalformedIdentifier(text) => {
            syntax(at, format!("`{text}` cannot be a name"))
                .hint("a name has letters, digits and `_`, and begins with a letter")
        }
        LexError::UnexpectedInput(text) if matches!(text.as_str(), ";" | ")" | "]" | "}" | ",") => {
            no_value(at)
        }
        LexError::UnexpectedInput(text) => syntax(at, format!("`{text}` cannot stand here"))
            .hint("remove it, or put it between quotes if it is meant as text"),
        other => syntax(at, other.to_string()),
    }
}

/// A symbol that means nothing, or nothing here.
fn strange(symbol: &str, at: Position) -> Diagnostic {
    syntax(at, format!("`{symbol}` cannot stand here"))
        .hint(operator(symbol).unwrap_or("remove it, or see the operators in the reference"))
}

fn no_value(at: Position) -> Diagnostic {
    syntax(at, "a value is missing here")
        .hint("something such as `task.title`, \"text\" or 5 must stand here")
}

fn structural(kind: &ParseErrorType, at: Position) -> Diagnostic {
    use ParseErrorType as E;
    match kind {
        E::ForbiddenVariable(name) => Diagnostic::reserved_name(name, at),
        E::VariableUndefined(name) => Diagnostic::error(
            Code::UnknownVariable,
            at,
            format!("there is no variable `{name}`"),
        ),
        E::ExprTooDeep => Diagnostic::error(
            Code::LimitExprDepth,
            at,
            "expressions and blocks stand too deep within each other",
        )
        .hint("give parts of it a name with `let`, or move them into a function"),
        E::TooManyFunctions => Diagnostic::error(
            Code::LimitFunctions,
            at,
            "the script has too many functions",
        )
        .hint("closures count too; split the rule into several"),
        E::LiteralTooLarge(what, most) => Diagnostic::error(
            Code::LimitLiteral,
            at,
            match what.to_lowercase() {
                what if what.contains("array") => format!("this list has more than {most} values"),
                what if what.contains("map") => format!("this map has more than {most} entries"),
                _ => format!("this text is longer than {most} letters"),
            },
        )
        .hint("make it shorter"),
        E::ExprExpected(what) if what.contains("literal") => Diagnostic::error(
            Code::SwitchLiteral,
            at,
            "a case of `switch` must be a plain text, number or `true` or `false`",
        )
        .hint("compare with `if` and `else if` instead"),
        E::Reserved(name) => syntax(
            at,
            format!("`{name}` is a reserved word and cannot be used here"),
        )
        .hint("choose another name"),
        E::UnexpectedEOF => syntax(at, "the script ends in the middle of something")
            .hint("a bracket or a brace is not closed"),
        E::MissingToken(token, what) => missing(token, what, at),
        E::UnknownOperator(symbol) => strange(symbol, at),
        E::ExprExpected(_) => no_value(at),
        E::MismatchedType(wanted, got) if wanted.contains("bool") => syntax(
            at,
            format!(
                "a condition must be true or false, not {}",
                got.replace("a string", "a text")
            ),
        )
        .hint("compare it with something"),
        E::AssignmentToConstant(name) if name.is_empty() => {
            syntax(at, "a fixed value cannot be changed").hint("to compare, write `==`")
        }
        E::AssignmentToConstant(name) => syntax(at, format!("`{name}` is constant"))
            .hint("declare it with `let` if it is to change"),
        E::AssignmentToInvalidLHS(_) => {
            syntax(at, "nothing can be assigned to this").hint("to compare, write `==`")
        }
        E::LoopBreak => syntax(at, "`break` and `continue` stand within a loop only")
            .hint("to end the script, write `return`"),
        other => definition(other, at),
    }
}

/// What is wrong with functions, maps and `switch`.
fn definition(kind: &ParseErrorType, at: Position) -> Diagnostic {
    use ParseErrorType as E;
    match kind {
        E::WrongFnDefinition => syntax(
            at,
            "a function stands at the top of the script, in no block",
        )
        .hint("move it out of the braces"),
        E::FnMissingName => {
            syntax(at, "the function has no name").hint("write `fn remind() { … }`")
        }
        E::FnMissingParams(name) => syntax(at, format!("the function `{name}` has no parameters"))
            .hint(format!("write `fn {name}() {{ … }}`")),
        E::FnMissingBody(_) => {
            syntax(at, "the function has no body").hint("put it into braces: `{ … }`")
        }
        E::FnDuplicatedDefinition(name, _) => {
            syntax(at, format!("there are two functions `{name}`")).hint("rename one of them")
        }
        E::FnDuplicatedParam(name, parameter) => syntax(
            at,
            format!("two parameters of `{name}` are called `{parameter}`"),
        )
        .hint("rename one of them"),
        E::DuplicatedProperty(name) => {
            syntax(at, format!("the key `{name}` stands twice in this map")).hint("remove one")
        }
        E::DuplicatedVariable(name) | E::VariableExists(name) => {
            syntax(at, format!("there is a `{name}` already")).hint("choose another name")
        }
        E::PropertyExpected => syntax(at, "the name of a field is missing here")
            .hint("a field is such as `task.title`; a key of a map such as `#{ title: … }`"),
        E::VariableExpected => {
            syntax(at, "the name of a variable is missing here").hint("write `let name = …`")
        }
        E::WrongSwitchDefaultCase => {
            syntax(at, "the case `_` of `switch` must be the last").hint("move it to the end")
        }
        E::WrongSwitchCaseCondition => syntax(at, "the case `_` of `switch` takes no condition")
            .hint("put the `if` into the case: `_ => if … { … }`"),
        E::WrongSwitchIntegerCase => {
            syntax(at, "a number stands after a range in this `switch`").hint("put the ranges last")
        }
        other => syntax(at, other.to_string()),
    }
}

fn missing(token: &str, what: &str, at: Position) -> Diagnostic {
    let found = syntax(at, format!("`{token}` is missing here"));
    found.hint(match token {
        ";" => "end the statement before this with `;`, or join the two with an operator",
        "}" => "a `{` is never closed",
        ")" => "a `(` is never closed, or a `,` is missing between two values",
        "]" => "a `[` is never closed, or a `,` is missing between two values",
        "{" => "what is done stands in braces: `if … { … }`",
        "(" => "the parameters stand in parentheses: `fn name(a, b) { … }`",
        "," => "put a `,` between two values",
        ":" => "an entry of a map is written `key: value`",
        "in" => "a loop is written `for item in list { … }`",
        "=>" => "a case of `switch` is written `\"todo\" => { … }`",
        _ if what.contains("map") => "a map is written `#{ key: value }`",
        _ => "see the reference for how this is written",
    })
}

/// What people write who come from elsewhere.
fn operator(symbol: &str) -> Option<&'static str> {
    Some(match symbol {
        "===" => "write `==`",
        "!==" | "<>" | "=!" => "write `!=`",
        "=" => "to compare, write `==`",
        ":=" | "<-" => "write `=`",
        "#" => "a comment begins with `//`, a map with `#{`",
        "++" => "write `+= 1`",
        "--" => "write `-= 1`",
        "=<" => "write `<=`",
        "?" => "write `if … { … } else { … }`",
        "..." => "write `..` or `..=`",
        "->" | "=>" => "an arrow stands in `switch` only; a closure is written `|x| …`",
        "::" => "a field is written `task.title`",
        _ => return None,
    })
}

/// Words of other languages.
pub(super) fn foreign(word: &str) -> Option<&'static str> {
    Some(match word {
        "and" => "for \"and\" write `&&`",
        "or" => "for \"or\" write `||`",
        "not" => "for \"not\" write `!`",
        "is" => "to compare, write `==`",
        "then" => "what is done stands in braces: `if … { … }`",
        "elif" | "elsif" | "elseif" => "write `else if`",
        "end" => "a block ends with `}`",
        "def" | "function" | "func" | "lambda" => "a function is written `fn name(a) { … }`",
        "null" | "nil" | "None" | "undefined" | "none" => "what is absent is written `()`",
        "True" | "TRUE" => "write `true`",
        "False" | "FALSE" => "write `false`",
        "var" => "a variable is declared with `let`",
        "match" | "case" => "write `switch … { … }`, or `if` and `else if`",
        "sleep" | "await" | "async" => "a rule does not wait; use a trigger for a later time",
        "import" | "use" | "require" => "a rule stands for itself: nothing is imported",
        _ => return None,
    })
}

/// What may be meant by a name that nothing bears.
pub(super) fn unknown_name(source: &str, name: &str, at: Position) -> String {
    let rest = from(source, at).and_then(|rest| rest.strip_prefix(name));
    match rest.map(str::trim_start) {
        Some(rest) if rest.starts_with(':') => {
            format!("a map is written with a `#`: `#{{ {name}: … }}`")
        }
        _ => format!("declare it with `let {name} = …`, or write \"{name}\" if a text is meant"),
    }
}

/// The line from a place on.
fn from(source: &str, at: Position) -> Option<&str> {
    let line = source.lines().nth(at.line()?.checked_sub(1)?)?;
    let column = at.position()?.checked_sub(1)?;
    let (start, _) = line.char_indices().nth(column)?;
    Some(&line[start..])
}

/// The word that stands at a place.
fn word_at(source: &str, at: Position) -> Option<&str> {
    let rest = from(source, at)?;
    let length = rest
        .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .unwrap_or(rest.len());
    (length > 0).then(|| &rest[..length])
}
