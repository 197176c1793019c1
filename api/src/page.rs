//! Lists a page at a time, by keyset: a page begins after a row, never at an offset, so that
//! rows that come and go neither repeat nor hide others.

use crate::problem::{ApiError, Code, FieldError};
use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderValue, Uri, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smarttasks_model::WorkspaceId;

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 250;
/// Longer than any that we write: a title, the longest sort key, has some hundred characters.
const MAX_CURSOR_BYTES: usize = 4096;

/// Which page of a list is asked for, as parameters of the query.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    /// How many at most, 1 to 250; 50 when absent.
    #[param(minimum = 1, maximum = 250, default = 50)]
    limit: Option<i64>,
    /// Where to go on: `next_cursor` of the page before, as it was.
    cursor: Option<String>,
}

impl PageParams {
    /// The names of the parameters.
    pub(crate) const NAMES: [&'static str; 2] = ["limit", "cursor"];
}

/// Which page of a list is asked for.
#[derive(Debug)]
pub struct PageRequest {
    limit: u64,
    cursor: Option<String>,
    uri: Uri,
}

/// What a cursor belongs to: with another it is refused.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The workspace whose rows are listed.
    pub workspace: WorkspaceId,
    /// The list and its order, such as `tasks:-due_at`.
    pub order: &'a str,
}

/// One page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// What to send as `cursor` for the next page; `null` on the last.
    pub next_cursor: Option<String>,
    #[serde(skip)]
    link: Option<HeaderValue>,
}

#[derive(Serialize, Deserialize)]
struct Cursor<P> {
    #[serde(rename = "w")]
    workspace: WorkspaceId,
    #[serde(rename = "o")]
    order: String,
    #[serde(rename = "p")]
    position: P,
}

impl PageRequest {
    pub(crate) fn new(params: PageParams, uri: Uri) -> Result<Self, ApiError> {
        let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
        let limit = u64::try_from(limit)
            .ok()
            .filter(|_| (1..=MAX_LIMIT).contains(&limit))
            .ok_or_else(|| {
                let detail = format!("must be from 1 to {MAX_LIMIT}");
                ApiError::invalid([FieldError::at("?limit", detail)])
            })?;
        Ok(Self {
            limit,
            cursor: params.cursor,
            uri,
        })
    }

    /// How many rows at most.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Where the page begins, as the store wrote it; `None` for the first page.
    ///
    /// # Errors
    /// 422 `invalid_cursor` when the cursor is not one of ours, or of another workspace or order.
    pub fn after<P: DeserializeOwned>(&self, scope: Scope<'_>) -> Result<Option<P>, ApiError> {
        let Some(text) = &self.cursor else {
            return Ok(None);
        };
        decode::<P>(text)
            .filter(|cursor| cursor.workspace == scope.workspace && cursor.order == scope.order)
            .map(|cursor| Some(cursor.position))
            .ok_or_else(invalid_cursor)
    }

    /// What to ask the store for.
    ///
    /// # Errors
    /// 422 `invalid_cursor`, as [`PageRequest::after`].
    pub fn of(&self, scope: Scope<'_>) -> Result<smarttasks_store::Page, ApiError> {
        Ok(smarttasks_store::Page {
            limit: self.limit,
            after: self.after(scope)?,
        })
    }

    /// The page of what the store listed.
    ///
    /// # Errors
    /// When the position cannot be written as JSON.
    pub fn listed<R, T: From<R>>(
        &self,
        scope: Scope<'_>,
        listed: smarttasks_store::Listed<R>,
    ) -> Result<Page<T>, ApiError> {
        self.answer(scope, listed.rows, listed.next)
    }

    /// The page that holds `rows`, and where the store says that the `next` begins.
    ///
    /// # Errors
    /// When the position cannot be written as JSON.
    pub fn answer<R, P: Serialize, T: From<R>>(
        &self,
        scope: Scope<'_>,
        rows: Vec<R>,
        next: Option<P>,
    ) -> Result<Page<T>, ApiError> {
        let next_cursor = next.map(|position| encode(scope, position)).transpose()?;
        Ok(Page {
            link: next_cursor.as_deref().and_then(|next| self.link(next)),
            next_cursor,
            data: rows.into_iter().map(T::from).collect(),
        })
    }

    /// `Link` (RFC 8288) to the same list with the same filters, from `cursor` on.
    fn link(&self, cursor: &str) -> Option<HeaderValue> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let kept = url::form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        query.extend_pairs(kept.filter(|(name, _)| name != "cursor"));
        query.append_pair("cursor", cursor);
        let (path, query) = (self.uri.path(), query.finish());
        HeaderValue::try_from(format!("<{path}?{query}>; rel=\"next\"")).ok()
    }
}

fn encode<P: Serialize>(scope: Scope<'_>, position: P) -> Result<String, ApiError> {
    let cursor = Cursor {
        workspace: scope.workspace,
        order: scope.order.to_owned(),
        position,
    };
    let json = serde_json::to_vec(&cursor).map_err(ApiError::internal)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(json))
}

fn decode<P: DeserializeOwned>(text: &str) -> Option<Cursor<P>> {
    if text.len() > MAX_CURSOR_BYTES {
        return None;
    }
    let json = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_slice(&json).ok()
}

fn invalid_cursor() -> ApiError {
    ApiError::refused_values(
        Code::InvalidCursor,
        [FieldError::at(
            "?cursor",
            "is not a cursor of this list, workspace and order; begin without one",
        )],
    )
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let link = self.link.clone();
        let mut response = Json(self).into_response();
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn request(limit: Option<i64>, cursor: Option<String>) -> Result<PageRequest, ApiError> {
        let uri = Uri::from_static("/api/v1/tasks?tag=a%26b&cursor=old&limit=2");
        PageRequest::new(PageParams { limit, cursor }, uri)
    }

    fn scope(workspace: u128, order: &str) -> Scope<'_> {
        Scope {
            workspace: WorkspaceId(Uuid::from_u128(workspace)),
            order,
        }
    }

    fn page(next: Option<(u64, &str)>) -> Page<u64> {
        let request = request(Some(2), None).unwrap();
        let rows = vec![10u32, 20];
        request
            .answer(scope(1, "tasks:due_at"), rows, next)
            .unwrap()
    }

    #[test]
    fn the_next_page_begins_where_the_store_said() {
        let first = page(Some((20, "id")));
        assert_eq!(first.data, [10, 20]);
        let second = request(Some(2), first.next_cursor.clone()).unwrap();
        let after: Option<(u64, String)> = second.after(scope(1, "tasks:due_at")).unwrap();
        assert_eq!(after, Some((20, "id".to_owned())));
        let link = first.into_response().headers()[header::LINK].clone();
        let link = link.to_str().unwrap();
        let start = "</api/v1/tasks?tag=a%26b&limit=2&cursor=";
        assert!(
            link.starts_with(start) && link.ends_with(">; rel=\"next\""),
            "{link}"
        );
        assert!(!link.contains("old"), "{link}");
    }

    #[test]
    fn the_first_page_begins_nowhere_and_the_last_has_no_next() {
        let first = request(None, None).unwrap();
        let after: Option<u64> = first.after(scope(1, "tasks:due_at")).unwrap();
        assert_eq!(after, None);
        let last = page(None);
        assert_eq!(last.next_cursor, None);
        assert!(!last.into_response().headers().contains_key(header::LINK));
    }

    #[test]
    fn a_broken_or_foreign_cursor_is_refused() {
        let good = page(Some((20, "id"))).next_cursor.unwrap();
        let refused = |cursor: &str, scope| {
            let request = request(None, Some(cursor.to_owned())).unwrap();
            request.after::<(u64, String)>(scope).unwrap_err().code()
        };
        for foreign in [scope(2, "tasks:due_at"), scope(1, "tasks:-due_at")] {
            assert_eq!(refused(&good, foreign), Code::InvalidCursor);
        }
        let long = "A".repeat(1_000_000);
        let padded = format!("{good}=");
        for broken in ["", "!", "bnVsbA", "e30", &good[1..], &long, &padded] {
            let code = refused(broken, scope(1, "tasks:due_at"));
            assert_eq!(code, Code::InvalidCursor, "{broken:.80}");
        }
    }

    #[test]
    fn limits_outside_the_bounds_are_refused() {
        for limit in [-1, 0, 251, i64::MIN, i64::MAX] {
            let error = request(Some(limit), None).unwrap_err();
            assert_eq!(error.code(), Code::Invalid);
        }
        assert_eq!(request(None, None).unwrap().limit(), 50);
        assert_eq!(request(Some(250), None).unwrap().limit(), 250);
    }
}
