//! The bus over RabbitMQ.
//!
//! One connection publishes and another consumes, because a broker that is short of memory or
//! disk stops reading from connections that publish. Each is rebuilt from nothing by whoever uses
//! it when it fails: what the broker had not confirmed is published again, what had not been
//! acknowledged comes again.

mod connection;
mod dead_letters;
mod flights;
mod publisher;
mod subscription;
mod topology;

use crate::bus::{Counted, DeadLetter, QueueState, Replay};
use crate::{Error, Result};
use connection::{Address, Slot};
use publisher::Relay;
use smarttasks_store::{Db, Queue};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use topology::Topology;

pub(crate) use subscription::{Envelope, Subscription};

/// Which broker, and what is ours on it.
#[derive(Clone)]
pub struct Settings {
    /// The broker's URL, password and all.
    pub url: String,
    /// What the names of exchanges and queues begin with.
    pub prefix: String,
}

/// Exchanges and queues of a broker; cheap to clone.
#[derive(Clone)]
pub struct RabbitMq(Arc<Shared>);

struct Shared {
    db: Db,
    topology: Topology,
    /// The connection that publishes.
    publishing: Slot,
    /// The connection that consumes.
    consuming: Slot,
    counted: Counted,
    health: Health,
}

impl RabbitMq {
    /// A bus for the outbox of `db`. It connects when it is used, and again whenever it must.
    ///
    /// # Errors
    /// When the URL is none of AMQP's.
    pub fn new(db: Db, settings: &Settings) -> Result<Self> {
        let address = Address::parse(&settings.url)?;
        let topology = Topology::new(&settings.prefix);
        let slot = |purpose| Slot::new(address.clone(), topology.clone(), purpose);
        Ok(Self(Arc::new(Shared {
            db,
            publishing: slot("publisher"),
            consuming: slot("consumer"),
            topology,
            counted: Counted::default(),
            health: Health::default(),
        })))
    }

    pub(crate) fn counted(&self) -> &Counted {
        &self.0.counted
    }

    pub(crate) fn health(&self) -> Result<(), String> {
        self.0.health.read()
    }

    pub(crate) async fn relay(&self, stop: CancellationToken) {
        Relay::new(&self.0).run(stop).await;
    }

    pub(crate) fn subscribe(&self, queue: Queue) -> Subscription {
        Subscription::new(Arc::clone(&self.0), queue)
    }

    pub(crate) async fn queues(&self) -> Result<Vec<QueueState>> {
        let link = self.0.publishing.declared().await?;
        let states = self.0.topology.states(&link).await;
        connection::release(link).await;
        states
    }

    pub(crate) async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let link = self.0.publishing.declared().await?;
        let letters = dead_letters::list(&link, &self.0.topology, limit).await;
        connection::release(link).await;
        letters
    }

    pub(crate) async fn replay(&self, which: &Replay) -> Result<u64> {
        let link = self.0.publishing.declared().await?;
        let replayed = dead_letters::replay(&link, &self.0, which).await;
        connection::release(link).await;
        replayed
    }
}

/// What each user of a connection last said about it.
#[derive(Default)]
struct Health(Mutex<BTreeMap<&'static str, Result<(), String>>>);

impl Health {
    fn set(&self, part: &'static str, state: Result<(), String>) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.insert(part, state);
    }

    fn read(&self) -> Result<(), String> {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.is_empty() {
            return Err("no connection to the broker yet".to_owned());
        }
        let failing: Vec<String> = parts
            .iter()
            .filter_map(|(part, state)| Some(format!("{part}: {}", state.as_ref().err()?)))
            .collect();
        if failing.is_empty() {
            Ok(())
        } else {
            Err(failing.join("; "))
        }
    }
}

/// An error of a broker's library, with what we were doing.
fn failed(doing: &'static str) -> impl FnOnce(lapin::Error) -> Error {
    move |source| Error::Broker { doing, source }
}
