//! Several replicas of the gateway on one database, with Redis between them or without.
//!
//! The product lets only one process use a SQLite file. Here the replicas share the one handle on
//! it, so that what they agree on is what Redis or the database told them.

mod approvals;
mod faults;
mod limits;
mod logins;
mod proxy;

use crate::limit::Quotas;
use crate::redis::{Redis, RedisSettings};
use crate::{App, Settings, Sharing, router};
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use smarttasks_model::{Clock, UserId, WorkspaceId};
use smarttasks_rules::{Language, Limits, Pool};
use smarttasks_store::{Db, Location, Vault};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;
use uuid::Uuid;

const PASSWORD: &str = "correct horse battery staple";
/// For a busy machine.
const PATIENT: Duration = Duration::from_secs(30);

/// A Redis of one's own: the same server, other keys.
pub(crate) fn redis_settings() -> RedisSettings {
    let url = std::env::var("SMARTTASKS_TEST_REDIS_URL").unwrap_or_else(|_| {
        panic!(
            "This test needs Redis and SMARTTASKS_TEST_REDIS_URL to find it: \
             run script/test, or `eval \"$(script/servers start DIR)\"` first."
        )
    });
    RedisSettings {
        url: url.into(),
        prefix: format!("smarttasks-test-{}", Uuid::new_v4()),
        timeout: PATIENT,
    }
}

pub(crate) async fn redis(settings: &RedisSettings) -> Arc<Redis> {
    let redis = Arc::new(Redis::open(settings).await.unwrap());
    until(|| redis.answers()).await;
    redis
}

/// What `command` of Redis answers.
pub(crate) async fn command<T: redis::FromRedisValue>(redis: &Redis, command: &[&str]) -> T {
    let mut asked = redis::cmd(command[0]);
    asked.arg(&command[1..]);
    redis
        .ask(async |mut connection| asked.query_async(&mut connection).await)
        .await
        .unwrap()
}

/// Returns once `holds` does.
async fn until(holds: impl Fn() -> bool) {
    tokio::time::timeout(Duration::from_secs(60), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("it did not come to hold within a minute");
}

/// A database, and what replicas of the gateway on it have in common.
struct Site {
    directory: PathBuf,
    db: Db,
    pool: Pool,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Site {
    async fn new() -> Self {
        let directory = std::env::temp_dir().join(format!("smarttasks-api-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&directory).unwrap();
        let settings = smarttasks_store::Settings {
            location: Location::File {
                path: directory.join("smarttasks.db"),
                readers: 2,
            },
            max_pending: 1000,
        };
        let clock = Clock::fake("2026-03-02T09:00:00Z".parse().unwrap());
        let db = Db::open(&settings, clock, Vault::new([1; 32])).await;
        Self {
            directory,
            db: db.unwrap(),
            pool: Pool::new(Language::new(Limits::default()), 1).unwrap(),
        }
    }

    /// A replica that has found this Redis, with so many requests per minute and user.
    async fn with_redis(&self, redis: &RedisSettings, per_minute: Option<u32>) -> Replica {
        let replica = self.replica(Sharing::Redis(redis.clone()), per_minute);
        let replica = replica.await;
        until(|| replica.app.redis_answers() == Some(true)).await;
        replica
    }

    async fn replica(&self, sharing: Sharing, per_minute: Option<u32>) -> Replica {
        let quotas = per_minute.map(|per_minute| Quotas {
            per_principal: per_minute.try_into().unwrap(),
            per_address: 1000.try_into().unwrap(),
        });
        let settings = Settings {
            public_url: "http://localhost".to_owned(),
            quotas,
            registration_open: true,
            allowed_networks: Vec::new(),
            sharing,
        };
        let app = App::new(self.db.clone(), self.pool.clone(), settings);
        let app = app.await.unwrap();
        let router = router(&app, Router::new());
        Replica { app, router }
    }

    /// Runs SQL beside the gateway.
    async fn sql(&self, statement: &str) {
        use sea_orm::{ConnectionTrait, Database};
        let url = format!("sqlite://{}/smarttasks.db", self.directory.display());
        let connection = Database::connect(url).await.unwrap();
        let done = connection.execute_unprepared(statement).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{statement}");
        connection.close().await.unwrap();
    }
}

/// One process of the gateway.
struct Replica {
    app: App,
    router: Router,
}

/// Somebody with an account and a login.
struct Person {
    id: UserId,
    workspace: WorkspaceId,
    token: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }
}

impl Replica {
    async fn call(&self, method: Method, path: &str, token: &str, body: &Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            Value::Null => Body::empty(),
            Value::String(form) => {
                let form_type = "application/x-www-form-urlencoded";
                request = request.header(header::CONTENT_TYPE, form_type);
                form.clone().into()
            }
            json => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                json.to_string().into()
            }
        };
        let request = request.body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, token, &Value::Null).await
    }

    /// Who the token says one is.
    async fn me(&self, token: &str) -> Answer {
        self.get("/api/v1/users/me", token).await
    }

    async fn log_in(&self, name: &str, password: &str) -> Answer {
        let password = password.replace(' ', "+");
        let form = format!("grant_type=password&username={name}@example.com&password={password}");
        self.call(Method::POST, "/api/v1/auth/token", "", &form.into())
            .await
    }

    async fn token(&self, name: &str) -> String {
        let answer = self.log_in(name, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    async fn register(&self, name: &str) -> Person {
        let email = format!("{name}@example.com");
        let new = json!({ "name": name, "email": email, "password": PASSWORD });
        let answer = self.call(Method::POST, "/api/v1/users", "", &new).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let id = |field: &str| answer.body[field].as_str().unwrap();
        Person {
            id: id("id").parse().unwrap(),
            workspace: id("personal_workspace_id").parse().unwrap(),
            token: self.token(name).await,
        }
    }

    /// Ends the login of `token`, which is all that is needed for it.
    async fn revoke(&self, token: &str) {
        let form = format!("token={token}").into();
        let revoked = self
            .call(Method::POST, "/api/v1/auth/revoke", "", &form)
            .await;
        assert_eq!(revoked.status, 200, "{}", revoked.body);
    }

    /// The login by which `token` came.
    async fn session(&self, token: &str) -> String {
        let sessions = self.get("/api/v1/auth/sessions", token).await;
        let sessions = sessions.body["data"].as_array().unwrap().clone();
        let current = sessions.iter().find(|session| session["current"] == true);
        current.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Ends the login by which `token` came.
    async fn log_out(&self, token: &str) {
        let path = format!("/api/v1/auth/sessions/{}", self.session(token).await);
        let answer = self.call(Method::DELETE, &path, token, &Value::Null).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
    }
}
