//! Conditional requests, and changes as merge patches.

use super::{MERGE_PATCH, app_and_ann, path_of, send_as};
use crate::harness::TestApp;
use crate::isolation::{Owner, Route};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn what_was_read_is_not_sent_again() {
    let app = TestApp::start().await;
    let ann = Owner::new(&app, "ann").await;
    let single = ["/tasks/{id}", "/endpoints/{id}", "/users/me"];
    for route in Route::all(&app).await {
        let is = single.iter().any(|end| route.path.ends_with(end));
        if route.method != Method::GET || !is {
            continue;
        }
        let path = ann.path(&route);
        let read = ann.client.get(&path).await;
        let tag = read.header("etag").unwrap().to_owned();
        assert_eq!(tag, format!("\"v{}\"", read.body["version"]));
        for (known, status) in [
            (tag.as_str(), 304),
            (&format!("W/{tag}"), 304),
            (&format!("\"v99\", {tag}"), 304),
            ("*", 304),
            ("\"v99\"", 200),
            ("nonsense", 200),
        ] {
            let known = [("if-none-match", known)];
            let again = ann.client.ask(Method::GET, &path, None, &known).await;
            assert_eq!(again.status, status, "{path} {known:?}");
            assert_eq!(again.header("etag"), Some(&*tag));
            assert_eq!(again.body.is_null(), status == 304, "{path} {known:?}");
        }
    }
    app.settle().await;
}

#[tokio::test]
async fn a_change_to_what_has_changed_since_is_refused() {
    let app = TestApp::start().await;
    let ann = Owner::new(&app, "ann").await;
    let removes = |route: &Route| route.method == Method::DELETE;
    let mut routes = Route::all(&app).await;
    routes.retain(|route| {
        let changes = [Method::PATCH, Method::PUT, Method::DELETE].contains(&route.method);
        changes && !route.path.ends_with("/sessions/{id}")
    });
    routes.sort_by_key(removes);
    assert_eq!(routes.len(), 8, "{routes:?}");
    for route in &routes {
        let (path, body) = (ann.path(route), route.body());
        let ask = |tag| {
            let headers = [("if-match", tag)];
            let (client, method, path) = (&ann.client, route.method.clone(), &path);
            let body = body.as_ref();
            async move { client.ask(method, path, body, &headers).await }
        };
        let before = ann.client.get(&path).await;
        let tag = before.header("etag").unwrap().to_owned();
        let weak = format!("W/{tag}");
        for stale in ["\"v99\"", "nonsense", "", &weak] {
            let refused = ask(stale).await;
            let name = route.name();
            assert_eq!(
                refused.refused(412),
                "precondition_failed",
                "{name} {stale}"
            );
        }
        assert_eq!(ann.client.get(&path).await.body, before.body);
        let seen = format!("\"v99\", {tag}");
        let done = ask(&seen).await;
        assert!(done.status.is_success(), "{}: {}", route.name(), done.body);
        if removes(route) {
            assert_eq!(ask("*").await.refused(404), "not_found");
        } else {
            let after = ann.client.get(&path).await;
            assert_eq!(done.header("etag"), after.header("etag"));
            assert_eq!(ask(&tag).await.refused(412), "precondition_failed");
            assert_eq!(ask("*").await.status, 200);
        }
    }
    app.settle().await;
}

#[tokio::test]
async fn of_two_changes_at_once_to_one_version_one_is_refused() {
    let (app, ann) = app_and_ann().await;
    let path = path_of(&ann.create_task(json!({ "title": "x" })).await);
    let rename = async |title: &str| {
        let (body, seen) = (json!({ "title": title }), [("if-match", "\"v1\"")]);
        ann.ask(Method::PATCH, &path, Some(&body), &seen).await
    };
    let (a, b) = tokio::join!(rename("a"), rename("b"));
    let mut statuses = [a.status.as_u16(), b.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let task = ann.get(&path).await;
    assert_eq!(task.body["version"], 2);
    app.settle().await;
}

#[tokio::test]
async fn a_patch_keeps_what_it_does_not_name_and_null_clears() {
    let (app, ann) = app_and_ann().await;
    let parent = ann.create_task(json!({ "title": "Parent" })).await;
    let whole = json!({
        "title": "Renew", "description": "d", "project": "website", "status": "in_progress",
        "priority": "high", "assignee_id": ann.id(), "tags": ["tls", "ops"],
        "due_at": "2026-12-01T09:00:00Z", "parent_id": parent["id"],
        "fields": { "customer": "acme", "round": { "a": 1, "b": 2 } }
    });
    let task = ann.create_task(whole.clone()).await;
    let path = path_of(&task);
    let json = serde_json::to_string(&json!({ "title": "Renewed" })).unwrap();
    let headers = [("content-type", MERGE_PATCH)];
    let patched = send_as(&app, &ann, ("PATCH", &path), &headers, json).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    let mut expected = task;
    expected["title"] = json!("Renewed");
    expected["version"] = json!(2);
    assert_eq!(patched.body, expected);

    let merged = json!({ "fields": { "customer": null, "size": 3, "round": 4 } });
    let patched = ann.patch(&path, merged).await;
    assert_eq!(patched.body["fields"], json!({ "size": 3, "round": 4 }));

    for (field, cleared) in [
        ("project", Value::Null),
        ("assignee_id", Value::Null),
        ("due_at", Value::Null),
        ("parent_id", Value::Null),
        ("description", json!("")),
        ("tags", json!([])),
        ("fields", json!({})),
    ] {
        let patched = ann.patch(&path, json!({ field: null })).await;
        assert_eq!(patched.status, 200, "{field}: {}", patched.body);
        assert_eq!(patched.body[field], cleared, "{field}");
    }
    let same = ann.patch(&path, json!({})).await;
    assert_eq!(same.body, ann.get(&path).await.body);
    app.settle().await;
}

#[tokio::test]
async fn a_patch_of_custom_fields_reaches_into_objects() {
    let (app, ann) = app_and_ann().await;
    let fields = json!({ "size": { "a": 1, "b": { "c": 2, "d": 3 } }, "list": [1, 2] });
    let task = json!({ "title": "x", "fields": fields });
    let path = path_of(&ann.create_task(task).await);
    let patch = json!({ "size": { "a": null, "b": { "d": 4, "e": 5 } }, "list": [3] });
    let patched = ann.patch(&path, json!({ "fields": patch })).await;
    let merged = json!({ "size": { "b": { "c": 2, "d": 4, "e": 5 } }, "list": [3] });
    assert_eq!(patched.body["fields"], merged);
    app.settle().await;
}

#[tokio::test]
async fn what_must_be_there_cannot_be_cleared() {
    let app = TestApp::start().await;
    let ann = Owner::new(&app, "ann").await;
    for (end, fields) in [
        ("/tasks/{id}", &["title", "status", "priority"][..]),
        ("/endpoints/{id}", &["name", "url"]),
        ("/users/me", &["name", "timezone"]),
    ] {
        let routes = Route::all(&app).await;
        let is = |route: &&Route| route.method == Method::PATCH && route.path.ends_with(end);
        let path = ann.path(routes.iter().find(is).unwrap());
        let before = ann.client.get(&path).await.body;
        for field in fields {
            let refused = ann.client.patch(&path, json!({ *field: null })).await;
            assert_eq!(refused.refused(422), "invalid", "{end} {field}");
            assert_eq!(refused.pointers(), [format!("/{field}")]);
        }
        assert_eq!(ann.client.get(&path).await.body, before);
        let refused = ann.client.patch(&path, json!([])).await;
        assert_eq!(refused.refused(422), "invalid", "{end}");
    }
    app.settle().await;
}
