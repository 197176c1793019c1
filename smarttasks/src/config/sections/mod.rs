//! The sections of the configuration, one file each.

mod accounts;
mod bus;
mod database;
mod http;
mod instance;
mod log;
mod mail;
mod notifier;
mod retention;
mod rules;
mod webhooks;

pub use accounts::Accounts;
pub use bus::Bus;
pub use database::Database;
pub use http::Http;
pub use instance::Instance;
pub use log::Log;
pub use mail::Mail;
pub use notifier::Notifier;
pub use retention::Retention;
pub use rules::Rules;
pub use webhooks::Webhooks;
