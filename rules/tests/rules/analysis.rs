//! What is said about a script: its log, its errors, its diagnostics; and the library.

use crate::support::World;
use serde_json::json;
use smarttasks_model::Trigger;
use smarttasks_rules::library;

#[test]
fn log_print_and_debug_are_lines_of_the_log_and_no_match() {
    let world = World::new();
    let outcome = world.run(
        "log(\"a\"); print(1 + 1); debug(HIGH); log(task); log(hours(2)); log([1, task.owner]);",
    );
    assert_eq!(outcome.error, None);
    assert_eq!(outcome.actions, []);
    assert_eq!(
        outcome.log,
        ["a", "2", "high", "Renew certificate", "2h", "[1, Bob]"]
    );
    let long = world.run("let line = \"\"; line.pad(5000, 'x'); for n in 0..10 { log(line) }");
    assert_eq!(long.log.len(), 4);
    assert_eq!(long.log[3], "… the log is full");
}

#[test]
fn a_script_that_fails_has_asked_for_nothing_and_keeps_its_log() {
    let world = World::new();
    let outcome =
        world.run("email(task.owner, \"s\", \"t\");\nlog(\"so far\");\nthrow \"no more\";");
    assert_eq!(outcome.actions, []);
    assert_eq!(outcome.log, ["so far"]);
    let error = outcome.error.unwrap();
    assert_eq!(
        (error.code.as_str(), error.message.as_str(), error.line),
        ("runtime_error", "no more", Some(3))
    );
    assert!(outcome.operations > 0);
}

#[test]
fn an_error_has_the_place_where_it_arose() {
    let world = World::new();
    let error = world.error("fn inner() {\n  let x = 1 / 0;\n}\n\n[1].for_each(|| inner());");
    assert_eq!((error.code.as_str(), error.line), ("arithmetic", Some(2)));
    let error = world.error("try { log(1 / 0) } catch (e) { throw `seen: ${e.message}` }");
    assert!(
        error.message.starts_with("seen: Division by zero"),
        "{}",
        error.message
    );
}

#[test]
fn return_ends_a_script_without_an_error() {
    let world = World::new();
    assert_eq!(
        world.actions("if task.is_open { return; } task.tag(\"x\");"),
        []
    );
}

#[test]
fn an_unknown_function_is_told_with_the_nearest_name() {
    let world = World::new();
    let found = world.refused("emial(task.owner, \"s\", \"t\");\ntask.updte(#{});\nslep(days(1));");
    let summary: Vec<_> = found
        .iter()
        .map(|found| (found.code, found.line.unwrap()))
        .collect();
    assert_eq!(
        summary,
        [
            ("unknown_function", 1),
            ("unknown_function", 2),
            ("unknown_function", 3)
        ]
    );
    assert_eq!(found[0].hint.as_deref(), Some("did you mean `email`?"));
    assert_eq!(found[1].hint.as_deref(), Some("did you mean `update`?"));
    let found = world.refused("email(task.owner, \"s\")");
    assert_eq!(found[0].code, "wrong_arguments");
    assert_eq!(
        found[0].message,
        "`email` does not take 2 arguments; it takes 1 or 3"
    );
    assert_eq!(
        world.refused("task.comment()")[0].message,
        "`task.comment` does not take 0 arguments; it takes 1"
    );
    // A closure under a key of a map is no unknown function, nor is one of the script's own.
    world.actions("let m = #{ greet: |n| n + 1 }; log(m.greet(1)); fn twice(x) { x * 2 } log(twice(2)); fn me() { this } log(5.me());");
}

#[test]
fn a_captured_variable_is_told_from_a_slip_of_the_finger() {
    let world = World::new();
    let found = &world.refused("let limit = 3;\nlog([1, 5].filter(|x| x > limit));")[0];
    assert_eq!(
        (found.code, found.line, found.column),
        ("captured_variable", Some(2), Some(27))
    );
    assert!(found.hint.as_ref().unwrap().contains(".curry(limit)"));
    let found = &world.refused("let limit = 3; fn big(x) { x > limit } log(big(5));")[0];
    assert_eq!(found.code, "captured_variable");
    let found = &world.refused("let limit = 3;\nlog(limt);")[0];
    assert_eq!((found.code, found.line), ("unknown_variable", Some(2)));
    assert_eq!(found.hint.as_deref(), Some("did you mean `limit`?"));
    assert_eq!(
        world.refused("log(taks.title)")[0].hint.as_deref(),
        Some("did you mean `task`?")
    );
    assert_eq!(
        world.refused("log([1].map(|x| y))")[0].code,
        "unknown_variable"
    );
    // The way round works.
    assert_eq!(
        world.value("let limit = 3; [1, 5].filter((|limit, x| x > limit).curry(limit))"),
        json!([5])
    );
}

#[test]
fn a_script_that_does_not_parse_says_where() {
    let world = World::new();
    for (script, code, line) in [
        ("if task.is_open {", "syntax", 1),
        ("let x = ;", "syntax", 1),
        ("\n\nlet x = 5 5;", "syntax", 3),
        ("log(\"open", "syntax", 1),
        ("eval(\"1\")", "no_eval", 1),
        ("let f = Fn(\"eval\"); import \"x\" as y;", "syntax", 1),
        (
            "switch task.priority { HIGH => log(1) }",
            "switch_literal",
            1,
        ),
    ] {
        let found = &world.refused(script)[0];
        assert_eq!(
            (found.code, found.line),
            (code, Some(line)),
            "{script}: {}",
            found.message
        );
        assert!(!found.message.is_empty());
    }
}

#[test]
fn a_byte_order_mark_and_a_documentation_comment_are_no_errors() {
    let world = World::new();
    assert_eq!(world.run("\u{feff}log(1);").log, ["1"]);
    assert_eq!(
        world
            .run("/// about f\nfn f() { 1 }\n//! odd\nlog(f());")
            .log,
        ["1"]
    );
}

#[test]
fn analysis_names_the_actions_and_warns_of_what_does_nothing() {
    let world = World::new();
    let analyse = |script: &str| world.language.analyse(script, &[]);
    let analysis = analyse(
        "if task.is_open { email(task.owner, \"s\", \"t\"); task.tag(\"x\"); } fn f() { emit(\"a.b\", 1); webhook(\"w\", 1) } f(); create_task(#{ title: \"x\" });",
    );
    assert_eq!(
        analysis.actions,
        ["create_task", "email", "emit", "task.tag", "webhook"]
    );
    assert_eq!(analysis.diagnostics, []);
    assert!(!analysis.suspends);
    let codes = |script: &str| -> Vec<_> {
        analyse(script)
            .diagnostics
            .iter()
            .map(|found| found.code)
            .collect()
    };
    assert_eq!(codes("log(1)"), ["no_action"]);
    assert_eq!(
        codes("email(task.assignee, \"s\", \"t\")"),
        ["absent_recipient"]
    );
    assert_eq!(
        codes("return;\nemail(task.owner, \"s\", \"t\")"),
        ["unreachable_code"]
    );
    assert_eq!(codes("loop { break task.tag(\"x\"); }"), [] as [&str; 0]);
    assert_eq!(
        codes("if task.titel == 1 { task.tag(\"x\") }"),
        ["unknown_field"]
    );
    assert_eq!(codes("let x = ;"), ["syntax"]);
    let once: Vec<Trigger> =
        serde_json::from_value(json!([{ "cron": "@daily", "for_each": "once" }])).unwrap();
    let analysis = world
        .language
        .analyse("email(\"a@b.c\", task.title, \"t\")", &once);
    assert_eq!(analysis.diagnostics[0].code, "no_task");
}

#[test]
fn a_diagnostic_is_json_as_the_api_shows_it() {
    let found = &World::new().refused("log(taks)")[0];
    assert_eq!(
        serde_json::to_value(found).unwrap(),
        json!({
            "severity": "error", "code": "unknown_variable", "line": 1, "column": 5,
            "message": "there is no variable `taks`", "hint": "did you mean `task`?",
        })
    );
}

#[test]
fn the_longest_task_that_there_may_be_fits_into_a_starter_mail() {
    let world = World::new().with_task(|task| {
        task.title = "🦀".repeat(500);
        task.description = "🦀".repeat(20_000);
    });
    for rule in library().iter().filter(|rule| rule.starter) {
        assert_eq!(world.actions(rule.source).len(), 1, "{}", rule.key);
    }
}

#[test]
fn a_rule_is_checked_with_pointers_to_what_is_wrong() {
    let spec = serde_json::from_value(json!({
        "name": " ", "script": "", "hold": "-1h",
        "triggers": [{ "event": "task.created" }, { "cron": "0 9 * * FUN" }],
    }))
    .unwrap();
    let limits = smarttasks_rules::Limits::default();
    let pointers: Vec<_> = smarttasks_rules::check_rule(&spec, &limits)
        .into_iter()
        .map(|wrong| wrong.pointer)
        .collect();
    assert_eq!(pointers, ["/name", "/triggers/1/cron", "/hold", "/script"]);
    let spec = serde_json::from_value(
        json!({ "name": "x", "script": "x".repeat(16 * 1024 + 1), "triggers": [] }),
    )
    .unwrap();
    let pointers: Vec<_> = smarttasks_rules::check_rule(&spec, &limits)
        .into_iter()
        .map(|wrong| wrong.pointer)
        .collect();
    assert_eq!(pointers, ["/triggers", "/script"]);
}
