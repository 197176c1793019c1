//! The routes: one file per group. Adding one is a file and a line here.

mod accounts;
mod auth;
mod comments;
mod deliveries;
mod endpoints;
mod events;
mod rules;
mod runs;
mod schedules;
mod service;
mod tasks;

pub use accounts::register_user;

use crate::app::App;
use crate::docs;
use crate::limit::by_address;
use crate::request::{TIME_LIMIT, observed};
use axum::Router;
use axum::middleware;
use std::sync::Arc;

/// Everything that the gateway serves.
pub fn router(app: &App) -> Router {
    let api = docs::router()
        .merge(accounts::routes())
        .merge(auth::routes())
        .merge(tasks::routes())
        .merge(comments::routes())
        .merge(rules::routes())
        .merge(runs::routes())
        .merge(schedules::routes())
        .merge(events::routes())
        .merge(endpoints::routes())
        .merge(deliveries::routes());
    let limited = docs::documented(api)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app.limits),
            by_address,
        ))
        .with_state(app.clone());
    observed(limited.merge(service::routes(app.clone())), TIME_LIMIT)
}
