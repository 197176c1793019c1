//! What a receiver's status means: done, try again, or never again.

use crate::{Reason, SendError};
use chrono::DateTime;
use http::{HeaderMap, StatusCode, header};
use smarttasks_model::Timestamp;
use std::time::Duration;

/// A receiver's `Retry-After` counts up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// What an answer to a webhook means.
///
/// Success is 2xx. For good fail only redirects, which are never followed, and 410, by which a
/// receiver says that it wants no more. Everything else is worth another try, also 4xx: receivers
/// are configured wrongly, and then rightly (Standard Webhooks 1.0, "Deliverability and
/// reliability").
pub(crate) fn of_webhook(
    status: StatusCode,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<(), SendError> {
    let code = status.as_u16();
    match code {
        200..=299 => Ok(()),
        300..=399 => Err(SendError::Permanent(Reason::Redirected(code))),
        410 => Err(SendError::Permanent(Reason::Gone)),
        _ => Err(again(status, headers, now)),
    }
}

/// What an answer to a script's request means.
///
/// Every status is an answer for the script to judge, redirects and refusals too, but for those
/// that say "not now": 408, 425, 429 and 5xx.
pub(crate) fn of_request(
    status: StatusCode,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<(), SendError> {
    match status.as_u16() {
        408 | 425 | 429 | 500..=599 => Err(again(status, headers, now)),
        _ => Ok(()),
    }
}

/// `Retry-After` is honoured with 429 and 503, where HTTP gives it a meaning.
fn again(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> SendError {
    let code = status.as_u16();
    SendError::Transient {
        reason: Reason::Status(code),
        retry_after: match code {
            429 | 503 => retry_after(headers, now),
            _ => None,
        },
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), at most a day; what cannot
/// be read is as good as absent.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are more than a day too.
        true => text.parse().map_or(LONGEST_WAIT, Duration::from_secs),
        false => {
            let date = DateTime::parse_from_rfc2822(text).ok()?;
            Timestamp::from(date.to_utc()).since(now)
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(code: u16, retry_after: Option<&str>) -> Result<(), SendError> {
        let now: Timestamp = "2026-12-01T09:00:00Z".parse().unwrap();
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        }
        of_webhook(StatusCode::from_u16(code).unwrap(), &headers, now)
    }

    #[test]
    fn every_status_has_its_verdict() {
        for code in 100..=599 {
            let verdict = match judged(code, None) {
                Ok(()) => "delivered",
                Err(SendError::Permanent(reason)) => reason.label(),
                Err(SendError::Transient { reason, .. }) => {
                    assert_eq!(reason, Reason::Status(code));
                    "again"
                }
            };
            let expected = match code {
                200..=299 => "delivered",
                300..=399 => "redirected",
                410 => "gone",
                _ => "again",
            };
            assert_eq!(verdict, expected, "{code}");
        }
    }

    #[test]
    fn to_a_request_every_status_is_an_answer_but_those_that_say_not_now() {
        let now = Timestamp::from_unix_millis(0);
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "60".parse().unwrap());
        for code in 100..=599 {
            let verdict = of_request(StatusCode::from_u16(code).unwrap(), &headers, now);
            let waits = verdict.err().map(|error| error.retry_after());
            let minute = Some(Duration::from_secs(60));
            let expected = match code {
                429 | 503 => Some(minute),
                408 | 425 | 500..=599 => Some(None),
                _ => None,
            };
            assert_eq!(waits, expected, "{code}");
        }
    }

    #[test]
    fn retry_after_is_honoured_within_bounds() {
        let day = Some(86_400);
        for (text, seconds) in [
            ("120", Some(120)),
            (" 120 ", Some(120)),
            ("0", Some(0)),
            ("86401", day),
            ("99999999999999999999999999", day),
            ("Tue, 01 Dec 2026 09:10:00 GMT", Some(600)),
            ("Tue, 01 Dec 2026 08:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", day),
            ("-1", None),
            ("+5", None),
            ("1.5", None),
            ("1e9", None),
            ("soon", None),
            ("", None),
        ] {
            for code in [429, 503] {
                let waits = judged(code, Some(text)).unwrap_err().retry_after();
                assert_eq!(waits.map(|wait| wait.as_secs()), seconds, "{code} {text:?}");
            }
            for code in [408, 425, 500, 502, 504, 404, 410] {
                assert_eq!(judged(code, Some(text)).unwrap_err().retry_after(), None);
            }
        }
    }
}
