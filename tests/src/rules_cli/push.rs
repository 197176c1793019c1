//! `smarttasks rules push` and `diff`.

use super::{Desk, posted, rule};
use crate::harness::hours;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use http::Method;
use serde_json::json;
use smarttasks::cli::{Connection, PushRules, RulesCommand, SettingFlags};
use smarttasks::commands::rules::{Ending, Terminal, run};
use std::io::Cursor;

const SCRIPT: &str = "email(task.owner, \"a\", \"b\");";

#[tokio::test]
async fn nothing_is_applied_that_nobody_allowed() {
    let desk = Desk::new().await;
    desk.write("a.rhai", &rule("A", SCRIPT));
    for _ in 0..2 {
        let said = desk.rules(&["push", "rules"]).await;
        let asked = "nothing was changed; say --yes to apply it";
        said.told(
            3,
            &[
                "create     \"A\" (rules/a.rhai)\n1 to create, 0 unchanged\n",
                asked,
            ],
        );
        desk.rules(&["diff", "rules"])
            .await
            .told(1, &["1 to create"]);
    }
    assert!(desk.stored().await.is_empty());

    let said = desk.rules(&["push", "rules", "--yes"]).await;
    said.told(0, &["created \"A\", version 1\n"]);
    let stored = desk.stored().await;
    assert_eq!(stored["A"]["script"], rule("A", SCRIPT));
    for command in [
        &["push", "rules"][..],
        &["diff", "rules"],
        &["push", "rules", "--prune"],
    ] {
        let said = desk.rules(command).await;
        assert_eq!((said.code, said.out.as_str()), (0, "1 unchanged\n"));
    }
    assert_eq!(desk.stored().await["A"]["version"], 1);
}

#[tokio::test]
async fn a_change_is_shown_first_and_what_has_no_file_stays_unless_pruned() {
    let desk = Desk::new().await;
    desk.write("a.rhai", &rule("A", SCRIPT));
    desk.write("b.rhai", &rule("B", SCRIPT));
    desk.rules(&["push", "rules", "--yes"]).await.told(0, &[]);
    let changed = rule("A", &format!("//! enabled = false\nlog(1);\n{SCRIPT}"));
    desk.write("a.rhai", &changed);
    std::fs::remove_file(desk.path("b.rhai")).unwrap();

    let shown = [
        "change     \"A\" (rules/a.rhai): enabled, script\n--- version 1 on the server\n+++ rules/a.rhai\n",
        "+//! enabled = false\n+log(1);\n email(",
        "only there \"B\"\nwhat is only there stays, and runs on if it is enabled; --prune deletes it\n1 to change, 1 only on the server, 0 unchanged\n",
    ];
    desk.rules(&["diff", "rules"]).await.told(1, &shown);
    let said = desk.rules(&["push", "rules", "--yes"]).await;
    said.told(0, &shown)
        .told(0, &["changed \"A\", version 2\n"]);
    let stored = desk.stored().await;
    assert_eq!(stored["A"]["enabled"], false);
    assert_eq!(stored["A"]["version"], 2);
    assert_eq!(stored["B"]["version"], 1);

    desk.rules(&["diff", "rules"])
        .await
        .told(0, &["only there \"B\""]);
    let said = desk.rules(&["diff", "rules", "--prune"]).await;
    said.told(1, &["delete     \"B\"\n1 to delete, 1 unchanged\n"]);
    let said = desk.rules(&["push", "rules", "--prune", "--yes"]).await;
    said.told(0, &["deleted \"B\"\n"]);
    assert!(!desk.stored().await.contains_key("B"));
}

#[tokio::test]
async fn what_the_server_refuses_is_said_at_its_place_and_the_rest_goes_on() {
    let desk = Desk::with(&[("rules.min_cron_interval", "10m")], |router, _| router).await;
    let old = desk.ann.post("/api/v1/rules", posted("Old", SCRIPT)).await;
    assert_eq!(old.status, 201, "{}", old.body);
    desk.write("a.rhai", &rule("A", "let x = 1;\nemial(x);"));
    desk.write("b.rhai", &rule("B", SCRIPT));
    let cron = "//! name = \"C\"\n//! triggers = [\n//!     { cron = \"* * * * *\", for_each = \"once\" },\n//! ]\nemit(\"a.b\", 1);";
    desk.write("c.rhai", cron);
    let said = desk.rules(&["push", "rules", "--prune", "--yes"]).await;
    said.told(
        1,
        &[
            "rules/a.rhai:4:1: error[invalid_script]: there is no function `emial`",
            "    4 | emial(x);\n      | ^\n",
            "created \"B\", version 1\n",
            "rules/c.rhai:3:11: error[invalid]: /triggers/0/cron: fires every 60 s",
            "nothing was deleted, because something was refused",
        ],
    );
    let names: Vec<String> = desk.stored().await.into_keys().collect();
    assert_eq!(names, ["B", "Old"]);
}

#[tokio::test]
async fn a_file_that_is_no_rule_fails_the_push_of_it_alone_and_nothing_is_deleted() {
    let desk = Desk::new().await;
    let old = desk.ann.post("/api/v1/rules", posted("Old", SCRIPT)).await;
    assert_eq!(old.status, 201, "{}", old.body);
    desk.write("a.rhai", &rule("A", SCRIPT));
    desk.write("old.rhai", "//! nam = \"Old\"\nlog(1);\n");
    let shown = [
        "rules/old.rhai:1:5: error[header]: ",
        "1 not to be read",
        "nothing is deleted",
    ];
    let said = desk.rules(&["diff", "rules", "--prune"]).await;
    said.told(2, &shown);
    let said = desk.rules(&["push", "rules", "--prune", "--yes"]).await;
    said.told(1, &shown).told(1, &["created \"A\""]);
    let names: Vec<String> = desk.stored().await.into_keys().collect();
    assert_eq!(names, ["A", "Old"]);
    desk.rules(&["push", "rules", "--yes"])
        .await
        .told(1, &["1 unchanged"]);
}

#[tokio::test]
async fn a_change_that_somebody_made_meanwhile_is_not_overwritten() {
    let desk = Desk::with(&[], |router, ann| {
        let ann = ann.clone();
        router.layer(from_fn(move |request: Request, next: Next| {
            let ann = ann.clone();
            async move {
                if matches!(*request.method(), Method::PUT | Method::DELETE) {
                    let path = request.uri().path().to_owned();
                    ann.patch(&path, json!({ "description": "Somebody's" }))
                        .await;
                }
                next.run(request).await
            }
        }))
    })
    .await;
    for name in ["A", "B"] {
        let made = desk
            .ann
            .post("/api/v1/rules", posted(name, "log(1);"))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    desk.write("a.rhai", &rule("A", SCRIPT));
    let said = desk.rules(&["push", "rules", "--yes"]).await;
    let refused = "error[precondition_failed]: The present version is 2";
    let hint = "hint: it was changed on the server meanwhile";
    said.told(1, &[&format!("rules/a.rhai: {refused}"), hint]);
    desk.write("a.rhai", "//! name = \"A\"\n//! description = \"Somebody's\"\n//! triggers = [{ event = \"task.created\" }]\nlog(1);");
    let said = desk.rules(&["push", "rules", "--prune", "--yes"]).await;
    said.told(1, &[&format!("\"B\": {refused}"), hint]);
    let stored = desk.stored().await;
    for name in ["A", "B"] {
        assert_eq!(stored[name]["description"], "Somebody's");
        assert_eq!(stored[name]["script"], "log(1);");
    }
}

#[tokio::test]
async fn a_person_is_asked_first() {
    let desk = Desk::new().await;
    desk.write("a.rhai", &rule("A", SCRIPT));
    let token_file = desk.app.directory().join("token");
    std::fs::write(&token_file, format!("{}\n", desk.ann.token)).unwrap();
    let command = RulesCommand::Push(PushRules {
        directory: desk.path(""),
        yes: false,
        prune: false,
        enable: false,
        skip_existing: false,
        connection: Connection {
            server: Some(desk.server.clone()),
            token_file: Some(token_file),
            workspace: None,
        },
    });
    for (typed, ending, rules) in [("n\n", Ending::Pending, 0), ("y\n", Ending::Done, 1)] {
        let mut terminal = Terminal {
            interactive: true,
            input: Box::new(Cursor::new(typed)),
            out: Box::new(std::io::sink()),
        };
        let settings = SettingFlags::default();
        let ended = run(&command, &settings, &mut terminal).await.unwrap();
        assert_eq!(ended, ending, "{typed}");
        assert_eq!(desk.stored().await.len(), rules, "{typed}");
    }
}

#[tokio::test]
async fn what_matches_already_is_left_alone_on_demand() {
    let desk = Desk::new().await;
    let urgent = json!({ "title": "t", "priority": "urgent" });
    desk.ann.create_task(urgent).await;
    for name in ["all", "later"] {
        let sweep = format!(
            "//! name = \"{name}\"\n//! triggers = [{{ cron = \"@hourly\" }}]\n\
             if task.priority >= URGENT {{ emit(\"found.{name}\", 1); }}\n"
        );
        std::fs::create_dir(desk.path(name)).unwrap();
        desk.write(&format!("{name}/sweep.rhai"), &sweep);
    }
    desk.rules(&["push", "rules/all", "--yes"])
        .await
        .told(0, &["created \"all\""]);
    desk.rules(&["push", "rules/later", "--yes", "--skip-existing"])
        .await
        .told(0, &["created \"later\""]);
    desk.app.pass(hours(1)).await;
    for (name, found) in [("all", 1), ("later", 0)] {
        let events = format!("/api/v1/events?type=found.{name}");
        assert_eq!(desk.ann.list(&events).await.len(), found, "{name}");
    }
}

#[tokio::test]
async fn more_rules_than_fit_on_a_page_are_compared_to_the_last() {
    let desk = Desk::new().await;
    for number in 0..120 {
        let name = format!("Rule {number}");
        desk.write(&format!("{number}.rhai"), &rule(&name, SCRIPT));
    }
    let said = desk.rules(&["push", "rules", "--yes"]).await;
    said.told(0, &["120 to create, 0 unchanged\n"]);
    assert_eq!(desk.stored().await.len(), 120);
    desk.rules(&["push", "rules"])
        .await
        .told(0, &["120 unchanged\n"]);
}

#[tokio::test]
async fn what_smarttasks_has_disabled_is_enabled_by_a_mended_file_or_on_demand() {
    let desk = Desk::new().await;
    let sold = |script: &str| {
        format!("//! name = \"A\"\n//! triggers = [{{ event = \"shop.sold\" }}]\n{script}\n")
    };
    desk.write("a.rhai", &sold("throw \"bad\";"));
    desk.rules(&["push", "rules", "--yes"]).await.told(0, &[]);
    let fail = || async {
        for _ in 0..10 {
            let event = json!({ "type": "shop.sold" });
            assert_eq!(desk.ann.post("/api/v1/events", event).await.status, 201);
        }
        desk.app.settle().await;
        let rule = desk.stored().await.remove("A").unwrap();
        assert_eq!(rule["enabled"], false, "{rule}");
        rule["version"].as_i64().unwrap()
    };
    assert_eq!(fail().await, 2);
    let reason = "left       \"A\" (rules/a.rhai): disabled by SmartTasks: 10 failures in a row";
    for command in [&["push", "rules", "--yes"][..], &["diff", "rules"]] {
        let said = desk.rules(command).await;
        said.told(0, &[reason, "--enable"]);
    }
    assert_eq!(desk.stored().await["A"]["version"], 2);

    let again = "it is enabled again; it was disabled by SmartTasks: 10 failures";
    let said = desk.rules(&["push", "rules", "--yes", "--enable"]).await;
    said.told(0, &[again, "changed \"A\", version 3\n"]);
    assert_eq!(desk.stored().await["A"]["enabled"], true);

    assert_eq!(fail().await, 4);
    desk.write("a.rhai", &sold("log(1);"));
    let said = desk.rules(&["push", "rules", "--yes"]).await;
    said.told(0, &[again, "changed \"A\", version 5\n"]);
    assert_eq!(desk.stored().await["A"]["enabled"], true);
}
