//! The rule language as the product offers it: its words, and the channel that a user prefers.

use crate::harness::{TestApp, seconds};
use serde_json::{Value, json};

const ME: &str = "/api/v1/users/me";

#[tokio::test]
async fn the_words_of_the_language_are_listed_and_their_examples_are_accepted() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let answer = ann.get("/api/v1/rules/language").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let words = answer.body["words"].as_array().unwrap();
    let find = |signature: &str| {
        let found = words.iter().find(|word| word["signature"] == signature);
        found.unwrap_or_else(|| panic!("no {signature}"))
    };
    let format = find("Timestamp.format(pattern: text) -> text");
    assert_eq!(format["kind"], "method");
    assert_eq!(format["name"], "format");
    assert_eq!(format["of"], "Timestamp");
    assert_eq!(format["topic"], "Time");
    assert_eq!(find("task: Task | ()")["kind"], "name");
    assert_eq!(find("HIGH: Priority")["kind"], "constant");
    assert_eq!(find("Task.due_at: Timestamp | ()")["kind"], "field");
    assert_eq!(find("Task.update(changes: map)")["kind"], "action");
    for word in [format, find("tasks(conditions: map) -> list")] {
        assert_ne!(word["doc"], "");
        let script = json!({ "script": word["example"] });
        let checked = ann.post("/api/v1/rules/validate", script).await;
        let found = checked.body["diagnostics"].as_array().unwrap();
        assert!(
            found.iter().all(|found| found["severity"] != "error"),
            "{found:?}"
        );
    }
    // A rule cannot be of this name.
    let unknown = ann.get("/api/v1/rules/words").await;
    assert_eq!(unknown.refused(404), "not_found");
    app.settle().await;
}

#[tokio::test]
async fn a_notification_goes_by_the_channel_that_its_user_prefers() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    assert_eq!(ann.user["notify_by"], "email");
    let script = "notify(task.owner, `New: ${task.title}`, \"Have a look.\");";
    ann.create_rule("Tell", "task.created", script).await;
    ann.create_task(json!({ "title": "First" })).await;
    app.settle().await;
    assert_eq!(app.subjects_to("ann"), ["New: First"]);

    let off = ann.patch(ME, json!({ "notify_by": "off" })).await;
    assert_eq!(off.status, 200, "{}", off.body);
    assert_eq!(off.body["notify_by"], "off");
    assert_eq!(ann.get(ME).await.body["notify_by"], "off");
    app.pass(seconds(60)).await;
    ann.create_task(json!({ "title": "Second" })).await;
    app.settle().await;
    assert_eq!(app.subjects_to("ann"), ["New: First"]);
    let newest = &ann.list("/api/v1/runs").await[0];
    let path = format!("/api/v1/runs/{}", newest["id"].as_str().unwrap());
    let run = ann.get(&path).await.body;
    assert_eq!(run["status"], "succeeded");
    let action = &run["actions"][0];
    assert_eq!(action["action"], "notify");
    let told = action["detail"]["suppressed"].as_str();
    let told = told.unwrap_or_else(|| panic!("{action}"));
    assert!(told.contains("turned notifications off"), "{told}");

    ann.patch(ME, json!({ "notify_by": "email" })).await;
    ann.create_task(json!({ "title": "Third" })).await;
    app.settle().await;
    assert_eq!(app.subjects_to("ann"), ["New: First", "New: Third"]);
}

#[tokio::test]
async fn a_channel_that_there_is_not_is_refused() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    for by in [json!("pigeon"), json!(""), json!("EMAIL")] {
        let refused = ann.patch(ME, json!({ "notify_by": by })).await;
        assert_eq!(refused.refused(422), "invalid");
        assert_eq!(refused.pointers(), ["/notify_by"]);
    }
    assert_eq!(
        ann.patch(ME, json!({ "notify_by": Value::Null }))
            .await
            .status,
        422
    );
    assert_eq!(ann.get(ME).await.body["notify_by"], "email");
    app.settle().await;
}
