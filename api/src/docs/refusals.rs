//! The refusals that any route may answer with, added to each description by what it takes.

use crate::problem::{FieldError, Problem};
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ComponentsBuilder, ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};

/// Status, name of the response, and when it is given.
const REFUSALS: [(u16, &str, &str); 13] = [
    (400, "BadRequest", "The request could not be read."),
    (
        401,
        "Unauthorized",
        "No access token, or one that was not accepted.",
    ),
    (403, "Forbidden", "Not with your role."),
    (404, "NotFound", "Absent, or not yours to know of."),
    (
        408,
        "BodyTooSlow",
        "The body did not come within ten seconds.",
    ),
    (409, "Conflict", "It conflicts with what is there."),
    (
        412,
        "PreconditionFailed",
        "`If-Match` names another version.",
    ),
    (413, "BodyTooLarge", "The body is larger than one mebibyte."),
    (
        415,
        "UnsupportedMediaType",
        "The body is of the wrong type.",
    ),
    (422, "Invalid", "A value is not valid; `errors` says which."),
    (
        429,
        "TooManyRequests",
        "Too many requests; `Retry-After` says when again.",
    ),
    (500, "Internal", "Something went wrong on our side."),
    (
        503,
        "Unavailable",
        "Not available now; `Retry-After` says when again.",
    ),
];

/// Adds to every operation what it does not describe itself.
pub(super) fn add(description: &mut OpenApi) {
    let mut components = ComponentsBuilder::from(description.components.take().unwrap_or_default())
        .schema_from::<FieldError>()
        .schema_from::<Problem>();
    for (_, name, when) in REFUSALS {
        components = components.response(name, refusal(when));
    }
    description.components = Some(components.build());
    for item in description.paths.paths.values_mut() {
        for (writes, operation) in operations(item) {
            add_to(operation, writes);
        }
    }
}

fn refusal(when: &str) -> Response {
    let problem = Ref::from_schema_name("Problem");
    ResponseBuilder::new()
        .description(when)
        .content(
            "application/problem+json",
            ContentBuilder::new().schema(Some(problem)).build(),
        )
        .build()
}

/// Each operation, and whether it changes or removes what the path names.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    [
        (false, &mut item.get),
        (false, &mut item.post),
        (true, &mut item.put),
        (true, &mut item.patch),
        (true, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(writes, operation)| Some((writes, operation.as_mut()?)))
}

fn add_to(operation: &mut Operation, writes: bool) {
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let has = |place: &ParameterIn| {
        parameters
            .iter()
            .any(|p| matches!(p, RefOr::T(p) if p.parameter_in == *place))
    };
    let (by_path, by_query) = (has(&ParameterIn::Path), has(&ParameterIn::Query));
    let takes_body = operation.request_body.is_some();
    let needs_login = !is_public(operation);
    for (status, name, _) in REFUSALS {
        let possible = match status {
            401 | 403 => needs_login,
            404 => by_path,
            409 => false,
            412 => by_path && writes,
            408 | 413 | 415 => takes_body,
            422 => takes_body || by_query,
            _ => true,
        };
        if possible {
            operation
                .responses
                .responses
                .entry(status.to_string())
                .or_insert_with(|| RefOr::Ref(Ref::from_response_name(name)));
        }
    }
}

/// `security(())` is written as a requirement of nothing.
fn is_public(operation: &Operation) -> bool {
    let nothing = SecurityRequirement::default();
    operation
        .security
        .as_ref()
        .is_some_and(|any_of| any_of.contains(&nothing))
}
