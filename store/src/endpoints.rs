//! Webhook endpoints; their headers and secrets are sealed.

use crate::db::at;
use crate::entity::endpoints;
use crate::page::{self, Listed, Page};
use crate::users::expect_version;
use crate::workspaces::{self, bump_rules};
use crate::{Conflict, Db, Error, Result, Tx, Vault};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Order,
    QueryFilter, QueryOrder, QuerySelect,
};
use smarttasks_model::{
    EndpointId, EventPattern, HeaderSet, SigningSecret, Timestamp, WebhookUrl, WorkspaceId,
};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// A registered webhook receiver.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Where it belongs.
    pub workspace_id: WorkspaceId,
    /// Unique in the workspace.
    pub name: String,
    /// Where it listens.
    pub url: WebhookUrl,
    /// Which events it gets without a rule.
    pub event_types: Vec<EventPattern>,
    /// What is sent with each request.
    pub headers: HeaderSet,
    /// Whether anything is sent to it.
    pub enabled: bool,
    /// Why the system disabled it.
    pub disabled_reason: Option<String>,
    /// What signs its requests: the present secret first, then the one before while it is good.
    pub secrets: Vec<SigningSecret>,
    /// Counts the writes, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// What is needed to make an endpoint.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// The id that it gets.
    pub id: EndpointId,
    /// Unique in the workspace.
    pub name: String,
    /// Where it listens.
    pub url: WebhookUrl,
    /// Which events it gets without a rule.
    pub event_types: Vec<EventPattern>,
    /// What is sent with each request.
    pub headers: HeaderSet,
    /// Whether anything is sent to it.
    pub enabled: bool,
    /// What signs its requests.
    pub secret: SigningSecret,
}

/// What may be changed.
#[derive(Clone, Debug, Default)]
pub struct EndpointChanges {
    /// Unique in the workspace.
    pub name: Option<String>,
    /// Where it listens.
    pub url: Option<WebhookUrl>,
    /// Which events it gets without a rule.
    pub event_types: Option<Vec<EventPattern>>,
    /// What is sent with each request.
    pub headers: Option<HeaderSet>,
    /// Whether anything is sent to it; enabling forgets why the system disabled it.
    pub enabled: Option<bool>,
}

/// How long the secret before the present one still signs, so that receivers can change over.
const ROTATION: Duration = Duration::from_secs(24 * 3600);

/// Stores a new endpoint.
///
/// # Errors
/// [`Conflict::NameTaken`].
pub async fn create(tx: &mut Tx, workspace: WorkspaceId, new: NewEndpoint) -> Result<Endpoint> {
    workspaces::lock(tx, workspace).await?;
    expect_free_name(tx, workspace, new.id, &new.name).await?;
    let now = tx.now();
    let endpoint = Endpoint {
        id: new.id,
        workspace_id: workspace,
        name: new.name,
        url: new.url,
        event_types: new.event_types,
        headers: new.headers,
        enabled: new.enabled,
        disabled_reason: None,
        secrets: vec![new.secret],
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let row = to_row(&endpoint, None, tx.vault())?;
    tx.insert::<endpoints::Entity>(row.into_active_model());
    bump_rules(tx, workspace).await?;
    Ok(endpoint)
}

/// Changes an endpoint.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Changed`] when its version is none of `expected`;
/// [`Conflict::NameTaken`].
pub async fn update(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: EndpointId,
    changes: EndpointChanges,
    expected: Option<&[i64]>,
) -> Result<Endpoint> {
    let (row, mut endpoint) = expect(tx, workspace, id).await?;
    expect_version(endpoint.version, expected)?;
    if let Some(name) = changes.name {
        expect_free_name(tx, workspace, id, &name).await?;
        endpoint.name = name;
    }
    endpoint.url = changes.url.unwrap_or(endpoint.url);
    endpoint.event_types = changes.event_types.unwrap_or(endpoint.event_types);
    endpoint.headers = changes.headers.unwrap_or(endpoint.headers);
    if let Some(enabled) = changes.enabled {
        endpoint.enabled = enabled;
        endpoint.disabled_reason = None;
    }
    save(tx, endpoint, row.previous_secret_until).await
}

/// Gives an endpoint another secret; the one before goes on signing beside it for a day.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn rotate_secret(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: EndpointId,
    secret: SigningSecret,
) -> Result<Endpoint> {
    let (_, mut endpoint) = expect(tx, workspace, id).await?;
    endpoint.secrets.insert(0, secret);
    endpoint.secrets.truncate(2);
    let until = (tx.now() + ROTATION).unix_millis();
    save(tx, endpoint, Some(until)).await
}

/// Disables an endpoint because of what its receiver said; says whether it was enabled.
///
/// # Errors
/// When the database cannot be written.
pub async fn disable(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: EndpointId,
    reason: &str,
) -> Result<Option<Endpoint>> {
    workspaces::lock(tx, workspace).await?;
    let Some(row) = find_row(tx.conn(), workspace, id).await? else {
        return Ok(None);
    };
    let until = row.previous_secret_until;
    let mut endpoint = from_row(row, tx.vault(), tx.now())?;
    if !endpoint.enabled {
        return Ok(None);
    }
    endpoint.enabled = false;
    endpoint.disabled_reason = Some(reason.to_owned());
    save(tx, endpoint, until).await.map(Some)
}

/// Removes an endpoint; what is pending for it fails.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Changed`] when its version is none of `expected`.
pub async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: EndpointId,
    expected: Option<&[i64]>,
) -> Result<()> {
    let (_, endpoint) = expect(tx, workspace, id).await?;
    expect_version(endpoint.version, expected)?;
    endpoints::Entity::delete_by_id(id.0)
        .exec(tx.write_conn())
        .await?;
    bump_rules(tx, workspace).await
}

/// An endpoint of this workspace.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &Db, workspace: WorkspaceId, id: EndpointId) -> Result<Endpoint> {
    let row = find_row(db.reader(), workspace, id)
        .await?
        .ok_or(Error::NotFound("endpoint"))?;
    from_row(row, db.vault(), db.clock().now())
}

/// The same inside a transaction.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_in(tx: &Tx, workspace: WorkspaceId, id: EndpointId) -> Result<Endpoint> {
    expect(tx, workspace, id)
        .await
        .map(|(_, endpoint)| endpoint)
}

/// Where those of these endpoints listen that the workspace has.
///
/// # Errors
/// When the database cannot be read.
pub async fn urls(
    db: &Db,
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = EndpointId>,
) -> Result<HashMap<EndpointId, String>> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(uuid::Uuid, String)> = endpoints::Entity::find()
        .select_only()
        .column(endpoints::Column::Id)
        .column(endpoints::Column::Url)
        .filter(endpoints::Column::WorkspaceId.eq(workspace.0))
        .filter(endpoints::Column::Id.is_in(ids))
        .into_tuple()
        .all(db.reader())
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, url)| (EndpointId(id), url))
        .collect())
}

/// The endpoints of a workspace, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(db: &Db, workspace: WorkspaceId, page: &Page) -> Result<Listed<Endpoint>> {
    let query = endpoints::Entity::find().filter(endpoints::Column::WorkspaceId.eq(workspace.0));
    let now = db.clock().now();
    let read = |row| from_row(row, db.vault(), now);
    page::by_id(
        db,
        query,
        endpoints::Column::Id,
        Order::Desc,
        page,
        |row| row.id,
        read,
    )
    .await
}

/// The names of a workspace's endpoints, enabled or not.
///
/// # Errors
/// When the database cannot be read.
pub async fn names(db: &Db, workspace: WorkspaceId) -> Result<Vec<String>> {
    Ok(endpoints::Entity::find()
        .select_only()
        .column(endpoints::Column::Name)
        .filter(endpoints::Column::WorkspaceId.eq(workspace.0))
        .order_by_asc(endpoints::Column::Id)
        .into_tuple()
        .all(db.reader())
        .await?)
}

/// Every endpoint of these workspaces, enabled or not, for the engine.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_workspaces(
    db: &Db,
    workspaces: impl IntoIterator<Item = WorkspaceId>,
) -> Result<Vec<Endpoint>> {
    let now = db.clock().now();
    endpoints::Entity::find()
        .filter(endpoints::Column::WorkspaceId.is_in(workspaces.into_iter().map(|id| id.0)))
        .order_by_asc(endpoints::Column::Id)
        .all(db.reader())
        .await?
        .into_iter()
        .map(|row| from_row(row, db.vault(), now))
        .collect()
}

/// The endpoints of these ids that exist, for the notifier, whose messages carry ids that were
/// checked when they were made. One that cannot be read is left out: it must not hold up others.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_ids(
    db: &Db,
    ids: impl IntoIterator<Item = EndpointId>,
) -> Result<HashMap<EndpointId, Endpoint>> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let now = db.clock().now();
    let rows = endpoints::Entity::find()
        .filter(endpoints::Column::Id.is_in(ids))
        .all(db.reader())
        .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        match from_row(row, db.vault(), now) {
            Ok(endpoint) => drop(found.insert(endpoint.id, endpoint)),
            Err(error) => tracing::error!(%error, "an endpoint cannot be read"),
        }
    }
    Ok(found)
}

async fn save(tx: &mut Tx, mut endpoint: Endpoint, until: Option<i64>) -> Result<Endpoint> {
    endpoint.version += 1;
    endpoint.updated_at = tx.now();
    let row = to_row(&endpoint, until, tx.vault())?;
    endpoints::Entity::update(row.into_active_model().reset_all())
        .exec_without_returning(tx.write_conn())
        .await?;
    bump_rules(tx, endpoint.workspace_id).await?;
    Ok(endpoint)
}

async fn expect(
    tx: &Tx,
    workspace: WorkspaceId,
    id: EndpointId,
) -> Result<(endpoints::Model, Endpoint)> {
    workspaces::lock(tx, workspace).await?;
    let row = find_row(tx.conn(), workspace, id)
        .await?
        .ok_or(Error::NotFound("endpoint"))?;
    let endpoint = from_row(row.clone(), tx.vault(), tx.now())?;
    Ok((row, endpoint))
}

async fn find_row(
    conn: &impl ConnectionTrait,
    workspace: WorkspaceId,
    id: EndpointId,
) -> Result<Option<endpoints::Model>> {
    let found = endpoints::Entity::find_by_id(id.0)
        .filter(endpoints::Column::WorkspaceId.eq(workspace.0))
        .one(conn);
    Ok(found.await?)
}

async fn expect_free_name(
    tx: &Tx,
    workspace: WorkspaceId,
    id: EndpointId,
    name: &str,
) -> Result<()> {
    let other = endpoints::Entity::find()
        .filter(endpoints::Column::WorkspaceId.eq(workspace.0))
        .filter(endpoints::Column::Name.eq(name))
        .filter(endpoints::Column::Id.ne(id.0))
        .one(tx.conn())
        .await?;
    if other.is_some() {
        Err(Conflict::NameTaken.into())
    } else {
        Ok(())
    }
}

fn context(id: uuid::Uuid, column: &str) -> Vec<u8> {
    [b"endpoint/", id.as_bytes().as_slice(), column.as_bytes()].concat()
}

fn to_row(
    endpoint: &Endpoint,
    previous_secret_until: Option<i64>,
    vault: &Vault,
) -> Result<endpoints::Model> {
    let id = endpoint.id.0;
    let unreadable = |error: serde_json::Error| Error::Unreadable("endpoint", error.to_string());
    let headers: BTreeMap<&str, &str> = endpoint.headers.iter().collect();
    let headers = serde_json::to_vec(&headers).map_err(unreadable)?;
    let seal =
        |secret: &SigningSecret| vault.seal(&context(id, "secret"), secret.reveal().as_bytes());
    let present = endpoint.secrets.first();
    let present = present.ok_or_else(|| Error::Unreadable("endpoint", "no secret".to_owned()))?;
    Ok(endpoints::Model {
        id,
        workspace_id: endpoint.workspace_id.0,
        name: endpoint.name.clone(),
        url: endpoint.url.as_str().to_owned(),
        event_types: serde_json::to_string(&endpoint.event_types).map_err(unreadable)?,
        headers: vault.seal(&context(id, "headers"), &headers)?,
        enabled: endpoint.enabled,
        disabled_reason: endpoint.disabled_reason.clone(),
        secret: seal(present)?,
        previous_secret: endpoint.secrets.get(1).map(seal).transpose()?,
        previous_secret_until,
        version: endpoint.version,
        created_at: endpoint.created_at.unix_millis(),
        updated_at: endpoint.updated_at.unix_millis(),
    })
}

fn from_row(row: endpoints::Model, vault: &Vault, now: Timestamp) -> Result<Endpoint> {
    let unreadable =
        |what: &dyn std::fmt::Display| Error::Unreadable("endpoint", format!("{}: {what}", row.id));
    let open = |sealed: &[u8]| {
        let text = vault.open(&context(row.id, "secret"), sealed)?;
        let text = String::from_utf8(text).map_err(|error| unreadable(&error))?;
        text.parse::<SigningSecret>()
            .map_err(|error| unreadable(&error))
    };
    let mut secrets = vec![open(&row.secret)?];
    if row
        .previous_secret_until
        .is_some_and(|until| now.unix_millis() < until)
        && let Some(previous) = &row.previous_secret
    {
        secrets.push(open(previous)?);
    }
    let headers = vault.open(&context(row.id, "headers"), &row.headers)?;
    let headers: BTreeMap<String, String> =
        serde_json::from_slice(&headers).map_err(|error| unreadable(&error))?;
    Ok(Endpoint {
        id: EndpointId(row.id),
        workspace_id: WorkspaceId(row.workspace_id),
        name: row.name.clone(),
        url: row.url.parse().map_err(|error| unreadable(&error))?,
        event_types: serde_json::from_str(&row.event_types).map_err(|error| unreadable(&error))?,
        headers: HeaderSet::parse("/headers", &headers).map_err(|error| unreadable(&error))?,
        enabled: row.enabled,
        disabled_reason: row.disabled_reason.clone(),
        secrets,
        version: row.version,
        created_at: at(row.created_at),
        updated_at: at(row.updated_at),
    })
}
