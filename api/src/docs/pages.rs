//! The pages under `/docs`: Swagger UI from our own binary, and what every code of a problem
//! means. They work without the Internet, and a policy holds the browser to that.

use super::OPENAPI_PATH;
use crate::html::escaped;
use crate::problem::{ApiError, Code};
use axum::Router;
use axum::extract::Path;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

/// Nothing from elsewhere; Swagger UI writes styles and holds its icons in `data:` URLs.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      frame-ancestors 'none'";

pub(super) fn router<S: Clone + Send + Sync + 'static>(description: &OpenApi) -> Router<S> {
    // A description is made of strings, so writing it cannot fail.
    let json = Bytes::from(serde_json::to_vec(description).unwrap_or_default());
    let serve_json = async move || typed("application/json", json);
    // "none" keeps Swagger UI from sending the description to a validator on the Internet.
    let config = Config::new([OPENAPI_PATH])
        .validator_url("none")
        .persist_authorization(true);
    let config = Arc::new(config);
    let index = Arc::clone(&config);
    Router::new()
        .route(OPENAPI_PATH, get(serve_json))
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .route("/docs/problems", get(async || problems()))
        .route("/docs/", get(async move || swagger("index.html", &index)))
        .route(
            "/docs/{file}",
            get(async move |Path(file): Path<String>| swagger(&file, &config)),
        )
}

fn swagger(file: &str, config: &Arc<Config<'static>>) -> Result<Response, ApiError> {
    let found = utoipa_swagger_ui::serve(file, Arc::clone(config))
        .map_err(|error| ApiError::internal(error.to_string()))?
        .ok_or_else(|| ApiError::not_found("page"))?;
    let bytes = match found.bytes {
        Cow::Borrowed(embedded) => Bytes::from_static(embedded),
        Cow::Owned(made) => Bytes::from(made),
    };
    let mut response = typed(&found.content_type, bytes);
    if found.gzpipped {
        let gzip = HeaderValue::from_static("gzip");
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, gzip);
    }
    Ok(guarded(response))
}

fn problems() -> Response {
    let mut page = String::from(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"UTF-8\">\
         <title>Problems · SmartTasks</title><style>\
         body{font:16px/1.5 sans-serif;max-width:45em;margin:2em auto;padding:0 1em}\
         dt{margin-top:1em;font-weight:bold}code{font-family:monospace}</style></head><body>\
         <h1>Problems</h1><p>Every refusal has one of these codes.</p><dl>",
    );
    for code in Code::ALL {
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "<dt id=\"{code}\"><code>{} {code}</code> {}</dt><dd>{}</dd>",
            code.status().as_u16(),
            escaped(code.title()),
            escaped(code.meaning())
        );
    }
    page.push_str("</dl></body></html>");
    guarded(Html(page).into_response())
}

fn typed(content_type: &str, body: Bytes) -> Response {
    let octets = HeaderValue::from_static("application/octet-stream");
    let content_type = HeaderValue::try_from(content_type).unwrap_or(octets);
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn guarded(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 2] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
