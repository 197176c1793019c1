use super::super::finding::Finding;
use super::*;
use serde_json::json;
use smarttasks_rules::parse_rule_file;

const PRUNE: Wish = Wish {
    prune: true,
    enable: false,
};

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

fn shown(plan: &Plan) -> String {
    let mut out = Vec::new();
    plan.show(&mut out).unwrap();
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
    let plan = Plan::of(files(), there.to_vec(), Wish::default());
    assert!(!plan.is_empty());
    assert_eq!(
        shown(&plan),
        "create     \"New\" (a.rhai)\nchange     \"Other\" (a.rhai): script\n\
         --- version 3 on the server\n+++ a.rhai\n@@ -1,3 +1,3 @@\n //! name = \"Other\"\n \
         //! triggers = [{ due = \"-24h\" }]\n-log(2);\n\\ No newline at end of file\n+log(1);\n\
         \\ No newline at end of file\nonly there \"Gone\"\n\
         what is only there stays, and runs on if it is enabled: so a rule that was given \
         another name would run twice; --prune deletes it\n\
         1 to create, 1 to change, 1 only on the server, 1 unchanged\n"
    );
    let plan = Plan::of(files(), there.to_vec(), PRUNE);
    assert_eq!(plan.delete.len(), 1);
    let told = shown(&plan);
    assert!(
        told.contains("delete     \"Gone\"\nwhat is new is created first; if"),
        "{told}"
    );

    // The file of the rule that seems to be gone may be the one that cannot be read.
    let mut unread = files();
    unread.broken = vec![Finding::of_file(Path::new("b.rhai"), "header", "is wrong")];
    let plan = Plan::of(unread, there.to_vec(), PRUNE);
    assert!(plan.delete.is_empty());
    let told = shown(&plan);
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
    let plan = Plan::of(files, vec![there], PRUNE);
    assert!(plan.is_empty());
    assert_eq!(shown(&plan), "1 unchanged\n");
}

#[test]
fn what_the_system_has_disabled_is_not_enabled_as_it_is_unless_that_is_wanted() {
    let here = source("Poll", "log(1);");
    let mut there = rule(&file(&here).spec);
    there.spec.enabled = false;
    there.disabled_reason = Some("10 failures\u{1b}".to_owned());
    let plan = |source: &str, enable| {
        let files = RuleFiles {
            rules: vec![file(source)],
            broken: Vec::new(),
        };
        let wish = Wish {
            prune: true,
            enable,
        };
        Plan::of(files, vec![there.clone()], wish)
    };
    let left = plan(&here, false);
    assert!(left.is_empty());
    assert_eq!(
        shown(&left),
        "left       \"Poll\" (a.rhai): disabled by SmartTasks: 10 failures\\u{1b}\n\
         what SmartTasks has disabled stays so until its file is changed; --enable enables it\n\
         1 disabled by SmartTasks, 0 unchanged\n"
    );
    let enabled = "it is enabled again; it was disabled by SmartTasks: 10 failures";
    let mended = here.replace("log(1)", "log(2)");
    for (source, enable, fields) in [
        (&here, true, &["enabled"][..]),
        (&mended, false, &["enabled", "script"]),
    ] {
        let plan = plan(source, enable);
        assert_eq!(plan.change[0].fields, fields);
        let told = shown(&plan);
        assert!(told.contains(enabled), "{told}");
    }
    // The file says what the system has done.
    let agreed = plan(&source("Poll", "//! enabled = false\nlog(1);"), false);
    assert_eq!(shown(&agreed), "1 unchanged\n");
}

#[test]
fn what_a_person_has_disabled_is_what_the_file_says_again() {
    let here = file(&source("Poll", "log(1);"));
    let mut there = rule(&here.spec);
    there.spec.enabled = false;
    let files = RuleFiles {
        rules: vec![here],
        broken: Vec::new(),
    };
    let plan = Plan::of(files, vec![there], Wish::default());
    assert_eq!(plan.change[0].fields, ["enabled"]);
}
