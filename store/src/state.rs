//! What rules keep from run to run.
//!
//! An evaluation reads a rule's state before its transaction and replaces it within. The version
//! that it has read is the condition: two engines that evaluate the same rule at once cannot
//! both go on from the same state.

use crate::db::chunks;
use crate::entity::rule_state::{ActiveModel, Column, Entity};
use crate::{Db, Error, Result, Tx};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};
use serde_json::{Map, Value};
use smarttasks_model::{RuleId, WorkspaceId};
use std::collections::HashMap;
use std::sync::Arc;

/// What a rule keeps.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Its values by their keys.
    pub values: Arc<Map<String, Value>>,
    /// Counts the changes; 0 before the first.
    pub version: i64,
}

/// What these rules keep; a rule that keeps nothing is absent.
///
/// # Errors
/// When the database cannot be read.
pub async fn of(
    db: &Db,
    rules: impl IntoIterator<Item = RuleId>,
) -> Result<HashMap<RuleId, State>> {
    let mut rows = Vec::new();
    for rules in chunks(rules) {
        let found = Entity::find()
            .filter(Column::RuleId.is_in(rules.into_iter().map(|id| id.0)))
            .all(db.reader())
            .await?;
        rows.extend(found);
    }
    rows.into_iter()
        .map(|row| {
            let values: Map<String, Value> = serde_json::from_str(&row.body)
                .map_err(|error| Error::Unreadable("state of a rule", error.to_string()))?;
            let state = State {
                values: Arc::new(values),
                version: row.version,
            };
            Ok((RuleId(row.rule_id), state))
        })
        .collect()
}

/// Replaces what a rule keeps.
///
/// # Errors
/// [`Error::Overtaken`] when its version is not the one that was read.
pub async fn replace(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    values: &Map<String, Value>,
    read: i64,
) -> Result<()> {
    tx.alone()?;
    let body = serde_json::to_string(values)
        .map_err(|error| Error::Unreadable("state of a rule", error.to_string()))?;
    let now = tx.now().unix_millis();
    let written = if read == 0 {
        let row = ActiveModel {
            rule_id: Set(rule.0),
            workspace_id: Set(workspace.0),
            body: Set(body),
            version: Set(1),
            updated_at: Set(now),
        };
        Entity::insert(row)
            .on_conflict(OnConflict::column(Column::RuleId).do_nothing().to_owned())
            .exec_without_returning(tx.write_conn())
            .await?
    } else {
        Entity::update_many()
            .col_expr(Column::Body, Expr::value(body))
            .col_expr(Column::Version, Expr::value(read + 1))
            .col_expr(Column::UpdatedAt, Expr::value(now))
            .filter(Column::RuleId.eq(rule.0))
            .filter(Column::Version.eq(read))
            .exec(tx.write_conn())
            .await?
            .rows_affected
    };
    if written == 0 {
        return Err(Error::Overtaken);
    }
    Ok(())
}

/// Forgets what a rule keeps.
pub(crate) async fn forget(tx: &mut Tx, rule: RuleId) -> Result<()> {
    Entity::delete_by_id(rule.0).exec(tx.write_conn()).await?;
    Ok(())
}
