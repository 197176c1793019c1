//! Every code that a problem may have: a refusal's name is part of the API, so it is made here
//! or not at all.

use http::StatusCode;
use serde::{Serialize, Serializer};
use std::fmt;

macro_rules! codes {
    ($($variant:ident $status:ident $code:literal $title:literal $meaning:literal)+) => {
        /// The stable name of a kind of problem.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name, in `snake_case`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The status of a response with this code.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// The kind of problem in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// When it occurs and what to do.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

codes! {
    MalformedRequest BAD_REQUEST "malformed_request" "The request could not be read"
        "The body ended early, or a header or parameter is not what HTTP allows."
    MalformedJson BAD_REQUEST "malformed_json" "The body is not JSON"
        "The body could not be read as JSON; `errors` has line and column. Duplicate keys, numbers beyond what a double holds, and nesting deeper than 127 are refused too."
    InvalidRequest BAD_REQUEST "invalid_request" "A parameter is missing or wrong"
        "A form sent to a token endpoint lacks a parameter or has one that it does not know."
    InvalidGrant BAD_REQUEST "invalid_grant" "The credentials were not accepted"
        "The e-mail address, password or refresh token is wrong, expired or used up. Log in again."
    UnsupportedGrantType BAD_REQUEST "unsupported_grant_type" "There is no such grant type"
        "The token endpoint takes the grant types `password` and `refresh_token`."
    Unauthenticated UNAUTHORIZED "unauthenticated" "Who are you?"
        "The request needs an access token: `Authorization: Bearer <token>`, from `POST /api/v1/auth/token`."
    InvalidToken UNAUTHORIZED "invalid_token" "The access token was not accepted"
        "The access token is expired, ended or not ours. Get another with the refresh token, or log in again."
    Forbidden FORBIDDEN "forbidden" "You may not do this"
        "Your role in the workspace does not give this right."
    RegistrationClosed FORBIDDEN "registration_closed" "Registration is closed"
        "This server does not let people register by themselves. Ask its operator for an account."
    NotFound NOT_FOUND "not_found" "There is no such thing here"
        "It does not exist, or is not yours to know of."
    MethodNotAllowed METHOD_NOT_ALLOWED "method_not_allowed" "This method is not possible here"
        "The resource exists, but not with this method; the `Allow` header names those it has."
    Conflict CONFLICT "conflict" "It conflicts with what is there"
        "The present state does not allow it, or somebody else changed it at the same time."
    EmailTaken CONFLICT "email_taken" "The e-mail address has an account"
        "Addresses belong to one account, without regard to case. Log in, or use another."
    NameTaken CONFLICT "name_taken" "The name is taken"
        "Another one of the workspace has the name. Choose another."
    RuleDisabled CONFLICT "rule_disabled" "The rule is disabled"
        "A disabled rule starts nothing. Enable it first."
    PreconditionFailed PRECONDITION_FAILED "precondition_failed" "It has changed since you read it"
        "The `If-Match` header names another version than the present one. Read again, then decide."
    BodyTooSlow REQUEST_TIMEOUT "body_too_slow" "The body came too slowly"
        "We wait ten seconds for a body. Nothing was carried out."
    BodyTooLarge PAYLOAD_TOO_LARGE "body_too_large" "The body is too large"
        "A body may have at most one mebibyte."
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body is of the wrong type"
        "Send `Content-Type: application/json`; for PATCH also `application/merge-patch+json`; for the token endpoints `application/x-www-form-urlencoded`."
    Invalid UNPROCESSABLE_ENTITY "invalid" "A value is not valid"
        "`errors` names every value that was wrong and says what would be right."
    InvalidCursor UNPROCESSABLE_ENTITY "invalid_cursor" "The cursor is not valid"
        "Cursors are taken from `next_cursor` as they are and serve the list, workspace and order that they came from. Begin without one."
    InvalidScript UNPROCESSABLE_ENTITY "invalid_script" "The script does not compile"
        "`errors` has line and column of everything that is wrong with the script."
    IdempotencyKeyReused UNPROCESSABLE_ENTITY "idempotency_key_reused" "The idempotency key was used before"
        "The same `Idempotency-Key` came with another request in the last 24 hours. Take a new one."
    RateLimited TOO_MANY_REQUESTS "rate_limited" "Too many requests"
        "Wait as long as `Retry-After` says. The `RateLimit` headers tell beforehand what is left."
    LoginLocked TOO_MANY_REQUESTS "login_locked" "Too many wrong passwords"
        "After too many wrong passwords nobody can log in to the account, or from the address, for a while."
    Internal INTERNAL_SERVER_ERROR "internal" "Something went wrong on our side"
        "The `X-Request-Id` of the answer finds the cause in the log."
    Unavailable SERVICE_UNAVAILABLE "unavailable" "The service is not available now"
        "Something that the request needs is overloaded or does not answer. Try again after `Retry-After`."
    Timeout SERVICE_UNAVAILABLE "timeout" "It took too long"
        "The request was given up after three seconds, those aside in which its body was still coming. A write may or may not have been carried out: repeat it with the same `Idempotency-Key`."
}

impl Code {
    /// The nearest code of RFC 6749, sections 4.1.2.1 and 5.2.
    pub(super) fn oauth_error(self) -> &'static str {
        match self {
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            _ if self.status() == StatusCode::TOO_MANY_REQUESTS => "temporarily_unavailable",
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
            _ if self.status().is_server_error() => "server_error",
            _ => "invalid_request",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_snake_case_and_unlike_each_other() {
        let names: HashSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for name in names {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
        }
    }
}
