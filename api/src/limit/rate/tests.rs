//! What is counted, and what is told of it.

use super::*;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Router, middleware};
use http::{StatusCode, header};
use smarttasks_model::Timestamp;
use std::net::SocketAddr;
use tower::ServiceExt;
use uuid::Uuid;

const ANN: UserId = UserId(Uuid::from_u128(1));
const BOB: UserId = UserId(Uuid::from_u128(2));

fn clock() -> Clock {
    Clock::fake(Timestamp::from_unix_millis(1_800_000_000_000))
}

fn limits(per_principal: u32, per_address: u32, clock: &Clock) -> Arc<RateLimits> {
    let quotas = Quotas {
        per_principal: per_principal.try_into().unwrap(),
        per_address: per_address.try_into().unwrap(),
    };
    Arc::new(RateLimits::new(Some(quotas), clock, None))
}

/// A route whose request is of Ann.
fn router(limits: &Arc<RateLimits>) -> Router {
    let of_ann = Arc::clone(limits);
    let route = async move |request: Request| of_ann.count(ANN, request.extensions()).await;
    let around = async |State(limits): State<Arc<RateLimits>>, request: Request, next: Next| {
        let address = client_address(request.extensions());
        limits.around(address, None, request, next).await
    };
    Router::new()
        .route("/", get(route))
        .layer(middleware::from_fn_with_state(Arc::clone(limits), around))
}

async fn get_from(router: &Router, address: &str) -> Response {
    let peer: SocketAddr = address.parse().unwrap();
    let request = Request::get("/").extension(ConnectInfo(peer));
    let request = request.body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

async fn used_up(limits: &RateLimits, user: UserId) -> Option<Duration> {
    match limits.count(user, &Extensions::new()).await {
        Ok(()) => None,
        Err(ApiError::Later { after, .. }) => Some(after),
        Err(other) => panic!("{other:?}"),
    }
}

async fn use_up(limits: &RateLimits, user: UserId) -> usize {
    let mut times = 0;
    while used_up(limits, user).await.is_none() {
        times += 1;
    }
    times
}

#[tokio::test]
async fn a_minutes_worth_is_used_up_and_comes_back() {
    let clock = clock();
    let limits = limits(60, 1000, &clock);
    assert_eq!(use_up(&limits, ANN).await, 60);
    let wait = used_up(&limits, ANN).await;
    assert_eq!(wait, Some(Duration::from_secs(1)));
    let of_bob = used_up(&limits, BOB).await;
    assert_eq!(of_bob, None, "one does not pay for another");
    clock.advance(Duration::from_secs(2));
    assert_eq!(use_up(&limits, ANN).await, 2);
    clock.advance(Duration::from_hours(1));
    assert_eq!(use_up(&limits, ANN).await, 60);
}

#[tokio::test]
async fn a_clock_set_back_an_hour_locks_nobody_out_for_an_hour() {
    let clock = clock();
    let limits = limits(60, 1000, &clock);
    use_up(&limits, ANN).await;
    clock.set(clock.now() - Duration::from_hours(1));
    assert!(used_up(&limits, ANN).await.is_some());
    clock.advance(Duration::from_secs(1));
    assert_eq!(used_up(&limits, ANN).await, None);
}

#[tokio::test]
async fn what_is_left_is_told_for_address_and_principal() {
    let clock = clock();
    let router = router(&limits(3, 60, &clock));
    let first = get_from(&router, "192.0.2.1:1").await;
    assert_eq!(first.status(), StatusCode::OK);
    let headers = first.headers();
    assert_eq!(
        headers["ratelimit-policy"],
        "\"address\";q=60;w=60, \"principal\";q=3;w=60"
    );
    assert_eq!(
        headers["ratelimit"],
        "\"address\";r=59;t=1, \"principal\";r=2;t=20"
    );
    get_from(&router, "192.0.2.1:1").await;
    get_from(&router, "192.0.2.1:1").await;
    let fourth = get_from(&router, "192.0.2.1:1").await;
    assert_eq!(fourth.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(fourth.headers()[header::RETRY_AFTER], "20");
    assert_eq!(
        fourth.headers()["ratelimit"],
        "\"address\";r=56;t=4, \"principal\";r=0;t=20"
    );
}

#[tokio::test]
async fn an_address_is_refused_before_anybody_asks_who_it_is() {
    let clock = clock();
    let router = router(&limits(1000, 2, &clock));
    for (from, status) in [
        ("192.0.2.1:1", 200),
        ("[::ffff:192.0.2.1]:2", 200),
        ("192.0.2.1:3", 429),
        ("192.0.2.2:1", 200),
        ("[2001:db8::1]:1", 200),
        ("[2001:db8::ffff:2]:1", 200),
        ("[2001:db8::3]:1", 429),
        ("[2001:db8:0:1::1]:1", 200),
    ] {
        assert_eq!(get_from(&router, from).await.status(), status, "{from}");
    }
    let refused = get_from(&router, "192.0.2.1:4").await;
    assert_eq!(refused.headers()["ratelimit"], "\"address\";r=0;t=30");
    assert_eq!(refused.headers()[header::RETRY_AFTER], "30");
}

#[tokio::test]
async fn without_limits_nothing_is_counted_or_told() {
    let router = router(&Arc::new(RateLimits::new(None, &clock(), None)));
    for _ in 0..100 {
        let response = get_from(&router, "192.0.2.1:1").await;
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("ratelimit"));
    }
}
