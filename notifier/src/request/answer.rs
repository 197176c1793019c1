//! An answer as a script gets it.

use crate::client::Reply;
use http::{HeaderMap, header};
use serde_json::{Map, Value, json};

/// At most this much of an answer's body is kept for the script, in bytes: as long as its texts may
/// be.
pub(super) const LONGEST: usize = 64 * 1024;
/// At most this much of its headers, in bytes.
const HEADERS: usize = 16 * 1024;

/// `status`, `headers`, `body`, `json`; and `truncated` when the body is not all of it.
pub(super) fn value(reply: &Reply) -> Value {
    let (body, fits) = text(&reply.body);
    let whole = reply.whole && fits;
    let json = match whole && is_json(&reply.headers) {
        true => serde_json::from_slice(&reply.body).unwrap_or_default(),
        false => Value::Null,
    };
    let mut value = json!({
        "status": reply.status.as_u16(),
        "headers": headers(&reply.headers),
        "body": body,
        "json": json,
    });
    if let (false, Value::Object(members)) = (whole, &mut value) {
        members.insert("truncated".to_owned(), Value::Bool(true));
    }
    value
}

/// What a script gets when nobody has answered.
pub(crate) fn no_answer(reason: &str) -> Value {
    json!({ "status": 0, "headers": {}, "body": "", "json": null, "error": reason })
}

/// The body as text, and whether all of it is there: what is not UTF-8 becomes longer.
fn text(body: &[u8]) -> (String, bool) {
    let mut text = String::from_utf8_lossy(body).into_owned();
    let fits = text.len() <= LONGEST;
    if !fits {
        text.truncate(text.floor_char_boundary(LONGEST));
    }
    (text, fits)
}

/// Names in lower case; the values of one that came more than once are joined by commas (RFC 9110,
/// section 5.3).
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let (mut found, mut bytes) = (Map::new(), 0);
    for name in headers.keys() {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let value = values.join(", ");
        bytes += name.as_str().len() + value.len();
        if bytes > HEADERS {
            break;
        }
        found.insert(name.as_str().to_owned(), value.into());
    }
    found
}

/// Whether the content is declared as JSON: `application/json`, or a type ending in `+json`
/// (RFC 6839).
fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE);
    let declared = declared.and_then(|value| value.to_str().ok());
    let essence = declared.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| {
        let essence = essence.trim().to_ascii_lowercase();
        essence == "application/json" || essence.ends_with("+json")
    })
}
