//! The delivery log: what was sent to whom, and every attempt.

use super::tasks::OnlyWorkspace;
use crate::answer::Answer;
use crate::app::App;
use crate::caller::{Member, Read, Write};
use crate::extract::{ApiPath, ListQuery};
use crate::once::Post;
use crate::page::{Page, PageParams, Scope};
use crate::problem::ApiError;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use smarttasks_model::{DeliveryId, EndpointId, RuleId, RunId, TaskId, Timestamp, WorkspaceId};
use smarttasks_store::deliveries::{self, Attempt, Channel, Content, Delivery, Filter, Status};
use smarttasks_store::{Listed, endpoints};
use std::collections::HashMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_deliveries))
        .routes(routes!(get_delivery))
        .routes(routes!(retry_delivery))
}

/// One notification to one recipient over one channel.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Delivery)]
struct DeliveryView {
    #[schema(value_type = Uuid)]
    id: DeliveryId,
    #[schema(value_type = String, example = "webhook")]
    channel: Channel,
    #[schema(value_type = String, example = "delivered")]
    status: Status,
    /// Why it failed or was suppressed.
    reason: Option<String>,
    #[schema(value_type = Option<Uuid>)]
    rule_id: Option<RuleId>,
    #[schema(value_type = Option<Uuid>)]
    run_id: Option<RunId>,
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    #[schema(value_type = Option<Uuid>)]
    endpoint_id: Option<EndpointId>,
    /// An address or a URL; of a registered endpoint its present URL, empty when it is gone.
    recipient: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// Every try, the first first.
    attempts: Vec<AttemptView>,
}

/// One try at a delivery.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Attempt)]
struct AttemptView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What the receiver answered.
    status_code: Option<u16>,
    duration_ms: i64,
    /// Why it did not succeed.
    error: Option<String>,
    /// The start of the receiver's answer.
    response: Option<String>,
}

/// A delivery together with what is sent.
#[derive(Serialize, utoipa::ToSchema)]
struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryView,
    content: ContentView,
}

/// What is sent, the same at every attempt.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
enum ContentView {
    /// A mail.
    Email {
        subject: String,
        text: String,
        html: Option<String>,
    },
    /// The JSON text that is signed and posted.
    Webhook { body: String },
    /// A request that a script makes; where to is the `recipient`.
    Http {
        method: String,
        /// The names only: values may be credentials.
        headers: Vec<String>,
        body: Option<String>,
        /// No attempt after this.
        #[schema(value_type = String, format = DateTime)]
        until: Timestamp,
    },
}

impl From<Content> for ContentView {
    fn from(content: Content) -> Self {
        match content {
            Content::Email {
                subject,
                text,
                html,
                ..
            } => Self::Email {
                subject,
                text,
                html,
            },
            Content::Webhook { body } => Self::Webhook { body },
            Content::Http { request, until, .. } => Self::Http {
                method: request.method,
                headers: request.headers.into_keys().collect(),
                body: request.body,
                until,
            },
        }
    }
}

impl DeliveryView {
    fn of(delivery: &Delivery, attempts: Vec<Attempt>, urls: &HashMap<EndpointId, String>) -> Self {
        let url = delivery.endpoint_id.and_then(|id| urls.get(&id));
        Self {
            id: delivery.id,
            channel: delivery.content.channel(),
            status: delivery.status,
            reason: delivery.reason.clone(),
            rule_id: delivery.rule_id,
            run_id: delivery.run_id,
            task_id: delivery.task_id,
            endpoint_id: delivery.endpoint_id,
            recipient: url.unwrap_or(&delivery.recipient).clone(),
            created_at: delivery.created_at,
            next_attempt_at: delivery.next_attempt_at,
            finished_at: delivery.finished_at,
            attempts: attempts.into_iter().map(AttemptView::from).collect(),
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: attempt.at,
            status_code: attempt.status_code,
            duration_ms: attempt.duration_ms,
            error: attempt.error,
            response: attempt.response,
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeliveryFilter {
    /// The workspace; your personal one when absent.
    #[param(value_type = Option<Uuid>)]
    #[expect(dead_code, reason = "read by `Member`")]
    workspace_id: Option<WorkspaceId>,
    /// One of pending, delivered, failed, suppressed.
    #[param(value_type = Option<String>)]
    status: Option<Status>,
    /// One of email, webhook, http.
    #[param(value_type = Option<String>)]
    channel: Option<Channel>,
    #[param(value_type = Option<Uuid>)]
    rule_id: Option<RuleId>,
    #[param(value_type = Option<Uuid>)]
    run_id: Option<RunId>,
    #[param(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    #[param(value_type = Option<Uuid>)]
    endpoint_id: Option<EndpointId>,
    /// Asked for at or after this.
    #[param(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// Asked for before this.
    #[param(value_type = Option<String>)]
    until: Option<Timestamp>,
}

impl From<DeliveryFilter> for Filter {
    fn from(filter: DeliveryFilter) -> Self {
        Self {
            status: filter.status,
            channel: filter.channel,
            rule_id: filter.rule_id,
            run_id: filter.run_id,
            task_id: filter.task_id,
            endpoint_id: filter.endpoint_id,
            since: filter.since,
            until: filter.until,
        }
    }
}

/// The deliveries of a workspace with their attempts, newest first.
#[utoipa::path(get, path = "/api/v1/deliveries", tag = "deliveries",
    params(DeliveryFilter, PageParams), responses((status = 200, body = Page<DeliveryView>)))]
async fn list_deliveries(
    State(app): State<App>,
    member: Member<Read>,
    ListQuery { filter, page }: ListQuery<DeliveryFilter>,
) -> Result<Page<DeliveryView>, ApiError> {
    let scope = Scope {
        workspace: member.workspace_id,
        order: "deliveries",
    };
    let (workspace, of_store) = (member.workspace_id, page.of(scope)?);
    let Listed { rows, next } =
        deliveries::list(&app.db, workspace, &filter.into(), &of_store).await?;
    let ids = rows.iter().filter_map(|(delivery, _)| delivery.endpoint_id);
    let urls = endpoints::urls(&app.db, workspace, ids).await?;
    let rows = rows
        .into_iter()
        .map(|(delivery, attempts)| DeliveryView::of(&delivery, attempts, &urls))
        .collect();
    page.listed::<DeliveryView, _>(scope, Listed { rows, next })
}

/// A delivery with its attempts and what is sent.
#[utoipa::path(get, path = "/api/v1/deliveries/{id}", tag = "deliveries",
    params(("id" = Uuid, Path), OnlyWorkspace), responses((status = 200, body = DeliveryDetail)))]
async fn get_delivery(
    State(app): State<App>,
    member: Member<Read>,
    ApiPath(id): ApiPath<DeliveryId>,
) -> Result<Json<DeliveryDetail>, ApiError> {
    let workspace = member.workspace_id;
    let (delivery, attempts) = deliveries::get(&app.db, workspace, id).await?;
    let urls = endpoints::urls(&app.db, workspace, delivery.endpoint_id).await?;
    Ok(Json(DeliveryDetail {
        delivery: DeliveryView::of(&delivery, attempts, &urls),
        content: delivery.content.into(),
    }))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RetryDelivery {}

/// Where to look for what comes of it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct DeliveryAsked {
    #[schema(value_type = Uuid)]
    pub(super) delivery_id: DeliveryId,
}

/// Tries a delivery again, now; also one that was delivered. A suppressed one, and the request of a
/// run once it has ended: 409.
#[utoipa::path(post, path = "/api/v1/deliveries/{id}/retry", tag = "deliveries",
    params(("id" = Uuid, Path), OnlyWorkspace), request_body = RetryDelivery,
    responses((status = 202, body = DeliveryAsked)))]
async fn retry_delivery(
    State(app): State<App>,
    member: Member<Write>,
    ApiPath(id): ApiPath<DeliveryId>,
    Post { key, .. }: Post<RetryDelivery>,
) -> Result<Response, ApiError> {
    let workspace = member.workspace_id;
    app.write_once(key, move |tx| {
        Box::pin(async move {
            deliveries::retry_now(tx, workspace, id).await?;
            Answer::accepted(&DeliveryAsked { delivery_id: id })
        })
    })
    .await
}
