//! Sweeps: rules looked at for each task of their workspace, a page at a time.
//!
//! A range of a sweep is a message. Whoever handles it takes the first page of its tasks, leaves
//! the rest as further ranges that others may take, and commits all of it together with what the
//! page leads to. So memory is that of a page, engines share a sweep, and an interrupted sweep goes
//! on where it was.
//!
//! A rule fires when a task begins to match, or as its `repeat` and `hold` say; what stands between
//! the sweeps is in `matches`. It is looked at before the evaluation only to leave out what cannot
//! change; within the transaction it is locked and decided upon.

mod page;

use crate::evaluate::{Done, Job, Terms, acts};
use crate::plan::CHANGES;
use crate::programs::Ready;
use crate::rule_set::{LoadedRule, RuleSet};
use crate::run::{PlannedRun, Started};
use crate::{Engine, PATIENCE, quarantine};
use serde_json::{Map, json};
use smarttasks_bus::{Batch, Handler, HandlerError};
use smarttasks_model::{
    ChangeId, Event, EventData, EventId, EventType, Message, Overlap, RuleId, Snapshot,
    SweepPurpose, SweepRange, Task, TaskId, Timestamp, derive_id,
};
use smarttasks_store::matches::{self, Change, Match, Pair, decide};
use smarttasks_store::{Db, Due, Error, Queue, Result, Timer, runs, sweeps};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Tasks of a page.
const PAGE: u64 = 500;
/// Pages that a range is split into at once.
const PAGES: u64 = 16;
/// A rule that fails for so many tasks in a row is not tried for the others of a page.
const FAILURES: usize = 10;

/// The consumer of sweeps.
pub struct Sweeper {
    engine: Arc<Engine>,
}

impl Sweeper {
    /// A sweeper that evaluates as `engine` does, within the same budgets.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

impl Handler for Sweeper {
    const QUEUE: Queue = Queue::Sweeps;
    const BATCH: usize = 1;

    async fn handle(&self, batch: Batch) -> Result<(), HandlerError> {
        for time in 0..PATIENCE {
            let Some(Message::Sweep(range)) = batch.messages().next() else {
                break;
            };
            let looked = self.engine.look(range, &batch, time > 0).await?;
            match write(&self.engine.db, looked, batch.clone(), time > 0).await {
                Err(Error::Overtaken) => {}
                done => return Ok(done?),
            }
        }
        Err(HandlerError::Unavailable(
            "others keep changing what the rules keep".to_owned(),
        ))
    }

    async fn give_up(&self, message: &Message, _reason: &str) -> Result<(), HandlerError> {
        let Message::Sweep(range) = message else {
            return Ok(());
        };
        let range = range.clone();
        let given_up = self.engine.db.write(move |tx| {
            let range = range.clone();
            Box::pin(async move { sweeps::give_up(tx, &range).await })
        });
        Ok(given_up.await?)
    }
}

/// What a look at a range leads to.
enum Looked {
    /// Nothing: it has been looked at before.
    Before,
    /// It waits until its workspace has a budget again.
    PutOff(Box<SweepRange>, Timestamp),
    /// This.
    Page(Box<Page>),
}

/// What a page of a range leads to.
struct Page {
    range: SweepRange,
    rest: Vec<SweepRange>,
    tasks: HashMap<TaskId, Arc<Task>>,
    rules: HashMap<RuleId, Arc<LoadedRule>>,
    /// In the order of the evaluations, because what a rule keeps goes from one to the next.
    seen: Vec<Seen>,
    versions: HashMap<RuleId, i64>,
}

/// What was seen of a rule and a task.
enum Seen {
    /// It may change the match; with the run, if the script asked for something.
    Match(Pair, Option<PlannedRun>),
    /// It failed, or only kept something.
    Run(PlannedRun),
}

impl Engine {
    async fn look(
        &self,
        range: &SweepRange,
        batch: &Batch,
        cautious: bool,
    ) -> Result<Looked, HandlerError> {
        if !sweeps::is_pending(&self.db, range).await? {
            return Ok(Looked::Before);
        }
        let now = self.db.clock().now();
        if let Some(wait) = self.evaluator.turns.wait(range.workspace_id) {
            return Ok(Looked::PutOff(Box::new(range.clone()), now + wait));
        }
        let mut page = Page {
            range: range.clone(),
            rest: Vec::new(),
            tasks: HashMap::new(),
            rules: HashMap::new(),
            seen: Vec::new(),
            versions: HashMap::new(),
        };
        let rule_sets = self.rule_sets.of([range.workspace_id].into_iter()).await?;
        if let Some(rule_set) = rule_sets.get(&range.workspace_id) {
            page.rules = self.rules_of(range, rule_set).await?;
            if !page.rules.is_empty() {
                self.look_at(&mut page, rule_set, batch, cautious).await?;
            }
        }
        Ok(Looked::Page(Box::new(page)))
    }

    /// The rules of a range that have sweeps still. Those of which it is being noted what matches
    /// already are left out: it would be found to be new.
    async fn rules_of(
        &self,
        range: &SweepRange,
        rule_set: &RuleSet,
    ) -> Result<HashMap<RuleId, Arc<LoadedRule>>> {
        let mut rules: HashMap<RuleId, Arc<LoadedRule>> = range
            .rules
            .iter()
            .filter_map(|id| rule_set.rule(*id))
            .filter(|rule| rule.sweeps)
            .map(|rule| (rule.facts.id, rule))
            .collect();
        if range.purpose == SweepPurpose::Fire && !rules.is_empty() {
            let noting = sweeps::noting(&self.db, range.workspace_id).await?;
            rules.retain(|id, _| !noting.contains(id));
        }
        Ok(rules)
    }

    async fn look_at(
        &self,
        page: &mut Page,
        rule_set: &Arc<RuleSet>,
        batch: &Batch,
        cautious: bool,
    ) -> Result<(), HandlerError> {
        let now = self.db.clock().now();
        let tasks = sweeps::page(&self.db, &page.range, PAGE).await?;
        let mut tasks: Vec<Arc<Task>> = tasks.into_iter().map(Arc::new).collect();
        let (Some(first), Some(last)) = (tasks.first().cloned(), tasks.last().cloned()) else {
            return Ok(());
        };
        metrics::counter!("smarttasks_sweep_tasks_total").increment(tasks.len() as u64);
        if tasks.len() as u64 >= PAGE {
            page.rest = self.split(&page.range, last.id).await?;
        }
        let ids: Vec<RuleId> = page.rules.keys().copied().collect();
        let known = matches::between(&self.db, &ids, first.id, last.id).await?;
        let waiting = self.left_out(page, &tasks).await?;
        let programs = self.rule_sets.programs.of(page.rules.values()).await?;
        let rules = (rule_set, &programs);
        let (jobs, started) = jobs(page, &tasks, rules, (&known, &waiting), now);
        let terms = Terms {
            cautious,
            give_up_after: Some(FAILURES),
        };
        let evaluated = quarantine::evaluate(self, batch, jobs, terms).await?;
        page.versions = evaluated.versions;
        let left = evaluated
            .done
            .iter()
            .zip(&started)
            .find(|(done, _)| matches!(done, Done::Left))
            .and_then(|(_, started)| started.task_id);
        if left == Some(first.id) && page.rules.len() > 1 {
            page.halve();
            return Ok(());
        }
        if let Some(left) = left {
            page.leave_from(left, &mut tasks, last.id);
        }
        let max_depth = self.settings.max_depth;
        let beyond = page.take_in(&tasks, started, evaluated.done, &known, max_depth);
        if let Some(beyond) = beyond {
            page.leave_from(beyond, &mut tasks, last.id);
        }
        Ok(())
    }

    /// Of the rules that keep something, the tasks for which none may begin, because one waits: what it
    /// keeps would be kept for nothing.
    async fn left_out(&self, page: &Page, tasks: &[Arc<Task>]) -> Result<HashSet<Pair>> {
        let rules = page.rules.values();
        let rules = rules.filter(|rule| rule.overlap == Overlap::Skip && rule.uses_state);
        let mut pairs = Vec::new();
        for rule in rules {
            for task in tasks {
                pairs.push((rule.facts.id, Some(task.id)));
            }
        }
        let waiting = runs::known_unfinished(&self.db, pairs).await?;
        Ok(waiting
            .into_keys()
            .filter_map(|(rule, task)| Some((rule, task?)))
            .collect())
    }

    /// Splits what comes after a page.
    async fn split(&self, range: &SweepRange, last: TaskId) -> Result<Vec<SweepRange>> {
        let beyond = SweepRange {
            after: Some(last),
            ..range.clone()
        };
        let ids = sweeps::ids(&self.db, &beyond, PAGE * PAGES).await?;
        let mut rest = Vec::new();
        let mut after = last;
        for page in ids.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX)) {
            let Some(to) = page.last().copied() else {
                break;
            };
            rest.push(SweepRange {
                after: Some(after),
                to: Some(to),
                ..range.clone()
            });
            after = to;
        }
        if ids.len() as u64 >= PAGE * PAGES {
            rest.push(SweepRange {
                after: Some(after),
                ..range.clone()
            });
        }
        Ok(rest)
    }
}

/// What tells the message of a range from others.
pub(crate) fn message_id(range: &SweepRange) -> EventId {
    EventId::derived(range.scheduled_at, &[range.key().as_bytes()])
}

/// Each task for each rule.
fn jobs(
    page: &mut Page,
    tasks: &[Arc<Task>],
    (rule_set, programs): (&Arc<RuleSet>, &Ready),
    (known, waiting): (&HashMap<Pair, Match>, &HashSet<Pair>),
    now: Timestamp,
) -> (Vec<Job>, Vec<Started>) {
    let mut broken = Vec::new();
    let mut rules = Vec::new();
    for rule in page.rules.values() {
        let event = Arc::new(occurrence(rule, &page.range));
        match programs.of(rule) {
            None => {}
            Some(Ok(program)) => rules.push((rule, program, event)),
            Some(Err(error)) => {
                let run = Started::of(&event, rule, rule_set, None, now);
                broken.push(run.failed(error.clone(), Vec::new(), 0));
            }
        }
    }
    let message = message_id(&page.range);
    let (mut jobs, mut started) = (Vec::new(), Vec::new());
    for task in tasks {
        for (rule, program, event) in &rules {
            let run = Started::of(event, rule, rule_set, Some(task.id), now);
            let pair = (rule.facts.id, task.id);
            if waiting.contains(&pair) {
                continue;
            }
            let acting = page.change(known.get(&pair), pair.0, true);
            jobs.push(Job {
                begins: true,
                withheld: !matches!(acting, Change::Fire(_)),
                message,
                rule: Arc::clone(rule),
                program: Arc::clone(program),
                inputs: run.inputs(Some(Arc::clone(task))),
            });
            started.push(run);
        }
    }
    page.seen.extend(broken.into_iter().map(Seen::Run));
    (jobs, started)
}

/// What starts the runs of a rule: an event that is addressed to it and recorded nowhere else.
fn occurrence(rule: &LoadedRule, range: &SweepRange) -> Event {
    let at = range.scheduled_at;
    let key = derive_id(at, &[b"sweep", rule.facts.id.as_bytes()]);
    let mut more = Map::new();
    more.insert("scheduled_at".to_owned(), json!(at));
    Event {
        id: EventId(key),
        workspace_id: range.workspace_id,
        kind: EventType::system("rule.scheduled"),
        task_id: None,
        time: at,
        traceparent: None,
        change: ChangeId(key),
        depth: 0,
        actor_id: None,
        rule_id: Some(rule.facts.id),
        data: EventData::System(Box::new(Snapshot {
            more,
            ..Snapshot::default()
        })),
    }
}

impl Page {
    /// Leaves all to two other looks, of half the rules each: one task takes too long for all.
    fn halve(&mut self) {
        let half = self.range.rules.len().div_ceil(2);
        let halves = self.range.rules.chunks(half.max(1)).enumerate();
        self.rest = halves
            .map(|(number, rules)| {
                let key = [self.range.sweep_id.as_bytes(), &number.to_be_bytes()[..]];
                SweepRange {
                    sweep_id: derive_id(self.range.scheduled_at, &key),
                    rules: rules.to_vec(),
                    ..self.range.clone()
                }
            })
            .collect();
        self.seen.clear();
    }

    /// Leaves a task and all that come after it to another look.
    fn leave_from(&mut self, left: TaskId, tasks: &mut Vec<Arc<Task>>, last: TaskId) {
        let before = self.rest.first().and_then(|first| first.after);
        if before.is_some_and(|before| before < last) {
            // What is left begins earlier than thought.
            self.rest.remove(0);
        }
        tasks.retain(|task| task.id < left);
        let after = tasks.last().map(|task| task.id).or(self.range.after);
        self.rest.insert(
            0,
            SweepRange {
                after,
                to: Some(last),
                ..self.range.clone()
            },
        );
    }

    /// Takes in what became of the evaluations for these tasks, up to the one with which it would be
    /// too much for one transaction.
    fn take_in(
        &mut self,
        tasks: &[Arc<Task>],
        started: Vec<Started>,
        done: Vec<Done>,
        known: &HashMap<Pair, Match>,
        max_depth: u8,
    ) -> Option<TaskId> {
        let (mut changes, mut of_task) = (0, (None, self.seen.len()));
        let first = tasks.first().map(|task| task.id);
        self.tasks = tasks
            .iter()
            .map(|task| (task.id, Arc::clone(task)))
            .collect();
        for (run, done) in started.into_iter().zip(done) {
            let Some(task) = run.task_id.filter(|id| self.tasks.contains_key(id)) else {
                continue;
            };
            let pair = (run.rule.facts.id, task);
            if of_task.0 != Some(task) {
                if changes > CHANGES && of_task.0 != first {
                    self.seen.truncate(of_task.1);
                    return of_task.0;
                }
                of_task = (Some(task), self.seen.len());
            }
            let planned = match done {
                Done::Left | Done::PassedOver => continue,
                Done::Nothing => None,
                Done::Told(mut outcome) => {
                    if self.range.purpose == SweepPurpose::Note {
                        outcome.state = None;
                    }
                    let (failed, acts) = (outcome.error.is_some(), acts(&outcome));
                    let planned = run.planned(*outcome, max_depth);
                    if failed {
                        self.seen.push(Seen::Run(planned));
                        continue;
                    }
                    if !acts {
                        self.seen.extend(planned.only_state().map(Seen::Run));
                    }
                    acts.then_some(planned)
                }
            };
            let before = known.get(&pair);
            if self.change(before, pair.0, planned.is_some()) != Change::Stay {
                changes += planned.as_ref().map_or(0, PlannedRun::changes);
                self.seen.push(Seen::Match(pair, planned));
            }
        }
        None
    }

    fn change(&self, before: Option<&Match>, rule: RuleId, matches: bool) -> Change {
        let policy = self.rules.get(&rule).map(|rule| rule.policy);
        decide(
            before,
            matches,
            self.range.scheduled_at,
            policy.unwrap_or_default(),
            self.range.purpose,
        )
    }
}

async fn write(db: &Db, looked: Looked, batch: Batch, cautious: bool) -> Result<()> {
    let looked = Arc::new(looked);
    db.write(move |tx| {
        let (looked, batch) = (Arc::clone(&looked), batch.clone());
        Box::pin(async move {
            batch.settle(tx);
            quarantine::settle(tx, &batch).await?;
            match &*looked {
                Looked::Before => Ok(()),
                Looked::PutOff(range, until) => {
                    tx.schedule(Timer {
                        fire_at: *until,
                        workspace_id: Some(range.workspace_id),
                        due: Due::Message {
                            key: range.key(),
                            message: Box::new(Message::Sweep(range.clone())),
                        },
                    });
                    Ok(())
                }
                Looked::Page(page) => page.write(tx, cautious).await,
            }
        })
    })
    .await
}
