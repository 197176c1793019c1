//! `smarttasks rules pull`, and back.

use super::{Desk, posted, rule};
use serde_json::{Value, json};

const SCRIPT: &str = "email(task.owner, \"a\", \"b\");";

async fn make(desk: &Desk, body: Value) {
    let made = desk.ann.post("/api/v1/rules", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

#[tokio::test]
async fn what_is_pulled_need_not_be_pushed() {
    let desk = Desk::new().await;
    for name in [
        "Chase it",
        "Chase it!",
        "\"Quoted\" \\ 'and' 🦀",
        "!?",
        "../up",
    ] {
        make(&desk, posted(name, "// no header\nlog(1);")).await;
    }
    make(&desk, posted("no newline", "log(1);")).await;
    make(&desk, posted("crlf", "// a\r\nlog(1);\r\n")).await;
    make(&desk, posted("mark", "\u{feff}log(1);\n")).await;
    make(&desk, json!({ "script": rule("own header", "log(1);") })).await;
    make(
        &desk,
        json!({ "script": rule("crlf header", "log(1);").replace('\n', "\r\n") }),
    )
    .await;
    make(
        &desk,
        json!({
            "name": "all fields", "description": "Two\nlines, \"quoted\"\tand a tab.",
            "enabled": false, "misfire": "skip", "repeat": "24h", "hold": "30m", "script": "emit(\"a.b\", 1);",
            "triggers": [
                { "event": "task.*" },
                { "cron": "0 9 * * MON-FRI", "timezone": "Europe/Berlin", "for_each": "once" },
                { "due": "-24h" },
            ],
        }),
    )
    .await;
    // Its header says otherwise than it is.
    let other =
        json!({ "name": "renamed", "script": rule("in the header", "//! # kept\nlog(1);") });
    make(&desk, other).await;

    let said = desk.rules(&["pull", "rules"]).await;
    said.told(
        0,
        &[
            "new        rules/all-fields.rhai\n",
            "12 new, 0 unchanged\n",
        ],
    );
    let files = desk.files();
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let expected = [
        "all-fields.rhai",
        "chase-it-2.rhai",
        "chase-it.rhai",
        "crlf-header.rhai",
        "crlf.rhai",
        "mark.rhai",
        "no-newline.rhai",
        "own-header.rhai",
        "quoted-and.rhai",
        "renamed.rhai",
        "rule.rhai",
        "up.rhai",
    ];
    assert_eq!(names, expected);
    assert!(files["chase-it.rhai"].starts_with("//! name     = \"Chase it\"\n"));
    assert_eq!(files["own-header.rhai"], rule("own header", "log(1);"));
    assert!(
        files["renamed.rhai"].contains("\"renamed\"") && files["renamed.rhai"].contains("# kept")
    );

    desk.rules(&["check", "rules"])
        .await
        .told(0, &["12 files: 0 errors"]);
    for again in [
        &["push", "rules", "--prune"][..],
        &["diff", "rules"],
        &["pull", "rules"],
    ] {
        let said = desk.rules(again).await;
        assert_eq!(
            (said.code, said.out.as_str()),
            (0, "12 unchanged\n"),
            "{again:?}"
        );
    }
    assert_eq!(desk.files(), files);
}

#[tokio::test]
async fn a_file_with_changes_of_its_own_is_not_overwritten_unless_that_is_allowed() {
    let desk = Desk::new().await;
    let here = rule("A", "log(\"mine\");");
    make(&desk, posted("A", SCRIPT)).await;
    make(&desk, posted("B", SCRIPT)).await;
    desk.write("of-ann.rhai", &here);
    desk.write("c.rhai", &rule("C", SCRIPT));
    let shown = [
        "differs    rules/of-ann.rhai\n--- rules/of-ann.rhai\n+++ on the server\n",
        "-log(\"mine\");\n+email(",
        "only here  \"C\" (rules/c.rhai)\n",
    ];
    let said = desk.rules(&["pull", "rules"]).await;
    said.told(3, &shown).told(
        3,
        &[
            "1 new, 1 differing, 1 only here, 0 unchanged\n",
            "say --yes",
        ],
    );
    // What is in nobody's way is there already.
    assert!(desk.files()["b.rhai"].ends_with(SCRIPT));
    assert_eq!(desk.files()["of-ann.rhai"], here);

    let said = desk.rules(&["pull", "rules", "--yes"]).await;
    said.told(0, &shown)
        .told(0, &["written    rules/of-ann.rhai\n"]);
    let files = desk.files();
    assert_eq!(files.len(), 3);
    assert!(files["of-ann.rhai"].ends_with(SCRIPT));
    desk.rules(&["pull", "rules"])
        .await
        .told(0, &["1 only here, 2 unchanged\n"]);
}

#[tokio::test]
async fn a_file_that_is_no_rule_is_somebodys_too() {
    let desk = Desk::new().await;
    make(&desk, posted("A", SCRIPT)).await;
    desk.write("a.rhai", "//! half a header\nlog(1);");
    let said = desk.rules(&["pull", "rules"]).await;
    said.told(
        3,
        &["rules/a.rhai:1:", "error[header]", "-//! half a header\n"],
    );
    assert_eq!(desk.files()["a.rhai"], "//! half a header\nlog(1);");
    desk.rules(&["pull", "rules", "--yes"])
        .await
        .told(0, &["written    rules/a.rhai"]);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_made() {
    let desk = Desk::new().await;
    make(&desk, posted("A", SCRIPT)).await;
    desk.rules(&["pull", "rules/team"])
        .await
        .told(0, &["new        rules/team/a.rhai"]);
    desk.rules(&["diff", "rules"])
        .await
        .told(0, &["1 unchanged"]);
    // Below, a file is found all the same.
    desk.rules(&["pull", "rules"])
        .await
        .told(0, &["1 unchanged"]);
}
