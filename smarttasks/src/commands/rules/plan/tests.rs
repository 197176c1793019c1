use super::super::finding::Finding;
use super::*;
use serde_json::json;
use smarttasks_rules::parse_rule_file;

fn file(source: &str) -> RuleFile {
    RuleFile {
        path: "a.rhai".into(),
        spec: parse_rule_file(source).unwrap(),
    }
}

fn rule(spec: &RuleSpec) -> RemoteRule {
    let mut fields = serde_json::to_value(spec).unwrap();
    fields["id"] = json!("0193a1b2-0000-7000-8000-000000000001");
    fields["version"] = json!(3);
    // What else the API says of a rule.
    fields["stats"] = json!({ "matches": 1 });
    serde_json::from_value(fields).unwrap()
}

fn source(name: &str, rest: &str) -> String {
    format!("//! name = \"{name}\"\n//! triggers = [{{ due = \"-24h\" }}]\n{rest}")
}

fn fields(file: &str, rule: &RuleSpec) -> Vec<&'static str> {
    differing(&parse_rule_file(file).unwrap(), rule)
}

fn shown(plan: &Plan, prune: bool) -> String {
    let mut out = Vec::new();
    plan.show(prune, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn what_the_server_makes_of_a_file_is_no_difference() {
    let source = source(" Chase ", "//! description = \"  \"\nlog(1);");
    // As the server stores it: trimmed, with every field said, and 24h written as 1d.
    let stored: RuleSpec = serde_json::from_value(json!({
        "name": "Chase", "description": "", "enabled": true, "triggers": [{ "due": "-1d" }],
        "script": source, "repeat": "once", "hold": null, "overlap": "skip", "misfire": "last",
    }))
    .unwrap();
    assert_eq!(fields(&source, &stored), [""; 0]);
}

#[test]
fn every_field_that_differs_is_named() {
    let there = parse_rule_file(&source("n", "log(1);")).unwrap();
    for (header, name) in [
        ("description = 'd'", "description"),
        ("enabled = false", "enabled"),
        ("repeat = 'always'", "repeat"),
        ("hold = '1h'", "hold"),
        ("overlap = 'restart'", "overlap"),
        ("misfire = 'skip'", "misfire"),
    ] {
        let here = source("n", &format!("//! {header}\nlog(1);"));
        assert_eq!(fields(&here, &there), [name, "script"]);
    }
    let triggers = source("n", "log(1);").replace("-24h", "0");
    assert_eq!(fields(&triggers, &there), ["triggers", "script"]);
    assert_eq!(fields(&source("n", "log(2);"), &there), ["script"]);
    let comment = source("n", "//! # why\nlog(1);");
    assert_eq!(fields(&comment, &there), ["script"]);
}

#[test]
fn a_rule_without_a_header_differs_from_its_file_only_in_what_follows_the_header() {
    let here = source("n", "log(1);");
    let there = RuleSpec {
        script: "log(1);".to_owned(),
        ..parse_rule_file(&here).unwrap()
    };
    assert_eq!(fields(&here, &there), [""; 0]);
    assert_eq!(
        fields(&here.replace("log(1)", "log(2)"), &there),
        ["script"]
    );
    assert_eq!(fields(&format!("{here}\n"), &there), ["script"]);
    // Changed on the server without its header, and pulled.
    let there = RuleSpec {
        enabled: false,
        ..parse_rule_file(&here).unwrap()
    };
    assert_eq!(fields(&here, &there), ["enabled"]);
    assert_eq!(fields(&rule_file(&there), &there), [""; 0]);
}

#[test]
fn rules_and_files_are_matched_by_name() {
    let there = ["Same", "Other", "Gone"].map(|name| {
        let rest = if name == "Other" {
            "log(2);"
        } else {
            "log(1);"
        };
        rule(&file(&source(name, rest)).spec)
    });
    let files = || RuleFiles {
        rules: ["Same", "Other", "New"]
            .map(|name| file(&source(name, "log(1);")))
            .into(),
        broken: Vec::new(),
    };
    let plan = Plan::of(files(), there.to_vec(), false);
    assert!(!plan.is_empty());
    assert_eq!(
        shown(&plan, false),
        "create     \"New\" (a.rhai)\nchange     \"Other\" (a.rhai): script\n\
         --- version 3 on the server\n+++ a.rhai\n@@ -1,3 +1,3 @@\n //! name = \"Other\"\n \
         //! triggers = [{ due = \"-24h\" }]\n-log(2);\n\\ No newline at end of file\n+log(1);\n\
         \\ No newline at end of file\nonly there \"Gone\"\n\
         1 to create, 1 to change, 1 only on the server, 1 unchanged\n"
    );
    let plan = Plan::of(files(), there.to_vec(), true);
    assert_eq!(plan.delete.len(), 1);
    let told = shown(&plan, true);
    assert!(told.contains("delete     \"Gone\"\n1 to create"), "{told}");

    // The file of the rule that seems to be gone may be the one that cannot be read.
    let mut unread = files();
    unread.broken = vec![Finding::of_file(Path::new("b.rhai"), "header", "is wrong")];
    let plan = Plan::of(unread, there.to_vec(), true);
    assert!(plan.delete.is_empty());
    let told = shown(&plan, true);
    assert!(
        told.starts_with("b.rhai: error[header]: is wrong\n"),
        "{told}"
    );
    assert!(told.contains("nothing is deleted"), "{told}");
    assert!(told.contains("1 not to be read"), "{told}");
}

#[test]
fn without_a_difference_there_is_nothing_to_do() {
    let here = file(&source("n", "log(1);"));
    let there = rule(&here.spec);
    let files = RuleFiles {
        rules: vec![here],
        broken: Vec::new(),
    };
    let plan = Plan::of(files, vec![there], true);
    assert!(plan.is_empty());
    assert_eq!(shown(&plan, true), "1 unchanged\n");
}
