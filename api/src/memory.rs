//! What the database said of somebody a moment ago, so that not every request has to ask it.
//!
//! Nothing here may be wrong once a change has been answered for: a login that was ended has
//! ended, on every replica. So whoever changes something about a user calls [`Memory::forget`]
//! after the commit and before the answer. A fact that was read before the commit may still be
//! on its way here by then, so it must come too late:
//!
//! - Alone, each fact carries the generation of the memory from before it was read, and
//!   forgetting begins the next one.
//! - Between replicas, by Redis's clock: a fact lives for [`FRESH`] from before it was read, however
//!   late it is written. Forgetting leaves a mark on the user for twice as long, under which
//!   facts are neither used nor written; when it is gone, so is every fact that is older.
//!
//! When Redis is gone there is no memory, and when a mark could not be written or was lost, the
//! facts before it are wrong for [`FRESH`] at most.

use crate::redis::Redis;
use quick_cache::sync::Cache;
use redis::pipe;
use serde::Serialize;
use serde::de::DeserializeOwned;
use smarttasks_model::{Clock, Timestamp, UserId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a fact is remembered.
const FRESH: Duration = Duration::from_secs(5);
const FRESH_MS: i64 = 5_000;
/// How long it is remembered that somebody has changed.
const MARKED_MS: i64 = 2 * FRESH_MS;
/// Facts remembered alone; some 300 bytes each.
const REMEMBERED: usize = 50_000;

/// Where facts are remembered.
pub(crate) enum Memory {
    /// In this process, which alone serves the database.
    Own(Own),
    /// In Redis, between replicas.
    Shared(Arc<Redis>),
    /// Nowhere: other replicas change what this one would remember.
    Nowhere,
}

pub(crate) struct Own {
    clock: Clock,
    facts: Cache<String, Fact>,
    generation: AtomicU64,
}

#[derive(Clone)]
struct Fact {
    json: Arc<str>,
    note: OwnNote,
}

#[derive(Clone, Copy)]
struct OwnNote {
    generation: u64,
    until: Timestamp,
}

/// What is remembered.
pub(crate) enum Recalled<T> {
    /// This.
    Known(T),
    /// Nothing: ask the database, then [`Memory::remember`] its answer with this note.
    Unknown(Note),
}

/// Says how long an answer that is still to come may be remembered.
pub(crate) struct Note(Kind);

#[derive(Default)]
enum Kind {
    Own(OwnNote),
    Shared {
        until_ms: i64,
    },
    #[default]
    Never,
}

impl Memory {
    /// Of a process that is alone with its database.
    pub(crate) fn own(clock: &Clock) -> Self {
        Self::Own(Own {
            clock: clock.clone(),
            facts: Cache::new(REMEMBERED),
            generation: AtomicU64::new(0),
        })
    }

    /// What is remembered about `user` under `key`.
    pub(crate) async fn recall<T: DeserializeOwned>(&self, user: UserId, key: &str) -> Recalled<T> {
        let (json, note) = match self {
            Self::Own(own) => own.recall(key),
            Self::Shared(redis) => recall(redis, user, key).await.unwrap_or_default(),
            Self::Nowhere => Default::default(),
        };
        match json.and_then(|json| serde_json::from_str(&json).ok()) {
            Some(fact) => Recalled::Known(fact),
            None => Recalled::Unknown(Note(note)),
        }
    }

    /// Remembers what the database said after `note` was given.
    pub(crate) async fn remember<T: Serialize>(&self, note: Note, key: &str, fact: &T) {
        let Ok(json) = serde_json::to_string(fact) else {
            return;
        };
        match (self, note.0) {
            (Self::Own(own), Kind::Own(note)) => {
                let json = json.into();
                own.facts.insert(key.to_owned(), Fact { json, note });
            }
            (Self::Shared(redis), Kind::Shared { until_ms }) => {
                let key = redis.key(key);
                redis
                    .ask(async |mut connection| {
                        // In the past when the database took too long; then it is gone at once.
                        let mut write = pipe();
                        write.atomic().set(&key, json).pexpire_at(&key, until_ms);
                        write.exec_async(&mut connection).await
                    })
                    .await;
            }
            _ => {}
        }
    }

    /// Forgets what is remembered about `user`: it has changed in the database.
    pub(crate) async fn forget(&self, user: UserId) {
        match self {
            Self::Own(own) => {
                own.generation.fetch_add(1, Ordering::SeqCst);
            }
            Self::Shared(redis) => {
                let mark = mark(redis, user);
                redis
                    .ask(async |mut connection| {
                        let mut write = redis::cmd("SET");
                        write.arg(mark).arg(1).arg("PX").arg(MARKED_MS);
                        write.exec_async(&mut connection).await
                    })
                    .await;
            }
            Self::Nowhere => {}
        }
    }
}

impl Own {
    fn recall(&self, key: &str) -> (Option<Arc<str>>, Kind) {
        let now = self.clock.now();
        let generation = self.generation.load(Ordering::SeqCst);
        let known = self
            .facts
            .get(key)
            .filter(|fact| fact.note.generation == generation && now < fact.note.until);
        let until = now + FRESH;
        let note = OwnNote { generation, until };
        (known.map(|fact| fact.json), Kind::Own(note))
    }
}

async fn recall(redis: &Redis, user: UserId, key: &str) -> Option<(Option<Arc<str>>, Kind)> {
    let (key, mark) = (redis.key(key), mark(redis, user));
    let ((seconds, micros), (fact, mark)): ((i64, i64), (Option<String>, Option<String>)) = redis
        .ask(async |mut connection| {
            let mut read = pipe();
            read.cmd("TIME").mget(&[key, mark]);
            read.query_async(&mut connection).await
        })
        .await?;
    if mark.is_some() {
        return Some((None, Kind::Never));
    }
    let until_ms = seconds * 1000 + micros / 1000 + FRESH_MS;
    Some((fact.map(Into::into), Kind::Shared { until_ms }))
}

/// The key that says that `user` has just changed.
fn mark(redis: &Redis, user: UserId) -> String {
    redis.key(&format!("changed:{user}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{redis, redis_settings};
    use uuid::Uuid;

    #[tokio::test]
    async fn what_was_read_too_long_ago_is_not_remembered() {
        let (user, key) = (UserId(Uuid::from_u128(1)), "session:1");
        let memory = Memory::Shared(redis(&redis_settings()).await);
        let Recalled::Unknown(Note(Kind::Shared { until_ms })) =
            memory.recall::<u8>(user, key).await
        else {
            panic!("Redis answers, and nothing is remembered yet")
        };
        let late = until_ms - 2 * FRESH_MS;
        let late = Note(Kind::Shared { until_ms: late });
        memory.remember(late, key, &1).await;
        let Recalled::Unknown(note) = memory.recall::<u8>(user, key).await else {
            panic!("it is remembered after its time")
        };
        memory.remember(note, key, &2).await;
        let known = memory.recall::<u8>(user, key).await;
        assert!(matches!(known, Recalled::Known(2)));
    }
}
