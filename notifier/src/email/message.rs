//! A mail as the bytes that a server takes: headers, plain text and HTML.
//!
//! Nothing but CRLF ever breaks a line and nothing but ASCII is ever sent, whatever the text was:
//! bodies are normalised and always encoded, and the result is looked at once more before it goes.
//! A line break of another kind would let text end the message for the server (SMTP smuggling).

use super::{Mail, MailFrom, text};
use crate::Reason;
use lettre::address::{Address, Envelope};
use lettre::message::header::{
    ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0,
};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};
use smarttasks_model::Email;
use std::time::{Duration, UNIX_EPOCH};

/// A message, ready to go.
pub(super) struct Rendered {
    /// From whom and to whom, for the server.
    pub(super) envelope: Envelope,
    /// Headers and body.
    pub(super) bytes: Vec<u8>,
}

/// The message of `mail`: the same bytes for the same mail, over all its attempts.
pub(super) fn render(from: &MailFrom, mail: &Mail) -> Result<Rendered, Reason> {
    let invalid = |error: lettre::error::Error| Reason::InvalidMail(error.to_string());
    let domain = from.email.domain();
    let millis = mail.created_at.unix_millis().unsigned_abs();
    let message = Message::builder()
        .from(mailbox(Some(&from.name), &from.email)?)
        .to(mailbox(mail.to.name.as_deref(), &mail.to.email)?)
        .subject(text::header_line(&mail.subject))
        .date(UNIX_EPOCH + Duration::from_millis(millis))
        .message_id(Some(format!("<{}@{domain}>", mail.delivery_id)))
        .raw_header(header(
            "List-Id",
            format!("<{}.{domain}>", mail.workspace_id),
        ))
        // Keeps vacation notices from answering (RFC 3834, section 5).
        .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
        .header(MIME_VERSION_1_0)
        .multipart(alternatives(mail))
        .map_err(invalid)?;
    let bytes = message.formatted();
    check(&bytes)?;
    Ok(Rendered {
        envelope: message.envelope().clone(),
        bytes,
    })
}

fn mailbox(name: Option<&str>, email: &Email) -> Result<Mailbox, Reason> {
    let address: Address = email
        .as_str()
        .parse()
        .map_err(|error| Reason::InvalidMail(format!("{email}: {error}")))?;
    let name = name.map(text::header_line).filter(|name| !name.is_empty());
    Ok(Mailbox::new(name, address))
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

fn alternatives(mail: &Mail) -> MultiPart {
    let html = mail.html.clone().unwrap_or_else(|| text::html(&mail.text));
    MultiPart::alternative()
        // "=_" never occurs in quoted-printable or base64 (RFC 2045, section 6.7).
        .boundary(format!("=_{}", mail.delivery_id))
        .singlepart(part(ContentType::TEXT_PLAIN, &mail.text))
        .singlepart(part(ContentType::TEXT_HTML, &html))
}

fn part(content_type: ContentType, content: &str) -> SinglePart {
    SinglePart::builder()
        .header(content_type)
        .body(encoded(text::body(content)))
}

/// Quoted-printable, or base64 where that is shorter: the one takes two bytes more for each that
/// is not plain ASCII, the other a third more for all.
fn encoded(content: String) -> Body {
    let special = content
        .bytes()
        .filter(|b| !b.is_ascii() || *b == b'=')
        .count();
    let encoding = match special > content.len() / 6 {
        true => ContentTransferEncoding::Base64,
        false => ContentTransferEncoding::QuotedPrintable,
    };
    // Neither encoding refuses anything; if one did, the bytes are as good in the other.
    Body::new_with_encoding(content, encoding).unwrap_or_else(Body::new)
}

/// The last look: ASCII, no NUL, every CR before an LF and every LF after a CR.
fn check(bytes: &[u8]) -> Result<(), Reason> {
    let mut previous = 0;
    for &byte in bytes.iter().chain(&[0x20]) {
        if (byte == b'\n') != (previous == b'\r') || byte == 0 || !byte.is_ascii() {
            return Err(Reason::InvalidMail(
                "it holds a stray line break or byte".to_owned(),
            ));
        }
        previous = byte;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_a_stray_line_break_never_goes() {
        for fine in ["", "a", "a\r\nb\r\n", "\r\n.\r\n", "\r\n\r\n"] {
            assert!(check(fine.as_bytes()).is_ok(), "{fine:?}");
        }
        for stray in [
            "\n", "\r", "a\nb", "a\rb", "a\r\n\nb", "a\r\r\nb", "a\n\r\nb", "\0", "ä",
        ] {
            assert!(check(stray.as_bytes()).is_err(), "{stray:?}");
        }
    }
}
