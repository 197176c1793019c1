//! Counting in Redis, between replicas. Each gives its own time; if their clocks differ, a replica
//! that is ahead lets pass by so much more.

use super::{Left, Policy, Quotas, Subject};
use crate::redis::Redis;
use redis::Script;
use smarttasks_model::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Counts one request by each key, up to the first that has none left. `ARGV` are their quotas, and
/// then the time in milliseconds; what is kept is in microseconds. A key holds when as many would be
/// possible again as at the start. It is never more than a minute away, so that a clock that is set
/// back locks nobody out for longer.
const COUNT: &str = "
local now = 1000 * tonumber(table.remove(ARGV))
local counted = {}
for i, key in ipairs(KEYS) do
    local quota = tonumber(ARGV[i])
    local interval = math.max(1, math.floor(60000000 / quota))
    local burst = quota * interval
    local full = tonumber(redis.call('GET', key) or now)
    full = math.max(now, math.min(full, now + burst)) + interval
    local wait = full - burst - now
    if wait > 0 then
        counted[i] = {0, wait}
        break
    end
    local lifetime = math.ceil((full - now) / 1000)
    redis.call('SET', key, string.format('%.0f', full), 'PX', lifetime)
    counted[i] = {math.floor(-wait / interval), 0}
end
return counted
";

pub(super) struct Shared {
    redis: Arc<Redis>,
    script: Script,
}

impl Shared {
    pub(super) fn new(redis: Arc<Redis>) -> Self {
        Self {
            redis,
            script: Script::new(COUNT),
        }
    }

    /// What is left, in the order of `subjects`, unless Redis does not answer.
    pub(super) async fn count(
        &self,
        quotas: Quotas,
        subjects: &[Subject],
        now: Timestamp,
    ) -> Option<Vec<Left>> {
        let mut script = self.script.prepare_invoke();
        for subject in subjects {
            script.key(self.key(*subject));
            script.arg(Policy::of(*subject, quotas).quota.get());
        }
        script.arg(now.unix_millis());
        let counted: Vec<(u32, u64)> = self
            .redis
            .ask(async |mut connection| script.invoke_async(&mut connection).await)
            .await?;
        let lefts = subjects.iter().zip(counted);
        let left = |(subject, (remaining, wait)): (&Subject, (u32, u64))| {
            let policy = Policy::of(*subject, quotas);
            match wait {
                0 => policy.left(remaining),
                wait => policy.exceeded(Duration::from_micros(wait)),
            }
        };
        Some(lefts.map(left).collect())
    }

    fn key(&self, subject: Subject) -> String {
        self.redis.key(&match subject {
            Subject::Address(address) => format!("limit:address:{address}"),
            Subject::Principal(user) => format!("limit:principal:{user}"),
        })
    }
}
