//! Rules as files: a script whose leading `//!` lines are TOML.
//!
//! To Rhai these lines are comments, so the file is stored whole as the script and the lines of
//! its diagnostics are those of the file.

mod header;
mod write;

pub use header::Place;
pub use write::rule_file;

use header::Header;
use serde::Deserialize;
use serde_json::{Map, Value};
use smarttasks_model::{Misfire, Overlap, Repeat, RuleSpec, Span, Trigger};

/// Not a rule file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the //! header {message}")]
pub struct RuleFileError {
    /// What is wrong with the header.
    pub message: String,
    /// Where, unless it concerns the header as a whole.
    pub place: Option<Place>,
}

/// The fields of a rule but its script, as they stand in a header.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    name: String,
    #[serde(default)]
    description: String,
    enabled: Option<bool>,
    triggers: Vec<Trigger>,
    #[serde(default)]
    repeat: Repeat,
    hold: Option<Span>,
    #[serde(default)]
    overlap: Overlap,
    #[serde(default)]
    misfire: Misfire,
}

/// The rule of a file: its fields from the header, the whole file as its script.
///
/// # Errors
/// When the header is not TOML, or not the fields of a rule.
pub fn parse_rule_file(source: &str) -> Result<RuleSpec, RuleFileError> {
    let header = Header::of(source);
    if header.toml.is_empty() {
        return Err(RuleFileError {
            message: "is missing: begin the file with lines such as //! name = \"Chase overdue \
                      work\" and //! triggers = [{ event = \"task.overdue\" }]"
                .to_owned(),
            place: Some(Place { line: 1, column: 1 }),
        });
    }
    let fields: Fields = read(&header)?;
    Ok(RuleSpec {
        name: fields.name.trim().to_owned(),
        description: fields.description.trim().to_owned(),
        enabled: fields.enabled.unwrap_or(true),
        triggers: fields.triggers,
        script: source.to_owned(),
        repeat: fields.repeat,
        hold: fields.hold,
        overlap: fields.overlap,
        misfire: fields.misfire,
    })
}

/// The fields that the header of a script sets, as JSON; none without a header. Over them the
/// fields of a request win.
///
/// # Errors
/// When the header is not TOML.
pub fn header_fields(source: &str) -> Result<Map<String, Value>, RuleFileError> {
    read(&Header::of(source))
}

/// Where a header says what a JSON pointer names, or else what holds that; none when it says
/// nothing of it.
pub fn header_place(source: &str, pointer: &str) -> Option<Place> {
    Header::of(source).place_of(pointer)
}

/// A script without its header.
pub fn script_body(source: &str) -> &str {
    Header::of(source).body
}

fn read<T: for<'de> Deserialize<'de>>(header: &Header<'_>) -> Result<T, RuleFileError> {
    toml::from_str(&header.toml).map_err(|error| RuleFileError {
        message: format!("is not that of a rule: {}", error.message()),
        place: error.span().map(|span| header.place(span.start)),
    })
}

#[cfg(test)]
mod tests;
