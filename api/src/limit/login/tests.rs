//! Who is locked out, and for how long.

use super::*;
use crate::redis::RedisSettings;
use crate::tests::{command, redis, redis_settings};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_millis(1_800_000_000_000) + Duration::from_secs(seconds)
}

fn email(name: &str) -> Email {
    format!("{name}@example.com").parse().unwrap()
}

fn home() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

async fn try_wrong(logins: &Logins, name: &str, now: Timestamp) -> Result<(), ApiError> {
    let attempt = logins.attempt(&email(name), home(), now).await?;
    attempt.wrong(now).await;
    Ok(())
}

fn refused(attempt: Result<Attempt<'_>, ApiError>) -> ApiError {
    attempt.err().expect("the login was let through")
}

#[tokio::test]
async fn of_a_hundred_wrong_logins_ten_are_tried() {
    let logins = Logins::new(None);
    let mut tried = 0;
    for second in 0..100 {
        tried += usize::from(try_wrong(&logins, "ann", at(second)).await.is_ok());
    }
    assert_eq!(tried, 10);
    let locked = refused(logins.attempt(&email("ANN"), home(), at(100)).await);
    let ApiError::Later { code, after, .. } = locked else {
        panic!("{locked:?}")
    };
    assert_eq!(code, Code::LoginLocked);
    assert_eq!(after, LOCKED_FOR - Duration::from_secs(91));
    assert!(logins.attempt(&email("bob"), home(), at(100)).await.is_ok());
}

#[tokio::test]
async fn a_lock_ends() {
    let logins = Logins::new(None);
    for _ in 0..10 {
        try_wrong(&logins, "ann", at(0)).await.unwrap();
    }
    assert!(try_wrong(&logins, "ann", at(15 * 60 - 1)).await.is_err());
    for _ in 0..10 {
        try_wrong(&logins, "ann", at(15 * 60)).await.unwrap();
    }
    assert!(try_wrong(&logins, "ann", at(15 * 60)).await.is_err());
}

#[tokio::test]
async fn nine_wrong_logins_an_hour_never_lock() {
    let logins = Logins::new(None);
    for hour in 0..5 {
        for _ in 0..9 {
            try_wrong(&logins, "ann", at(hour * 3600)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_hour_slides() {
    let logins = Logins::new(None);
    try_wrong(&logins, "ann", at(0)).await.unwrap();
    for _ in 0..8 {
        try_wrong(&logins, "ann", at(3599)).await.unwrap();
    }
    try_wrong(&logins, "ann", at(3600)).await.unwrap();
    try_wrong(&logins, "ann", at(3600)).await.unwrap();
    assert!(try_wrong(&logins, "ann", at(3600)).await.is_err());
}

#[tokio::test]
async fn a_right_password_forgives_the_wrong_ones_before() {
    let logins = Logins::new(None);
    for _ in 0..5 {
        for _ in 0..9 {
            try_wrong(&logins, "ann", at(0)).await.unwrap();
        }
        let attempt = logins.attempt(&email("ann"), home(), at(0)).await;
        attempt.ok().unwrap().right().await;
    }
}

#[tokio::test]
async fn many_at_once_get_no_further_than_many_in_a_row() {
    let logins = Logins::new(None);
    let ann = email("ann");
    let attempt = || logins.attempt(&ann, home(), at(0));
    let mut at_once = Vec::new();
    for _ in 0..100 {
        at_once.extend(attempt().await);
    }
    assert_eq!(at_once.len(), 10);
    let ApiError::Later { after, .. } = refused(attempt().await) else {
        panic!("the eleventh was let through")
    };
    assert_eq!(after, Duration::from_secs(1));
    drop(at_once);
    assert!(attempt().await.is_ok(), "logins given up are not counted");
}

#[tokio::test]
async fn an_address_is_locked_over_many_accounts() {
    let logins = Logins::new(None);
    for account in 0..100 {
        try_wrong(&logins, &format!("user{account}"), at(0))
            .await
            .unwrap();
    }
    assert!(try_wrong(&logins, "one-more", at(1)).await.is_err());
    let elsewhere = "192.0.2.2".parse().unwrap();
    let there = logins.attempt(&email("one-more"), elsewhere, at(1)).await;
    assert!(there.is_ok());
}

#[tokio::test]
async fn a_clock_set_back_does_not_lengthen_a_lock() {
    let logins = Logins::new(None);
    for _ in 0..10 {
        try_wrong(&logins, "ann", at(7200)).await.unwrap();
    }
    assert!(try_wrong(&logins, "ann", at(0)).await.is_err());
    assert!(try_wrong(&logins, "ann", at(15 * 60)).await.is_ok());
}

/// Makes what is counted in Redis seem older.
async fn pass(settings: &RedisSettings, seconds: u32) {
    let redis = redis(settings).await;
    let all = redis.key("login:*");
    let keys: Vec<String> = command(&redis, &["KEYS", &all]).await;
    let earlier = format!("-{}", seconds * 1000);
    for key in keys {
        let members: Vec<String> = command(&redis, &["ZRANGE", &key, "0", "-1"]).await;
        for member in members {
            command::<String>(&redis, &["ZINCRBY", &key, &earlier, &member]).await;
        }
    }
}

#[tokio::test]
async fn in_redis_a_lock_ends_and_the_hour_slides() {
    let settings = redis_settings();
    let logins = Logins::new(Some(redis(&settings).await));
    try_wrong(&logins, "ann", at(0)).await.unwrap();
    pass(&settings, 3598).await;
    for _ in 0..9 {
        try_wrong(&logins, "ann", at(0)).await.unwrap();
    }
    assert!(try_wrong(&logins, "ann", at(0)).await.is_err());
    pass(&settings, 15 * 60 - 60).await;
    assert!(try_wrong(&logins, "ann", at(0)).await.is_err());
    pass(&settings, 60).await;
    for _ in 0..9 {
        try_wrong(&logins, "ann", at(0)).await.unwrap();
    }
    pass(&settings, 3600).await;
    for _ in 0..10 {
        try_wrong(&logins, "ann", at(0)).await.unwrap();
    }
    assert!(try_wrong(&logins, "ann", at(0)).await.is_err());
}

#[tokio::test]
async fn in_redis_a_clock_set_back_does_not_lengthen_a_lock() {
    let settings = redis_settings();
    let logins = Logins::new(Some(redis(&settings).await));
    for _ in 0..10 {
        try_wrong(&logins, "ann", at(0)).await.unwrap();
    }
    let redis = redis(&settings).await;
    let wrong: Vec<String> = command(&redis, &["KEYS", &redis.key("login:wrong:*")]).await;
    for key in wrong {
        let members: Vec<String> = command(&redis, &["ZRANGE", &key, "0", "-1"]).await;
        for member in members {
            command::<String>(&redis, &["ZINCRBY", &key, "7200000", &member]).await;
        }
    }
    let locked = refused(logins.attempt(&email("ann"), home(), at(0)).await);
    let ApiError::Later { after, .. } = locked else {
        panic!("{locked:?}")
    };
    assert!(after <= LOCKED_FOR, "{after:?}");
}

#[tokio::test]
async fn in_redis_many_at_once_get_no_further_than_many_in_a_row() {
    let settings = redis_settings();
    let logins = Logins::new(Some(redis(&settings).await));
    let ann = email("ann");
    let attempt = || logins.attempt(&ann, home(), at(0));
    let at_once = futures_util::future::join_all((0..100).map(|_| attempt())).await;
    let at_once: Vec<_> = at_once.into_iter().flatten().collect();
    assert_eq!(at_once.len(), 10);
    assert!(attempt().await.is_err());
    drop(at_once);
    pass(&settings, 10).await;
    let again = attempt().await;
    assert!(again.is_ok(), "logins given up are not counted for long");
}

#[tokio::test]
async fn in_redis_an_address_is_locked_over_many_accounts() {
    let settings = redis_settings();
    let logins = Logins::new(Some(redis(&settings).await));
    for account in 0..100 {
        try_wrong(&logins, &format!("user{account}"), at(0))
            .await
            .unwrap();
    }
    assert!(try_wrong(&logins, "one-more", at(0)).await.is_err());
    let elsewhere = "192.0.2.2".parse().unwrap();
    let there = logins.attempt(&email("one-more"), elsewhere, at(0)).await;
    assert!(there.is_ok());
}
