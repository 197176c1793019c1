//! The key pairs that sign access tokens, sealed.

use crate::db::at;
use crate::entity::signing_keys;
use crate::{Db, Error, Result, Tx};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, Set};
use smarttasks_model::Timestamp;
use uuid::Uuid;

/// A key pair, as the 32 bytes from which both halves follow.
#[derive(Clone)]
pub struct SigningKey {
    /// The secret.
    pub seed: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
}

fn context(id: Uuid) -> Vec<u8> {
    [b"signing_key/", id.as_bytes().as_slice()].concat()
}

/// Every key, newest first.
///
/// # Errors
/// When one was sealed with another secret key.
pub async fn list(db: &Db) -> Result<Vec<SigningKey>> {
    signing_keys::Entity::find()
        .order_by_desc(signing_keys::Column::CreatedAt)
        .order_by_desc(signing_keys::Column::Id)
        .all(db.reader())
        .await?
        .into_iter()
        .map(|row| {
            let seed = db.vault().open(&context(row.id), &row.seed)?;
            let seed = seed.try_into().map_err(|_| {
                Error::Unreadable("signing key", format!("{}: not 32 bytes", row.id))
            })?;
            Ok(SigningKey {
                seed,
                created_at: at(row.created_at),
            })
        })
        .collect()
}

/// Adds a key, unless one was made after `after`: of processes that want a new one at the same time
/// one makes it.
///
/// # Errors
/// When it cannot be sealed.
pub async fn create_if_none_since(
    tx: &mut Tx,
    id: Uuid,
    seed: &[u8; 32],
    after: Timestamp,
) -> Result<()> {
    if tx.conn().get_database_backend() == DbBackend::Postgres {
        let alone = "LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE";
        tx.conn().execute_unprepared(alone).await?;
    }
    let newer = signing_keys::Entity::find()
        .filter(signing_keys::Column::CreatedAt.gt(after.unix_millis()));
    if newer.one(tx.conn()).await?.is_some() {
        return Ok(());
    }
    let sealed = tx.vault().seal(&context(id), seed)?;
    let now = tx.now();
    tx.insert::<signing_keys::Entity>(signing_keys::ActiveModel {
        id: Set(id),
        seed: Set(sealed),
        created_at: Set(now.unix_millis()),
    });
    Ok(())
}

/// Removes the keys that were made before `before`: their tokens have expired.
///
/// # Errors
/// When the database cannot be written.
pub async fn remove_older_than(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    let removed = signing_keys::Entity::delete_many()
        .filter(signing_keys::Column::CreatedAt.lt(before.unix_millis()))
        .exec(tx.write_conn())
        .await?;
    Ok(removed.rows_affected)
}
