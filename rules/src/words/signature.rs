//! Signatures, as they are shown, taken apart: `Timestamp.format(pattern: text) -> text`.

use super::{Word, WordKind};

/// One thing that a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What it is called.
    pub name: &'static str,
    /// Its types, with `|` between them.
    pub types: &'static str,
    /// Whether it may be left out.
    pub optional: bool,
}

impl Word {
    /// What it takes, without what stands before the dot; absent where nothing is called.
    pub fn parameters(&self) -> Option<Vec<Parameter>> {
        if !matches!(
            self.kind,
            WordKind::Function | WordKind::Method | WordKind::Action
        ) {
            return None;
        }
        let (_, rest) = self.signature.split_once('(')?;
        let end = matching(rest)?;
        let list = rest[..end].split(", ").filter(|part| !part.is_empty());
        Some(list.map(parameter).collect())
    }
}

fn parameter(text: &'static str) -> Parameter {
    let (name, types) = text.split_once(": ").unwrap_or((text, "any"));
    Parameter {
        name: name.trim_end_matches('?'),
        types,
        optional: name.ends_with('?'),
    }
}

/// Where the parenthesis closes that is open at the start; `()` is a type.
fn matching(text: &str) -> Option<usize> {
    let mut open = 1;
    text.char_indices().find_map(|(at, letter)| {
        match letter {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        (open == 0).then_some(at)
    })
}

/// The word itself.
pub(super) fn name(kind: WordKind, signature: &'static str) -> &'static str {
    if kind == WordKind::Operator {
        return operator(signature);
    }
    let end = signature.find(['(', ':']).unwrap_or(signature.len());
    let path = &signature[..end];
    path.rsplit_once('.').map_or(path, |(_, name)| name)
}

/// The type before the dot.
pub(super) fn of(signature: &'static str) -> Option<&'static str> {
    let end = signature.find(['(', ':']).unwrap_or(signature.len());
    signature[..end].split_once('.').map(|(of, _)| of)
}

/// `Timestamp + Duration -> Timestamp`, or `-Duration -> Duration`.
fn operator(signature: &'static str) -> &'static str {
    let first = signature.split(' ').next().unwrap_or_default();
    let letters = first.find(char::is_alphanumeric).unwrap_or_default();
    if letters > 0 {
        return &first[..letters];
    }
    signature.split(' ').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_says_name_type_and_parameters() {
        let word = |kind, signature| Word {
            kind,
            name: name(kind, signature),
            of: of(signature),
            signature,
            doc: "",
            example: "",
            topic: "",
        };
        let format = word(
            WordKind::Method,
            "Timestamp.format(pattern: text, zone?: text | ()) -> text",
        );
        assert_eq!((format.name, format.of), ("format", Some("Timestamp")));
        let parameters = format.parameters().unwrap();
        assert_eq!(
            (parameters[0].name, parameters[0].types),
            ("pattern", "text")
        );
        assert_eq!(
            (parameters[1].types, parameters[1].optional),
            ("text | ()", true)
        );
        let now = word(WordKind::Function, "now() -> Timestamp");
        assert_eq!((now.name, now.of), ("now", None));
        assert_eq!(now.parameters(), Some(Vec::new()));
        let due = word(WordKind::Field, "Task.due_at: Timestamp | ()");
        assert_eq!(
            (due.name, due.of, due.parameters()),
            ("due_at", Some("Task"), None)
        );
        for (signature, operator) in [
            ("Timestamp + Duration -> Timestamp", "+"),
            ("-Duration -> Duration", "-"),
            ("!bool -> bool", "!"),
            ("any in list -> bool", "in"),
            ("int .. int -> range", ".."),
        ] {
            assert_eq!(name(WordKind::Operator, signature), operator, "{signature}");
        }
    }
}
