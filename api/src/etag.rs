//! Conditional requests (RFC 9110, section 13): the version of a row is its entity tag.

use crate::problem::{ApiError, Code};
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::convert::Infallible;

/// The strong entity tag of version `version`: `"v3"`.
pub fn etag(version: i64) -> HeaderValue {
    // Quotes, a letter and digits are always a valid header value.
    HeaderValue::try_from(format!("\"v{version}\""))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The `If-Match` of a write: carry it out only on a version that the caller has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfMatch(Option<Tags>);

/// The `If-None-Match` of a read: do not send again what the caller has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfNoneMatch(Option<Tags>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    Versions(Vec<i64>),
}

impl IfMatch {
    /// The versions on which the write may be done; `None` when on any.
    ///
    /// For the store, which looks in the transaction that writes: between a look of ours and the
    /// write, somebody else may write.
    pub fn versions(&self) -> Option<&[i64]> {
        match &self.0 {
            None | Some(Tags::Any) => None,
            Some(Tags::Versions(versions)) => Some(versions),
        }
    }

    /// Refuses a write on `current`, for what must be known before the store looks again.
    ///
    /// # Errors
    /// 412 when the write may not be done on this version.
    pub fn check(&self, current: i64) -> Result<(), ApiError> {
        match self.versions() {
            Some(versions) if !versions.contains(&current) => Err(Self::failed(current)),
            _ => Ok(()),
        }
    }

    /// The refusal of a write on another version than the `current` one.
    pub fn failed(current: i64) -> ApiError {
        ApiError::new(
            Code::PreconditionFailed,
            format!(
                "The present version is {current}, and If-Match names another. Read it again, \
                 then decide."
            ),
        )
    }
}

impl IfNoneMatch {
    /// Whether the caller has `version` already.
    pub fn has(&self, version: i64) -> bool {
        match &self.0 {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::Versions(versions)) => versions.contains(&version),
        }
    }
}

/// The tags in `name`. Foreign ones name no version; `weak` says whether weak ones count.
fn tags(headers: &HeaderMap, name: HeaderName, weak: bool) -> Option<Tags> {
    let mut versions = None;
    for value in headers.get_all(name) {
        let versions = versions.get_or_insert_with(Vec::new);
        for tag in value.to_str().unwrap_or_default().split(',') {
            let tag = tag.trim();
            if tag == "*" {
                return Some(Tags::Any);
            }
            let strong = match tag.strip_prefix("W/") {
                Some(of_weak) if weak => of_weak,
                _ => tag,
            };
            let version = strong
                .strip_prefix("\"v")
                .and_then(|rest| rest.strip_suffix('"'))
                .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|digits| digits.parse::<i64>().ok());
            versions.extend(version);
        }
    }
    versions.map(Tags::Versions)
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    /// Compares strongly, as section 13.1.1 wants: a weak tag never matches.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(tags(&parts.headers, header::IF_MATCH, false)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    /// Compares weakly, as section 13.1.2 wants: proxies that compress weaken tags.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(tags(&parts.headers, header::IF_NONE_MATCH, true)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    fn if_match(values: &[&'static str]) -> IfMatch {
        IfMatch(tags(
            &headers(header::IF_MATCH, values),
            header::IF_MATCH,
            false,
        ))
    }

    fn if_none_match(values: &[&'static str]) -> IfNoneMatch {
        let headers = headers(header::IF_NONE_MATCH, values);
        IfNoneMatch(tags(&headers, header::IF_NONE_MATCH, true))
    }

    #[test]
    fn a_write_is_done_on_a_version_that_was_seen() {
        for any in [&[][..], &["*"], &["\"v2\", *"]] {
            assert_eq!(if_match(any).versions(), None, "{any:?}");
        }
        for both in [&["\"v2\", \"v3\""][..], &["\"v2\"", "\"v3\""]] {
            assert_eq!(if_match(both).versions(), Some(&[2, 3][..]), "{both:?}");
        }
        for none in ["W/\"v3\"", "v3", "\"3\"", "\"v+3\"", "\"v\"", ""] {
            assert_eq!(if_match(&[none]).versions(), Some(&[][..]), "{none}");
        }
        assert_eq!(IfMatch::failed(3).code(), Code::PreconditionFailed);
    }

    #[test]
    fn what_the_caller_has_is_not_sent_again() {
        assert!(if_none_match(&["\"v3\""]).has(3));
        assert!(if_none_match(&["W/\"v3\""]).has(3));
        assert!(if_none_match(&["*"]).has(3));
        assert!(!if_none_match(&["\"v2\""]).has(3));
        assert!(!if_none_match(&[]).has(3));
        assert_eq!(etag(3), "\"v3\"");
    }
}
