//! `smarttasks rules check`.

use super::{Desk, rule};

#[tokio::test]
async fn what_is_wrong_has_its_place_and_decides_how_the_command_ends() {
    let desk = Desk::new().await;
    desk.write(
        "good.rhai",
        &rule("Good", "log(\"x\"); email(task.creator, \"a\", \"b\");"),
    );
    let nobody = |arguments| desk.rules_with(&[], arguments);
    nobody(&["check", "rules"])
        .await
        .told(0, &["1 file: 0 errors, 0 warnings\n"]);

    desk.write("quiet.rhai", &rule("Quiet", "let _x = 1;"));
    let quiet = ["check", "rules/quiet.rhai", "rules"];
    nobody(&quiet).await.told(
        0,
        &[
            "rules/quiet.rhai",
            " warning[",
            "2 files: 0 errors, 1 warning\n",
        ],
    );
    nobody(&["check", "--deny-warnings", "rules"])
        .await
        .told(1, &["2 files: 0 errors, 1 warning\n"]);

    desk.write(
        "wrong.rhai",
        &rule(
            "Good",
            "if true {\n\temial(task.owner);\n}\nemit(\"a.b\", 1);",
        ),
    );
    desk.write(
        "header.rhai",
        "//! name = \"H\"\n//! triggers = [{ due = \"soon\" }]\nlog(1;\n",
    );
    desk.write(
        "cron.rhai",
        "//! triggers = [{ cron = \"* * *\" }]\n//! name = \"C\"\nemit(\"a.b\", 1);",
    );
    let said = nobody(&["check", "rules"]).await;
    said.told(
        1,
        &[
            "rules/wrong.rhai:4:2: error[unknown_function]",
            "  hint: ",
            "    4 | \temial(task.owner);\n      | \t^\n",
            "rules/wrong.rhai:1:5: error[duplicate_name]: rules/good.rhai is a rule of the same name",
            "rules/header.rhai:2:25: error[header]: the //! header is not that of a rule",
            "rules/header.rhai:3:6: error[",
            "rules/cron.rhai:1:19: error[invalid]: /triggers/0/cron: expected five fields",
            "5 files: 5 errors, 1 warning\n",
        ],
    );
}

#[tokio::test]
async fn the_limits_are_those_of_the_configuration() {
    let desk = Desk::new().await;
    desk.write(
        "long.rhai",
        &rule("Long", &format!("log(\"{}\");", "x".repeat(100))),
    );
    let limited = ["check", "rules", "--set", "rules.script_bytes=100"];
    desk.rules_with(&[], &limited).await.told(
        1,
        &["rules/long.rhai: error[limit_source]", "1 file: 1 error"],
    );
    let variable = [("SMARTTASKS_RULES__SCRIPT_BYTES", "100")];
    let said = desk.rules_with(&variable, &["check", "rules"]).await;
    said.told(1, &["error[limit_source]"]);
    let broken = [("SMARTTASKS_RULES__SCRIPT_BYTES", "many")];
    let said = desk.rules_with(&broken, &["check", "rules"]).await;
    said.told(
        1,
        &["rules.script_bytes (SMARTTASKS_RULES__SCRIPT_BYTES): is \"many\""],
    );
}

#[tokio::test]
async fn where_there_is_nothing_to_check_something_is_wrong() {
    let desk = Desk::new().await;
    desk.rules_with(&[], &["check", "rules"])
        .await
        .told(1, &["there are no rule files (*.rhai) in rules"]);
    desk.rules_with(&[], &["check", "gone.rhai"])
        .await
        .told(1, &["gone.rhai: error[unreadable]: No such file"]);
    desk.rules_with(&[], &["check"]).await.told(2, &["PATH"]);
}

#[tokio::test]
async fn a_server_is_asked_for_what_only_it_knows() {
    let desk = Desk::with(&[("rules.script_bytes", "200")], |router, _| router).await;
    let long = format!(
        "log(\"{}\"); email(task.owner, \"a\", \"b\");",
        "x".repeat(200)
    );
    desk.write("long.rhai", &rule("Long", &long));
    desk.write("wrong.rhai", &rule("Wrong", "emial();\nemit(\"a.b\", 1);"));
    desk.write("ops.rhai", &rule("Ops", "webhook(\"ops\", #{});"));
    let here = desk.rules(&["check", "rules"]).await;
    here.told(1, &["3 files: 1 error, 0 warnings"]);
    let there = desk
        .rules(&["check", "rules", "--server", &desk.server])
        .await;
    there.told(
        1,
        &[
            "rules/long.rhai: error[limit_source]",
            "rules/ops.rhai:3:9: warning[unknown_endpoint]",
            "3 files: 2 errors, 1 warning",
        ],
    );
}
