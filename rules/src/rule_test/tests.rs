use super::*;
use crate::{Limits, parse_rule_file};
use std::time::Duration;

/// What came of the tests of a rule; a busy machine's wall clock has no say.
fn run(rule: &str, tests: &str) -> Vec<TestResult> {
    let language = Language::new(Limits {
        wall: Duration::from_secs(60),
        ..Limits::default()
    });
    let rule = parse_rule_file(rule).unwrap();
    let tests = RuleTests::parse(tests).unwrap();
    tests.run(&language, &rule).unwrap()
}

fn differences(rule: &str, test: &str) -> Vec<String> {
    let test = format!("now = \"2026-12-04T08:00:00Z\"\n[[test]]\nname = \"it\"\n{test}");
    run(rule, &test).remove(0).differences
}

const CHASE: &str = r#"//! name = "Chase"
//! triggers = [{ event = "task.overdue" }]
if task.is_open {
    email(task.owner, `Overdue: ${task.title}`, "Please look.");
    task.tag("late");
}
"#;

#[test]
fn what_happens_as_expected_leaves_nothing_to_say() {
    let found = differences(
        CHASE,
        r#"
        task = { title = "Pay", assignee = "bob@example.com", due_at = "-1h" }
        expect = [
            { action = "email", to = ["bob@example.com"], subject = "Overdue: Pay" },
            { action = "task.tag", tag = "late", task = "task" },
        ]"#,
    );
    assert_eq!(found, [""; 0]);
    let found = differences(CHASE, "task = { status = \"done\" }\nexpect = []");
    assert_eq!(found, [""; 0]);
}

#[test]
fn what_differs_is_said_with_the_action_and_the_key() {
    let found = differences(
        CHASE,
        r#"
        task = { title = "Pay" }
        expect = [{ action = "email", to = ["bob@example.com"], body = "x" }]"#,
    );
    assert_eq!(
        found[..2],
        [
            "action 1: there is no `body`, expected \"x\"; there is action, subject, text, to",
            "action 1: `to` is [\"ann@example.com\"], expected [\"bob@example.com\"]",
        ]
    );
    let unexpected = "action 2: not expected: task.tag {\"tag\":\"late\",\"task\":\"task\",";
    assert!(found[2].starts_with(unexpected), "{}", found[2]);
    let found = differences(
        CHASE,
        "task = { status = \"done\" }\nexpect = [{ action = \"email\" }]",
    );
    assert_eq!(found, ["action 1: expected email {}, got none"]);
}

#[test]
fn queries_are_answered_from_the_tasks_that_are_given() {
    let rule = r#"//! name = "Load"
//! triggers = [{ cron = "0 9 * * *", for_each = "once" }]
for user in members() {
    let open = tasks(#{ assignee: user, open: true });
    if open.len() > 1 { notify(user, `${open.len()} open`, open[0].title); }
}
if count(#{ overdue: true }) == 1 { emit("team.late", #{ at: now() }); }
"#;
    let found = differences(
        rule,
        r#"
        tasks = [
            { title = "Second", assignee = "bob@example.com", created_at = "-1h" },
            { title = "First", assignee = "bob@example.com", created_at = "-2h", due_at = "-1m" },
            { title = "Done", assignee = "bob@example.com", status = "done" },
            { title = "Hers", assignee = "ann@example.com" },
        ]
        expect = [
            { action = "notify", to = ["bob@example.com"], title = "2 open", text = "First" },
            { action = "emit", type = "team.late", data = { at = "2026-12-04T08:00:00Z" } },
        ]"#,
    );
    assert_eq!(found, [""; 0]);
}

#[test]
fn an_event_has_its_type_its_data_and_what_was_before() {
    let rule = r#"//! name = "Reopened"
//! triggers = [{ event = "task.status_changed" }, { event = "ci.*" }]
if event.type == "ci.failed" {
    webhook("ops", #{ build: event.data.build });
} else if changed("status") && !previous.is_open && task.is_open {
    task.assign(event.actor);
}
"#;
    let found = differences(
        rule,
        r#"
        task = { status = "todo" }
        event = { previous = { status = "done" }, actor = "bob@example.com" }
        expect = [{ action = "task.assign", user = "bob@example.com" }]"#,
    );
    assert_eq!(found, [""; 0]);
    let found = differences(
        rule,
        r#"
        event = { type = "ci.failed", data = { build = 7 } }
        expect = [{ action = "webhook", endpoint = "ops", payload = { build = 7.0 } }]"#,
    );
    assert_eq!(found, [""; 0]);
    let found = differences(rule, "event = { type = \"task.created\" }\nexpect = []");
    assert_eq!(found, ["no trigger of the rule waits for task.created"]);
}

#[test]
fn what_the_rule_keeps_is_given_and_expected() {
    let rule = r#"//! name = "Count"
//! triggers = [{ event = "ci.failed" }]
state.set("count", (state.get("count") ?? 0) + 1);
"#;
    let found = differences(
        rule,
        "state = { count = 2 }\nexpect = []\nexpect_state = { count = 3 }",
    );
    assert_eq!(found, [""; 0]);
    let found = differences(
        rule,
        "state = { other = 1 }\nexpect = []\nexpect_state = { count = 3 }",
    );
    assert_eq!(
        found,
        [
            "state: `count` is 1, expected 3",
            "state: `other` is kept, and was not expected: 1"
        ]
    );
}

#[test]
fn what_cannot_be_given_is_said() {
    for (test, says) in [
        (
            "task = { due_at = \"soon\" }\nexpect = []",
            "task: `due_at`: \"soon\" is neither a time such as 2026-12-04T08:00:00Z nor a length of time from now such as -26h",
        ),
        (
            "task = { assignee = \"eve@example.com\" }\nexpect = []",
            "task: `assignee`: no member has the address eve@example.com",
        ),
        (
            "members = []\nexpect = []",
            "`members` is empty; a workspace has at least one",
        ),
    ] {
        assert_eq!(differences(CHASE, test), [says]);
    }
    let failing = r#"//! name = "Fails"
//! triggers = [{ event = "task.created" }]
let x = 1 / (task.version - 1);
task.tag(`${x}`);
"#;
    let found = differences(failing, "task = {}\nexpect = []");
    assert_eq!(
        found,
        ["the script failed: line 3: Division by zero: 1 / 0"]
    );
}

#[test]
fn what_is_no_file_of_tests_is_refused() {
    for (text, says, line) in [
        ("now = \n", "value", Some(1)),
        (
            "now = \"2026-12-04T08:00:00Z\"\n",
            "there is no [[test]]",
            None,
        ),
        (
            "[[test]]\nname = \"a\"\nexpects = []\n",
            "test \"a\": unknown field `expects`",
            None,
        ),
        (
            "[[test]]\nname = \"a\"\n",
            "test \"a\": neither `expect` nor `timeline`",
            None,
        ),
        (
            "[[test]]\nexpect = []\n",
            "test number 1: missing field `name`",
            None,
        ),
    ] {
        let error = RuleTests::parse(text).unwrap_err();
        assert!(error.message.contains(says), "{text}: {error}");
        assert_eq!(error.line, line, "{text}");
    }
}

const ESCALATE: &str = r#"//! name = "Escalate"
//! triggers = [{ event = "task.overdue" }]
email(task.owner, "Overdue", "Please look.");
let done = wait_for("task.completed", days(1));
if done == () && task.is_open {
    let page = http(#{ url: "https://duty.example.com/now" });
    if approve(task.creator, "Page?", hours(1)) == true { webhook("ops", #{ duty: page.json.name }); }
}
"#;

#[test]
fn a_run_that_waits_is_followed_in_virtual_time() {
    let found = differences(
        ESCALATE,
        r#"
        task = { title = "Pay" }
        answers = { http = [{ json = { name = "Bob" }, after = "1m" }], approve = [{ approved = true, after = "30m" }] }
        timeline = [
            { after = "0", action = "email" },
            { after = "1471m", action = "webhook", payload = { duty = "Bob" } },
        ]"#,
    );
    assert_eq!(found, [""; 0]);
    let found = differences(
        ESCALATE,
        r#"
        task = { title = "Pay" }
        events = [{ after = "2h", type = "task.completed", task = { status = "done", assignee = "bob@example.com" } }]
        timeline = [
            { after = "0", action = "email" },
            { after = "0", action = "wait_for", ended_by = "event" },
        ]
        expect = [{ action = "email" }]"#,
    );
    assert_eq!(found, [""; 0]);
}

#[test]
fn what_happens_otherwise_or_at_another_time_is_said() {
    let found = differences(
        ESCALATE,
        r#"
        task = { title = "Pay" }
        events = [{ after = "2h", type = "task.completed", task = { status = "done" } }]
        timeline = [
            { after = "1h", action = "email" },
            { after = "1d", action = "webhook" },
        ]"#,
    );
    let expected = [
        "moment 1, e-mail to ann@example.com: Overdue after 0:",
        "  `after` is \"0\", expected \"1h\"",
        "moment 2: expected webhook {\"after\":\"1d\"}, got none",
    ];
    assert_eq!(found, expected);
    let found = differences(ESCALATE, "task = { title = \"Pay\" }\ntimeline = []");
    assert!(
        found[0].starts_with("the run is suspended, expected succeeded: it waits for an answer"),
        "{found:?}"
    );
    let test = "now = \"2026-12-04T08:00:00Z\"\n[[test]]\nname = \"it\"\n";
    let error = RuleTests::parse(test).unwrap_err();
    assert!(error.message.contains("neither `expect` nor `timeline`"));
}
