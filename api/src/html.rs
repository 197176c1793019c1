//! What our own pages have in common: texts that are texts wherever they stand, and a policy that
//! lets nothing else in.

use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

/// `text` as it may stand between tags and in quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// A page with a style of its own, for one person at one time: it runs no script, takes nothing from
/// elsewhere, sends its form nowhere else, and nobody keeps it or is told its address.
pub(crate) fn private_page(
    status: StatusCode,
    title: &str,
    style: &'static str,
    body: &str,
) -> Response {
    let title = escaped(title);
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\">\
         <title>{title} · SmartTasks</title><style>{style}</style></head>\n\
         <body>{body}</body></html>\n"
    );
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let mut response = (status, Html(page)).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_text_in_any_place() {
        let hostile = "</p><script>'\"&amp;";
        let expected = "&lt;/p&gt;&lt;script&gt;&#39;&quot;&amp;amp;";
        assert_eq!(escaped(hostile), expected);
    }
}
