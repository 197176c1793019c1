//! `smarttasks rules test`.

use super::{Desk, rule};

const SCRIPT: &str = "if task.priority == URGENT {\n    email(task.creator, task.title, \"x\");\n}";

const TESTS: &str = r#"
now = "2026-12-04T08:00:00Z"

[[test]]
name = "an urgent task is told of"
task = { title = "Down", priority = "urgent", creator = "ann@example.com" }
expect = [{ action = "email", to = ["ann@example.com"], subject = "Down" }]

[[test]]
name = "another is not"
task = { priority = "low" }
expect = []
"#;

#[tokio::test]
async fn rules_are_tested_by_the_files_beside_them_without_a_server() {
    let desk = Desk::new().await;
    desk.write("a.rhai", &rule("A", SCRIPT));
    let none = desk.rules_with(&[], &["test", "rules"]).await;
    none.told(1, &["there are no tests of rules (*.test.toml) in rules"]);

    desk.write("a.test.toml", TESTS);
    for path in ["rules", "rules/a.rhai", "rules/a.test.toml"] {
        let said = desk.rules_with(&[], &["test", path]).await;
        let expected = "ok     rules/a.test.toml: an urgent task is told of\n\
                        ok     rules/a.test.toml: another is not\n1 rule: 2 passed, 0 failed\n";
        assert_eq!((said.code, said.out.as_str()), (0, expected), "{said:?}");
    }
    // They are no rules.
    let checked = desk.rules_with(&[], &["check", "rules"]).await;
    checked.told(0, &["1 file: 0 errors"]);

    desk.write("a.rhai", &rule("A", &SCRIPT.replace("URGENT", "LOW")));
    let said = desk.rules_with(&[], &["test", "rules"]).await;
    said.told(
        1,
        &[
            "FAILED rules/a.test.toml: an urgent task is told of\n       action 1: expected email",
            "FAILED rules/a.test.toml: another is not\n       action 1: not expected: email",
            "1 rule: 0 passed, 2 failed\n",
        ],
    );
}

#[tokio::test]
async fn tests_that_cannot_be_run_fail_and_the_others_run() {
    let desk = Desk::new().await;
    for (name, script, tests) in [
        ("good", Some(SCRIPT), TESTS),
        ("astray", None, TESTS),
        ("broken", Some("emial(1;"), TESTS),
        (
            "key",
            Some(SCRIPT),
            "now = \"2026-12-04T08:00:00Z\"\ntset = 1",
        ),
        ("toml", Some(SCRIPT), "\n[[test"),
    ] {
        if let Some(script) = script {
            desk.write(&format!("{name}.rhai"), &rule(name, script));
        }
        desk.write(&format!("{name}.test.toml"), tests);
    }
    let said = desk.rules_with(&[], &["test", "rules"]).await;
    said.told(
        1,
        &[
            "rules/astray.rhai: error[unreadable]: No such file",
            "rules/broken.rhai:3:8: error[",
            "rules/key.test.toml: error[tests]: unknown field `tset`",
            "rules/toml.test.toml:2: error[tests]: ",
            "ok     rules/good.test.toml: another is not\n",
            "5 rules: 2 passed, 0 failed, 4 rules not to be tested\n",
        ],
    );
    let untested = desk.rules_with(&[], &["test", "rules/none.rhai"]).await;
    untested.told(1, &["error[unreadable]: No such file"]);
}

#[tokio::test]
async fn a_rule_that_waits_is_tested_in_virtual_time() {
    let desk = Desk::new().await;
    let script = "email(task.creator, task.title, \"x\");\nsleep(days(1));\ntask.tag(\"late\");";
    desk.write("a.rhai", &rule("A", script));
    let test = |after: &str| {
        format!(
            "now = \"2026-12-04T08:00:00Z\"\n[[test]]\nname = \"a day later\"\ntask = {{ title = \"Pay\" }}\n\
             timeline = [{{ action = \"email\" }}, {{ after = \"{after}\", action = \"task.tag\" }}]"
        )
    };
    desk.write("a.test.toml", &test("1d"));
    let said = desk.rules_with(&[], &["test", "rules"]).await;
    said.told(0, &["1 rule: 1 passed, 0 failed"]);
    desk.write("a.test.toml", &test("2d"));
    let said = desk.rules_with(&[], &["test", "rules"]).await;
    let differs =
        "       moment 2, Pay: label late after 1d:\n         `after` is \"1d\", expected \"2d\"\n";
    said.told(1, &["FAILED rules/a.test.toml: a day later\n", differs]);
}
