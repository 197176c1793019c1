//! What can go wrong between the outbox and its consumers.

use std::time::Duration;

/// The bus's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the broker, or the table of dead letters, could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configured address is no AMQP address.
    #[error("the broker's address is not of the form amqp://user:password@host:port/vhost: {0}")]
    Address(String),
    /// Nothing that speaks AMQP answers, or it refuses us.
    #[error("cannot connect to the broker at {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// What happened.
        #[source]
        source: lapin::Error,
    },
    /// The broker is silent.
    #[error("the broker did not answer within {0:?} while {1}")]
    Silent(Duration, &'static str),
    /// An exchange or a queue exists in another form than this version needs.
    #[error(
        "{what} exists in another form than needed: {reason}; delete it once it is empty, or \
         choose another SMARTTASKS_BUS__PREFIX"
    )]
    Topology {
        /// The exchange or queue.
        what: String,
        /// The broker's words.
        reason: String,
    },
    /// The broker ended the conversation.
    #[error("the broker failed while {doing}")]
    Broker {
        /// What it was asked to do.
        doing: &'static str,
        /// What happened.
        #[source]
        source: lapin::Error,
    },
    /// The broker answers, but did not take a message.
    #[error("the broker did not take a message: {0}")]
    Refused(String),
    /// The broker takes no messages for now.
    #[error("the broker takes no messages: {0}")]
    Blocked(String),
    /// The table of dead letters could not be used.
    #[error("the outbox cannot be used")]
    Store(#[from] smarttasks_store::Error),
}

/// An error with its causes, for logs and health reports.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_told = cause.to_string();
        // Some errors tell their cause themselves.
        if !told.ends_with(&cause_told) {
            told = format!("{told}: {cause_told}");
        }
        source = cause.source();
    }
    told
}
