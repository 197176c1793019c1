//! The library of rules, installed as anybody would.

use crate::harness::TestApp;
use serde_json::json;

#[tokio::test]
async fn every_rule_of_the_library_can_be_installed_as_it_is() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let templates = ann.list("/api/v1/rule-templates").await;
    assert!(templates.len() >= 10);
    let has = ann.list("/api/v1/rules").await;
    for template in &templates {
        let name = &template["name"];
        let installed = has.iter().any(|rule| rule["name"] == *name);
        assert_eq!(installed, template["starter"] == true, "{name}");
        if installed {
            continue;
        }
        let rule = json!({ "script": template["script"] });
        let answer = ann.post("/api/v1/rules", rule).await;
        assert_eq!(answer.status, 201, "{name}: {:?}", answer.body);
        assert_eq!(answer.body["name"], *name);
        assert_eq!(answer.body["triggers"], template["triggers"]);
        assert_eq!(answer.body["enabled"], true);
    }
    let rules = ann.list("/api/v1/rules").await;
    assert_eq!(rules.len(), templates.len());
    app.settle().await;
}

#[tokio::test]
async fn an_installed_rule_makes_a_task_of_a_posted_event() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let templates = ann.list("/api/v1/rule-templates").await;
    let template = templates
        .iter()
        .find(|template| template["key"] == "task-from-event")
        .unwrap();
    let rule = json!({ "script": template["script"] });
    assert_eq!(ann.post("/api/v1/rules", rule).await.status, 201);
    for _ in 0..2 {
        let failed = json!({
            "type": "ci.failed",
            "data": { "repository": "shop", "branch": "main", "author": "ann@example.com" },
        });
        assert_eq!(ann.post("/api/v1/events", failed).await.status, 201);
        app.settle().await;
    }
    let tasks = ann.list("/api/v1/tasks").await;
    assert_eq!(tasks.len(), 1, "one for both");
    assert_eq!(tasks[0]["title"], "Build of shop fails on main");
    assert_eq!(tasks[0]["priority"], "urgent");
    assert_eq!(tasks[0]["assignee_id"], ann.user["id"]);
}
