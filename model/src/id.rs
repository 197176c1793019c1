//! Identifiers: one newtype per noun, so that a task's id cannot be given where a rule's is asked.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh id that sorts by `now`.
            pub fn new(now: Timestamp) -> Self {
                Self(fresh(now))
            }

            /// The id that follows from `key` and the instant of its cause; see [`derive_id`].
            pub fn derived(at: Timestamp, key: &[&[u8]]) -> Self {
                Self(derive_id(at, key))
            }

            /// The sixteen bytes, for use in the key of another derived id.
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )+};
}

ids! {
    /// A person with an account.
    UserId,
    /// A team's space; everything else belongs to one.
    WorkspaceId,
    /// A login: the family of refresh tokens that descend from one authentication.
    SessionId,
    /// A question to a person, for whose answer a run waits.
    ApprovalId,
    /// A work item.
    TaskId,
    /// A remark on a task.
    CommentId,
    /// An automation rule.
    RuleId,
    /// One evaluation of one rule for one cause and task.
    RunId,
    /// An immutable fact.
    EventId,
    /// One write, however many events it makes: a rule fires once per change and task.
    ChangeId,
    /// Something to say, before it is split by recipient.
    NotificationId,
    /// One notification to one recipient over one channel.
    DeliveryId,
    /// A registered webhook receiver.
    EndpointId,
}

impl RunId {
    /// The run of `rule` for one change and task, caused at `at`: there is only the one.
    pub fn of(rule: RuleId, change: ChangeId, task: Option<TaskId>, at: Timestamp) -> Self {
        let task = task.map(|id| id.0).unwrap_or_default();
        let key = [rule.as_bytes(), change.as_bytes(), task.as_bytes()];
        Self::derived(at, &key)
    }
}

impl DeliveryId {
    /// The delivery of a notification, asked for at `created_at`, to `recipient`: an address, an
    /// endpoint's id or a URL.
    pub fn of(notification: NotificationId, created_at: Timestamp, recipient: &str) -> Self {
        Self::derived(created_at, &[notification.as_bytes(), recipient.as_bytes()])
    }
}

/// The id that follows from a cause: delivered twice, a message meets its own unique key.
///
/// Layout of `UUIDv7` (RFC 9562, section 5.7): 48 bits of the cause's Unix milliseconds, then
/// bits of SHA-256 over the length-prefixed parts of `key`, so that ids sort by time and two
/// different keys never share a digest input.
pub fn derive_id(at: Timestamp, key: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in key {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut random = [0u8; 10];
    random.copy_from_slice(&digest[..10]);
    uuid::Builder::from_unix_timestamp_millis(at.unix_millis_unsigned(), &random).into_uuid()
}

fn fresh(now: Timestamp) -> Uuid {
    let random = Uuid::new_v4();
    let mut bits = [0u8; 10];
    // Bytes 6 and 8 of a version 4 UUID hold version and variant bits; take the others.
    bits[..6].copy_from_slice(&random.as_bytes()[..6]);
    bits[6..].copy_from_slice(&random.as_bytes()[12..]);
    uuid::Builder::from_unix_timestamp_millis(now.unix_millis_unsigned(), &bits).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_id_is_the_same_for_the_same_cause_and_sorts_by_time() {
        let early = Timestamp::from_unix_millis(1_000);
        let late = Timestamp::from_unix_millis(2_000);
        let id = RunId::derived(early, &[b"rule", b"change"]);
        assert_eq!(id, RunId::derived(early, &[b"rule", b"change"]));
        assert_ne!(id, RunId::derived(early, &[b"rulec", b"hange"]));
        assert!(id < RunId::derived(late, &[b"rule", b"change"]));
        assert_eq!(id.0.get_version_num(), 7);
    }

    #[test]
    fn fresh_ids_differ_and_sort_by_time() {
        let now = Timestamp::from_unix_millis(5_000);
        assert_ne!(TaskId::new(now), TaskId::new(now));
        assert!(TaskId::new(now) < TaskId::new(Timestamp::from_unix_millis(5_001)));
    }
}
