//! Webhook endpoints.

use super::deliveries::DeliveryAsked;
use super::tasks::OnlyWorkspace;
use crate::answer::{Answer, Versioned};
use crate::app::App;
use crate::caller::{Caller, Manage, Member, Read};
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{ApiJson, ApiPath, ListQuery};
use crate::once::Post;
use crate::page::{Page, PageParams, Scope};
use crate::problem::{ApiError, Code};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use input::{CreateEndpoint, UpdateEndpoint};
use serde::{Deserialize, Serialize};
use serde_json::json;
use smarttasks_model::{
    Content, DeliveryId, EndpointId, EventPattern, Message, Notification, NotificationId,
    SigningSecret, Timestamp, WebhookTarget, WebhookUrl, WorkspaceId,
};
use smarttasks_store::endpoints::{self, Endpoint};
use smarttasks_store::{Cause, Conflict, Tx};
use std::collections::BTreeMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

mod input;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_endpoint, list_endpoints))
        .routes(routes!(get_endpoint, update_endpoint, delete_endpoint))
        .routes(routes!(get_secret))
        .routes(routes!(rotate_secret))
        .routes(routes!(test_endpoint))
}

/// What stands for the value of a header. HTTP cannot carry it, so that sent back by mistake it
/// is refused.
const HIDDEN: &str = "…";

/// A registered webhook receiver.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Endpoint)]
struct EndpointView {
    #[schema(value_type = Uuid)]
    id: EndpointId,
    #[schema(value_type = Uuid)]
    workspace_id: WorkspaceId,
    /// Unique in the workspace; scripts call it by this.
    #[schema(example = "ops")]
    name: String,
    #[schema(value_type = String, example = "https://example.com/hooks/tasks")]
    url: WebhookUrl,
    /// Which events it gets without a rule.
    #[schema(value_type = Vec<String>, example = json!(["task.*"]))]
    event_types: Vec<EventPattern>,
    /// What is sent with each request. Values may be credentials and are shown as `…`.
    #[schema(example = json!({ "authorization": "…" }))]
    headers: BTreeMap<String, &'static str>,
    enabled: bool,
    /// Why the system disabled it.
    disabled_reason: Option<String>,
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// What signs its requests; only where it was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: Option<String>,
}

impl From<Endpoint> for EndpointView {
    fn from(endpoint: Endpoint) -> Self {
        let names = endpoint.headers.iter().map(|(name, _)| name.to_owned());
        Self {
            headers: names.map(|name| (name, HIDDEN)).collect(),
            id: endpoint.id,
            workspace_id: endpoint.workspace_id,
            name: endpoint.name,
            url: endpoint.url,
            event_types: endpoint.event_types,
            enabled: endpoint.enabled,
            disabled_reason: endpoint.disabled_reason,
            version: endpoint.version,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
            secret: None,
        }
    }
}

impl EndpointView {
    fn with_secret(endpoint: Endpoint) -> Self {
        let secret = endpoint.secrets.first().map(SigningSecret::reveal);
        Self {
            secret,
            ..endpoint.into()
        }
    }
}

/// Registers an endpoint; the answer has its secret.
#[utoipa::path(post, path = "/api/v1/endpoints", tag = "endpoints", request_body = CreateEndpoint,
    responses((status = 201, body = EndpointView)))]
async fn create_endpoint(
    State(app): State<App>,
    caller: Caller,
    Post { body, key }: Post<CreateEndpoint>,
) -> Result<Response, ApiError> {
    let member: Member<Manage> = caller.workspace(&app, body.workspace_id).await?;
    let id = EndpointId::new(app.now());
    let new = body.parse(id, &app.settings.allowed_networks)?;
    let workspace = member.workspace_id;
    app.write_once(key, move |tx| {
        let new = new.clone();
        Box::pin(async move {
            let endpoint = endpoints::create(tx, workspace, new).await?;
            let (location, version) = (format!("/api/v1/endpoints/{id}"), endpoint.version);
            Answer::created(location, version, &EndpointView::with_secret(endpoint))
        })
    })
    .await
}

/// The endpoints of a workspace, newest first.
#[utoipa::path(get, path = "/api/v1/endpoints", tag = "endpoints",
    params(OnlyWorkspace, PageParams), responses((status = 200, body = Page<EndpointView>)))]
async fn list_endpoints(
    State(app): State<App>,
    member: Member<Read>,
    ListQuery { page, .. }: ListQuery<OnlyWorkspace>,
) -> Result<Page<EndpointView>, ApiError> {
    let scope = Scope {
        workspace: member.workspace_id,
        order: "endpoints",
    };
    let listed = endpoints::list(&app.db, member.workspace_id, &page.of(scope)?).await?;
    page.listed(scope, listed)
}

/// An endpoint.
#[utoipa::path(get, path = "/api/v1/endpoints/{id}", tag = "endpoints",
    params(("id" = Uuid, Path), OnlyWorkspace), responses((status = 200, body = EndpointView)))]
async fn get_endpoint(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<EndpointId>,
    known: IfNoneMatch,
) -> Result<Versioned<EndpointView>, ApiError> {
    let endpoint = endpoints::get(&app.db, member.workspace_id, id).await?;
    Ok(Versioned::new(endpoint.version, endpoint.into()).unless(&known))
}

/// Changes an endpoint (JSON merge patch, RFC 7396).
#[utoipa::path(patch, path = "/api/v1/endpoints/{id}", tag = "endpoints",
    params(("id" = Uuid, Path), OnlyWorkspace),
    request_body(content = UpdateEndpoint, content_type = "application/merge-patch+json"),
    responses((status = 200, body = EndpointView)))]
async fn update_endpoint(
    State(app): State<App>,
    member: Member<Manage>,
    ApiPath(id): ApiPath<EndpointId>,
    if_match: IfMatch,
    ApiJson(body): ApiJson<UpdateEndpoint>,
) -> Result<Versioned<EndpointView>, ApiError> {
    let workspace = member.workspace_id;
    let before = endpoints::get(&app.db, workspace, id).await?;
    if_match.check(before.version)?;
    let version = before.version;
    let changes = body.parse(&before, &app.settings.allowed_networks)?;
    let written = app
        .write(move |tx| {
            let changes = changes.clone();
            Box::pin(async move {
                endpoints::update(tx, workspace, id, changes, Some(&[version])).await
            })
        })
        .await;
    let endpoint = written.map_err(|error| overtaken(error, &if_match))?;
    Ok(Versioned::new(endpoint.version, endpoint.into()))
}

/// A patch is merged onto what was read; when somebody else wrote in between, that is no failed
/// precondition to a caller who named none.
pub(super) fn overtaken(error: ApiError, if_match: &IfMatch) -> ApiError {
    if error.code() == Code::PreconditionFailed && if_match.versions().is_none() {
        let detail = "Somebody else changed it at the same time; send the request again.";
        return ApiError::new(Code::Conflict, detail);
    }
    error
}

/// Removes an endpoint; what is pending for it fails.
#[utoipa::path(delete, path = "/api/v1/endpoints/{id}", tag = "endpoints",
    params(("id" = Uuid, Path), OnlyWorkspace), responses((status = 204)))]
async fn delete_endpoint(
    State(app): State<App>,
    member: Member<Manage>,
    ApiPath(id): ApiPath<EndpointId>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    let workspace = member.workspace_id;
    let expected = if_match.versions().map(<[i64]>::to_vec);
    app.write(move |tx| {
        let expected = expected.clone();
        Box::pin(async move { endpoints::delete(tx, workspace, id, expected.as_deref()).await })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What signs the requests to an endpoint.
#[derive(Serialize, utoipa::ToSchema)]
struct SecretView {
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: Option<String>,
}

/// The secret of an endpoint.
#[utoipa::path(get, path = "/api/v1/endpoints/{id}/secret", tag = "endpoints",
    params(("id" = Uuid, Path), OnlyWorkspace), responses((status = 200, body = SecretView)))]
async fn get_secret(
    State(app): State<App>,
    member: Member<Manage>,
    ApiPath(id): ApiPath<EndpointId>,
) -> Result<([(http::HeaderName, HeaderValue); 1], Json<SecretView>), ApiError> {
    let endpoint = endpoints::get(&app.db, member.workspace_id, id).await?;
    let secret = endpoint.secrets.first().map(SigningSecret::reveal);
    let unkept = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(([unkept], Json(SecretView { secret })))
}

/// A request without anything to say.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Gives an endpoint another secret, which the answer has; the one before goes on signing beside
/// it for a day.
#[utoipa::path(post, path = "/api/v1/endpoints/{id}/rotate-secret", tag = "endpoints",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = Nothing,
    responses((status = 200, body = EndpointView)))]
async fn rotate_secret(
    State(app): State<App>,
    member: Member<Manage>,
    ApiPath(id): ApiPath<EndpointId>,
    Post { key, .. }: Post<Nothing>,
) -> Result<Response, ApiError> {
    let (workspace, secret) = (member.workspace_id, SigningSecret::generate());
    app.write_once(key, move |tx| {
        let secret = secret.clone();
        Box::pin(async move {
            let endpoint = endpoints::rotate_secret(tx, workspace, id, secret).await?;
            Answer::ok(endpoint.version, &EndpointView::with_secret(endpoint))
        })
    })
    .await
}

/// Sends an endpoint a sample, `{"type": "endpoint.test", …}`, now. A disabled one: 409.
#[utoipa::path(post, path = "/api/v1/endpoints/{id}/test", tag = "endpoints",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = Nothing,
    responses((status = 202, body = DeliveryAsked)))]
async fn test_endpoint(
    State(app): State<App>,
    member: Member<Manage>,
    ApiPath(id): ApiPath<EndpointId>,
    Post { key, .. }: Post<Nothing>,
) -> Result<Response, ApiError> {
    let (workspace, cause) = (member.workspace_id, member.caller.cause(&app));
    app.write_once(key, move |tx| {
        let cause = cause.clone();
        Box::pin(async move {
            let endpoint = endpoints::get_in(tx, workspace, id).await?;
            if !endpoint.enabled {
                return Err(Conflict::EndpointDisabled.into());
            }
            let delivery_id = publish_sample(tx, &endpoint, &cause)?;
            Answer::accepted(&DeliveryAsked { delivery_id })
        })
    })
    .await
}

fn publish_sample(
    tx: &mut Tx,
    endpoint: &Endpoint,
    cause: &Cause,
) -> smarttasks_store::Result<DeliveryId> {
    let now = tx.now();
    let id = NotificationId::new(now);
    tx.publish(Message::Notification(Box::new(Notification {
        id,
        workspace_id: endpoint.workspace_id,
        run_id: None,
        rule_id: None,
        task_id: None,
        created_at: now,
        depth: cause.depth,
        traceparent: cause.traceparent,
        content: Content::Webhook {
            target: WebhookTarget::Endpoint(endpoint.id),
            kind: "endpoint.test".to_owned(),
            timestamp: now,
            data: json!({
                "endpoint_id": endpoint.id,
                "endpoint": endpoint.name,
                "message": "This is a test. Events will arrive in the same form.",
            }),
        },
    })))?;
    Ok(DeliveryId::of(id, now, &endpoint.id.to_string()))
}
