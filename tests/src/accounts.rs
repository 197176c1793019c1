//! Accounts: how one comes about, what it comes with, how it changes, and what stays secret.

use crate::harness::{Answer, Client, PASSWORD, TestApp, seconds};
use crate::isolation::{Owner, Route};
use http::Method;
use serde_json::{Value, json};
use smarttasks::config::{Flag, Sources, load, show};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

const USERS: &str = "/api/v1/users";
const ME: &str = "/api/v1/users/me";

async fn register(app: &TestApp, body: Value) -> Answer {
    app.call(Method::POST, USERS, None, Some(&body)).await
}

async fn try_login(app: &TestApp, username: &str, password: &str) -> Answer {
    let form = [
        ("grant_type", "password"),
        ("username", username),
        ("password", password),
    ];
    app.token(&form).await
}

fn ann_with(field: &str, value: Value) -> Value {
    let mut body = json!({ "name": "Ann", "email": "ann@example.com", "password": PASSWORD });
    body[field] = value;
    body
}

#[tokio::test]
async fn an_account_is_made_as_it_was_asked_for() {
    let app = TestApp::start().await;
    let body = json!({
        "name": " Ann Smith ", "email": " Ann.Smith@EXAMPLE.com ", "password": PASSWORD,
        "timezone": "Europe/Berlin"
    });
    let made = register(&app, body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("location"), Some(ME));
    assert_eq!(made.header("etag"), Some("\"v1\""));
    let ann = app.log_in("ann.smith@example.com").await;
    assert_eq!(ann.user, made.body);
    assert_eq!(ann.user["name"], "Ann Smith");
    assert_eq!(ann.user["email"], "Ann.Smith@example.com");
    assert_eq!(ann.user["timezone"], "Europe/Berlin");
    assert_eq!(ann.user["created_at"], app.clock.now().to_string());
    let mut fields: Vec<_> = ann.user.as_object().unwrap().keys().collect();
    fields.sort();
    let expected =
        "created_at email id name notify_by personal_workspace_id timezone updated_at version";
    assert_eq!(fields, expected.split(' ').collect::<Vec<_>>());
    app.settle().await;
}

#[tokio::test]
async fn everything_wrong_with_a_registration_is_said_at_once() {
    let app = TestApp::start().await;
    let body = json!({ "name": " ", "email": "ann", "password": "short", "timezone": "Mars/Base" });
    let refused = register(&app, body).await;
    assert_eq!(refused.refused(422), "invalid");
    let mut pointers = refused.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/email", "/name", "/password", "/timezone"]);
    assert!(
        !refused.body.to_string().contains("short"),
        "{}",
        refused.body
    );
}

#[tokio::test]
async fn a_value_that_cannot_be_is_refused_at_its_field() {
    let app = TestApp::start().await;
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("Ann\r\nBcc: eve@example.com")),
        ("name", json!("n".repeat(201))),
        ("name", json!(null)),
        ("email", json!("ann@example.com\r\nBcc: eve@example.com")),
        ("email", json!("ann@example.com, eve@example.com")),
        ("email", json!("Ann <ann@example.com>")),
        ("email", json!("ann@")),
        ("email", json!(["ann@example.com"])),
        ("password", json!("7 chars")),
        ("password", json!("p".repeat(257))),
        ("password", json!(12_345_678)),
        ("timezone", json!("UTC+1")),
        ("role", json!("owner")),
        ("id", json!("019cadc6-9a80-79d3-addf-661316f9b0b8")),
    ] {
        let refused = register(&app, ann_with(field, value)).await;
        assert_eq!(refused.refused(422), "invalid", "{field}");
        assert_eq!(refused.pointers(), [format!("/{field}")]);
    }
    let refused = register(&app, json!({})).await;
    assert_eq!(refused.refused(422), "invalid");
    let login = try_login(&app, "ann@example.com", PASSWORD).await;
    assert_eq!(login.refused(400), "invalid_grant", "nobody was made");
}

#[tokio::test]
async fn a_password_is_taken_as_it_is() {
    let app = TestApp::start().await;
    for (name, password) in [
        ("a", "8 chars!"),
        ("b", " spaces before and after "),
        ("c", "пароль🔑🔑"),
        ("d", &"p".repeat(256)),
        ("e", "Case Matters & = % + quotes\""),
    ] {
        let email = format!("{name}@example.com");
        let body = json!({ "name": name, "email": email, "password": password });
        assert_eq!(register(&app, body).await.status, 201, "{password}");
        assert_eq!(try_login(&app, &email, password).await.status, 200);
        for other in [password.to_lowercase() + "x", format!("{password} ")] {
            let refused = try_login(&app, &email, &other).await;
            assert_eq!(refused.refused(400), "invalid_grant", "{other}");
        }
    }
    app.settle().await;
}

#[tokio::test]
async fn an_address_has_one_account_whatever_its_case() {
    let app = TestApp::start().await;
    let first = register(&app, ann_with("email", json!("Ann@Example.com"))).await;
    assert_eq!(first.status, 201);
    for email in ["ann@example.com", "ANN@EXAMPLE.COM", " ann@example.com "] {
        let refused = register(&app, ann_with("email", json!(email))).await;
        assert_eq!(refused.refused(409), "email_taken", "{email}");
    }
    let bob = json!({ "name": "Bob", "email": "bob@example.com", "password": PASSWORD });
    let mut again = bob.clone();
    again["email"] = json!("BOB@example.com");
    let (a, b) = tokio::join!(register(&app, bob), register(&app, again));
    let mut statuses = [a.status.as_u16(), b.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "two at once");
    app.settle().await;
}

#[tokio::test]
async fn a_closed_server_takes_nobody_new() {
    let app = TestApp::start_with(&[("accounts.registration", "closed")]).await;
    let refused = register(&app, ann_with("name", json!("Ann"))).await;
    assert_eq!(refused.refused(403), "registration_closed");
    let login = try_login(&app, "ann@example.com", PASSWORD).await;
    assert_eq!(login.refused(400), "invalid_grant");
}

#[tokio::test]
async fn an_account_comes_with_a_workspace_and_its_starter_rules() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.register("ann").await, app.register("bob").await);
    app.settle().await;
    let workspace = |of: &Client| of.user["personal_workspace_id"].clone();
    assert_ne!(workspace(&ann), workspace(&bob));
    let rules = ann.list("/api/v1/rules").await;
    let mut triggers: Vec<_> = rules
        .iter()
        .map(|rule| &rule["triggers"][0]["event"])
        .collect();
    triggers.sort_by_key(|trigger| trigger.as_str());
    assert_eq!(triggers, ["task.created", "task.overdue"]);
    let templates = ann.list("/api/v1/rule-templates").await;
    for rule in &rules {
        assert_eq!(rule["enabled"], true);
        assert_eq!(rule["workspace_id"], workspace(&ann));
        let of = |template: &&Value| template["name"] == rule["name"];
        let template = templates.iter().find(of).unwrap();
        assert_eq!(template["script"], rule["script"]);
        assert_eq!(template["starter"], true);
    }
    let task = ann.create_task(json!({ "title": "x" })).await;
    assert_eq!(task["workspace_id"], workspace(&ann));
    let created = ann.list("/api/v1/events?type=user.created").await;
    assert_eq!(created.len(), 1);
    assert_eq!(created[0]["data"]["user"]["id"], ann.user["id"]);
    assert_eq!(created[0]["data"]["user"]["email"], "ann@example.com");
    app.settle().await;
}

#[tokio::test]
async fn the_time_zone_of_an_account_is_that_of_its_schedules() {
    let app = TestApp::start().await;
    let berlin = register(&app, ann_with("timezone", json!("Europe/Berlin"))).await;
    assert_eq!(berlin.status, 201);
    let ann = app.log_in("ann@example.com").await;
    let bob = app.register("bob").await;
    assert_eq!(bob.user["timezone"], "UTC");
    for (of, first) in [
        (&ann, "2026-03-03T08:00:00Z"),
        (&bob, "2026-03-03T09:00:00Z"),
    ] {
        let preview = json!({ "cron": "0 9 * * *" });
        let preview = of.post("/api/v1/schedules/preview", preview).await;
        assert_eq!(preview.body["occurrences"][0], first);
    }
    app.settle().await;
}

#[tokio::test]
async fn people_change_their_name_and_time_zone() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    app.pass(seconds(60)).await;
    let body = json!({ "name": "Ann Miller", "timezone": "Asia/Tokyo" });
    let changed = ann.patch(ME, body).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let mut expected = ann.user.clone();
    expected["name"] = json!("Ann Miller");
    expected["timezone"] = json!("Asia/Tokyo");
    expected["version"] = json!(2);
    expected["updated_at"] = json!(app.clock.now());
    assert_eq!(changed.body, expected);
    assert_eq!(changed.header("etag"), Some("\"v2\""));
    assert_eq!(ann.get(ME).await.body, expected, "the login goes on");
    let comment = ann.create_task(json!({ "title": "x" })).await;
    app.settle().await;
    let created = ann.list("/api/v1/events?type=task.created").await;
    assert_eq!(created[0]["data"]["actor"]["name"], "Ann Miller");
    assert_eq!(created[0]["data"]["task"]["id"], comment["id"]);
}

#[tokio::test]
async fn a_profile_refuses_what_cannot_be() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    for (field, body) in [
        ("/name", json!({ "name": " " })),
        ("/timezone", json!({ "timezone": "Mars/Base" })),
        ("/email", json!({ "email": "eve@example.com" })),
        ("/id", json!({ "id": ann.id() })),
        ("/version", json!({ "version": 1 })),
    ] {
        let refused = ann.patch(ME, body).await;
        assert_eq!(refused.refused(422), "invalid");
        assert_eq!(refused.pointers(), [field]);
    }
    let both = json!({ "name": "", "timezone": "Mars/Base" });
    let refused = ann.patch(ME, both).await;
    assert_eq!(refused.pointers(), ["/name", "/timezone"], "all at once");
    assert_eq!(ann.get(ME).await.body, ann.user);
    app.settle().await;
}

#[tokio::test]
async fn a_new_password_needs_the_present_one() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let new = "another long password";
    for (field, body) in [
        ("/current_password", json!({ "password": new })),
        (
            "/current_password",
            json!({ "password": new, "current_password": "wrong password" }),
        ),
        (
            "/current_password",
            json!({ "password": new, "current_password": null }),
        ),
        (
            "/password",
            json!({ "password": "short", "current_password": PASSWORD }),
        ),
    ] {
        let refused = ann.patch(ME, body).await;
        assert_eq!(refused.refused(422), "invalid");
        assert_eq!(refused.pointers(), [field]);
    }
    let stale = [("if-match", "\"v7\"")];
    let body = json!({ "password": new, "current_password": PASSWORD });
    let refused = ann.ask(Method::PATCH, ME, Some(&body), &stale).await;
    assert_eq!(refused.refused(412), "precondition_failed");
    assert_eq!(ann.get(ME).await.body, ann.user, "nothing changed");
    assert_eq!(
        try_login(&app, "ann@example.com", PASSWORD).await.status,
        200
    );
    app.settle().await;
}

#[tokio::test]
async fn guessing_the_present_password_is_stopped_like_guessing_at_login() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let mut tried = 0;
    for guess in 0..20 {
        let body = json!({
            "password": "another long password", "current_password": format!("wrong {guess}")
        });
        let answer = ann.patch(ME, body).await;
        assert!(
            answer.status == 422 || answer.status == 429,
            "{}",
            answer.body
        );
        tried += usize::from(answer.status == 422);
    }
    assert_eq!(tried, 10);
    app.settle().await;
}

// Secrets.

/// What was told to one person once, or to nobody.
struct Secrets {
    /// Shown by no answer at all.
    never: Vec<String>,
    /// Shown at the path `endpoint`.
    webhook: String,
    endpoint: String,
}

/// Everything that people usually do, and what was secret about it.
async fn a_usual_session(app: &TestApp) -> (Owner, Secrets) {
    let ann = Owner::new(app, "ann").await;
    let login = try_login(app, "ann@example.com", PASSWORD).await;
    let endpoint = json!({
        "name": "ops", "url": "http://127.0.0.1:9/hooks", "event_types": ["task.*"],
        "headers": { "authorization": "Bearer header-s3cret" }
    });
    let key = [("idempotency-key", "endpoint-1")];
    let endpoints = "/api/v1/endpoints";
    let made = ann
        .client
        .ask(Method::POST, endpoints, Some(&endpoint), &key)
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    ann.client.create_task(json!({ "title": "Third" })).await;
    app.settle().await;
    let never = vec![
        PASSWORD.to_owned(),
        "header-s3cret".to_owned(),
        "$argon2".to_owned(),
        ann.client.token.clone(),
        login.text("access_token"),
        login.text("refresh_token"),
    ];
    let secrets = Secrets {
        never,
        webhook: made.text("secret"),
        endpoint: format!("{endpoints}/{}/secret", made.text("id")),
    };
    (ann, secrets)
}

fn assert_not_in(secrets: &[String], text: &str, place: &str) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{secret} in {place}");
    }
}

#[tokio::test]
async fn no_answer_shows_a_secret_where_it_does_not_belong() {
    let app = TestApp::start().await;
    let (ann, secrets) = a_usual_session(&app).await;
    let mut read = 0;
    for route in Route::all(&app).await {
        let path = ann.path(&route);
        let mut answers = vec![];
        if route.method == Method::GET {
            answers.push(ann.client.get(&path).await);
            answers.push(ann.client.get(&format!("{path}?limit=0")).await);
        } else if let Some(mut body) = route.body() {
            body["password"] = json!([PASSWORD]);
            let method = route.method.clone();
            answers.push(ann.client.ask(method, &path, Some(&body), &[]).await);
        }
        for answer in answers {
            let shown = format!("{:?} {}", answer.headers, answer.body);
            assert_not_in(&secrets.never, &shown, &route.name());
            if !route.path.ends_with("/secret") {
                assert!(!shown.contains("whsec_"), "{}: {shown}", route.name());
            }
            read += 1;
        }
    }
    assert!(read > 40, "only {read} answers");
    let asked = ann.client.get(&secrets.endpoint).await;
    assert_eq!(asked.text("secret"), secrets.webhook);
    assert_eq!(asked.header("cache-control"), Some("no-store"));
    app.settle().await;
}

/// What was logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_holds_no_secret_even_when_it_says_all() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // With one subscriber alone, a thread of another test, which has none, decides for all
    // threads that nobody listens.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let logging = tracing::subscriber::set_default(subscriber);
    let app = TestApp::start().await;
    let (ann, mut secrets) = a_usual_session(&app).await;
    ann.client.get(&secrets.endpoint).await;
    let refresh = secrets.never.last().unwrap().clone();
    let form = [("grant_type", "refresh_token"), ("refresh_token", &refresh)];
    secrets
        .never
        .push(app.token(&form).await.text("refresh_token"));
    secrets.never.push(secrets.webhook.clone());
    let wrong = try_login(&app, "ann@example.com", "a wrong passphrase").await;
    assert_eq!(wrong.refused(400), "invalid_grant");
    secrets.never.push("a wrong passphrase".to_owned());
    app.settle().await;
    drop(logging);

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("POST /api/v1/auth/token 400"), "{text:.2000}");
    assert_not_in(&secrets.never, &text, "the log");
}

/// All that the product wrote.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn whoever_reads_the_database_can_log_in_as_nobody() {
    use base64::Engine;
    let app = TestApp::start().await;
    let (_, secrets) = a_usual_session(&app).await;
    let key = secrets.webhook.strip_prefix("whsec_").unwrap();
    let key = base64::prelude::BASE64_STANDARD.decode(key).unwrap();
    let files = files(app.directory());
    assert!(files.iter().any(|(_, bytes)| contains(bytes, b"Third")));
    for (name, bytes) in &files {
        for secret in secrets.never.iter().filter(|secret| *secret != "$argon2") {
            assert!(!contains(bytes, secret.as_bytes()), "{secret} in {name}");
        }
        assert!(!contains(bytes, secrets.webhook.as_bytes()), "{name}");
        assert!(!contains(bytes, &key), "{name}");
    }
}

#[tokio::test]
async fn the_configuration_is_shown_without_its_secrets() {
    let secret_key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ=";
    let flag = |(key, value): (&str, &str)| Flag {
        flag: format!("--set {key}"),
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let given = [
        ("secret_key", secret_key),
        ("smtp_url", "smtps://mailer:hunter2@mail.example.com"),
    ];
    let sources = Sources {
        flags: given.map(flag).into(),
        ..Sources::default()
    };
    let loaded = load(&sources).unwrap();
    let shown = show(&loaded.settings);
    assert!(shown.contains("mail.example.com"), "{shown}");
    for text in [shown, format!("{:?}", loaded.config)] {
        assert_not_in(&[secret_key.to_owned(), "hunter2".to_owned()], &text, "it");
    }
}
