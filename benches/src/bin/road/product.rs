//! The product in each of the ways in which it can be run.

use smarttasks_benches::{Failure, FamilyUsage, Usage};
use smarttasks_tests::process::{Connection, Installation, Process};
use smarttasks_tests::receivers::Mails;
use smarttasks_tests::servers::{Server, Servers};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Ways to run the product.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Setting {
    /// One process, SQLite, the bus in the process.
    Embedded,
    /// One process on PostgreSQL, RabbitMQ and Redis.
    OneProcess,
    /// A process for each role on them.
    FourProcesses,
}

/// A process that is not ready after this long never will be.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of nobody but these measurements.
const SECRET_KEY: &str = "c21hcnR0YXNrcyBiZW5jaCwgbm90IGEgc2VjcmV0ISE=";

impl Setting {
    /// As a heading.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "Embedded",
            Self::OneProcess => "PostgreSQL, RabbitMQ and Redis; one process",
            Self::FourProcesses => "PostgreSQL, RabbitMQ and Redis; a process for each role",
        }
    }

    /// The processes and their roles; the first has the API.
    fn processes(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Embedded | Self::OneProcess => &[("product", "api,engine,scheduler,notifier")],
            Self::FourProcesses => &[
                ("api", "api"),
                ("engine", "engine"),
                ("scheduler", "scheduler"),
                ("notifier", "notifier"),
            ],
        }
    }
}

/// What stays when the processes end. Dropped, the servers stop and all is removed.
pub(crate) struct Place {
    installations: Vec<(&'static str, Installation)>,
    servers: Option<Servers>,
    /// Nobody reads them, but they are sent.
    _mails: Mails,
}

/// The running product.
pub(crate) struct Product(Vec<(&'static str, Process)>);

/// Processor time and memory of some part of what runs.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// Of the product, not of a server.
    pub(crate) own: bool,
    pub(crate) cpu: Duration,
    /// At most for the product, now for a server.
    pub(crate) memory: u64,
}

impl Place {
    /// A fresh one, with servers when the setting wants some.
    pub(crate) async fn new(setting: Setting) -> Self {
        let mails = Mails::start().await;
        let servers = match setting {
            Setting::Embedded => None,
            Setting::OneProcess | Setting::FourProcesses => Some(Servers::start_durable().await),
        };
        let installation = |&(name, roles): &(&'static str, &'static str)| {
            let mut installation = Installation::new(&mails).with("SMARTTASKS_ROLES", roles);
            if let Some(servers) = &servers {
                installation = installation
                    .with("DATABASE_URL", &servers.database_url)
                    .with("AMQP_URL", &servers.amqp_url)
                    .with("REDIS_URL", &servers.redis_url)
                    .with("SMARTTASKS_SECRET_KEY", SECRET_KEY)
                    // Counted in Redis, as it is where people use it, but never reached.
                    .with("SMARTTASKS_HTTP__RATE_LIMIT", "100000000");
            }
            (name, installation)
        };
        Self {
            installations: setting.processes().iter().map(installation).collect(),
            servers,
            _mails: mails,
        }
    }

    /// Starts all processes; they are ready after the time that is returned.
    pub(crate) async fn start(&self) -> Result<(Product, Duration), Failure> {
        let started = Instant::now();
        let mut processes: Vec<_> = self
            .installations
            .iter()
            .map(|(name, installation)| (*name, installation.spawn()))
            .collect();
        for (name, process) in &mut processes {
            let address = process.listening().await;
            let ready = tokio::time::timeout(PATIENCE, ready(address)).await;
            ready.map_err(|_| format!("{name} is not ready after {PATIENCE:?}"))?;
        }
        Ok((Product(processes), started.elapsed()))
    }

    /// A directory on the disk that the data is on.
    pub(crate) fn disk(&self) -> PathBuf {
        std::env::temp_dir()
    }

    /// What everything has used so far.
    pub(crate) fn usage(&self, product: &Product) -> Result<Vec<Part>, Failure> {
        let mut parts = Vec::new();
        for (name, process) in &product.0 {
            let usage = Usage::of(process.id())?;
            parts.push(Part {
                name,
                own: true,
                cpu: usage.cpu,
                memory: usage.peak_memory,
            });
        }
        let Some(servers) = &self.servers else {
            return Ok(parts);
        };
        for server in Server::ALL {
            let usage = FamilyUsage::of(servers.process(server))?;
            parts.push(Part {
                name: server.name(),
                own: false,
                cpu: usage.cpu,
                memory: usage.memory,
            });
        }
        Ok(parts)
    }
}

/// It listens before it is ready, when others have to be.
async fn ready(address: SocketAddr) {
    loop {
        if let Ok(mut connection) = Connection::open(address, "").await
            && connection.get("/readyz").await.status == 200
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Product {
    /// The process that answers people.
    pub(crate) fn api(&self) -> Result<&Process, Failure> {
        let (_, first) = self.0.first().ok_or("there is no process")?;
        Ok(first)
    }

    pub(crate) async fn stop(self) {
        for (_, process) in self.0 {
            process.stop().await;
        }
    }
}
