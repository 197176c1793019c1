//! The product as a large team runs it: each role a process of its own, as many of each as one likes,
//! on servers that they share.

use crate::process::{Connection, binary};
use crate::receivers::Mails;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use uuid::Uuid;

/// After this long a process that is not ready never will be.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Answers people.
    Api,
    /// Turns events into actions.
    Engine,
    /// Turns time into events.
    Scheduler,
    /// Sends.
    Notifier,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Api, Self::Engine, Self::Scheduler, Self::Notifier];

    /// As `--roles` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Engine => "engine",
            Self::Scheduler => "scheduler",
            Self::Notifier => "notifier",
        }
    }
}

/// Where the servers are.
#[derive(Clone, Debug)]
pub struct Urls {
    /// `DATABASE_URL`.
    pub database: String,
    /// `AMQP_URL`.
    pub amqp: String,
    /// `REDIS_URL`.
    pub redis: String,
}

/// What all processes of one installation have in common.
pub struct Cluster {
    binary: PathBuf,
    directory: PathBuf,
    environment: Vec<(String, String)>,
}

/// A process with one role. Dropped, it is killed, and when the test fails the end of its log is shown.
pub struct Replica {
    /// What it does.
    pub role: Role,
    /// When it was started.
    pub started: Instant,
    child: Child,
    address: Option<SocketAddr>,
    /// Kept open: a process that cannot write what it has to say may end.
    output: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Cluster {
    /// On these servers; sends its mails to `mails`, and may send webhooks to this machine.
    ///
    /// # Panics
    /// The binary has not been built.
    pub fn new(urls: &Urls, mails: &Mails) -> Self {
        let binary = binary().unwrap_or_else(|error| panic!("{error}"));
        let directory = std::env::temp_dir().join(format!("smarttasks-test-{}", Uuid::new_v4()));
        std::fs::create_dir(&directory).unwrap();
        let environment = [
            ("DATABASE_URL", urls.database.clone()),
            ("AMQP_URL", urls.amqp.clone()),
            ("REDIS_URL", urls.redis.clone()),
            ("SMTP_URL", mails.url()),
            ("SMARTTASKS_SECRET_KEY", secret_key()),
            ("SMARTTASKS_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            // Not by the port, which changes: tokens outlive the process.
            (
                "SMARTTASKS_HTTP__PUBLIC_URL",
                "http://smarttasks.example.com".to_owned(),
            ),
            // Counted, so that what counts is in the way of each request, but never reached.
            ("SMARTTASKS_HTTP__RATE_LIMIT", "1000000".to_owned()),
            (
                "SMARTTASKS_WEBHOOKS__ALLOWED_NETWORKS",
                "127.0.0.0/8".to_owned(),
            ),
        ];
        Self {
            binary,
            directory,
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
        }
    }

    /// With another setting, by the name of its environment variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts a process, and returns once it is ready.
    ///
    /// # Panics
    /// It does not get ready.
    pub async fn start(&self, role: Role) -> Replica {
        let mut replica = self.spawn(role);
        replica.ready().await;
        replica
    }

    /// Starts a process.
    ///
    /// # Panics
    /// The binary cannot be run.
    pub fn spawn(&self, role: Role) -> Replica {
        let log = self
            .directory
            .join(format!("{}-{}.log", role.name(), Uuid::new_v4()));
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let mut child = Command::new(&self.binary)
            .args(["serve", "--roles", role.name()])
            .env_clear()
            .envs(self.environment.iter().cloned())
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file.unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Replica {
            role,
            started: Instant::now(),
            output: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
            address: None,
            log,
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn secret_key() -> String {
    let halves = [Uuid::new_v4(), Uuid::new_v4()];
    BASE64_STANDARD.encode(halves.map(Uuid::into_bytes).concat())
}

impl Replica {
    /// Returns once it says where it listens.
    ///
    /// # Panics
    /// It ends before.
    pub async fn listening(&mut self) -> SocketAddr {
        while self.address.is_none() {
            let Some(line) = self.output.next_line().await.unwrap() else {
                panic!("the {} does not start", self.role.name());
            };
            let address = line.split_once("listens on http://");
            let address = address.and_then(|(_, rest)| rest.split_whitespace().next());
            self.address = address.map(|address| address.parse().unwrap());
        }
        self.address()
    }

    /// Returns once it says that it is ready.
    ///
    /// # Panics
    /// It does not within a minute.
    pub async fn ready(&mut self) {
        let role = self.role.name();
        let mut last = "it does not listen".to_owned();
        let ready = async {
            let address = self.listening().await;
            loop {
                match Connection::open(address, "").await {
                    Ok(mut connection) => {
                        let answer = connection.get("/readyz").await;
                        if answer.status == 200 {
                            return;
                        }
                        last = answer.body.to_string();
                    }
                    Err(error) => last = error.to_string(),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, ready).await;
        assert!(waited.is_ok(), "the {role} is not ready: {last}");
    }

    /// Where it listens.
    ///
    /// # Panics
    /// It has not said so yet.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("the process listens")
    }

    /// A connection on which `token` is sent.
    ///
    /// # Panics
    /// It does not listen.
    pub async fn connect(&self, token: &str) -> Connection {
        Connection::open(self.address(), token).await.unwrap()
    }

    /// Ends it at once, as `kill -9` does.
    ///
    /// # Panics
    /// It has already ended.
    pub async fn kill(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "the {} has ended: {ended:?}",
            self.role.name()
        );
        self.child.kill().await.unwrap();
    }

    /// Asks it to stop (SIGTERM), and returns how it ended.
    ///
    /// # Panics
    /// It cannot be asked.
    pub async fn stop(mut self) -> ExitStatus {
        self.signal("TERM").await;
        self.child.wait().await.unwrap()
    }

    /// Halts it in the middle of what it does (SIGSTOP).
    ///
    /// # Panics
    /// It has ended.
    pub async fn halt(&self) {
        self.signal("STOP").await;
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    /// It has ended.
    pub async fn go_on(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let id = self.child.id().expect("the process runs").to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", signal, &id])
            .status();
        assert!(sent.await.unwrap().success());
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show(self.role, &self.log);
        }
    }
}

#[expect(clippy::print_stdout, reason = "why a test fails")]
fn show(role: Role, log: &Path) {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let skipped = text.lines().count().saturating_sub(40);
    println!("--- the end of the log of the {}:", role.name());
    for line in text.lines().skip(skipped) {
        println!("{line}");
    }
}
