//! Golden files: each script here has beside it, in a file of the same name ending in
//! `.expected`, everything that is said of it. `UPDATE_EXPECTED=1` writes them anew; what they say
//! is then to be read like prose, because that is what the author of a rule reads.

use crate::support::World;
use smarttasks_model::Trigger;
use smarttasks_rules::{Diagnostic, Severity, header_fields};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn scripts() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/diagnostics");
    let mut found: Vec<_> = fs::read_dir(here)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "rhai"))
        .collect();
    found.sort();
    found
}

/// In a workspace whose members are Ann and Bob and whose endpoint is `ops`.
pub fn analysed(world: &World, script: &str) -> Vec<Diagnostic> {
    let triggers: Vec<Trigger> = match header_fields(script).unwrap().remove("triggers") {
        Some(triggers) => serde_json::from_value(triggers).unwrap(),
        None => Vec::new(),
    };
    let mut analysis = world.language.analyse(script, &triggers);
    analysis.check_references(&["ops".to_owned()], &[world.ann.clone(), world.bob.clone()]);
    analysis.diagnostics
}

pub fn written(found: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in found {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place = match (diagnostic.line, diagnostic.column) {
            (Some(line), Some(column)) => format!("{line}:{column}"),
            _ => "script".to_owned(),
        };
        let (code, message) = (diagnostic.code, &diagnostic.message);
        writeln!(text, "{place} {severity} {code}: {message}").unwrap();
        if let Some(hint) = &diagnostic.hint {
            writeln!(text, "    {hint}").unwrap();
        }
    }
    if text.is_empty() {
        text.push_str("nothing\n");
    }
    text
}

#[test]
fn every_script_has_the_findings_that_stand_beside_it() {
    let world = World::new();
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = String::new();
    for path in scripts() {
        let script = fs::read_to_string(&path).unwrap();
        let found = written(&analysed(&world, &script));
        let expected = path.with_extension("expected");
        if update {
            fs::write(&expected, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if found != expected {
            let name = path.file_name().unwrap().to_string_lossy();
            writeln!(wrong, "{name}\nexpected:\n{expected}found:\n{found}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_code_is_shown_by_a_script() {
    // These two take more text than a file for people should have.
    let mut shown: BTreeSet<String> = ["limit_source", "limit_literal"].map(str::to_owned).into();
    for path in scripts() {
        let expected = fs::read_to_string(path.with_extension("expected")).unwrap();
        for line in expected.lines().filter(|line| !line.starts_with(' ')) {
            let code = line.split_once(": ").map(|(head, _)| head);
            shown.extend(
                code.and_then(|head| head.split(' ').nth(2))
                    .map(str::to_owned),
            );
        }
    }
    let all: BTreeSet<String> = Diagnostic::CODES
        .iter()
        .map(|code| (*code).to_owned())
        .collect();
    assert_eq!(shown, all);
    assert!(scripts().len() >= 60);
}

#[test]
fn a_script_that_is_too_long_is_told_so() {
    let world = World::new();
    let long = analysed(&world, &"log(1);".repeat(3_000));
    assert_eq!(long[0].code, "limit_source");
    assert!(long[0].hint.is_some());
    let list = format!("log([{}]);", "1,".repeat(4_100));
    let found = analysed(&world, &list);
    assert_eq!(
        (found[0].code, found[0].message.as_str()),
        ("limit_literal", "this list has more than 4096 values")
    );
}

#[test]
fn every_finding_says_what_to_do() {
    let world = World::new();
    for path in scripts() {
        for found in analysed(&world, &fs::read_to_string(&path).unwrap()) {
            assert!(found.hint.is_some(), "{}: {found:?}", path.display());
            assert!(found.message.len() > 10, "{}: {found:?}", path.display());
        }
    }
}
