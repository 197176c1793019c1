//! What cannot be carried out is refused as a problem that says what was wrong, where, and what to
//! do.

use super::{MERGE_PATCH, TASKS, app_and_ann, path_of, send_as};
use crate::harness::TestApp;
use crate::isolation::{Owner, Route};
use http::Method;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn what_does_not_exist_is_a_problem() {
    let (app, ann) = app_and_ann().await;
    let nobody = "/api/v1/tasks/01890a5d-ac96-774b-bcce-b302099a8057";
    for path in [
        "/nowhere",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/tasks",
        "/api/v1/tasks/",
        "/api/v1/tasks/1",
        "/api/v1/tasks/%ff",
        "/api/v1/tasks/..%2f..%2fusers%2fme",
        "/docs/nothing.js",
        nobody,
    ] {
        assert_eq!(ann.get(path).await.refused(404), "not_found", "{path}");
        let refused = app.call(Method::GET, "/nowhere", None, None).await;
        assert_eq!(refused.refused(404), "not_found");
    }
}

#[tokio::test]
async fn a_method_that_is_not_possible_is_a_problem_that_names_those_that_are() {
    let (app, ann) = app_and_ann().await;
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for route in Route::all(&app).await {
        let path = route.path.replace("{id}", ann.id());
        let of_path = methods.entry(path).or_default();
        of_path.insert(route.method.to_string());
    }
    for (path, possible) in methods {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "BREW"] {
            if possible.contains(method) {
                continue;
            }
            let refused = send_as(&app, &ann, (method, &path), &[], "{}").await;
            assert_eq!(refused.refused(405), "method_not_allowed", "{path}");
            let allowed = refused.header("allow").unwrap();
            for method in &possible {
                assert!(allowed.contains(method), "{path}: {allowed}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_with_line_and_column() {
    let (app, ann) = app_and_ann().await;
    let task = ann.create_task(json!({ "title": "Before" })).await;
    let deep = format!(
        "{{\"title\":\"x\",\"fields\":{{\"a\":{}1{}}}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let bodies: [&[u8]; 14] = [
        b"",
        b" ",
        b"{",
        b"title=x",
        b"{\"title\": \"x\",}",
        b"{\"title\": \"x\"} {}",
        b"{'title': 'x'}",
        b"{\"title\": \"x\", \"fields\": {\"n\": 1e400}}",
        b"{\"title\": \"x\", \"fields\": {\"n\": NaN}}",
        b"{\"title\": \"x\", \"title\": \"y\"}",
        b"{\"title\": \"x\", \"fields\": {\"a\": {\"b\": 1, \"b\": 1}}}",
        b"{\"title\": \"\xff\xfe\"}",
        b"{\"title\": \"\\ud800\"}",
        deep.as_bytes(),
    ];
    for (method, path) in [("POST", TASKS), ("PATCH", &*path_of(&task))] {
        for body in bodies {
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            let json = [("content-type", "application/json")];
            let refused = send_as(&app, &ann, (method, path), &json, body.to_vec()).await;
            assert_eq!(refused.refused(400), "malformed_json", "{shown}");
            let error = &refused.body["errors"][0];
            assert!(error["line"].is_u64(), "{shown}: {error}");
            assert!(error["column"].is_u64(), "{shown}: {error}");
        }
    }
    let json = [("content-type", "application/json")];
    let body = "{\n  \"title\": \"x\",\n  \"tags\": [oops]\n}";
    let refused = send_as(&app, &ann, ("POST", TASKS), &json, body).await;
    assert_eq!(refused.body["errors"][0]["line"], 3);
    assert_eq!(refused.body["errors"][0]["column"], 12);
    assert_eq!(ann.list(TASKS).await, [task]);
    app.settle().await;
}

#[tokio::test]
async fn a_body_of_another_kind_or_of_three_megabytes_is_refused() {
    let (app, ann) = app_and_ann().await;
    let body = json!({ "title": "x" }).to_string();
    for headers in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", MERGE_PATCH)],
    ] {
        let refused = send_as(&app, &ann, ("POST", TASKS), headers, body.clone()).await;
        assert_eq!(
            refused.refused(415),
            "unsupported_media_type",
            "{headers:?}"
        );
    }
    let large = json!({ "title": "x", "description": "d".repeat(3_000_000) });
    assert_eq!(
        ann.post(TASKS, large.clone()).await.refused(413),
        "body_too_large"
    );
    let public = app.call(Method::POST, "/api/v1/users", None, Some(&large));
    assert_eq!(public.await.refused(413), "body_too_large");
    let password = "x".repeat(3_000_000);
    let form = [("grant_type", "password"), ("password", &*password)];
    assert_eq!(app.token(&form).await.refused(413), "body_too_large");
    assert!(ann.list(TASKS).await.is_empty());
}

#[tokio::test]
async fn every_body_with_an_unknown_field_is_refused_at_it() {
    let app = TestApp::start().await;
    let ann = Owner::new(&app, "ann").await;
    for route in Route::all(&app).await {
        let Some(mut body) = route.body() else {
            continue;
        };
        body["colour/~"] = json!("red");
        let (method, path) = (route.method.clone(), ann.path(&route));
        let refused = ann.client.ask(method, &path, Some(&body), &[]).await;
        assert_eq!(refused.refused(422), "invalid", "{}", route.name());
        assert_eq!(refused.pointers(), ["/colour~1~0"], "{}", route.name());
    }
    app.settle().await;
}

#[tokio::test]
async fn everything_wrong_with_a_task_is_said_at_once() {
    let (_app, ann) = app_and_ann().await;
    let wrong = json!({
        "title": " ", "project": "p".repeat(101), "tags": ["fine", "t".repeat(101)],
        "description": "d".repeat(20_001), "fields": { "a": "f".repeat(17_000) }
    });
    let refused = ann.post(TASKS, wrong.clone()).await;
    assert_eq!(refused.refused(422), "invalid");
    let mut pointers = refused.pointers();
    pointers.sort_unstable();
    let expected = ["/description", "/fields", "/project", "/tags/1", "/title"];
    assert_eq!(pointers, expected);
    for (field, value) in [
        ("/title", json!({})),
        ("/title", json!({ "title": 1 })),
        ("/title", json!({ "title": "a\r\nb" })),
        ("/status", json!({ "title": "x", "status": "open" })),
        ("/priority", json!({ "title": "x", "priority": "asap" })),
        ("/due_at", json!({ "title": "x", "due_at": "tomorrow" })),
        ("/due_at", json!({ "title": "x", "due_at": 1_700_000_000 })),
        ("/assignee_id", json!({ "title": "x", "assignee_id": "me" })),
        ("/tags", json!({ "title": "x", "tags": "tls" })),
        ("/fields", json!({ "title": "x", "fields": [] })),
        ("/version", json!({ "title": "x", "version": 7 })),
    ] {
        let refused = ann.post(TASKS, value).await;
        assert_eq!(refused.refused(422), "invalid");
        assert_eq!(refused.pointers(), [field]);
    }
    assert!(ann.list(TASKS).await.is_empty());
}

#[tokio::test]
async fn every_list_refuses_a_page_that_cannot_be() {
    let app = TestApp::start().await;
    let ann = Owner::new(&app, "ann").await;
    for route in Route::all(&app).await {
        if !route.is_list() {
            continue;
        }
        let path = ann.path(&route);
        for (query, code, pointer) in [
            ("limit=-1", "invalid", "?limit"),
            ("limit=0", "invalid", "?limit"),
            ("limit=251", "invalid", "?limit"),
            ("limit=abc", "invalid", "?limit"),
            ("limit=", "invalid", "?limit"),
            ("limit=1.5", "invalid", "?limit"),
            ("limit=99999999999999999999", "invalid", "?limit"),
            ("limit=1&limit=2", "invalid", "?limit"),
            ("cursor=", "invalid_cursor", "?cursor"),
            ("cursor=x", "invalid_cursor", "?cursor"),
            ("cursor=e30", "invalid_cursor", "?cursor"),
            ("cursor=%00", "invalid", "?cursor"),
            ("colour=red", "invalid", "?colour"),
            ("sort=colour", "invalid", "?sort"),
        ] {
            let refused = ann.client.get(&format!("{path}?{query}")).await;
            assert_eq!(refused.refused(422), code, "{path}?{query}");
            assert_eq!(refused.pointers(), [pointer], "{path}?{query}");
        }
        assert_eq!(ann.client.list(&format!("{path}?limit=1")).await.len(), 1);
        assert_eq!(
            ann.client.get(&format!("{path}?limit=250")).await.status,
            200
        );
    }
    app.settle().await;
}

#[tokio::test]
async fn a_cursor_serves_the_list_and_order_that_it_came_from() {
    let (app, ann) = app_and_ann().await;
    for title in ["a", "b"] {
        ann.create_task(json!({ "title": title })).await;
    }
    app.settle().await;
    let page = ann.get("/api/v1/tasks?limit=1&sort=title").await;
    let cursor = page.text("next_cursor");
    for path in ["tasks?", "tasks?sort=-title&", "events?", "rules?"] {
        let refused = ann.get(&format!("/api/v1/{path}cursor={cursor}")).await;
        assert_eq!(refused.refused(422), "invalid_cursor", "{path}");
    }
    let broken = &cursor[..cursor.len() - 4];
    let refused = ann
        .get(&format!("{TASKS}?sort=title&cursor={broken}"))
        .await;
    assert_eq!(refused.refused(422), "invalid_cursor");
}
