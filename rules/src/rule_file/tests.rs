use super::*;

fn spec(fields: Value) -> RuleSpec {
    serde_json::from_value(fields).unwrap()
}

fn wrong_at(source: &str) -> (usize, usize) {
    let error = parse_rule_file(source).unwrap_err();
    let place = error.place.unwrap_or_else(|| panic!("{error:?}"));
    (place.line, place.column)
}

/// What the file of a rule means must be the rule.
fn written(rule: &RuleSpec) -> String {
    let file = rule_file(rule);
    let read = parse_rule_file(&file).unwrap_or_else(|error| panic!("{error:?} in\n{file}"));
    assert_eq!(read.script, file);
    let script = rule.script.clone();
    assert_eq!(RuleSpec { script, ..read }, *rule, "{file}");
    assert_eq!(script_body(&file), script_body(&rule.script));
    file
}

#[test]
fn a_file_is_its_header_and_whole_its_script() {
    let source = "//! name = \"Chase\"\n//! triggers = [{ event = \"task.overdue\" }]\nemail(task.owner, \"a\", \"b\");\n";
    let rule = parse_rule_file(source).unwrap();
    assert_eq!(rule.name, "Chase");
    assert!(rule.enabled);
    assert_eq!(rule.script, source);
    assert!(
        matches!(&rule.triggers[..], [Trigger::Event(event)] if event.as_str() == "task.overdue")
    );
    assert_eq!(script_body(source), "email(task.owner, \"a\", \"b\");\n");
}

#[test]
fn a_script_without_a_header_sets_no_field() {
    let script = "// a comment\nlog(1);";
    assert!(header_fields(script).unwrap().is_empty());
    assert_eq!(script_body(script), script);
    let error = parse_rule_file(script).unwrap_err();
    assert!(
        error.to_string().contains("begin the file with"),
        "{error:?}"
    );
}

#[test]
fn a_broken_header_says_its_place() {
    let error = header_fields("//! name = \"Chase\"\n//! triggers = [\nlog(1);").unwrap_err();
    let place = error.place.unwrap();
    assert_eq!(place.line, 2, "{error:?}");
    let triggers = "//! triggers = [{ due = \"0\" }]\n";
    for (source, place) in [
        ("//! name = 5\n//! triggers = []", (1, 12)),
        ("//! name = \"n\"\n  //! triggers = 5", (2, 18)),
        ("\u{feff}//! name = ", (1, 12)),
        (&format!("{triggers}//! name = \"ü\" x"), (2, 16)),
        (&format!("{triggers}//! nam = \"n\""), (2, 5)),
        (&format!("{triggers}\r\n"), (1, 4)),
        (
            "//! name = \"n\"\n//! triggers = [\n//!   { due = \"soon\" },\n//! ]",
            (3, 15),
        ),
        ("//! name = \"n\"\n//! triggers = [{}]", (2, 16)),
    ] {
        assert_eq!(wrong_at(source), place, "{source}");
    }
}

#[test]
fn a_header_cannot_set_what_is_not_the_authors() {
    for field in ["script", "version", "workspace_id", "colour"] {
        let source = format!("//! name = \"n\"\n//! {field} = \"x\"\n//! triggers = []");
        let error = parse_rule_file(&source).unwrap_err();
        assert!(error.message.contains(field), "{error:?}");
    }
}

#[test]
fn what_a_pointer_names_is_found_as_far_as_the_header_holds_it() {
    let source = "//! name = \"n\"\n//! triggers = [\n//!     { due = \"0\" },\n//!     { cron = \"x\" },\n//! ]\n";
    let place = |pointer| header_place(source, pointer).map(|at| (at.line, at.column));
    assert_eq!(place("/name"), Some((1, 5)));
    assert_eq!(place("/triggers/1/cron"), Some((4, 11)));
    assert_eq!(place("/triggers/1"), Some((4, 9)));
    assert_eq!(place("/triggers/7/cron"), Some((2, 5)));
    assert_eq!(place("/hold"), None);
    assert_eq!(place(""), None);
}

#[test]
fn a_rule_whose_header_says_what_it_is_is_written_as_it_is() {
    for source in [
        "//! name = \" Chase \"\n//! # why\n//! triggers = [{ due = \"0\" }]\n\nlog(1);",
        "\u{feff}//! triggers = [{ due = \"0\" }]\r\n//! name = 'Chase'\r\nlog(1);\r\n",
        "//! name = \"\"\"\n//! C\"\"\"\n//! triggers = []\n",
    ] {
        let rule = parse_rule_file(source).unwrap();
        assert_eq!(written(&rule), source);
    }
}

#[test]
fn a_rule_without_a_header_gets_one_that_says_only_what_must_be_said() {
    let rule = spec(serde_json::json!({
        "name": "Chase",
        "triggers": [{ "event": "task.overdue" }],
        "script": "// why\nlog(1);",
    }));
    let expected =
        "//! name     = \"Chase\"\n//! triggers = [{ event = \"task.overdue\" }]\n// why\nlog(1);";
    assert_eq!(written(&rule), expected);
    let rule = spec(serde_json::json!({
        "name": "Chase", "description": "All\nof \"it\".", "enabled": false, "repeat": "24h",
        "hold": "30m", "overlap": "restart", "misfire": "all", "script": "log(1);\r\n",
        "triggers": [
            { "cron": "@daily" },
            { "cron": "0 9 * * *", "timezone": "Europe/Berlin", "for_each": "once" },
            { "due": "-24h" },
        ],
    }));
    let file = written(&rule);
    assert_eq!(file.lines().count(), 13, "{file}");
    assert!(
        file.lines().all(|line| !line.ends_with('\r')) && file.matches("\r\n").count() == 13,
        "{file:?}"
    );
    assert!(
        file.contains("//! description = \"All\\nof \\\"it\\\".\"\r\n"),
        "{file}"
    );
    for trigger in [
        "{ cron = \"@daily\" }",
        "{ cron = \"0 9 * * *\", timezone = \"Europe/Berlin\", for_each = \"once\" }",
    ] {
        let line = format!("//!     {trigger},\r\n");
        assert!(file.contains(&line), "{file}");
    }
}

#[test]
fn a_header_that_says_something_else_is_replaced_and_its_comments_stay() {
    let script = "//! # by Ann\n//! name = \"Old\"\n//!\n//! triggers = [{ due = \"0\" }]\n\n//! no header\nlog(1);";
    let rule = RuleSpec {
        name: "New".to_owned(),
        ..parse_rule_file(script).unwrap()
    };
    let expected = "//! # by Ann\n//! name     = \"New\"\n//! triggers = [{ due = \"0\" }]\n\n//! no header\nlog(1);";
    assert_eq!(written(&rule), expected);
    let several =
        "//! description = '''\n//! # no comment'''\n//! name = \"n\"\n//! triggers = []\n";
    let rule = RuleSpec {
        enabled: false,
        ..parse_rule_file(several).unwrap()
    };
    assert!(!written(&rule).contains("//! #"), "{}", rule_file(&rule));
}

#[test]
fn any_text_is_written_so_that_it_is_read_again() {
    for text in [
        "\"quoted\" 'and' \\ back",
        "a\ttab, a\nline, a\r\nline",
        "bell \u{7} delete \u{7f} next line \u{85} separator \u{2028}",
        "//! name = \"x\"",
        "grüße 漢字 🦀 \u{202e}",
        "\"\"\" ''' # [x] {y} = z",
    ] {
        for script in [
            "log(1);",
            "\u{feff}log(1);\n",
            "",
            "\n//! x\n",
            "// a\r\nlog(1);",
        ] {
            written(&spec(serde_json::json!({
                "name": text.trim(), "description": text.trim(), "triggers": [{ "due": "0" }],
                "script": script,
            })));
        }
    }
}
