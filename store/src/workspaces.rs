//! Workspaces and who belongs to them.

use crate::entity::{members, users as user_rows, workspaces};
use crate::users::{self, NewUser};
use crate::{Db, Error, Result, Tx, rules};
use sea_orm::sea_query::{Expr, ExprTrait, LockType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use smarttasks_model::{
    Email, Invalid, RuleId, SigningSecret, TimeZone, User, UserId, WorkspaceId,
};
use std::collections::{HashMap, HashSet};
use std::str::FromStr;

/// What a member may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Works on tasks.
    Member,
    /// Runs the workspace: rules, endpoints, members.
    Admin,
    /// May also delete it.
    Owner,
}

impl Role {
    /// The name, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl FromStr for Role {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        [Self::Viewer, Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| Error::Unreadable("role", text.to_owned()))
    }
}

/// A workspace as scripts see it.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// What it is called.
    pub name: String,
    /// The zone that its rules mean unless they say another.
    pub timezone: TimeZone,
    /// Changes whenever a rule or an endpoint of it does.
    pub rules_version: i64,
}

pub(crate) fn create_personal(tx: &mut Tx, user: &NewUser) -> Result<WorkspaceId> {
    let now = tx.now();
    let id = WorkspaceId::derived(now, &[b"personal", user.id.as_bytes()]);
    let secret = SigningSecret::generate();
    let row = workspaces::Model {
        id: id.0,
        name: user.name.clone(),
        timezone: user.timezone.to_string(),
        personal_of: Some(user.id.0),
        rules_version: 1,
        webhook_secret: tx
            .vault()
            .seal(&secret_context(id), secret.reveal().as_bytes())?,
        version: 1,
        created_at: now.unix_millis(),
        updated_at: now.unix_millis(),
    };
    tx.insert::<workspaces::Entity>(row.into_active_model());
    tx.insert::<members::Entity>(members::ActiveModel {
        workspace_id: Set(id.0),
        user_id: Set(user.id.0),
        role: Set(Role::Owner.as_str().to_owned()),
        created_at: Set(now.unix_millis()),
    });
    for rule in user.starter_rules.clone() {
        rules::insert(tx, id, user.id, rule)?;
    }
    Ok(id)
}

fn secret_context(id: WorkspaceId) -> Vec<u8> {
    [b"workspace/", id.as_bytes()].concat()
}

/// The secret that signs webhooks to bare URLs.
///
/// # Errors
/// [`Error::NotFound`], or when it was sealed with another key.
pub async fn webhook_secret(db: &Db, id: WorkspaceId) -> Result<SigningSecret> {
    let row = workspaces::Entity::find_by_id(id.0)
        .one(db.reader())
        .await?;
    let row = row.ok_or(Error::NotFound("workspace"))?;
    let text = db.vault().open(&secret_context(id), &row.webhook_secret)?;
    String::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::Unreadable("workspace", format!("{id}: webhook_secret")))
}

/// The workspaces of these ids.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_ids(
    db: &Db,
    ids: impl IntoIterator<Item = WorkspaceId>,
) -> Result<HashMap<WorkspaceId, Workspace>> {
    many(db.reader(), ids).await
}

/// The same inside a transaction.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_ids_in(
    tx: &Tx,
    ids: impl IntoIterator<Item = WorkspaceId>,
) -> Result<HashMap<WorkspaceId, Workspace>> {
    many(tx.conn(), ids).await
}

async fn many(
    conn: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = WorkspaceId>,
) -> Result<HashMap<WorkspaceId, Workspace>> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    workspaces::Entity::find()
        .filter(workspaces::Column::Id.is_in(ids))
        .all(conn)
        .await?
        .into_iter()
        .map(|row| {
            let timezone = row
                .timezone
                .parse()
                .map_err(|error| Error::Unreadable("workspace", format!("{}: {error}", row.id)))?;
            let id = WorkspaceId(row.id);
            let workspace = Workspace {
                id,
                name: row.name,
                timezone,
                rules_version: row.rules_version,
            };
            Ok((id, workspace))
        })
        .collect()
}

/// The personal workspace of a user.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn personal_of(db: &Db, user: UserId) -> Result<WorkspaceId> {
    workspaces::Entity::find()
        .filter(workspaces::Column::PersonalOf.eq(user.0))
        .one(db.reader())
        .await?
        .map(|row| WorkspaceId(row.id))
        .ok_or(Error::NotFound("workspace"))
}

pub(crate) async fn role(
    conn: &impl ConnectionTrait,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<Role>> {
    members::Entity::find_by_id((workspace.0, user.0))
        .one(conn)
        .await?
        .map(|row| row.role.parse())
        .transpose()
}

/// Refuses `user` at `pointer` unless they belong to the workspace.
pub(crate) async fn expect_member(
    tx: &Tx,
    workspace: WorkspaceId,
    user: UserId,
    pointer: &str,
) -> Result<()> {
    match role(tx.conn(), workspace, user).await? {
        Some(_) => Ok(()),
        None => Err(Error::Invalid(vec![Invalid::at(
            pointer,
            "is no member of this workspace",
        )])),
    }
}

/// Which of these addresses belong to members of the workspace.
///
/// # Errors
/// When the database cannot be read.
pub async fn member_emails(
    tx: &Tx,
    workspace: WorkspaceId,
    emails: impl IntoIterator<Item = &Email>,
) -> Result<HashSet<String>> {
    let keys: Vec<_> = emails.into_iter().map(Email::key).collect();
    let found: Vec<(uuid::Uuid, String)> = user_rows::Entity::find()
        .select_only()
        .column(user_rows::Column::Id)
        .column(user_rows::Column::EmailKey)
        .filter(user_rows::Column::EmailKey.is_in(keys))
        .into_tuple()
        .all(tx.conn())
        .await?;
    let members: HashSet<uuid::Uuid> = members::Entity::find()
        .filter(members::Column::WorkspaceId.eq(workspace.0))
        .filter(members::Column::UserId.is_in(found.iter().map(|(id, _)| *id)))
        .all(tx.conn())
        .await?
        .into_iter()
        .map(|row| row.user_id)
        .collect();
    Ok(found
        .into_iter()
        .filter(|(id, _)| members.contains(id))
        .map(|(_, key)| key)
        .collect())
}

/// A personal workspace follows its person into another time zone.
pub(crate) async fn set_personal_zone(tx: &mut Tx, user: UserId, zone: TimeZone) -> Result<()> {
    workspaces::Entity::update_many()
        .col_expr(workspaces::Column::Timezone, Expr::value(zone.to_string()))
        .filter(workspaces::Column::PersonalOf.eq(user.0))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

/// Marks every workspace that a user belongs to as changed.
pub(crate) async fn bump_rules_of_member(tx: &mut Tx, user: UserId) -> Result<()> {
    let of: Vec<uuid::Uuid> = members::Entity::find()
        .select_only()
        .column(members::Column::WorkspaceId)
        .filter(members::Column::UserId.eq(user.0))
        .order_by_asc(members::Column::WorkspaceId)
        .into_tuple()
        .all(tx.conn())
        .await?;
    for workspace in of {
        bump_rules(tx, WorkspaceId(workspace)).await?;
    }
    Ok(())
}

/// Who belongs to these workspaces.
///
/// # Errors
/// When the database cannot be read.
pub async fn members_of(
    db: &Db,
    ids: impl IntoIterator<Item = WorkspaceId>,
) -> Result<HashMap<WorkspaceId, HashMap<UserId, User>>> {
    let ids = ids.into_iter().map(|id| id.0);
    let rows = members::Entity::find()
        .filter(members::Column::WorkspaceId.is_in(ids))
        .all(db.reader())
        .await?;
    let people = users::by_ids(db, rows.iter().map(|row| UserId(row.user_id))).await?;
    let mut found: HashMap<WorkspaceId, HashMap<UserId, User>> = HashMap::new();
    for row in rows {
        if let Some(user) = people.get(&UserId(row.user_id)) {
            found
                .entry(WorkspaceId(row.workspace_id))
                .or_default()
                .insert(user.id, user.clone());
        }
    }
    Ok(found)
}

/// Makes this transaction the only one that changes the workspace's rules or endpoints, and waits
/// for those that read its rules in order to write what follows from them. Embedded, every
/// transaction is the only one.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn lock(tx: &Tx, id: WorkspaceId) -> Result<()> {
    lock_as(tx, id, LockType::Update).await
}

/// Keeps the workspace's rules as they are until this transaction ends.
pub(crate) async fn lock_rules(tx: &Tx, id: WorkspaceId) -> Result<()> {
    lock_as(tx, id, LockType::Share).await
}

async fn lock_as(tx: &Tx, id: WorkspaceId, lock: LockType) -> Result<()> {
    if tx.conn().get_database_backend() == DbBackend::Sqlite {
        return Ok(());
    }
    let locked: Option<uuid::Uuid> = workspaces::Entity::find_by_id(id.0)
        .select_only()
        .column(workspaces::Column::Id)
        .lock(lock)
        .into_tuple()
        .one(tx.conn())
        .await?;
    locked.map(drop).ok_or(Error::NotFound("workspace"))
}

/// Marks the workspace's endpoints or members as changed, or what is in quarantine, so that every
/// engine looks again.
pub(crate) async fn bump_rules(tx: &mut Tx, id: WorkspaceId) -> Result<()> {
    bump(tx, id, None).await
}

/// Marks a rule of the workspace as changed.
pub(crate) async fn bump_rule(tx: &mut Tx, id: WorkspaceId, rule: RuleId) -> Result<()> {
    bump(tx, id, Some(rule)).await
}

async fn bump(tx: &mut Tx, id: WorkspaceId, rule: Option<RuleId>) -> Result<()> {
    workspaces::Entity::update_many()
        .col_expr(
            workspaces::Column::RulesVersion,
            Expr::col(workspaces::Column::RulesVersion).add(1),
        )
        .filter(workspaces::Column::Id.eq(id.0))
        .exec(tx.write_conn())
        .await?;
    rules::note_change(tx, id, rule).await
}
