//! The process itself: is it alive, is it ready, what does it count. Not limited by address:
//! whoever watches must see.

use crate::app::App;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::{StatusCode, header};
use serde_json::{Map, Value, json};
use smarttasks_store::outbox;

pub(super) fn routes(app: App) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/docs/") }))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/.well-known/jwks.json", get(jwks))
        .with_state(app)
}

async fn livez() -> &'static str {
    "ok\n"
}

/// 200 when all that requests need answers, else 503; either way it names each part.
async fn readyz(State(app): State<App>) -> Response {
    let mut parts = Map::new();
    let database = app.db.ping().await;
    parts.insert("database".to_owned(), part(database.as_ref().err()));
    let admitted = app.db.admit();
    parts.insert("outbox".to_owned(), part(admitted.as_ref().err()));
    let ready = database.is_ok() && admitted.is_ok();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let said = if ready { "ready" } else { "not ready" };
    (
        status,
        axum::Json(json!({ "status": said, "parts": parts })),
    )
        .into_response()
}

fn part(error: Option<&smarttasks_store::Error>) -> Value {
    error.map_or_else(|| json!("ok"), |error| json!(error.to_string()))
}

async fn metrics(State(app): State<App>) -> Response {
    match outbox::pending(&app.db).await {
        Ok(pending) => {
            let oldest = pending
                .oldest
                .map_or(0.0, |at| app.now().since(at).as_secs_f64());
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
            metrics::gauge!("smarttasks_outbox_pending_messages").set(pending.count as f64);
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
            metrics::gauge!("smarttasks_dead_letters").set(pending.dead as f64);
            metrics::gauge!("smarttasks_outbox_oldest_age_seconds").set(oldest);
        }
        Err(error) => tracing::warn!(%error, "the outbox could not be counted"),
    }
    let text = (app.settings.render_metrics)();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

async fn jwks(State(app): State<App>) -> Response {
    let ring = app.keys.ring();
    (
        [(header::CACHE_CONTROL, "public, max-age=300")],
        axum::Json(ring.jwks()),
    )
        .into_response()
}
