//! Keyset pagination: a page starts after the last row of the page before.

use crate::{Db, Result};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Select};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Which page of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page {
    /// How many rows at most.
    pub limit: u64,
    /// The last row of the page before.
    pub after: Option<Position>,
}

/// Where a row stands in a list: its sort key, then its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The value of the sort column, when it is another than the id.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SortKey>,
    /// The row's id.
    #[serde(rename = "i")]
    pub id: Uuid,
}

/// A value of a sort column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortKey {
    /// Instants in milliseconds, and priorities.
    Number(i64),
    /// Titles.
    Text(String),
}

/// One page of rows.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page starts; absent on the last.
    pub next: Option<Position>,
}

impl Page {
    /// Cuts `rows`, read with one more than the limit, to a page.
    pub(crate) fn cut<M, T>(
        &self,
        mut rows: Vec<M>,
        position: impl Fn(&M) -> Position,
        convert: impl Fn(M) -> Result<T>,
    ) -> Result<Listed<T>> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more {
            rows.last().map(position)
        } else {
            None
        };
        let rows = rows.into_iter().map(convert).collect::<Result<_>>()?;
        Ok(Listed { rows, next })
    }
}

/// A page of rows in the order of their ids, which is that of their making.
pub(crate) async fn by_id<E: EntityTrait, T>(
    db: &Db,
    rows: Select<E>,
    id: E::Column,
    order: Order,
    page: &Page,
    id_of: impl Fn(&E::Model) -> Uuid,
    convert: impl Fn(E::Model) -> Result<T>,
) -> Result<Listed<T>> {
    let mut rows = rows;
    if let Some(position) = &page.after {
        rows = rows.filter(match order {
            Order::Asc => id.gt(position.id),
            _ => id.lt(position.id),
        });
    }
    let rows = rows
        .order_by(id, order)
        .limit(page.limit + 1)
        .all(db.reader())
        .await?;
    let position = |row: &E::Model| Position {
        key: None,
        id: id_of(row),
    };
    page.cut(rows, position, convert)
}
