//! People.

use crate::named::named;
use crate::{Email, TimeZone, UserId};
use serde::{Deserialize, Serialize};

/// By what a person wants to be told what a rule has to say to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyBy {
    /// By mail.
    #[default]
    Email,
    /// Not at all.
    Off,
}

named!(NotifyBy, "email, off", Email = "email", Off = "off");

/// A person with an account, as scripts and recipients know them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// What they are called.
    pub name: String,
    /// Where their mail goes.
    pub email: Email,
    /// The zone in which they live.
    pub timezone: TimeZone,
    /// How rules reach them.
    pub notify_by: NotifyBy,
}
