//! Idempotency keys: a POST is carried out once.

use super::{TASKS, app_and_ann, path_of};
use crate::harness::{Answer, Client, TestApp, hours, seconds};
use crate::isolation::{Owner, Route};
use http::Method;
use serde_json::{Value, json};

async fn post_once(ann: &Client, path: &str, key: &str, body: Value) -> Answer {
    let key = [("idempotency-key", key)];
    ann.ask(Method::POST, path, Some(&body), &key).await
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

#[tokio::test]
async fn every_post_is_carried_out_once_per_key() {
    let app = TestApp::start().await;
    let ann = Owner::new(&app, "ann").await;
    let mut tried = 0;
    for route in Route::all(&app).await {
        let (Method::POST, Some(body)) = (route.method.clone(), route.body()) else {
            continue;
        };
        let (path, key) = (ann.path(&route), format!("key-{tried}"));
        let first = post_once(&ann.client, &path, &key, body.clone()).await;
        let name = route.name();
        assert!(first.status.is_success(), "{name}: {}", first.body);
        assert!(!is_replayed(&first), "{name}");
        let again = post_once(&ann.client, &path, &key, body.clone()).await;
        assert!(is_replayed(&again), "{name}: {}", again.body);
        assert_eq!(again.status, first.status, "{name}");
        assert_eq!(again.body, first.body, "{name}");
        for header in ["location", "etag", "content-type"] {
            assert_eq!(again.header(header), first.header(header), "{name}");
        }
        let mut other = body;
        other["colour"] = json!("red");
        let refused = post_once(&ann.client, &path, &key, other).await;
        assert_eq!(refused.status, 422, "{name}");
        tried += 1;
    }
    assert!(tried >= 13, "only {tried} routes");
    app.settle().await;
}

#[tokio::test]
async fn a_key_is_good_for_one_request_of_one_person_for_a_day() {
    let (app, ann) = app_and_ann().await;
    let bob = app.register("bob").await;
    let task = json!({ "title": "Pay invoice" });
    let first = post_once(&ann, TASKS, "k", task.clone()).await;
    assert_eq!(first.status, 201);
    let again = post_once(&ann, TASKS, "k", task.clone()).await;
    assert!(is_replayed(&again));
    assert_eq!(again.body, first.body);
    for body in [
        json!({ "title": "Other" }),
        json!({ "title": "Pay invoice", "tags": [] }),
    ] {
        let refused = post_once(&ann, TASKS, "k", body).await;
        assert_eq!(refused.refused(422), "idempotency_key_reused");
    }
    let comments = format!("{}/comments", path_of(&first.body));
    let refused = post_once(&ann, &comments, "k", json!({ "text": "x" })).await;
    assert_eq!(refused.refused(422), "idempotency_key_reused");
    let bobs = post_once(&bob, TASKS, "k", task.clone()).await;
    assert_eq!((bobs.status.as_u16(), is_replayed(&bobs)), (201, false));
    assert_ne!(bobs.body["id"], first.body["id"]);
    assert_eq!(ann.list(TASKS).await.len(), 1);

    app.pass(hours(24) - seconds(1)).await;
    let ann = app.log_in("ann@example.com").await;
    assert!(is_replayed(
        &post_once(&ann, TASKS, "k", task.clone()).await
    ));
    app.pass(seconds(1)).await;
    let new = post_once(&ann, TASKS, "k", task).await;
    assert_eq!((new.status.as_u16(), is_replayed(&new)), (201, false));
    assert_eq!(ann.list(TASKS).await.len(), 2);
    app.settle().await;
}

#[tokio::test]
async fn one_key_many_times_at_once_makes_one_task() {
    let (app, ann) = app_and_ann().await;
    let post = || post_once(&ann, TASKS, "k", json!({ "title": "Pay invoice" }));
    let (a, b, c) = tokio::join!(post(), post(), post());
    let all = [a, b, c];
    for answer in &all {
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.body, all[0].body);
    }
    assert_eq!(all.iter().filter(|answer| is_replayed(answer)).count(), 2);
    assert_eq!(ann.list(TASKS).await.len(), 1);
    app.settle().await;
}

#[tokio::test]
async fn a_key_survives_the_process_and_a_refusal_does_not_use_it_up() {
    let (mut app, ann) = app_and_ann().await;
    let refused = post_once(&ann, TASKS, "k", json!({ "title": "" })).await;
    assert_eq!(refused.refused(422), "invalid");
    let task = json!({ "title": "Pay invoice" });
    let first = post_once(&ann, TASKS, "k", task.clone()).await;
    assert_eq!(first.status, 201);
    app.settle().await;
    app.restart().await;
    let ann = app.log_in("ann@example.com").await;
    let again = post_once(&ann, TASKS, "k", task).await;
    assert!(is_replayed(&again));
    assert_eq!(again.body, first.body);
    for key in ["", "two words", &"k".repeat(256)] {
        let refused = post_once(&ann, TASKS, key, json!({ "title": "x" })).await;
        assert_eq!(refused.refused(422), "invalid", "{key}");
        assert_eq!(refused.pointers(), ["Idempotency-Key"]);
    }
    app.settle().await;
}
