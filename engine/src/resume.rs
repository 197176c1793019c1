//! Runs that go on after a wait.
//!
//! What ends a wait is a message that names it, so one that comes late or twice finds the run
//! elsewhere and does nothing. The script runs again from the top against its journal; see
//! [`smarttasks_rules::Journal`]. That a run begins and that it goes on differ only in where its
//! inputs come from.

use crate::evaluate::{Done, Job, Terms};
use crate::pause::{self, Paused};
use crate::plan::{CHANGES, RuleSets};
use crate::run::{Past, PlannedRun, Started};
use crate::{Engine, PATIENCE, apply, quarantine};
use serde_json::{Value, json};
use smarttasks_bus::{Batch, Handler, HandlerError};
use smarttasks_model::{
    Because, EndRuns, Event, EventId, Failpoint, Message, RuleId, RunId, RunStatus, Task, TaskId,
    Timestamp, WaitId, Wake,
};
use smarttasks_rules::{Journal, Outcome, Segment, Wait};
use smarttasks_store::runs::{self, RunError, Waiting};
use smarttasks_store::waits::{self, EventWait};
use smarttasks_store::{Db, Error, Queue, Result, Timer, approvals, tasks};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How long a run waits that could not go on, the first time; then twice as long each time.
const AGAIN: Duration = Duration::from_millis(500);
/// But no longer than this.
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);
/// Bytes of the journals that a batch holds; with more, the rest is left.
const JOURNALS: usize = 16 * 1024 * 1024;
/// Runs whose journals are read together.
const PART: usize = 20;
/// After so many failures to go on a run is paused.
const FAILURES: u32 = 10;

/// The consumer of what lets runs go on.
pub struct Runner {
    engine: Arc<Engine>,
}

impl Runner {
    /// A runner that evaluates as `engine` does, within the same budgets.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

impl Handler for Runner {
    const QUEUE: Queue = Queue::Runs;

    async fn handle(&self, batch: Batch) -> Result<(), HandlerError> {
        for time in 0..PATIENCE {
            let resumed = self.engine.resume(&batch, time > 0).await?;
            Failpoint::Evaluated.pass();
            match write(&self.engine.db, resumed, batch.clone(), time > 0).await {
                Err(Error::Overtaken) => {}
                done => {
                    done?;
                    Failpoint::Resumed.pass();
                    return Ok(());
                }
            }
        }
        Err(HandlerError::Unavailable(
            "others keep changing what the rules keep".to_owned(),
        ))
    }

    async fn give_up(&self, message: &Message, reason: &str) -> Result<(), HandlerError> {
        match message {
            Message::Wake(wake) => pause::give_up(&self.engine.db, wake, reason).await,
            _ => Ok(()),
        }
    }
}

/// What a batch leads to.
#[derive(Default)]
struct Resumed {
    runs: Vec<PlannedRun>,
    versions: HashMap<RuleId, i64>,
    /// Waits for which nothing had come before they were known.
    looked: Vec<WaitId>,
    /// To be tried again then.
    later: Vec<(Wake, Timestamp)>,
    paused: Vec<Paused>,
    /// Runs with whose rule nobody can go on.
    gone: Vec<Waiting>,
    /// Rules of which a run goes on later: what they keep goes from run to run.
    left: HashSet<RuleId>,
    /// Events that runs wait for, and after which of these to go on.
    waiters: Vec<(Event, Option<RunId>)>,
    /// Runs that end, unread.
    ending: Vec<EndRuns>,
}

/// A run whose wait has ended.
struct Woken {
    waiting: Waiting,
    /// With what the wait has ended, as an answer.
    wake: Wake,
    /// The same, for the script.
    value: Value,
    event: Option<Box<Event>>,
}

/// What tells what lets a run go on from other messages, however often it comes.
pub(crate) fn message_id(wake: &Wake) -> EventId {
    let number = wake.wait.number.to_be_bytes();
    let key = [wake.wait.run_id.as_bytes(), &number[..]];
    EventId::derived(Timestamp::from_unix_millis(0), &key)
}

impl Engine {
    async fn resume(&self, batch: &Batch, cautious: bool) -> Result<Resumed, HandlerError> {
        let mut resumed = Resumed::default();
        let woken = self.woken(batch, &mut resumed).await?;
        let woken = self.within_budgets(woken, &mut resumed);
        if woken.is_empty() {
            return Ok(resumed);
        }
        let (jobs, started) = self.jobs_of(woken, &mut resumed).await?;
        let terms = Terms {
            cautious,
            give_up_after: None,
        };
        let evaluated = quarantine::evaluate(self, batch, jobs, terms).await?;
        resumed.versions = evaluated.versions;
        for (run, done) in started.into_iter().zip(evaluated.done) {
            resumed.take_in(run, done, self.settings.max_depth);
        }
        Ok(resumed)
    }

    /// The runs that may go on, each once.
    async fn woken(
        &self,
        batch: &Batch,
        resumed: &mut Resumed,
    ) -> Result<Vec<Woken>, HandlerError> {
        let (mut wakes, mut asked) = (Vec::new(), HashSet::new());
        let mut waiters = Vec::new();
        for message in batch.messages() {
            match message {
                Message::Wake(wake) => {
                    if let Because::Event { event_id } = wake.because {
                        asked.insert(event_id);
                    }
                    wakes.push(&**wake);
                }
                Message::Waiters(of) => {
                    asked.insert(of.event_id);
                    waiters.push(*of);
                }
                Message::EndRuns(which) => resumed.ending.push((**which).clone()),
                _ => {}
            }
        }
        let ids = wakes.iter().map(|wake| wake.wait.run_id);
        let mut waiting = runs::waiting(&self.db, ids.clone()).await?;
        let for_events = waits::of(&self.db, ids).await?;
        asked.extend(for_events.values().filter_map(|(_, event)| *event));
        let events = waits::events_by_ids(&self.db, asked).await?;
        let rest = waiters.iter().filter_map(|of| {
            let event = events.get(&of.event_id)?;
            Some((event.clone(), of.after))
        });
        resumed.waiters = rest.collect();
        let mut woken = Vec::new();
        for wake in wakes {
            let Some(run) = waiting.get(&wake.wait.run_id).filter(|of| fits(of, wake)) else {
                continue;
            };
            let ended = self.ended(run, wake, &events, &for_events, resumed).await?;
            let Some(value) = ended else {
                continue;
            };
            if let Some(waiting) = waiting.remove(&wake.wait.run_id) {
                woken.push(Woken::of(waiting, wake, value));
            }
        }
        Ok(woken)
    }

    /// With what the wait has ended; nothing when it goes on.
    async fn ended(
        &self,
        waiting: &Waiting,
        wake: &Wake,
        events: &HashMap<EventId, Event>,
        for_events: &HashMap<WaitId, (EventWait, Option<EventId>)>,
        resumed: &mut Resumed,
    ) -> Result<Option<Value>, HandlerError> {
        let wait = wait_of(waiting);
        let for_event = for_events.get(&wake.wait);
        if let Some((_, Some(event))) = for_event
            && let Some(event) = events.get(event)
        {
            return Ok(Some(json!(event)));
        }
        Ok(match (&wake.because, wait) {
            (Because::Retry, _) => Some(Value::Null),
            // It may have been answered in time, and the answer be under way.
            (because, Some(Wait::Approval { .. })) if !because.is_told() => {
                let answer = approvals::answered(&self.db, wake.wait).await?;
                Some(answer.unwrap_or_default())
            }
            (Because::Answer { value }, _) => Some(value.clone()),
            // One that the retention has removed while the run was paused is as one that never came.
            (Because::Event { event_id }, _) => Some(json!(events.get(event_id))),
            (Because::Look, _) => match for_event {
                Some((wait, _)) => {
                    let found = waits::first(&self.db, wait, false).await?;
                    if found.is_none() {
                        resumed.looked.push(wake.wait);
                    }
                    found.map(|event| json!(event))
                }
                None => None,
            },
            // It may have come in time, and wait behind others to be handled.
            (Because::Time, Some(Wait::Event { .. })) => match for_event {
                Some((wait, _)) => Some(json!(waits::first(&self.db, wait, true).await?)),
                None => Some(Value::Null),
            },
            (Because::Time | Because::Skipped, Some(Wait::Http { .. })) => Some(json!({
                "status": 0, "headers": {}, "body": "", "json": null,
                "error": "there was no answer in time",
            })),
            (Because::Time | Because::Skipped, _) => Some(Value::Null),
        })
    }

    /// Puts off what has to wait because its workspace has used its budget.
    fn within_budgets(&self, woken: Vec<Woken>, resumed: &mut Resumed) -> Vec<Woken> {
        let now = self.db.clock().now();
        let mut kept = Vec::with_capacity(woken.len());
        for woken in woken {
            match self.evaluator.turns.wait(woken.wake.workspace_id) {
                Some(wait) => resumed.later.push((woken.wake, now + wait)),
                None => kept.push(woken),
            }
        }
        kept
    }

    /// What is handed to the evaluator, and the runs that belong to it, in the same order.
    async fn jobs_of(
        &self,
        woken: Vec<Woken>,
        resumed: &mut Resumed,
    ) -> Result<(Vec<Job>, Vec<Started>), HandlerError> {
        let now = self.db.clock().now();
        let workspaces = woken.iter().map(|of| of.waiting.run.workspace_id);
        let rule_sets = self.rule_sets.of(workspaces).await?;
        let rules = self
            .rule_sets
            .pinned(woken.iter().map(|of| &of.waiting))
            .await?;
        let woken = resumed.without_quarantined(woken, &rule_sets);
        let tasks = self.tasks_of(&woken).await?;
        let (woken, mut segments) = self.journals(woken, now, resumed).await?;
        let programs = self.rule_sets.programs.of(rules.values()).await?;
        let (mut jobs, mut started) = (Vec::new(), Vec::new());
        for woken in woken {
            let run = &woken.waiting.run;
            let version = woken.waiting.rule();
            let found = rules.get(&version);
            let found = found.and_then(|rule| Some((rule, programs.of(rule)?)));
            let (Some((rule, program)), Some(rule_set)) = (found, rule_sets.get(&run.workspace_id))
            else {
                resumed.gone.push(woken.waiting);
                continue;
            };
            let journal = journal(segments.remove(&run.id).unwrap_or_default(), &woken)?;
            let (task_id, message) = (run.task_id, message_id(&woken.wake));
            let run = Started::again(woken.past(journal), rule, rule_set, now);
            let task = task_id.and_then(|id| task_of(id, run.event(), &tasks));
            if task_id.is_some() && task.is_none() {
                resumed.runs.push(gone(&run));
                continue;
            }
            match program {
                Err(error) => {
                    let failed = run.failed(error.clone(), Vec::new(), 0);
                    resumed.runs.push(failed);
                }
                Ok(program) => {
                    jobs.push(Job {
                        begins: false,
                        withheld: false,
                        message,
                        program: Arc::clone(program),
                        rule: Arc::clone(rule),
                        inputs: run.inputs(task),
                    });
                    started.push(run);
                }
            }
        }
        Ok((jobs, started))
    }

    /// What has happened in these runs, as JSON. Those that would take too much memory beside the
    /// others go on later.
    async fn journals(
        &self,
        woken: Vec<Woken>,
        now: Timestamp,
        resumed: &mut Resumed,
    ) -> Result<(Vec<Woken>, HashMap<RunId, Vec<String>>)> {
        let (mut kept, mut segments, mut bytes) = (Vec::new(), HashMap::new(), 0);
        let mut woken = woken.into_iter().peekable();
        while woken.peek().is_some() && bytes < JOURNALS {
            let part: Vec<Woken> = woken.by_ref().take(PART).collect();
            let ids = part.iter().map(|of| of.waiting.run.id);
            let found = runs::segments(&self.db, ids).await?;
            bytes += found.values().flatten().map(String::len).sum::<usize>();
            segments.extend(found);
            kept.extend(part);
        }
        resumed.later.extend(woken.map(|of| (of.wake, now)));
        Ok((kept, segments))
    }

    async fn tasks_of(&self, woken: &[Woken]) -> Result<HashMap<TaskId, Arc<Task>>> {
        let ids: HashSet<TaskId> = woken
            .iter()
            .filter_map(|of| of.waiting.run.task_id)
            .collect();
        let found = tasks::by_ids(&self.db, ids).await?;
        Ok(found
            .into_iter()
            .map(|(id, task)| (id, Arc::new(task)))
            .collect())
    }
}

/// Whether a run is at the wait that a message names.
pub(crate) fn fits(waiting: &Waiting, wake: &Wake) -> bool {
    waiting.run.waits == begun(wake)
}

/// How many waits a run has begun whom this lets go on.
fn begun(wake: &Wake) -> u32 {
    match wake.because {
        Because::Retry => 0,
        _ => wake.wait.number + 1,
    }
}

fn wait_of(waiting: &Waiting) -> Option<Wait> {
    let waiting = waiting.run.waiting.clone()?;
    serde_json::from_value(waiting).ok()
}

/// The task as it is now; of one that the run was told has been deleted, as it was.
fn task_of(id: TaskId, event: &Event, tasks: &HashMap<TaskId, Arc<Task>>) -> Option<Arc<Task>> {
    let deleted = || {
        let task = event.task().filter(|task| task.id == id)?;
        (event.kind.as_str() == "task.deleted").then(|| Arc::new(task.clone()))
    };
    tasks.get(&id).cloned().or_else(deleted)
}

fn gone(run: &Started) -> PlannedRun {
    let error = RunError {
        message: "the task was deleted".to_owned(),
        line: None,
        column: None,
    };
    run.ended(RunStatus::Cancelled, error, Vec::new(), 0)
}

fn journal(bodies: Vec<String>, woken: &Woken) -> Result<Journal, HandlerError> {
    let bytes = bodies.iter().map(String::len).sum();
    let segments: serde_json::Result<Vec<Segment>> = bodies
        .iter()
        .map(|body| serde_json::from_str(body))
        .collect();
    Ok(Journal {
        segments: segments.map_err(|error| {
            HandlerError::Failed(format!("the journal of a run cannot be read: {error}"))
        })?,
        woken: woken.value.clone(),
        bytes,
    })
}

impl Woken {
    /// Whatever has ended the wait, from here on it is an answer: should the run not get on now, it
    /// gets the same when it is tried again.
    fn of(waiting: Waiting, wake: &Wake, value: Value) -> Self {
        let for_event = matches!(wait_of(&waiting), Some(Wait::Event { .. }));
        let event = for_event.then(|| serde_json::from_value(value.clone()).ok());
        let because = match wake.because {
            Because::Retry => Because::Retry,
            _ => Because::Answer {
                value: value.clone(),
            },
        };
        Self {
            wake: Wake {
                because,
                ..wake.clone()
            },
            value,
            event: event.flatten(),
            waiting,
        }
    }

    fn past(self, journal: Journal) -> Past {
        Past {
            run: self.waiting.run,
            start: self.waiting.start,
            journal: Arc::new(journal),
            wake: self.wake,
            event: self.event.map(|event| (event.time, event.change)),
        }
    }
}

impl Resumed {
    /// Pauses what must not be evaluated; the rest stays.
    fn without_quarantined(&mut self, woken: Vec<Woken>, rule_sets: &RuleSets) -> Vec<Woken> {
        let refused = |woken: &Woken| {
            let (rule, version, _) = woken.waiting.rule();
            let rule_set = rule_sets.get(&woken.waiting.run.workspace_id);
            rule_set.is_some_and(|of| of.quarantined.contains(&(rule, version)))
        };
        let (refused, kept): (Vec<_>, Vec<_>) = woken.into_iter().partition(refused);
        let refused = refused.into_iter();
        self.paused
            .extend(refused.map(|of| Paused::in_quarantine(of.waiting, of.wake)));
        kept
    }

    /// What became of a run.
    fn take_in(&mut self, run: Started, done: Done, max_depth: u8) {
        let Some(past) = run.past() else {
            return;
        };
        let (wake, now) = (past.wake.clone(), run.now());
        match done {
            Done::Told(outcome) if outcome.later => self.again(&run, *outcome),
            Done::Told(outcome) if quarantine::is_refused(&outcome) => {
                self.paused
                    .push(Paused::in_quarantine(past.waiting(), wake));
            }
            Done::PassedOver => self
                .paused
                .push(Paused::in_quarantine(past.waiting(), wake)),
            Done::Told(outcome) => {
                let planned = run.planned(*outcome, max_depth);
                let changes = planned.changes();
                let before: usize = self.runs.iter().map(PlannedRun::changes).sum();
                let rule = planned.run.rule_id;
                if self.left.contains(&rule) || (before > 0 && before + changes > CHANGES) {
                    self.left.insert(rule);
                    self.later.push((wake, now));
                } else {
                    self.runs.push(planned);
                }
            }
            Done::Nothing => self.runs.push(run.planned(Outcome::default(), max_depth)),
            Done::Left => self.later.push((wake, now)),
        }
    }

    /// It is not the script's fault: it is tried again, and again, and then paused.
    fn again(&mut self, run: &Started, outcome: Outcome) {
        let Some(past) = run.past() else {
            return;
        };
        let mut wake = past.wake.clone();
        wake.failures += 1;
        if wake.failures <= FAILURES {
            let wait = AGAIN.saturating_mul(1 << (wake.failures - 1).min(16));
            let at = run.now() + wait.min(AGAIN_AT_MOST);
            self.later.push((wake, at));
            return;
        }
        let error = outcome
            .error
            .map_or_else(RunError::default, |error| RunError {
                message: error.message,
                line: error.line,
                column: error.column,
            });
        self.paused.push(Paused::of(past.waiting(), wake, error));
    }
}

async fn write(db: &Db, resumed: Resumed, batch: Batch, cautious: bool) -> Result<()> {
    let resumed = Arc::new(resumed);
    db.write(move |tx| {
        let (resumed, batch) = (Arc::clone(&resumed), batch.clone());
        Box::pin(async move {
            batch.settle(tx);
            quarantine::settle(tx, &batch).await?;
            waits::looked(tx, &resumed.looked).await?;
            for which in &resumed.ending {
                runs::end_page(tx, which).await?;
            }
            for (event, after) in &resumed.waiters {
                waits::wake_page(tx, event, *after).await?;
            }
            // A run has one timer: who comes late must not move that of a later wait.
            let later = resumed
                .later
                .iter()
                .map(|(wake, _)| (wake.wait.run_id, begun(wake)));
            let paused = resumed.paused.iter().map(Paused::at);
            let gone = resumed.gone.iter().map(|of| (of.run.id, of.run.waits));
            let held = runs::hold(tx, later.chain(paused).chain(gone)).await?;
            apply::perform_all(tx, &resumed.runs, &resumed.versions, cautious).await?;
            for (wake, at) in &resumed.later {
                if held.contains(&wake.wait.run_id) {
                    tx.schedule(Timer::of_run(wake.clone(), *at));
                }
            }
            for waiting in &resumed.gone {
                if held.contains(&waiting.run.id) {
                    let why = "its rule is gone, with the version that it began with";
                    runs::cancel(tx, waiting.run.workspace_id, waiting.run.id, why).await?;
                }
            }
            for paused in &resumed.paused {
                if held.contains(&paused.at().0) {
                    paused.write(tx).await?;
                }
            }
            Ok(())
        })
    })
    .await
}

#[cfg(test)]
mod tests;
