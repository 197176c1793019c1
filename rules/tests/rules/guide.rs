//! The guide to rules: every script in it is analysed and run.

use crate::diagnostics::{analysed, written};
use crate::support::World;
use smarttasks_model::EventData;
use smarttasks_rules::{RuleTests, check_rule, header_fields, parse_rule_file};

const GUIDE: &str = include_str!("../../../docs/rules.md");

/// A fenced block: what it says of itself, and what it holds.
struct Block {
    kind: &'static str,
    text: &'static str,
}

fn blocks() -> Vec<Block> {
    blocks_of(GUIDE)
}

fn blocks_of(text: &'static str) -> Vec<Block> {
    text.split("\n```")
        .skip(1)
        .step_by(2)
        .map(|block| {
            let (kind, text) = block.split_once('\n').unwrap();
            Block { kind, text }
        })
        .collect()
}

fn of_kind(kind: &str) -> Vec<&'static str> {
    let found: Vec<_> = blocks()
        .into_iter()
        .filter(|block| block.kind == kind)
        .map(|block| block.text)
        .collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

/// The fixture's world; for a rule that waits for other things, as they would be then.
fn world_for(script: &str) -> World {
    let world = World::new();
    let triggers = header_fields(script)
        .unwrap()
        .remove("triggers")
        .unwrap_or_default()
        .to_string();
    let world = if triggers.contains("ci.failed") {
        world.with_event(|event| {
            event.kind = "ci.failed".parse().unwrap();
            event.data = EventData::Custom(serde_json::json!({ "branch": "main" }));
        })
    } else {
        world
    };
    if triggers.contains("once") || triggers.contains("ci.failed") {
        let mut world = world;
        world.inputs.task = None;
        return world;
    }
    world
}

#[test]
fn every_script_of_the_guide_is_without_a_finding_and_runs() {
    for script in of_kind("rhai") {
        let world = world_for(script);
        assert_eq!(written(&analysed(&world, script)), "nothing\n", "{script}");
        let outcome = world.walk(script);
        assert_eq!(outcome.error, None, "{script}");
        if script.starts_with("//!") {
            let rule = parse_rule_file(script).unwrap();
            assert_eq!(check_rule(&rule, world.language.limits()), [], "{script}");
        } else {
            assert_ne!(outcome.actions, [], "it shows what it does: {script}");
        }
    }
}

#[test]
fn what_the_guide_says_is_wrong_has_the_findings_that_follow_it() {
    let world = World::new();
    let blocks = blocks();
    let mut shown = 0;
    for pair in blocks.windows(2) {
        if pair[0].kind == "rhai wrong" {
            assert_eq!(pair[1].kind, "text", "{}", pair[0].text);
            let found = written(&analysed(&world, pair[0].text));
            assert_eq!(found.trim_end(), pair[1].text, "{}", pair[0].text);
            shown += 1;
        }
    }
    assert_eq!(shown, of_kind("rhai wrong").len());
}

#[test]
fn the_tests_of_the_guide_are_those_of_the_rule_before_them() {
    let blocks = blocks();
    let mut shown = 0;
    for pair in blocks.windows(2) {
        if pair[1].kind == "toml" {
            let rule = parse_rule_file(pair[0].text).unwrap();
            let tests = RuleTests::parse(pair[1].text).unwrap();
            for result in tests.run(&World::new().language, &rule).unwrap() {
                assert_eq!(result.differences, [""; 0], "{}", result.name);
                shown += 1;
            }
        }
    }
    assert!(shown > 0);
}

/// The guide to rules that wait: rules, each followed by its tests.
const WORKFLOWS: &str = include_str!("../../../docs/workflows.md");

#[test]
fn the_workflows_of_the_guide_do_what_their_tests_say() {
    let blocks = blocks_of(WORKFLOWS);
    let world = World::new();
    let mut rules = 0;
    for pair in blocks.windows(2) {
        if pair[0].kind != "rhai" {
            continue;
        }
        rules += 1;
        assert_eq!(pair[1].kind, "toml", "{}", pair[0].text);
        let rule = parse_rule_file(pair[0].text).unwrap();
        assert_eq!(check_rule(&rule, world.language.limits()), []);
        let found = written(&analysed(&world, pair[0].text));
        assert_eq!(found, "nothing\n", "{}", rule.name);
        let analysis = world.language.analyse(&rule.script, &rule.triggers);
        assert!(analysis.suspends, "{}", rule.name);
        let tests = RuleTests::parse(pair[1].text).unwrap();
        for result in tests.run(&world.language, &rule).unwrap() {
            assert_eq!(
                result.differences, [""; 0],
                "{}: {}",
                rule.name, result.name
            );
        }
    }
    assert_eq!(rules, 5);
}
