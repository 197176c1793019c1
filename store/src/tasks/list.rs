//! Lists of tasks: filters, sorting and keyset pages.

use super::row::rank;
use super::task_from_row;
use crate::entity::tasks::{Column, Entity, Model};
use crate::page::{Listed, Page, Position, SortKey};
use crate::{Db, Result};
use sea_orm::sea_query::extension::postgres::PgExpr;
use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, Order, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
};
use smarttasks_model::{Status, Task, TaskFilter, TaskId, Timestamp, WorkspaceId, without_case};
use std::str::FromStr;
use std::sync::Arc;

/// In which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    column: SortColumn,
    descending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SortColumn {
    CreatedAt,
    UpdatedAt,
    DueAt,
    Priority,
    Title,
}

impl Sort {
    /// The names that can be sorted by; a leading `-` turns the order round.
    pub const NAMES: &'static str = "created_at, updated_at, due_at, priority, title";
}

impl Default for Sort {
    fn default() -> Self {
        Self {
            column: SortColumn::CreatedAt,
            descending: true,
        }
    }
}

/// Not a sort order.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected one of {}, with a leading - for descending order",
    Sort::NAMES
)]
pub struct SortError;

impl FromStr for Sort {
    type Err = SortError;
    fn from_str(text: &str) -> Result<Self, SortError> {
        let (descending, name) = text
            .strip_prefix('-')
            .map_or((false, text), |name| (true, name));
        let column = match name {
            "created_at" => SortColumn::CreatedAt,
            "updated_at" => SortColumn::UpdatedAt,
            "due_at" => SortColumn::DueAt,
            "priority" => SortColumn::Priority,
            "title" => SortColumn::Title,
            _ => return Err(SortError),
        };
        Ok(Self { column, descending })
    }
}

impl SortColumn {
    /// What is compared; `None` for the id alone, which sorts by creation.
    fn expr(self) -> Option<SimpleExpr> {
        match self {
            Self::CreatedAt => None,
            Self::UpdatedAt => Some(Expr::col(Column::UpdatedAt)),
            // Tasks without a deadline come after all deadlines.
            Self::DueAt => Some(
                Func::coalesce([
                    Expr::col(Column::DueAt),
                    Expr::val(Timestamp::MAX.unix_millis()),
                ])
                .into(),
            ),
            Self::Priority => Some(Expr::col(Column::Priority)),
            Self::Title => Some(Expr::col(Column::Title)),
        }
    }

    fn key(self, row: &Model) -> Option<SortKey> {
        match self {
            Self::CreatedAt => None,
            Self::UpdatedAt => Some(SortKey::Number(row.updated_at)),
            Self::DueAt => Some(SortKey::Number(
                row.due_at.unwrap_or(Timestamp::MAX.unix_millis()),
            )),
            Self::Priority => Some(SortKey::Number(row.priority.into())),
            Self::Title => Some(SortKey::Text(row.title.clone())),
        }
    }
}

/// A page of a workspace's tasks as of `now`.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(
    db: &Db,
    workspace: WorkspaceId,
    filter: &TaskFilter,
    sort: Sort,
    page: &Page,
    now: Timestamp,
) -> Result<Listed<Task>> {
    let order = if sort.descending {
        Order::Desc
    } else {
        Order::Asc
    };
    let mut query = Entity::find()
        .filter(Column::WorkspaceId.eq(workspace.0))
        .filter(condition(filter, now, db.reader().get_database_backend()))
        .limit(page.limit + 1);
    if let Some(position) = &page.after {
        query = query.filter(beyond(sort, position));
    }
    if let Some(expr) = sort.column.expr() {
        query = query.order_by(expr, order.clone());
    }
    let rows = query.order_by(Column::Id, order).all(db.reader()).await?;
    let position = |row: &Model| Position {
        key: sort.column.key(row),
        id: row.id,
    };
    page.cut(rows, position, task_from_row)
}

/// The tasks of a workspace that pass `filter` as of `now`, oldest first, after `after`, at most
/// `limit`.
///
/// # Errors
/// When the database cannot be read.
pub async fn select(
    db: &Db,
    workspace: WorkspaceId,
    filter: &TaskFilter,
    after: Option<TaskId>,
    limit: u64,
    now: Timestamp,
) -> Result<Vec<Task>> {
    let mut query = Entity::find().filter(Column::WorkspaceId.eq(workspace.0));
    if let Some(after) = after {
        query = query.filter(Column::Id.gt(after.0));
    }
    query
        .filter(condition(filter, now, db.reader().get_database_backend()))
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(db.reader())
        .await?
        .into_iter()
        .map(task_from_row)
        .collect()
}

/// Tasks that are read at once by [`gather`].
const PART: u64 = 100;

/// The same, a part at a time, so that no more than about `most` bytes are held: what is beyond
/// them is left out.
///
/// # Errors
/// When the database cannot be read.
pub async fn gather(
    db: &Db,
    workspace: WorkspaceId,
    filter: &TaskFilter,
    limit: u64,
    now: Timestamp,
    most: usize,
) -> Result<Vec<Arc<Task>>> {
    let (mut found, mut bytes) = (Vec::<Arc<Task>>::new(), 0);
    while (found.len() as u64) < limit && bytes <= most {
        let wanted = Ord::min(limit - found.len() as u64, PART);
        let after = found.last().map(|task| task.id);
        let part = select(db, workspace, filter, after, wanted, now).await?;
        let last = (part.len() as u64) < wanted;
        bytes += part.iter().map(Task::held_bytes).sum::<usize>();
        found.extend(part.into_iter().map(Arc::new));
        if last {
            break;
        }
    }
    Ok(found)
}

/// How many tasks of a workspace pass `filter` as of `now`.
///
/// # Errors
/// When the database cannot be read.
pub async fn count(
    db: &Db,
    workspace: WorkspaceId,
    filter: &TaskFilter,
    now: Timestamp,
) -> Result<u64> {
    Ok(Entity::find()
        .filter(Column::WorkspaceId.eq(workspace.0))
        .filter(condition(filter, now, db.reader().get_database_backend()))
        .count(db.reader())
        .await?)
}

fn condition(filter: &TaskFilter, now: Timestamp, on: DbBackend) -> Condition {
    let open = Status::OPEN.map(Status::as_str);
    let statuses = filter.status.iter().map(|status| status.as_str());
    let priorities = filter.priority.iter().map(|priority| rank(*priority));
    let overdue = || {
        Condition::all()
            .add(Column::Status.is_in(open))
            .add(Column::DueAt.is_not_null())
            .add(Column::DueAt.lte(now.unix_millis()))
    };
    let millis = |at: Timestamp| at.unix_millis();
    Condition::all()
        .add_option((!filter.status.is_empty()).then(|| Column::Status.is_in(statuses)))
        .add_option((!filter.priority.is_empty()).then(|| Column::Priority.is_in(priorities)))
        .add_option(
            filter
                .project
                .as_deref()
                .map(|project| Column::Project.eq(project)),
        )
        .add_option(filter.tag.as_deref().map(|tag| has_tag(tag, on)))
        .add_option(filter.open.map(|is| match is {
            true => Column::Status.is_in(open),
            false => Column::Status.is_not_in(open),
        }))
        .add_option(filter.assignee_id.map(|id| Column::AssigneeId.eq(id.0)))
        .add_option(filter.unassigned.map(|is| match is {
            true => Column::AssigneeId.is_null(),
            false => Column::AssigneeId.is_not_null(),
        }))
        .add_option(filter.parent_id.map(|id| Column::ParentId.eq(id.0)))
        .add_option(filter.creator_id.map(|id| Column::CreatorId.eq(id.0)))
        .add_option(filter.due_before.map(|at| Column::DueAt.lt(millis(at))))
        .add_option(filter.due_after.map(|at| Column::DueAt.gte(millis(at))))
        .add_option(
            filter
                .created_before
                .map(|at| Column::CreatedAt.lt(millis(at))),
        )
        .add_option(
            filter
                .created_after
                .map(|at| Column::CreatedAt.gte(millis(at))),
        )
        .add_option(
            filter
                .completed_after
                .map(|at| Column::CompletedAt.gte(millis(at))),
        )
        .add_option(
            filter
                .status_changed_before
                .map(|at| Column::StatusChangedAt.lt(millis(at))),
        )
        .add_option(
            filter
                .updated_since
                .map(|at| Column::UpdatedAt.gte(millis(at))),
        )
        .add_option(filter.q.as_deref().map(contains))
        .add_option(
            filter
                .overdue
                .map(|is| if is { overdue() } else { overdue().not() }),
        )
}

/// Whether a tag is among a task's.
pub(crate) fn has_tag(tag: &str, on: DbBackend) -> SimpleExpr {
    let tags = Expr::col(Column::Tags);
    match on {
        DbBackend::Postgres => tags.contains(Expr::val(serde_json::json!([tag]))),
        _ => Expr::cust_with_exprs(
            "EXISTS (SELECT 1 FROM json_each(?) WHERE value = ?)",
            [tags, Expr::val(tag)],
        ),
    }
}

fn contains(text: &str) -> SimpleExpr {
    Expr::col(Column::Search).like(pattern(&without_case(text)))
}

fn pattern(text: &str) -> LikeExpr {
    let mut escaped = String::with_capacity(text.len() + 2);
    escaped.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped.push('%');
    LikeExpr::new(escaped).escape('\\')
}

/// Strictly after `position` in the sort order.
fn beyond(sort: Sort, position: &Position) -> Condition {
    let past = |expr: SimpleExpr, value: SimpleExpr| {
        if sort.descending {
            expr.lt(value)
        } else {
            expr.gt(value)
        }
    };
    let past_id = past(Expr::col(Column::Id), Expr::val(position.id));
    match (sort.column.expr(), &position.key) {
        (Some(expr), Some(key)) => {
            let value = match key {
                SortKey::Number(number) => Expr::val(*number),
                SortKey::Text(text) => Expr::val(text.as_str()),
            };
            Condition::any()
                .add(past(expr.clone(), value.clone()))
                .add(Condition::all().add(expr.eq(value)).add(past_id))
        }
        _ => Condition::all().add(past_id),
    }
}
