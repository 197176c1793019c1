//! The product on trial: its roles as processes on servers of their own, under load.

use super::book::{PEOPLE, Title};
use super::load::Load;
use super::told::{Message, Told, expected};
use super::{GLANCE, PATIENCE, RECOVERED, say};
use crate::process::Connection;
use crate::proxy::Proxy;
use crate::roles::{Cluster, Replica, Role, Urls};
use crate::servers::{Server, Servers};
use futures_util::future::join_all;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// So many further tasks show that writing goes on.
const SOME: usize = 20;

/// Everything that runs. Dropped from the top down, it ends.
pub struct Trial {
    /// Those who make tasks.
    pub load: Load,
    /// The processes.
    pub replicas: Vec<Replica>,
    /// To start more of them.
    pub cluster: Cluster,
    /// The network to each server, where a test wanted one.
    proxies: BTreeMap<Server, Proxy>,
    /// What they share.
    pub servers: Servers,
    told: Told,
    tokens: Vec<String>,
}

/// How the processes reach their servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// At once.
    Direct,
    /// Through proxies.
    Proxied,
}

impl Trial {
    /// Starts so many processes of each role at the same time, on an empty database, and then the load.
    pub async fn start(counts: &[(Role, usize)], network: Network) -> Self {
        let (told, servers) = (Told::start().await, Servers::start().await);
        let (proxies, urls) = connect(&servers, network).await;
        let cluster = Cluster::new(&urls, told.mails());
        let roles = counts.iter().flat_map(|&(role, count)| vec![role; count]);
        let mut replicas: Vec<_> = roles.map(|role| cluster.spawn(role)).collect();
        join_all(replicas.iter_mut().map(Replica::ready)).await;
        let apis: Vec<_> = replicas
            .iter()
            .filter(|replica| replica.role == Role::Api)
            .collect();
        let mut tokens = Vec::new();
        for person in 0..PEOPLE.len() {
            tokens.push(settle_in(apis[0], person, &told.url(person)).await);
        }
        let addresses: Vec<_> = apis.into_iter().map(Replica::address).collect();
        Self {
            load: Load::start(&addresses, &tokens),
            replicas,
            cluster,
            proxies,
            servers,
            told,
            tokens,
        }
    }

    /// The network to a server.
    pub fn network(&self, server: Server) -> &Proxy {
        &self.proxies[&server]
    }

    /// From now on this goes on, as soon as all is well.
    pub async fn begin(&self, phase: &str) {
        self.load.book.begin("before");
        self.writing_goes_on().await;
        self.load.book.begin(phase);
    }

    /// Returns once more tasks were accepted.
    ///
    /// # Panics
    /// None are.
    pub async fn writing_goes_on(&self) {
        let book = &self.load.book;
        let enough = book.count() + SOME;
        let written = until(|| book.count() >= enough).await;
        assert!(written.is_some(), "nothing is accepted");
    }

    /// What had failed is back: returns once a task is accepted again and all that was pending is told.
    ///
    /// # Panics
    /// It is not within a minute.
    pub async fn recovers(&mut self, from: &str) {
        let back = Instant::now();
        let (book, told) = (&self.load.book, &mut self.told);
        let pending = told.missing(&expected(&book.accepted(), back));
        let before = book.count();
        let (count, mut still) = (pending.len(), pending);
        let (written, told) = tokio::join!(
            until(|| book.count() > before),
            until(|| {
                still = told.missing(&still);
                still.is_empty()
            })
        );
        let (refused, slowest) = book.figures();
        say(&format!(
            "{from}: {count} messages were pending; written again {written:?}, told {told:?} after \
             the return; {refused} requests refused, the slowest answered in {slowest:?}",
        ));
        assert!(written.is_some(), "{from}: nothing is accepted");
        if told.is_none() {
            let queues = self
                .servers
                .rabbitmqctl(&["list_queues", "name", "messages"]);
            let queues = queues.await;
            panic!("{from}: not told: {still:?}\n{queues}");
        }
        if written.max(told) > Some(RECOVERED) {
            book.complain(&format!(
                "recovered only {:?} after the return",
                written.max(told)
            ));
        }
    }

    /// The process of this role which was started last.
    ///
    /// # Panics
    /// There is none.
    pub fn take(&mut self, role: Role) -> Replica {
        let place = self
            .replicas
            .iter()
            .rposition(|replica| replica.role == role);
        self.replicas.remove(place.expect("a process of this role"))
    }

    /// Ends the load, waits for what is still to be told, stops all processes, and looks whether
    /// everybody was told what concerns them and nothing else. Returns how many messages came again.
    ///
    /// # Panics
    /// Something is not as it must be.
    pub async fn verdict(mut self) -> usize {
        self.load.end().await;
        let accepted = self.load.book.accepted();
        let tasks = self.tasks().await;
        let lost: Vec<_> = accepted.keys().filter(|one| !tasks.contains(one)).collect();
        assert!(lost.is_empty(), "accepted and lost: {lost:?}");
        let now = Instant::now();
        let all = expected(&tasks.iter().map(|title| (*title, now)).collect(), now);
        self.until_told(&all).await;
        self.until_recorded(all.len()).await;
        let stopping = self.replicas.into_iter().map(Replica::stop);
        for status in join_all(stopping).await {
            assert_eq!(status.code(), Some(0));
        }
        self.told.until_deserted().await;
        let foreign: Vec<_> = self.told.messages().difference(&all).copied().collect();
        assert!(foreign.is_empty(), "told of what is not there: {foreign:?}");
        let repeats = self.told.repeats();
        say(&format!(
            "{} tasks, {} of them accepted, {} messages, {repeats} repeats",
            tasks.len(),
            accepted.len(),
            all.len(),
        ));
        self.load.book.close();
        repeats
    }

    async fn until_told(&mut self, all: &BTreeSet<Message>) {
        let mut still = all.clone();
        let told = until(|| {
            still = self.told.missing(&still);
            still.is_empty()
        });
        assert!(told.await.is_some(), "never told: {still:?}");
    }

    /// Each message is in the log once, however often it was sent, and nothing is left to do.
    async fn until_recorded(&self, messages: usize) {
        let api = self.api();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut deliveries = Vec::new();
            for token in &self.tokens {
                let mut person = api.connect(token).await;
                deliveries.append(&mut person.list("/api/v1/deliveries").await);
            }
            let open = deliveries.iter().filter(|one| one["status"] != "delivered");
            let open: Vec<_> = open.collect();
            assert_eq!(deliveries.len(), messages, "deliveries in the log");
            if open.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "not delivered: {open:?}");
            tokio::time::sleep(10 * GLANCE).await;
        }
    }

    /// All tasks that there are, accepted or not.
    async fn tasks(&self) -> BTreeSet<Title> {
        let mut titles = Vec::new();
        for token in &self.tokens {
            let mut person = self.api().connect(token).await;
            for task in person.list("/api/v1/tasks").await {
                titles.push(task["title"].as_str().unwrap().parse().unwrap());
            }
        }
        let count = titles.len();
        let titles: BTreeSet<_> = titles.into_iter().collect();
        assert_eq!(titles.len(), count, "a task was made twice");
        titles
    }

    /// One of the people, at the API.
    pub async fn somebody(&self) -> Connection {
        self.api().connect(&self.tokens[0]).await
    }

    fn api(&self) -> &Replica {
        let api = self.replicas.iter().find(|one| one.role == Role::Api);
        api.expect("a process of the API")
    }
}

/// Waits for a condition, and returns how long that took; nothing when a minute was not enough.
async fn until(mut fulfilled: impl FnMut() -> bool) -> Option<Duration> {
    let started = Instant::now();
    while !fulfilled() {
        if started.elapsed() > PATIENCE {
            return None;
        }
        tokio::time::sleep(GLANCE).await;
    }
    Some(started.elapsed())
}

async fn connect(servers: &Servers, network: Network) -> (BTreeMap<Server, Proxy>, Urls) {
    let (mut proxies, mut urls) = (BTreeMap::new(), Vec::new());
    for server in Server::ALL {
        let url = servers.url(server);
        if network == Network::Direct {
            urls.push(url.to_owned());
            continue;
        }
        let (proxy, url) = Proxy::before(url).await;
        proxies.insert(server, proxy);
        urls.push(url);
    }
    let [database, amqp, redis] = urls.try_into().unwrap();
    let urls = Urls {
        database,
        amqp,
        redis,
    };
    (proxies, urls)
}

/// Registers a person, with an endpoint that is told of each task, and returns the token.
async fn settle_in(api: &Replica, person: usize, url: &str) -> String {
    let token = api.connect("").await.register(PEOPLE[person]).await;
    let mut connection = api.connect(&token).await;
    let endpoint = json!({ "name": "ops", "url": url });
    connection.create("/api/v1/endpoints", &endpoint).await;
    let rule = json!({
        "name": "Tell ops",
        "triggers": [{ "event": "task.created" }],
        "script": r#"webhook("ops", #{ title: task.title });"#,
    });
    connection.create("/api/v1/rules", &rule).await;
    token
}
