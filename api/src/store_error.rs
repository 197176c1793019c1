//! What the store refuses, as problems: by type, never by message text.

use crate::etag::IfMatch;
use crate::problem::{ApiError, Code};
use smarttasks_model::TimeZone;
use smarttasks_store::approvals::Approval;
use smarttasks_store::{Conflict, Error};
use std::time::Duration;

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(what) => Self::not_found(what),
            Error::Changed { current } => IfMatch::failed(current),
            Error::Closed(approval) => Self::closed(&approval),
            Error::Invalid(wrong) => Self::invalid(wrong),
            Error::Conflict(Conflict::EmailTaken) => Self::new(
                Code::EmailTaken,
                "An account with this e-mail address exists; log in, or use another.",
            ),
            Error::Conflict(Conflict::NameTaken) => Self::new(
                Code::NameTaken,
                "Another one in this workspace has this name; choose another.",
            ),
            Error::Conflict(Conflict::RuleDisabled) => Self::new(
                Code::RuleDisabled,
                "The rule is disabled and starts nothing; enable it first.",
            ),
            Error::Conflict(Conflict::EndpointDisabled) => Self::new(
                Code::Conflict,
                "The endpoint is disabled and is sent nothing; enable it first.",
            ),
            Error::Conflict(Conflict::Suppressed) => Self::new(
                Code::Conflict,
                "The delivery is suppressed, for the `reason` that it names, and is not tried again.",
            ),
            Error::Conflict(Conflict::RunEnded) => {
                Self::new(Code::Conflict, "The run has ended; see its `status`.")
            }
            Error::Conflict(Conflict::RunNotFailed) => Self::new(
                Code::Conflict,
                "Only a run that has failed, diverged or been cancelled can be tried again; see its `status`.",
            ),
            Error::Conflict(Conflict::NoVersion) => Self::new(
                Code::Conflict,
                "The rule has been deleted, and with it the version that the run would need.",
            ),
            Error::Conflict(Conflict::NoSegment) => Self::new(
                Code::Conflict,
                "The run did not end in going on after a wait; try it again from the `start`.",
            ),
            Error::Conflict(Conflict::RequestEnded) => Self::new(
                Code::Conflict,
                "The run that made the request has gone on with what came of it, and another answer would be nobody's; retry the run instead.",
            ),
            Error::Conflict(Conflict::Exists) | Error::Overtaken => Self::new(
                Code::Conflict,
                "Somebody else did the same at the same time.",
            ),
            Error::Overloaded { retry_after } => {
                Self::unavailable("Too much work is pending.", retry_after)
            }
            Error::Unavailable(_) => {
                tracing::warn!(error = %Told(&error), "the database is not available");
                Self::unavailable("The database does not answer.", Duration::from_secs(1))
            }
            Error::NotAlone | Error::Panicked | Error::Unreadable(..) | Error::Database(_) => {
                Self::internal(error)
            }
        }
    }
}

impl ApiError {
    /// 409 that says what has come of a question.
    fn closed(approval: &Approval) -> Self {
        let outcome = approval.outcome(&TimeZone::default()).unwrap_or_default();
        let detail = format!("The question is not open any more. {outcome}");
        Self::new(Code::Conflict, detail)
    }
}

struct Told<'a>(&'a Error);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)?;
        match std::error::Error::source(self.0) {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}
