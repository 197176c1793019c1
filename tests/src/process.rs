//! The product as people run it: the binary in a process of its own, which can be killed, with
//! real sockets and the real clock.

mod connection;

pub use connection::Connection;

use crate::receivers::Mails;
use std::fs::OpenOptions;
use std::net::SocketAddr;

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use uuid::Uuid;

/// What stays when the process ends: its data and how it is configured.
pub struct Installation {
    directory: PathBuf,
    binary: PathBuf,
    environment: Vec<(String, String)>,
}

/// The running binary. Dropped, it is killed.
pub struct Process {
    /// When it was started.
    pub started: Instant,
    child: Child,
    address: Option<SocketAddr>,
    /// Kept open: a process that cannot write what it has to say may end.
    output: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

/// The binary is not there.
#[derive(Debug, thiserror::Error)]
#[error("{path} is missing: build it first, by `cargo build {what}`")]
pub struct NotBuilt {
    path: PathBuf,
    what: &'static str,
}

/// The binary of the build that the running executable belongs to.
///
/// # Errors
/// It has not been built.
pub fn binary() -> Result<PathBuf, NotBuilt> {
    let running = std::env::current_exe().unwrap();
    let directory = running.parent().unwrap();
    let directory = match directory.ends_with("deps") {
        true => directory.parent().unwrap(),
        false => directory,
    };
    let path = directory.join("smarttasks");
    if path.exists() {
        return Ok(path);
    }
    let what = match cfg!(debug_assertions) {
        true => "--workspace --all-targets",
        false => "-p smarttasks --release",
    };
    Err(NotBuilt { path, what })
}

impl Installation {
    /// A fresh one that sends its mails to `mails`, without rate limits, and may send webhooks to
    /// this machine.
    ///
    /// # Panics
    /// The binary has not been built.
    pub fn new(mails: &Mails) -> Self {
        let binary = binary().unwrap_or_else(|error| panic!("{error}"));
        let directory = std::env::temp_dir().join(format!("smarttasks-test-{}", Uuid::new_v4()));
        std::fs::create_dir(&directory).unwrap();
        let environment = [
            ("SMTP_URL", mails.url()),
            (
                "SMARTTASKS_DATA_DIR",
                directory.join("data").display().to_string(),
            ),
            ("SMARTTASKS_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            // Not by the port, which changes: tokens outlive the process.
            (
                "SMARTTASKS_HTTP__PUBLIC_URL",
                "http://smarttasks.example.com".to_owned(),
            ),
            ("SMARTTASKS_HTTP__RATE_LIMIT", "off".to_owned()),
            (
                "SMARTTASKS_WEBHOOKS__ALLOWED_NETWORKS",
                "127.0.0.0/8".to_owned(),
            ),
        ];
        Self {
            directory,
            binary,
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

    /// What it has logged, over all its processes.
    pub fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Starts a process, and returns once it says where it listens.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(&self) -> Process {
        let mut process = self.spawn();
        process.listening().await;
        process
    }

    /// Starts a process.
    ///
    /// # Panics
    /// The binary cannot be run.
    pub fn spawn(&self) -> Process {
        self.spawn_with(&[])
    }

    /// Starts a process with environment variables of its own.
    ///
    /// # Panics
    /// The binary cannot be run.
    pub fn spawn_with(&self, more: &[(&str, &str)]) -> Process {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log());
        let mut child = Command::new(&self.binary)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .envs(more.iter().copied())
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Process {
            started: Instant::now(),
            output: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
            address: None,
            log: self.log(),
        }
    }
}

fn listens_on(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.split_once("listens on http://")?;
    address.split_whitespace().next()?.parse().ok()
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let skipped = text.lines().count().saturating_sub(50);
    text.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Process {
    /// Returns once it says where it listens.
    ///
    /// # Panics
    /// It ends before.
    pub async fn listening(&mut self) -> SocketAddr {
        let listening = self.try_listening().await;
        listening.unwrap_or_else(|| {
            panic!(
                "it does not start; the end of its log:\n{}",
                tail(&self.log)
            )
        })
    }

    /// The same; nothing when it ends before.
    pub async fn try_listening(&mut self) -> Option<SocketAddr> {
        while self.address.is_none() {
            let line = self.output.next_line().await.unwrap()?;
            self.address = listens_on(&line);
        }
        self.address
    }

    /// Where it listens.
    ///
    /// # Panics
    /// It has not said so yet.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("the process listens")
    }

    /// Its number.
    ///
    /// # Panics
    /// It has ended.
    pub fn id(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// A connection on which `token` is sent.
    ///
    /// # Panics
    /// It does not listen.
    pub async fn connect(&self, token: &str) -> Connection {
        self.try_connect(token).await.unwrap()
    }

    /// The same, to a process that may have ended.
    ///
    /// # Errors
    /// It has ended.
    pub async fn try_connect(&self, token: &str) -> std::io::Result<Connection> {
        Connection::open(self.address(), token).await
    }

    /// Returns once it says that it is ready.
    ///
    /// # Panics
    /// It says that it is not: it listens only when it is.
    pub async fn ready(&self) {
        let mut connection = self.connect("").await;
        let answer = connection.get("/readyz").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Registers `<name>@example.com`, logs in, and returns the access token.
    ///
    /// # Panics
    /// It cannot.
    pub async fn register(&self, name: &str) -> String {
        self.connect("").await.register(name).await
    }

    /// Ends it at once, as `kill -9` does.
    ///
    /// # Panics
    /// It has already ended.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits for its end, and returns how it ended.
    pub async fn ended(&mut self) -> ExitStatus {
        self.child.wait().await.unwrap()
    }

    /// Asks it to stop (SIGTERM), and returns how it ended.
    ///
    /// # Panics
    /// It cannot be asked.
    pub async fn stop(mut self) -> ExitStatus {
        let id = self.id().to_string();
        let asked = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &id])
            .status();
        assert!(asked.await.unwrap().success());
        self.child.wait().await.unwrap()
    }
}
