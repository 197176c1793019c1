//! The API described: OpenAPI 3.1 made from the routes themselves, and pages to read it.
//!
//! A route carries its own description, `#[utoipa::path(…)]`, and is added with
//! `router.routes(routes!(handler))`; one without a description cannot be added. It names only
//! what is its own, such as `responses((status = 201, body = TaskView))`; how to sign in and the
//! refusals that any route may answer with are added here. A route that needs no signing in says
//! `security(())`.

mod pages;
mod refusals;

use axum::Router;
use utoipa::openapi::security::{Flow, SecurityRequirement};
use utoipa::openapi::security::{Http, HttpAuthScheme, OAuth2, Password, Scopes, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Info, License, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;

/// Where the description is served.
pub const OPENAPI_PATH: &str = "/api/v1/openapi.json";

const INTRODUCTION: &str = "Tasks, rules that automate them, and notifications. \
    Sign in with `POST /api/v1/auth/token`. Every refusal is a problem (RFC 9457) whose `code` \
    is explained at [/docs/problems](/docs/problems).";

/// What to add routes to, with the description begun.
pub fn router<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S> {
    OpenApiRouter::with_openapi(beginning())
}

/// The routes of `router` together with their description and the pages to read it.
pub fn documented<S: Clone + Send + Sync + 'static>(router: OpenApiRouter<S>) -> Router<S> {
    let (router, mut description) = router.split_for_parts();
    refusals::add(&mut description);
    router.merge(pages::router(&description))
}

fn beginning() -> OpenApi {
    let mut info = Info::new("SmartTasks", env!("CARGO_PKG_VERSION"));
    info.description = Some(INTRODUCTION.to_owned());
    info.license = Some(License::new(env!("CARGO_PKG_LICENSE")));
    let token = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token."))
        .build();
    let password = Password::new("/api/v1/auth/token", Scopes::new());
    let login = OAuth2::with_description(
        [Flow::Password(password)],
        "E-mail address and password; the client id is not looked at.",
    );
    let components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(token))
        .security_scheme("login", SecurityScheme::OAuth2(login))
        .build();
    let no_scopes: [&str; 0] = [];
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([
            SecurityRequirement::new("token", no_scopes),
            SecurityRequirement::new("login", no_scopes),
        ]))
        .build()
}

#[cfg(test)]
mod tests;
