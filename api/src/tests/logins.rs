//! What is remembered of a login or a role ends with it, on every replica.

use super::*;
use crate::memory::{Memory, Recalled};
use std::sync::atomic::{AtomicBool, Ordering};

/// Two replicas that remember in the same Redis, and that Redis.
async fn two(site: &Site) -> (Replica, Replica, RedisSettings) {
    let settings = redis_settings();
    let one = site.with_redis(&settings, None).await;
    let other = site.with_redis(&settings, None).await;
    (one, other, settings)
}

/// What the other replica would have remembered if its request had been done by now.
async fn remembered(settings: &RedisSettings, session: &str) -> Option<String> {
    let redis = redis(settings).await;
    let key = redis.key(&format!("session:{session}"));
    command(&redis, &["GET", &key]).await
}

#[tokio::test]
async fn a_login_that_ends_at_one_replica_has_ended_at_all() {
    let site = Site::new().await;
    let (one, other, settings) = two(&site).await;
    let ann = one.register("ann").await;
    let session = one.session(&ann.token).await;
    assert_eq!(other.me(&ann.token).await.status, 200);
    let known = remembered(&settings, &session).await;
    assert!(known.is_some_and(|known| known.contains("ann")));
    one.log_out(&ann.token).await;
    let ended = other.me(&ann.token).await;
    assert_eq!(
        (ended.status.as_u16(), ended.code()),
        (401, "invalid_token")
    );
    assert_eq!(one.me(&ann.token).await.status, 401);
}

#[tokio::test]
async fn a_new_password_ends_every_login_at_every_replica() {
    let site = Site::new().await;
    let (one, other, _) = two(&site).await;
    let ann = one.register("ann").await;
    let elsewhere = other.token("ann").await;
    for token in [&ann.token, &elsewhere] {
        assert_eq!(other.me(token).await.status, 200);
    }
    let change = json!({ "password": "something else", "current_password": PASSWORD });
    let changed = one
        .call(Method::PATCH, "/api/v1/users/me", &ann.token, &change)
        .await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    for token in [&ann.token, &elsewhere] {
        assert_eq!(other.me(token).await.status, 401);
    }
}

#[tokio::test]
async fn a_reused_refresh_token_ends_its_login_at_every_replica() {
    let site = Site::new().await;
    let (one, other, _) = two(&site).await;
    let ann = one.register("ann").await;
    let first = one.log_in("ann", PASSWORD).await;
    let refresh = async |replica: &Replica, token: &Value| {
        let token = token.as_str().unwrap();
        let form = format!("grant_type=refresh_token&refresh_token={token}");
        let path = "/api/v1/auth/token";
        replica.call(Method::POST, path, "", &form.into()).await
    };
    let second = refresh(&one, &first.body["refresh_token"]).await;
    let token = second.body["access_token"].as_str().unwrap();
    assert_eq!(other.me(token).await.status, 200);
    site.db.clock().advance(Duration::from_secs(31));
    let copied = refresh(&one, &first.body["refresh_token"]).await;
    assert_eq!(copied.code(), "invalid_grant");
    assert_eq!(other.me(token).await.status, 401);
    assert_eq!(other.me(&ann.token).await.status, 200, "another login");
}

#[tokio::test]
async fn a_login_that_ends_while_it_is_read_is_not_remembered() {
    let site = Site::new().await;
    let (one, other, settings) = two(&site).await;
    let ann = one.register("ann").await;
    let session = one.session(&ann.token).await;
    let key = format!("session:{session}");
    other.me(&ann.token).await;
    let live = remembered(&settings, &session).await.unwrap();
    let live: Value = serde_json::from_str(&live).unwrap();
    let redis = redis(&settings).await;
    command::<u32>(&redis, &["DEL", &redis.key(&key)]).await;

    let slow = Memory::Shared(Arc::clone(&redis));
    let Recalled::Unknown(note) = slow.recall::<Value>(ann.id, &key).await else {
        panic!("it was taken away")
    };
    one.log_out(&ann.token).await;
    slow.remember(note, &key, &live).await;
    assert_eq!(other.me(&ann.token).await.status, 401);
    let Recalled::Unknown(note) = slow.recall::<Value>(ann.id, &key).await else {
        panic!("what was remembered too late is used")
    };
    slow.remember(note, &key, &live).await;
    assert_eq!(other.me(&ann.token).await.status, 401);
}

#[tokio::test]
async fn a_login_has_ended_for_every_request_after_the_answer() {
    let site = Site::new().await;
    let (one, other, _) = two(&site).await;
    one.register("ann").await;
    for _ in 0..10 {
        let token = one.token("ann").await;
        let has_ended = AtomicBool::new(false);
        let reader = async || {
            loop {
                let after = has_ended.load(Ordering::SeqCst);
                let status = other.me(&token).await.status.as_u16();
                match (after, status) {
                    (true, 401) => return,
                    (false, 200 | 401) => {}
                    _ => panic!("{status}, ended: {after}"),
                }
            }
        };
        let end = async {
            one.me(&token).await;
            one.revoke(&token).await;
            has_ended.store(true, Ordering::SeqCst);
        };
        let readers = futures_util::future::join_all((0..8).map(|_| reader()));
        futures_util::future::join(readers, end).await;
    }
}

#[tokio::test]
async fn alone_a_login_that_ends_while_it_is_read_is_not_remembered() {
    let site = Site::new().await;
    let memory = Memory::own(site.db.clock());
    let (ann, key) = (UserId(Uuid::from_u128(1)), "session:1");
    let recall = async || match memory.recall::<u8>(ann, key).await {
        Recalled::Known(known) => Err(known),
        Recalled::Unknown(note) => Ok(note),
    };
    let early = recall().await.unwrap();
    memory.forget(ann).await;
    memory.remember(early, key, &1).await;
    let late = recall().await.unwrap();
    memory.remember(late, key, &2).await;
    assert_eq!(recall().await.err(), Some(2));
    site.db.clock().advance(Duration::from_secs(5));
    assert!(recall().await.is_ok(), "not for longer than five seconds");
}

#[tokio::test]
async fn a_role_that_changes_or_ends_does_so_at_every_replica() {
    let site = Site::new().await;
    let (one, other, settings) = two(&site).await;
    let (ann, bob) = (one.register("ann").await, one.register("bob").await);
    let hex = |id: Uuid| format!("X'{}'", id.simple());
    let (workspace, user) = (hex(ann.workspace.0), hex(bob.id.0));
    let ends = format!("workspace_id = {workspace} AND user_id = {user}");
    let add = async || {
        let work = json!({ "title": "Work", "workspace_id": ann.workspace });
        let path = "/api/v1/tasks";
        other.call(Method::POST, path, &bob.token, &work).await
    };
    let see = format!("/api/v1/tasks?workspace_id={}", ann.workspace);
    let see = async || other.get(&see, &bob.token).await.status.as_u16();
    assert_eq!(see().await, 404);

    site.sql(&format!(
        "INSERT INTO members (workspace_id, user_id, role, created_at)
         VALUES ({workspace}, {user}, 'member', 0)"
    ))
    .await;
    one.app.forget(bob.id).await;
    // So that roles are remembered from here on.
    let redis = redis(&settings).await;
    let mark = redis.key(&format!("changed:{}", bob.id));
    command::<u32>(&redis, &["DEL", &mark]).await;
    assert_eq!(add().await.status, 201);
    let key = redis.key(&format!("member:{}:{}", ann.workspace, bob.id));
    assert_eq!(
        command::<String>(&redis, &["GET", &key]).await,
        "\"member\""
    );

    site.sql(&format!("UPDATE members SET role = 'viewer' WHERE {ends}"))
        .await;
    one.app.forget(bob.id).await;
    let refused = add().await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (403, "forbidden")
    );
    command::<u32>(&redis, &["DEL", &mark, &key]).await;
    assert_eq!(see().await, 200);
    assert_eq!(
        command::<String>(&redis, &["GET", &key]).await,
        "\"viewer\""
    );

    site.sql(&format!("DELETE FROM members WHERE {ends}")).await;
    one.app.forget(bob.id).await;
    assert_eq!(see().await, 404);
}

#[tokio::test]
async fn replicas_without_redis_remember_nothing() {
    let site = Site::new().await;
    let one = site.replica(Sharing::Database, None).await;
    let other = site.replica(Sharing::Database, None).await;
    let ann = one.register("ann").await;
    assert_eq!(other.me(&ann.token).await.status, 200);
    one.log_out(&ann.token).await;
    assert_eq!(other.me(&ann.token).await.status, 401);
}

#[tokio::test]
async fn alone_a_login_is_remembered_until_it_ends() {
    let site = Site::new().await;
    let alone = site.replica(Sharing::Alone, None).await;
    let ann = alone.register("ann").await;
    assert_eq!(alone.me(&ann.token).await.status, 200);
    alone.log_out(&ann.token).await;
    assert_eq!(alone.me(&ann.token).await.status, 401);
    assert_eq!(alone.app.redis_answers(), None);
}
