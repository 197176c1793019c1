//! The e-mail channel: one message to one recipient, over SMTP or into a file.

mod directory;
mod message;
mod relay;
mod smtp_url;
mod text;

use crate::outcome::kept_text;
use crate::{Attempt, Reason, SendError, SetupError};
use directory::Directory;
use message::Rendered;
use relay::{Relay, RelayError};
use secrecy::{ExposeSecret, SecretString};
use smarttasks_model::{DeliveryId, Email, Recipient, Timestamp, WorkspaceId};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How mails are sent.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// Where to: `smtps://user:password@host:465`, or `smtp://…` with
    /// `?tls=required|opportunistic|none`. Without one, mails are kept as files.
    ///
    /// `smtp://` without `tls` means `none` to this machine, `required` with a password, and
    /// `opportunistic` otherwise. A password is never sent in plain text unless `none` says so.
    pub smtp_url: Option<SecretString>,
    /// Whom they are from.
    pub from: MailFrom,
    /// Where mails are kept as `.eml` files when there is no `smtp_url`.
    pub directory: PathBuf,
    /// For one mail, connecting included.
    pub timeout: Duration,
}

/// Whom mails are from: `SmartTasks <tasks@example.com>` or `tasks@example.com`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailFrom {
    /// The name beside the address.
    pub name: String,
    /// The address.
    pub email: Email,
}

/// One mail to send. A repeat has the same content throughout.
pub struct Mail {
    /// Makes the `Message-ID`, the same over all attempts.
    pub delivery_id: DeliveryId,
    /// Makes the `List-Id`.
    pub workspace_id: WorkspaceId,
    /// The `Date`.
    pub created_at: Timestamp,
    /// To whom.
    pub to: Recipient,
    /// One line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML alternative; made from the text when absent.
    pub html: Option<String>,
}

/// Sends mails. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Mailer {
    from: MailFrom,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Relay(Arc<Relay>),
    Directory(Arc<Directory>),
}

impl Mailer {
    /// A mailer by these settings. Connects to nothing yet; makes the directory when mails are
    /// kept as files.
    pub fn new(settings: MailSettings) -> Result<Self, SetupError> {
        let way = match &settings.smtp_url {
            Some(url) => {
                let server = smtp_url::parse(url.expose_secret())?;
                Way::Relay(Arc::new(Relay::new(server, settings.timeout)))
            }
            None => Way::Directory(Arc::new(Directory::open(settings.directory)?)),
        };
        Ok(Self {
            from: settings.from,
            way,
        })
    }

    /// Connects to the mail server and signs in, without sending anything.
    ///
    /// # Errors
    /// What the server, or the way to it, said.
    pub async fn check(&self) -> Result<(), String> {
        match &self.way {
            Way::Relay(relay) => relay.check().await,
            Way::Directory(_) => Ok(()),
        }
    }

    /// Sends one mail, once.
    pub async fn send(&self, mail: &Mail) -> Attempt {
        let started = Instant::now();
        let (status_code, response, error) = match message::render(&self.from, mail) {
            Ok(rendered) => self.hand_over(mail.delivery_id, rendered).await,
            Err(reason) => (None, None, Some(SendError::Permanent(reason))),
        };
        Attempt {
            status_code,
            duration_ms: started.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
            response,
            error,
        }
    }

    async fn hand_over(
        &self,
        id: DeliveryId,
        rendered: Rendered,
    ) -> (Option<u16>, Option<String>, Option<SendError>) {
        match &self.way {
            Way::Relay(relay) => match relay.send(&rendered).await {
                Ok(reply) => (Some(reply.code), kept_text(reply.text.as_bytes()), None),
                Err(error) => {
                    let error = judge(error);
                    (code(&error), None, Some(error))
                }
            },
            Way::Directory(directory) => match directory.keep(id, rendered.bytes).await {
                Ok(name) => (None, Some(format!("kept as {name}")), None),
                Err(error) => {
                    tracing::warn!(%error, delivery.id = %id, "a mail could not be kept as a file");
                    (None, None, Some(SendError::transient(Reason::MailFile)))
                }
            },
        }
    }
}

/// A 5xx to the mail itself is for good (RFC 5321, section 4.2.1). Whatever happens before the
/// mail is offered, a wrong password included, is between the operator and the server: the mail
/// can do nothing for it and is tried again.
fn judge(error: RelayError) -> SendError {
    match error {
        RelayError::Unusable(error) => {
            tracing::warn!(%error, "the mail server cannot be used");
            SendError::transient(Reason::MailServer)
        }
        RelayError::TimedOut(limit) => SendError::transient(Reason::TimedOut(limit)),
        RelayError::Refused { code, text } => {
            let reason = Reason::MailRefused { code, text };
            match code {
                500..=599 => SendError::Permanent(reason),
                _ => SendError::transient(reason),
            }
        }
        RelayError::Interrupted(text) => SendError::transient(Reason::Interrupted(text)),
    }
}

fn code(error: &SendError) -> Option<u16> {
    match error.reason() {
        Reason::MailRefused { code, .. } => Some(*code),
        _ => None,
    }
}

impl FromStr for MailFrom {
    type Err = SetupError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, address) = match text
            .trim()
            .strip_suffix('>')
            .and_then(|t| t.rsplit_once('<'))
        {
            Some((name, address)) => (name.trim().trim_matches('"'), address),
            None => ("SmartTasks", text),
        };
        let email = address
            .parse()
            .map_err(|error| SetupError::MailFrom(format!("{text:?} is {error}")))?;
        Ok(Self {
            name: name.to_owned(),
            email,
        })
    }
}

#[cfg(test)]
mod tests;
