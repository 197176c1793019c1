//! What it takes to send a delivery: where it goes and what signs it, looked up when its turn comes.

use crate::breaker::BreakerKey;
use crate::email::Mail;
use crate::report::{LATE, UNWANTED};
use crate::request::ScriptRequest;
use crate::webhook::WebhookRequest;
use smarttasks_model::{
    EndpointId, HeaderSet, Recipient, SigningSecret, Timestamp, WaitId, WebhookUrl, WorkspaceId,
};
use smarttasks_store::approvals::Links;
use smarttasks_store::deliveries::{Content, Delivery, Question};
use smarttasks_store::endpoints::{self, Endpoint};
use smarttasks_store::{Db, Result, waits, workspaces};
use std::collections::{HashMap, HashSet};

/// A delivery with what is needed to send it.
pub(crate) enum Job {
    Mail(Box<Mail>),
    Webhook(Box<WebhookRequest>, BreakerKey),
    Request(Box<ScriptRequest>, BreakerKey),
    /// It cannot be sent at all.
    Impossible(String),
    /// It cannot be sent now.
    Later,
}

/// What shares a fate.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Mail(WorkspaceId),
    Receiver(BreakerKey),
}

/// Where the webhooks of a batch go and what signs them.
pub(crate) struct Targets {
    endpoints: HashMap<EndpointId, Endpoint>,
    secrets: HashMap<WorkspaceId, SigningSecret>,
    /// Requests that no run waits for any more.
    over: HashSet<WaitId>,
}

impl Targets {
    pub(crate) async fn load(db: &Db, accepted: &[Delivery]) -> Result<Self> {
        let ids: HashSet<_> = accepted
            .iter()
            .filter_map(|delivery| delivery.endpoint_id)
            .collect();
        let bare: HashSet<_> = accepted
            .iter()
            .filter(|delivery| matches!(delivery.content, Content::Webhook { .. }))
            .filter(|delivery| delivery.endpoint_id.is_none())
            .map(|delivery| delivery.workspace_id)
            .collect();
        let mut secrets = HashMap::new();
        for workspace in bare {
            secrets.insert(workspace, workspaces::webhook_secret(db, workspace).await?);
        }
        let waits = accepted
            .iter()
            .filter_map(|delivery| match delivery.content {
                Content::Http { wait, .. } => Some(wait),
                Content::Email { .. } | Content::Webhook { .. } => None,
            });
        Ok(Self {
            over: waits::over(db, waits).await?,
            endpoints: endpoints::by_ids(db, ids).await?,
            secrets,
        })
    }

    pub(crate) fn job(&self, delivery: &Delivery, now: Timestamp, links: &Links) -> Job {
        match &delivery.content {
            Content::Email {
                name,
                subject,
                text,
                html,
                question,
            } => match delivery.recipient.parse() {
                Ok(email) => {
                    let mail = Mail {
                        delivery_id: delivery.id,
                        workspace_id: delivery.workspace_id,
                        created_at: delivery.created_at,
                        to: Recipient {
                            email,
                            name: name.clone(),
                            user_id: None,
                        },
                        subject: subject.clone(),
                        text: text.clone(),
                        html: html.clone(),
                    };
                    Job::Mail(Box::new(with_links(mail, question.as_ref(), links)))
                }
                Err(error) => Job::Impossible(error.to_string()),
            },
            Content::Webhook { body } => match self.target(delivery) {
                Ok(target) => Job::Webhook(
                    Box::new(WebhookRequest {
                        delivery_id: delivery.id,
                        url: target.url,
                        headers: target.headers,
                        secret: target.secret,
                        retiring_secrets: target.retiring,
                        body: body.clone().into(),
                        traceparent: delivery.traceparent.map(|parent| parent.child()),
                        attempted_at: now,
                    }),
                    target.key,
                ),
                Err(reason) => Job::Impossible(reason),
            },
            Content::Http {
                request,
                wait,
                until,
            } => {
                let traceparent = delivery.traceparent.map(|parent| parent.child());
                match ScriptRequest::parse(delivery.id, request, traceparent) {
                    _ if now > *until => Job::Impossible(LATE.to_owned()),
                    _ if self.over.contains(wait) => Job::Impossible(UNWANTED.to_owned()),
                    Ok(request) => {
                        let key = of_host(delivery.workspace_id, request.url());
                        Job::Request(Box::new(request), key)
                    }
                    Err(reason) => Job::Impossible(reason.to_string()),
                }
            }
        }
    }

    fn target(&self, delivery: &Delivery) -> Result<Target, String> {
        let Some(id) = delivery.endpoint_id else {
            let url: WebhookUrl = delivery
                .recipient
                .parse()
                .map_err(|error| format!("{error}"))?;
            let secret = self.secrets.get(&delivery.workspace_id).cloned();
            return Ok(Target {
                key: of_host(delivery.workspace_id, &url),
                url,
                headers: Default::default(),
                secret: secret.ok_or_else(|| "the workspace is gone".to_owned())?,
                retiring: Vec::new(),
            });
        };
        let endpoint = self
            .endpoints
            .get(&id)
            .ok_or_else(|| "the endpoint is gone".to_owned())?;
        if !endpoint.enabled {
            return Err("the endpoint is disabled".to_owned());
        }
        let mut secrets = endpoint.secrets.iter().cloned();
        Ok(Target {
            url: endpoint.url.clone(),
            headers: endpoint.headers.clone(),
            secret: secrets
                .next()
                .ok_or_else(|| "the endpoint has no secret".to_owned())?,
            retiring: secrets.collect(),
            key: BreakerKey::Endpoint(id),
        })
    }
}

struct Target {
    url: WebhookUrl,
    headers: HeaderSet,
    secret: SigningSecret,
    retiring: Vec<SigningSecret>,
    key: BreakerKey,
}

/// Of a mail that asks something, the links by which it is answered are nowhere but in what is
/// sent.
fn with_links(mail: Mail, question: Option<&Question>, links: &Links) -> Mail {
    let Some(question) = question else {
        return mail;
    };
    let (id, until) = (question.approval_id, question.expires_at);
    let html = mail.html.map(|html| links.fill_html(&html, id, until));
    Mail {
        text: links.fill(&mail.text, id, until),
        html,
        ..mail
    }
}

/// By host: another path of it is the same receiver.
fn of_host(workspace: WorkspaceId, url: &WebhookUrl) -> BreakerKey {
    let origin = url.as_url().join("/").ok();
    let origin = origin.and_then(|origin| origin.as_str().parse().ok());
    BreakerKey::Url(workspace, origin.unwrap_or_else(|| url.clone()))
}
