//! The description of a few routes, and the pages that show it.

use super::*;
use crate::extract::{ApiJson, ApiPath, ListQuery};
use crate::page::{Page, PageParams};
use crate::problem::{ApiError, Code};
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use smarttasks_model::TaskId;
use tower::ServiceExt;
use utoipa_axum::routes;

/// A note.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
struct Note {
    /// What it says.
    text: String,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description matters")]
struct Filter {
    /// With these words.
    q: Option<String>,
}

/// Writes a note.
#[utoipa::path(post, path = "/api/v1/notes", tag = "notes", request_body = Note,
    responses((status = 201, body = Note), (status = 429, description = "Too many notes.")))]
async fn create_note(ApiJson(note): ApiJson<Note>) -> Result<axum::Json<Note>, ApiError> {
    Ok(axum::Json(note))
}

/// Lists notes.
#[utoipa::path(get, path = "/api/v1/notes", tag = "notes", params(Filter, PageParams),
    security(()), responses((status = 200, body = Page<Note>)))]
async fn list_notes(_: ListQuery<Filter>) -> StatusCode {
    StatusCode::OK
}

/// Removes a note.
#[utoipa::path(delete, path = "/api/v1/notes/{id}", tag = "notes",
    params(("id" = String, Path)), responses((status = 204)))]
async fn delete_note(_: ApiPath<TaskId>) -> StatusCode {
    StatusCode::NO_CONTENT
}

fn app() -> Router {
    documented(
        router()
            .routes(routes!(create_note, list_notes))
            .routes(routes!(delete_note)),
    )
}

async fn get(path: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = app().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, body.to_vec())
}

async fn text(path: &str) -> String {
    let (status, _, body) = get(path).await;
    assert_eq!(status, 200, "{path}");
    String::from_utf8(body).unwrap()
}

async fn description() -> Value {
    serde_json::from_str(&text(OPENAPI_PATH).await).unwrap()
}

#[tokio::test]
async fn the_description_is_openapi_3_1_and_says_how_to_sign_in() {
    let described = description().await;
    assert!(described["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(described["info"]["title"], "SmartTasks");
    assert_eq!(
        described["security"],
        json!([{ "token": [] }, { "login": [] }])
    );
    let schemes = &described["components"]["securitySchemes"];
    assert_eq!(schemes["token"]["scheme"], "bearer");
    assert_eq!(
        schemes["login"]["flows"]["password"]["tokenUrl"],
        "/api/v1/auth/token"
    );
}

#[tokio::test]
async fn every_route_describes_the_refusals_that_it_may_give() {
    let described = description().await;
    let statuses = |path: &str, method: &str| {
        let responses = &described["paths"][path][method]["responses"];
        let statuses = responses.as_object().unwrap().keys();
        let mut statuses: Vec<String> = statuses.cloned().collect();
        statuses.sort();
        statuses.join(" ")
    };
    assert_eq!(
        statuses("/api/v1/notes", "post"),
        "201 400 401 403 408 413 415 422 429 500 503"
    );
    assert_eq!(statuses("/api/v1/notes", "get"), "200 400 422 429 500 503");
    assert_eq!(
        statuses("/api/v1/notes/{id}", "delete"),
        "204 400 401 403 404 412 429 500 503"
    );
    let of_post = &described["paths"]["/api/v1/notes"]["post"]["responses"];
    assert_eq!(of_post["429"]["description"], "Too many notes.");
    assert_eq!(of_post["422"]["$ref"], "#/components/responses/Invalid");
    let invalid = &described["components"]["responses"]["Invalid"]["content"];
    assert_eq!(
        invalid["application/problem+json"]["schema"]["$ref"],
        "#/components/schemas/Problem"
    );
}

#[tokio::test]
async fn every_reference_in_the_description_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(to)) = members.get("$ref") {
                    found.push(to.clone());
                }
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let described = description().await;
    let mut found = Vec::new();
    references(&described, &mut found);
    assert!(found.len() > 10, "{found:?}");
    for to in found {
        let pointer = to.strip_prefix('#').unwrap();
        assert!(described.pointer(pointer).is_some(), "{to}");
    }
}

#[tokio::test]
async fn the_page_is_served_whole_and_refers_to_no_other_host() {
    let (status, headers, _) = get("/docs").await;
    assert_eq!(status, 308);
    assert_eq!(headers[header::LOCATION], "/docs/");
    let (_, headers, _) = get("/docs/").await;
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    assert!(!policy.contains("http"), "{policy}");

    let page = text("/docs/").await;
    let assets: Vec<&str> = page
        .split(['"', '\''])
        .filter(|word| {
            [".css", ".js", ".png"]
                .iter()
                .any(|end| word.ends_with(end))
        })
        .collect();
    assert!(assets.len() >= 6, "{assets:?}");
    for asset in assets {
        let name = asset.trim_start_matches("./");
        let (status, headers, body) = get(&format!("/docs/{name}")).await;
        assert_eq!(status, 200, "{asset}");
        assert!(!body.is_empty(), "{asset}");
        let kind = headers[header::CONTENT_TYPE].to_str().unwrap();
        let expected = match name.rsplit_once('.').unwrap().1 {
            "css" => "text/css",
            "js" => "text/javascript",
            _ => "image/png",
        };
        assert_eq!(kind, expected, "{asset}");
    }

    let initializer = text("/docs/swagger-initializer.js").await;
    for own in [&page, &initializer] {
        assert!(!own.contains("://"), "{own}");
        assert!(!own.contains("\"//"), "{own}");
    }
    assert!(
        initializer.contains("\"url\": \"/api/v1/openapi.json\""),
        "{initializer}"
    );
    assert!(
        initializer.contains("\"validatorUrl\": \"none\""),
        "{initializer}"
    );
    let styles = text("/docs/swagger-ui.css").await;
    for elsewhere in ["@import", "url(http", "url(//", "url(\"http", "url('http"] {
        assert!(!styles.contains(elsewhere), "{elsewhere}");
    }
}

#[tokio::test]
async fn every_code_is_explained_where_its_problem_points() {
    let page = text("/docs/problems").await;
    for code in Code::ALL {
        assert!(page.contains(&format!("id=\"{code}\"")), "{code}");
    }
    assert!(page.contains("Bearer &lt;token&gt;"), "{page}");
    assert!(!page.contains("://"));
}

#[tokio::test]
async fn a_page_that_is_not_there_is_a_problem() {
    for path in ["/docs/nothing.js", "/docs/..%2f..%2fCargo.toml"] {
        let (status, headers, _) = get(path).await;
        assert_eq!(status, 404, "{path}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    }
}
