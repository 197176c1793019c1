//! Receivers of every kind, and a resolver that knows their names.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// How a receiver behaves once it has read a request.
#[derive(Clone)]
pub(crate) enum Behaviour {
    Answers(Vec<u8>),
    /// Each request gets the next answer, the last one stays.
    AnswersInTurn(&'static [&'static str]),
    StaysSilent,
    DripsABytePerTick(&'static str),
    NeverEnds(&'static str),
    HangsUp,
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) seen: mpsc::UnboundedReceiver<Seen>,
}

pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Behaviour {
    fn in_turn(&self, turn: usize) -> Self {
        match self {
            Self::AnswersInTurn(answers) => {
                Self::Answers(answers[turn.min(answers.len() - 1)].as_bytes().to_vec())
            }
            other => other.clone(),
        }
    }
}

impl Receiver {
    pub(crate) async fn that(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for turn in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                tokio::spawn(serve(stream, behaviour.in_turn(turn), sender.clone()));
            }
        });
        Self { address, seen }
    }

    pub(crate) async fn that_answers(answer: &str) -> Self {
        Self::that(Behaviour::Answers(answer.as_bytes().to_vec())).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?x=1", self.address)
    }
}

async fn serve(mut stream: TcpStream, behaviour: Behaviour, seen: mpsc::UnboundedSender<Seen>) {
    let Some(request) = read_request(&mut stream).await else {
        return;
    };
    // The test may have ended.
    let _ = seen.send(request);
    // Writes fail once the sender has hung up, which ends the receiver.
    let _ = behave(&mut stream, behaviour).await;
}

async fn behave(stream: &mut TcpStream, behaviour: Behaviour) -> std::io::Result<()> {
    match behaviour {
        Behaviour::Answers(answer) => stream.write_all(&answer).await,
        Behaviour::AnswersInTurn(_) => Ok(()),
        Behaviour::StaysSilent => stream.read_u8().await.map(|_| ()),
        Behaviour::HangsUp => Ok(()),
        Behaviour::DripsABytePerTick(answer) => {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            for byte in answer.bytes() {
                tick.tick().await;
                stream.write_all(&[byte]).await?;
            }
            Ok(())
        }
        Behaviour::NeverEnds(head) => {
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(&[b'x'; 4096]).await?;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let length = header(&head, "content-length").map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { head, body })
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut values = head.lines().filter_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    });
    let value = values.next();
    assert_eq!(values.next(), None, "{name} is there once");
    value
}

/// Names and their addresses: each question takes the next list, the last one stays.
pub(crate) struct Names(Mutex<HashMap<&'static str, Vec<Vec<IpAddr>>>>);

impl Names {
    pub(crate) fn of(names: &[(&'static str, &[&[&str]])]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|a| a.parse().unwrap()).collect();
        let entries = names
            .iter()
            .map(|(name, lists)| (*name, lists.iter().map(parse).collect()));
        Arc::new(Self(Mutex::new(entries.collect())))
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let mut names = self.0.lock().unwrap();
        let found = names.get_mut(name.as_str()).map(|lists| match lists.len() {
            1 => lists[0].clone(),
            _ => lists.remove(0),
        });
        Box::pin(async move {
            let found = found.ok_or("no such name")?;
            let sockets = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(sockets) as Addrs)
        })
    }
}
