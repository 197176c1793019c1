//! The tasks that may pass a predicate, read along the indexes that find them: a page costs what it
//! returns, however many tasks there are and however far one has come.
//!
//! A task that changes its place meanwhile may come twice, or not at all: then it was written since
//! the reading began.

mod plan;

pub use plan::{Plan, Step, plan};

use crate::entity::tasks::{Column, Entity, Model};
use crate::predicate::{Walk, walks};
use crate::tasks::task_from_row;
use crate::{Db, Result};
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
};
use smarttasks_model::predicate::Predicate;
use smarttasks_model::{Place, Task, TaskId, Timestamp, WorkspaceId};
use uuid::Uuid;

/// From where to where candidates are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stretch {
    /// Those after this place; from the first when absent.
    pub after: Option<Place>,
    /// Those up to this place; to the last when absent.
    pub to: Option<Place>,
}

/// The first candidates of a stretch, at most `limit`, and where each stands.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    db: &Db,
    workspace: WorkspaceId,
    predicate: &Predicate,
    now: Timestamp,
    stretch: Stretch,
    limit: u64,
) -> Result<Vec<(Place, Task)>> {
    let on = db.reader().get_database_backend();
    let mut found = Vec::new();
    for (number, walk) in walks(predicate).iter().enumerate() {
        let Some(between) = Between::of(stretch, number) else {
            continue;
        };
        let missing = limit.saturating_sub(found.len() as u64);
        if missing == 0 {
            break;
        }
        let rows = select(walk, workspace, now, on)
            .filter(between.condition(walk))
            .limit(missing)
            .all(db.reader())
            .await?;
        for row in rows {
            let place = Place {
                walk: number,
                at: at(walk, &row),
                id: TaskId(row.id),
            };
            found.push((place, task_from_row(row)?));
        }
    }
    Ok(found)
}

/// Where the first pages of a stretch end, at most `pages`, of `limit` candidates each; the last of
/// them may have less. Only indexes are read where they have all that is asked for.
///
/// # Errors
/// When the database cannot be read.
pub async fn ends(
    db: &Db,
    workspace: WorkspaceId,
    predicate: &Predicate,
    now: Timestamp,
    stretch: Stretch,
    (limit, pages): (u64, u64),
) -> Result<Vec<Place>> {
    let on = db.reader().get_database_backend();
    let (mut ends, mut last, mut count) = (Vec::new(), None, 0);
    for (number, walk) in walks(predicate).iter().enumerate() {
        let Some(between) = Between::of(stretch, number) else {
            continue;
        };
        let missing = (limit * pages).saturating_sub(count);
        if missing == 0 {
            break;
        }
        let rows: Vec<(Uuid, Option<i64>)> = select(walk, workspace, now, on)
            .select_only()
            .column(Column::Id)
            .expr(match walk.by {
                Some(by) => Expr::col(by),
                None => SimpleExpr::Constant(0.into()).cast_as("bigint"),
            })
            .filter(between.condition(walk))
            .limit(missing)
            .into_tuple()
            .all(db.reader())
            .await?;
        for (id, at) in rows {
            count += 1;
            let place = Place {
                walk: number,
                at: at.unwrap_or_default(),
                id: TaskId(id),
            };
            last = (count % limit != 0).then_some(place);
            ends.extend((count % limit == 0).then_some(place));
        }
    }
    ends.extend(last);
    Ok(ends)
}

/// What a walk reads, in its order.
fn select(walk: &Walk, workspace: WorkspaceId, now: Timestamp, on: DbBackend) -> Select<Entity> {
    let query = Entity::find()
        .filter(Column::WorkspaceId.eq(workspace.0))
        .filter(walk.condition(now, on));
    let before = walk.in_one.into_iter().chain(walk.by);
    before
        .fold(query, |query, column| query.order_by_asc(column))
        .order_by_asc(Column::Id)
}

/// By what the walk is in order, before the id.
fn at(walk: &Walk, row: &Model) -> i64 {
    match walk.by {
        Some(Column::DueAt) => row.due_at.unwrap_or_default(),
        Some(Column::UpdatedAt) => row.updated_at,
        Some(Column::StatusChangedAt) => row.status_changed_at,
        _ => 0,
    }
}

/// The part of a stretch that is on one walk.
struct Between {
    after: Option<Place>,
    to: Option<Place>,
}

impl Between {
    /// None when nothing of it is.
    fn of(stretch: Stretch, walk: usize) -> Option<Self> {
        let begun = stretch.after.is_none_or(|after| after.walk <= walk);
        let goes_on = stretch.to.is_none_or(|to| to.walk >= walk);
        (begun && goes_on).then(|| Self {
            after: stretch.after.filter(|after| after.walk == walk),
            to: stretch.to.filter(|to| to.walk == walk),
        })
    }

    fn condition(&self, walk: &Walk) -> sea_orm::Condition {
        let place = |place: Place| match walk.by {
            Some(_) => Expr::tuple([Expr::val(place.at), Expr::val(place.id.0)]),
            None => Expr::val(place.id.0),
        };
        let here = || match walk.by {
            Some(by) => Expr::tuple([Expr::col(by), Expr::col(Column::Id)]),
            None => Expr::col(Column::Id),
        };
        sea_orm::Condition::all()
            .add_option(self.after.map(|after| here().gt(place(after))))
            .add_option(self.to.map(|to| here().lte(place(to))))
    }
}
