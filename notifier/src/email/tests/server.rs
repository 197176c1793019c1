//! A mail server that does as it is told.

use std::collections::HashMap;
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A mail server that answers each command by script, and 250 otherwise.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: mpsc::UnboundedReceiver<Seen>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    Connection,
    Command(String),
    Message(Vec<u8>),
}

type Script = HashMap<&'static str, &'static str>;

impl Server {
    pub(super) async fn that(script: &[(&'static str, &'static str)]) -> Self {
        let script: Script = script.iter().copied().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), sender.clone()));
            }
        });
        Self { address, seen }
    }

    pub(super) fn so_far(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }
}

/// Speaks until the client or the script hangs up.
async fn serve(stream: TcpStream, script: Script, seen: mpsc::UnboundedSender<Seen>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    seen.send(Seen::Connection).ok()?;
    say(&mut stream, script.get("greeting").unwrap_or(&"220 hi")).await?;
    loop {
        let mut line = String::new();
        stream
            .read_line(&mut line)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        let command = line.trim_end().to_owned();
        let verb = command.split([' ', ':']).next()?.to_owned();
        seen.send(Seen::Command(command)).ok()?;
        let usual = if verb == "DATA" {
            "354 go on"
        } else {
            "250 fine"
        };
        let answer = script.get(&*verb).unwrap_or(&usual);
        say(&mut stream, answer).await?;
        if verb == "DATA" && answer.starts_with('3') {
            seen.send(Seen::Message(read_message(&mut stream).await?))
                .ok()?;
            say(
                &mut stream,
                script.get("message").unwrap_or(&"250 2.0.0 queued as 7"),
            )
            .await?;
        }
        if verb == "QUIT" {
            return None;
        }
    }
}

/// Nothing said is hanging up; `…` is silence for ever.
async fn say(stream: &mut BufReader<TcpStream>, answer: &str) -> Option<()> {
    match answer {
        "" => None,
        "…" => std::future::pending().await,
        answer => stream
            .write_all(format!("{answer}\r\n").as_bytes())
            .await
            .ok(),
    }
}

/// Up to the line with a single dot. As careless as the servers that smuggling needs: a bare LF
/// or CR ends a line too.
async fn read_message(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.ok()?;
        message.push(byte[0]);
        for end in [
            &b"\r\n.\r\n"[..],
            b"\n.\n",
            b"\r.\r",
            b"\n.\r\n",
            b"\r.\r\n",
            b"\r\n.\n",
        ] {
            if message.ends_with(end) {
                return Some(message);
            }
        }
    }
}
