//! Who was told what: each message once for whoever it concerns, or again with the same id.

use super::book::{PEOPLE, Title};
use crate::receivers::{Mails, ReceivedMail, ReceivedWebhook, Webhooks};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What somebody is told of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// The mail that it was made.
    Made,
    /// The webhook that it was made.
    Posted,
    /// The mail that it is overdue.
    Overdue,
}

/// Something about a task.
pub type Message = (Title, News);

/// Those who are told, and what they have been told so far.
pub struct Told {
    mails: Mails,
    webhooks: Webhooks,
    /// How many of each were read.
    read: (usize, usize),
    /// The id under which each message came first.
    ids: BTreeMap<Message, String>,
    repeats: usize,
}

impl Told {
    /// Nobody has been told anything.
    pub async fn start() -> Self {
        Self {
            mails: Mails::start().await,
            webhooks: Webhooks::start().await,
            read: (0, 0),
            ids: BTreeMap::new(),
            repeats: 0,
        }
    }

    /// The mail server.
    pub fn mails(&self) -> &Mails {
        &self.mails
    }

    /// The URL for the webhooks of a person.
    pub fn url(&self, person: usize) -> String {
        self.webhooks.url(&path(person))
    }

    /// Which of these have not come.
    pub fn missing(&mut self, expected: &BTreeSet<Message>) -> BTreeSet<Message> {
        self.update();
        let missing = expected.iter().filter(|one| !self.ids.contains_key(one));
        missing.copied().collect()
    }

    /// All that has come.
    pub fn messages(&mut self) -> BTreeSet<Message> {
        self.update();
        self.ids.keys().copied().collect()
    }

    /// How many came again.
    pub fn repeats(&self) -> usize {
        self.repeats
    }

    /// Returns once everybody who was connected to them has hung up.
    pub async fn until_deserted(&self) {
        self.mails.inbox.until_deserted().await;
        self.webhooks.inbox.until_deserted().await;
    }

    /// Reads what is new.
    ///
    /// # Panics
    /// It is for somebody else, of nothing that we know, or came under another id.
    fn update(&mut self) {
        let (mails, webhooks) = self.read;
        let mails: Vec<_> = self
            .mails
            .inbox
            .look(|all| all[mails..].iter().map(of_mail).collect());
        let webhooks: Vec<_> = self
            .webhooks
            .inbox
            .look(|all| all[webhooks..].iter().map(of_webhook).collect());
        self.read.0 += mails.len();
        self.read.1 += webhooks.len();
        for (message, id) in mails.into_iter().chain(webhooks) {
            if let Some(known) = self.ids.get(&message) {
                assert_eq!(*known, id, "{message:?} came under two ids");
                self.repeats += 1;
            } else {
                self.ids.insert(message, id);
            }
        }
    }
}

/// All that is to be told of these tasks by now.
pub fn expected(tasks: &BTreeMap<Title, Instant>, now: Instant) -> BTreeSet<Message> {
    tasks
        .iter()
        .flat_map(|(title, due)| {
            let overdue = (*due <= now).then_some(News::Overdue);
            let news = [News::Made, News::Posted].into_iter().chain(overdue);
            news.map(|news| (*title, news))
        })
        .collect()
}

fn path(person: usize) -> String {
    format!("/{}", PEOPLE[person])
}

fn of_mail(mail: &ReceivedMail) -> (Message, String) {
    let read = mail.read();
    let news = [("New task: ", News::Made), ("Overdue: ", News::Overdue)];
    let message = news.into_iter().find_map(|(start, news)| {
        let title: Title = read.subject.strip_prefix(start)?.parse().ok()?;
        Some((title, news))
    });
    let message = message.unwrap_or_else(|| panic!("a mail that nobody wanted: {}", read.subject));
    let recipient = format!("{}@example.com", PEOPLE[message.0.person]);
    assert_eq!(mail.recipients, [recipient], "{}", read.subject);
    (message, read.message_id)
}

fn of_webhook(webhook: &ReceivedWebhook) -> (Message, String) {
    let body = webhook.json();
    let title: Title = body["data"]["title"].as_str().unwrap().parse().unwrap();
    assert_eq!(webhook.path, path(title.person), "{body}");
    ((title, News::Posted), webhook.id().to_owned())
}
