//! A steady load: people who make tasks all the time and look at what they have made.

use super::ANSWERED;
use super::book::{Book, PEOPLE};
use crate::harness::Answer;
use crate::process::Connection;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use smarttasks_model::Clock;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How many make tasks at the same time for each person.
const CLIENTS: usize = 2;
/// How long each of them thinks between two tasks: the promises are about a product that keeps up,
/// and an unoptimised one shares two processors with its servers.
const THINKING: Duration = Duration::from_millis(300);
/// How long after it was made a task is due.
const DUE: Duration = Duration::from_secs(3);
/// A request that takes longer is given up.
const GIVEN_UP: Duration = Duration::from_secs(20);

/// Where one process of the API is; nothing while nobody may rely on it.
pub type Door = watch::Sender<Option<SocketAddr>>;

/// Those who make tasks.
pub struct Load {
    /// One for each process of the API.
    pub doors: Vec<Door>,
    /// What they say about it.
    pub book: Arc<Book>,
    stop: CancellationToken,
    clients: JoinSet<()>,
}

impl Load {
    /// They begin, by these processes, with each person's token.
    pub fn start(apis: &[SocketAddr], tokens: &[String]) -> Self {
        let mut load = Self {
            doors: apis
                .iter()
                .map(|address| watch::Sender::new(Some(*address)))
                .collect(),
            book: Arc::default(),
            stop: CancellationToken::new(),
            clients: JoinSet::new(),
        };
        for number in 0..PEOPLE.len() * CLIENTS {
            let person = number % PEOPLE.len();
            let client = Client {
                person,
                token: tokens[person].clone(),
                door: load.doors[number % apis.len()].subscribe(),
                book: Arc::clone(&load.book),
            };
            let stop = load.stop.clone();
            load.clients.spawn(async move {
                // In the middle of a request, too: what comes of it nobody waits for.
                stop.run_until_cancelled(client.run()).await;
            });
        }
        load
    }

    /// Returns once everybody has stopped.
    ///
    /// # Panics
    /// One of them has.
    pub async fn end(&mut self) {
        self.stop.cancel();
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
    }
}

struct Client {
    person: usize,
    token: String,
    door: watch::Receiver<Option<SocketAddr>>,
    book: Arc<Book>,
}

/// The connection is of no more use.
struct Broken;

impl Client {
    async fn run(mut self) {
        loop {
            let Ok(Some(at)) = self.door.wait_for(Option::is_some).await.map(|at| *at) else {
                return;
            };
            match Connection::open(at, &self.token).await {
                Ok(mut connection) => while self.work(at, &mut connection).await.is_ok() {},
                Err(error) => self.complain(at, &format!("cannot connect: {error}")),
            }
            tokio::time::sleep(THINKING).await;
        }
    }

    /// Makes a task and looks at it.
    async fn work(&self, at: SocketAddr, connection: &mut Connection) -> Result<(), Broken> {
        let title = self.book.title(self.person);
        let (due, due_at) = (Instant::now() + DUE, Clock::system().now() + DUE);
        let task = json!({ "title": title.to_string(), "due_at": due_at });
        let made = self
            .ask(at, connection, "/api/v1/tasks", Some(&task))
            .await?;
        if let Some(made) = made {
            self.book.accept(title, due);
            let path = format!("/api/v1/tasks/{}", made.text("id"));
            if let Some(seen) = self.ask(at, connection, &path, None).await?
                && seen.text("title") != title.to_string()
            {
                self.book.complain(&format!("{path} is {}", seen.body));
            }
        }
        tokio::time::sleep(THINKING).await;
        Ok(())
    }

    /// Reads, or with a body makes. What is not to be had at the moment is nothing to complain of,
    /// as long as the answer says so and says it soon.
    async fn ask(
        &self,
        at: SocketAddr,
        connection: &mut Connection,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Answer>, Broken> {
        let (method, expected) = match body {
            Some(_) => (Method::POST, 201),
            None => (Method::GET, 200),
        };
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let what = format!("{method} {path}");
        let started = Instant::now();
        let asked = connection.send(method, path, "application/json", body);
        let Ok(answered) = tokio::time::timeout(GIVEN_UP, asked).await else {
            self.complain(at, &format!("{what}: no answer in {GIVEN_UP:?}"));
            return Err(Broken);
        };
        let took = started.elapsed();
        let answer = match answered {
            Ok(answer) => answer,
            // It was closed between two requests.
            Err(error) if error.is_closed() || error.is_canceled() => return Err(Broken),
            Err(error) => {
                self.complain(at, &format!("{what}: after {took:?}: {error}"));
                return Err(Broken);
            }
        };
        self.book.took(took);
        if took > ANSWERED {
            self.complain(at, &format!("{what}: {} after {took:?}", answer.status));
        }
        match answer.status.as_u16() {
            status if status == expected => Ok(Some(answer)),
            503 if answer.header("retry-after").is_some() => {
                self.book.refuse();
                Ok(None)
            }
            status => {
                self.complain(at, &format!("{what}: {status}: {}", answer.body));
                Ok(None)
            }
        }
    }

    /// Nobody may complain of a process that was killed.
    fn complain(&self, at: SocketAddr, what: &str) {
        if *self.door.borrow() == Some(at) {
            self.book.complain(what);
        }
    }
}
