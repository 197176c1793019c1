//! Requests per minute, by the generic cell rate algorithm: a whole minute's worth at once, then
//! as they come back.

use super::one_address;
use crate::problem::{ApiError, Code, whole_seconds};
use crate::request::client_address;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::Clock as GovernorClock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use http::{HeaderName, HeaderValue};
use quick_cache::sync::Cache;
use smarttasks_model::{Clock, Timestamp, UserId};
use std::convert::Infallible;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Principals and addresses that are remembered; some 100 bytes each.
const REMEMBERED: usize = 100_000;
const MINUTE: Duration = Duration::from_mins(1);

/// Requests per minute.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Of one user.
    pub per_principal: NonZeroU32,
    /// From one address, signed in or not.
    pub per_address: NonZeroU32,
}

impl Quotas {
    /// `per_minute` for each user, and four times that for an address, which people share.
    pub fn per_minute(per_minute: NonZeroU32) -> Self {
        Self {
            per_principal: per_minute,
            per_address: per_minute.saturating_mul(NonZeroU32::MIN.saturating_add(3)),
        }
    }
}

/// Counts requests.
pub struct RateLimits(Option<Limiters>);

struct Limiters {
    principals: Limiter<UserId>,
    addresses: Limiter<IpAddr>,
}

impl std::fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let on = if self.0.is_some() { "on" } else { "off" };
        write!(f, "RateLimits({on})")
    }
}

impl RateLimits {
    /// Limits of `quotas`, or none, by `clock`.
    pub fn new(quotas: Option<Quotas>, clock: &Clock) -> Self {
        Self(quotas.map(|quotas| Limiters {
            principals: Limiter::new("principal", quotas.per_principal, clock),
            addresses: Limiter::new("address", quotas.per_address, clock),
        }))
    }

    /// Counts a request of `user`. `extensions` are the request's, through which what is left
    /// reaches the headers of the response.
    ///
    /// # Errors
    /// 429 when the user's requests are used up.
    pub fn count(&self, user: UserId, extensions: &http::Extensions) -> Result<(), ApiError> {
        let Some(limiters) = &self.0 else {
            return Ok(());
        };
        let left = limiters.principals.count(&user);
        if let Some(report) = extensions.get::<Report>() {
            report.push(left);
        }
        left.within()
    }
}

/// Middleware that counts each request by the address it comes from, and tells in `RateLimit`
/// and `RateLimit-Policy` what is left (draft-ietf-httpapi-ratelimit-headers-10).
pub async fn by_address(
    State(limits): State<Arc<RateLimits>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(limiters) = &limits.0 else {
        return next.run(request).await;
    };
    let address = one_address(client_address(request.extensions()));
    let left = limiters.addresses.count(&address);
    let report = Report::default();
    report.push(left);
    let mut response = match left.within() {
        Ok(()) => {
            request.extensions_mut().insert(report.clone());
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    report.write(&mut response);
    response
}

/// What is left of a quota.
#[derive(Clone, Copy, Debug)]
struct Left {
    policy: &'static str,
    quota: u32,
    remaining: u32,
    /// Until a request is possible when none is now, else until all are again.
    reset: Duration,
    exceeded: bool,
}

impl Left {
    fn within(self) -> Result<(), ApiError> {
        if !self.exceeded {
            return Ok(());
        }
        let detail = format!(
            "More than {} requests a minute of one {}.",
            self.quota, self.policy
        );
        Err(ApiError::too_many(Code::RateLimited, detail, self.reset))
    }
}

/// What was counted for one request, by its address and then by its principal.
#[derive(Clone, Debug, Default)]
struct Report(Arc<Mutex<Vec<Left>>>);

impl Report {
    fn push(&self, left: Left) {
        let mut lefts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lefts.retain(|other| other.policy != left.policy);
        lefts.push(left);
    }

    fn write(&self, response: &mut Response) {
        let lefts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut put = |name: HeaderName, item: fn(&Left) -> String| {
            let items: Vec<String> = lefts.iter().map(item).collect();
            if let Ok(value) = HeaderValue::try_from(items.join(", ")) {
                response.headers_mut().insert(name, value);
            }
        };
        put(HeaderName::from_static("ratelimit-policy"), |left| {
            format!(
                "\"{}\";q={};w={}",
                left.policy,
                left.quota,
                MINUTE.as_secs()
            )
        });
        put(HeaderName::from_static("ratelimit"), |left| {
            let reset = whole_seconds(left.reset);
            format!("\"{}\";r={};t={reset}", left.policy, left.remaining)
        });
    }
}

type Bucket<K> = RateLimiter<K, Bounded<K>, Elapsed, StateInformationMiddleware>;

struct Limiter<K: Eq + Hash + Clone> {
    policy: &'static str,
    quota: NonZeroU32,
    bucket: Bucket<K>,
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    fn new(policy: &'static str, quota: NonZeroU32, clock: &Clock) -> Self {
        let states = Bounded(Cache::new(REMEMBERED));
        Self {
            policy,
            quota,
            bucket: RateLimiter::new(Quota::per_minute(quota), states, Elapsed::by(clock)),
        }
    }

    fn count(&self, key: &K) -> Left {
        let counted = self.bucket.check_key(key);
        let (remaining, reset) = match &counted {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = self.quota.get().saturating_sub(remaining);
                (remaining, MINUTE * used / self.quota.get())
            }
            Err(until) => (0, until.wait_time_from(self.bucket.clock().now())),
        };
        Left {
            policy: self.policy,
            quota: self.quota.get(),
            remaining,
            reset,
            exceeded: counted.is_err(),
        }
    }
}

/// One state for each key, as many as there is room for: a flood of keys costs no more memory.
struct Bounded<K>(Cache<K, Arc<InMemoryState>>);

impl<K: Eq + Hash + Clone> StateStore for Bounded<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let fresh = || Ok::<_, Infallible>(Arc::default());
        match self.0.get_or_insert_with(key, fresh) {
            Ok(state) => state.measure_and_replace(&NotKeyed::NonKey, decide),
        }
    }
}

/// The time that went by on the project's clock. A clock that is set back stands still until its
/// next step forward, so that nobody waits for an hour to come by again.
#[derive(Clone, Debug)]
struct Elapsed {
    clock: Clock,
    seen: Arc<Mutex<(Timestamp, Duration)>>,
}

impl Elapsed {
    fn by(clock: &Clock) -> Self {
        Self {
            seen: Arc::new(Mutex::new((clock.now(), Duration::ZERO))),
            clock: clock.clone(),
        }
    }
}

impl GovernorClock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        *seen = (now, seen.1 + now.since(seen.0));
        seen.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::extract::ConnectInfo;
    use axum::routing::get;
    use axum::{Router, middleware};
    use http::{StatusCode, header};
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
        Arc::new(RateLimits::new(Some(quotas), clock))
    }

    /// A route whose request is of Ann.
    fn router(limits: &Arc<RateLimits>) -> Router {
        let of_ann = Arc::clone(limits);
        let route = async move |request: Request| of_ann.count(ANN, request.extensions());
        Router::new()
            .route("/", get(route))
            .layer(middleware::from_fn_with_state(
                Arc::clone(limits),
                by_address,
            ))
    }

    async fn get_from(router: &Router, address: &str) -> Response {
        let peer: SocketAddr = address.parse().unwrap();
        let request = Request::get("/").extension(ConnectInfo(peer));
        let request = request.body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap()
    }

    fn used_up(limits: &RateLimits, user: UserId) -> Option<Duration> {
        match limits.count(user, &http::Extensions::new()) {
            Ok(()) => None,
            Err(ApiError::Later { after, .. }) => Some(after),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_minutes_worth_is_used_up_and_comes_back() {
        let clock = clock();
        let limits = limits(60, 1000, &clock);
        assert!((0..60).all(|_| used_up(&limits, ANN).is_none()));
        assert_eq!(used_up(&limits, ANN), Some(Duration::from_secs(1)));
        assert_eq!(used_up(&limits, BOB), None, "one does not pay for another");
        clock.advance(Duration::from_secs(2));
        assert_eq!(used_up(&limits, ANN), None);
        assert_eq!(used_up(&limits, ANN), None);
        assert_eq!(used_up(&limits, ANN), Some(Duration::from_secs(1)));
        clock.advance(Duration::from_hours(1));
        assert!((0..60).all(|_| used_up(&limits, ANN).is_none()));
        assert!(used_up(&limits, ANN).is_some());
    }

    #[test]
    fn a_clock_set_back_an_hour_locks_nobody_out_for_an_hour() {
        let clock = clock();
        let limits = limits(60, 1000, &clock);
        while used_up(&limits, ANN).is_none() {}
        clock.set(clock.now() - Duration::from_hours(1));
        assert!(used_up(&limits, ANN).is_some());
        clock.advance(Duration::from_secs(1));
        assert_eq!(used_up(&limits, ANN), None);
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
        let router = router(&Arc::new(RateLimits::new(None, &clock())));
        for _ in 0..100 {
            let response = get_from(&router, "192.0.2.1:1").await;
            assert_eq!(response.status(), 200);
            assert!(!response.headers().contains_key("ratelimit"));
        }
    }

    #[test]
    fn a_flood_of_keys_is_not_kept() {
        let limiter = Limiter::new("address", NonZeroU32::MIN, &clock());
        for key in 0..120_000u32 {
            assert!(!limiter.count(&key).exceeded);
        }
        assert!(limiter.bucket.into_state_store().0.len() <= REMEMBERED);
    }
}
