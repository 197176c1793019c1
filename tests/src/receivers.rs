//! Those whom the product talks to: a server that gets webhooks and one that gets mails, on real
//! sockets. They keep what came, tell whoever waits for it, and misbehave when told to.

mod mails;
mod webhooks;

pub use mails::{Mails, ReceivedMail};
pub use webhooks::{Answers, ReceivedWebhook, Webhooks};

use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// After this long a test no longer believes that what it waits for will come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a receiver has got so far; clones share it.
pub struct Inbox<T>(Arc<Inner<T>>);

struct Inner<T> {
    received: watch::Sender<Vec<T>>,
    connections: watch::Sender<usize>,
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Inbox<T> {
    fn new() -> Self {
        Self(Arc::new(Inner {
            received: watch::Sender::new(Vec::new()),
            connections: watch::Sender::new(0),
        }))
    }

    fn put(&self, received: T) {
        self.0.received.send_modify(|all| all.push(received));
    }

    /// Looks at what has come; further messages wait meanwhile.
    pub fn look<R>(&self, look: impl FnOnce(&[T]) -> R) -> R {
        look(&self.0.received.borrow())
    }

    /// Empties it.
    pub fn take(&self) -> Vec<T> {
        self.0.received.send_replace(Vec::new())
    }

    /// Returns once what has come fulfils the condition, which is asked with each message.
    ///
    /// # Panics
    /// After a minute, with `what` was waited for.
    pub async fn until(&self, what: &str, mut fulfilled: impl FnMut(&[T]) -> bool) {
        let mut received = self.0.received.subscribe();
        let waited = tokio::time::timeout(PATIENCE, received.wait_for(|all| fulfilled(all))).await;
        if waited.is_err() {
            let count = self.look(<[T]>::len);
            panic!("{what}: not within {PATIENCE:?}; {count} messages have come");
        }
    }

    /// Returns once so many messages have come.
    ///
    /// # Panics
    /// After a minute.
    pub async fn until_count(&self, count: usize) {
        self.until(&format!("{count} messages"), |all| all.len() >= count)
            .await;
    }

    /// Returns once everybody who was connected has hung up, and all that they sent is here.
    ///
    /// # Panics
    /// After a minute.
    pub async fn until_deserted(&self) {
        let mut connections = self.0.connections.subscribe();
        let waited = tokio::time::timeout(PATIENCE, connections.wait_for(|open| *open == 0)).await;
        assert!(waited.is_ok(), "somebody stays connected");
    }

    /// Serves each connection in a task of its own, for as long as the runtime lives.
    fn serve<F>(&self, listener: TcpListener, serve: impl Fn(TcpStream) -> F + Send + 'static)
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
        T: Send + Sync + 'static,
    {
        let inbox = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Answers are small and must not wait for each other.
                let _ = stream.set_nodelay(true);
                inbox.0.connections.send_modify(|open| *open += 1);
                let (inbox, served) = (inbox.clone(), serve(stream));
                tokio::spawn(async move {
                    // A sender that dies in the middle is what the tests are about.
                    let _ = served.await;
                    inbox.0.connections.send_modify(|open| *open -= 1);
                });
            }
        });
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}
