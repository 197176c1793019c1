//! Whose it is: every route of the API's own description is tried with what belongs to somebody
//! else. A route that these tests know no id or body for fails them, so that none is forgotten.

use crate::harness::{Answer, Client, TestApp, seconds};
use http::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One route of the description.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    /// With `{id}` where an id stands.
    pub(crate) path: String,
    /// The names of the parameters of the query.
    pub(crate) query: BTreeSet<String>,
    /// The fields of the body; `None` when it takes none that is JSON.
    pub(crate) body: Option<BTreeSet<String>>,
    public: bool,
}

impl Route {
    /// Every route that the API describes.
    pub(crate) async fn all(app: &TestApp) -> Vec<Self> {
        let path = "/api/v1/openapi.json";
        let described = app.call(Method::GET, path, None, None).await.body;
        let mut routes = Vec::new();
        for (path, item) in described["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                routes.push(Self::of(method, path, operation, &described));
            }
        }
        assert!(routes.len() > 30, "{routes:?}");
        routes
    }

    fn of(method: Method, path: &str, operation: &Value, described: &Value) -> Self {
        let parameters = operation["parameters"].as_array();
        let query = parameters
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned());
        let contents = operation["requestBody"]["content"].as_object();
        let json = contents
            .into_iter()
            .flatten()
            .find(|(kind, _)| kind.ends_with("json"));
        let nothing = json!({});
        Self {
            method,
            path: path.to_owned(),
            query: query.collect(),
            body: json.map(|(_, content)| fields(&content["schema"], described)),
            public: operation["security"]
                .as_array()
                .is_some_and(|any_of| any_of.contains(&nothing)),
        }
    }

    pub(crate) fn names_one(&self) -> bool {
        self.path.contains('{')
    }

    pub(crate) fn is_list(&self) -> bool {
        self.query.contains("cursor")
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// What to send, where something is to be sent.
    pub(crate) fn body(&self) -> Option<Value> {
        self.body.as_ref()?;
        let script = "task.tag(\"seen\");";
        let name = self.name();
        Some(match name.replace("/api/v1/", "").as_str() {
            "POST users" => json!({
                "name": "Eve", "email": "eve@example.com", "password": "long enough"
            }),
            "PATCH users/me" => json!({ "name": "Renamed" }),
            "POST tasks" | "PATCH tasks/{id}" => json!({ "title": "Changed" }),
            "POST tasks/{id}/comments" => json!({ "text": "A remark" }),
            "POST rules" | "PUT rules/{id}" => json!({
                "name": "Changed", "triggers": [{ "event": "ci.failed" }], "script": script
            }),
            "PATCH rules/{id}" => json!({ "name": "Changed again" }),
            "POST rules/validate" => json!({ "script": script }),
            "POST rules/{id}/rollback" => json!({ "version": 1 }),
            "POST rules/{id}/run" => json!({ "event": { "type": "ci.failed" } }),
            "POST rules/{id}/simulate" => json!({ "task": { "title": "Invented" } }),
            "POST rules/simulate" => json!({
                "script": script, "triggers": [{ "event": "task.created" }],
                "task": { "title": "Invented" }
            }),
            "POST rules/{id}/backtest" => json!({ "since": "2026-03-01T00:00:00Z" }),
            "POST schedules/preview" => json!({ "cron": "0 9 * * *" }),
            "POST events" => json!({ "type": "ci.passed", "data": { "build": 7 } }),
            "POST endpoints" => json!({ "name": "changed", "url": URL }),
            "PATCH endpoints/{id}" => json!({ "name": "changed again" }),
            "POST approvals/{id}/answer" => json!({ "approved": true }),
            "POST endpoints/{id}/rotate-secret"
            | "POST endpoints/{id}/test"
            | "POST deliveries/{id}/retry"
            | "POST runs/{id}/cancel"
            | "POST runs/{id}/resume"
            | "POST runs/{id}/retry" => json!({}),
            _ => panic!("no body is known for {name}"),
        })
    }
}

fn fields(schema: &Value, described: &Value) -> BTreeSet<String> {
    let schema = match schema["$ref"].as_str() {
        Some(to) => described.pointer(to.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let properties = schema["properties"].as_object();
    properties
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect()
}

/// Where nobody listens.
const URL: &str = "http://127.0.0.1:9/hooks";

/// Somebody who has one of everything and at least two in every list.
pub(crate) struct Owner {
    pub(crate) client: Client,
    /// An id of each, by the name of the collection in the path, or by the path that takes no other.
    ids: BTreeMap<&'static str, String>,
}

impl Owner {
    pub(crate) async fn new(app: &TestApp, name: &str) -> Self {
        let client = app.register(name).await;
        let script = "task.tag(\"seen\");";
        let rule = client.create_rule("Mine", "task.created", script).await;
        let rule = id(&rule);
        let path = format!("/api/v1/rules/{rule}");
        let edited = client.patch(&path, json!({ "description": "Mine" })).await;
        assert_eq!(edited.status, 200, "{}", edited.body);
        let mut owner = Self {
            client,
            ids: BTreeMap::from([("rules", rule)]),
        };
        owner.make_the_rest(app).await;
        owner.log_in_again(app).await;
        owner
    }

    async fn make_the_rest(&mut self, app: &TestApp) {
        let mut tasks = Vec::new();
        let question = "approve(task.creator, \"Well?\", days(1));";
        for (name, script) in [
            ("Asks", question),
            ("Waits", "sleep(days(1));"),
            ("Fails", "if task.title == \"First\" { throw \"no\"; }"),
        ] {
            let rule = self.client.create_rule(name, "task.created", script).await;
            self.ids.insert(name, id(&rule));
        }
        for title in ["First", "Second"] {
            let task = json!({ "title": title, "assignee_id": self.client.id() });
            tasks.push(id(&self.client.create_task(task).await));
            let body = json!({ "name": title, "url": URL, "headers": { "x-key": "s3cret" } });
            let endpoint = self.client.post("/api/v1/endpoints", body).await;
            assert_eq!(endpoint.status, 201, "{}", endpoint.body);
            self.ids.insert("endpoints", id(&endpoint.body));
        }
        for text in ["Waiting", "Still waiting"] {
            let path = format!("/api/v1/tasks/{}/comments", tasks[0]);
            let comment = self.client.post(&path, json!({ "text": text })).await;
            assert_eq!(comment.status, 201, "{}", comment.body);
        }
        app.settle().await;
        self.ids.insert("tasks", tasks.swap_remove(0));
        for (route, rule, number) in [
            ("runs/{id}/cancel", "Waits", 0),
            ("runs/{id}/resume", "Waits", 1),
            ("runs/{id}/retry", "Fails", 0),
        ] {
            let path = format!("/api/v1/rules/{}/runs", self.ids[rule]);
            let runs = self.client.list(&path).await;
            self.ids.insert(route, id(&runs[number]));
        }
        for list in ["runs", "deliveries", "events", "approvals"] {
            let first = self.client.list(&format!("/api/v1/{list}?limit=1")).await;
            self.ids.insert(list, id(&first[0]));
        }
    }

    /// So that a session can be ended, and another be used.
    async fn log_in_again(&mut self, app: &TestApp) {
        let email = self.client.user["email"].as_str().unwrap().to_owned();
        let first = self.client.list("/api/v1/auth/sessions").await;
        self.client = app.log_in(&email).await;
        self.ids.insert("sessions", id(&first[0]));
    }

    /// The path of a route with the id of a thing of theirs.
    pub(crate) fn path(&self, route: &Route) -> String {
        let mut collection = "";
        let segments = route.path.split('/').map(|segment| {
            let before = std::mem::replace(&mut collection, segment);
            if !segment.starts_with('{') {
                return segment;
            }
            let path = route.path.trim_start_matches("/api/v1/");
            let id = self.ids.get(path).or_else(|| self.ids.get(before));
            id.unwrap_or_else(|| panic!("no id is known for {}", route.name()))
        });
        segments.collect::<Vec<_>>().join("/")
    }

    fn workspace(&self) -> &str {
        self.client.user["personal_workspace_id"].as_str().unwrap()
    }

    pub(crate) async fn ask(&self, route: &Route, path: &str) -> Answer {
        let (method, body) = (route.method.clone(), route.body());
        self.client.ask(method, path, body.as_ref(), &[]).await
    }

    /// Everything that they can read.
    async fn sight(&self, routes: &[Route]) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        for route in routes.iter().filter(|route| route.method == Method::GET) {
            let read = self.client.get(&self.path(route)).await;
            assert_eq!(read.status, 200, "{}: {}", route.name(), read.body);
            all.push((route.name(), read.body));
        }
        all
    }
}

fn id(of: &Value) -> String {
    of["id"].as_str().unwrap().to_owned()
}

async fn ann_and_bob() -> (TestApp, Owner, Owner) {
    let app = TestApp::start().await;
    let ann = Owner::new(&app, "ann").await;
    let bob = Owner::new(&app, "bob").await;
    (app, ann, bob)
}

/// What removes comes last, or there would be nothing to try the rest with.
fn removing_last(routes: &[Route]) -> Vec<Route> {
    let mut routes = routes.to_vec();
    routes.sort_by_key(|route| route.method == Method::DELETE);
    routes
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_there() {
    let (app, ann, bob) = ann_and_bob().await;
    let routes = Route::all(&app).await;
    let before = ann.sight(&routes).await;
    for route in routes.iter().filter(|route| route.names_one()) {
        let path = ann.path(route);
        let refused = bob.ask(route, &path).await;
        assert_eq!(refused.refused(404), "not_found", "{}", route.name());
        let path = format!("{path}?workspace_id={}", ann.workspace());
        let refused = bob.ask(route, &path).await;
        assert_eq!(refused.refused(404), "not_found", "{}", route.name());
    }
    app.pass(seconds(60)).await;
    assert_eq!(ann.sight(&routes).await, before);

    // The same requests are good ones when it is one's own.
    for route in removing_last(&routes) {
        if route.names_one() {
            let done = ann.ask(&route, &ann.path(&route)).await;
            // What one has done may not go together with the next: that is a refusal of one's own.
            let fine = done.status.is_success() || done.status == 409;
            assert!(fine, "{}: {}", route.name(), done.body);
        }
    }
    app.settle().await;
}

#[tokio::test]
async fn a_workspace_of_somebody_else_is_not_there() {
    let (app, ann, bob) = ann_and_bob().await;
    let routes = Route::all(&app).await;
    let before = ann.sight(&routes).await;
    let mut tried = 0;
    for route in routes.iter().filter(|route| !route.names_one()) {
        if route.query.contains("workspace_id") {
            let path = format!("{}?workspace_id={}", route.path, ann.workspace());
            let refused = bob.ask(route, &path).await;
            assert_eq!(refused.refused(404), "not_found", "{}", route.name());
            tried += 1;
        }
        let Some(fields) = route.body.as_ref() else {
            continue;
        };
        if fields.contains("workspace_id") {
            let mut body = route.body().unwrap();
            body["workspace_id"] = json!(ann.workspace());
            let refused = bob.client.post(&route.path, body.clone()).await;
            assert_eq!(refused.refused(404), "not_found", "{}", route.name());
            body["workspace_id"] = json!(bob.workspace());
            let done = bob.client.post(&route.path, body).await;
            assert!(done.status.is_success(), "{}: {}", route.name(), done.body);
            tried += 1;
        }
    }
    assert!(tried >= 13, "only {tried} routes name a workspace");
    app.pass(seconds(60)).await;
    assert_eq!(ann.sight(&routes).await, before);
}

#[tokio::test]
async fn a_cursor_of_somebody_else_is_refused() {
    let (app, ann, bob) = ann_and_bob().await;
    let mut tried = 0;
    for route in Route::all(&app).await {
        if !route.is_list() {
            continue;
        }
        let first = ann
            .client
            .get(&format!("{}?limit=1", ann.path(&route)))
            .await;
        let name = route.name();
        let cursor = first.body["next_cursor"].as_str();
        let cursor = cursor.unwrap_or_else(|| panic!("{name} has but one row"));
        let (own, foreign) = (ann.path(&route), bob.path(&route));
        let own = ann.client.get(&format!("{own}?cursor={cursor}")).await;
        assert_eq!(own.status, 200, "{name}: {}", own.body);
        let refused = bob.client.get(&format!("{foreign}?cursor={cursor}")).await;
        assert_eq!(refused.refused(422), "invalid_cursor", "{name}");
        assert_eq!(refused.pointers(), ["?cursor"]);
        tried += 1;
    }
    assert!(tried >= 9, "only {tried} lists");
}

#[tokio::test]
async fn a_body_cannot_name_what_is_somebody_elses() {
    let (app, ann, bob) = ann_and_bob().await;
    let (task, rule) = (&bob.ids["tasks"], &bob.ids["rules"]);
    let (tasks, rules) = ("/api/v1/tasks", format!("/api/v1/rules/{rule}"));
    let own_task = format!("{tasks}/{task}");
    let (user, foreign) = (ann.client.id(), ann.ids["tasks"].as_str());
    for (field, body) in [
        ("/assignee_id", json!({ "title": "x", "assignee_id": user })),
        ("/parent_id", json!({ "title": "x", "parent_id": foreign })),
    ] {
        let refused = bob.client.post(tasks, body.clone()).await;
        assert_eq!(refused.refused(422), "invalid");
        assert_eq!(refused.pointers(), [field]);
        let refused = bob.client.patch(&own_task, body).await;
        assert_eq!(refused.refused(422), "invalid");
        assert_eq!(refused.pointers(), [field]);
    }
    let event = json!({ "type": "ci.failed", "task_id": foreign });
    let refused = bob.client.post("/api/v1/events", event).await;
    assert_eq!(refused.refused(422), "invalid");
    assert_eq!(refused.pointers(), ["/task_id"]);
    let run = json!({ "task_id": foreign });
    let refused = bob.client.post(&format!("{rules}/run"), run).await;
    assert_eq!(refused.refused(404), "not_found");
    assert_eq!(refused.text("detail"), "There is no such task.");
    let moved = json!({ "workspace_id": ann.workspace() });
    let refused = bob.client.patch(&rules, moved).await;
    assert_eq!(refused.refused(422), "invalid");
    assert_eq!(refused.pointers(), ["/workspace_id"]);
    app.settle().await;
}

#[tokio::test]
async fn a_filter_by_what_is_somebody_elses_finds_nothing() {
    let (app, ann, bob) = ann_and_bob().await;
    let id = |of: &str| ann.ids[of].clone();
    for (list, filter, id) in [
        ("tasks", "assignee_id", ann.client.id().to_owned()),
        ("tasks", "creator_id", ann.client.id().to_owned()),
        ("runs", "rule_id", id("rules")),
        ("runs", "task_id", id("tasks")),
        ("events", "task_id", id("tasks")),
        ("deliveries", "rule_id", id("rules")),
        ("deliveries", "run_id", id("runs")),
        ("deliveries", "task_id", id("tasks")),
        ("deliveries", "endpoint_id", id("endpoints")),
    ] {
        let path = format!("/api/v1/{list}?{filter}={id}");
        assert!(bob.client.list(&path).await.is_empty(), "{path}");
    }
    app.settle().await;
}

#[tokio::test]
async fn a_rule_meets_only_what_is_in_its_workspace() {
    let (app, ann, bob) = ann_and_bob().await;
    let before = ann.sight(&Route::all(&app).await).await;
    let assign = format!("task.assign(\"{}\");", ann.client.id());
    let parent = &ann.ids["tasks"];
    let child = format!("create_task(#{{ title: \"x\", parent_id: \"{parent}\" }});");
    // Bob has no endpoint of this name, Ann has.
    let body = json!({ "name": "hers", "url": URL });
    let endpoint = ann.client.post("/api/v1/endpoints", body).await;
    let path = format!("/api/v1/endpoints/{}", endpoint.text("id"));
    for (name, script) in [
        ("assign", assign.as_str()),
        ("child", child.as_str()),
        ("call", "webhook(\"hers\", #{});"),
    ] {
        let rule = bob.client.create_rule(name, "ci.failed", script).await;
        let event = json!({ "type": "ci.failed", "task_id": bob.ids["tasks"] });
        let posted = bob.client.post("/api/v1/events", event).await;
        assert_eq!(posted.status, 201, "{}", posted.body);
        app.settle().await;
        let rule = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap());
        let runs = bob.client.list(&format!("{rule}/runs")).await;
        assert_eq!(runs.len(), 1, "{name}");
        let hers = ann.client.list("/api/v1/deliveries?channel=webhook").await;
        assert!(hers.is_empty(), "{hers:?}");
        let tasks = bob.client.list("/api/v1/tasks").await;
        let reach = |task: &Value| {
            task["assignee_id"] == ann.client.user["id"] || task["parent_id"] == **parent
        };
        assert!(!tasks.iter().any(reach), "{name}: {tasks:?}");
        assert_eq!(bob.client.delete(&rule).await.status, 204);
    }
    assert_eq!(ann.client.delete(&path).await.status, 204);
    assert_eq!(ann.sight(&Route::all(&app).await).await, before);
}

#[tokio::test]
async fn what_happens_to_one_starts_no_rule_of_another() {
    let (app, ann, bob) = ann_and_bob().await;
    let before = bob.sight(&Route::all(&app).await).await;
    ann.client.create_task(json!({ "title": "Third" })).await;
    let event = json!({ "type": "ci.failed" });
    assert_eq!(ann.client.post("/api/v1/events", event).await.status, 201);
    app.pass(seconds(60)).await;
    assert_eq!(bob.sight(&Route::all(&app).await).await, before);
}

#[tokio::test]
async fn every_route_but_three_wants_a_token() {
    let app = TestApp::start().await;
    let ann = Owner::new(&app, "ann").await;
    let mut public = Vec::new();
    for route in Route::all(&app).await {
        let (path, body) = (ann.path(&route), route.body());
        let ask = |token| app.call(route.method.clone(), &path, token, body.as_ref());
        if route.public {
            assert_ne!(ask(None).await.status, 401, "{}", route.name());
            public.push(route.name());
            continue;
        }
        for (token, code) in [(None, "unauthenticated"), (Some("x"), "invalid_token")] {
            let refused = ask(token).await;
            assert_eq!(refused.refused(401), code, "{}", route.name());
            let challenge = refused.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer"), "{challenge}");
        }
    }
    let expected = [
        "POST /api/v1/auth/revoke",
        "POST /api/v1/auth/token",
        "POST /api/v1/users",
    ];
    public.sort();
    assert_eq!(public, expected);
    app.settle().await;
}
