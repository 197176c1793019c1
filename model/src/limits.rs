//! What makes a value invalid, said to the person who sent it.

/// A value that was refused: where it stood and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct Invalid {
    /// JSON pointer (RFC 6901) to the value within what was sent.
    pub pointer: String,
    /// What was wrong and what would be right.
    pub detail: String,
}

impl Invalid {
    /// A refusal of the value at `pointer`.
    pub fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}

/// Trims `text` and refuses it when it is longer than `longest` characters, shorter than
/// `shortest`, or holds control characters other than those of `allowed`.
pub fn text_within(
    pointer: &str,
    text: &str,
    shortest: usize,
    longest: usize,
    allowed: &[char],
) -> Result<String, Invalid> {
    let text = text.trim();
    let length = text.chars().count();
    if length < shortest {
        return Err(Invalid::at(pointer, "must not be empty"));
    }
    if length > longest {
        return Err(Invalid::at(
            pointer,
            format!("is {length} characters long; at most {longest} are allowed"),
        ));
    }
    if let Some(bad) = text
        .chars()
        .find(|c| c.is_control() && !allowed.contains(c))
    {
        return Err(Invalid::at(
            pointer,
            format!(
                "holds the control character U+{:04X}, which is not allowed",
                u32::from(bad)
            ),
        ));
    }
    Ok(text.to_owned())
}
