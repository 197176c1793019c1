//! What a request carries along and what it is counted by: ids, traces, limits.

use super::{TASKS, app_and_ann};
use crate::harness::{TestApp, seconds};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn every_answer_carries_the_id_that_the_request_came_with() {
    let (_app, ann) = app_and_ann().await;
    for path in [TASKS, "/nowhere", "/api/v1/tasks?limit=0", "/livez"] {
        let id = [("x-request-id", "abc-123")];
        let answer = ann.ask(Method::GET, path, None, &id).await;
        assert_eq!(answer.header("x-request-id"), Some("abc-123"), "{path}");
        let made = ann.get(path).await;
        let made = made.header("x-request-id").unwrap().to_owned();
        let next = ann.get(path).await;
        assert_ne!(Some(made.as_str()), next.header("x-request-id"), "{path}");
    }
}

#[tokio::test]
async fn a_trace_goes_on_in_the_events_that_a_request_causes() {
    let (app, ann) = app_and_ann().await;
    ann.create_rule("tag", "task.created", "task.tag(\"seen\");")
        .await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = json!({ "title": "x" });
    let headers = [("traceparent", trace)];
    let task = ann.ask(Method::POST, TASKS, Some(&body), &headers).await;
    assert_eq!(task.status, 201);
    app.settle().await;
    for kind in ["task.created", "task.updated"] {
        let events = ann.list(&format!("/api/v1/events?type={kind}")).await;
        let continued = events[0]["traceparent"].as_str().unwrap();
        assert_eq!(continued[..36], trace[..36], "{kind}: the same trace");
        assert_ne!(continued, trace, "{kind}: another span");
    }
    for nonsense in ["", "nonsense", "00-0-0-00"] {
        let headers = [("traceparent", nonsense)];
        let body = json!({ "type": "ci.failed" });
        let event = ann.ask(Method::POST, "/api/v1/events", Some(&body), &headers);
        assert_eq!(event.await.text("traceparent").len(), 55);
    }
    app.settle().await;
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_back() {
    let app = TestApp::start_with(&[("http.rate_limit", "5")]).await;
    let ann = app.register("ann").await;
    let bob = app.register("bob").await;
    for left in (0..4).rev() {
        let read = ann.get(TASKS).await;
        assert_eq!(read.status, 200);
        let limit = read.header("ratelimit").unwrap();
        assert!(
            limit.contains(&format!("\"principal\";r={left};")),
            "{limit}"
        );
        let policy = read.header("ratelimit-policy").unwrap();
        assert!(policy.contains("\"principal\";q=5;w=60"), "{policy}");
    }
    let refused = ann.post(TASKS, json!({ "title": "x" })).await;
    assert_eq!(refused.refused(429), "rate_limited");
    let limit = refused.header("ratelimit").unwrap();
    assert!(limit.contains("\"principal\";r=0;"), "{limit}");
    let wait = refused.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(
        bob.get(TASKS).await.status,
        200,
        "one does not pay for another"
    );

    app.pass(seconds(wait)).await;
    assert!(ann.list(TASKS).await.is_empty());
    assert_eq!(ann.get(TASKS).await.refused(429), "rate_limited");
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_refused_everywhere_but_by_the_watchers() {
    let app = TestApp::start_with(&[("http.rate_limit", "1")]).await;
    let ask = |path| app.call(Method::GET, path, None, None);
    for _ in 0..4 {
        assert_eq!(ask(TASKS).await.refused(401), "unauthenticated");
    }
    for path in [TASKS, "/api/v1/users/me", "/docs/"] {
        let refused = ask(path).await;
        assert_eq!(refused.refused(429), "rate_limited");
        assert_eq!(refused.header("retry-after"), Some("15"));
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(ask(path).await.status, 200, "{path}");
    }
}
