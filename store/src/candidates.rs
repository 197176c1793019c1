//! The tasks that may pass a predicate, read along the indexes that find them: a page costs what it
//! returns, however many tasks there are and however far one has come.
//!
//! A task that changes its place meanwhile may come twice, or not at all: then it was written since
//! the reading began.

mod plan;

pub use plan::{Plan, Step, plan};

use crate::entity::matches;
use crate::entity::tasks::{Column, Entity, Model};
use crate::predicate::{Among, Walk, walks};
use crate::tasks::task_from_row;
use crate::{Db, Result};
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, IntoSimpleExpr,
    JoinType, QueryFilter, QueryOrder, QueryResult, QuerySelect, Select,
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

/// Tasks of a workspace in the order of walks, one after the other.
#[derive(Debug)]
pub struct Reading {
    pub(crate) workspace: WorkspaceId,
    pub(crate) now: Timestamp,
    pub(crate) walks: Vec<Walk>,
}

impl Reading {
    /// The candidates of a predicate.
    pub fn of(predicate: &Predicate, workspace: WorkspaceId, now: Timestamp) -> Self {
        let walks = walks(predicate);
        Self {
            workspace,
            now,
            walks,
        }
    }

    /// The first tasks of a stretch, at most `limit`, and where each stands.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn page(&self, db: &Db, stretch: Stretch, limit: u64) -> Result<Vec<(Place, Task)>> {
        let on = db.reader().get_database_backend();
        let mut found = Vec::new();
        for (number, walk) in self.walks.iter().enumerate() {
            let Some(between) = Between::of(stretch, number) else {
                continue;
            };
            let missing = limit.saturating_sub(found.len() as u64);
            if missing == 0 {
                break;
            }
            let rows = select(walk, self.workspace, self.now, on)
                .expr_as(place_at(walk), AT)
                .filter(between.condition(walk))
                .limit(missing)
                .into_model::<Standing>()
                .all(db.reader())
                .await?;
            for Standing { at, task } in rows {
                let id = TaskId(task.id);
                let place = Place {
                    walk: number,
                    at,
                    id,
                };
                found.push((place, task_from_row(task)?));
            }
        }
        Ok(found)
    }

    /// Where the first pages of a stretch end, at most `pages`, of `limit` tasks each; the last of
    /// them may have less. Only indexes are read where they have all that is asked for.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn ends(
        &self,
        db: &Db,
        stretch: Stretch,
        (limit, pages): (u64, u64),
    ) -> Result<Vec<Place>> {
        let on = db.reader().get_database_backend();
        let (mut ends, mut last, mut count) = (Vec::new(), None, 0);
        for (number, walk) in self.walks.iter().enumerate() {
            let Some(between) = Between::of(stretch, number) else {
                continue;
            };
            let missing = (limit * pages).saturating_sub(count);
            if missing == 0 {
                break;
            }
            let rows: Vec<(Uuid, i64)> = select(walk, self.workspace, self.now, on)
                .select_only()
                .expr(place_id(walk))
                .expr(place_at(walk))
                .filter(between.condition(walk))
                .limit(missing)
                .into_tuple()
                .all(db.reader())
                .await?;
            for (id, at) in rows {
                count += 1;
                let place = Place {
                    walk: number,
                    at,
                    id: TaskId(id),
                };
                last = (count % limit != 0).then_some(place);
                ends.extend((count % limit == 0).then_some(place));
            }
        }
        ends.extend(last);
        Ok(ends)
    }
}

/// By what a task stands where it does, before its id.
const AT: &str = "place_at";

/// A task and where it stands.
struct Standing {
    task: Model,
    at: i64,
}

impl FromQueryResult for Standing {
    fn from_query_result(row: &QueryResult, prefix: &str) -> std::result::Result<Self, DbErr> {
        Ok(Self {
            task: Model::from_query_result(row, prefix)?,
            at: row.try_get(prefix, AT)?,
        })
    }
}

/// What a walk reads, in its order.
fn select(walk: &Walk, workspace: WorkspaceId, now: Timestamp, on: DbBackend) -> Select<Entity> {
    let query = Entity::find().filter(walk.condition(now, on));
    let Some(among) = walk.among else {
        let query = query.filter(Column::WorkspaceId.eq(workspace.0));
        let before = walk.in_one.into_iter().chain(walk.by);
        return before
            .fold(query, |query, column| query.order_by_asc(column))
            .order_by_asc(Column::Id);
    };
    // Of the task only its id is asked, so that each is found by the match and never the other way
    // round.
    let matched = Entity::belongs_to(matches::Entity)
        .from(Column::Id)
        .to(matches::Column::TaskId);
    let query = query
        .join(JoinType::InnerJoin, matched.into())
        .filter(matches::Column::WorkspaceId.eq(workspace.0));
    let query = match among {
        Among::Due(rule, at) => query
            .filter(matches::Column::RuleId.eq(rule.0))
            .filter(matches::Column::NextAt.lte(at.unix_millis()))
            .order_by_asc(matches::Column::NextAt),
        Among::Stopped(rule) => query.filter(matches::Column::RuleId.eq(rule.0)),
    };
    query.order_by_asc(matches::Column::TaskId)
}

/// By what the walk is in order, before the id.
fn by(walk: &Walk) -> Option<SimpleExpr> {
    match (walk.among, walk.by) {
        (Some(Among::Due(..)), _) => Some(matches::Column::NextAt.into_simple_expr()),
        (_, Some(by)) => Some(Expr::col(by)),
        _ => None,
    }
}

fn place_at(walk: &Walk) -> SimpleExpr {
    by(walk).unwrap_or_else(|| SimpleExpr::Constant(0.into()).cast_as("bigint"))
}

fn place_id(walk: &Walk) -> SimpleExpr {
    match walk.among {
        Some(_) => matches::Column::TaskId.into_simple_expr(),
        None => Expr::col(Column::Id),
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
        let place = |place: Place| match by(walk) {
            Some(_) => Expr::tuple([Expr::val(place.at), Expr::val(place.id.0)]),
            None => Expr::val(place.id.0),
        };
        let here = || match by(walk) {
            Some(by) => Expr::tuple([by, place_id(walk)]),
            None => place_id(walk),
        };
        sea_orm::Condition::all()
            .add_option(self.after.map(|after| here().gt(place(after))))
            .add_option(self.to.map(|to| here().lte(place(to))))
    }
}
