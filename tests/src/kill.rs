//! `kill -9` of the real process at random moments, under load: whatever was answered 201 has its
//! mail and its webhook, and what comes twice is recognisable as the same.

use crate::harness::Answer;
use crate::process::{Connection, Installation, Process};
use crate::receivers::{Mails, ReceivedMail, ReceivedWebhook, Webhooks};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const KILLS: usize = 20;
/// People who make tasks at the same time.
const CLIENTS: usize = 8;
/// How long each of them thinks between two tasks: the promise is about a product that keeps up,
/// and an unoptimised one sends some hundred mails a second.
const THINKING: Duration = Duration::from_millis(100);
/// A process is killed within this time after it was started, or after it has caught up.
const LONGEST_LIFE: Duration = Duration::from_millis(800);
/// What was in flight goes on within this time after the restart.
const PROMISED: Duration = Duration::from_secs(5);

/// The title of a task: a number that no other task has.
type Title = u64;

/// Those who make tasks, wherever the product listens at the moment.
struct Load {
    address: watch::Sender<Option<SocketAddr>>,
    accepted: Arc<Mutex<BTreeSet<Title>>>,
    stop: CancellationToken,
    clients: JoinSet<()>,
}

impl Load {
    fn start(token: &str) -> Self {
        let mut load = Self {
            address: watch::Sender::new(None),
            accepted: Arc::default(),
            stop: CancellationToken::new(),
            clients: JoinSet::new(),
        };
        let titles = Arc::new(AtomicU64::new(0));
        for _ in 0..CLIENTS {
            let client = Client {
                token: token.to_owned(),
                titles: Arc::clone(&titles),
                accepted: Arc::clone(&load.accepted),
                stop: load.stop.clone(),
            };
            load.clients.spawn(client.run(load.address.subscribe()));
        }
        load
    }

    fn accepted(&self) -> BTreeSet<Title> {
        self.accepted.lock().unwrap().clone()
    }

    /// Returns once everybody has stopped, and what was accepted.
    async fn end(&mut self) -> BTreeSet<Title> {
        self.stop.cancel();
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        self.accepted()
    }
}

/// Makes one task after the other, and believes in none that was not answered 201.
struct Client {
    token: String,
    titles: Arc<AtomicU64>,
    accepted: Arc<Mutex<BTreeSet<Title>>>,
    stop: CancellationToken,
}

impl Client {
    async fn run(self, mut address: watch::Receiver<Option<SocketAddr>>) {
        while !self.stop.is_cancelled() {
            let there = self
                .stop
                .run_until_cancelled(address.wait_for(Option::is_some));
            let Some(Ok(Some(at))) = there.await.map(|there| there.map(|there| *there)) else {
                return;
            };
            if let Ok(mut connection) = Connection::open(at, &self.token).await {
                while !self.stop.is_cancelled() && self.create(&mut connection).await.is_ok() {
                    tokio::time::sleep(THINKING).await;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    async fn create(&self, connection: &mut Connection) -> hyper::Result<()> {
        let title = self.titles.fetch_add(1, Ordering::Relaxed);
        let task = json!({ "title": title.to_string(), "priority": "high" });
        let Answer { status, body, .. } = connection.try_post("/api/v1/tasks", &task).await?;
        match status.as_u16() {
            201 => drop(self.accepted.lock().unwrap().insert(title)),
            // More than it can take: a client that can wait should.
            503 => {}
            _ => panic!("{status}: {body}"),
        }
        Ok(())
    }
}

/// Numbers that look random and can be had again.
struct Dice(u64);

impl Dice {
    /// By `SMARTTASKS_TEST_SEED`, or else by the clock.
    fn seeded() -> Self {
        let seed = std::env::var("SMARTTASKS_TEST_SEED");
        let seed = seed.map(|seed| seed.parse().expect("SMARTTASKS_TEST_SEED is a number"));
        Self(seed.unwrap_or_else(|_| uuid::Uuid::new_v4().as_u64_pair().0))
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: Duration) -> Duration {
        let limit = u64::try_from(limit.as_micros()).unwrap();
        Duration::from_micros(self.roll() % limit)
    }
}

fn title(text: &str) -> Title {
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is no title of ours"))
}

fn title_of_webhook(webhook: &ReceivedWebhook) -> Title {
    title(webhook.json()["data"]["title"].as_str().unwrap())
}

fn title_of_mail(mail: &ReceivedMail) -> Title {
    title(mail.read().subject.strip_prefix("New task: ").unwrap())
}

/// Those who are told.
struct Receivers {
    mails: Mails,
    webhooks: Webhooks,
}

impl Receivers {
    /// Returns once both have got something about each of these tasks.
    async fn until_told(&self, titles: &BTreeSet<Title>) {
        let mails = &self.mails.inbox;
        let webhooks = &self.webhooks.inbox;
        tokio::join!(
            mails.until("the mail of each task", all(titles, title_of_mail)),
            webhooks.until("the webhook of each task", all(titles, title_of_webhook)),
        );
    }

    /// Which of these tasks one of them has not been told of.
    fn untold(&self, titles: &BTreeSet<Title>) -> BTreeSet<Title> {
        let mails: BTreeSet<_> = self
            .mails
            .inbox
            .look(|all| all.iter().map(title_of_mail).collect());
        let webhooks: BTreeSet<_> = self
            .webhooks
            .inbox
            .look(|all| all.iter().map(title_of_webhook).collect());
        let told: BTreeSet<_> = mails.intersection(&webhooks).copied().collect();
        titles.difference(&told).copied().collect()
    }

    /// Returns once all that a killed process has sent is here.
    async fn until_deserted(&self) {
        self.mails.inbox.until_deserted().await;
        self.webhooks.inbox.until_deserted().await;
    }
}

/// Whether something has come for each of these titles; reads each message once.
fn all<T>(titles: &BTreeSet<Title>, title_of: fn(&T) -> Title) -> impl FnMut(&[T]) -> bool {
    let (mut missing, mut read) = (titles.clone(), 0);
    move |received| {
        for message in &received[read..] {
            missing.remove(&title_of(message));
        }
        read = received.len();
        missing.is_empty()
    }
}

/// The product, under load and in danger.
struct Trial {
    installation: Installation,
    receivers: Receivers,
    load: Load,
    dice: Dice,
    /// When each process was started: what came before was sent by an earlier one.
    starts: Vec<Instant>,
    /// How long after a restart all that had been in flight was told, and how much it was.
    caught_up: Vec<(Duration, usize)>,
}

impl Trial {
    async fn start() -> (Self, String) {
        let receivers = Receivers {
            mails: Mails::start().await,
            webhooks: Webhooks::start().await,
        };
        let installation = Installation::new(&receivers.mails);
        let process = installation.start().await;
        let token = process.register("ann").await;
        let mut ann = process.connect(&token).await;
        let endpoint = json!({ "name": "ops", "url": receivers.webhooks.url("/ops") });
        ann.create("/api/v1/endpoints", &endpoint).await;
        let rule = json!({
            "name": "Tell ops",
            "triggers": [{ "event": "task.created" }],
            "script": r#"webhook("ops", #{ title: task.title });"#,
        });
        ann.create("/api/v1/rules", &rule).await;
        process.kill().await;
        let trial = Self {
            load: Load::start(&token),
            dice: Dice::seeded(),
            installation,
            receivers,
            starts: Vec::new(),
            caught_up: Vec::new(),
        };
        (trial, token)
    }

    /// Starts the product, and returns once all that was accepted before is told.
    async fn recover(&mut self) -> Process {
        let in_flight = self.receivers.untold(&self.load.accepted());
        let process = self.launch().await;
        self.receivers.until_told(&in_flight).await;
        self.caught_up
            .push((process.started.elapsed(), in_flight.len()));
        process
    }

    async fn launch(&mut self) -> Process {
        let mut process = self.spawn();
        self.load
            .address
            .send_replace(Some(process.listening().await));
        process
    }

    fn spawn(&mut self) -> Process {
        self.starts.push(Instant::now());
        self.installation.spawn()
    }

    /// Every other process is killed wherever it is, also while it starts or catches up.
    async fn live_and_die(&mut self, number: usize) {
        let moment = self.dice.below(LONGEST_LIFE);
        let process = if number.is_multiple_of(2) {
            let process = self.recover().await;
            tokio::time::sleep(moment).await;
            process
        } else {
            let mut process = self.spawn();
            let life = async {
                self.load
                    .address
                    .send_replace(Some(process.listening().await));
                std::future::pending::<()>().await;
            };
            // It never ends by itself.
            let _ = tokio::time::timeout(moment, life).await;
            process
        };
        self.load.address.send_replace(None);
        process.kill().await;
        self.receivers.until_deserted().await;
    }

    /// Which process sent what came at this instant.
    fn generation(&self, at: Instant) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// Each task has one id, and a repeat of it comes from another process. Returns the tasks,
    /// and how many repeats there were.
    fn told<T>(
        &self,
        received: &[T],
        of: fn(&T) -> (Title, String, Instant),
    ) -> (BTreeSet<Title>, usize) {
        let mut ids: BTreeMap<Title, String> = BTreeMap::new();
        let mut senders = BTreeSet::new();
        for (title, id, at) in received.iter().map(of) {
            let known = ids.entry(title).or_insert_with(|| id.clone());
            assert_eq!(*known, id, "task {title} was told under two ids");
            let generation = self.generation(at);
            let is_new = senders.insert((title, generation));
            assert!(is_new, "process {generation} told of task {title} twice");
        }
        let repeats = received.len() - ids.len();
        (ids.into_keys().collect(), repeats)
    }

    fn told_by_mail(&self) -> (BTreeSet<Title>, usize) {
        let of = |mail: &ReceivedMail| (title_of_mail(mail), mail.read().message_id, mail.at);
        self.receivers.mails.inbox.look(|all| self.told(all, of))
    }

    fn told_by_webhook(&self) -> (BTreeSet<Title>, usize) {
        let of = |one: &ReceivedWebhook| (title_of_webhook(one), one.id().to_owned(), one.at);
        self.receivers.webhooks.inbox.look(|all| self.told(all, of))
    }
}

/// The titles of all tasks that there are, accepted or not.
async fn existing(process: &Process, token: &str) -> BTreeSet<Title> {
    let tasks = process.connect(token).await.list("/api/v1/tasks").await;
    let titles: BTreeSet<_> = tasks
        .iter()
        .map(|task| title(task["title"].as_str().unwrap()))
        .collect();
    assert_eq!(titles.len(), tasks.len(), "a task was made twice");
    titles
}

/// Shown when the test fails, and with `--nocapture`.
#[expect(clippy::print_stdout, reason = "the seed and the figures of a test")]
fn say(text: &str) {
    println!("{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_at_any_moment_loses_nothing_that_was_accepted() {
    let (mut trial, token) = Trial::start().await;
    say(&format!("SMARTTASKS_TEST_SEED={}", trial.dice.0));
    for number in 0..KILLS {
        trial.live_and_die(number).await;
    }
    let process = trial.recover().await;
    let accepted = trial.load.end().await;
    let tasks = existing(&process, &token).await;
    trial.receivers.until_told(&tasks).await;
    assert_eq!(process.stop().await.code(), Some(0));

    let lost: Vec<_> = accepted.difference(&tasks).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    let (mailed, repeated_mails) = trial.told_by_mail();
    let (posted, repeated_webhooks) = trial.told_by_webhook();
    assert!(
        mailed == tasks && posted == tasks,
        "told of what is not there"
    );
    say(&format!(
        "{KILLS} kills, {} tasks, {} of them accepted; again came {repeated_mails} mails and \
         {repeated_webhooks} webhooks",
        tasks.len(),
        accepted.len(),
    ));
    for (took, in_flight) in &trial.caught_up {
        say(&format!(
            "{in_flight:5} in flight, told {took:?} after the restart"
        ));
        assert!(*took < PROMISED, "what was in flight stood still");
    }

    // Each message is in the log once, however often it was sent, and nothing is left to do.
    let process = trial.launch().await;
    let deliveries = process
        .connect(&token)
        .await
        .list("/api/v1/deliveries")
        .await;
    assert_eq!(deliveries.len(), 2 * tasks.len());
    assert!(deliveries.iter().all(|one| one["status"] == "delivered"));
    assert_eq!(process.stop().await.code(), Some(0));
    assert_eq!(trial.told_by_mail().1, repeated_mails);
}
