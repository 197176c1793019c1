//! The nouns of SmartTasks: ids, tasks, events, notifications, rules, users, time, network
//! address rules.
//!
//! Everything here is data and the checks that make it valid. Nothing here does I/O; nothing
//! but [`Clock`] knows the time.

mod email;
mod event;
mod failpoint;
mod headers;
mod id;
mod limits;
mod named;
pub mod net;
mod notification;
pub mod predicate;
mod rule;
mod sweep;
mod task;
mod task_filter;
mod text;
mod time;
mod trace;
mod user;
mod wake;
mod webhook;

pub use email::{Email, EmailError};
pub use event::{Actor, Event, EventData, EventPattern, EventType, EventTypeError, Snapshot};
pub use failpoint::Failpoint;
pub use headers::HeaderSet;
pub use id::{
    ApprovalId, ChangeId, CommentId, DeliveryId, EndpointId, EventId, NotificationId, RuleId,
    RunId, SessionId, TaskId, UserId, WorkspaceId, derive_id,
};
pub use limits::{Invalid, text_within};
pub use notification::{Content, HttpRequest, Message, Notification, Recipient, WebhookTarget};
pub use rule::{ForEach, Misfire, Overlap, Repeat, RuleSpec, RunStatus, Trigger, TriggerError};
pub use sweep::{Place, Sought, SweepPart, SweepPurpose, SweepRange};
pub use task::{NewTask, Priority, Status, Task, TaskChanges};
pub use task_filter::{TaskFilter, without_case};
pub use time::{Clock, Span, SpanError, TimeZone, TimeZoneError, Timestamp, TimestampError};
pub use trace::TraceParent;
pub use user::{NotifyBy, User};
pub use wake::{Because, EndRuns, RunsOf, WaitId, Waiters, Wake};
pub use webhook::{SigningSecret, SigningSecretError, WebhookUrl, WebhookUrlError};
