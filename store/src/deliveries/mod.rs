//! The delivery log: one notification to one recipient, and every attempt at it.

mod read;
mod write;

pub use read::{get, list};
pub use write::{count_external, existing, insert, pending, report, retry_now};

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use smarttasks_model::{
    ApprovalId, DeliveryId, EndpointId, HttpRequest, NotificationId, RuleId, RunId, TaskId,
    Timestamp, TraceParent, WaitId, WorkspaceId,
};
use std::fmt;
use std::str::FromStr;

/// Where a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waiting for its first or next attempt.
    Pending,
    /// Taken by the receiver.
    Delivered,
    /// Given up.
    Failed,
    /// Not to be sent.
    Suppressed,
}

impl Status {
    /// The name, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Suppressed => "suppressed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        [
            Self::Pending,
            Self::Delivered,
            Self::Failed,
            Self::Suppressed,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| Error::Unreadable("delivery", text.to_owned()))
    }
}

/// A way to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Mail.
    Email,
    /// A signed POST.
    Webhook,
    /// A request that a script makes.
    Http,
}

impl Channel {
    /// The name, as in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
            Self::Http => "http",
        }
    }
}

/// What is sent, the same at every attempt.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "channel", rename_all = "snake_case")]
pub enum Content {
    /// A mail.
    Email {
        /// What the recipient is called, when known.
        name: Option<String>,
        /// One line.
        subject: String,
        /// The plain text.
        text: String,
        /// The HTML alternative, when the script gave one.
        html: Option<String>,
        /// What it asks the recipient: its links are put in when it is sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        question: Option<Question>,
    },
    /// A POST; where to is the delivery's recipient, or its endpoint as it is then.
    Webhook {
        /// The JSON that is signed and sent.
        body: String,
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

/// A question that a mail asks.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Question {
    /// Its id.
    pub approval_id: ApprovalId,
    /// Until when its links hold.
    pub expires_at: Timestamp,
}

impl Content {
    /// The channel that it is for.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Email { .. } => Channel::Email,
            Self::Webhook { .. } => Channel::Webhook,
            Self::Http { .. } => Channel::Http,
        }
    }

    /// Whether nobody wants it any more after `at`.
    pub fn is_over_at(&self, at: Timestamp) -> bool {
        matches!(self, Self::Http { until, .. } if at > *until)
    }
}

/// One notification to one recipient over one channel.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Derived from the notification and the recipient.
    pub id: DeliveryId,
    /// Where it belongs.
    pub workspace_id: WorkspaceId,
    /// What it is part of.
    pub notification_id: NotificationId,
    /// Where it stands.
    pub status: Status,
    /// Why it failed or was suppressed.
    pub reason: Option<String>,
    /// The rule that asked for it.
    pub rule_id: Option<RuleId>,
    /// The run that asked for it.
    pub run_id: Option<RunId>,
    /// The task that it is about.
    pub task_id: Option<TaskId>,
    /// The endpoint that it goes to.
    pub endpoint_id: Option<EndpointId>,
    /// An address or a URL.
    pub recipient: String,
    /// Whether it is a mail to somebody who is no member of the workspace.
    pub external: bool,
    /// What is sent.
    pub content: Content,
    /// The trace that caused it.
    pub traceparent: Option<TraceParent>,
    /// How many rules stand between it and a person or the clock.
    pub depth: u8,
    /// How many attempts were made.
    pub attempts_made: i32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// One try at a delivery.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// From 1.
    pub number: i32,
    /// When it began.
    pub at: Timestamp,
    /// What the receiver answered.
    pub status_code: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// The start of the answer.
    pub response: Option<String>,
}

/// What follows from an attempt.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The receiver took it, or answered it.
    Delivered,
    /// Another attempt is made then.
    Retry(Timestamp),
    /// It is given up.
    Failed(String),
}

/// An attempt and what follows from it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// The attempt; absent when none could be made.
    pub attempt: Option<Attempt>,
    /// What follows.
    pub outcome: Outcome,
}

/// Which deliveries of a workspace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// That stand there.
    pub status: Option<Status>,
    /// Over this channel.
    pub channel: Option<Channel>,
    /// Asked for by this rule.
    pub rule_id: Option<RuleId>,
    /// Asked for by this run.
    pub run_id: Option<RunId>,
    /// About this task.
    pub task_id: Option<TaskId>,
    /// To this endpoint.
    pub endpoint_id: Option<EndpointId>,
    /// Asked for at or after this.
    pub since: Option<Timestamp>,
    /// Asked for before this.
    pub until: Option<Timestamp>,
}
