//! What the tests run on: the embedded product, or the same on PostgreSQL, RabbitMQ and Redis.
//!
//! Each test has a database, exchanges, queues and keys of its own; the database is a copy of one
//! that was migrated once.

use crate::process;
use std::process::{Command, Stdio};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// Which one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    /// SQLite, and a bus in the process.
    Embedded,
    /// The servers that the environment names.
    Servers,
}

impl Backend {
    /// What `SMARTTASKS_TEST_BACKEND` says; embedded when it says nothing.
    pub fn chosen() -> Self {
        match std::env::var("SMARTTASKS_TEST_BACKEND").as_deref() {
            Err(_) | Ok("" | "embedded") => Self::Embedded,
            Ok("servers") => Self::Servers,
            Ok(other) => panic!("SMARTTASKS_TEST_BACKEND is {other:?}, not embedded or servers"),
        }
    }

    /// What the configuration of one test says of it.
    pub async fn settings(self) -> Vec<(String, String)> {
        match self {
            Self::Embedded => Vec::new(),
            Self::Servers => servers().await,
        }
    }
}

impl Backend {
    /// The same for a process of its own, by the names of environment variables.
    pub async fn environment(self) -> Vec<(String, String)> {
        let named = |(key, value): (String, String)| {
            let name = key.replace('.', "__").to_uppercase();
            match name.ends_with("_URL") {
                true => (name, value),
                false => (format!("SMARTTASKS_{name}"), value),
            }
        };
        self.settings().await.into_iter().map(named).collect()
    }
}

/// The secret key of every test: the database is copied, and what is sealed in it must open.
const KEY: &str = "c21hcnR0YXNrcyB0ZXN0cywgbm90IGEgc2VjcmV0ISE=";

async fn servers() -> Vec<(String, String)> {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let template = TEMPLATE.get_or_init(make_template).await;
    let name = format!("test_{}", Uuid::new_v4().simple());
    let (database, copied) = (name.clone(), template.clone());
    tokio::task::spawn_blocking(move || {
        administer(&format!("CREATE DATABASE {database} TEMPLATE {copied}"));
    })
    .await
    .unwrap();
    [
        ("database_url", database_url(&name)),
        ("amqp_url", server("SMARTTASKS_TEST_AMQP_URL")),
        ("redis_url", server("SMARTTASKS_TEST_REDIS_URL")),
        ("bus.prefix", name),
        ("database.connections", "6".to_owned()),
        ("secret_key", KEY.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

async fn make_template() -> String {
    let name = format!("template_{}", Uuid::new_v4().simple());
    let made = name.clone();
    tokio::task::spawn_blocking(move || {
        administer(&format!("CREATE DATABASE {made}"));
        let migrated = Command::new(process::binary().unwrap())
            .arg("migrate")
            .env("DATABASE_URL", database_url(&made))
            .env("AMQP_URL", server("SMARTTASKS_TEST_AMQP_URL"))
            .env("SMARTTASKS_SECRET_KEY", KEY)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(migrated.success(), "the template could not be migrated");
    })
    .await
    .unwrap();
    name
}

fn database_url(name: &str) -> String {
    let admin = server("SMARTTASKS_TEST_DATABASE_URL");
    let (host, _) = admin.rsplit_once('/').expect("a database in the URL");
    format!("{host}/{name}")
}

fn administer(sql: &str) {
    let done = Command::new("psql")
        .args(["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1"])
        .args(["--command", sql, &server("SMARTTASKS_TEST_DATABASE_URL")])
        .stdin(Stdio::null())
        .status()
        .expect("psql, which comes with PostgreSQL");
    assert!(done.success(), "psql could not: {sql}");
}

/// The URL of a server for tests.
pub fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} names a server for tests: run script/test, or first \
             eval \"$(script/servers start DIR)\""
        )
    })
}
