//! What replicas count, they count together.

use super::*;

#[tokio::test]
async fn a_users_requests_are_counted_over_all_replicas() {
    let (site, redis) = (Site::new().await, redis_settings());
    let one = site.with_redis(&redis, Some(2)).await;
    let other = site.with_redis(&redis, Some(2)).await;
    let ann = one.register("ann").await;
    let first = one.me(&ann.token).await;
    assert_eq!(first.status, 200);
    assert_eq!(
        first.header("ratelimit-policy"),
        "\"address\";q=1000;w=60, \"principal\";q=2;w=60"
    );
    assert!(
        first
            .header("ratelimit")
            .ends_with("\"principal\";r=1;t=30")
    );
    let second = other.me(&ann.token).await;
    assert_eq!(second.status, 200);
    assert!(
        second
            .header("ratelimit")
            .ends_with("\"principal\";r=0;t=60")
    );
    for replica in [&one, &other] {
        let refused = replica.me(&ann.token).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (429, "rate_limited")
        );
        let after: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=30).contains(&after), "{after}");
    }
    let bob = other.register("bob").await;
    assert_eq!(
        one.me(&bob.token).await.status,
        200,
        "one does not pay for another"
    );
}

#[tokio::test]
async fn a_token_whose_login_has_ended_is_not_counted_as_its_users() {
    let (site, redis) = (Site::new().await, redis_settings());
    let one = site.with_redis(&redis, Some(10)).await;
    let other = site.with_redis(&redis, Some(10)).await;
    let ann = one.register("ann").await;
    assert_eq!(other.me(&ann.token).await.status, 200);
    one.log_out(&ann.token).await;
    for _ in 0..30 {
        assert_eq!(other.me(&ann.token).await.status, 401);
    }
    let again = one.token("ann").await;
    assert_eq!(one.me(&again).await.status, 200);
}

#[tokio::test]
async fn without_redis_each_replica_counts_by_itself() {
    let site = Site::new().await;
    let one = site.replica(Sharing::Database, Some(1)).await;
    let other = site.replica(Sharing::Database, Some(1)).await;
    let ann = one.register("ann").await;
    for replica in [&one, &other] {
        assert_eq!(replica.me(&ann.token).await.status, 200);
        assert_eq!(replica.me(&ann.token).await.status, 429);
    }
}

#[tokio::test]
async fn wrong_passwords_are_counted_over_all_replicas() {
    let (site, redis) = (Site::new().await, redis_settings());
    let one = site.with_redis(&redis, None).await;
    let other = site.with_redis(&redis, None).await;
    one.register("ann").await;
    for _ in 0..9 {
        assert_eq!(one.log_in("ann", "a guess").await.code(), "invalid_grant");
    }
    assert_eq!(other.log_in("ann", PASSWORD).await.status, 200, "forgives");
    for replica in [&one, &other].into_iter().cycle().take(10) {
        assert_eq!(
            replica.log_in("ann", "a guess").await.code(),
            "invalid_grant"
        );
    }
    for replica in [&one, &other] {
        let locked = replica.log_in("ann", PASSWORD).await;
        assert_eq!(
            (locked.status.as_u16(), locked.code()),
            (429, "login_locked")
        );
        let after: u64 = locked.header("retry-after").parse().unwrap();
        assert!((800..=900).contains(&after), "{after}");
    }
}
