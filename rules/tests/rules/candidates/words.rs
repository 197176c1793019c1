//! Which predicate a script gets, in words.

use crate::support::World;
use smarttasks_rules::Candidates;

fn candidates(script: &str) -> Candidates {
    World::new().language.analyse(script, &[]).candidates
}

/// Checks scripts of one condition, before an action.
fn check(cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (condition, expected) in cases {
        let script = format!("if {condition} {{ task.tag(\"x\"); }}");
        let found = candidates(&script).predicate.to_string();
        if found != *expected {
            wrong.push(format!(
                "{condition}\n  is       {found}\n  expected {expected}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Checks whole scripts.
fn check_scripts(cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (script, expected) in cases {
        let found = candidates(script).predicate.to_string();
        if found != *expected {
            wrong.push(format!(
                "{script}\n  is       {found}\n  expected {expected}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn comparisons_of_fields_with_constants_are_understood() {
    check(&[
        ("task.status == \"todo\"", "the status is todo"),
        (
            "task.status != \"done\"",
            "the status is todo, in_progress, blocked or cancelled",
        ),
        (
            "task.status in [\"todo\", \"blocked\"]",
            "the status is todo or blocked",
        ),
        (
            "!(task.status in [\"todo\", \"blocked\"])",
            "the status is in_progress, done or cancelled",
        ),
        ("task.is_open", "the status is todo, in_progress or blocked"),
        ("!task.is_open", "the status is done or cancelled"),
        ("task.priority >= HIGH", "the priority is at least high"),
        ("HIGH > task.priority", "the priority is at most normal"),
        ("task.priority != URGENT", "the priority is at most high"),
        ("task.project == \"web\"", "the project is \"web\""),
        ("task.project != \"web\"", "the project is not \"web\""),
        (
            "(task.project ?? \"web\") == \"web\"",
            "the project is \"web\" or absent",
        ),
        ("task.title.contains(\"bug\")", "the title contains \"bug\""),
        ("\"tls\" in task.tags", "the tags contain \"tls\""),
        ("\"tls\" !in task.tags", "the tags do not contain \"tls\""),
        ("task.assignee == ()", "the assignee is absent"),
        ("task.assignee != ()", "the assignee is there"),
        (
            "task.owner.id == \"01940000-0000-7000-8000-000000000001\"",
            "the assignee is 01940000-0000-7000-8000-000000000001, or (the creator is 01940000-0000-7000-8000-000000000001, and the assignee is absent)",
        ),
        (
            "task.fields.seats > 3 && task.fields.plan == \"gold\"",
            "the field plan is \"gold\", and the field seats is more than 3",
        ),
        ("task.fields.on", "the field on is true"),
        (
            "task.fields[\"a b\"].c in [1, \"x\", ()]",
            "the field a b.c is 1, \"x\" or absent",
        ),
        (
            "task.fields.size in 1..=5",
            "the field size is at least 1 and at most 5",
        ),
    ]);
}

#[test]
fn comparisons_of_times_are_turned_round_to_now() {
    check(&[
        ("task.due_at < now()", "the deadline is before now"),
        (
            "task.due_at != () && !(task.due_at < now())",
            "the deadline is at or after now",
        ),
        ("!(task.due_at < now())", "the deadline is not before now"),
        (
            "now() - task.due_at > days(2)",
            "the deadline is before now - 2d",
        ),
        (
            "task.due_at < now() - days(2)",
            "the deadline is before now - 2d",
        ),
        (
            "task.due_at + days(2) < now()",
            "the deadline is before now - 2d",
        ),
        (
            "hours(1) >= task.due_at - now()",
            "the deadline is at or before now + 1h",
        ),
        (
            "task.is_overdue",
            "the status is todo, in_progress or blocked, and the deadline is at or before now",
        ),
        ("task.age > weeks(1)", "the creation is before now - 1w"),
        (
            "task.age <= weeks(1)",
            "the creation is at or after now - 1w",
        ),
        (
            "task.time_in_status >= days(1) * 3",
            "the last change of status is at or before now - 3d",
        ),
        (
            "task.age.days >= 7",
            "the creation is at or before now - 1w",
        ),
        ("task.age.days > 7", "the creation is at or before now - 8d"),
        (
            "task.created_at >= timestamp(\"2026-01-01T00:00:00Z\")",
            "the creation is at or after 2026-01-01T00:00:00Z",
        ),
        ("task.completed_at == ()", "the completion is absent"),
    ]);
}

#[test]
fn events_are_understood() {
    check(&[
        (
            "event.type == \"ci.failed\"",
            "the event's type is \"ci.failed\"",
        ),
        (
            "event.data.branch == \"main\"",
            "the event's branch is \"main\"",
        ),
        ("changed(\"status\")", "the event changed the status"),
        (
            "!changed(\"assignee\")",
            "the event did not change the assignee",
        ),
        (
            "changed(\"status\") && !previous.is_open && task.is_open",
            "the status is todo, in_progress or blocked, and before the event the status is done, cancelled or absent, and the event changed the status",
        ),
        ("previous == ()", "there was no task before the event"),
        ("event.actor == ()", "the event's actor is absent"),
    ]);
}

#[test]
fn each_way_through_a_script_is_followed() {
    check_scripts(&[
        (
            "if !task.is_open { return; } if task.priority == URGENT { task.tag(\"x\"); }",
            "the status is todo, in_progress or blocked, and the priority is urgent",
        ),
        (
            "if task.is_open { log(1); } else if task.project == \"web\" { task.tag(\"x\"); }",
            "the project is \"web\", and the status is done or cancelled",
        ),
        (
            "let late = now() - task.due_at; if late > days(2) { task.tag(\"x\"); }",
            "the deadline is before now - 2d",
        ),
        (
            "const late = task.due_at < now(); const high = task.priority >= HIGH; if late && high { task.tag(\"x\"); }",
            "the priority is at least high, and the deadline is before now",
        ),
        (
            "let matters = if task.project == \"web\" { task.is_open } else { false }; if matters { task.tag(\"x\"); }",
            "the project is \"web\", and the status is todo, in_progress or blocked",
        ),
        (
            "switch task.status { \"todo\" => task.tag(\"x\"), \"done\" | \"blocked\" if task.priority == LOW => task.tag(\"y\"), _ => {} }",
            "the status is todo, or (the status is blocked or done, and the priority is low)",
        ),
        (
            "switch task.status { \"todo\" | \"done\" => {} _ => { task.tag(\"x\"); } }",
            "the status is in_progress, blocked or cancelled",
        ),
        (
            "switch task.fields.seats { 1..3 => task.tag(\"x\"), 5..=9 => task.tag(\"y\") }",
            "the field seats is at least 1 and at most 3, or the field seats is at least 5 and at most 9",
        ),
        (
            "let stuck = task.time_in_status >= days(3); if !task.is_open || task.status == \"todo\" { return; } if stuck && task.priority >= HIGH && now().hour >= 9 { task.tag(\"stuck\"); }",
            "the status is in_progress or blocked, and the priority is at least high, and the last change of status is at or before now - 3d",
        ),
        (
            "if task.is_open { state.set(\"seen\", true); }",
            "the status is todo, in_progress or blocked",
        ),
        (
            "if task.is_open { sleep(days(1)); } if task.project == \"web\" { task.tag(\"x\"); }",
            "the project is \"web\", or the status is todo, in_progress or blocked",
        ),
        (
            "task.tag(\"x\"); if task.is_open { task.tag(\"y\"); }",
            "always",
        ),
        ("if task.is_open { log(\"x\"); }", "never"),
        (
            "try { if task.is_open { task.tag(\"x\"); } } catch { log(\"failed\"); }",
            "the status is todo, in_progress or blocked",
        ),
        (
            "try { if task.is_open { throw 1; } } catch { task.tag(\"x\"); }",
            "always",
        ),
        (
            "for tag in task.tags { if task.is_open { task.tag(\"x\"); break; } }",
            "the status is todo, in_progress or blocked",
        ),
        (
            "while task.is_open { task.tag(\"x\"); } ",
            "the status is todo, in_progress or blocked",
        ),
        (
            "loop { if task.is_open { break; } return; } task.tag(\"x\");",
            "the status is todo, in_progress or blocked",
        ),
        (
            "fn tell(t) { t.tag(\"x\"); } if task.is_open { tell(task); }",
            "the status is todo, in_progress or blocked",
        ),
        (
            "fn twice(n) { n * 2 } let n = twice(2); if task.is_open { task.tag(`${n}`); }",
            "the status is todo, in_progress or blocked",
        ),
        (
            "if task.is_open { tasks(#{}).for_each(|| this.tag(\"x\")); }",
            "the status is todo, in_progress or blocked",
        ),
        (
            "if task.is_open && approve(task.owner, \"?\", days(1)) == true { log(\"yes\"); }",
            "the status is todo, in_progress or blocked",
        ),
        (
            "if task.is_open && count(#{ open: true }) > 3 { task.tag(\"x\"); }",
            "the status is todo, in_progress or blocked",
        ),
        (
            "if task.is_open || count(#{ open: true }) > 3 { task.tag(\"x\"); }",
            "always",
        ),
        (
            "let open = task.is_open; if task.project == () { open = true; } if open { task.tag(\"x\"); }",
            "always",
        ),
        (
            "for task in tasks(#{}) { if task.is_open { webhook(\"ops\", 1); } }",
            "always",
        ),
    ]);
}

#[test]
fn functions_that_are_called_by_their_names_act() {
    let name = |call: &str| {
        format!(
            "fn through(x) {{ task.tag(\"seen\"); true }} if task.is_open {{ task.tag(\"x\"); }} {call};"
        )
    };
    for call in [
        "[1].map(\"through\")",
        "[1].filter(\"through\")",
        "[1, 2].reduce(\"through\", 0)",
        "let f = \"through\"; some([1], f)",
        "[\"acme.seen\"].map(\"emit\")",
    ] {
        let found = candidates(&name(call)).predicate;
        assert!(found.is_always(), "{call}: {found}");
    }
    let found = candidates(&name("[1].index_of(\"one\")")).predicate;
    assert!(!found.is_always());
}

#[test]
fn values_that_double_are_not_followed() {
    for (first, double) in [
        ("[1, 1]", "[b, b]"),
        ("task.project ?? task.title", "b ?? b"),
    ] {
        let mut script = format!("let b = {first};\n");
        for _ in 0..40 {
            script.push_str(&format!("let b = {double};\n"));
        }
        script.push_str("if task.is_open { task.tag(\"x\"); }");
        let found = candidates(&script).predicate.to_string();
        assert_eq!(found, "the status is todo, in_progress or blocked");
    }
}

#[test]
fn what_rhai_compares_exactly_and_a_predicate_does_not_may_be() {
    let found = candidates("switch event.data.seats { 0..3 => task.tag(\"x\"), _ => () }");
    assert_eq!(
        found.predicate.to_string(),
        "the event's seats is at least 0 and at most 3"
    );
    let found = candidates("if task.fields.n == 100000000000000.0 * 100 { task.tag(\"x\"); }");
    assert!(found.predicate.is_always());
}

#[test]
fn what_is_not_understood_is_told_with_a_hint() {
    let found = candidates(
        "if task.is_open && now().hour >= 9\n    && task.title.to_lower() == \"x\" {\n    task.tag(\"x\");\n}\n\
         if now().hour > 3 { log(\"this decides nothing\"); }\n\
         let seen = state.get(\"seen\");\nif seen == () { task.tag(\"y\"); }",
    );
    let told: Vec<String> = found
        .unclear
        .iter()
        .map(|of| {
            let (line, column) = (of.line.unwrap(), of.column.unwrap());
            format!("{line}:{column} {}: {}", of.text, of.why)
        })
        .collect();
    assert_eq!(
        told,
        [
            "1:20 now().hour >= 9: it depends on the hour or the day, whoever the task is about",
            "2:8 task.title.to_lower() == \"x\": it is no comparison of a field with a constant",
            "7:4 seen == (): what the rule keeps is known only when the script runs",
        ]
    );
    assert!(found.unclear.iter().all(|of| !of.hint.is_empty()));
}

/// The scripts of the library and of the guide to waiting, by name.
fn examples() -> Vec<(String, String)> {
    let library = smarttasks_rules::library().iter();
    let library = library.map(|rule| (rule.key.to_owned(), rule.source.to_owned()));
    let guide = include_str!("../../../../docs/workflows.md");
    let guide = guide.split("```rhai\n").skip(1).map(|rest| {
        let script = rest.split("```").next().unwrap().to_owned();
        let name = script
            .lines()
            .find_map(|line| line.strip_prefix("//! name"));
        let name = name.and_then(|line| line.split('"').nth(1));
        (name.unwrap_or("part").to_owned(), script)
    });
    library.chain(guide).collect()
}

#[test]
fn the_examples_have_the_predicates_that_their_guards_say() {
    let told = examples()
        .into_iter()
        .map(|(name, script)| format!("{name}: {}\n", candidates(&script).predicate));
    assert_eq!(
        told.collect::<String>(),
        "\
task-created: always
task-overdue: the status is todo, in_progress or blocked
due-soon: the status is todo, in_progress or blocked
chase-overdue: the status is todo, in_progress or blocked, and the deadline is at or before now - 1d
escalate-overdue: the priority is at least high
sla-timer: the project is \"support\", and the status is todo, in_progress or blocked
stale-in-status: the status is in_progress, and the last change of status is at or before now - 1w
unassigned-urgent: the status is todo, in_progress or blocked, and the priority is urgent, and the assignee is absent
blocked-too-long: the status is blocked
reopened: the status is todo, in_progress or blocked, and before the event the status is done, cancelled or absent, and the event changed the status
large-workload: always
weekly-digest: always
auto-tag: the event's type is \"task.created\", or the event changed the title
task-from-event: the event's branch is there, and the event's repository is there
Escalate overdue work: the priority is at least high
Approval before close: the tags contain \"needs-approval\"
Weekly report: always
Onboarding checklist: the project is \"onboarding\", and the parent is absent, and the deadline is there
SLA timer: the project is \"support\", and the status is todo, in_progress or blocked
"
    );
}

#[test]
fn it_is_told_of_which_scripts_the_predicate_says_all() {
    let cases = [
        (true, "task.tag(\"x\");"),
        (
            true,
            "if task.is_overdue { email(task.owner, \"Late\", \"\"); }",
        ),
        (
            true,
            "if !task.is_open { return; } if task.priority < HIGH { return; } emit(\"a.b\", #{});",
        ),
        (
            true,
            "if task.is_open { notify(task.owner, \"a\", \"b\"); } else { task.untag(\"x\"); }",
        ),
        (
            true,
            "let late = task.is_overdue; if late && task.priority == URGENT || task.title == \"a\" { task.tag(\"x\"); sleep(days(1)); }",
        ),
        (
            true,
            "fn words(t) { t.title + \"!\" } if task.is_overdue { task.comment(words(task)); }",
        ),
        (
            true,
            "let open = count(#{ open: true }); if task.is_overdue { task.comment(`${open}`); }",
        ),
        (
            true,
            "if task.fields.seats > 3 { if task.title == \"bad\" { throw \"bad\"; } task.tag(\"x\"); }",
        ),
        (true, "if event.type == \"ci.failed\" { task.tag(\"x\"); }"),
        (
            false,
            "if task.is_open && now().hour >= 9 { task.tag(\"x\"); }",
        ),
        (false, "if count(#{ open: true }) > 3 { task.tag(\"x\"); }"),
        (
            false,
            "if task.is_open { for tag in task.tags { task.untag(tag); } }",
        ),
        (
            false,
            "fn act(t) { t.tag(\"x\"); } if task.is_open { act(task); }",
        ),
        (
            false,
            "if task.is_open { state.set(\"n\", 1); task.tag(\"x\"); }",
        ),
        (false, "if task.is_open { sleep(days(1)); }"),
        (
            false,
            "if task.is_open { try { task.tag(\"x\"); } catch { log(1); } }",
        ),
        (false, "if task.is_open { task?.tag(\"x\"); }"),
        (
            false,
            "if task.is_open { let other = #{}; other.tag(\"x\"); }",
        ),
        (false, "if task.title == task.project { task.tag(\"x\"); }"),
        (true, "if task.fields.on { task.tag(\"x\"); }"),
    ];
    let mut wrong = Vec::new();
    for (expected, script) in cases {
        let found = candidates(script);
        if found.exact != expected {
            wrong.push(format!("{script}\n  {}", found.predicate));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
