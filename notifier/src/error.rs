//! What keeps a channel from being set up at all: configuration, said to the operator.

use std::io;
use std::path::PathBuf;

/// A channel that cannot be set up. No message holds a URL that may carry a password.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// `SMTP_URL` is not understood.
    #[error(
        "SMTP_URL: {0}; expected something like smtps://user:password@mail.example.com or smtp://mail.example.com:25?tls=required"
    )]
    SmtpUrl(&'static str),
    /// The directory for mails cannot be used.
    #[error("cannot keep mails in {}: {source}; make the directory writable or set SMTP_URL", directory.display())]
    MailDirectory {
        /// Which directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sender's address is not one.
    #[error("MAIL__FROM: {0}")]
    MailFrom(String),
    /// TLS for mail could not be set up.
    #[error("cannot set up TLS for mail: {0}")]
    MailTls(#[from] lettre::transport::smtp::Error),
    /// TLS for webhooks and requests could not be set up.
    #[error("cannot set up TLS for webhooks: {0}")]
    WebhookTls(#[from] rustls::Error),
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client for webhooks: {0}")]
    HttpClient(#[from] reqwest::Error),
}
