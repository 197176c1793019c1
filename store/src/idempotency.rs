//! Answers to POSTs, kept so that a repetition gets the first answer again.
//!
//! The answer commits with what it answers for, so a key never stands for work that was not
//! done, and two requests with one key at once meet the key's uniqueness.

use crate::entity::idempotency_keys::{self, Entity};
use crate::{Result, Tx};
use sea_orm::{EntityTrait, IntoActiveModel};
use smarttasks_model::Timestamp;
use std::time::Duration;
use uuid::Uuid;

/// How long an answer is kept.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Whose key it is.
#[derive(Clone, Debug)]
pub struct Key {
    /// The user, or nil for requests without one.
    pub principal: Uuid,
    /// What they sent.
    pub key: String,
    /// SHA-256 of method, path and body.
    pub request_hash: [u8; 32],
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<String>,
    /// The version of the resource, for its `ETag`.
    pub version: Option<i64>,
    /// The body.
    pub body: Vec<u8>,
}

/// What is known of a key.
#[derive(Clone, Debug)]
pub enum Known {
    /// Nothing, or only what is too old.
    New,
    /// The same request was answered.
    Same(Answer),
    /// Another request used the key.
    Other,
}

/// Looks a key up.
///
/// # Errors
/// When the database cannot be read or the answer was sealed with another key.
pub async fn find(tx: &mut Tx, key: &Key) -> Result<Known> {
    let id = (key.principal, key.key.clone());
    let Some(row) = Entity::find_by_id(id.clone()).one(tx.conn()).await? else {
        return Ok(Known::New);
    };
    if Timestamp::from_unix_millis(row.created_at) + KEPT <= tx.now() {
        Entity::delete_by_id(id).exec(tx.write_conn()).await?;
        return Ok(Known::New);
    }
    if row.request_hash != key.request_hash {
        return Ok(Known::Other);
    }
    Ok(Known::Same(Answer {
        status: u16::try_from(row.status).unwrap_or(200),
        location: row.location,
        version: row.version,
        body: tx.vault().open(&key.request_hash, &row.body)?,
    }))
}

/// Keeps an answer; it is sealed, because it may hold a secret that is shown once.
///
/// # Errors
/// When it cannot be sealed.
pub fn keep(tx: &mut Tx, key: &Key, answer: &Answer) -> Result<()> {
    let row = idempotency_keys::Model {
        principal_id: key.principal,
        key: key.key.clone(),
        request_hash: key.request_hash.to_vec(),
        status: i16::try_from(answer.status).unwrap_or(200),
        location: answer.location.clone(),
        version: answer.version,
        body: tx.vault().seal(&key.request_hash, &answer.body)?,
        created_at: tx.now().unix_millis(),
    };
    tx.insert::<Entity>(row.into_active_model());
    Ok(())
}
