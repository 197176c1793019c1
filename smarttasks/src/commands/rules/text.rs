//! What others have written, as a terminal may show it.

use similar::TextDiff;

/// Lines around a difference.
const AROUND: usize = 3;

/// Without what a terminal would act upon: scripts and names are other people's.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// What is different between two texts, as `diff -u` writes it.
pub(super) fn difference(old: (&str, &str), new: (&str, &str)) -> String {
    let difference = TextDiff::from_lines(old.1, new.1);
    let mut shown = difference.unified_diff();
    let shown = shown.context_radius(AROUND).header(old.0, new.0);
    printable(&shown.to_string())
}

/// So many of something: `1 rule`, `2 rules`.
pub(super) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_lines_their_surroundings_and_the_end_without_a_newline() {
        let old = "a\nb\nc\nd\ne\nf\n";
        let new = "a\nb\nc\nd\nE\nf";
        let shown = difference(("server", old), ("file", new));
        let expected = "--- server\n+++ file\n@@ -2,5 +2,5 @@\n b\n c\n d\n-e\n-f\n+E\n+f\n\\ No newline at end of file\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_a_terminal_would_act_upon_is_shown_instead() {
        let shown = difference(("a", "x\r\n"), ("b", "\u{1b}[2Jx\n"));
        assert!(shown.contains("-x\\r\n+\\u{1b}[2Jx\n"), "{shown:?}");
    }

    #[test]
    fn numbers_go_with_their_nouns() {
        assert_eq!(
            [0, 1, 2].map(|n| count(n, "rule")),
            ["0 rules", "1 rule", "2 rules"]
        );
    }
}
