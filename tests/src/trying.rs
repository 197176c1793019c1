//! Rules tried without consequences: why, explain, simulate, backtest.

mod backtest;
mod real;
mod simulate;
mod unchanged;
mod why;

use crate::harness::{Answer, Client, TestApp};
use serde_json::{Value, json};

async fn ann_alone() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    (app, ann)
}

/// A rule of the workspace.
async fn rule(ann: &Client, fields: Value) -> String {
    let rule = ann.post("/api/v1/rules", fields).await;
    assert_eq!(rule.status, 201, "{}", rule.body);
    id(&rule.body)
}

fn id(of: &Value) -> String {
    of["id"].as_str().unwrap().to_owned()
}

fn ok(answer: Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// The escalation of the guide.
fn escalation() -> Value {
    json!({
        "name": "Escalate", "triggers": [{ "event": "task.overdue" }],
        "script": r#"if task.is_open && task.priority >= HIGH {
    email(task.owner, `Overdue: ${task.title}`, "Please look.");
    sleep(days(1));
    if task.is_open {
        webhook("ops", #{ task: task.id });
        task.update(#{ priority: URGENT });
    }
}"#,
    })
}

/// What happens when, as `after action`.
fn told(of: &Value) -> Vec<String> {
    let moments = of["timeline"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    moments
        .map(|moment| format!("{} {}", text(&moment["after"]), text(&moment["action"])))
        .collect()
}

#[tokio::test]
async fn a_rule_is_explained_in_words() {
    let (app, ann) = ann_alone().await;
    let script = r#"if task.is_overdue { email(user("bob@example.com"), task.title, "");
        webhook("ops", #{}); sleep(hours(1)); task.tag("late"); }"#;
    let triggers = json!([
        { "cron": "0 9 * * MON", "timezone": "Europe/Berlin" },
        { "event": "task.*" },
        { "due": "+2h" },
    ]);
    let fields = json!({ "name": "All", "triggers": triggers, "script": script, "repeat": "24h", "hold": "1h" });
    let rule = rule(&ann, fields).await;
    let told = ok(ann.get(&format!("/api/v1/rules/{rule}/explain")).await);
    let words: Vec<_> = told["triggers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["text"].clone())
        .collect();
    assert_eq!(
        words,
        [
            "at `0 9 * * MON` in Europe/Berlin, for each task of the workspace",
            "when an event like task.* comes",
            "2h after the deadline of each open task",
        ]
    );
    let next = &told["triggers"][0]["next_occurrences"];
    assert_eq!(next[0], "2026-03-09T08:00:00Z");
    assert_eq!(told["actions"], json!(["email", "task.tag", "webhook"]));
    assert_eq!(
        (&told["suspends"], &told["waits"]),
        (&json!(true), &json!(["sleep"]))
    );
    assert_eq!(
        told["predicate"],
        "the status is todo, in_progress or blocked, and the deadline is at or before now"
    );
    assert_eq!(told["unclear"], json!([]));
    let search = &told["search"];
    assert_eq!(search["indexed"], true, "{search}");
    assert_eq!(search["reads"][0]["index"], "tasks_open_by_deadline");
    let open = r#""status" IN ('todo', 'in_progress', 'blocked')"#;
    assert!(search["sql"].as_str().unwrap().contains(open), "{search}");
    assert_eq!(
        told["endpoints"][0],
        json!({ "name": "ops", "line": 2, "column": 17, "exists": false })
    );
    assert_eq!(told["users"][0]["exists"], false);
    assert!(
        told["repeat"].as_str().unwrap().contains("again every 1d"),
        "{told}"
    );
    assert!(told["hold"].as_str().unwrap().contains("for 1h"), "{told}");
    assert!(!told["diagnostics"].as_array().unwrap().is_empty());
    app.settle().await;
}
