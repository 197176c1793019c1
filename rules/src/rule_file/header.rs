//! The leading `//!` lines of a script, as TOML that remembers where it stood.

use toml::de::{DeTable, DeValue};

/// The comment that a header is made of.
pub(super) const MARK: &str = "//!";
/// What some editors put before the first line, unseen.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// A place in a file: line and column, from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The header of a script, and the rest.
pub(super) struct Header<'s> {
    /// The TOML, a line of it for each line of the header.
    pub(super) toml: String,
    /// How many characters stand before the TOML of each line.
    indents: Vec<usize>,
    /// What follows the header.
    pub(super) body: &'s str,
}

impl<'s> Header<'s> {
    pub(super) fn of(source: &'s str) -> Self {
        let source = source.strip_prefix(BYTE_ORDER_MARK).unwrap_or(source);
        let (mut toml, mut indents, mut length) = (String::new(), Vec::new(), 0);
        for line in source.split_inclusive('\n') {
            let text = line.trim_start();
            let Some(content) = text.strip_prefix(MARK) else {
                break;
            };
            indents.push(line.chars().count() - content.chars().count());
            toml.push_str(content.trim_end_matches(['\r', '\n']));
            toml.push('\n');
            length += line.len();
        }
        Self {
            toml,
            indents,
            body: &source[length..],
        }
    }

    /// The place in the file of a byte of the TOML.
    pub(super) fn place(&self, offset: usize) -> Place {
        let before = self.toml.get(..offset).unwrap_or(&self.toml);
        let line = before.matches('\n').count();
        let column = before.chars().rev().take_while(|c| *c != '\n').count();
        match self.indents.get(line) {
            Some(indent) => Place {
                line: line + 1,
                column: indent + column + 1,
            },
            // After its end: said of its last line.
            None => Place {
                line: self.indents.len().max(1),
                column: 1,
            },
        }
    }

    /// The place of what a JSON pointer names, as far as the header holds it.
    pub(super) fn place_of(&self, pointer: &str) -> Option<Place> {
        let (root, _) = DeTable::parse_recoverable(&self.toml);
        let mut names = pointer.split('/').skip(1);
        let (mut at, mut value) = entry(root.get_ref(), names.next()?)?;
        for name in names {
            let inner = match value {
                DeValue::Table(table) => entry(table, name),
                DeValue::Array(items) => name
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                    .map(|item| (item.span().start, item.get_ref())),
                _ => None,
            };
            let Some(found) = inner else { break };
            (at, value) = found;
        }
        Some(self.place(at))
    }
}

fn entry<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<(usize, &'t DeValue<'i>)> {
    table
        .iter()
        .find(|(key, _)| key.get_ref() == name)
        .map(|(key, value)| (key.span().start, value.get_ref()))
}
