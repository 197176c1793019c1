//! What can go wrong in the store.

use crate::approvals::Approval;
use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};
use smarttasks_model::Invalid;
use std::time::Duration;

/// The store's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such row, or not one of this workspace.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The row's version is not the one that the caller named.
    #[error("the resource has changed: its version is {current}")]
    Changed {
        /// The version that the row has.
        current: i64,
    },
    /// Another write came between reading and writing, or a part of this one cannot be done:
    /// whoever decided must decide again.
    #[error("another write came first")]
    Overtaken,
    /// What was asked for contradicts what is there.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A question that is not open any more; it says what has come of it.
    #[error("the question is not open any more")]
    Closed(Box<Approval>),
    /// Values that cannot be taken because of other rows, such as an assignee who is no member.
    #[error("invalid values")]
    Invalid(Vec<Invalid>),
    /// More messages are pending than the configuration allows.
    #[error("too much work is pending")]
    Overloaded {
        /// When another try may help.
        retry_after: Duration,
    },
    /// The database could not be reached or is being shut down; nothing was changed.
    #[error("the database is not available")]
    Unavailable(#[source] Option<DbErr>),
    /// The write has to run in a transaction of its own; never leaves the store.
    #[error("the write shares a transaction")]
    NotAlone,
    /// A mistake of ours, which the panic's own message in the log tells; nothing was changed.
    #[error("the write panicked")]
    Panicked,
    /// A row that this version cannot read.
    #[error("stored {0} cannot be read: {1}")]
    Unreadable(&'static str, String),
    /// Any other failure of the database.
    #[error("the database failed")]
    Database(#[source] DbErr),
}

/// What contradicts what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The e-mail address has an account.
    #[error("an account with this e-mail address exists")]
    EmailTaken,
    /// Another rule or endpoint of the workspace has the name.
    #[error("the name is taken in this workspace")]
    NameTaken,
    /// A disabled rule starts nothing.
    #[error("the rule is disabled")]
    RuleDisabled,
    /// A disabled endpoint is sent nothing.
    #[error("the endpoint is disabled")]
    EndpointDisabled,
    /// A delivery that is not to be sent is not tried again.
    #[error("the delivery is suppressed")]
    Suppressed,
    /// A run that has ended does not go on.
    #[error("the run has ended")]
    RunEnded,
    /// A run that has not ended, or has ended well, is not tried again.
    #[error("the run has not failed")]
    RunNotFailed,
    /// The version of the rule with which the run is to be tried again has been deleted.
    #[error("the version of the rule is gone")]
    NoVersion,
    /// What the run was to go on with is not known.
    #[error("the run did not fail in going on")]
    NoSegment,
    /// The run that made the request has its answer, and another would be nobody's.
    #[error("the request has ended")]
    RequestEnded,
    /// A row with the same key exists.
    #[error("it exists already")]
    Exists,
}

impl Error {
    /// Whether the same call may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Overloaded { .. })
    }

    /// Whether the database ended a statement that took longer than statements may.
    pub fn is_cut_off(&self) -> bool {
        let Self::Unavailable(Some(
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)),
        )) = self
        else {
            return false;
        };
        // PostgreSQL's QUERY_CANCELED and SQLite's INTERRUPT.
        let code = cause.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| matches!(&*code, "57014" | "9"))
    }

    /// Names what a violated unique constraint means for this write.
    #[must_use]
    pub fn conflict_as(self, conflict: Conflict) -> Self {
        match self {
            Self::Conflict(Conflict::Exists) => Self::Conflict(conflict),
            other => other,
        }
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if let Some(SqlErr::UniqueConstraintViolation(_)) = error.sql_err() {
            return Self::Conflict(Conflict::Exists);
        }
        if is_unavailable(&error) {
            Self::Unavailable(Some(error))
        } else {
            Self::Database(error)
        }
    }
}

/// Whether the same statement may succeed later: everything that is wrong with the database
/// rather than with what it was asked.
fn is_unavailable(error: &DbErr) -> bool {
    let cause = match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => return true,
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
            cause
        }
        _ => return false,
    };
    match &**cause {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| match code.len() {
            5 => is_temporary_state(&code),
            _ => is_temporary_sqlite(&code),
        }),
        _ => false,
    }
}

/// By PostgreSQL's table of error codes: connections (08), transactions ended because of others
/// (40), resources (53), an operator or a limit (57), the system under it (58); a lock that was not
/// to be had, a session that was idle for too long, a server that takes no writes.
fn is_temporary_state(code: &str) -> bool {
    matches!(code.get(..2), Some("08" | "40" | "53" | "57" | "58"))
        || matches!(code, "55P03" | "25P03" | "25006")
}

/// SQLite's extended codes hold the primary one in their low byte (sqlite.org/rescode.html): BUSY,
/// LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN.
fn is_temporary_sqlite(code: &str) -> bool {
    let primary = code.parse::<i32>().map(|code| code & 0xff);
    primary.is_ok_and(|primary| matches!(primary, 5..=10 | 13 | 14))
}
