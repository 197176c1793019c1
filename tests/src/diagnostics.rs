//! What is said of a rule when it is checked and when it is saved.

use crate::harness::{Client, TestApp};
use serde_json::{Value, json};

/// The findings as `severity code line: hint`.
fn said(answer: &Value) -> Vec<String> {
    let findings = answer["diagnostics"].as_array().unwrap();
    findings
        .iter()
        .map(|of| {
            let text = |key: &str| of[key].as_str().unwrap().to_owned();
            format!(
                "{} {} {}: {}",
                text("severity"),
                text("code"),
                of["line"],
                text("hint")
            )
        })
        .collect()
}

async fn endpoint(ann: &Client, name: &str) {
    let body = json!({ "name": name, "url": "https://example.org/hook" });
    let made = ann.post("/api/v1/endpoints", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

const SCRIPT: &str = "webhook(\"opps\", #{});\ntask.assign(\"anne@example.com\");\n";

#[tokio::test]
async fn validate_and_save_warn_of_endpoints_and_users_that_there_are_not() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    endpoint(&ann, "ops").await;
    let expected = [
        "warning unknown_endpoint 1: did you mean `ops`?",
        "warning unknown_user 2: did you mean `ann@example.com`?",
    ];
    let triggers = json!([{ "event": "task.created" }]);
    let body = json!({ "script": SCRIPT, "triggers": triggers });
    let checked = ann.post("/api/v1/rules/validate", body).await;
    assert_eq!(checked.status, 200, "{}", checked.body);
    assert_eq!(said(&checked.body), expected);

    let body = json!({ "name": "Tell", "script": SCRIPT, "triggers": triggers });
    let saved = ann.post("/api/v1/rules", body).await;
    assert_eq!(saved.status, 201, "{}", saved.body);
    assert_eq!(said(&saved.body), expected);
    let path = format!("/api/v1/rules/{}", saved.body["id"].as_str().unwrap());
    let read = ann.get(&path).await;
    assert_eq!(read.body.get("diagnostics"), None, "{}", read.body);

    endpoint(&ann, "opps").await;
    let again = ann.patch(&path, json!({ "description": "again" })).await;
    assert_eq!(said(&again.body), expected[1..]);
    let script = "task.assign(\"ann@example.com\");";
    let fixed = ann.patch(&path, json!({ "script": script })).await;
    assert_eq!(said(&fixed.body), [] as [&str; 0]);
}

#[tokio::test]
async fn an_endpoint_of_another_workspace_is_none() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let bob = app.register("bob").await;
    endpoint(&bob, "ops").await;
    let script = "webhook(\"ops\", #{});\ntask.assign(\"bob@example.com\");";
    let body = json!({ "script": script, "triggers": [{ "event": "task.created" }] });
    let checked = ann.post("/api/v1/rules/validate", body.clone()).await;
    let codes: Vec<_> = said(&checked.body)
        .iter()
        .filter_map(|found| found.split(' ').nth(1).map(str::to_owned))
        .collect();
    assert_eq!(codes, ["unknown_endpoint", "unknown_user"]);
    let checked = bob.post("/api/v1/rules/validate", body).await;
    assert_eq!(said(&checked.body), [] as [&str; 0]);
}

#[tokio::test]
async fn a_rule_that_cannot_work_is_refused_with_every_place() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let script = "if task.priority == \"high\" {\n    task.tag(5);\n}\ntask.due_at + 5;";
    let body = json!({
        "name": "Wrong", "script": script, "triggers": [{ "event": "task.created" }],
    });
    let refused = ann.post("/api/v1/rules", body).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert_eq!(refused.body["code"], "invalid_script");
    let places: Vec<_> = refused.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["line"].as_u64(), error["column"].as_u64()))
        .collect();
    let expected = [(1, 18), (2, 14), (4, 13)].map(|(line, column)| (Some(line), Some(column)));
    assert_eq!(places, expected);
}
