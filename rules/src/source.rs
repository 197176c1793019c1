//! Where the parts of a condition stand in the source. The syntax tree knows where an expression
//! has its places, not where it ends; the text that its author wrote ends where the next part
//! begins.

use crate::analysis::walk::{self, Node};
use rhai::{Expr, Position};

/// The number of the byte at a place.
pub(crate) fn offset(source: &str, at: Position) -> Option<usize> {
    let line = at.line()?.checked_sub(1)?;
    let start = match line {
        0 => 0,
        _ => source.match_indices('\n').nth(line - 1)?.0 + 1,
    };
    let column = at.position().unwrap_or(1).checked_sub(1)?;
    let rest = &source[start..];
    let within = rest.char_indices().map(|(at, _)| at).nth(column);
    Some(start + within.unwrap_or(rest.len()))
}

/// Where an expression begins: the least of its places. That of an operator is its sign.
pub(crate) fn start(expr: &Expr) -> Position {
    let mut least = Position::NONE;
    walk::expr(expr, &mut |node| {
        let at = match node {
            Node::Expr(expr) => expr.position(),
            Node::Stmt(_) => Position::NONE,
        };
        if !at.is_none() && (least.is_none() || at < least) {
            least = at;
        }
    });
    least
}

/// What stands between two places, without the signs and brackets that belong to its surroundings.
pub(crate) fn between(source: &str, from: usize, to: usize) -> String {
    let mut text = source.get(from..to).unwrap_or_default();
    loop {
        let shorter = text.trim_end();
        let shorter = ["&&", "||"]
            .iter()
            .find_map(|sign| shorter.strip_suffix(sign))
            .unwrap_or(shorter);
        let shorter = match surplus(shorter) {
            0 => shorter,
            1.. => shorter.strip_suffix('(').unwrap_or(shorter),
            _ => shorter.strip_suffix(')').unwrap_or(shorter),
        };
        if shorter.len() == text.len() {
            break;
        }
        text = shorter;
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How many brackets are opened and not closed; texts within quotes left out.
fn surplus(text: &str) -> i32 {
    let (mut open, mut quote) = (0, None);
    for letter in text.chars() {
        match (quote, letter) {
            (None, '"' | '`' | '\'') => quote = Some(letter),
            (Some(of), letter) if of == letter => quote = None,
            (None, '(') => open += 1,
            (None, ')') => open -= 1,
            _ => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_in_lines_with_letters_of_several_bytes() {
        let source = "é\nä = ö;\n";
        assert_eq!(offset(source, Position::new(1, 1)), Some(0));
        assert_eq!(offset(source, Position::new(2, 1)), Some(3));
        assert_eq!(offset(source, Position::new(2, 5)), Some(8));
        assert_eq!(offset(source, Position::NONE), None);
    }

    #[test]
    fn what_belongs_to_the_surroundings_is_left_out() {
        let whole = |text: &str| between(text, 0, text.len());
        assert_eq!(whole("a > 1 && "), "a > 1");
        assert_eq!(whole("f(a) || ("), "f(a)");
        assert_eq!(whole("a > 1) && "), "a > 1");
        assert_eq!(whole("f(\")\")) "), "f(\")\")");
        assert_eq!(whole("a\n    > 1"), "a > 1");
    }
}
