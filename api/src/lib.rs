//! The gateway: routes, authentication, problem+json, OpenAPI.
//!
//! What every route shares lives in modules that know nothing of what they serve:
//! [`extract`] turns requests into types, [`answer`] and [`page`] turn types into responses,
//! [`problem`] is what every refusal looks like. [`token`] and [`password`] say who is asking,
//! [`limit`] how often they may, [`request`] watches each request from arrival to answer, and
//! [`docs`] describes it all. Replicas share what may be lost in `redis`: what `limit` counts, and
//! the `memory` of who is logged in.

pub mod answer;
mod app;
pub mod caller;
pub mod docs;
pub mod etag;
pub mod extract;
mod html;
pub mod limit;
mod memory;
pub mod once;
pub mod page;
pub mod password;
pub mod problem;
mod redis;
pub mod request;
mod routes;
mod sessions;
mod store_error;
#[cfg(test)]
mod tests;
pub mod token;
mod trials;

pub use app::{App, Inner, Settings, Sharing, StartError};
pub use problem::{ApiError, Code, FieldError, OAuthError};
pub use redis::{RedisFailure, RedisSettings};
pub use routes::{register_user, router};
