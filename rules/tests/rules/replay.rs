//! A run is brought back by its journal to where it was, and notices when it is not.

use crate::support::{NOW, World, at, ended, journal};
use fastrand::Rng;
use serde_json::{Value, json};
use smarttasks_model::Status;
use smarttasks_rules::{Action, Limits, Need, Outcome, ScriptError, Segment};
use std::sync::Arc;
use std::time::Duration;

/// The first segments of a script, and the world in which it goes on.
fn suspended(world: &World, script: &str) -> (Vec<Segment>, World) {
    let outcome = world.run(script);
    assert!(matches!(outcome.need, Some(Need::Wait(_))), "{script}");
    let segments = vec![outcome.segment.unwrap()];
    let mut then = world.clone();
    then.inputs.journal = journal(&segments, Value::Null);
    (segments, then)
}

/// How another script goes on from the first wait of `script`.
fn gone_on(script: &str, other: &str) -> Outcome {
    let (_, then) = suspended(&World::new(), script);
    then.run(other)
}

fn diverged(script: &str, other: &str) -> ScriptError {
    let outcome = gone_on(script, other);
    assert_eq!((outcome.actions, outcome.later), (Vec::new(), false));
    assert_eq!((outcome.need, outcome.segment), (None, None));
    let error = outcome.error.unwrap();
    assert_eq!(error.code, "diverged", "{other}: {}", error.message);
    error
}

#[test]
fn a_script_that_does_something_else_than_before_is_stopped_and_told_both() {
    let script = "task.tag(\"a\");\nlet n = count(#{});\nsleep(days(1));";
    const LEAD: &str = "the script no longer does what its run has done before: its journal has ";
    for (other, line, says) in [
        (
            "emit(\"a.b\", 1);",
            Some(1),
            "`task.tag` of line 1, column 6 next, and the script now calls `emit` in line 1, column 1",
        ),
        (
            "task.tag(\"b\");",
            Some(1),
            "`task.tag` of line 1, column 6 next, and the script now calls it in line 1, column 6 with something else",
        ),
        (
            "task.tag(\"a\");\n\n sleep(days(1));",
            Some(3),
            "`count` of line 2, column 9 next, and the script now calls `sleep` in line 3, column 2",
        ),
        (
            "task.tag(\"a\"); count(#{}); sleep(days(2));",
            Some(1),
            "`sleep` of line 3, column 1 next, and the script now calls it in line 1, column 28 with something else",
        ),
        (
            "task.tag(\"a\"); count(#{});",
            None,
            "`sleep` of line 3, column 1 next, and the script has now ended",
        ),
        (
            "",
            None,
            "`task.tag` of line 1, column 6 next, and the script has now ended",
        ),
    ] {
        let error = diverged(script, other);
        assert_eq!(error.message, format!("{LEAD}{says}"), "{other}");
        assert_eq!(error.line, line, "{other}");
    }
}

#[test]
fn a_divergence_cannot_be_caught() {
    let error = diverged(
        "task.tag(\"a\"); sleep(days(1));",
        "try { task.tag(\"b\") } catch { } [1].map(|n| { try { task.tag(\"a\") } catch { } }); sleep(days(1));",
    );
    assert_eq!(error.line, Some(1));
}

#[test]
fn a_journal_with_more_than_a_wait_behind_it_or_less_is_a_divergence() {
    let script = "task.tag(\"a\"); sleep(days(1)); task.tag(\"b\");";
    let (mut segments, mut then) = suspended(&World::new(), script);
    let tag = segments[0].entries[0].clone();
    segments[0].entries.push(tag);
    then.inputs.journal = journal(&segments, Value::Null);
    let error = then.run(script).error.unwrap();
    assert_eq!(
        error.message,
        "the script no longer does what its run has done before: its journal has `task.tag` of \
         line 1, column 6 next, and the script now waits"
    );
    segments[0].entries.truncate(1);
    then.inputs.journal = journal(&segments, Value::Null);
    let error = then.run(script).error.unwrap();
    assert_eq!(
        error.message,
        "the script no longer does what its run has done before: its journal has nothing next, \
         and the script now calls `sleep` in line 1, column 16"
    );
    segments[0].entries.clear();
    then.inputs.journal = journal(&segments, Value::Null);
    let error = then.run("let x = 1;").error.unwrap();
    assert!(
        error.message.contains("has another segment next"),
        "{}",
        error.message
    );
}

#[test]
fn a_change_of_the_script_that_changes_nothing_that_was_done_is_none() {
    let outcome = gone_on(
        "task.tag(\"a\"); sleep(days(1)); task.tag(\"b\");",
        "// Longer than before\n let words = [\"a\", \"c\"];\n task.tag(words[0]);\n sleep(hours(24));\n task.tag(words[1]);",
    );
    assert_eq!(outcome.error, None);
    assert_eq!((outcome.actions.len(), outcome.actions_before), (1, 1));
}

#[test]
fn a_replay_sees_what_was_and_the_new_segment_what_is() {
    let world = World::new().with_task(|task| task.assignee_id = None);
    let script = "
        let seen = [];
        state.set(\"n\", (state.get(\"n\") ?? 0) + 1);
        seen.push(`${task.title} of ${task.owner.name}, ${task.status}, ${state.get(\"n\")}, ${members().len}, ${now().day}, ${count(#{ open: true })}`);
        task.update(#{ title: \"Mine\" });
        seen.push(task.title);
        sleep(days(1));
        seen.push(`${task.title} of ${task.owner.name}, ${task.status}, ${state.get(\"n\")}, ${members().len}, ${now().day}, ${count(#{ open: true })}`);
        sleep(days(1));
        seen.push(`${task.title} of ${task.owner.name}, ${task.status}, ${state.get(\"n\")}, ${user(\"bob@example.com\") == ()}, ${now().day}`);
        task.comment(seen.join(\"; \"));";
    let walk = world.walk_with(script, |_, world| {
        let now = world.inputs.now;
        let ann = world.ann.id;
        let users = Arc::make_mut(&mut world.inputs.users);
        let name = format!("Ann of {}", now.to_utc().format("%d"));
        users.get_mut(&ann).unwrap().name = name;
        if world.inputs.journal.segments.is_empty() {
            return Value::Null;
        }
        users.remove(&world.bob.id);
        let task = Arc::make_mut(world.inputs.task.as_mut().unwrap());
        task.title = "Theirs".to_owned();
        task.status = Status::Done;
        let state = Arc::make_mut(&mut world.inputs.state);
        state.insert("n".to_owned(), json!(7));
        Value::Null
    });
    assert_eq!(walk.error, None);
    let Some(Action::CommentTask { text, .. }) = walk.actions.last() else {
        panic!("{:?}", walk.actions);
    };
    assert_eq!(
        text.split("; ").collect::<Vec<_>>(),
        [
            "Renew certificate of Ann, in_progress, 1, 2, 4, 2",
            "Mine",
            "Mine of Ann of 05, in_progress, 1, 2, 5, 2",
            "Theirs of Ann of 06, done, 7, true, 6",
        ]
    );
    let tasks: Vec<_> = walk
        .segments
        .iter()
        .map(|segment| segment.task.is_some())
        .collect();
    assert_eq!(tasks, [true, true, true]);
    let users: Vec<_> = walk
        .segments
        .iter()
        .map(|segment| segment.users.len())
        .collect();
    assert_eq!(users, [2, 2, 1]);
}

#[test]
fn a_segment_keeps_what_was_looked_at_and_no_more() {
    let world = World::new();
    let walk = world.walk("sleep(days(1)); task.comment(task.owner.name); sleep(days(1)); state.get(\"x\"); log(\"four\");");
    let kept: Vec<_> = walk
        .segments
        .iter()
        .map(|of| {
            (
                of.task.is_some(),
                of.users.len(),
                of.state.is_some(),
                of.log_bytes,
            )
        })
        .collect();
    assert_eq!(
        kept,
        [
            (true, 0, false, 0),
            (false, 1, false, 0),
            (false, 0, true, 5)
        ]
    );
    assert_eq!(walk.segments[1].users, std::slice::from_ref(&world.bob));
    assert_eq!(walk.segments[1].now, at("2026-12-05T08:00:00Z"));
}

#[test]
fn a_line_of_the_log_is_written_once_and_the_log_has_one_end() {
    let world = World::within(Limits {
        log_bytes: 20,
        wall: Duration::from_secs(60),
        ..Limits::default()
    });
    let walk = world.walk(
        "log(\"one\"); sleep(days(1)); log(\"two\"); sleep(days(1)); log(\"three is long\"); sleep(days(1)); log(\"four\"); task.tag(\"x\");",
    );
    assert_eq!(walk.log, ["one", "two", "… the log is full"]);
}

#[test]
fn another_run_that_goes_on_from_what_one_has_done_knows_the_tasks_that_it_made() {
    let script = "let made = create_task(#{ title: \"First\" }); made.tag(\"a\"); sleep(days(1)); made.tag(\"b\"); create_task(#{ title: \"Second\" });";
    let world = World::new();
    let first = world.walk(script);
    let (_, mut then) = suspended(&world, script);
    then.inputs.run_id = smarttasks_model::RunId::derived(at(NOW), &[b"another"]);
    let again = then.run(script);
    assert_eq!(again.error, None);
    assert_eq!(again.actions[0].task_id(), first.actions[0].task_id());
    assert_ne!(again.actions[1].task_id(), first.actions[3].task_id());
}

#[test]
fn limits_are_those_of_a_segment() {
    let world = World::within(Limits {
        actions: 3,
        queries: 2,
        operations: 2_000,
        output_bytes: 100,
        wall: Duration::from_secs(60),
        ..Limits::default()
    });
    let walk = world.walk(
        "for n in 0..4 {
            for i in 0..100 { n + i; }
            for i in 0..3 { task.comment(\"thirty bytes of a comment here\"); }
            count(#{}); count(#{ open: true });
            sleep(days(1));
        }",
    );
    assert_eq!(walk.error, None);
    assert_eq!((walk.actions.len(), walk.waits.len()), (12, 4));
    let error = world
        .walk("sleep(days(1)); for i in 0..4 { task.tag(\"x\"); }")
        .error
        .unwrap();
    assert_eq!(error.code, "limit_actions");
}

#[test]
fn a_journal_is_bounded_and_says_where() {
    let within = |journal_entries, journal_bytes, replay_operations| {
        World::within(Limits {
            journal_entries,
            journal_bytes,
            replay_operations,
            wall: Duration::from_secs(60),
            ..Limits::default()
        })
    };
    const LARGE: usize = 1024 * 1024;
    const LONG: u64 = 10_000_000;
    let fails = |world: World, script: &str| {
        let walk = world.walk(script);
        let error = walk.error.unwrap();
        (error.code, error.line, error.message, walk.waits.len())
    };
    let (code, line, message, waits) = fails(
        within(5, LARGE, LONG),
        "loop {\n  task.tag(\"x\");\n  sleep(seconds(0));\n}",
    );
    assert_eq!((code.as_str(), line, waits), ("limit_journal", Some(3), 2));
    assert_eq!(
        message,
        "the run has done more than its journal holds, which is 5 actions, queries and waits, and \
         1024 KiB with all that they return and what the run says of its actions; look for a loop \
         that does not end, or let another run go on"
    );
    let (code, line, _, waits) = fails(
        within(1_000, 8 * 1024, LONG),
        "loop {\n  tasks(#{});\n  sleep(seconds(0)); }",
    );
    assert_eq!((code.as_str(), line), ("limit_journal", Some(2)));
    assert!(waits > 1, "{waits}");
    // What a segment has seen counts, though no call returned it.
    let (code, line, ..) = fails(
        within(1_000, 8 * 1024, LONG),
        "let x = \"\"; x.pad(5000, 'x'); state.set(\"x\", x);\nloop { state.get(\"x\"); sleep(seconds(0)); }",
    );
    assert_eq!((code.as_str(), line), ("limit_journal", Some(2)));
    // So does what the record of the run says of its actions, and what is in no record does not.
    let comments =
        "let x = \"\"; x.pad(1000, 'x');\nfor n in 0..20 { task.comment(x); sleep(seconds(0)); }";
    let (code, line, _, waits) = fails(within(1_000, 8 * 1024, LONG), comments);
    assert_eq!((code.as_str(), line), ("limit_journal", Some(2)));
    assert!((4..8).contains(&waits), "{waits}");
    let mails = comments.replace("task.comment(x)", "email(task.owner, \"s\", x)");
    let walk = within(1_000, 16 * 1024, LONG).walk(&mails);
    assert_eq!(walk.error, None);
    let (code, line, message, waits) = fails(
        within(1_000, LARGE, 5_000),
        "for n in 0..1000 {\n  for i in 0..100 { n + i; }\n  sleep(seconds(0));\n}",
    );
    assert_eq!((code.as_str(), line), ("limit_replay", Some(3)));
    assert!(message.contains("more than 5000 steps"), "{message}");
    assert!(waits > 3, "{waits}");
}

#[test]
fn a_journal_grown_by_large_answers_ends_the_run() {
    let mut world = World::new();
    for task in &mut world.stored {
        Arc::make_mut(task).description = "x".repeat(60_000);
    }
    let walk = world.walk("loop { tasks(#{}); sleep(seconds(0)); }");
    assert_eq!(walk.error.unwrap().code, "limit_journal");
    assert_eq!(walk.waits.len(), 8);
}

#[test]
fn a_busy_machine_puts_a_run_off_that_has_waited() {
    let script = "let a = []; for i in 0..10000 { a.push(\"some text\" + i); if a.len > 4000 { a.clear(); } } task.tag(\"a\"); sleep(days(1)); for i in 0..10000 { a.push(\"some text\" + i); if a.len > 4000 { a.clear(); } }";
    let usual = World::new();
    for (limits, code) in [
        (
            Limits {
                wall: Duration::ZERO,
                ..Limits::default()
            },
            "limit_time",
        ),
        (
            Limits {
                heap_bytes: 1,
                wall: Duration::from_secs(60),
                ..Limits::default()
            },
            "limit_memory",
        ),
    ] {
        let busy = World::within(limits);
        let first = busy.run(script);
        assert_eq!(first.error.unwrap().code, code);
        assert!(!first.later, "it has done nothing yet");
        let (_, mut then) = suspended(&usual, script);
        then.language = busy.language;
        let outcome = then.run(script);
        assert_eq!((outcome.actions, outcome.segment), (Vec::new(), None));
        assert_eq!(outcome.error.unwrap().code, code);
        assert!(outcome.later, "{code}");
    }
    let (_, then) = suspended(&usual, script);
    let outcome = then.run("task.tag(\"a\"); sleep(days(1)); throw \"wrong\";");
    assert!(!outcome.later, "a mistake of the script stays one");
}

#[test]
fn the_time_that_a_replay_takes_is_told_apart() {
    let script = "for i in 0..20000 { i + 1; } sleep(days(1)); task.tag(\"x\");";
    let world = World::new();
    assert_eq!(world.run(script).replaying, Duration::ZERO);
    let (_, then) = suspended(&world, script);
    let outcome = then.run(script);
    assert!(outcome.replaying > Duration::ZERO);
    assert!(outcome.duration >= outcome.replaying);
}

#[test]
fn numbers_come_back_from_a_journal_as_they_were() {
    let mut rng = Rng::with_seed(5);
    let mut world = World::new();
    for _ in 0..500 {
        let number = f64::from_bits(rng.u64(..));
        if !number.is_finite() {
            continue;
        }
        let rate = json!(number);
        for task in &mut world.stored {
            Arc::make_mut(task).fields = json!({ "rate": rate }).as_object().cloned().unwrap();
        }
        let walk = world
            .walk("webhook(\"w\", tasks(#{})[0].fields.rate); sleep(days(1)); sleep(days(1));");
        assert_eq!(walk.error, None, "{number:?}");
    }
}

/// Journals outlive the program that wrote them: whoever changes what is hashed here, such as the
/// JSON of an action, stops every run that waits when SmartTasks is upgraded.
#[test]
fn what_a_journal_tells_calls_by_stays_as_it_is() {
    let walk = World::new().walk(
        "email(task.owner, \"s\", \"t\"); notify(task.owner, \"s\", \"t\"); webhook(\"ops\", #{ a: [1, 1.5, ()] });
        task.update(#{ title: \"x\", priority: HIGH, due_at: now(), fields: #{ a: 1 } }); task.assign(()); task.comment(\"x\");
        task.tag(\"x\"); task.untag(\"x\"); create_task(#{ title: \"x\" }); emit(\"a.b\", 1);
        tasks(#{ status: \"todo\", limit: 5 }); count(#{ open: true, assignee: task.creator });
        sleep(days(1)); sleep_until(now()); wait_for(\"task.*\", days(1)); approve(task.creator, \"Well?\", days(1));
        http(#{ url: \"https://example.com\", headers: #{ a: \"b\" }, body: 1, timeout: hours(2) });",
    );
    assert_eq!(walk.error, None);
    let entries = walk.segments.iter().flat_map(|of| &of.entries);
    let told: Vec<_> = entries
        .map(|of| (of.call.as_str(), of.digest.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("email", "324ff9c3d6058d00"),
            ("notify", "7b6a7f2808e0d382"),
            ("webhook", "05943ddfcf9bf309"),
            ("task.update", "b378b4a881187ab5"),
            ("task.assign", "54d1759fb4022409"),
            ("task.comment", "f44871f7827f6c6a"),
            ("task.tag", "a47e73cad61535be"),
            ("task.untag", "03f24e0f7151316c"),
            ("create_task", "a1b8bfdae9fc0cd2"),
            ("emit", "574d4c1e1e7d1b1b"),
            ("tasks", "8dfa6d754ce662f6"),
            ("count", "22e6524b3c9a7d4f"),
            ("sleep", "619d6a33617fad34"),
            ("sleep_until", "660bca2de042b3a3"),
            ("wait_for", "dff4d1dc7ec6e893"),
            ("approve", "a0ea60018a435e42"),
            ("http", "95952a96b22f476f"),
        ]
    );
}

/// A random script of waits and what they may stand in; `WAIT` stands for one.
struct Writer {
    rng: Rng,
    names: usize,
}

impl Writer {
    fn name(&mut self) -> usize {
        self.names += 1;
        self.names
    }

    fn statements(&mut self, depth: usize) -> String {
        let count = self.rng.usize(1..4);
        (0..count).map(|_| self.statement(depth)).collect()
    }

    fn action(&mut self) -> String {
        let n = self.name();
        match self.rng.usize(0..9) {
            0 => format!("task.comment(`c{n} ${{task.version}} ${{task.tags}}`);"),
            1 => format!("email(task.owner, \"s{n}\", task.creator.name);"),
            2 => format!("task.tag(\"t{n}\");"),
            3 => format!("let m{n} = create_task(#{{ title: \"t{n}\" }}); m{n}.tag(\"x\"); log(m{n}.tags);"),
            4 => format!("emit(\"a.b{n}\", count(#{{ open: true }}));"),
            5 => format!("state.set(\"k\", (state.get(\"k\") ?? 0) + {n});"),
            6 => "webhook(\"w\", #{ k: state.get(\"k\"), keys: state.keys(), who: members().map(|m| m.name) });".to_owned(),
            7 => format!("for t in tasks(#{{}}) {{ t.tag(\"f{n}\"); if t.tags.len > 2 {{ t.comment(`${{t.tags}}`); }} }}"),
            _ => format!("task.update(#{{ title: \"u{n}\", assignee: user(\"ann@example.com\") }});"),
        }
    }

    fn statement(&mut self, depth: usize) -> String {
        if depth == 0 || self.rng.u8(0..3) == 0 {
            return self.action();
        }
        let n = self.name();
        let inner = self.statements(depth - 1);
        match self.rng.usize(0..14) {
            0 => "WAIT;".to_owned(),
            1 => format!("let x{n} = WAIT; log(x{n} == ());"),
            2 => format!("for n{n} in 0..2 {{ {inner} WAIT; }}"),
            3 => format!("[1, 2].map(|n{n}| {{ {inner} n{n} }});"),
            4 => {
                format!("try {{ {inner} WAIT; throw {n}; }} catch (e{n}) {{ log(e{n}); {inner} }}")
            }
            5 => format!("if WAIT == () {{ {inner} }} else {{ task.comment(\"e{n}\"); }}"),
            6 => format!("switch ({{ WAIT; {n} }}) {{ {n} => {{ {inner} }} _ => () }}"),
            7 => format!("let i{n} = 0; while ({{ WAIT; i{n} < 2 }}) {{ i{n} += 1; {inner} }}"),
            8 => format!("task.comment(`a ${{ {{ WAIT; {n} }} }}`);"),
            9 => format!("let l{n} = [{n}, {{ {inner} WAIT; 1 }}]; log(l{n});"),
            10 => format!("let f{n} = || {{ {inner} WAIT; {n} }}; log(f{n}.call());"),
            11 => format!(
                "log([3, 1].filter(|v{n}| {{ WAIT; {inner} v{n} > 2 }}).map(|v{n}| v{n} + 1));"
            ),
            12 => format!("log([1, 2].some(|v{n}| {{ {inner} WAIT; v{n} == {n} }}));"),
            _ => format!("log(() ?? {{ {inner} WAIT; {n} }});"),
        }
    }
}

/// A wait, and what it gives in the end.
const WAITS: [(&str, &str); 5] = [
    ("sleep(seconds(0))", "()"),
    ("sleep_until(now())", "()"),
    ("wait_for(\"ci.none\", seconds(0))", "()"),
    ("approve(task.creator, \"Well?\", days(1))", "true"),
    (
        "http(#{ url: \"https://example.com\", body: [state.get(\"k\")] })",
        "#{ status: 200 }",
    ),
];

#[test]
fn a_run_that_waits_does_what_it_would_do_at_once() {
    let world = World::within(Limits {
        wall: Duration::from_secs(60),
        actions: 1_000,
        ..Limits::default()
    });
    let (mut waited, mut acted) = (0, 0);
    for seed in 0..400 {
        let mut writer = Writer {
            rng: Rng::with_seed(seed),
            names: 0,
        };
        let script = writer.statements(3);
        let (mut waiting, mut at_once) = (script.clone(), script);
        while waiting.contains("WAIT") {
            let (wait, gives) = WAITS[writer.rng.usize(0..WAITS.len())];
            waiting = waiting.replacen("WAIT", wait, 1);
            at_once = at_once.replacen("WAIT", gives, 1);
        }
        let walk = world.walk_with(&waiting, |wait, world| {
            world.inputs.now = at(NOW);
            match ended(wait, world) {
                Value::Object(event) if event.contains_key("specversion") => Value::Null,
                other => other,
            }
        });
        let outcome = world.run(&at_once);
        // More than its journal holds is another test's.
        if let Some(error) = &walk.error {
            assert_eq!(error.code, "limit_journal", "seed {seed}: {waiting}");
            continue;
        }
        assert_eq!(outcome.error, None, "seed {seed}: {at_once}");
        assert_eq!(walk.actions, outcome.actions, "seed {seed}: {waiting}");
        assert_eq!(walk.log, outcome.log, "seed {seed}: {waiting}");
        waited += walk.waits.len();
        acted += walk.actions.len();
    }
    assert!(
        waited > 1_000 && acted > 1_000,
        "{waited} waits, {acted} actions"
    );
}
