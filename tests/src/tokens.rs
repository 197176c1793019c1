//! Tokens through the API: who gets in, for how long, and who no more.

use crate::harness::{Answer, Client, PASSWORD, TestApp, hours, seconds};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use http::Method;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use std::time::Duration;

const ME: &str = "/api/v1/users/me";
const SESSIONS: &str = "/api/v1/auth/sessions";
const LOCK: Duration = Duration::from_mins(15);

/// An access and a refresh token.
struct Pair {
    access: String,
    refresh: String,
}

impl Pair {
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.body["token_type"], "Bearer");
        assert_eq!(answer.body["expires_in"], 900);
        Self {
            access: answer.text("access_token"),
            refresh: answer.text("refresh_token"),
        }
    }

    async fn log_in(app: &TestApp, name: &str) -> Self {
        Self::of(&try_password(app, name, PASSWORD).await)
    }

    async fn refreshed(&self, app: &TestApp) -> Self {
        Self::of(&try_refresh(app, &self.refresh).await)
    }
}

async fn try_password(app: &TestApp, name: &str, password: &str) -> Answer {
    let form = [
        ("grant_type", "password"),
        ("username", &format!("{name}@example.com")),
        ("password", password),
    ];
    app.token(&form).await
}

async fn try_refresh(app: &TestApp, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    app.token(&form).await
}

async fn me(app: &TestApp, token: &str) -> Answer {
    app.call(Method::GET, ME, Some(token), None).await
}

async fn assert_live(app: &TestApp, pair: &Pair) {
    assert_eq!(me(app, &pair.access).await.status, 200);
    pair.refreshed(app).await;
}

async fn assert_ended(app: &TestApp, pair: &Pair) {
    assert_eq!(me(app, &pair.access).await.refused(401), "invalid_token");
    let refresh = try_refresh(app, &pair.refresh).await;
    assert_eq!(refresh.refused(400), "invalid_grant");
    assert_eq!(refresh.body["error"], "invalid_grant");
}

async fn published(app: &TestApp) -> Value {
    let path = "/.well-known/jwks.json";
    app.call(Method::GET, path, None, None).await.body
}

fn kids(keys: &Value) -> Vec<&Value> {
    let keys = keys["keys"].as_array().unwrap();
    keys.iter().map(|key| &key["kid"]).collect()
}

#[tokio::test]
async fn the_published_keys_verify_a_token() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let keys = published(&app).await;
    assert_eq!(keys["keys"][0]["d"], Value::Null, "no private part");
    let keys: JwkSet = serde_json::from_value(keys).unwrap();

    let header = jsonwebtoken::decode_header(&ann.token).unwrap();
    assert_eq!(header.alg, Algorithm::EdDSA);
    let key = keys.find(&header.kid.unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.set_audience(&["smarttasks"]);
    let key = DecodingKey::from_jwk(key).unwrap();
    let claims = jsonwebtoken::decode::<Value>(&ann.token, &key, &validation);
    let claims = claims.unwrap().claims;
    assert_eq!(claims["sub"], ann.user["id"]);
    let expires_at = app.later(Duration::from_mins(15)).unix_seconds();
    assert_eq!(claims["exp"], expires_at);
    app.settle().await;
}

fn part(json: &Value) -> String {
    BASE64.encode(json.to_string())
}

/// Tokens that somebody might make of a good one and of what is published.
fn forgeries(good: &str, keys: &Value) -> Vec<String> {
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("{good}")
    };
    let key = &keys["keys"][0];
    let kid = key["kid"].as_str().unwrap();
    let with_header = |header: Value| format!("{}.{claims}.{signature}", part(&header));
    let mut forged = vec![
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{signature}."),
        format!("{header}.{claims}.{}", &signature[1..]),
        format!("{good}{good}"),
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        "..".to_owned(),
        "x".repeat(1_000_000),
        with_header(json!({ "alg": "EdDSA" })),
    ];
    for algorithm in ["none", "None", "NONE", ""] {
        let unsigned = part(&json!({ "alg": algorithm, "typ": "JWT", "kid": kid }));
        forged.push(format!("{unsigned}.{claims}."));
        forged.push(format!("{unsigned}.{claims}.{signature}"));
    }
    let long = "k".repeat(1_000_000);
    for kid in ["../../../../dev/null", "' OR 1=1 --", "", &long] {
        forged.push(with_header(json!({ "alg": "EdDSA", "kid": kid })));
    }
    let x = key["x"].as_str().unwrap();
    let public = BASE64.decode(x).unwrap();
    let claims: Value = serde_json::from_slice(&BASE64.decode(claims).unwrap()).unwrap();
    let symmetric = Header {
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    for secret in [&public[..], x.as_bytes(), key.to_string().as_bytes()] {
        let secret = EncodingKey::from_secret(secret);
        forged.push(jsonwebtoken::encode(&symmetric, &claims, &secret).unwrap());
    }
    let mut longer = claims.clone();
    longer["exp"] = json!(4_000_000_000_u64);
    forged.push(format!("{header}.{}.{signature}", part(&longer)));
    forged
}

#[tokio::test]
async fn a_forged_token_opens_nothing() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    for token in forgeries(&ann.token, &published(&app).await) {
        let refused = me(&app, &token).await;
        assert_eq!(refused.refused(401), "invalid_token", "{token:.200}");
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer "), "{challenge}");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
    for token in ["garbage", &ann.token, &"x".repeat(1_000_000)] {
        let refused = try_refresh(&app, token).await;
        assert_eq!(refused.refused(400), "invalid_grant", "{token:.200}");
    }
    assert_eq!(me(&app, &ann.token).await.status, 200);
    app.settle().await;
}

#[tokio::test]
async fn a_request_without_a_token_is_told_how_to_send_one() {
    let app = TestApp::start().await;
    let refused = app.call(Method::GET, ME, None, None).await;
    assert_eq!(refused.refused(401), "unauthenticated");
    let challenge = refused.header("www-authenticate").unwrap();
    assert_eq!(challenge, "Bearer realm=\"smarttasks\"");
}

#[tokio::test]
async fn an_access_token_lives_a_quarter_of_an_hour() {
    let app = TestApp::start().await;
    app.register("ann").await;
    let pair = Pair::log_in(&app, "ann").await;
    app.pass(seconds(15 * 60 - 1)).await;
    assert_eq!(me(&app, &pair.access).await.status, 200);
    app.pass(seconds(61)).await;
    let expired = me(&app, &pair.access).await;
    assert_eq!(expired.refused(401), "invalid_token");
    assert!(expired.text("detail").contains("expired"));
    assert_live(&app, &pair.refreshed(&app).await).await;
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_for_the_next_pair() {
    let app = TestApp::start().await;
    app.register("ann").await;
    let first = Pair::log_in(&app, "ann").await;
    let second = first.refreshed(&app).await;
    let third = second.refreshed(&app).await;
    assert_ne!(first.refresh, second.refresh);
    assert_ne!(second.refresh, third.refresh);
    assert_live(&app, &third).await;
    app.settle().await;
}

#[tokio::test]
async fn a_refresh_token_used_again_ends_its_login_and_no_other() {
    let app = TestApp::start().await;
    app.register("ann").await;
    let elsewhere = Pair::log_in(&app, "ann").await;
    let stolen = Pair::log_in(&app, "ann").await;
    let second = stolen.refreshed(&app).await;
    let third = second.refreshed(&app).await;
    let again = try_refresh(&app, &stolen.refresh).await;
    assert_eq!(again.refused(400), "invalid_grant");
    for pair in [&stolen, &second, &third] {
        assert_ended(&app, pair).await;
    }
    assert_live(&app, &elsewhere).await;
    app.settle().await;
}

#[tokio::test]
async fn a_client_whose_connection_broke_gets_the_same_successor_for_half_a_minute() {
    let app = TestApp::start().await;
    app.register("ann").await;
    let first = Pair::log_in(&app, "ann").await;
    let second = first.refreshed(&app).await;
    app.pass(seconds(30)).await;
    let again = first.refreshed(&app).await;
    assert_eq!(again.refresh, second.refresh);
    assert_eq!(me(&app, &again.access).await.status, 200);

    app.pass(seconds(1)).await;
    let late = try_refresh(&app, &first.refresh).await;
    assert_eq!(late.refused(400), "invalid_grant");
    assert_ended(&app, &second).await;
}

#[tokio::test]
async fn a_refresh_token_used_twice_at_once_has_one_successor() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let first = Pair::log_in(&app, "ann").await;
    let refresh = || first.refreshed(&app);
    let (a, b, c) = tokio::join!(refresh(), refresh(), refresh());
    assert_eq!(a.refresh, b.refresh);
    assert_eq!(b.refresh, c.refresh);
    for pair in [&a, &b, &c] {
        assert_eq!(me(&app, &pair.access).await.status, 200);
    }
    assert_live(&app, &a).await;
    assert_eq!(ann.list(SESSIONS).await.len(), 2);
    app.settle().await;
}

#[tokio::test]
async fn a_login_that_is_used_goes_on_and_one_that_is_not_ends() {
    let app = TestApp::start().await;
    app.register("ann").await;
    let idle = Pair::log_in(&app, "ann").await;
    let mut used = Pair::log_in(&app, "ann").await;
    for _ in 0..2 {
        app.pass(hours(20 * 24)).await;
        used = used.refreshed(&app).await;
    }
    assert_ended(&app, &idle).await;
    assert_live(&app, &used).await;
}

#[tokio::test]
async fn a_new_password_ends_every_login() {
    let app = TestApp::start().await;
    app.register("ann").await;
    app.register("bob").await;
    let pairs = [
        Pair::log_in(&app, "ann").await,
        Pair::log_in(&app, "ann").await,
    ];
    let bobs = Pair::log_in(&app, "bob").await;
    let body = json!({ "password": "another long password", "current_password": PASSWORD });
    let token = Some(pairs[0].access.as_str());
    let changed = app.call(Method::PATCH, ME, token, Some(&body)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);

    for pair in &pairs {
        assert_ended(&app, pair).await;
    }
    assert_live(&app, &bobs).await;
    let old = try_password(&app, "ann", PASSWORD).await;
    assert_eq!(old.refused(400), "invalid_grant");
    let new = Pair::of(&try_password(&app, "ann", "another long password").await);
    assert_live(&app, &new).await;
    app.settle().await;
}

async fn revoke(app: &TestApp, token: &str) -> Answer {
    let request = http::Request::post("/api/v1/auth/revoke")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={token}&token_type_hint=access_token").into());
    app.send(request.unwrap()).await
}

#[tokio::test]
async fn a_login_is_ended_by_either_of_its_tokens() {
    let app = TestApp::start().await;
    app.register("ann").await;
    let kept = Pair::log_in(&app, "ann").await;
    let by_access = Pair::log_in(&app, "ann").await;
    assert_eq!(revoke(&app, &by_access.access).await.status, 200);
    assert_ended(&app, &by_access).await;
    let by_refresh = Pair::log_in(&app, "ann").await;
    assert_eq!(me(&app, &by_refresh.access).await.status, 200);
    assert_eq!(revoke(&app, &by_refresh.refresh).await.status, 200);
    assert_ended(&app, &by_refresh).await;
    for token in ["garbage", &by_refresh.refresh, ""] {
        assert_eq!(revoke(&app, token).await.status, 200, "{token}");
    }
    assert_live(&app, &kept).await;
    app.settle().await;
}

#[tokio::test]
async fn people_see_their_logins_and_end_them() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    app.pass(seconds(1)).await;
    let other = Pair::log_in(&app, "ann").await;
    let sessions = ann.list(SESSIONS).await;
    let current: Vec<_> = sessions.iter().map(|of| &of["current"]).collect();
    assert_eq!(current, [false, true], "newest first");

    let path = format!("{SESSIONS}/{}", sessions[0]["id"].as_str().unwrap());
    assert_eq!(ann.delete(&path).await.status, 204);
    assert_ended(&app, &other).await;
    assert_eq!(ann.delete(&path).await.refused(404), "not_found");
    assert_eq!(ann.list(SESSIONS).await, sessions[1..]);
    app.settle().await;
}

#[tokio::test]
async fn ten_wrong_passwords_lock_the_account_for_a_while_and_no_other() {
    let app = TestApp::start().await;
    app.register("ann").await;
    app.register("bob").await;
    for _ in 0..10 {
        let wrong = try_password(&app, "ann", "wrong password").await;
        assert_eq!(wrong.refused(400), "invalid_grant");
    }
    for password in ["wrong password", PASSWORD] {
        let locked = try_password(&app, "ANN", password).await;
        assert_eq!(locked.refused(429), "login_locked");
        assert_eq!(locked.header("retry-after"), Some("900"));
        assert_eq!(locked.body["error"], "temporarily_unavailable");
    }
    Pair::log_in(&app, "bob").await;
    app.pass(LOCK).await;
    assert_live(&app, &Pair::log_in(&app, "ann").await).await;
}

#[tokio::test]
async fn of_a_hundred_wrong_passwords_none_is_let_in() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let mut refused = 0;
    for guess in 0..100 {
        let answer = try_password(&app, "ann", &format!("wrong password {guess}")).await;
        let tried = answer.status == 400;
        assert!(tried || answer.status == 429, "{}", answer.body);
        refused += usize::from(tried);
    }
    assert_eq!(refused, 10, "the others are not even looked at");
    let right = try_password(&app, "ann", PASSWORD).await;
    assert_eq!(right.refused(429), "login_locked");
    assert_eq!(ann.get(ME).await.status, 200, "who is in stays in");
    assert_eq!(ann.list(SESSIONS).await.len(), 1);
    app.settle().await;
}

#[tokio::test]
async fn the_answer_tells_nobody_who_has_an_account() {
    let app = TestApp::start().await;
    app.register("ann").await;
    for _ in 0..10 {
        let wrong = try_password(&app, "ann", "wrong password").await;
        let unknown = try_password(&app, "nobody", "wrong password").await;
        assert_eq!(wrong.status, unknown.status);
        assert_eq!(wrong.body, unknown.body);
    }
    let locked = try_password(&app, "ann", "wrong password").await;
    let unknown = try_password(&app, "nobody", "wrong password").await;
    assert_eq!(locked.refused(429), unknown.refused(429));
    assert_eq!(locked.body, unknown.body);
    app.settle().await;
}

#[tokio::test]
async fn the_case_of_an_address_does_not_matter_at_login() {
    let app = TestApp::start().await;
    let ann = app.register("Ann").await;
    for name in ["ann", "ANN", "Ann", " ann"] {
        let pair = Pair::log_in(&app, name).await;
        assert_eq!(me(&app, &pair.access).await.body["id"], ann.user["id"]);
    }
    let form = [
        ("grant_type", "password"),
        ("username", "ann@EXAMPLE.com"),
        ("password", PASSWORD),
    ];
    assert_eq!(app.token(&form).await.status, 200);
    app.settle().await;
}

#[tokio::test]
async fn a_grant_that_cannot_be_read_is_refused_in_the_words_of_oauth() {
    let app = TestApp::start().await;
    for (form, error) in [
        (&[][..], "invalid_request"),
        (&[("grant_type", "magic")], "unsupported_grant_type"),
        (&[("grant_type", "password")], "invalid_request"),
        (
            &[("grant_type", "password"), ("username", "ann@example.com")],
            "invalid_request",
        ),
        (&[("grant_type", "refresh_token")], "invalid_request"),
        (
            &[("grant_type", "refresh_token"), ("colour", "red")],
            "invalid_request",
        ),
    ] {
        let refused = app.token(form).await;
        assert_eq!(refused.refused(400), error, "{form:?}");
        assert_eq!(refused.body["error"], error);
    }
}

#[tokio::test]
async fn logins_outlive_the_process_and_its_signing_key() {
    let mut app = TestApp::start().await;
    app.register("ann").await;
    let before = published(&app).await;
    app.pass(hours(30 * 24) - seconds(60)).await;
    let pair = Pair::log_in(&app, "ann").await;
    app.restart_after(seconds(120)).await;

    let after = published(&app).await;
    assert_eq!(
        kids(&after).len(),
        2,
        "a new key signs, the old one verifies"
    );
    assert!(kids(&after).contains(&kids(&before)[0]));
    assert_live(&app, &pair).await;
    app.settle().await;
}

/// However old it is: nobody may have looked for long.
#[tokio::test]
async fn a_signing_key_verifies_until_another_has_signed_for_a_day() {
    let mut app = TestApp::start().await;
    let before = published(&app).await;
    app.restart_after(hours(40 * 24)).await;
    let after = published(&app).await;
    assert_eq!(kids(&after).len(), 2);
    assert!(kids(&after).contains(&kids(&before)[0]));
    app.restart_after(hours(27)).await;
    let at_last = published(&app).await;
    assert_eq!(kids(&at_last).len(), 1);
    assert!(!kids(&at_last).contains(&kids(&before)[0]));
    app.settle().await;
}

#[tokio::test]
async fn every_route_asks_whether_the_login_is_live() {
    let app = TestApp::start().await;
    let ann: Client = app.register("ann").await;
    assert_eq!(ann.get("/api/v1/tasks").await.status, 200);
    assert_eq!(revoke(&app, &ann.token).await.status, 200);
    for path in ["/api/v1/tasks", ME, SESSIONS] {
        assert_eq!(ann.get(path).await.refused(401), "invalid_token");
    }
    let refused = ann.post("/api/v1/tasks", json!({ "title": "x" })).await;
    assert_eq!(refused.refused(401), "invalid_token");
    app.settle().await;
}
