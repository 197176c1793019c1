//! The product in this process: every role, a database of its own on the backend that is tested, a
//! clock that stands until it is moved, and the API without a socket.

mod client;

pub use client::{Answer, Client};

use crate::backend::Backend;
use axum::Router;
use axum::body::Body;
use client::{Renewed, answer, ask_for_tokens, send};
use http::{Method, Request};
use mail_parser::MessageParser;
use serde_json::{Value, json};
use smarttasks::config::{Config, Flag, Sources, load};
use smarttasks::data_dir::DataDir;
use smarttasks::service::{Service, open};
use smarttasks_bus::Traffic;
use smarttasks_model::{Clock, Timestamp};
use smarttasks_store::Db;
use smarttasks_store::timers::{self, Unfinished};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

/// A password that is long enough.
pub const PASSWORD: &str = "correct horse battery staple";
/// When every test begins: a Monday morning.
pub const START: &str = "2026-03-02T09:00:00Z";

/// The running product.
pub struct TestApp {
    /// The clock of all its parts.
    pub clock: Clock,
    /// The roles; absent while it is down.
    service: Option<Service>,
    data: Option<DataDir>,
    settings: Vec<(String, String)>,
    directory: Directory,
    router: Router,
    db: Db,
    expect_unsent: bool,
    /// What was carried before the last restart, when queues outlive the process.
    carried: Traffic,
}

struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl TestApp {
    /// With the defaults, but no rate limits, and webhooks to this machine allowed.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these settings besides.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("smarttasks-test-{}", Uuid::new_v4()));
        let clock = Clock::fake(START.parse().unwrap());
        let mut all: Vec<(String, String)> = vec![
            ("data_dir".to_owned(), path.display().to_string()),
            ("http.rate_limit".to_owned(), "off".to_owned()),
            (
                "webhooks.allowed_networks".to_owned(),
                "127.0.0.0/8".to_owned(),
            ),
        ];
        all.extend(Backend::chosen().settings().await);
        for (key, value) in settings {
            all.retain(|(known, _)| known != key);
            all.push(((*key).to_owned(), (*value).to_owned()));
        }
        let (service, data) = launch(&all, &clock).await;
        Self {
            router: service.router(),
            db: service.db().clone(),
            service: Some(service),
            data: Some(data),
            settings: all,
            directory: Directory(path),
            clock,
            expect_unsent: false,
            carried: Traffic::default(),
        }
    }

    /// Stops every role; [`TestApp::restart`] starts them again.
    pub async fn stop(&mut self) {
        if let Some(service) = self.service.take() {
            let bus = service.bus().clone();
            service.stop().await;
            if !self.db.is_embedded() {
                self.carried = sum(self.carried, bus.traffic());
            }
        }
        self.data = None;
    }

    /// The database of the stopped product, for playing the part of a broken neighbour.
    pub async fn open_database(&self) -> Db {
        let config = configuration(&self.settings);
        let data = DataDir::of(&config).unwrap();
        open(&config, &data, self.clock.clone()).await.unwrap()
    }

    /// Stops every role and starts them again on the same data.
    pub async fn restart(&mut self) {
        self.restart_after(Duration::ZERO).await;
    }

    /// The same, with time passing in between.
    pub async fn restart_after(&mut self, time: Duration) {
        self.stop().await;
        self.clock.advance(time);
        let (service, data) = launch(&self.settings, &self.clock).await;
        self.router = service.router();
        self.db = service.db().clone();
        self.service = Some(service);
        self.data = Some(data);
    }

    /// The roles, to add more of them.
    pub fn service(&mut self) -> &mut Service {
        self.service.as_mut().expect("the product is running")
    }

    /// The database, for looking and for playing the part of a broken neighbour.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Where a connection of one's own to its database goes.
    pub fn database_url(&self) -> String {
        let named = self.settings.iter().find(|(key, _)| key == "database_url");
        match named {
            Some((_, url)) => url.clone(),
            None => format!(
                "sqlite:{}?mode=ro",
                self.directory.0.join("smarttasks.db").display()
            ),
        }
    }

    /// Where its data is.
    pub fn directory(&self) -> &Path {
        &self.directory.0
    }

    /// A test that leaves messages unsent on purpose says so.
    pub fn leaves_messages_unsent(&mut self) {
        self.expect_unsent = true;
    }

    /// Returns once nothing is left to do at the present instant: no message, no due timer, no
    /// attempt under way.
    pub async fn settle(&self) {
        let mut commits = self.db.commits();
        let settled = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                commits.borrow_and_update();
                if self.is_settled().await {
                    return;
                }
                look_again(&mut commits).await;
            }
        });
        if settled.await.is_err() {
            let unfinished = timers::unfinished(&self.db, self.clock.now()).await;
            let traffic = self.traffic();
            panic!("not settled after a minute: {unfinished:?}, {traffic:?}");
        }
    }

    /// Returns once `holds` does, looking after each commit: for what goes on beside the messages.
    pub async fn until(&self, holds: impl AsyncFn() -> bool) {
        let mut commits = self.db.commits();
        let held = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                commits.borrow_and_update();
                if holds().await {
                    return;
                }
                look_again(&mut commits).await;
            }
        });
        assert!(held.await.is_ok(), "it does not hold after a minute");
    }

    /// On a broker messages are out of the database for a while. So nothing is left to do when
    /// everything that was published had been acknowledged already before the look at the
    /// database, and nothing more was published until after it.
    async fn is_settled(&self) -> bool {
        let before = self.traffic();
        let unfinished = timers::unfinished(&self.db, self.clock.now())
            .await
            .unwrap();
        let nothing = Unfinished {
            messages: 0,
            due: 0,
            in_flight: 0,
        };
        // A commit can be read before its messages are counted.
        let counted = !self.db.is_embedded() || self.db.pending_messages() == 0;
        unfinished == nothing
            && counted
            && before.published == before.acknowledged
            && before == self.traffic()
    }

    fn traffic(&self) -> Traffic {
        let service = self.service.as_ref().expect("the product is running");
        sum(self.carried, service.bus().traffic())
    }

    /// Moves the clock and waits until all that follows is done.
    pub async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.settle().await;
    }

    /// An instant this long from now, as the API writes it.
    pub fn later(&self, time: Duration) -> Timestamp {
        self.clock.now() + time
    }

    /// Registers `<name>@example.com` and logs in.
    pub async fn register(&self, name: &str) -> Client {
        let email = format!("{name}@example.com");
        let body = json!({ "name": name, "email": email, "password": PASSWORD });
        let registered = self
            .call(Method::POST, "/api/v1/users", None, Some(&body))
            .await;
        assert_eq!(registered.status, 201, "{}", registered.body);
        self.log_in(&email).await
    }

    /// Logs in with the password that [`TestApp::register`] gives.
    pub async fn log_in(&self, email: &str) -> Client {
        let form = [
            ("grant_type", "password"),
            ("username", email),
            ("password", PASSWORD),
        ];
        let tokens = self.token(&form).await;
        assert_eq!(tokens.status, 200, "{}", tokens.body);
        let mut client = Client {
            router: self.router.clone(),
            token: tokens.text("access_token"),
            renewed: Arc::new(Mutex::new(Renewed {
                access: None,
                refresh: tokens.text("refresh_token"),
            })),
            user: Value::Null,
        };
        client.user = client.get("/api/v1/users/me").await.body;
        client
    }

    /// Asks the token endpoint.
    pub async fn token(&self, form: &[(&str, &str)]) -> Answer {
        ask_for_tokens(&self.router, form).await
    }

    /// Sends a request that is not a client's.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        send(&self.router, method, path, token, body, &[]).await
    }

    /// Sends any request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        answer(&self.router, request).await
    }

    /// The mails that were sent, the first first.
    pub fn mails(&self) -> Vec<Mail> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.directory.0.join("mail"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .collect();
        files.sort();
        files
            .iter()
            .map(|path| Mail::parse(&std::fs::read(path).unwrap()))
            .collect()
    }

    /// The subjects of the mails to `<name>@example.com`, sorted.
    pub fn subjects_to(&self, name: &str) -> Vec<String> {
        let address = format!("{name}@example.com");
        let mut subjects: Vec<String> = self
            .mails()
            .into_iter()
            .filter(|mail| mail.to == address)
            .map(|mail| mail.subject)
            .collect();
        subjects.sort();
        subjects
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // Elsewhere this process does not know of all.
        let embedded = self.db.is_embedded();
        if !std::thread::panicking() && !self.expect_unsent && embedded {
            assert_eq!(
                self.db.pending_messages(),
                0,
                "the test left messages unsent"
            );
        }
    }
}

fn sum(before: Traffic, now: Traffic) -> Traffic {
    Traffic {
        published: before.published + now.published,
        acknowledged: before.acknowledged + now.acknowledged,
        refused: before.refused + now.refused,
    }
}

/// Waits for a commit, or a moment: what a broker is told follows no commit.
async fn look_again(commits: &mut watch::Receiver<u64>) {
    let moment = Duration::from_millis(5);
    if let Ok(changed) = tokio::time::timeout(moment, commits.changed()).await {
        changed.unwrap();
    }
}

fn configuration(settings: &[(String, String)]) -> Config {
    let flags = settings.iter().map(|(key, value)| Flag {
        flag: format!("--set {key}"),
        key: key.clone(),
        value: value.clone(),
    });
    let sources = Sources {
        flags: flags.collect(),
        ..Sources::default()
    };
    load(&sources).unwrap().config
}

async fn launch(settings: &[(String, String)], clock: &Clock) -> (Service, DataDir) {
    let config = configuration(settings);
    let data = DataDir::of(&config).unwrap();
    let render = Arc::new(String::new);
    let service = Service::start(&config, &data, clock.clone(), render)
        .await
        .unwrap();
    (service, data)
}

/// A mail that was sent.
#[derive(Debug)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The `Message-ID`.
    pub message_id: String,
}

impl Mail {
    /// Reads a message.
    pub fn parse(bytes: &[u8]) -> Self {
        let message = MessageParser::default().parse(bytes).expect("a mail");
        Self {
            to: message
                .to()
                .unwrap()
                .first()
                .unwrap()
                .address()
                .unwrap()
                .to_owned(),
            subject: message.subject().unwrap().to_owned(),
            text: message.body_text(0).unwrap().into_owned(),
            message_id: message.message_id().unwrap().to_owned(),
        }
    }
}

/// So many seconds.
pub fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// So many hours.
pub fn hours(number: u64) -> Duration {
    Duration::from_secs(3600 * number)
}
