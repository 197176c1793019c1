//! What is wrong with a file, said as compilers say it.

use super::server::{FieldRefusal, RemoteDiagnostic};
use super::text::printable;
use smarttasks_model::Invalid;
use smarttasks_rules::{Diagnostic, Place, RuleFileError, RuleTestError, Severity, header_place};
use std::fmt;
use std::path::{Path, PathBuf};

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    path: PathBuf,
    severity: Severity,
    code: String,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    hint: Option<String>,
    /// The line of the file.
    excerpt: Option<String>,
}

impl Finding {
    /// Something that is wrong with the file as a whole.
    pub(super) fn of_file(path: &Path, code: &str, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            severity: Severity::Error,
            code: code.to_owned(),
            line: None,
            column: None,
            message: message.into(),
            hint: None,
            excerpt: None,
        }
    }

    pub(super) fn of_header(path: &Path, source: &str, error: &RuleFileError) -> Self {
        Self::of_file(path, "header", error.to_string()).at(source, error.place)
    }

    /// Something that is wrong with a file of tests.
    pub(super) fn of_tests(path: &Path, source: &str, error: &RuleTestError) -> Self {
        Self::of_file(path, "tests", &error.message).within(source, error.line, None)
    }

    pub(super) fn of_field(path: &Path, source: &str, wrong: &Invalid) -> Self {
        let message = format!("{}: {}", wrong.pointer, wrong.detail);
        Self::of_file(path, "invalid", message).at(source, header_place(source, &wrong.pointer))
    }

    pub(super) fn of_script(path: &Path, source: &str, found: Diagnostic) -> Self {
        let found = RemoteDiagnostic {
            severity: found.severity,
            code: found.code.to_owned(),
            line: found.line,
            column: found.column,
            message: found.message,
            hint: found.hint,
        };
        Self::of_server(path, source, found)
    }

    /// Something that a server finds in it.
    pub(super) fn of_server(path: &Path, source: &str, found: RemoteDiagnostic) -> Self {
        Self {
            severity: found.severity,
            hint: found.hint,
            ..Self::of_file(path, &found.code, found.message)
        }
        .within(source, found.line, found.column)
    }

    /// Something for which a server refused it.
    pub(super) fn of_refusal(path: &Path, source: &str, code: &str, wrong: &FieldRefusal) -> Self {
        let message = match wrong.pointer.as_str() {
            "" | "/script" => wrong.detail.clone(),
            pointer => format!("{pointer}: {}", wrong.detail),
        };
        let finding = Self::of_file(path, code, message);
        match wrong.line {
            None => finding.at(source, header_place(source, &wrong.pointer)),
            line => finding.within(source, line, wrong.column),
        }
    }

    #[must_use]
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    pub(super) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The order in which findings of a file are told.
    pub(super) fn place(&self) -> (Option<usize>, Option<usize>) {
        (self.line, self.column)
    }

    #[must_use]
    pub(super) fn at(self, source: &str, place: Option<Place>) -> Self {
        self.within(
            source,
            place.map(|place| place.line),
            place.map(|place| place.column),
        )
    }

    fn within(self, source: &str, line: Option<usize>, column: Option<usize>) -> Self {
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let excerpt = line
            .and_then(|line| source.lines().nth(line.checked_sub(1)?))
            .map(str::to_owned);
        Self {
            line,
            column,
            excerpt,
            ..self
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, "{number}:")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(
            f,
            " {severity}[{}]: {}",
            self.code,
            printable(&self.message)
        )?;
        if let Some(hint) = &self.hint {
            writeln!(f, "  hint: {}", printable(hint))?;
        }
        let (Some(line), Some(excerpt)) = (self.line, &self.excerpt) else {
            return Ok(());
        };
        writeln!(f, "{line:5} | {}", printable(excerpt))?;
        if let Some(column) = self.column {
            // As wide as what stands above it, tabs included.
            let before: String = excerpt
                .chars()
                .take(column.saturating_sub(1))
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            writeln!(f, "      | {before}^")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(pointer: &str, line: Option<usize>, column: Option<usize>) -> FieldRefusal {
        FieldRefusal {
            pointer: pointer.to_owned(),
            detail: "is wrong".to_owned(),
            line,
            column,
        }
    }

    fn told(source: &str, wrong: &FieldRefusal) -> String {
        Finding::of_refusal(Path::new("a.rhai"), source, "invalid", wrong).to_string()
    }

    #[test]
    fn a_finding_has_its_place_the_line_and_what_to_do() {
        let finding = Finding::of_script(
            Path::new("rules/a.rhai"),
            "\u{feff}//! name = \"n\"\r\n\tif emial(1) {}\r\n",
            Diagnostic {
                severity: Severity::Warning,
                code: "unknown_function",
                line: Some(2),
                column: Some(5),
                message: "there is no function `emial`".to_owned(),
                hint: Some("did you mean `email`?".to_owned()),
            },
        );
        assert_eq!(
            finding.to_string(),
            "rules/a.rhai:2:5: warning[unknown_function]: there is no function `emial`\n  \
             hint: did you mean `email`?\n    2 | \tif emial(1) {}\n      | \t   ^\n"
        );
    }

    #[test]
    fn what_a_server_refuses_is_shown_in_the_script_or_the_header_or_else_the_file() {
        let source = "//! triggers = [{ due = \"0\" }]\nlog(1);\n";
        let shown = told(source, &refusal("/script", Some(2), Some(1)));
        assert_eq!(
            shown,
            "a.rhai:2:1: error[invalid]: is wrong\n    2 | log(1);\n      | ^\n"
        );
        let shown = told(source, &refusal("/triggers/0/due", None, None));
        assert!(
            shown.starts_with("a.rhai:1:19: error[invalid]: /triggers/0/due: is wrong\n"),
            "{shown}"
        );
        let shown = told(source, &refusal("/name", None, None));
        assert_eq!(shown, "a.rhai: error[invalid]: /name: is wrong\n");
        let shown = told(source, &refusal("/script", Some(9), None));
        assert_eq!(shown, "a.rhai:9: error[invalid]: is wrong\n");
    }
}
