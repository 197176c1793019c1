//! Keyset pagination: a page starts after the last row of the page before.

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
        convert: impl Fn(M) -> crate::Result<T>,
    ) -> crate::Result<Listed<T>> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more {
            rows.last().map(position)
        } else {
            None
        };
        let rows = rows
            .into_iter()
            .map(convert)
            .collect::<crate::Result<_>>()?;
        Ok(Listed { rows, next })
    }
}
