//! Redis gone, hung, slow or flushed: requests go on.

use super::proxy::{Mode, Proxy};
use super::*;

/// How long requests wait for a Redis that does not answer.
const IMPATIENT: Duration = Duration::from_secs(1);

/// Two replicas that allow two requests a minute and user, and what is between them and Redis.
async fn two(site: &Site) -> (Replica, Replica, Proxy) {
    let settings = redis_settings();
    let proxy = Proxy::start(&settings.url).await;
    let settings = RedisSettings {
        url: proxy.url(),
        timeout: IMPATIENT,
        ..settings
    };
    let one = site
        .replica(Sharing::Redis(settings.clone()), Some(2))
        .await;
    let other = site.replica(Sharing::Redis(settings), Some(2)).await;
    (one, other, proxy)
}

async fn until_redis_answers(replicas: [&Replica; 2]) {
    until(|| {
        replicas
            .iter()
            .all(|replica| replica.app.redis_answers() == Some(true))
    })
    .await;
}

async fn each_counts_by_itself(replicas: [&Replica; 2], name: &str) {
    let person = replicas[0].register(name).await;
    for replica in replicas {
        for status in [200, 200, 429] {
            assert_eq!(replica.me(&person.token).await.status, status);
            assert_eq!(replica.app.redis_answers(), Some(false));
        }
    }
}

async fn they_count_together([one, other]: [&Replica; 2], name: &str) {
    let person = one.register(name).await;
    for (replica, status) in [(one, 200), (other, 200), (one, 429), (other, 429)] {
        assert_eq!(replica.me(&person.token).await.status, status);
    }
}

async fn goes_on_without(mode: Mode) {
    let site = Site::new().await;
    let (one, other, proxy) = two(&site).await;
    let both = [&one, &other];
    until_redis_answers(both).await;
    proxy.set(mode);
    each_counts_by_itself(both, "ann").await;
    // A login begun without Redis ends without it, too.
    let bob = other.register("bob").await;
    assert_eq!(other.me(&bob.token).await.status, 200);
    one.revoke(&bob.token).await;
    assert_eq!(other.me(&bob.token).await.status, 401);
    proxy.set(Mode::Pass);
    until_redis_answers(both).await;
    they_count_together(both, "eve").await;
}

#[tokio::test]
async fn a_redis_that_is_gone_is_done_without_until_it_is_back() {
    goes_on_without(Mode::Cut).await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_done_without_until_it_answers() {
    goes_on_without(Mode::Hang).await;
}

#[tokio::test]
async fn a_redis_that_is_slow_is_done_without_until_it_is_fast() {
    goes_on_without(Mode::Slow(IMPATIENT * 2)).await;
}

#[tokio::test]
async fn a_process_that_starts_without_redis_finds_it_later() {
    let site = Site::new().await;
    let settings = redis_settings();
    let proxy = Proxy::start(&settings.url).await;
    proxy.set(Mode::Cut);
    let there = Sharing::Redis(RedisSettings {
        url: proxy.url(),
        ..settings
    });
    let one = site.replica(there.clone(), Some(2)).await;
    let other = site.replica(there, Some(2)).await;
    each_counts_by_itself([&one, &other], "ann").await;
    proxy.set(Mode::Pass);
    until_redis_answers([&one, &other]).await;
    they_count_together([&one, &other], "bob").await;
}

#[tokio::test]
async fn a_redis_that_is_flushed_goes_on_being_used() {
    let site = Site::new().await;
    let mut settings = redis_settings();
    // A database that no other test uses: flushing it takes away nothing but ours.
    let mut url = url::Url::parse(secrecy::ExposeSecret::expose_secret(&settings.url)).unwrap();
    url.set_path("/15");
    settings.url = url.to_string().into();
    let one = site
        .replica(Sharing::Redis(settings.clone()), Some(2))
        .await;
    let other = site
        .replica(Sharing::Redis(settings.clone()), Some(2))
        .await;
    let ann = one.register("ann").await;
    they_count_together([&one, &other], "bob").await;
    let redis = redis(&settings).await;
    for replica in [&one, &other] {
        assert_eq!(replica.me(&ann.token).await.status, 200);
    }
    command::<()>(&redis, &["FLUSHDB"]).await;
    command::<()>(&redis, &["SCRIPT", "FLUSH"]).await;
    let after = other.me(&ann.token).await;
    assert_eq!(after.status, 200, "what was counted is lost, and no more");
    one.revoke(&ann.token).await;
    assert_eq!(other.me(&ann.token).await.status, 401);
    they_count_together([&one, &other], "eve").await;
    for replica in [&one, &other] {
        assert_eq!(replica.app.redis_answers(), Some(true));
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_told_at_the_start() {
    let settings = RedisSettings {
        url: "http://:hunter2@localhost".to_owned().into(),
        prefix: "smarttasks".to_owned(),
        timeout: RedisSettings::TIMEOUT,
    };
    let error = Redis::open(&settings).await.err().unwrap();
    let error = crate::StartError::from(error).to_string();
    assert!(error.starts_with("REDIS_URL cannot be used"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}
