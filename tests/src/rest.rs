//! What every route owes to whoever calls it: refusals that help, conditional requests, answers
//! that can be asked for again, lists that can be walked.

use crate::harness::{Answer, Client, TestApp, hours, seconds};
use crate::isolation::{Owner, Route};
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use std::collections::BTreeSet;

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

// Refusals.

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
    let mut methods: Vec<(String, BTreeSet<String>)> = Vec::new();
    for route in Route::all(&app).await {
        let path = route.path.replace("{id}", ann.id());
        match methods.iter_mut().find(|(known, _)| *known == path) {
            Some((_, methods)) => methods.insert(route.method.to_string()),
            None => {
                methods.push((path, BTreeSet::from([route.method.to_string()])));
                true
            }
        };
    }
    for (path, possible) in methods {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "BREW"] {
            if possible.contains(method) || path.ends_with("/me") && method == "GET" {
                continue;
            }
            let body = json!({}).to_string();
            let refused = send_as(&app, &ann, (method, &path), &[], body).await;
            // What is not a word of its own can be an id: /rules/validate.
            if refused.status == 404 || refused.status == 415 {
                assert!(path.ends_with("/validate"), "{method} {path}");
                continue;
            }
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

// Conditional requests.

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

// Merge patches.

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

// Idempotency keys.

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

// Lists.

/// 120 tasks of which many are alike in what they are sorted by.
async fn many_tasks(app: &TestApp, ann: &Client) {
    let titles = ["b", "B", "a", "ä", "ω", "emoji 🎉", "a a"];
    let priorities = ["low", "normal", "high", "urgent"];
    for number in 0..120_usize {
        let due_at = match number % 3 {
            0 => None,
            day => Some(format!("2027-01-0{day}T00:00:00Z")),
        };
        ann.create_task(json!({
            "title": titles[number % titles.len()],
            "priority": priorities[number % priorities.len()],
            "due_at": due_at,
        }))
        .await;
        if number % 10 == 0 {
            app.clock.advance(seconds(1));
        }
    }
    app.settle().await;
}

/// Every page of a list, by its cursors.
async fn walk(ann: &Client, path: &str) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut next = path.to_owned();
    loop {
        let page = ann.get(&next).await;
        assert_eq!(page.status, 200, "{next}: {}", page.body);
        pages.push(page.body["data"].as_array().unwrap().clone());
        let Some(cursor) = page.body["next_cursor"].as_str() else {
            assert_eq!(page.header("link"), None);
            return pages;
        };
        let link = page.header("link").unwrap();
        let target = link.strip_prefix('<').unwrap();
        let target = target.strip_suffix(">; rel=\"next\"").unwrap();
        assert_eq!(target, format!("{path}&cursor={cursor}"));
        next = target.to_owned();
    }
}

/// What a list is sorted by.
fn sort_key(task: &Value, column: &str) -> (i64, String) {
    let text = task[column].as_str();
    match (column, text) {
        ("priority", Some(name)) => {
            let ranks = ["low", "normal", "high", "urgent"];
            let rank = ranks.iter().position(|rank| *rank == name).unwrap();
            (rank.try_into().unwrap(), String::new())
        }
        // Without a deadline: after all deadlines.
        (_, None) => (1, String::new()),
        (_, Some(text)) => (0, text.to_owned()),
    }
}

#[tokio::test]
async fn every_order_visits_every_task_once() {
    let (app, ann) = app_and_ann().await;
    many_tasks(&app, &ann).await;
    for column in ["created_at", "updated_at", "due_at", "priority", "title"] {
        for direction in ["", "-"] {
            let path = format!("{TASKS}?sort={direction}{column}&limit=7");
            let pages = walk(&ann, &path).await;
            assert_eq!(pages.len(), 18, "{path}");
            assert!(pages[..17].iter().all(|page| page.len() == 7), "{path}");
            let tasks = pages.concat();
            let ids: BTreeSet<_> = tasks.iter().map(|task| task["id"].as_str()).collect();
            assert_eq!((tasks.len(), ids.len()), (120, 120), "{path}");
            let keys: Vec<_> = tasks.iter().map(|task| sort_key(task, column)).collect();
            let mut sorted = keys.clone();
            sorted.sort();
            if direction == "-" {
                sorted.reverse();
            }
            assert_eq!(keys, sorted, "{path}");
        }
    }
    assert_eq!(ann.list("/api/v1/tasks?limit=250").await.len(), 120);
    assert_eq!(ann.list(TASKS).await.len(), 50);
    let newest = ann
        .list(&format!("{TASKS}?sort=-created_at&limit=250"))
        .await;
    assert_eq!(ann.list(&format!("{TASKS}?limit=250")).await, newest);
}

#[tokio::test]
async fn a_walk_keeps_its_filters_and_minds_nobody_who_comes_or_goes() {
    let (app, ann) = app_and_ann().await;
    for number in 10..30 {
        let project = if number % 2 == 0 { "a&b" } else { "other" };
        ann.create_task(json!({ "title": format!("{number}"), "project": project }))
            .await;
    }
    let list = format!("{TASKS}?project=a%26b&sort=title&limit=4");
    let first = ann.get(&list).await;
    let seen = first.body["data"].as_array().unwrap();
    assert_eq!(titles(seen), ["10", "12", "14", "16"]);
    assert_eq!(ann.delete(&path_of(&seen[0])).await.status, 204);
    assert_eq!(ann.delete(&path_of(&seen[3])).await.status, 204);
    ann.create_task(json!({ "title": "09", "project": "a&b" }))
        .await;
    let next = first.header("link").unwrap().to_owned();
    let next = next.trim_start_matches('<').split('>').next().unwrap();
    assert_eq!(titles(&ann.list(next).await), ["18", "20", "22", "24"]);
    app.settle().await;
}

#[tokio::test]
async fn each_filter_finds_its_tasks() {
    let (app, ann) = app_and_ann().await;
    let first = json!({
        "title": "Renew certificate", "description": "100% by Friday", "project": "website",
        "status": "in_progress", "priority": "urgent", "tags": ["tls", "a\"b"],
        "assignee_id": ann.id(), "due_at": "2026-03-02T08:00:00Z"
    });
    ann.create_task(first).await;
    app.pass(seconds(60)).await;
    let second = json!({
        "title": "Über uns", "description": "renew the TEXT", "project": "Website",
        "status": "done", "priority": "low", "tags": ["tlsx"], "due_at": "2026-03-02T08:00:00Z"
    });
    ann.create_task(second).await;
    let third = json!({ "title": "Sleep", "due_at": "2026-03-04T00:00:00Z", "tags": ["TLS"] });
    ann.create_task(third).await;
    app.settle().await;

    let (one, two, three) = ("Renew certificate", "Über uns", "Sleep");
    let since = app.clock.now().to_string();
    let since = format!("updated_since={since}");
    for (query, expected) in [
        ("status=done", &[two][..]),
        ("status=done,in_progress", &[one, two]),
        ("status=cancelled", &[]),
        ("priority=urgent", &[one]),
        ("priority=low,normal", &[three, two]),
        ("project=website", &[one]),
        ("project=", &[]),
        ("tag=tls", &[one]),
        ("tag=TLS", &[three]),
        ("tag=a%22b", &[one]),
        ("tag=tl%25", &[]),
        ("tag=tl_", &[]),
        ("assignee_id=me", &[one]),
        ("creator_id=me", &[one, three, two]),
        ("due_before=2026-03-02T08:00:00Z", &[]),
        ("due_before=2026-03-02T08:00:00.001Z", &[one, two]),
        ("due_after=2026-03-02T08:00:00Z", &[one, three, two]),
        ("due_after=2026-03-02T09:00:00%2B01:00", &[one, three, two]),
        ("due_after=2026-03-03T00:00:00Z", &[three]),
        ("overdue=true", &[one]),
        ("overdue=false", &[three, two]),
        ("q=renew", &[one, two]),
        ("q=RENEW", &[one, two]),
        ("q=text", &[two]),
        ("q=%25", &[one]),
        ("q=_", &[]),
        ("q=%C3%9Cber", &[two]),
        ("q=%C3%BCber", &[two]),
        ("q=", &[one, three, two]),
        (&since, &[three, two]),
        ("q=renew&status=done&tag=tlsx&assignee_id=me", &[]),
        ("q=renew&status=done&tag=tlsx", &[two]),
    ] {
        let found = ann.list(&format!("{TASKS}?sort=title&{query}")).await;
        assert_eq!(titles(&found), expected, "{query}");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_is_refused() {
    let (_app, ann) = app_and_ann().await;
    for (query, pointer) in [
        ("status=open", "?status"),
        ("status=todo,open", "?status"),
        ("status=", "?status"),
        ("priority=asap", "?priority"),
        ("assignee_id=ann", "?assignee_id"),
        ("creator_id=1", "?creator_id"),
        ("due_before=tomorrow", "?due_before"),
        ("due_after=2026-13-01T00:00:00Z", "?due_after"),
        ("updated_since=0", "?updated_since"),
        ("overdue=maybe", "?overdue"),
        ("sort=colour", "?sort"),
        ("sort=", "?sort"),
        ("sort=title,due_at", "?sort"),
        ("workspace_id=mine", "?workspace_id"),
        ("project=%00", "?project"),
        ("q=%ff", "?q"),
    ] {
        let refused = ann.get(&format!("{TASKS}?{query}")).await;
        assert_eq!(refused.refused(422), "invalid", "{query}");
        assert_eq!(refused.pointers(), [pointer], "{query}");
    }
}

// Ids, traces, limits.

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
