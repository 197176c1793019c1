//! Requests of scripts: made by the notifier, in the delivery log, and answered to the script that
//! waits.

use crate::harness::{Client, TestApp, hours, seconds};
use crate::receivers::{Answers, Webhooks};
use http::StatusCode;
use serde_json::{Value, json};

struct Asking {
    app: TestApp,
    ann: Client,
    receiver: Webhooks,
    task: Value,
}

impl Asking {
    /// A task that a rule asks about: `http` is given `more` beside the URL, and what comes back is
    /// a comment.
    async fn new(answers: Answers, more: &str) -> Self {
        let app = TestApp::start().await;
        let receiver = Webhooks::start().await;
        receiver.from_now_on(answers);
        let ann = app.register("ann").await;
        ann.remove_starter_rules().await;
        let url = receiver.url("/status");
        let script = format!(
            "let answer = http(#{{ url: \"{url}\", {more} }});\n\
             task.comment(`${{answer.status}} ${{answer.json ?? answer.error ?? answer.body}}`);"
        );
        ann.create_rule("Ask", "task.created", &script).await;
        let task = ann.create_task(json!({ "title": "Report" })).await;
        app.settle().await;
        Self {
            app,
            ann,
            receiver,
            task,
        }
    }

    /// What came back.
    async fn said(&self) -> Vec<String> {
        let id = self.task["id"].as_str().unwrap();
        let comments = self.ann.list(&format!("/api/v1/tasks/{id}/comments")).await;
        let texts = comments.iter().map(|comment| comment["text"].as_str());
        texts.map(|text| text.unwrap().to_owned()).collect()
    }

    /// The delivery, with what was asked.
    async fn delivery(&self) -> Value {
        let all = self.ann.list("/api/v1/deliveries?channel=http").await;
        assert_eq!(all.len(), 1);
        let id = all[0]["id"].as_str().unwrap();
        self.ann.get(&format!("/api/v1/deliveries/{id}")).await.body
    }
}

#[tokio::test]
async fn a_script_goes_on_with_the_answer_and_its_headers_stay_its_own() {
    let more = r#"body: #{ a: 1 }, headers: #{ "Authorization": "Bearer s3cret" }"#;
    let asking = Asking::new(Answers::Json(r#"{"up":true}"#), more).await;
    assert_eq!(asking.said().await, [r#"200 #{"up": true}"#]);

    let delivery = asking.delivery().await;
    let received = asking.receiver.inbox.take();
    assert_eq!(received.len(), 1);
    assert_eq!(
        (received[0].method.as_str(), received[0].json()),
        ("POST", json!({ "a": 1 }))
    );
    let header = |name: &str| received[0].headers[name].to_str().unwrap();
    assert_eq!(header("authorization"), "Bearer s3cret");
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("idempotency-key"), delivery["id"]);
    assert!(!received[0].headers.contains_key("webhook-signature"));

    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["recipient"], asking.receiver.url("/status"));
    assert_eq!(delivery["attempts"][0]["status_code"], 200);
    assert_eq!(delivery["attempts"][0]["response"], r#"{"up":true}"#);
    let content = json!({
        "method": "POST", "headers": ["authorization", "content-type"], "body": "{\"a\":1}",
        "until": "2026-03-02T10:00:00Z",
    });
    assert_eq!(delivery["content"], content);
    let path = format!("/api/v1/deliveries/{}", delivery["id"].as_str().unwrap());
    for path in [
        &*path,
        "/api/v1/deliveries",
        "/api/v1/runs",
        "/api/v1/events",
    ] {
        let seen = asking.ann.get(path).await.body.to_string();
        assert!(!seen.contains("s3cret"), "{path}: {seen}");
    }
}

#[tokio::test]
async fn one_that_is_down_for_a_moment_is_asked_again_until_the_script_waits_no_longer() {
    let down = Answers::Status(StatusCode::SERVICE_UNAVAILABLE);
    let asking = Asking::new(down, "timeout: minutes(10)").await;
    assert_eq!(asking.delivery().await["status"], "pending");
    asking.receiver.from_now_on(Answers::Json("[1]"));
    asking.app.pass(seconds(6)).await;
    assert_eq!(asking.said().await, ["200 [1]"]);
    assert_eq!(
        asking.delivery().await["attempts"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let asking = Asking::new(down, "timeout: minutes(2)").await;
    assert_eq!(asking.said().await, [""; 0]);
    asking.app.pass(seconds(6)).await;
    assert_eq!(asking.said().await, ["503"]);
    assert_eq!(asking.delivery().await["status"], "failed");
    asking.app.pass(hours(1)).await;
    assert_eq!(asking.said().await, ["503"]);
    assert_eq!(asking.receiver.inbox.take().len(), 2);
}

#[tokio::test]
async fn whoever_waits_no_longer_asks_no_longer() {
    let down = Answers::Status(StatusCode::SERVICE_UNAVAILABLE);
    for action in ["cancel", "resume"] {
        let asking = Asking::new(down, "").await;
        let run = &asking.ann.list("/api/v1/runs").await[0]["id"];
        let path = format!("/api/v1/runs/{}/{action}", run.as_str().unwrap());
        let done = asking.ann.post(&path, json!({})).await;
        assert!(done.status.is_success(), "{}", done.body);
        asking.app.settle().await;
        asking.app.pass(hours(1)).await;
        assert_eq!(asking.receiver.inbox.take().len(), 1, "{action}");
        let delivery = asking.delivery().await;
        assert_eq!(delivery["status"], "failed");
        let reason = delivery["reason"].as_str().unwrap();
        assert!(
            reason.contains("does not wait for an answer any more"),
            "{reason}"
        );
        let failed = "/api/v1/events?type=delivery.failed";
        assert!(asking.ann.list(failed).await.is_empty(), "{action}");
    }
}

#[tokio::test]
async fn what_may_not_be_reached_is_an_answer_that_says_so() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let script = "let answer = http(#{ url: \"https://10.0.0.1/\" }); task.comment(answer.error);";
    ann.create_rule("Ask", "task.created", script).await;
    let task = ann.create_task(json!({ "title": "Report" })).await;
    app.settle().await;
    let path = format!("/api/v1/tasks/{}/comments", task["id"].as_str().unwrap());
    let text = ann.list(&path).await[0]["text"].clone();
    let text = text.as_str().unwrap();
    assert!(
        text.contains("10.0.0.1 is or resolves to an address"),
        "{text}"
    );
}

#[tokio::test]
async fn a_request_that_has_ended_is_not_made_again() {
    let asking = Asking::new(Answers::Status(StatusCode::NOT_FOUND), "").await;
    assert_eq!(asking.said().await, ["404"]);
    let delivery = asking.delivery().await;
    let path = format!(
        "/api/v1/deliveries/{}/retry",
        delivery["id"].as_str().unwrap()
    );
    let refused = asking.ann.post(&path, json!({})).await;
    assert_eq!(refused.refused(409), "conflict");
    assert!(refused.text("detail").contains("retry the run"));
    assert_eq!(asking.receiver.inbox.take().len(), 1);
}
