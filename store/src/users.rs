//! Accounts.

use crate::db::at;
use crate::entity::users;
use crate::rules::NewRule;
use crate::workspaces::{self, Role};
use crate::{Cause, Conflict, Db, Error, Result, Tx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use serde_json::json;
use smarttasks_model::{
    Email, Event, EventData, EventId, EventType, NotifyBy, Snapshot, TimeZone, Timestamp, User,
    UserId, WorkspaceId,
};
use std::collections::HashMap;

/// An account with what only its owner sees.
#[derive(Clone, Debug)]
pub struct Account {
    /// The person.
    pub user: User,
    /// Counts the writes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// What is needed to make an account.
#[derive(Clone)]
pub struct NewUser {
    /// The id that it gets.
    pub id: UserId,
    /// What they are called.
    pub name: String,
    /// Their address.
    pub email: Email,
    /// Argon2id, in PHC format.
    pub password_hash: String,
    /// The zone in which they live; their workspace's too.
    pub timezone: TimeZone,
    /// The rules that their workspace starts with.
    pub starter_rules: Vec<NewRule>,
}

/// What an owner may change.
#[derive(Clone, Debug, Default)]
pub struct ProfileChanges {
    /// What they are called.
    pub name: Option<String>,
    /// The zone in which they live.
    pub timezone: Option<TimeZone>,
    /// How rules reach them.
    pub notify_by: Option<NotifyBy>,
    /// Argon2id, in PHC format; ends every session.
    pub password_hash: Option<String>,
}

/// Makes an account with its personal workspace, in which the starter rules are installed.
///
/// # Errors
/// [`Conflict::EmailTaken`].
pub async fn register(tx: &mut Tx, new: NewUser, cause: &Cause) -> Result<(Account, WorkspaceId)> {
    let now = tx.now();
    if find_row(tx.conn(), &new.email).await?.is_some() {
        return Err(Conflict::EmailTaken.into());
    }
    let row = users::Model {
        id: new.id.0,
        name: new.name.clone(),
        email: new.email.to_string(),
        email_key: new.email.key(),
        password_hash: new.password_hash.clone(),
        timezone: new.timezone.to_string(),
        notify_by: NotifyBy::default().to_string(),
        version: 1,
        created_at: now.unix_millis(),
        updated_at: now.unix_millis(),
    };
    tx.insert::<users::Entity>(row.clone().into_active_model());
    let workspace_id = workspaces::create_personal(tx, &new)?;
    let account = Account::try_from(row)?;
    raise_created(tx, workspace_id, &account.user, cause)?;
    Ok((account, workspace_id))
}

fn raise_created(tx: &mut Tx, workspace: WorkspaceId, user: &User, cause: &Cause) -> Result<()> {
    let now = tx.now();
    let mut more = serde_json::Map::new();
    more.insert(
        "user".to_owned(),
        json!({ "id": user.id, "name": user.name, "email": user.email }),
    );
    tx.raise(Event {
        id: EventId::derived(now, &[b"user.created", user.id.as_bytes()]),
        workspace_id: workspace,
        kind: EventType::system("user.created"),
        task_id: None,
        time: now,
        traceparent: cause.traceparent,
        change: cause.change,
        depth: cause.depth,
        actor_id: Some(user.id),
        rule_id: None,
        data: EventData::System(Box::new(Snapshot {
            actor: cause.actor.clone(),
            more,
            ..Snapshot::default()
        })),
    })
}

/// The account of an address and its password hash.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_for_login(db: &Db, email: &Email) -> Result<Option<(Account, String)>> {
    find_row(db.reader(), email)
        .await?
        .map(|row| {
            let hash = row.password_hash.clone();
            Ok((Account::try_from(row)?, hash))
        })
        .transpose()
}

/// Whether the password of an account is still the one of this hash: another may have been set
/// while it was verified.
///
/// # Errors
/// When the database cannot be read.
pub async fn has_password(tx: &Tx, id: UserId, hash: &str) -> Result<bool> {
    // Until the login that it is for has begun, so that a new password ends that one too.
    let row = users::Entity::find_by_id(id.0).lock_exclusive();
    let row = row.one(tx.conn()).await?;
    Ok(row.is_some_and(|row| row.password_hash == hash))
}

async fn find_row(conn: &impl ConnectionTrait, email: &Email) -> Result<Option<users::Model>> {
    let found = users::Entity::find()
        .filter(users::Column::EmailKey.eq(email.key()))
        .one(conn);
    Ok(found.await?)
}

/// Whether nobody has an account.
///
/// # Errors
/// When the database cannot be read.
pub async fn none_yet(db: &Db) -> Result<bool> {
    Ok(users::Entity::find().one(db.reader()).await?.is_none())
}

/// An account.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &Db, id: UserId) -> Result<Account> {
    users::Entity::find_by_id(id.0)
        .one(db.reader())
        .await?
        .ok_or(Error::NotFound("user"))?
        .try_into()
}

/// The user of this id, inside a transaction.
pub(crate) async fn find_in(tx: &Tx, id: UserId) -> Result<Option<User>> {
    let row = users::Entity::find_by_id(id.0).one(tx.conn()).await?;
    row.map(|row| Account::try_from(row).map(|account| account.user))
        .transpose()
}

/// Changes an account; a new password ends every session of it.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Changed`] when its version is none of `expected`.
pub async fn update(
    tx: &mut Tx,
    id: UserId,
    changes: ProfileChanges,
    expected: Option<&[i64]>,
) -> Result<Account> {
    let row = users::Entity::find_by_id(id.0).lock_exclusive();
    let row = row.one(tx.conn()).await?;
    let mut row = row.ok_or(Error::NotFound("user"))?;
    expect_version(row.version, expected)?;
    if changes.password_hash.is_some() {
        crate::sessions::end_all(tx, id).await?;
    }
    if let Some(zone) = changes.timezone {
        workspaces::set_personal_zone(tx, id, zone).await?;
    }
    // Scripts see what their members are called.
    workspaces::bump_rules_of_member(tx, id).await?;
    row.name = changes.name.unwrap_or(row.name);
    row.timezone = changes
        .timezone
        .map_or(row.timezone, |zone| zone.to_string());
    row.notify_by = changes.notify_by.map_or(row.notify_by, |by| by.to_string());
    row.password_hash = changes.password_hash.unwrap_or(row.password_hash);
    row.version += 1;
    row.updated_at = tx.now().unix_millis();
    users::Entity::update(row.clone().into_active_model().reset_all())
        .exec(tx.write_conn())
        .await?;
    row.try_into()
}

/// The users of these ids who exist.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_ids(
    db: &Db,
    ids: impl IntoIterator<Item = UserId>,
) -> Result<HashMap<UserId, User>> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    users::Entity::find()
        .filter(users::Column::Id.is_in(ids))
        .all(db.reader())
        .await?
        .into_iter()
        .map(|row| Account::try_from(row).map(|account| (account.user.id, account.user)))
        .collect()
}

/// The role in which a user belongs to a workspace.
///
/// # Errors
/// When the database cannot be read.
pub async fn role_in(db: &Db, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>> {
    workspaces::role(db.reader(), workspace, user).await
}

/// Refuses when a row's version is none of those that the caller expects.
pub(crate) fn expect_version(current: i64, expected: Option<&[i64]>) -> Result<()> {
    match expected {
        Some(expected) if !expected.contains(&current) => Err(Error::Changed { current }),
        _ => Ok(()),
    }
}

impl TryFrom<users::Model> for Account {
    type Error = Error;
    fn try_from(row: users::Model) -> Result<Self> {
        let unreadable = |error: &dyn std::fmt::Display| {
            Error::Unreadable("user", format!("{}: {error}", row.id))
        };
        Ok(Self {
            user: User {
                id: UserId(row.id),
                email: row.email.parse().map_err(|error| unreadable(&error))?,
                timezone: row.timezone.parse().map_err(|error| unreadable(&error))?,
                notify_by: row.notify_by.parse().map_err(|error| unreadable(&error))?,
                name: row.name,
            },
            version: row.version,
            created_at: at(row.created_at),
            updated_at: at(row.updated_at),
        })
    }
}
