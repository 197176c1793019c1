//! Sweeps: which ranges have not been looked at yet, how the tasks of a range are read, and what is
//! known when all have been.
//!
//! A range is a message and a row. The row goes in the transaction that does what the range leads
//! to, so a message that comes twice finds nothing left to do, a sweep that is interrupted goes on
//! where it was, and everybody can see whether one is still under way.
//!
//! However old a row is, somebody will come to it, unless its message is among the dead letters:
//! then the row says so, and nobody waits for it any more. It stays for the dead letter, which may
//! be replayed.

use crate::db::chunks;
use crate::entity::sweep_ranges::{self, Column};
use crate::{Db, Error, Result, Tx};
use sea_orm::sea_query::{Expr, LockType, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use smarttasks_model::{Message, RuleId, SweepPurpose, SweepRange, WorkspaceId};
use std::collections::{BTreeSet, HashSet};

pub mod marks;
mod reading;

pub use reading::{MARGIN, reading};

/// Adds ranges: messages, and rows that say that they are to be looked at, which other writes of
/// the same group see at once.
///
/// # Errors
/// When the database cannot be written.
pub async fn add(tx: &mut Tx, ranges: impl IntoIterator<Item = SweepRange>) -> Result<()> {
    leave(tx, ranges, Standing::Awaited).await
}

/// How a range stands at which nobody has looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Others wait for the end of its sweep.
    Awaited,
    /// It was given up, and has been replayed: others have gone on without it.
    GivenUp,
}

/// Adds what a look at a range leaves, which stands as that did.
///
/// # Errors
/// When the database cannot be written.
pub async fn leave(
    tx: &mut Tx,
    ranges: impl IntoIterator<Item = SweepRange>,
    standing: Standing,
) -> Result<()> {
    let now = tx.now().unix_millis();
    for range in ranges {
        let rules = serde_json::to_string(&range.rules)
            .map_err(|error| Error::Unreadable("sweep", error.to_string()))?;
        tx.insert::<sweep_ranges::Entity>(sweep_ranges::ActiveModel {
            key: Set(range.key()),
            sweep_id: Set(range.sweep_id),
            workspace_id: Set(range.workspace_id.0),
            purpose: Set(purpose_name(range.purpose).to_owned()),
            rules: Set(rules),
            created_at: Set(now),
            given_up_at: Set((standing == Standing::GivenUp).then_some(now)),
        });
        tx.publish(Message::Sweep(Box::new(range)))?;
    }
    tx.flush().await
}

/// Says that nobody will look at a range, unless it is replayed: its message goes to the dead
/// letters.
///
/// # Errors
/// When the database cannot be written.
pub async fn give_up(tx: &mut Tx, range: &SweepRange) -> Result<()> {
    let now = tx.now().unix_millis();
    sweep_ranges::Entity::update_many()
        .col_expr(Column::GivenUpAt, Expr::value(now))
        .filter(Column::Key.eq(range.key()))
        .exec(tx.write_conn())
        .await?;
    Ok(())
}

/// Marks a range as looked at; how it stood, unless it had been looked at before.
///
/// # Errors
/// When the database cannot be written.
pub async fn finish(tx: &mut Tx, range: &SweepRange) -> Result<Option<Standing>> {
    let given_up_at: Option<Option<i64>> = sweep_ranges::Entity::find_by_id(range.key())
        .select_only()
        .column(Column::GivenUpAt)
        .lock(LockType::Update)
        .into_tuple()
        .one(tx.conn())
        .await?;
    let gone = sweep_ranges::Entity::delete_by_id(range.key())
        .exec(tx.write_conn())
        .await?;
    let standing = given_up_at.map(|at| match at {
        Some(_) => Standing::GivenUp,
        None => Standing::Awaited,
    });
    Ok(standing.filter(|_| gone.rows_affected > 0))
}

/// Whether a range is still to be looked at.
///
/// # Errors
/// When the database cannot be read.
pub async fn is_pending(db: &Db, range: &SweepRange) -> Result<bool> {
    let found = sweep_ranges::Entity::find_by_id(range.key())
        .one(db.reader())
        .await?;
    Ok(found.is_some())
}

/// The rules of these workspaces of which a sweep is under way.
///
/// # Errors
/// When the database cannot be read.
pub async fn under_way(
    tx: &Tx,
    workspaces: impl IntoIterator<Item = WorkspaceId>,
) -> Result<HashSet<RuleId>> {
    let workspaces: BTreeSet<_> = workspaces.into_iter().map(|id| id.0).collect();
    let mut rules = HashSet::new();
    for chunk in chunks(workspaces) {
        let of = Column::WorkspaceId.is_in(chunk);
        let rows = pending(tx.conn(), of).await?;
        rules.extend(rows.into_iter().flat_map(|(_, rules)| rules));
    }
    Ok(rules)
}

/// The rules of a workspace for which it is still being noted what matches already.
///
/// # Errors
/// When the database cannot be read.
pub async fn noting(db: &Db, workspace: WorkspaceId) -> Result<HashSet<RuleId>> {
    let of = Column::WorkspaceId.eq(workspace.0);
    let rows = pending(db.reader(), of).await?;
    Ok(rows
        .into_iter()
        .filter(|(purpose, _)| purpose == purpose_name(SweepPurpose::Note))
        .flat_map(|(_, rules)| rules)
        .collect())
}

async fn pending(
    conn: &impl ConnectionTrait,
    of: SimpleExpr,
) -> Result<Vec<(String, Vec<RuleId>)>> {
    let rows: Vec<(String, String)> = sweep_ranges::Entity::find()
        .select_only()
        .columns([Column::Purpose, Column::Rules])
        .distinct()
        .filter(of)
        .filter(Column::GivenUpAt.is_null())
        .into_tuple()
        .all(conn)
        .await?;
    rows.into_iter()
        .map(|(purpose, rules)| {
            let rules = serde_json::from_str(&rules)
                .map_err(|error| Error::Unreadable("sweep", error.to_string()))?;
            Ok((purpose, rules))
        })
        .collect()
}

fn purpose_name(purpose: SweepPurpose) -> &'static str {
    match purpose {
        SweepPurpose::Fire => "fire",
        SweepPurpose::Note => "note",
    }
}
