//! A prefix of its own on the tests' RabbitMQ, and a database of its own on their PostgreSQL.

use super::proxy::Proxy;
use super::{Numbers, eventually};
use crate::{Bus, Settings, consume};
use lapin::options::{
    BasicPublishOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use sea_orm::ConnectionTrait;
use smarttasks_model::Clock;
use smarttasks_store::{Db, Location, Vault, outbox};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longer than a lease.
pub(super) const LEASE_RUNS_OUT: Duration = Duration::from_secs(6);

/// What the processes of a test share.
pub(super) struct Brokers {
    pub(super) prefix: String,
    /// Stands still, so that no lease runs out unless a test wants it.
    pub(super) clock: Clock,
    pub(super) proxy: Proxy,
    /// What an operator of the broker does, past the proxy.
    pub(super) operator: Channel,
    connection: Connection,
    amqp: AMQPUri,
    admin: String,
    database: String,
}

/// A process of ours.
pub(super) struct Process {
    pub(super) db: Db,
    pub(super) bus: Bus,
    pub(super) stop: CancellationToken,
    tasks: JoinSet<()>,
}

fn variable(name: &str, what: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} names a {what} server for tests: run script/test, or first \
             eval \"$(script/servers start DIR)\""
        )
    })
}

async fn administer(url: &str, sql: &str) {
    let connection = sea_orm::Database::connect(url).await.unwrap();
    connection.execute_unprepared(sql).await.unwrap();
    connection.close().await.unwrap();
}

impl Brokers {
    pub(super) async fn new() -> Self {
        let admin = variable("SMARTTASKS_TEST_DATABASE_URL", "PostgreSQL");
        let amqp = variable("SMARTTASKS_TEST_AMQP_URL", "RabbitMQ");
        let name = Uuid::new_v4().simple().to_string();
        let database = format!("bus_{name}");
        administer(&admin, &format!("CREATE DATABASE {database}")).await;
        let mut amqp: AMQPUri = amqp.parse().unwrap();
        let properties = ConnectionProperties::default();
        let connection = Connection::connect_uri(amqp.clone(), properties)
            .await
            .unwrap();
        let broker = format!("{}:{}", amqp.authority.host, amqp.authority.port);
        let broker = tokio::net::lookup_host(broker).await.unwrap().next();
        let proxy = Proxy::before(broker.unwrap()).await;
        amqp.authority.host = "127.0.0.1".to_owned();
        amqp.authority.port = proxy.port();
        Self {
            prefix: format!("test-{name}"),
            clock: Clock::fake("2026-03-02T09:00:00Z".parse().unwrap()),
            proxy,
            operator: connection.create_channel().await.unwrap(),
            connection,
            amqp,
            admin,
            database,
        }
    }

    pub(super) async fn process(&self) -> Process {
        let (server, _) = self.admin.rsplit_once('/').unwrap();
        let settings = smarttasks_store::Settings {
            location: Location::Server {
                url: format!("{server}/{}", self.database),
                connections: 6,
            },
            max_pending: 1_000_000,
        };
        let db = Db::open(&settings, self.clock.clone(), Vault::new([1; 32]))
            .await
            .unwrap();
        let settings = Settings {
            url: self.amqp.to_string(),
            prefix: self.prefix.clone(),
        };
        Process {
            bus: Bus::rabbitmq(db.clone(), &settings).unwrap(),
            db,
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        }
    }

    /// A name of ours on the broker.
    pub(super) fn named(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    pub(super) async fn bind(&self, queue: &str, exchange: &str) {
        let (queue, exchange) = (self.named(queue).into(), self.named(exchange).into());
        let options = QueueBindOptions::default();
        let binding =
            self.operator
                .queue_bind(queue, exchange, "#".into(), options, FieldTable::default());
        binding.await.unwrap();
    }

    pub(super) async fn unbind(&self, queue: &str, exchange: &str) {
        let (queue, exchange) = (self.named(queue).into(), self.named(exchange).into());
        let unbinding =
            self.operator
                .queue_unbind(queue, exchange, "#".into(), FieldTable::default());
        unbinding.await.unwrap();
    }

    /// Publishes an event past the outbox.
    pub(super) async fn send(&self, body: &[u8]) {
        let publishing = self.operator.basic_publish(
            self.named("events").into(),
            "test.counted".into(),
            BasicPublishOptions::default(),
            body,
            BasicProperties::default().with_message_id("from-elsewhere".into()),
        );
        publishing.await.unwrap().await.unwrap();
    }

    /// Stops the processes, and removes what the test has made.
    pub(super) async fn end(self, processes: impl IntoIterator<Item = Process>) {
        for process in processes {
            process.end().await;
        }
        for queue in ["engine", "notifier", "dead"] {
            let options = QueueDeleteOptions::default();
            let deleting = self
                .operator
                .queue_delete(self.named(queue).into(), options);
            deleting.await.unwrap();
        }
        for exchange in ["events", "notifications", "dead"] {
            let options = ExchangeDeleteOptions::default();
            let deleting = self
                .operator
                .exchange_delete(self.named(exchange).into(), options);
            deleting.await.unwrap();
        }
        self.connection.close(200, "OK".into()).await.unwrap();
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.database);
        administer(&self.admin, &drop).await;
    }
}

impl Process {
    pub(super) fn relay(&mut self) {
        let (bus, stop) = (self.bus.clone(), self.stop.clone());
        self.tasks.spawn(async move { bus.relay(stop).await });
    }

    /// Consumes until `stop`, or until the process ends.
    pub(super) fn consume(&self, numbers: &Arc<Numbers>) -> (CancellationToken, JoinHandle<()>) {
        let stop = self.stop.child_token();
        let consuming = consume(self.bus.clone(), Arc::clone(numbers), stop.clone());
        (stop, tokio::spawn(consuming))
    }

    pub(super) async fn is_healthy(&self) {
        eventually("the bus is healthy", async || self.bus.health().is_ok()).await;
    }

    pub(super) async fn pending(&self) -> u64 {
        outbox::pending(&self.db).await.unwrap().count
    }

    /// Waits until the broker has confirmed everything.
    pub(super) async fn relayed(&self) {
        eventually("the outbox is empty", async || self.pending().await == 0).await;
    }

    pub(super) async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}
