//! The words of the language: each example does what it says.

use crate::support::World;
use smarttasks_rules::{Severity, Word, WordKind, reference};

/// The lines that an example says it writes to the log.
fn expected(example: &str) -> Vec<&str> {
    let said = example.lines().filter_map(|line| line.split_once("// "));
    said.map(|(_, said)| said).collect()
}

#[test]
fn every_example_runs_and_does_what_it_says() {
    let world = World::new();
    for Word {
        signature,
        example,
        kind,
        ..
    } in world.language.words()
    {
        let found = world.language.analyse(example, &[]).diagnostics;
        let errors: Vec<_> = found
            .iter()
            .filter(|found| found.severity == Severity::Error)
            .collect();
        assert!(errors.is_empty(), "{signature}: {errors:?}");
        let outcome = world.walk(example);
        assert_eq!(outcome.error, None, "{signature}: {example}");
        assert_eq!(outcome.log, expected(example), "{signature}: {example}");
        let does = !outcome.actions.is_empty();
        let says = !outcome.log.is_empty();
        assert!(
            does || says && *kind != WordKind::Action,
            "{signature}: {example}"
        );
    }
}

#[test]
fn every_example_speaks_of_its_word() {
    for word in World::new().language.words() {
        assert!(word.example.contains(word.name), "{}", word.signature);
    }
}

/// Rewrites the page instead when `UPDATE_DOCS` is set.
#[test]
fn the_reference_tells_of_every_word_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rule-language.md");
    let current = reference(World::new().language.words());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &current).unwrap();
    } else {
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == current,
            "docs/rule-language.md is out of date: run UPDATE_DOCS=1 cargo test -p smarttasks-rules reference"
        );
    }
}
