//! The routes: one file per group. Adding one is a file and a line here.

mod accounts;
mod approvals;
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
use crate::limit::counted;
use crate::request::{TIME_LIMIT, observed};
use axum::Router;
use axum::middleware;

/// Everything that the gateway serves, and what the process serves beside it, which is watched
/// alike but not limited.
pub fn router(app: &App, beside: Router) -> Router {
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
        .merge(deliveries::routes())
        .merge(approvals::routes());
    let limited = docs::documented(api)
        .merge(approvals::pages())
        .layer(middleware::from_fn_with_state(app.clone(), counted))
        .with_state(app.clone());
    observed(
        limited.merge(service::routes(app.clone())).merge(beside),
        TIME_LIMIT,
    )
}
