//! Where a script may wait: at every place at which a function can be called, or with a clear
//! error.

use crate::support::World;
use smarttasks_rules::{Action, Need};

/// What stands for a wait in the scripts below.
const WAIT: &str = "WAIT";

/// Places at which a script may wait, with the comments that it makes there.
const FORMS: &[(&str, &[&str], &str)] = &[
    (
        "within map",
        &["1", "2", "[10, 20]"],
        r#"let x = [1, 2].map(|n| { task.comment(`${n}`); WAIT; n * 10 }); task.comment(`${x}`);"#,
    ),
    (
        "within filter",
        &["1", "2", "[2]"],
        r#"let x = [1, 2].filter(|n| { task.comment(`${n}`); WAIT; n > 1 }); task.comment(`${x}`);"#,
    ),
    (
        "within for_each and for",
        &["1", "2", "3", "4"],
        r#"[1, 2].for_each(|| { WAIT; task.comment(`${this}`); }); for n in 3..5 { WAIT; task.comment(`${n}`); }"#,
    ),
    (
        "within some, all and find",
        &["true", "false", "2"],
        r#"task.comment(`${[1, 2].some(|n| { WAIT; n == 2 })}`);
           task.comment(`${[1, 2].all(|n| { WAIT; n == 2 })}`);
           task.comment(`${[1, 2].find(|n| { WAIT; n == 2 })}`);"#,
    ),
    (
        "within reduce",
        &["6"],
        r#"task.comment(`${[1, 2, 3].reduce(|sum, n| { WAIT; sum + n }, 0)}`);"#,
    ),
    (
        "within retain and drain",
        &["[2, 3]", "[2]"],
        r#"let a = [1, 2, 3]; a.retain(|n| { WAIT; n > 1 }); task.comment(`${a}`);
           a.drain(|n| { WAIT; n > 2 }); task.comment(`${a}`);"#,
    ),
    (
        "within functions that call each other",
        &["deep", "3"],
        r#"fn inner(n) { WAIT; task.comment("deep"); n + 1 } fn outer(n) { inner(n) + 1 } task.comment(`${outer(1)}`);"#,
    ),
    (
        "within try and catch",
        &["tried", "caught 7", "after"],
        r#"try { WAIT; task.comment("tried"); throw 7; } catch (e) { WAIT; task.comment(`caught ${e}`); } task.comment("after");"#,
    ),
    (
        "within a text",
        &["a b"],
        r#"task.comment(`a ${ { WAIT; "b" } }`);"#,
    ),
    (
        "within switch",
        &["two"],
        r#"switch ({ WAIT; 2 }) { 1 => task.comment("one"), 2 if ({ WAIT; true }) => { WAIT; task.comment("two") } _ => () }"#,
    ),
    (
        "within conditions of if",
        &["yes"],
        r#"if ({ WAIT; false }) { task.comment("no"); } else if ({ WAIT; true }) && ({ WAIT; true }) { task.comment("yes"); }"#,
    ),
    (
        "within conditions of while and do",
        &["0", "1", "2"],
        r#"let n = 0; while ({ WAIT; n < 2 }) { task.comment(`${n}`); n += 1; } do { task.comment(`${n}`); n += 1; } while ({ WAIT; n < 2 });"#,
    ),
    (
        "within lists and maps",
        &["[1, 2, 3]"],
        r#"let list = [1, { WAIT; 2 }]; let map = #{ a: { WAIT; 3 } }; list.push(map.a); task.comment(`${list}`);"#,
    ),
    (
        "within arguments of an action",
        &["said"],
        r#"task.comment({ WAIT; "said" });"#,
    ),
    (
        "within a chain of methods",
        &["2, 4"],
        r#"task.comment([1, 2].map(|n| { WAIT; n * 2 }).join({ WAIT; ", " }));"#,
    ),
    (
        "within a default",
        &["else"],
        r#"task.comment(() ?? { WAIT; "else" });"#,
    ),
    (
        "within closures called by name",
        &["1", "2"],
        r#"let f = |n| { WAIT; task.comment(`${n}`) }; f.call(1); let m = #{ g: f }; m.g.call(2);"#,
    ),
    (
        "within return and what assigns",
        &["5", "7"],
        r#"fn five() { return { WAIT; 5 }; } let x = five(); task.comment(`${x}`); x += { WAIT; 2 }; task.comment(`${x}`); return { WAIT; 1 };"#,
    ),
];

fn comments(actions: &[Action]) -> Vec<&str> {
    let said = actions.iter().map(|action| match action {
        Action::CommentTask { text, .. } => text.as_str(),
        other => panic!("{other:?}"),
    });
    said.collect()
}

#[test]
fn a_script_waits_wherever_a_function_can_be_called() {
    let world = World::new();
    for (place, says, script) in FORMS {
        for wait in [
            "sleep(hours(1))",
            "sleep_until(now() + days(1))",
            "wait_for(\"task.*\", days(1))",
            "http(#{ url: \"https://example.com\" })",
            "approve(task.owner, \"Well?\", days(1))",
        ] {
            let walk = world.walk(&script.replace(WAIT, wait));
            assert_eq!(walk.error, None, "{place}: {wait}");
            assert_eq!(comments(&walk.actions), *says, "{place}: {wait}");
            assert!(!walk.waits.is_empty(), "{place}");
            assert_eq!(walk.segments.len(), walk.waits.len() + 1, "{place}");
        }
        assert_eq!(comments(&world.actions(&script.replace(WAIT, "()"))), *says);
    }
}

#[test]
fn what_compares_cannot_wait_and_says_so() {
    let world = World::new();
    for (function, call) in [
        ("sort", "[2, 1].sort(|a, b| { WAIT; a - b })"),
        ("sort_by", "[2, 1].sort_by(|a, b| { WAIT; a < b })"),
        ("order", "[2, 1].order(|a, b| { WAIT; a - b })"),
        ("order_by", "[2, 1].order_by(|a, b| { WAIT; a - b })"),
        ("dedup", "[2, 2].dedup(|a, b| { WAIT; a == b })"),
        (
            "sort",
            "[2, 1].sort(|a, b| { [1].map(|n| { WAIT; n }); a - b })",
        ),
    ] {
        let error = world.error(&format!("\n{}", call.replace(WAIT, "sleep(days(1))")));
        assert_eq!(
            (error.code.as_str(), error.line, error.message),
            (
                "runtime_error",
                Some(2),
                format!(
                    "sleep: a function by which `{function}` compares cannot wait; wait before `{function}` is called"
                )
            ),
            "{call}"
        );
    }
    let walk = world.walk("let a = [2, 1]; try { a.sort(|a, b| { sleep(days(1)); a - b }) } catch { } sleep(days(1)); a.sort(|a, b| a - b); task.comment(`${a}`);");
    assert_eq!(
        (walk.waits.len(), comments(&walk.actions)),
        (1, vec!["[1, 2]"])
    );
}

#[test]
fn a_wait_may_be_called_by_a_function_that_names_it() {
    let world = World::new();
    let walk =
        world.walk("let f = Fn(\"sleep\"); f.call(days(1)); days(1).sleep(); task.comment(\"x\");");
    assert_eq!((walk.error, walk.waits.len()), (None, 2));
    assert_eq!(comments(&walk.actions), ["x"]);
}

#[test]
fn nothing_catches_a_wait() {
    let world = World::new();
    let script = "try { sleep(days(1)); } catch { task.comment(\"caught\"); }
        [1].map(|n| { try { sleep(days(1)); } catch { task.comment(\"caught\"); } });
        task.comment(\"done\");";
    let first = world.run(script);
    assert_eq!((first.actions, first.error), (Vec::new(), None));
    assert!(matches!(first.need, Some(Need::Wait(_))));
    let walk = world.walk(script);
    assert_eq!(
        (walk.waits.len(), comments(&walk.actions)),
        (2, vec!["done"])
    );
}

#[test]
fn what_comes_before_a_wait_is_done_before_it_and_never_again() {
    let world = World::new();
    let script = "let made = create_task(#{ title: \"First\" }); email(task.owner, \"s\", \"t\");
        sleep(days(1));
        made.tag(\"late\"); let other = create_task(#{ title: \"Second\" });
        sleep(days(1));
        made.comment(`${made.title} ${made.tags} ${other.title}`);";
    let first = world.run(script);
    let names: Vec<_> = first.actions.iter().map(Action::name).collect();
    assert_eq!(names, ["create_task", "email"]);
    let walk = world.walk(script);
    let names: Vec<_> = walk.actions.iter().map(Action::name).collect();
    assert_eq!(
        names,
        [
            "create_task",
            "email",
            "task.tag",
            "create_task",
            "task.comment"
        ]
    );
    assert_eq!(comments(&walk.actions[4..]), ["First [\"late\"] Second"]);
    let made = walk.actions[0].task_id();
    assert_eq!(walk.actions[2].task_id(), made);
    assert_eq!(walk.actions[4].task_id(), made);
    assert_ne!(walk.actions[3].task_id(), made);
    let entries: Vec<_> = walk
        .segments
        .iter()
        .map(|segment| {
            segment
                .entries
                .iter()
                .map(|entry| entry.call.as_str())
                .collect()
        })
        .collect::<Vec<Vec<_>>>();
    assert_eq!(
        entries,
        [
            vec!["create_task", "email", "sleep"],
            vec!["task.tag", "create_task", "sleep"],
            vec!["task.comment"]
        ]
    );
    let sleep = &walk.segments[0].entries[2];
    assert_eq!((sleep.line, sleep.column), (Some(2), Some(9)));
    assert_eq!(sleep.digest.len(), 16);
}

#[test]
fn only_a_script_that_may_wait_is_recorded() {
    let world = World::new();
    let suspends = |script: &str| world.language.compile(script).unwrap().suspends();
    for script in [
        "sleep(days(1));",
        "days(1).sleep();",
        "fn f() { [1].map(|n| http(#{ url: \"x\" })) }",
        "let f = Fn(\"approve\");",
        "if task.is_open { } else { let x = [wait_for(\"a.b\", days(1))]; }",
        "switch 1 { 1 => sleep_until(now()), _ => () }",
    ] {
        assert!(suspends(script), "{script}");
    }
    assert!(!suspends(
        "let sleep = 1; task.comment(\"do not sleep\"); email(task.owner, \"s\", \"t\");"
    ));
    let outcome = world.run("task.comment(\"x\"); count(#{});");
    assert_eq!((outcome.segment, outcome.actions.len()), (None, 1));
    // One that may wait and does not is kept no journal of either.
    let outcome = world.run("if !task.is_open { sleep(days(1)); } task.comment(\"x\");");
    assert_eq!((outcome.segment, outcome.actions.len()), (None, 1));
}

#[test]
fn the_analysis_knows_where_a_script_waits() {
    let world = World::new();
    let analysis = world.language.analyse(
        "fn later() { sleep(days(1)); } if task.is_open { later(); http(#{ url: \"https://example.com\" }); }",
        &[],
    );
    assert_eq!(analysis.diagnostics, []);
    assert!(analysis.suspends);
    assert_eq!(analysis.waits, ["http", "sleep"]);
    assert_eq!(analysis.actions, [""; 0]);
    let never = world
        .language
        .analyse("fn f() { sleep(days(1)) } task.tag(\"x\");", &[]);
    assert!(!never.suspends);
    assert_eq!(never.diagnostics[0].code, "unreachable_action");
}
