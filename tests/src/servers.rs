//! PostgreSQL, RabbitMQ and Redis of a test's own, by `script/servers`: a test that stops or kills
//! one must not take it from the others.

use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;
use uuid::Uuid;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../script/servers");

/// The three running servers. Dropped, they are stopped and their data is removed.
pub struct Servers {
    /// The superuser's URL of an empty database.
    pub database_url: String,
    /// The URL of the broker.
    pub amqp_url: String,
    /// The URL of Redis.
    pub redis_url: String,
    directory: PathBuf,
    durable: bool,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// What holds the state.
    Postgres,
    /// What carries the messages.
    RabbitMq,
    /// What holds what may be lost.
    Redis,
}

impl Server {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::RabbitMq, Self::Redis];

    /// As `script/servers` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::RabbitMq => "rabbitmq",
            Self::Redis => "redis",
        }
    }
}

impl Servers {
    /// Starts them on free ports, empty.
    ///
    /// # Panics
    /// One of them does not start; the message is the script's.
    pub async fn start() -> Self {
        Self::started(false).await
    }

    /// The same, but what PostgreSQL has committed survives the machine too: to measure what it costs.
    ///
    /// # Panics
    /// One of them does not start; the message is the script's.
    pub async fn start_durable() -> Self {
        Self::started(true).await
    }

    async fn started(durable: bool) -> Self {
        let directory = std::env::temp_dir().join(format!("smarttasks-servers-{}", Uuid::new_v4()));
        // Stopped and removed also when it does not start.
        let mut servers = Self {
            database_url: String::new(),
            amqp_url: String::new(),
            redis_url: String::new(),
            directory,
            durable,
        };
        let variables = servers.script("start", &[]).await;
        servers.database_url = variable(&variables, "SMARTTASKS_TEST_DATABASE_URL");
        servers.amqp_url = variable(&variables, "SMARTTASKS_TEST_AMQP_URL");
        servers.redis_url = variable(&variables, "SMARTTASKS_TEST_REDIS_URL");
        servers
    }

    /// The URL of one of them.
    pub fn url(&self, server: Server) -> &str {
        match server {
            Server::Postgres => &self.database_url,
            Server::RabbitMq => &self.amqp_url,
            Server::Redis => &self.redis_url,
        }
    }

    /// The number of the process that is one of them, or began it.
    ///
    /// # Panics
    /// It does not run.
    pub fn process(&self, server: Server) -> u32 {
        let path = self.directory.join(server.name()).with_extension("pid");
        let line = std::fs::read_to_string(path).expect("the server runs");
        let (id, _) = line.split_once(' ').expect("number and start");
        id.parse().unwrap()
    }

    /// Stops one as an operator does.
    ///
    /// # Panics
    /// It does not stop.
    pub async fn stop(&self, server: Server) {
        self.script("stop", &[server.name()]).await;
    }

    /// Ends all processes of one, as `kill -9` does.
    ///
    /// # Panics
    /// They cannot be ended.
    pub async fn kill(&self, server: Server) {
        self.script("kill", &[server.name()]).await;
    }

    /// Starts one again, where it was and with its data; returns once it answers.
    ///
    /// # Panics
    /// It does not start.
    pub async fn resume(&self, server: Server) {
        self.script("start", &[server.name()]).await;
    }

    /// Gives an order to the broker.
    ///
    /// # Panics
    /// It refuses.
    pub async fn rabbitmqctl(&self, order: &[&str]) -> String {
        self.script("rabbitmqctl", order).await
    }

    async fn script(&self, command: &str, arguments: &[&str]) -> String {
        let mut script = Command::new(SCRIPT);
        script.arg(command).arg(&self.directory).args(arguments);
        if self.durable {
            script.env("DURABLE", "1");
        }
        let run = script.stdin(Stdio::null()).output();
        let output = run.await.expect("script/servers can be run");
        assert!(
            output.status.success(),
            "script/servers {command} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // A test that fails must not fail here again.
        let _ = std::process::Command::new(SCRIPT)
            .arg("stop")
            .arg(&self.directory)
            .stdin(Stdio::null())
            .output();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn variable(exports: &str, name: &str) -> String {
    let assigned = |line: &str| {
        let (variable, value) = line.strip_prefix("export ")?.split_once('=')?;
        (variable == name).then(|| value.to_owned())
    };
    let value = exports.lines().find_map(assigned);
    value.unwrap_or_else(|| panic!("no {name} in {exports}"))
}
