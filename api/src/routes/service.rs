//! What is not part of the API: where to begin, and the keys that verify tokens.

use crate::app::App;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::header;

pub(super) fn routes(app: App) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/docs/") }))
        .route("/.well-known/jwks.json", get(jwks))
        .with_state(app)
}

async fn jwks(State(app): State<App>) -> Response {
    let ring = app.keys.ring();
    (
        [(header::CACHE_CONTROL, "public, max-age=300")],
        axum::Json(ring.jwks()),
    )
        .into_response()
}
