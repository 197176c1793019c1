//! What every route owes to whoever calls it: refusals that help, conditional requests, answers
//! that can be asked for again, lists that can be walked.

mod changes;
mod lists;
mod once;
mod refusals;
mod requests;

use crate::harness::{Answer, Client, TestApp};
use axum::body::Body;
use http::Request;
use serde_json::Value;

const TASKS: &str = "/api/v1/tasks";
const MERGE_PATCH: &str = "application/merge-patch+json";

async fn send_as(
    app: &TestApp,
    ann: &Client,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("authorization", format!("Bearer {}", ann.token));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.send(request.body(body.into()).unwrap()).await
}

fn titles(tasks: &[Value]) -> Vec<&str> {
    tasks
        .iter()
        .map(|task| task["title"].as_str().unwrap())
        .collect()
}

fn path_of(task: &Value) -> String {
    format!("{TASKS}/{}", task["id"].as_str().unwrap())
}

async fn app_and_ann() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    app.settle().await;
    (app, ann)
}
