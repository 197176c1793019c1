//! Who asks: people with a login, and what the API answered them.

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use smarttasks_model::{ChangeId, Event, EventData, EventId, EventType, Timestamp, WorkspaceId};
use std::sync::Arc;
use tokio::sync::Mutex;
use tower::ServiceExt;

/// A person who is logged in. An access token that has expired is renewed, as any client does.
#[derive(Clone)]
pub struct Client {
    pub(super) router: Router,
    /// The access token of the login.
    pub token: String,
    pub(super) renewed: Arc<Mutex<Renewed>>,
    /// The account, as the API shows it.
    pub user: Value,
}

impl Client {
    /// The user's id.
    pub fn id(&self) -> &str {
        self.user["id"].as_str().unwrap()
    }

    /// The workspace that came with the account.
    pub fn workspace(&self) -> WorkspaceId {
        let id = self.user["personal_workspace_id"].as_str().unwrap();
        id.parse().unwrap()
    }

    /// An event of this person's workspace about no task, which nobody has raised.
    pub fn event(&self, now: Timestamp, kind: &str, data: Value) -> Event {
        Event {
            id: EventId::new(now),
            workspace_id: self.workspace(),
            kind: EventType::custom(kind).unwrap(),
            task_id: None,
            time: now,
            traceparent: None,
            change: ChangeId::new(now),
            depth: 0,
            actor_id: None,
            rule_id: None,
            data: EventData::Custom(data),
        }
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None, &[]).await
    }

    /// Makes.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(&body), &[]).await
    }

    /// Changes.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PATCH, path, Some(&body), &[]).await
    }

    /// Removes.
    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None, &[]).await
    }

    /// Asks with headers of one's own.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let access = self.renewed.lock().await.access.clone();
        let access = access.as_deref().unwrap_or(&self.token);
        let router = &self.router;
        let answer = send(router, method.clone(), path, Some(access), body, headers).await;
        let expired = answer.status == 401 && answer.body.to_string().contains("expired");
        if !expired || !self.renew().await {
            return answer;
        }
        let access = self.renewed.lock().await.access.clone();
        send(router, method, path, access.as_deref(), body, headers).await
    }

    async fn renew(&self) -> bool {
        let mut renewed = self.renewed.lock().await;
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &renewed.refresh),
        ];
        let tokens = ask_for_tokens(&self.router, &form).await;
        if tokens.status != 200 {
            return false;
        }
        *renewed = Renewed {
            access: Some(tokens.text("access_token")),
            refresh: tokens.text("refresh_token"),
        };
        true
    }

    /// Makes a task and returns it.
    pub async fn create_task(&self, body: Value) -> Value {
        let created = self.post("/api/v1/tasks", body).await;
        assert_eq!(created.status, 201, "{}", created.body);
        created.body
    }

    /// Makes a rule that listens to `event` and returns it.
    pub async fn create_rule(&self, name: &str, event: &str, script: &str) -> Value {
        let triggers = json!([{ "event": event }]);
        let body = json!({ "name": name, "triggers": triggers, "script": script });
        let created = self.post("/api/v1/rules", body).await;
        assert_eq!(created.status, 201, "{}", created.body);
        created.body
    }

    /// Removes the starter rules, whose mails would be in the way.
    pub async fn remove_starter_rules(&self) {
        let rules = self.get("/api/v1/rules").await.body;
        for rule in rules["data"].as_array().unwrap() {
            let path = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap());
            assert_eq!(self.delete(&path).await.status, 204);
        }
    }

    /// The whole of a short list.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["data"].as_array().unwrap().clone()
    }
}

pub(super) struct Renewed {
    pub(super) access: Option<String>,
    pub(super) refresh: String,
}

pub(super) async fn ask_for_tokens(router: &Router, form: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let request = Request::post("/api/v1/auth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap();
    answer(router, request).await
}

/// What the API answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; `null` when there was none, text when it was not JSON.
    pub body: Value,
}

impl Answer {
    /// A text of the body.
    pub fn text(&self, name: &str) -> String {
        self.body[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.body))
            .to_owned()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The code of a refusal with this status, after a look at everything that each refusal has.
    pub fn refused(&self, status: u16) -> &str {
        let Self { headers, body, .. } = self;
        assert_eq!(self.status, status, "{body}");
        let kind = self.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{body}");
        assert!(headers.contains_key("x-request-id"), "{headers:?}");
        assert_eq!(body["status"], status, "{body}");
        for member in ["type", "title", "detail"] {
            assert_ne!(self.text(member), "", "{body}");
        }
        body["code"]
            .as_str()
            .unwrap_or_else(|| panic!("no code in {body}"))
    }

    /// Where the values were that were wrong.
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array();
        errors
            .into_iter()
            .flatten()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect()
    }
}

pub(super) async fn send(
    router: &Router,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let declared = headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let body = match body {
        Some(body) => {
            if !declared {
                request = request.header("content-type", "application/json");
            }
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    answer(router, request.body(body).unwrap()).await
}

pub(super) async fn answer(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = match bytes.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).into_owned())),
    };
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}
