//! Bodies, read to the end within bounds.

use crate::problem::{ApiError, Code};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;

/// The largest body that is taken: one mebibyte.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// How much more of a body that is too large is read and dropped: a client that is still
/// sending when the connection closes never sees the 413.
const MAX_DRAINED_BYTES: usize = 16 << 20;

/// The whole body.
pub(crate) async fn read(mut body: Body) -> Result<Bytes, ApiError> {
    let mut bytes = BytesMut::new();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            ApiError::new(
                Code::MalformedRequest,
                "The body ended before it was complete.",
            )
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen += data.len();
        if seen <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&data);
        } else if seen > MAX_DRAINED_BYTES {
            break;
        }
    }
    if seen > MAX_BODY_BYTES {
        return Err(ApiError::new(
            Code::BodyTooLarge,
            format!("The body is larger than {MAX_BODY_BYTES} bytes."),
        ));
    }
    Ok(bytes.freeze())
}

/// The declared media type in lower case, without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let declared = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = declared.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}
