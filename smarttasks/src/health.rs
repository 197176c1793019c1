//! The process itself: is it alive, is it ready, what does it count. Not limited by address:
//! whoever watches must see.

use crate::config::{Role, Roles};
use crate::service::RenderMetrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};
use smarttasks_api::App;
use smarttasks_bus::Bus;
use smarttasks_store::{Db, outbox};
use std::sync::Arc;
use std::time::Duration;

/// How long the database may take to answer: whoever asks how we are must be told in time.
const PATIENCE: Duration = Duration::from_secs(1);
const NO_REDIS: &str =
    "does not answer: each replica counts by itself and asks the database about logins";

/// What is asked how it is.
#[derive(Clone)]
pub(crate) struct Health(Arc<Parts>);

struct Parts {
    db: Db,
    bus: Bus,
    roles: Roles,
    app: Option<App>,
    render_metrics: RenderMetrics,
}

impl Health {
    pub(crate) fn new(
        db: &Db,
        bus: &Bus,
        roles: &Roles,
        app: Option<&App>,
        render_metrics: RenderMetrics,
    ) -> Self {
        Self(Arc::new(Parts {
            db: db.clone(),
            bus: bus.clone(),
            roles: roles.clone(),
            app: app.cloned(),
            render_metrics,
        }))
    }

    pub(crate) fn routes(&self) -> Router {
        Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self.clone())
    }
}

impl Parts {
    /// How each part is, and whether this process cannot work for it.
    async fn look(&self) -> Vec<Part> {
        let has = |role| self.roles.has(role);
        let database = match tokio::time::timeout(PATIENCE, self.db.ping()).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("it does not answer".to_owned()),
        };
        let mut parts = vec![Part::new("database", true, database)];
        if has(Role::Api) {
            parts.push(Part::new("outbox", true, self.db.admit()));
        }
        if let Bus::RabbitMq(_) = self.bus {
            // Requests are served without it, and what they publish waits in the outbox; so a
            // process that serves any is kept.
            let needed = !has(Role::Api) && (has(Role::Engine) || has(Role::Notifier));
            parts.push(Part::new("broker", needed, self.bus.health()));
        }
        if let Some(answers) = self.app.as_ref().and_then(App::redis_answers) {
            parts.push(Part::new(
                "redis",
                false,
                answers.then_some(()).ok_or(NO_REDIS),
            ));
        }
        parts
    }
}

struct Part {
    name: &'static str,
    /// Whether this process can do nothing without it.
    needed: bool,
    state: Result<(), String>,
}

impl Part {
    fn new<E: ToString>(name: &'static str, needed: bool, state: Result<(), E>) -> Self {
        Self {
            name,
            needed,
            state: state.map_err(|error| error.to_string()),
        }
    }

    fn says(&self) -> Value {
        match &self.state {
            Ok(()) => json!("ok"),
            Err(why) => json!(why),
        }
    }
}

/// 200 when this process can do its work, be it more slowly, else 503; either way it names each
/// part.
async fn readyz(State(Health(health)): State<Health>) -> Response {
    let parts = health.look().await;
    let ready = parts.iter().all(|part| part.state.is_ok() || !part.needed);
    let whole = parts.iter().all(|part| part.state.is_ok());
    let (status, said) = match (ready, whole) {
        (true, true) => (StatusCode::OK, "ready"),
        (true, false) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let roles: Vec<_> = health.roles.names().collect();
    let parts: Map<_, _> = parts
        .iter()
        .map(|part| (part.name.to_owned(), part.says()))
        .collect();
    let body = json!({ "status": said, "roles": roles, "parts": parts });
    (status, axum::Json(body)).into_response()
}

async fn metrics(State(Health(health)): State<Health>) -> Response {
    for part in health.look().await {
        let up = if part.state.is_ok() { 1.0 } else { 0.0 };
        metrics::gauge!("smarttasks_part_up", "part" => part.name).set(up);
    }
    match tokio::time::timeout(PATIENCE, outbox::pending(&health.db)).await {
        Ok(Ok(pending)) => {
            let now = health.db.clock().now();
            let oldest = pending.oldest.map_or(0.0, |at| now.since(at).as_secs_f64());
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
            metrics::gauge!("smarttasks_outbox_pending_messages").set(pending.count as f64);
            // With a broker this stays zero: they are in a queue of its own, which it counts itself.
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
            metrics::gauge!("smarttasks_dead_letters").set(pending.dead as f64);
            metrics::gauge!("smarttasks_outbox_oldest_age_seconds").set(oldest);
        }
        Ok(Err(error)) => tracing::warn!(%error, "the outbox could not be counted"),
        Err(_) => tracing::warn!("the outbox could not be counted in time"),
    }
    let text = (health.render_metrics)();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}
