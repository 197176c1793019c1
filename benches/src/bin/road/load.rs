//! The clients: as fast as they are answered, or at a given rate.

use serde_json::{Value, json};
use smarttasks_benches::{Failure, Latencies};
use smarttasks_tests::process::Connection;
use smarttasks_tests::receivers::{Inbox, ReceivedWebhook};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Connections that are kept open.
const CONNECTIONS: u32 = 16;

/// What is sent.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Tasks, which a rule tells of.
    Task,
    /// Events, to which an endpoint subscribes.
    Event,
}

/// Where to, as whom, and where it comes out.
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    pub(crate) inbox: Inbox<ReceivedWebhook>,
}

/// What came of a phase.
pub(crate) struct Seen {
    /// From the begin of a request to the end of its webhook.
    pub(crate) latencies: Latencies,
    count: u32,
    /// From the begin of the first request to the end of the last answer, and of the last webhook.
    accepted_in: Duration,
    received_in: Duration,
}

impl Seen {
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Answered 201.
    pub(crate) fn accepted_per_second(&self) -> f64 {
        f64::from(self.count) / self.accepted_in.as_secs_f64()
    }

    /// Received.
    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.count) / self.received_in.as_secs_f64()
    }
}

/// An accepted request: its webhook carries the id.
struct Sent {
    id: String,
    at: Instant,
}

impl Load {
    /// Each connection sends its next request when the last one is answered.
    pub(crate) async fn closed(&self, kind: Kind, length: Duration) -> Result<Seen, Failure> {
        let end = Instant::now() + length;
        self.run(move |_, mut client: Client| async move {
            while Instant::now() < end {
                let at = Instant::now();
                client.send(kind, at).await?;
            }
            Ok(client.sent)
        })
        .await
    }

    /// So many requests a second, spread evenly over time and connections.
    pub(crate) async fn paced(
        &self,
        kind: Kind,
        per_second: f64,
        length: Duration,
    ) -> Result<Seen, Failure> {
        let begin = Instant::now();
        let step = Duration::from_secs_f64(f64::from(CONNECTIONS) / per_second);
        self.run(move |number, mut client: Client| async move {
            let mut due = begin + step * number / CONNECTIONS;
            while due < begin + length {
                let mut at = due;
                if Instant::now() < due {
                    tokio::time::sleep_until(due.into()).await;
                    // That the clock wakes us a little late is no latency of the product; that
                    // the request before has held us up is.
                    at = Instant::now();
                }
                client.send(kind, at).await?;
                due += step;
            }
            Ok(client.sent)
        })
        .await
    }

    async fn run<F, R>(&self, work: F) -> Result<Seen, Failure>
    where
        F: Fn(u32, Client) -> R,
        R: Future<Output = Result<Vec<Sent>, Failure>> + Send + 'static,
    {
        let mut clients = JoinSet::new();
        for number in 0..CONNECTIONS {
            let client = Client {
                connection: Connection::open(self.address, &self.token).await?,
                sent: Vec::new(),
                number,
            };
            clients.spawn(work(number, client));
        }
        let mut sent = Vec::new();
        while let Some(client) = clients.join_next().await {
            sent.append(&mut client??);
        }
        let accepted_at = Instant::now();
        self.inbox.until_count(sent.len()).await;
        seen(&sent, accepted_at, &self.inbox.take())
    }
}

/// Matches what was sent with what came: each once, or the benchmark is worth nothing.
fn seen(sent: &[Sent], accepted_at: Instant, came: &[ReceivedWebhook]) -> Result<Seen, Failure> {
    let mut arrivals = HashMap::with_capacity(came.len());
    for webhook in came {
        let body: Value = serde_json::from_slice(&webhook.body)?;
        let id = body["data"]["id"].as_str().ok_or("a webhook has no id")?;
        if arrivals.insert(id.to_owned(), webhook.at).is_some() {
            return Err("a webhook came twice".into());
        }
    }
    let mut latencies = Vec::with_capacity(sent.len());
    for sent in sent {
        let arrival = arrivals.get(&sent.id).ok_or("a webhook never came")?;
        latencies.push(arrival.duration_since(sent.at));
    }
    let begin = sent.iter().map(|sent| sent.at).min();
    let begin = begin.ok_or("nothing was accepted")?;
    let last = arrivals.values().max().copied().unwrap_or(accepted_at);
    Ok(Seen {
        latencies: latencies.into_iter().collect(),
        count: u32::try_from(sent.len())?,
        accepted_in: accepted_at.duration_since(begin),
        received_in: last.duration_since(begin),
    })
}

/// One connection and what was accepted on it.
struct Client {
    connection: Connection,
    sent: Vec<Sent>,
    number: u32,
}

impl Client {
    async fn send(&mut self, kind: Kind, at: Instant) -> Result<(), Failure> {
        let id = format!("{}-{}", self.number, self.sent.len());
        let (path, body) = match kind {
            Kind::Task => {
                let body = json!({ "title": "Renew certificate", "priority": "high" });
                ("/api/v1/tasks", body)
            }
            Kind::Event => {
                let body = json!({ "type": "bench.tick", "data": { "id": id } });
                ("/api/v1/events", body)
            }
        };
        let answer = self.connection.try_post(path, &body).await?;
        if answer.status != 201 {
            return Err(format!("{}: {}", answer.status, answer.body).into());
        }
        // A task's webhook carries the id that it was given, an event's the one that it was sent.
        let id = match kind {
            Kind::Task => answer.text("id"),
            Kind::Event => id,
        };
        self.sent.push(Sent { id, at });
        Ok(())
    }
}
