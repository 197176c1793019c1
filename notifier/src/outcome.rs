//! What came of one try: the line of the delivery log, and whether another try can help.

use std::time::Duration;
use tokio::time::Instant;

/// One try to deliver, as the delivery log shows it.
#[derive(Debug)]
pub struct Attempt {
    /// The HTTP status or SMTP reply code, when there was an answer.
    pub status_code: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
    /// The start of the answer, as text without control characters.
    pub response: Option<String>,
    /// Why it did not succeed, when it did not.
    pub error: Option<SendError>,
}

/// Why a try did not succeed, and whether another one can.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Another try would end the same way.
    #[error("rejected for good: {0}")]
    Permanent(Reason),
    /// Another try may succeed.
    #[error("worth another try: {reason}")]
    Transient {
        /// What went wrong.
        reason: Reason,
        /// How long the receiver asked us to wait; at most a day.
        retry_after: Option<Duration>,
    },
}

/// What went wrong, said to the owner of the rule or endpoint.
///
/// The text never tells an address that a host resolves to or where the mail server stands: its
/// readers are members of a workspace, not operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The address is not public and not in an allowed network.
    #[error("{host} is or resolves to an address that SmartTasks may not reach")]
    AddressRefused {
        /// The URL's host.
        host: String,
    },
    /// Plain HTTP to somewhere that is not in an allowed network.
    #[error("{host} may only be reached by https")]
    HttpsRequired {
        /// The URL's host.
        host: String,
    },
    /// The request cannot be written as HTTP.
    #[error("the request is not valid: {0}")]
    InvalidRequest(String),
    /// A redirect, which is never followed.
    #[error(
        "the receiver answered {0}, a redirect, which is not followed: change the endpoint's URL"
    )]
    Redirected(u16),
    /// The receiver wants no more webhooks.
    #[error(
        "the receiver answered 410: it wants no more webhooks, so the endpoint should be disabled"
    )]
    Gone,
    /// A status other than success.
    #[error("the receiver answered {0}")]
    Status(u16),
    /// No answer in time.
    #[error("no answer within {} seconds", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The name, the connection or TLS failed.
    #[error("cannot connect: {0}")]
    Connection(String),
    /// The connection ended before the answer.
    #[error("the connection ended early: {0}")]
    Interrupted(String),
    /// The mail server said no.
    #[error("the mail server answered {code}: {text}")]
    MailRefused {
        /// Its reply code.
        code: u16,
        /// Its words.
        text: String,
    },
    /// The mail server cannot be reached or used.
    #[error("the mail server cannot be used at present")]
    MailServer,
    /// The mail cannot be written as a message.
    #[error("the mail is not valid: {0}")]
    InvalidMail(String),
    /// The mail could not be written to its file.
    #[error("the mail could not be kept as a file")]
    MailFile,
}

impl Attempt {
    /// One that no answer came of.
    pub(crate) fn without_answer(error: SendError) -> Self {
        Self {
            status_code: None,
            duration_ms: 0,
            response: None,
            error: Some(error),
        }
    }

    /// The same, with how long it took.
    pub(crate) fn since(mut self, started: Instant) -> Self {
        self.duration_ms = started.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        self
    }

    /// Whether the receiver has it.
    pub fn succeeded(&self) -> bool {
        self.error.is_none()
    }

    /// Whether it failed in a way that says the receiver is in trouble: what a breaker counts.
    pub fn is_transient_failure(&self) -> bool {
        matches!(self.error, Some(SendError::Transient { .. }))
    }

    /// Whether the receiver asked to be left alone: its endpoint should be disabled.
    pub fn endpoint_is_gone(&self) -> bool {
        matches!(self.error, Some(SendError::Permanent(Reason::Gone)))
    }
}

impl SendError {
    /// A transient failure without a wish for when to come back.
    pub(crate) fn transient(reason: Reason) -> Self {
        Self::Transient {
            reason,
            retry_after: None,
        }
    }

    /// What went wrong.
    pub fn reason(&self) -> &Reason {
        match self {
            Self::Permanent(reason) | Self::Transient { reason, .. } => reason,
        }
    }

    /// How long the receiver asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Permanent(_) => None,
            Self::Transient { retry_after, .. } => *retry_after,
        }
    }
}

impl Reason {
    /// The reason as a label of metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::AddressRefused { .. } => "address_refused",
            Self::HttpsRequired { .. } => "https_required",
            Self::InvalidRequest(_) => "invalid_request",
            Self::Redirected(_) => "redirected",
            Self::Gone => "gone",
            Self::Status(_) => "status",
            Self::TimedOut(_) => "timed_out",
            Self::Connection(_) => "connection",
            Self::Interrupted(_) => "interrupted",
            Self::MailRefused { .. } => "mail_refused",
            Self::MailServer => "mail_server",
            Self::InvalidMail(_) => "invalid_mail",
            Self::MailFile => "mail_file",
        }
    }
}

/// At most this much of an answer is kept in the delivery log, in bytes.
const KEPT: usize = 4 * 1024;

/// The start of an answer as text that may stand anywhere: valid UTF-8, no control characters
/// other than line breaks and tabs, at most 4 KiB. `None` when nothing is left.
pub(crate) fn kept_text(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let printable = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let mut kept = String::new();
    for c in text.chars().filter(printable) {
        if kept.len() + c.len_utf8() > KEPT {
            break;
        }
        kept.push(c);
    }
    (!kept.is_empty()).then_some(kept)
}

/// The innermost cause of `error`, on one line of at most 200 characters: the outer ones repeat
/// the URL, which may hold a token.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_as_printable_text_of_bounded_length() {
        assert_eq!(kept_text(b""), None);
        assert_eq!(kept_text(b"\0\x1b\x07"), None);
        assert_eq!(
            kept_text(b"ok\r\n\x1b[31mred\0\xff").unwrap(),
            "ok\n[31mred\u{fffd}"
        );
        let kept = kept_text("ä".repeat(5_000).as_bytes()).unwrap();
        assert_eq!(kept, "ä".repeat(2_048));
    }

    #[test]
    fn errors_say_whether_another_try_helps() {
        let gone = SendError::Permanent(Reason::Gone);
        assert!(gone.to_string().starts_with("rejected for good: "));
        assert_eq!((gone.reason().label(), gone.retry_after()), ("gone", None));
        let busy = SendError::transient(Reason::TimedOut(Duration::from_millis(1_500)));
        assert_eq!(
            busy.to_string(),
            "worth another try: no answer within 1.5 seconds"
        );
    }
}
