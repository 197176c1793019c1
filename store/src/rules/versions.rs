//! What a rule was: each edit leaves a version that says who made it and what it changed.

use super::{Rule, get, json, spec};
use crate::db::{at, chunks};
use crate::entity::rule_versions;
use crate::page::{Listed, Page, Position, SortKey};
use crate::{Db, Error, Result, Tx};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::{Map, Value};
use smarttasks_model::{RuleId, RuleSpec, Timestamp, UserId, WorkspaceId};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// A rule as it was.
#[derive(Clone, Debug)]
pub struct Version {
    /// The rule.
    pub rule_id: RuleId,
    /// Where it belongs.
    pub workspace_id: WorkspaceId,
    /// Which version, from 1.
    pub version: i64,
    /// What the rule was.
    pub spec: RuleSpec,
    /// In which fields it differs from the version before; none in the first.
    pub changes: Vec<String>,
    /// How it came about, when nobody simply wrote it.
    pub note: Option<String>,
    /// Who wrote it; nobody when the system did.
    pub author_id: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
}

impl Version {
    /// The rule as it was, as whose it began.
    pub fn into_rule(self, author_id: UserId) -> Rule {
        Rule {
            id: self.rule_id,
            workspace_id: self.workspace_id,
            spec: self.spec,
            disabled_reason: None,
            version: self.version,
            author_id,
            created_at: self.created_at,
            updated_at: self.created_at,
        }
    }
}

/// How a version comes about.
pub(super) struct Origin<'a> {
    pub(super) author_id: Option<UserId>,
    pub(super) note: Option<String>,
    pub(super) before: Option<&'a RuleSpec>,
}

impl<'a> Origin<'a> {
    /// The author of `rule` has written it.
    pub(super) fn person(rule: &Rule, before: Option<&'a RuleSpec>) -> Self {
        Self {
            author_id: Some(rule.author_id),
            note: None,
            before,
        }
    }
}

pub(super) fn insert(tx: &mut Tx, rule: &Rule, origin: Origin<'_>) -> Result<()> {
    let changes = match origin.before {
        Some(before) => changes(before, &rule.spec)?,
        None => Vec::new(),
    };
    let version = rule_versions::Model {
        rule_id: rule.id.0,
        version: rule.version,
        workspace_id: rule.workspace_id.0,
        spec: json(&rule.spec)?,
        changes: json(&changes)?,
        note: origin.note,
        author_id: origin.author_id.map(|id| id.0),
        created_at: rule.updated_at.unix_millis(),
        quarantined_at: None,
    };
    tx.insert::<rule_versions::Entity>(version.into_active_model());
    Ok(())
}

/// The names of the fields in which two versions differ, as their authors know them.
fn changes(before: &RuleSpec, after: &RuleSpec) -> Result<Vec<String>> {
    let (before, after) = (fields(before)?, fields(after)?);
    let differs = |name: &&String| before.get(*name) != after.get(*name);
    Ok(after.keys().filter(differs).cloned().collect())
}

fn fields(spec: &RuleSpec) -> Result<Map<String, Value>> {
    match serde_json::to_value(spec) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(Error::Unreadable("rule", error.to_string())),
    }
}

/// The versions of a rule, newest first.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn versions(
    db: &Db,
    workspace: WorkspaceId,
    id: RuleId,
    page: &Page,
) -> Result<Listed<Version>> {
    get(db, workspace, id).await?;
    let mut query = rule_versions::Entity::find().filter(rule_versions::Column::RuleId.eq(id.0));
    if let Some(SortKey::Number(version)) = page
        .after
        .as_ref()
        .and_then(|position| position.key.as_ref())
    {
        query = query.filter(rule_versions::Column::Version.lt(*version));
    }
    let rows = query
        .order_by_desc(rule_versions::Column::Version)
        .limit(page.limit + 1)
        .all(db.reader())
        .await?;
    let position = |row: &rule_versions::Model| Position {
        key: Some(SortKey::Number(row.version)),
        id: row.rule_id,
    };
    page.cut(rows, position, Version::try_from)
}

/// A rule as it was in one version.
///
/// # Errors
/// [`Error::NotFound`] when there is no such rule, or it never had this version.
pub async fn version(db: &Db, workspace: WorkspaceId, id: RuleId, version: i64) -> Result<Version> {
    get(db, workspace, id).await?;
    rule_versions::Entity::find_by_id((id.0, version))
        .one(db.reader())
        .await?
        .ok_or(Error::NotFound("version of this rule"))?
        .try_into()
}

/// Rules as they were in these versions, though they may have been changed or deleted since.
///
/// # Errors
/// When the database cannot be read.
pub async fn pinned(
    db: &Db,
    wanted: impl IntoIterator<Item = (RuleId, i64)>,
) -> Result<Vec<Version>> {
    let mut found = Vec::new();
    for wanted in chunks(wanted) {
        let mut any = Condition::any();
        for (rule, version) in wanted {
            any = any.add(
                Condition::all()
                    .add(rule_versions::Column::RuleId.eq(rule.0))
                    .add(rule_versions::Column::Version.eq(version)),
            );
        }
        let rows = rule_versions::Entity::find()
            .filter(any)
            .all(db.reader())
            .await?;
        for row in rows {
            found.push(Version::try_from(row)?);
        }
    }
    Ok(found)
}

/// Whether a version of a rule is kept.
pub(crate) async fn has_version(tx: &Tx, id: RuleId, version: i64) -> Result<bool> {
    let found = rule_versions::Entity::find_by_id((id.0, version))
        .one(tx.conn())
        .await?;
    Ok(found.is_some())
}

/// Puts a version of a rule into quarantine: no run of it is evaluated.
pub(crate) async fn put_into_quarantine(tx: &mut Tx, id: RuleId, version: i64) -> Result<()> {
    let now = tx.now().unix_millis();
    rule_versions::Entity::update_many()
        .col_expr(rule_versions::Column::QuarantinedAt, Expr::value(now))
        .filter(rule_versions::Column::RuleId.eq(id.0))
        .filter(rule_versions::Column::Version.eq(version))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

/// Takes every version of a rule out of quarantine.
pub(super) async fn release(tx: &mut Tx, id: RuleId) -> Result<()> {
    rule_versions::Entity::update_many()
        .col_expr(
            rule_versions::Column::QuarantinedAt,
            Expr::value(None::<i64>),
        )
        .filter(rule_versions::Column::RuleId.eq(id.0))
        .filter(rule_versions::Column::QuarantinedAt.is_not_null())
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

/// The versions of rules in these workspaces that are in quarantine, of rules that are gone too.
///
/// # Errors
/// When the database cannot be read.
pub async fn quarantined(
    db: &Db,
    workspaces: impl IntoIterator<Item = WorkspaceId>,
) -> Result<HashMap<WorkspaceId, HashSet<(RuleId, i64)>>> {
    let mut found: HashMap<WorkspaceId, HashSet<(RuleId, i64)>> = HashMap::new();
    for workspaces in chunks(workspaces) {
        let rows: Vec<(Uuid, Uuid, i64)> = rule_versions::Entity::find()
            .select_only()
            .columns([
                rule_versions::Column::WorkspaceId,
                rule_versions::Column::RuleId,
                rule_versions::Column::Version,
            ])
            .filter(rule_versions::Column::WorkspaceId.is_in(workspaces.into_iter().map(|id| id.0)))
            .filter(rule_versions::Column::QuarantinedAt.is_not_null())
            .into_tuple()
            .all(db.reader())
            .await?;
        for (workspace, rule, version) in rows {
            let of = found.entry(WorkspaceId(workspace)).or_default();
            of.insert((RuleId(rule), version));
        }
    }
    Ok(found)
}

/// Removes every version of a rule.
pub(crate) async fn forget(tx: &mut Tx, id: RuleId) -> Result<()> {
    rule_versions::Entity::delete_many()
        .filter(rule_versions::Column::RuleId.eq(id.0))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

impl TryFrom<rule_versions::Model> for Version {
    type Error = Error;
    fn try_from(row: rule_versions::Model) -> Result<Self> {
        Ok(Self {
            rule_id: RuleId(row.rule_id),
            workspace_id: WorkspaceId(row.workspace_id),
            version: row.version,
            spec: spec(&row.spec)?,
            changes: serde_json::from_str(&row.changes)
                .map_err(|error| Error::Unreadable("rule", error.to_string()))?,
            note: row.note,
            author_id: row.author_id.map(UserId),
            created_at: at(row.created_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_names_the_fields_that_differ() {
        let spec = |script: &str, hold: Value| -> RuleSpec {
            serde_json::from_value(json!({
                "name": "n", "script": script, "hold": hold, "triggers": [{ "due": "0" }],
            }))
            .unwrap()
        };
        let first = spec("log(1);", Value::Null);
        assert!(changes(&first, &first).unwrap().is_empty());
        let second = spec("log(2);", json!("1h"));
        assert_eq!(changes(&first, &second).unwrap(), ["hold", "script"]);
    }
}
