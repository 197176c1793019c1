//! The reference as a page, made from the register.

use super::{Word, WordKind};
use std::fmt::Write;

const INTRODUCTION: &str = "# The words of the rule language

<!-- Made from the code: UPDATE_DOCS=1 cargo test -p smarttasks-rules reference -->

Every name, field, function, action and operator that a rule's script may use, each with an
example that runs. The same list is at `GET /api/v1/rules/language`.

A signature says what a word takes and gives: `Timestamp.format(pattern: text) -> text` is called
as `now().format(\"%H:%M\")`. `|` stands between types of which any will do, `()` is an absent
value, and a parameter with `?` may be left out. A function whose first parameter is the value that
it works on may also be written behind a dot: `max(a, b)` is `a.max(b)`, and what takes nothing
else and changes nothing needs no parentheses: `list.len`. In an example, the comment behind a call
of `log` is what it writes.

The examples run on Friday, 4 December 2026, at 9:00 in Berlin. Bob's task \"Renew certificate\"
is in progress and three days overdue, Ann has just changed its title and status, and she has a
task \"Book a room\" herself.
";

/// The reference of all words, in Markdown.
pub fn reference(words: &[Word]) -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut topics: Vec<&str> = Vec::new();
    for word in words {
        if !topics.contains(&word.topic) {
            topics.push(word.topic);
        }
    }
    for topic in topics {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {topic}\n");
        for word in words.iter().filter(|word| word.topic == topic) {
            entry(&mut page, word);
        }
    }
    page
}

fn entry(page: &mut String, word: &Word) {
    let action = match word.kind {
        WordKind::Action => "Action. ",
        _ => "",
    };
    let _ = write!(
        page,
        "\n### `{}`\n\n{action}{}\n\n```rhai\n{}\n```\n",
        word.signature, word.doc, word.example
    );
}
