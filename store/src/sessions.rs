//! Logins: each is a family of refresh tokens, of which only the latest is good.
//!
//! No token is stored. A refresh token names its session and generation and carries a proof that
//! we issued it, so the row only counts generations.

use crate::db::at;
use crate::entity::sessions;
use crate::{Db, Error, Result, Tx};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use smarttasks_model::{SessionId, Timestamp, UserId};

/// A login.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// How often its refresh token was rotated.
    pub generation: i64,
    /// When it began.
    pub created_at: Timestamp,
    /// When its refresh token was last rotated.
    pub rotated_at: Timestamp,
    /// When it ends unless used.
    pub expires_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
}

impl Session {
    /// Whether its tokens are good at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

/// Begins a session, at once, so that a new password later in the same transaction ends it.
///
/// # Errors
/// When the database cannot be written.
pub async fn create(
    tx: &mut Tx,
    id: SessionId,
    user: UserId,
    expires_at: Timestamp,
) -> Result<Session> {
    let now = tx.now();
    let row = sessions::Model {
        id: id.0,
        user_id: user.0,
        generation: 0,
        created_at: now.unix_millis(),
        rotated_at: now.unix_millis(),
        expires_at: expires_at.unix_millis(),
        ended_at: None,
    };
    tx.insert::<sessions::Entity>(row.clone().into_active_model());
    tx.flush().await?;
    Ok(row.into())
}

/// A session, live or not.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(db: &Db, id: SessionId) -> Result<Option<Session>> {
    Ok(sessions::Entity::find_by_id(id.0)
        .one(db.reader())
        .await?
        .map(Session::from))
}

/// The same inside a transaction, until the end of which it stays as it is.
///
/// # Errors
/// When the database cannot be read.
pub async fn lock(tx: &Tx, id: SessionId) -> Result<Option<Session>> {
    Ok(sessions::Entity::find_by_id(id.0)
        .lock_exclusive()
        .one(tx.conn())
        .await?
        .map(Session::from))
}

/// The live sessions of a user, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_live(db: &Db, user: UserId, now: Timestamp) -> Result<Vec<Session>> {
    let rows = sessions::Entity::find()
        .filter(sessions::Column::UserId.eq(user.0))
        .filter(sessions::Column::EndedAt.is_null())
        .filter(sessions::Column::ExpiresAt.gt(now.unix_millis()))
        .order_by_desc(sessions::Column::Id)
        .all(db.reader())
        .await?;
    Ok(rows.into_iter().map(Session::from).collect())
}

/// Moves a session to its next generation.
///
/// # Errors
/// When the database cannot be written.
pub async fn rotate(
    tx: &mut Tx,
    id: SessionId,
    generation: i64,
    expires_at: Timestamp,
) -> Result<()> {
    let now = tx.now().unix_millis();
    sessions::Entity::update_many()
        .col_expr(sessions::Column::Generation, Expr::value(generation))
        .col_expr(sessions::Column::RotatedAt, Expr::value(now))
        .col_expr(
            sessions::Column::ExpiresAt,
            Expr::value(expires_at.unix_millis()),
        )
        .filter(sessions::Column::Id.eq(id.0))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

/// Ends a session of this user.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn end(tx: &mut Tx, user: UserId, id: SessionId) -> Result<()> {
    let now = tx.now().unix_millis();
    let ended = sessions::Entity::update_many()
        .col_expr(sessions::Column::EndedAt, Expr::value(now))
        .filter(sessions::Column::Id.eq(id.0))
        .filter(sessions::Column::UserId.eq(user.0))
        .filter(sessions::Column::EndedAt.is_null())
        .exec(tx.write_conn())
        .await?;
    if ended.rows_affected == 0 {
        Err(Error::NotFound("session"))
    } else {
        Ok(())
    }
}

pub(crate) async fn end_all(tx: &mut Tx, user: UserId) -> Result<()> {
    let now = tx.now().unix_millis();
    sessions::Entity::update_many()
        .col_expr(sessions::Column::EndedAt, Expr::value(now))
        .filter(sessions::Column::UserId.eq(user.0))
        .filter(sessions::Column::EndedAt.is_null())
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

impl From<sessions::Model> for Session {
    fn from(row: sessions::Model) -> Self {
        Self {
            id: SessionId(row.id),
            user_id: UserId(row.user_id),
            generation: row.generation,
            created_at: at(row.created_at),
            rotated_at: at(row.rotated_at),
            expires_at: at(row.expires_at),
            ended_at: row.ended_at.map(at),
        }
    }
}
