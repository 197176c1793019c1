//! Notifications: what to say, before it is split by recipient; and the messages that the
//! outbox carries.

use crate::{
    ApprovalId, DeliveryId, Email, EndRuns, EndpointId, Event, NotificationId, RuleId, RunId,
    SweepRange, TaskId, Timestamp, TraceParent, UserId, WaitId, Waiters, Wake, WorkspaceId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whom an e-mail goes to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Recipient {
    /// The address.
    pub email: Email,
    /// What they are called, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their account, when they have one in the workspace; otherwise the mail is external.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
}

/// Where a webhook goes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookTarget {
    /// A registered endpoint, signed with its secret.
    Endpoint(EndpointId),
    /// A bare URL, signed with the workspace's secret.
    Url(String),
}

/// What is said, by channel.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "snake_case")]
pub enum Content {
    /// A mail to each recipient.
    Email {
        /// Each gets a mail of their own.
        to: Vec<Recipient>,
        /// One line.
        subject: String,
        /// The plain text.
        text: String,
        /// The HTML alternative; made from the text when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        html: Option<String>,
    },
    /// A signed POST of `{type, timestamp, data}`.
    Webhook {
        /// Where to.
        target: WebhookTarget,
        /// The payload's `type`.
        #[serde(rename = "type")]
        kind: String,
        /// The payload's `timestamp`.
        timestamp: Timestamp,
        /// The payload's `data`.
        data: Value,
    },
    /// A mail that asks one person, with the links by which they answer. Whoever has a link can
    /// answer, so that they are put in when it is sent and stand nowhere before.
    Approval {
        /// Who is asked.
        to: Recipient,
        /// What they are asked.
        approval_id: ApprovalId,
        /// Until when the links hold.
        expires_at: Timestamp,
        /// One line.
        subject: String,
        /// The plain text, with a mark where each link goes.
        text: String,
        /// The HTML alternative, likewise.
        html: String,
    },
    /// A request whose answer a run waits for.
    Http {
        /// What is asked.
        request: Box<HttpRequest>,
        /// Who waits.
        wait: WaitId,
        /// No attempt after this.
        until: Timestamp,
    },
}

/// A request that a script makes of another system.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HttpRequest {
    /// In capitals.
    pub method: String,
    /// Where.
    pub url: String,
    /// Beside those of the client.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// As it is sent; a value other than a text has been written as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// One thing to say, to one or many.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Notification {
    /// Derived from its cause and the number of the action.
    pub id: NotificationId,
    /// Where it belongs.
    pub workspace_id: WorkspaceId,
    /// The run that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The rule that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<RuleId>,
    /// The task that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// How many rules stand between it and a person or the clock.
    #[serde(default)]
    pub depth: u8,
    /// The trace that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
    /// What and to whom.
    #[serde(flatten)]
    pub content: Content,
}

/// What the outbox carries.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "message", content = "body", rename_all = "snake_case")]
pub enum Message {
    /// For the engine.
    Event(Arc<Event>),
    /// For the notifier.
    Notification(Box<Notification>),
    /// For the notifier: a delivery whose next attempt is due.
    Delivery(DeliveryId),
    /// For the engine: tasks to look at.
    Sweep(Box<SweepRange>),
    /// For the engine: a run that may go on.
    Wake(Box<Wake>),
    /// For the engine: runs that wait for an event.
    Waiters(Waiters),
    /// For the engine: runs that end.
    EndRuns(Box<EndRuns>),
}
