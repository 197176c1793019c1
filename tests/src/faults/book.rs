//! What the product has promised by its answers, and how it has behaved meanwhile; the clients of the
//! load write, the test reads.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Those who make tasks, each in a workspace of their own.
pub const PEOPLE: [&str; 3] = ["ann", "bob", "cem"];

/// The title of a task, which no other task has: whose it is, and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Title {
    /// Whose, by the place in [`PEOPLE`].
    pub person: usize,
    /// Counts all tasks.
    pub number: u64,
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", PEOPLE[self.person], self.number)
    }
}

impl FromStr for Title {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('-').and_then(|(name, number)| {
            let person = PEOPLE.iter().position(|known| *known == name)?;
            Some((person, number.parse().ok()?))
        });
        let (person, number) = parts.ok_or_else(|| format!("{text:?} is no title of ours"))?;
        Ok(Self { person, number })
    }
}

/// What is written, by whom it concerns.
#[derive(Default)]
pub struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    /// What goes on at the moment.
    phase: String,
    /// The tasks that were answered 201, with when each is due.
    accepted: BTreeMap<Title, Instant>,
    /// How many requests were answered 503.
    refused: usize,
    /// How many tasks there may be.
    offered: u64,
    slowest: Duration,
    complaints: Vec<String>,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap()
    }

    /// From now on this goes on.
    pub fn begin(&self, phase: &str) {
        let mut pages = self.pages();
        phase.clone_into(&mut pages.phase);
        pages.slowest = Duration::ZERO;
        pages.refused = 0;
    }

    /// A title that was never used.
    pub fn title(&self, person: usize) -> Title {
        let mut pages = self.pages();
        pages.offered += 1;
        let number = pages.offered;
        Title { person, number }
    }

    /// A task was answered 201.
    pub fn accept(&self, title: Title, due: Instant) {
        self.pages().accepted.insert(title, due);
    }

    /// A request was answered 503.
    pub fn refuse(&self) {
        self.pages().refused += 1;
    }

    /// A request took so long.
    pub fn took(&self, time: Duration) {
        let mut pages = self.pages();
        pages.slowest = pages.slowest.max(time);
    }

    /// Something must not be so; the test fails in the end.
    pub fn complain(&self, what: &str) {
        let mut pages = self.pages();
        let complaint = format!("{}: {what}", pages.phase);
        pages.complaints.push(complaint);
    }

    /// The tasks that were answered 201, with when each is due.
    pub fn accepted(&self) -> BTreeMap<Title, Instant> {
        self.pages().accepted.clone()
    }

    /// How many these are.
    pub fn count(&self) -> usize {
        self.pages().accepted.len()
    }

    /// How many requests were refused since this phase began, and how long the slowest took.
    pub fn figures(&self) -> (usize, Duration) {
        let pages = self.pages();
        (pages.refused, pages.slowest)
    }

    /// Ends the test if there was a complaint.
    ///
    /// # Panics
    /// There was.
    pub fn close(&self) {
        let pages = self.pages();
        let (count, first) = (pages.complaints.len(), pages.complaints.iter().take(40));
        let first: Vec<_> = first.map(String::as_str).collect();
        assert!(count == 0, "{count} complaints:\n{}", first.join("\n"));
    }
}
