//! A mail server that keeps what it gets.

use super::{Inbox, listen};
use crate::harness::Mail;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// An SMTP server that keeps every mail.
pub struct Mails {
    /// What came.
    pub inbox: Inbox<ReceivedMail>,
    address: SocketAddr,
    refusal: Refusal,
}

/// The answer to every mail while the server takes none.
type Refusal = Arc<Mutex<Option<String>>>;

/// A mail as it came.
#[derive(Clone, Debug)]
pub struct ReceivedMail {
    /// Whom it is for, by `RCPT TO`.
    pub recipients: Vec<String>,
    /// Headers and body.
    pub bytes: Vec<u8>,
    /// When all of it had come.
    pub at: Instant,
}

impl Mails {
    /// A server on a free port that takes everything.
    pub async fn start() -> Self {
        let listener = listen().await;
        let server = Self {
            inbox: Inbox::new(),
            address: listener.local_addr().unwrap(),
            refusal: Refusal::default(),
        };
        let (inbox, refusal) = (server.inbox.clone(), Arc::clone(&server.refusal));
        server.inbox.serve(listener, move |stream| {
            serve(stream, inbox.clone(), Arc::clone(&refusal))
        });
        server
    }

    /// For `SMTP_URL`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Answers every mail with this, such as `451 4.3.0 come back later`, from now on.
    pub fn refuse(&self, answer: &str) {
        *self.refusal.lock().unwrap() = Some(answer.to_owned());
    }

    /// Takes everything again.
    pub fn accept(&self) {
        *self.refusal.lock().unwrap() = None;
    }
}

impl ReceivedMail {
    /// Reads it.
    ///
    /// # Panics
    /// It is no mail.
    pub fn read(&self) -> Mail {
        Mail::parse(&self.bytes)
    }
}

/// Commands are read as they come, so that a client may send several before it reads the answers.
async fn serve(stream: TcpStream, inbox: Inbox<ReceivedMail>, refusal: Refusal) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut recipients = Vec::new();
    say(&mut stream, "220 mail.example.com").await?;
    while let Some(command) = line(&mut stream).await? {
        let command = String::from_utf8_lossy(&command).trim_end().to_owned();
        let verb = command.split([' ', ':']).next().unwrap_or_default();
        let refused = refusal.lock().unwrap().clone();
        match (verb.to_ascii_uppercase().as_str(), refused) {
            ("EHLO", _) => say(&mut stream, "250-mail.example.com\r\n250 PIPELINING").await?,
            ("MAIL", Some(refused)) => say(&mut stream, &refused).await?,
            ("MAIL" | "RSET", _) => {
                recipients.clear();
                say(&mut stream, "250 fine").await?;
            }
            ("RCPT", _) => {
                let address = command.split(['<', '>']).nth(1).unwrap_or_default();
                recipients.push(address.to_owned());
                say(&mut stream, "250 fine").await?;
            }
            ("DATA", _) if recipients.is_empty() => say(&mut stream, "503 for whom?").await?,
            ("DATA", _) => {
                say(&mut stream, "354 go on").await?;
                let Some(bytes) = message(&mut stream).await? else {
                    return Ok(());
                };
                inbox.put(ReceivedMail {
                    recipients: std::mem::take(&mut recipients),
                    bytes,
                    at: Instant::now(),
                });
                say(&mut stream, "250 taken").await?;
            }
            ("QUIT", _) => return say(&mut stream, "221 bye").await,
            ("NOOP" | "HELO", _) => say(&mut stream, "250 fine").await?,
            _ => say(&mut stream, "502 what?").await?,
        }
    }
    Ok(())
}

async fn say(stream: &mut BufReader<TcpStream>, answer: &str) -> io::Result<()> {
    stream.write_all(format!("{answer}\r\n").as_bytes()).await
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await?;
    Ok(line.ends_with(b"\n").then_some(line))
}

/// Up to the line with a single dot, without the dots that transport adds; nothing when the
/// client hangs up before.
async fn message(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    while let Some(line) = line(stream).await? {
        if line == b".\r\n" {
            return Ok(Some(message));
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    const MAIL: &str = "EHLO a\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n\
        To: b@example.com\r\nSubject: Hi\r\nMessage-ID: <1@a>\r\n\r\n..dots\r\n.\r\nQUIT\r\n";

    async fn offer(server: &Mails, conversation: &str) -> String {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(conversation.as_bytes()).await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        answers
    }

    #[tokio::test]
    async fn a_mail_server_takes_a_whole_conversation_at_once_and_does_as_it_is_told() {
        let server = Mails::start().await;
        assert!(
            offer(&server, MAIL)
                .await
                .ends_with("250 taken\r\n221 bye\r\n")
        );
        server.refuse("451 later");
        let refused = offer(&server, "EHLO a\r\nMAIL FROM:<a@b.c>\r\nQUIT\r\n").await;
        assert!(refused.ends_with("451 later\r\n221 bye\r\n"));
        server.accept();
        offer(&server, MAIL).await;
        server.inbox.until_deserted().await;
        let received = server.inbox.take();
        assert_eq!(received.len(), 2);
        assert_eq!(received[0].recipients, ["b@example.com"]);
        let mail = received[1].read();
        assert_eq!(
            (mail.subject.as_str(), mail.text.trim_end()),
            ("Hi", ".dots")
        );
    }
}
