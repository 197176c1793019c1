//! The library of rules, by the tests beside them.

use crate::support::World;
use smarttasks_rules::{RuleTests, check_rule, library};
use std::collections::BTreeSet;

#[test]
fn every_rule_of_the_library_does_what_its_tests_say() {
    let language = World::new().language;
    let mut wrong = Vec::new();
    for rule in library() {
        let spec = rule.spec().unwrap();
        let tests = RuleTests::parse(rule.tests)
            .unwrap_or_else(|error| panic!("{}.test.toml: {error}", rule.key));
        let results = tests
            .run(&language, &spec)
            .unwrap_or_else(|found| panic!("{}.rhai: {found:?}", rule.key));
        for result in results {
            for difference in result.differences {
                wrong.push(format!("{}, {}: {difference}", rule.key, result.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_of_the_library_is_shown_to_match_and_not_to_match() {
    for rule in library() {
        let file: toml::Table = rule.tests.parse().unwrap();
        let expects = |some: bool| {
            file["test"].as_array().unwrap().iter().any(|test| {
                let expected = test.get("expect").or(test.get("timeline")).unwrap();
                let expected = expected.as_array().unwrap();
                expected.is_empty() != some
            })
        };
        assert!(expects(true), "{} is never shown to match", rule.key);
        // The first rule tells of every task.
        let always = rule.key == "task-created";
        assert_eq!(expects(false), !always, "{}", rule.key);
    }
}

#[test]
fn the_library_has_no_finding_and_no_name_twice() {
    let language = World::new().language;
    let mut names = BTreeSet::new();
    for rule in library() {
        let spec = rule.spec().unwrap();
        let found = language.analyse(&spec.script, &spec.triggers).diagnostics;
        assert!(found.is_empty(), "{}: {found:?}", rule.key);
        assert_eq!(check_rule(&spec, language.limits()), [], "{}", rule.key);
        assert!(names.insert(spec.name.clone()), "{} twice", spec.name);
        assert!(!spec.description.is_empty(), "{}", rule.key);
    }
    assert!(names.len() >= 10);
}

#[test]
fn every_file_of_the_library_is_in_it() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/library");
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        files.insert(entry.unwrap().file_name().into_string().unwrap());
    }
    let known = library()
        .iter()
        .flat_map(|rule| {
            [
                format!("{}.rhai", rule.key),
                format!("{}.test.toml", rule.key),
            ]
        })
        .collect();
    assert_eq!(files, known);
}
