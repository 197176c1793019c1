//! Rules as files: a script whose leading `//!` lines are TOML.
//!
//! To Rhai these lines are comments, so the file is stored whole as the script and the lines of
//! its diagnostics are those of the file.

use serde_json::{Map, Value};
use smarttasks_model::RuleSpec;

/// Not a rule file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleFileError {
    /// The header is not TOML.
    #[error("the //! header is not TOML: {message}")]
    Header {
        /// What the parser said.
        message: String,
        /// The line of the file, from 1.
        line: Option<usize>,
    },
    /// The header is not the fields of a rule.
    #[error("the //! header is not that of a rule: {0}")]
    Fields(String),
}

/// The rule of a file: its fields from the header, the whole file as its script.
///
/// # Errors
/// When the header is not TOML, or not the fields of a rule.
pub fn parse_rule_file(source: &str) -> Result<RuleSpec, RuleFileError> {
    let mut fields = header_fields(source)?;
    if fields.contains_key("script") {
        return Err(RuleFileError::Fields(
            "`script` is the file itself and cannot be set in it".to_owned(),
        ));
    }
    fields.insert("script".to_owned(), source.into());
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| RuleFileError::Fields(error.to_string()))
}

/// The fields that the header of a script sets, as JSON; none without a header. Over them the
/// fields of a request win.
///
/// # Errors
/// When the header is not TOML.
pub fn header_fields(source: &str) -> Result<Map<String, Value>, RuleFileError> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let header: String = source
        .lines()
        .map_while(|line| line.trim_start().strip_prefix("//!"))
        .flat_map(|line| [line, "\n"])
        .collect();
    toml::from_str(&header).map_err(|error| RuleFileError::Header {
        message: error.message().to_owned(),
        line: error
            .span()
            .map(|span| header[..span.start.min(header.len())].matches('\n').count() + 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use smarttasks_model::Trigger;

    #[test]
    fn a_file_is_its_header_and_whole_its_script() {
        let source = "//! name = \"Chase\"\n//! triggers = [{ event = \"task.overdue\" }]\nemail(task.owner, \"a\", \"b\");\n";
        let rule = parse_rule_file(source).unwrap();
        assert_eq!(rule.name, "Chase");
        assert!(rule.enabled);
        assert_eq!(rule.script, source);
        assert!(
            matches!(&rule.triggers[..], [Trigger::Event(event)] if event.as_str() == "task.overdue")
        );
    }

    #[test]
    fn a_script_without_a_header_sets_no_field() {
        assert!(header_fields("// a comment\nlog(1);").unwrap().is_empty());
    }

    #[test]
    fn a_broken_header_says_its_line() {
        let error = header_fields("//! name = \"Chase\"\n//! triggers = [\nlog(1);").unwrap_err();
        assert!(
            matches!(
                error,
                RuleFileError::Header {
                    line: Some(2 | 3),
                    ..
                }
            ),
            "{error:?}"
        );
        let error = parse_rule_file("//! name = 5\n//! triggers = []").unwrap_err();
        assert!(matches!(error, RuleFileError::Fields(_)));
    }
}
