//! Requests per minute, by the generic cell rate algorithm (GCRA; ITU-T I.371, annex A): a whole
//! minute's worth at once, then as they come back.
//!
//! Replicas count together in Redis. Without it, or while it does not answer, each counts by
//! itself.

mod local;
mod shared;
#[cfg(test)]
mod tests;

use super::one_address;
use crate::app::App;
use crate::problem::{ApiError, Code, whole_seconds};
use crate::redis::Redis;
use crate::request::client_address;
use crate::token::bearer;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{Extensions, HeaderName, HeaderValue};
use local::Local;
use shared::Shared;
use smarttasks_model::{Clock, UserId};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
/// The name of the policy by user.
const PRINCIPAL: &str = "principal";

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
pub(crate) struct RateLimits(Option<Limiters>);

struct Limiters {
    quotas: Quotas,
    clock: Clock,
    local: Local,
    shared: Option<Shared>,
}

/// Whose requests are counted.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Address(IpAddr),
    Principal(UserId),
}

impl RateLimits {
    /// Limits of `quotas`, or none, by `clock`: in `redis` if there is one.
    pub(crate) fn new(quotas: Option<Quotas>, clock: &Clock, redis: Option<Arc<Redis>>) -> Self {
        Self(quotas.map(|quotas| Limiters {
            quotas,
            clock: clock.clone(),
            local: Local::new(quotas, clock),
            shared: redis.map(Shared::new),
        }))
    }

    /// Counts a request of `user`, unless it was counted when it came. `extensions` are the
    /// request's, through which what is left reaches the headers of the response.
    ///
    /// # Errors
    /// 429 when the user's requests are used up.
    pub(crate) async fn count(
        &self,
        user: UserId,
        extensions: &Extensions,
    ) -> Result<(), ApiError> {
        let Some(limiters) = &self.0 else {
            return Ok(());
        };
        let report = extensions.get::<Report>();
        if report.is_some_and(Report::has_principal) {
            return Ok(());
        }
        let lefts = limiters.count(&[Subject::Principal(user)]).await;
        if let Some(report) = report {
            report.add(&lefts);
        }
        within(&lefts)
    }

    /// Serves a request from `address`, of `user` if it is known already whose it is, unless
    /// there have been too many.
    async fn around(
        &self,
        address: IpAddr,
        user: Option<UserId>,
        mut request: Request,
        next: Next,
    ) -> Response {
        let Some(limiters) = &self.0 else {
            return next.run(request).await;
        };
        let mut subjects = vec![Subject::Address(one_address(address))];
        subjects.extend(user.map(Subject::Principal));
        let lefts = limiters.count(&subjects).await;
        let report = Report::default();
        report.add(&lefts);
        let mut response = match within(&lefts) {
            Ok(()) => {
                request.extensions_mut().insert(report.clone());
                next.run(request).await
            }
            Err(error) => error.into_response(),
        };
        report.write(&mut response);
        response
    }
}

impl Limiters {
    /// Counts one request by each of `subjects`, up to the first that has none left.
    async fn count(&self, subjects: &[Subject]) -> Vec<Left> {
        if let Some(shared) = &self.shared
            && let Some(lefts) = shared.count(self.quotas, subjects, self.clock.now()).await
        {
            return lefts;
        }
        self.local.count(subjects)
    }
}

/// Middleware that counts each request by the address that it comes from and the user whose
/// token it bears, and tells in `RateLimit` and `RateLimit-Policy` what is left
/// (draft-ietf-httpapi-ratelimit-headers-10).
///
/// A token that nobody has seen yet is not looked at here, or an address whose requests are used
/// up could go on and make us verify signatures: its user is counted once they are known.
pub(crate) async fn counted(State(app): State<App>, request: Request, next: Next) -> Response {
    let token = bearer(request.headers()).ok();
    let claims = token.and_then(|token| app.sessions.known(token, app.now()));
    let address = client_address(request.extensions());
    let user = claims.map(|claims| claims.user);
    app.limits.around(address, user, request, next).await
}

/// What is left of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    policy: Policy,
    remaining: u32,
    /// Until a request is possible when none is now, else until all are again.
    reset: Duration,
    exceeded: bool,
}

/// By what is counted, and how many a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Policy {
    name: &'static str,
    quota: NonZeroU32,
}

impl Policy {
    fn of(subject: Subject, quotas: Quotas) -> Self {
        let (name, quota) = match subject {
            Subject::Address(_) => ("address", quotas.per_address),
            Subject::Principal(_) => (PRINCIPAL, quotas.per_principal),
        };
        Self { name, quota }
    }

    /// One more was possible, and so many still are.
    fn left(self, remaining: u32) -> Left {
        let used = self.quota.get().saturating_sub(remaining);
        Left {
            policy: self,
            remaining,
            reset: MINUTE * used / self.quota.get(),
            exceeded: false,
        }
    }

    /// The next is possible after `wait`.
    fn exceeded(self, wait: Duration) -> Left {
        Left {
            policy: self,
            remaining: 0,
            reset: wait,
            exceeded: true,
        }
    }
}

fn within(lefts: &[Left]) -> Result<(), ApiError> {
    let Some(left) = lefts.iter().find(|left| left.exceeded) else {
        return Ok(());
    };
    let Policy { name, quota } = left.policy;
    let detail = format!("More than {quota} requests a minute of one {name}.");
    Err(ApiError::too_many(Code::RateLimited, detail, left.reset))
}

/// What was counted for one request.
#[derive(Clone, Debug, Default)]
struct Report(Arc<Mutex<Vec<Left>>>);

impl Report {
    fn add(&self, lefts: &[Left]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(lefts);
    }

    fn has_principal(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|left| left.policy.name == PRINCIPAL)
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
            let Policy { name, quota } = left.policy;
            format!("\"{name}\";q={quota};w={}", MINUTE.as_secs())
        });
        put(HeaderName::from_static("ratelimit"), |left| {
            let (name, reset) = (left.policy.name, whole_seconds(left.reset));
            format!("\"{name}\";r={};t={reset}", left.remaining)
        });
    }
}
