//! Counting in Redis, between replicas.
//!
//! An account and an address have two sorted sets each: their wrong passwords, and their logins
//! under way, by when they began. A login whose replica has died, or whose client has gone away,
//! is under way for [`LEASE`].

use super::{LOCKED_FOR, WINDOW, WRONG_PER_ACCOUNT, WRONG_PER_ADDRESS, busy, locked};
use crate::problem::ApiError;
use crate::redis::Redis;
use redis::{Script, pipe};
use sha2::{Digest, Sha256};
use smarttasks_model::{Email, Timestamp};
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Longer than any request lasts.
const LEASE: Duration = Duration::from_secs(10);

/// Begins a login, by the rules of the count in this process, in milliseconds. `KEYS` are wrong
/// passwords and logins under way of the account and then of the address.
const BEGIN: &str = "
local id, window, locked_for, lease = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now = tonumber(ARGV[7])
for i = 0, 1 do
    local wrong, under_way, most = KEYS[2 * i + 1], KEYS[2 * i + 2], tonumber(ARGV[5 + i])
    for _, ahead in ipairs(redis.call('ZRANGEBYSCORE', wrong, '(' .. now, '+inf')) do
        redis.call('ZADD', wrong, now, ahead)
    end
    if redis.call('ZCARD', wrong) >= most then
        local wait = redis.call('ZRANGE', wrong, -1, -1, 'WITHSCORES')[2] + locked_for - now
        if wait > 0 then
            return {'locked', wait}
        end
        redis.call('DEL', wrong)
    end
    redis.call('ZREMRANGEBYSCORE', wrong, '-inf', now - window)
    redis.call('ZREMRANGEBYSCORE', under_way, '-inf', now - lease)
    if redis.call('ZCARD', wrong) + redis.call('ZCARD', under_way) >= most then
        return {'busy', 0}
    end
end
for i = 0, 1 do
    redis.call('ZADD', KEYS[2 * i + 2], now, id)
    redis.call('PEXPIRE', KEYS[2 * i + 2], lease)
end
return {'begun', now}
";

pub(super) struct Shared {
    redis: Arc<Redis>,
    script: Script,
}

/// A login that is under way.
pub(super) struct Begun {
    redis: Arc<Redis>,
    id: String,
    at_ms: u64,
    keys: Keys,
}

struct Keys {
    wrong: [String; 2],
    under_way: [String; 2],
}

impl Shared {
    pub(super) fn new(redis: Arc<Redis>) -> Self {
        Self {
            redis,
            script: Script::new(BEGIN),
        }
    }

    /// Begins a login, or refuses it, unless Redis does not answer.
    pub(super) async fn begin(
        &self,
        account: &Email,
        address: IpAddr,
        now: Timestamp,
    ) -> Option<Result<Begun, ApiError>> {
        let keys = self.keys(account, address);
        let id = Uuid::new_v4().to_string();
        let mut script = self.script.prepare_invoke();
        for (wrong, under_way) in keys.wrong.iter().zip(&keys.under_way) {
            script.key(wrong).key(under_way);
        }
        script.arg(&id);
        script
            .arg(millis(WINDOW))
            .arg(millis(LOCKED_FOR))
            .arg(millis(LEASE));
        script.arg(WRONG_PER_ACCOUNT).arg(WRONG_PER_ADDRESS);
        script.arg(now.unix_millis());
        let (outcome, ms): (String, u64) = self
            .redis
            .ask(async |mut connection| script.invoke_async(&mut connection).await)
            .await?;
        Some(match &*outcome {
            "locked" => Err(locked(Duration::from_millis(ms))),
            "busy" => Err(busy()),
            _ => Ok(Begun {
                redis: Arc::clone(&self.redis),
                id,
                at_ms: ms,
                keys,
            }),
        })
    }

    fn keys(&self, account: &Email, address: IpAddr) -> Keys {
        let of = |what: &str, name: &str| self.redis.key(&format!("login:{what}:{name}"));
        // Whoever may look at Redis need not read who logs in here.
        let mut account_hash = String::new();
        for byte in Sha256::digest(account.key()) {
            // Writing to a string cannot fail.
            let _ = write!(account_hash, "{byte:02x}");
        }
        let (account, address) = (
            format!("account:{account_hash}"),
            format!("address:{address}"),
        );
        Keys {
            wrong: [of("wrong", &account), of("wrong", &address)],
            under_way: [of("under_way", &account), of("under_way", &address)],
        }
    }
}

impl Begun {
    /// The password was wrong; `None` when Redis does not know now.
    pub(super) async fn wrong(&self) -> Option<()> {
        let mut write = self.end();
        for wrong in &self.keys.wrong {
            write.zadd(wrong, &self.id, self.at_ms).ignore();
            write.pexpire(wrong, millis(WINDOW)).ignore();
        }
        self.send(write).await
    }

    /// The password was right. When Redis does not hear of it the mistakes before remain, which
    /// is the safe side.
    pub(super) async fn right(&self) {
        let mut write = self.end();
        let [of_account, _] = &self.keys.wrong;
        write.del(of_account).ignore();
        let _ = self.send(write).await;
    }

    fn end(&self) -> redis::Pipeline {
        let mut write = pipe();
        write.atomic();
        for under_way in &self.keys.under_way {
            write.zrem(under_way, &self.id).ignore();
        }
        write
    }

    async fn send(&self, write: redis::Pipeline) -> Option<()> {
        self.redis
            .ask(async |mut connection| write.exec_async(&mut connection).await)
            .await
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
