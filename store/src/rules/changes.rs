//! Which rules of a workspace have changed, so that whoever keeps the rules need not read all of them
//! because of one.

use crate::db::chunks;
use crate::entity::{rule_changes, workspaces};
use crate::{Db, Error, Result, Tx};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter};
use smarttasks_model::{RuleId, WorkspaceId};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Versions of a workspace's rules of which is known what they have changed. Whoever is further
/// behind reads all.
const KEPT: i64 = 1_000;

/// Between which versions of a workspace's rules.
#[derive(Clone, Copy, Debug)]
pub struct Between {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// What is known.
    pub after: i64,
    /// What is to be known.
    pub to: i64,
}

/// Notes what the version to which a workspace has just come has changed.
pub(crate) async fn note(tx: &mut Tx, id: WorkspaceId, rule: Option<RuleId>) -> Result<()> {
    let version = Query::select()
        .column(workspaces::Column::Id)
        .column(workspaces::Column::RulesVersion)
        .expr(Expr::value(rule.map(|rule| rule.0)))
        .from(workspaces::Entity)
        .and_where(workspaces::Column::Id.eq(id.0))
        .to_owned();
    let mut change = Query::insert()
        .into_table(rule_changes::Entity)
        .columns([
            rule_changes::Column::WorkspaceId,
            rule_changes::Column::Version,
            rule_changes::Column::RuleId,
        ])
        .to_owned();
    change
        .select_from(version)
        .map_err(|error| Error::Unreadable("change of rules", error.to_string()))?;
    tx.write_conn().execute(&change).await?;
    let oldest = Query::select()
        .expr(Expr::col(workspaces::Column::RulesVersion).sub(KEPT))
        .from(workspaces::Entity)
        .and_where(workspaces::Column::Id.eq(id.0))
        .to_owned();
    rule_changes::Entity::delete_many()
        .filter(rule_changes::Column::WorkspaceId.eq(id.0))
        .filter(Expr::col(rule_changes::Column::Version).lte(oldest))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

/// The rules that have changed in these workspaces. Those of which that is no longer known are
/// absent.
///
/// # Errors
/// When the database cannot be read.
pub async fn changed(
    db: &Db,
    between: impl IntoIterator<Item = Between>,
) -> Result<HashMap<WorkspaceId, HashSet<RuleId>>> {
    let mut found = HashMap::new();
    for between in chunks(between) {
        let mut any = Condition::any();
        for of in &between {
            any = any.add(
                Condition::all()
                    .add(rule_changes::Column::WorkspaceId.eq(of.workspace_id.0))
                    .add(rule_changes::Column::Version.gt(of.after))
                    .add(rule_changes::Column::Version.lte(of.to)),
            );
        }
        let rows = rule_changes::Entity::find()
            .filter(any)
            .all(db.reader())
            .await?;
        let mut versions: HashMap<_, BTreeSet<i64>> = HashMap::new();
        let mut rules: HashMap<_, HashSet<RuleId>> = HashMap::new();
        for row in rows {
            let workspace = WorkspaceId(row.workspace_id);
            versions.entry(workspace).or_default().insert(row.version);
            let rules = rules.entry(workspace).or_default();
            rules.extend(row.rule_id.map(RuleId));
        }
        for of in between {
            let known = versions.get(&of.workspace_id).map_or(0, BTreeSet::len);
            if i64::try_from(known).is_ok_and(|known| known == of.to - of.after) {
                let rules = rules.remove(&of.workspace_id).unwrap_or_default();
                found.insert(of.workspace_id, rules);
            }
        }
    }
    Ok(found)
}
