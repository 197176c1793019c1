//! What keeps a run that may wait on the way it has gone: each call that does something, asks
//! something or waits is compared with what the journal has of it, or becomes part of the journal.
//!
//! Scripts that cannot wait have none of this, and pay nothing for it.

use super::Inputs;
use crate::{Entry, Journal, Limits, Segment};
use rhai::Position;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use smarttasks_model::{Failpoint, Task, Timestamp, User, UserId};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

/// What of its surroundings a script sees in one segment, and may see otherwise in the next.
#[derive(Clone)]
pub(super) struct View {
    pub(super) now: Timestamp,
    pub(super) task: Option<Arc<Task>>,
    pub(super) users: Arc<HashMap<UserId, User>>,
    pub(super) state: Arc<Map<String, Value>>,
}

/// A call that is recorded.
pub(super) struct Call {
    name: &'static str,
    digest: String,
    at: Position,
    /// Bytes that the record of the run has of it.
    recorded: usize,
}

impl Call {
    pub(super) fn new(name: &'static str, arguments: &impl Serialize, at: Position) -> Self {
        let json = serde_json::to_vec(arguments).unwrap_or_default();
        let hash = Sha256::digest(json);
        let first = hash.iter().take(8);
        let first = first.fold(0, |first: u64, byte| first << 8 | u64::from(*byte));
        Self {
            name,
            digest: format!("{first:016x}"),
            at,
            recorded: 0,
        }
    }

    /// One of which the record of the run says this, too.
    pub(super) fn recorded_as(self, detail: &Value) -> Self {
        Self {
            recorded: size(detail),
            ..self
        }
    }

    fn is(&self, entry: &Entry) -> bool {
        self.name == entry.call && self.digest == entry.digest
    }

    fn entry(self, result: Value) -> Entry {
        Entry {
            call: self.name.to_owned(),
            digest: self.digest,
            line: self.at.line(),
            column: self.at.position(),
            result,
        }
    }
}

/// What the record makes of a call.
pub(super) enum Met {
    /// Nothing is recorded, because the script cannot wait.
    Unrecorded,
    /// The journal has it, and what it returned.
    Replayed,
    /// It is made now, and to be recorded with its result.
    New(Call),
}

/// The record of one evaluation.
pub(super) struct Record {
    journal: Arc<Journal>,
    /// Which segment it is in.
    number: usize,
    /// Entries of this segment that it has come by.
    read: usize,
    /// What the script sees once it has been brought back to where it was.
    present: View,
    /// As the script has seen it at the beginning of the segment.
    task: Option<Arc<Task>>,
    /// What has been called now.
    entries: Vec<Entry>,
    /// Entries of the run.
    count: usize,
    /// Bytes of the run's journal, and of what its record says of its actions.
    bytes: usize,
    /// Bytes of the latter, of the segments before and of this one.
    recorded_before: usize,
    recorded: usize,
    /// Whom the script has looked at.
    users: RefCell<BTreeSet<UserId>>,
    /// Whether it has looked at what the rule keeps.
    looks_at_state: Cell<bool>,
}

impl Record {
    pub(super) fn new(inputs: &Inputs) -> Self {
        let journal = Arc::clone(&inputs.journal);
        let present = View {
            now: inputs.now,
            task: inputs.task.clone(),
            users: Arc::clone(&inputs.users),
            state: Arc::clone(&inputs.state),
        };
        let recorded_before = journal.segments.iter().map(|of| of.action_bytes).sum();
        Self {
            number: 0,
            read: 0,
            task: present.task.clone(),
            present,
            entries: Vec::new(),
            count: journal.segments.iter().map(|of| of.entries.len()).sum(),
            bytes: journal.bytes + recorded_before,
            recorded_before,
            recorded: 0,
            users: RefCell::default(),
            looks_at_state: Cell::new(false),
            journal,
        }
    }

    /// The segment that is replayed, until the run has been brought back.
    fn replayed(&self) -> Option<&Segment> {
        self.journal.segments.get(self.number)
    }

    pub(super) fn is_replaying(&self) -> bool {
        self.replayed().is_some()
    }

    /// Whether the run has waited before.
    pub(super) fn has_waited(&self) -> bool {
        !self.journal.segments.is_empty()
    }

    /// What the script sees in the segment that it is in.
    pub(super) fn view(&mut self) -> View {
        let Some(segment) = self.journal.segments.get(self.number) else {
            self.task = self.present.task.clone();
            return self.present.clone();
        };
        if self.number == 0 || segment.task.is_some() {
            self.task = segment.task.clone();
        }
        View {
            now: segment.now,
            task: self.task.clone(),
            users: Arc::new(
                segment
                    .users
                    .iter()
                    .map(|user| (user.id, user.clone()))
                    .collect(),
            ),
            state: Arc::new(segment.state.clone().unwrap_or_default()),
        }
    }

    /// The number of the segment that it is in.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// How the wait ended because of which a segment began.
    pub(super) fn woken(&self, number: usize) -> &Value {
        let segment = self.journal.segments.get(number);
        segment.map_or(&self.journal.woken, |segment| &segment.woken)
    }

    /// What the journal says that the last call returned.
    pub(super) fn last_result(&self) -> Option<&Value> {
        let entry = self.replayed()?.entries.get(self.read.checked_sub(1)?)?;
        Some(&entry.result)
    }

    /// What the journal says that the next call returned.
    pub(super) fn next_result(&self) -> Option<&Value> {
        let entry = self.replayed()?.entries.get(self.read)?;
        Some(&entry.result)
    }

    /// Comes by a call.
    ///
    /// # Errors
    /// What the journal has instead.
    pub(super) fn meet(&mut self, call: Call) -> Result<Met, String> {
        let Some(segment) = self.replayed() else {
            return Ok(Met::New(call));
        };
        match segment.entries.get(self.read) {
            Some(entry) if call.is(entry) => {
                self.read += 1;
                Failpoint::Replaying.pass();
                Ok(Met::Replayed)
            }
            Some(entry) if call.name == entry.call => Err(format!(
                "{DIVERGED}: its journal has {} next, and the script now calls it in {} with \
                 something else",
                spoken(entry),
                place(call.at.line(), call.at.position())
            )),
            recorded => {
                let recorded = recorded.map_or_else(|| "nothing".to_owned(), spoken);
                Err(format!(
                    "{DIVERGED}: its journal has {recorded} next, and the script now calls \
                     `{}` in {}",
                    call.name,
                    place(call.at.line(), call.at.position())
                ))
            }
        }
    }

    /// Ends a wait that the journal has, and goes on to what came after it.
    ///
    /// # Errors
    /// What the journal has behind the wait.
    pub(super) fn turn(&mut self) -> Result<(), String> {
        if let Some(next) = self.unread_entry() {
            return Err(format!(
                "{DIVERGED}: its journal has {} next, and the script now waits",
                spoken(next)
            ));
        }
        self.number += 1;
        self.read = 0;
        Ok(())
    }

    fn unread_entry(&self) -> Option<&Entry> {
        self.replayed()?.entries.get(self.read)
    }

    /// What a script that has ended should still have called.
    pub(super) fn unread(&self) -> Option<String> {
        self.replayed()?;
        let next = self.unread_entry();
        let next = next.map_or_else(|| "another segment".to_owned(), spoken);
        Some(format!(
            "{DIVERGED}: its journal has {next} next, and the script has now ended"
        ))
    }

    /// Adds a call that has been made now; false where the journal is full.
    pub(super) fn add(&mut self, call: Call, result: Value, limits: &Limits) -> bool {
        self.recorded += call.recorded;
        self.bytes += call.recorded;
        let entry = call.entry(result);
        self.count += 1;
        // One more for the comma.
        self.bytes += size(&entry) + 1;
        self.entries.push(entry);
        self.count <= limits.journal_entries && self.bytes <= limits.journal_bytes
    }

    /// Whether the journal can keep the segment.
    pub(super) fn has_room(&self, segment: &Segment, limits: &Limits) -> bool {
        let recorded = self.recorded_before + self.recorded;
        self.journal.bytes + recorded + size(segment) <= limits.journal_bytes
    }

    /// Somebody has been looked at.
    pub(super) fn saw(&self, user: UserId) {
        if !self.is_replaying() {
            self.users.borrow_mut().insert(user);
        }
    }

    /// What the rule keeps has been looked at.
    pub(super) fn saw_state(&self) {
        if !self.is_replaying() {
            self.looks_at_state.set(true);
        }
    }

    /// The segment, at its end.
    pub(super) fn segment(&self, log_bytes: usize) -> Segment {
        let View {
            now, users, state, ..
        } = &self.present;
        let before = self.journal.segments.iter().rev();
        let before = before.filter_map(|segment| segment.task.as_ref()).next();
        let seen = self.users.borrow();
        Segment {
            now: *now,
            woken: self.woken(self.number).clone(),
            task: self
                .present
                .task
                .clone()
                .filter(|task| Some(task) != before),
            users: seen
                .iter()
                .filter_map(|id| users.get(id).cloned())
                .collect(),
            state: self.looks_at_state.get().then(|| (**state).clone()),
            entries: self.entries.clone(),
            log_bytes,
            action_bytes: self.recorded,
        }
    }
}

const DIVERGED: &str = "the script no longer does what its run has done before";

fn spoken(entry: &Entry) -> String {
    format!("`{}` of {}", entry.call, place(entry.line, entry.column))
}

fn place(line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}"),
        (Some(line), None) => format!("line {line}"),
        (None, _) => "an unknown line".to_owned(),
    }
}

/// Bytes of something as JSON.
fn size(value: &impl Serialize) -> usize {
    let mut counted = Counted(0);
    // Counting cannot fail, and what cannot be written as JSON is not kept either.
    let _ = serde_json::to_writer(&mut counted, value);
    counted.0
}

struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
