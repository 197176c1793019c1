//! Which processes live: what one has taken up in memory is taken up by others when it is gone.
//!
//! A process says that it lives by counting up its row. Whoever watches counts his own looks at a
//! row that does not change; clocks are not compared, so that neither their differences nor an
//! outage of the database, during which nobody can look, makes a living process dead.

use crate::entity::{instances, timers};
use crate::{Db, Result, Tx};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

/// How often a process says that it lives, and how often the others look.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// After so many looks without a change a process is gone.
const SILENT: u32 = 4;

/// Says that this process lives.
///
/// # Errors
/// When the database cannot be written.
pub async fn beat(db: &Db) -> Result<()> {
    db.write(|tx| {
        Box::pin(async move {
            let row = instances::ActiveModel {
                id: Set(tx.instance()),
                beats: Set(1),
            };
            let counts = OnConflict::column(instances::Column::Id)
                .value(
                    instances::Column::Beats,
                    Expr::col((instances::Entity, instances::Column::Beats)).add(1),
                )
                .to_owned();
            instances::Entity::insert(row)
                .on_conflict(counts)
                .exec_without_returning(tx.write_conn())
                .await?;
            Ok(())
        })
    })
    .await
}

/// Hands over what this process has taken up: it is about to end.
///
/// # Errors
/// When the database cannot be written.
pub async fn leave(db: &Db) -> Result<()> {
    db.write(|tx| {
        Box::pin(async move {
            let me = tx.instance();
            release(tx, &[me]).await
        })
    })
    .await
}

/// What one who watches remembers.
#[derive(Debug, Default)]
pub struct Watch {
    seen: HashMap<Uuid, Seen>,
}

#[derive(Debug)]
struct Seen {
    beats: i64,
    looks: u32,
}

impl Watch {
    /// Looks once; what processes that are gone had taken up is due at once. Says how many are
    /// gone.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn look(&mut self, db: &Db) -> Result<usize> {
        let rows = instances::Entity::find().all(db.reader()).await?;
        self.seen
            .retain(|id, _| rows.iter().any(|row| row.id == *id));
        let gone: Vec<Uuid> = rows
            .into_iter()
            .filter(|row| self.is_silent(row))
            .map(|row| row.id)
            .collect();
        if gone.is_empty() {
            return Ok(0);
        }
        let number = gone.len();
        db.write(move |tx| {
            let gone = gone.clone();
            Box::pin(async move { release(tx, &gone).await })
        })
        .await?;
        Ok(number)
    }

    fn is_silent(&mut self, row: &instances::Model) -> bool {
        let seen = self.seen.entry(row.id).or_insert(Seen {
            beats: row.beats,
            looks: 0,
        });
        if seen.beats != row.beats {
            *seen = Seen {
                beats: row.beats,
                looks: 0,
            };
        }
        seen.looks += 1;
        seen.looks > SILENT
    }
}

async fn release(tx: &mut Tx, gone: &[Uuid]) -> Result<()> {
    let now = tx.now().unix_millis();
    let conn = tx.write_conn();
    timers::Entity::update_many()
        .col_expr(timers::Column::FireAt, Expr::value(now))
        .col_expr(timers::Column::Owner, Expr::value(None::<Uuid>))
        .filter(timers::Column::Owner.is_in(gone.iter().copied()))
        .exec(conn)
        .await?;
    instances::Entity::delete_many()
        .filter(instances::Column::Id.is_in(gone.iter().copied()))
        .exec(conn)
        .await?;
    Ok(())
}
