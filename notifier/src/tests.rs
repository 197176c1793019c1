//! Requests from the notification to the wake of the run that waits: on a database of their own,
//! with a bus in this process and a clock that stands until it is moved.

use crate::client::receiver::{Behaviour, Receiver, header};
use crate::client::{ClientSettings, HttpClient};
use crate::email::{MailFrom, MailSettings, Mailer};
use crate::{Notifier, Settings};
use serde_json::{Value, json};
use smarttasks_bus::{Batch, Bus, Handler, HandlerError, consume};
use smarttasks_model::{
    Because, Clock, Content, DeliveryId, HttpRequest, Message, Notification, NotificationId, RunId,
    Timestamp, WaitId, Wake, WorkspaceId,
};
use smarttasks_store::deliveries::{self, Attempt, Delivery, Status};
use smarttasks_store::{Db, Due, Location, Queue, Vault, timers};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

struct Installation {
    /// The notifier, where it lives long enough to record what it has sent.
    recording: Option<Arc<Notifier>>,
    db: Db,
    woken: Arc<Woken>,
    stop: CancellationToken,
    directory: PathBuf,
}

/// Takes the wakes that are the engine's.
struct Woken {
    db: Db,
    wakes: watch::Sender<Vec<Wake>>,
}

impl Handler for Woken {
    const QUEUE: Queue = Queue::Runs;

    async fn handle(&self, batch: Batch) -> Result<(), HandlerError> {
        let settled = batch.clone();
        self.db
            .write(move |tx| {
                settled.settle(tx);
                Box::pin(async { Ok(()) })
            })
            .await?;
        let wakes = batch.messages().map(|message| match message {
            Message::Wake(wake) => (**wake).clone(),
            other => panic!("{other:?}"),
        });
        self.wakes.send_modify(|all| all.extend(wakes));
        Ok(())
    }
}

impl Installation {
    async fn new() -> Self {
        let directory =
            std::env::temp_dir().join(format!("smarttasks-notifier-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&directory).unwrap();
        let start = "2026-03-02T09:00:00Z".parse().unwrap();
        Self::of(directory, Clock::fake(start), true).await
    }

    /// `records` is whether it lives long enough to record what it has sent.
    async fn of(directory: PathBuf, clock: Clock, records: bool) -> Self {
        let settings = smarttasks_store::Settings {
            location: Location::File {
                path: directory.join("test.db"),
                readers: 2,
            },
            max_pending: 1_000,
        };
        let db = Db::open(&settings, clock, Vault::new([1; 32]))
            .await
            .unwrap();
        let notifier = Arc::new(notifier(&db, &directory));
        let woken = Arc::new(Woken {
            db: db.clone(),
            wakes: watch::Sender::default(),
        });
        let (bus, stop) = (Bus::in_process(db.clone()), CancellationToken::new());
        tokio::spawn(consume(bus.clone(), Arc::clone(&notifier), stop.clone()));
        tokio::spawn(consume(bus.clone(), Arc::clone(&woken), stop.clone()));
        let until = stop.clone();
        tokio::spawn(async move { bus.relay(until).await });
        if records {
            let (until, recorder) = (stop.clone(), Arc::clone(&notifier));
            tokio::spawn(async move { recorder.record(until).await });
        }
        Self {
            recording: records.then_some(notifier),
            db,
            woken,
            stop,
            directory,
        }
    }

    fn now(&self) -> Timestamp {
        self.db.clock().now()
    }

    async fn publish(&self, message: Message) {
        self.db
            .write(move |tx| {
                let published = tx.publish(message.clone());
                Box::pin(async { published })
            })
            .await
            .unwrap();
    }

    /// Asks for this, to be answered within an hour, and returns its delivery's id.
    async fn ask(&self, request: HttpRequest) -> DeliveryId {
        let now = self.now();
        let notification = Notification {
            id: NotificationId::derived(now, &[b"request"]),
            workspace_id: workspace(),
            run_id: Some(wait().run_id),
            rule_id: None,
            task_id: None,
            created_at: now,
            depth: 0,
            traceparent: None,
            content: Content::Http {
                wait: wait(),
                until: now + HOUR,
                request: Box::new(request.clone()),
            },
        };
        let id = DeliveryId::of(notification.id, now, &request.url);
        self.publish(Message::Notification(Box::new(notification)))
            .await;
        id
    }

    async fn ask_for(&self, url: &str) -> DeliveryId {
        self.ask(get(url)).await
    }

    /// The delivery once it has had so many attempts and is no longer under way.
    async fn after(&self, id: DeliveryId, attempts: usize) -> (Delivery, Vec<Attempt>) {
        let mut commits = self.db.commits();
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                commits.borrow_and_update();
                let found = deliveries::get(&self.db, workspace(), id).await;
                if let Ok(found) = found
                    && found.1.len() >= attempts
                {
                    return found;
                }
                commits.changed().await.unwrap();
            }
        });
        let found = found.await.expect("attempts within a minute");
        self.let_go().await;
        found
    }

    /// Who moves the clock at once must not be before the notifier, which lets go of a delivery
    /// only after what came of it is committed.
    async fn let_go(&self) {
        let Some(notifier) = &self.recording else {
            return;
        };
        let idle = tokio::time::timeout(PATIENCE, async {
            while notifier.in_flight() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        idle.await.expect("nothing in flight within a minute");
    }

    /// The value with which the run goes on.
    async fn answer(&self) -> Value {
        let mut wakes = self.woken.wakes.subscribe();
        let wake = tokio::time::timeout(PATIENCE, wakes.wait_for(|wakes| !wakes.is_empty()));
        let wakes = wake.await.expect("a wake within a minute").unwrap().clone();
        assert_eq!(wakes.len(), 1, "{wakes:?}");
        assert_eq!(
            (wakes[0].wait, wakes[0].workspace_id),
            (wait(), workspace())
        );
        match &wakes[0].because {
            Because::Answer { value } => value.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn is_asleep(&self) -> bool {
        self.woken.wakes.borrow().is_empty()
    }

    /// What schedulers do. A transaction may have begun before the clock was moved, and finds
    /// nothing.
    async fn fire_due(&self) {
        let fired = tokio::time::timeout(PATIENCE, async { while self.fire().await == 0 {} });
        fired.await.expect("a timer within a minute");
    }

    /// How many timers were due.
    async fn fire(&self) -> usize {
        self.db
            .write(|tx| {
                Box::pin(async {
                    let taken = timers::take_due(tx, 100).await?;
                    for timer in &taken {
                        if let Due::DeliveryRetry { delivery_id }
                        | Due::DeliveryRecovery { delivery_id } = timer.due
                        {
                            tx.publish(Message::Delivery(delivery_id))?;
                        }
                    }
                    Ok(taken.len())
                })
            })
            .await
            .unwrap()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.stop.cancel();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn notifier(db: &Db, directory: &std::path::Path) -> Notifier {
    let client = HttpClient::new(ClientSettings {
        allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..ClientSettings::default()
    });
    let mailer = Mailer::new(MailSettings {
        smtp_url: None,
        from: MailFrom {
            name: String::new(),
            email: "tasks@example.com".parse().unwrap(),
        },
        directory: directory.join("mail"),
        timeout: PATIENCE,
    });
    let settings = Settings {
        public_url: "https://tasks.example.com".to_owned(),
        external_per_hour: 10,
        concurrency: 8.try_into().unwrap(),
    };
    Notifier::new(db.clone(), settings, client.unwrap(), mailer.unwrap())
}

fn workspace() -> WorkspaceId {
    WorkspaceId(Uuid::nil())
}

fn wait() -> WaitId {
    WaitId {
        run_id: RunId(Uuid::from_u128(7)),
        number: 2,
    }
}

fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: [("Authorization".to_owned(), "Bearer s3cret".to_owned())].into(),
        body: None,
    }
}

const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
const FINE: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}";

#[tokio::test]
async fn an_answer_wakes_its_run_once_and_stands_in_the_log() {
    let here = Installation::new().await;
    let mut receiver = Receiver::that_answers(FINE).await;
    let id = here.ask_for(&receiver.url()).await;
    let answer = here.answer().await;
    assert_eq!(
        (&answer["status"], &answer["json"]["ok"]),
        (&200.into(), &true.into())
    );
    let (delivery, attempts) = here.after(id, 1).await;
    assert_eq!(delivery.status, Status::Delivered);
    assert_eq!(
        (delivery.content.channel().as_str(), &delivery.recipient),
        ("http", &receiver.url())
    );
    assert_eq!(attempts[0].status_code, Some(200));
    assert_eq!(attempts[0].response.as_deref(), Some("{\"ok\":true}"));
    assert!(!format!("{attempts:?}{:?}", delivery.reason).contains("s3cret"));
    let seen = receiver.seen.recv().await.unwrap();
    assert_eq!(header(&seen.head, "authorization"), Some("Bearer s3cret"));

    // The notification comes again: it is known.
    here.ask_for(&receiver.url()).await;
    let mut commits = here.db.commits();
    while here.db.pending_messages() > 0 {
        commits.changed().await.unwrap();
    }
    here.answer().await;
    assert!(receiver.seen.try_recv().is_err());
}

#[tokio::test]
async fn a_refusal_is_an_answer_too() {
    let here = Installation::new().await;
    let no = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope";
    let id = here.ask_for(&Receiver::that_answers(no).await.url()).await;
    let answer = here.answer().await;
    assert_eq!(
        (&answer["status"], &answer["body"]),
        (&404.into(), &"nope".into())
    );
    assert_eq!(here.after(id, 1).await.0.status, Status::Delivered);
}

#[tokio::test]
async fn a_receiver_that_is_busy_is_asked_again_with_the_same_key() {
    let here = Installation::new().await;
    let mut receiver = Receiver::that(Behaviour::AnswersInTurn(&[BUSY, FINE])).await;
    let id = here.ask_for(&receiver.url()).await;
    let (delivery, _) = here.after(id, 1).await;
    assert_eq!(delivery.status, Status::Pending);
    assert!(here.is_asleep());
    let next = delivery.next_attempt_at.unwrap();
    here.db.clock().advance(next.since(here.now()));
    here.fire_due().await;
    assert_eq!(here.answer().await["status"], 200);
    assert_eq!(here.after(id, 2).await.0.status, Status::Delivered);
    for _ in 0..2 {
        let seen = receiver.seen.recv().await.unwrap();
        let key = id.to_string();
        assert_eq!(header(&seen.head, "idempotency-key"), Some(&*key));
    }
}

#[tokio::test]
async fn when_the_time_allows_no_further_attempt_the_last_answer_counts() {
    let here = Installation::new().await;
    let receiver = Receiver::that_answers(BUSY).await;
    let id = here.ask_for(&receiver.url()).await;
    // After 5 s, 5 min and 30 min; the next would be two hours later.
    for attempts in 1..4 {
        let (delivery, _) = here.after(id, attempts).await;
        assert_eq!(delivery.status, Status::Pending);
        assert!(here.is_asleep());
        let next = delivery.next_attempt_at.unwrap();
        here.db.clock().advance(next.since(here.now()));
        here.fire_due().await;
    }
    let answer = here.answer().await;
    assert_eq!(
        (&answer["status"], &answer["body"]),
        (&503.into(), &"busy".into())
    );
    let (delivery, attempts) = here.after(id, 4).await;
    assert_eq!((delivery.status, attempts.len()), (Status::Failed, 4));
    let reason = delivery.reason.unwrap();
    assert!(reason.contains("the next would come too late"), "{reason}");
}

#[tokio::test]
async fn a_receiver_that_wants_more_time_than_there_is_has_answered() {
    let here = Installation::new().await;
    let busy = "HTTP/1.1 429 Slow down\r\nRetry-After: 7200\r\nContent-Length: 0\r\n\r\n";
    let id = here
        .ask_for(&Receiver::that_answers(busy).await.url())
        .await;
    assert_eq!(here.answer().await["status"], 429);
    assert_eq!(here.after(id, 1).await.0.status, Status::Failed);
}

#[tokio::test]
async fn after_its_time_nothing_is_sent() {
    let here = Installation::new().await;
    let mut receiver = Receiver::that(Behaviour::AnswersInTurn(&[BUSY, FINE])).await;
    let id = here.ask_for(&receiver.url()).await;
    here.after(id, 1).await;
    receiver.seen.recv().await.unwrap();
    // Nobody was there to fire the timer in time.
    here.db.clock().advance(HOUR + Duration::from_secs(1));
    here.fire_due().await;
    let answer = here.answer().await;
    assert_eq!(answer["status"], 0);
    let error = answer["error"].as_str().unwrap();
    assert!(error.contains("the time for an answer is over"), "{error}");
    assert!(receiver.seen.try_recv().is_err());
    let (delivery, attempts) = here.after(id, 1).await;
    assert_eq!((delivery.status, attempts.len()), (Status::Failed, 1));
}

#[tokio::test]
async fn what_cannot_be_asked_is_answered_with_the_reason() {
    for (url, expected) in [
        ("https://10.0.0.1/", "10.0.0.1 is or resolves to an address"),
        ("http://93.184.216.34/", "may only be reached by https"),
        ("nonsense", "the request is not valid: url: not a URL"),
    ] {
        let here = Installation::new().await;
        let id = here.ask_for(url).await;
        let answer = here.answer().await;
        let nobody = json!({
            "status": 0, "headers": {}, "body": "", "json": null, "error": answer["error"],
        });
        assert_eq!(answer, nobody);
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(expected), "{error}");
        assert_eq!(here.after(id, 0).await.0.status, Status::Failed);
    }
}

#[tokio::test]
async fn one_who_dies_between_sending_and_recording_leaves_a_repeat_that_can_be_recognised() {
    let before = Installation::new().await;
    before.stop.cancel();
    let (directory, clock) = (before.directory.clone(), before.db.clock().clone());
    let dying = Installation::of(directory.clone(), clock.clone(), false).await;
    let mut receiver = Receiver::that_answers(FINE).await;
    let id = dying.ask_for(&receiver.url()).await;
    let first = receiver.seen.recv().await.unwrap();
    dying.stop.cancel();
    assert!(dying.is_asleep());

    let here = Installation::of(directory, clock, true).await;
    here.db
        .write(|tx| Box::pin(timers::recover_deliveries(tx)))
        .await
        .unwrap();
    here.fire_due().await;
    assert_eq!(here.answer().await["status"], 200);
    let second = receiver.seen.recv().await.unwrap();
    for seen in [first, second] {
        let key = id.to_string();
        assert_eq!(header(&seen.head, "idempotency-key"), Some(&*key));
    }
    assert_eq!(here.after(id, 1).await.1.len(), 1);
}
