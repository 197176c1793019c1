//! Virtual time over REST.

use super::{ann_alone, escalation, id, ok, rule, told};
use serde_json::{Value, json};

#[tokio::test]
async fn a_stored_rule_and_a_stored_task_are_simulated() {
    let (app, ann) = ann_alone().await;
    let rule = rule(&ann, escalation()).await;
    let task = ann
        .create_task(json!({ "title": "Pay", "priority": "high" }))
        .await;
    let path = format!("/api/v1/rules/{rule}/simulate");
    let body = json!({ "task_id": task["id"] });
    let timeline = ok(ann.post(&path, body).await);
    assert_eq!(timeline["status"], "succeeded");
    assert_eq!(timeline["matched"], true);
    let expected = ["0 email", "0 sleep", "1d webhook", "1d task.update"];
    assert_eq!(told(&timeline), expected);
    let moments = timeline["timeline"].as_array().unwrap();
    assert_eq!(moments[0]["at"], "2026-03-02T09:00:00Z");
    assert_eq!(
        moments[0]["summary"],
        "e-mail to ann@example.com: Overdue: Pay"
    );
    assert_eq!(moments[1]["detail"]["ended_by"], "time");
    assert_eq!(moments[2]["at"], "2026-03-03T09:00:00Z");
    assert_eq!(moments[2]["detail"]["payload"]["task"], task["id"]);
    assert_eq!(
        moments[2]["detail"]["suppressed"],
        "no endpoint of this name"
    );
    assert_eq!(moments[3]["summary"], "Pay: priority urgent");

    let body = json!({ "task_id": task["id"], "at": "2026-05-01T00:00:00Z",
        "events": [{ "after": "2h", "type": "task.completed", "task": { "status": "done" } }] });
    let timeline = ok(ann.post(&path, body).await);
    assert_eq!(told(&timeline), ["0 email", "0 sleep"]);
    assert_eq!(timeline["timeline"][0]["at"], "2026-05-01T00:00:00Z");
    let body = json!({ "task_id": task["id"], "task": { "priority": "low" } });
    let timeline = ok(ann.post(&path, body).await);
    assert_eq!(
        (&timeline["matched"], told(&timeline).len()),
        (&json!(false), 0)
    );
    app.settle().await;
    assert!(app.mails().is_empty());
}

#[tokio::test]
async fn a_draft_is_simulated_with_or_without_a_rule_that_is_stored() {
    let (app, ann) = ann_alone().await;
    let script = r#"let a = http(#{ url: "https://ci.example.com" });
let yes = approve(task.creator, `Close ${a.json.n}?`, days(2));
if yes == true { task.update(#{ status: "done" }); } else { log(yes ?? "silence"); }"#;
    let draft = json!({ "script": script, "triggers": [{ "event": "task.created" }],
        "task": { "title": "Invented" },
        "answers": { "http": [{ "json": { "n": 7 }, "after": "5m" }], "approve": [{ "approved": true, "after": "1h" }] } });
    let timeline = ok(ann.post("/api/v1/rules/simulate", draft.clone()).await);
    assert_eq!(told(&timeline), ["0 http", "5m approve", "65m task.update"]);
    assert_eq!(timeline["timeline"][1]["detail"]["question"], "Close 7?");

    let mut silent = draft.clone();
    silent["answers"]["approve"] = json!([null]);
    let timeline = ok(ann.post("/api/v1/rules/simulate", silent).await);
    assert_eq!(timeline["log"], json!(["silence"]));
    let mut unanswered = draft;
    unanswered["answers"] = json!({});
    let timeline = ok(ann.post("/api/v1/rules/simulate", unanswered).await);
    assert_eq!(timeline["status"], "suspended");
    assert!(timeline["note"].as_str().unwrap().contains("answers.http"));

    let rule = rule(&ann, escalation()).await;
    let path = format!("/api/v1/rules/{rule}/simulate");
    let body = json!({ "rule": { "script": "log(rule.name); task.tag(\"x\");" }, "task": {} });
    let timeline = ok(ann.post(&path, body).await);
    assert_eq!(timeline["log"], json!(["Escalate"]));
    app.settle().await;
}

#[tokio::test]
async fn what_changed_before_the_event_can_be_told() {
    let (app, ann) = ann_alone().await;
    let draft = json!({ "triggers": [{ "event": "task.updated" }],
        "script": "if changed(\"status\") && previous.status == \"done\" { task.tag(\"again\"); }",
        "task": { "title": "x", "status": "todo" },
        "event": { "type": "task.updated", "previous": { "status": "done" } } });
    let timeline = ok(ann.post("/api/v1/rules/simulate", draft).await);
    assert_eq!(told(&timeline), ["0 task.tag"]);
    app.settle().await;
}

#[tokio::test]
async fn what_cannot_be_simulated_is_refused_where_it_stands() {
    let (app, ann) = ann_alone().await;
    let path = "/api/v1/rules/simulate";
    let draft = |more: Value| {
        let mut body =
            json!({ "script": "task.tag(\"x\");", "triggers": [{ "event": "task.created" }] });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    for (body, pointer) in [
        (draft(json!({ "task": { "colour": 1 } })), "/task/colour"),
        (draft(json!({ "until": "2020-01-01T00:00:00Z" })), "/until"),
        (
            draft(json!({ "events": [{ "after": "-1h", "type": "ci.x" }] })),
            "/events/0/after",
        ),
        (draft(json!({ "script": "if {" })), "/script"),
        (json!({ "script": "log(1);" }), "/triggers"),
        (json!({}), "/script"),
    ] {
        let refused = ann.post(path, body).await;
        assert_eq!(refused.status, 422, "{pointer}: {}", refused.body);
        assert_eq!(refused.pointers(), [pointer], "{}", refused.body);
    }
    let bob = app.register("bob").await;
    let foreign = bob.create_task(json!({ "title": "Secret" })).await;
    let refused = ann
        .post(path, draft(json!({ "task_id": id(&foreign) })))
        .await;
    assert_eq!(refused.refused(404), "not_found");
    app.settle().await;
}
