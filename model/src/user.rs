//! People.

use crate::{Email, TimeZone, UserId};
use serde::{Deserialize, Serialize};

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
}
