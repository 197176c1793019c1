//! Which processes live: what one has taken up in memory is taken up by others when it is gone.
//!
//! A process says that it lives by counting up its row. Whoever watches counts his own looks at a
//! row that does not change; clocks are not compared, so that neither their differences nor an
//! outage of the database, during which nobody can look, makes a living process dead.

use crate::entity::{instances, timers};
use crate::{Db, Result, Tx};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

/// How often a process says that it lives, and how often the others look.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// After so many looks without a change a process is gone.
const SILENT: u32 = 4;

/// Says that this process lives, on a connection of its own: one that has much to do must not look
/// dead.
///
/// # Errors
/// When the database cannot be written.
pub async fn beat(db: &Db) -> Result<()> {
    let row = instances::ActiveModel {
        id: Set(db.instance()),
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
        .exec_without_returning(db.heart())
        .await?;
    Ok(())
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
        let present = present(db).await?;
        self.seen.retain(|id, _| present.contains_key(id));
        let gone: Vec<Uuid> = present
            .into_iter()
            .filter(|(id, beats)| self.is_silent(*id, *beats))
            .map(|(id, _)| id)
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

    fn is_silent(&mut self, id: Uuid, beats: i64) -> bool {
        let seen = self.seen.entry(id).or_insert(Seen { beats, looks: 0 });
        if seen.beats != beats {
            *seen = Seen { beats, looks: 0 };
        }
        seen.looks += 1;
        seen.looks > SILENT
    }
}

/// The processes that have said that they live, and those that have taken something up and died
/// before they said so.
async fn present(db: &Db) -> Result<HashMap<Uuid, i64>> {
    let owners: Vec<Uuid> = timers::Entity::find()
        .select_only()
        .column(timers::Column::Owner)
        .distinct()
        .filter(timers::Column::Owner.is_not_null())
        .into_tuple()
        .all(db.reader())
        .await?;
    let mut present: HashMap<Uuid, i64> = owners.into_iter().map(|id| (id, 0)).collect();
    let rows = instances::Entity::find().all(db.reader()).await?;
    present.extend(rows.into_iter().map(|row| (row.id, row.beats)));
    Ok(present)
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
