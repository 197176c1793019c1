//! Sweeps: rules looked at for the tasks of which their answer may be another than it was, a page at
//! a time.
//!
//! A range of a sweep is a message. Whoever handles the first decides how the tasks are found
//! (`parts`); whoever handles one takes the first page of its tasks, leaves the rest as further ranges
//! that others may take, and commits all of it together with what the page leads to. So memory is
//! that of a page, engines share a sweep, and an interrupted sweep goes on where it was.
//!
//! A rule fires when a task begins to match, or as its `repeat` and `hold` say; what stands between
//! the sweeps is in `matches`. It is looked at before the evaluation only to leave out what cannot
//! change; within the transaction it is locked and decided upon.

mod looks;
mod page;
mod parts;

use crate::evaluate::Terms;
use crate::rule_set::{LoadedRule, RuleSet};
use crate::run::PlannedRun;
use crate::{Engine, PATIENCE, quarantine};
use looks::Looks;
use parts::Swept;
use serde_json::{Map, json};
use smarttasks_bus::{Batch, Handler, HandlerError};
use smarttasks_model::predicate::Predicate;
use smarttasks_model::{
    ChangeId, Event, EventData, EventId, EventType, Message, Overlap, Place, RuleId, Snapshot,
    Sought, SweepPart, SweepPurpose, SweepRange, Task, TaskId, Timestamp, derive_id,
};
use smarttasks_store::candidates::{Reading, Stretch};
use smarttasks_store::matches::{self, Pair};
use smarttasks_store::{Db, Due, Error, Queue, Result, Timer, runs, sweeps};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
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
    /// As its message has it.
    range: SweepRange,
    /// What of it is looked at; none when none of its rules has sweeps any more.
    part: Option<SweepPart>,
    /// What is left to further ranges.
    rest: Vec<SweepPart>,
    tasks: HashMap<TaskId, Arc<Task>>,
    rules: BTreeMap<RuleId, Swept>,
    /// In the order of the evaluations, because what a rule keeps goes from one to the next.
    seen: Vec<Seen>,
    versions: HashMap<RuleId, i64>,
    /// The rules of which it is not known of all tasks that were looked at whether they match.
    unknown: BTreeSet<RuleId>,
}

/// What was seen of a rule and a task.
enum Seen {
    /// It matches or not, which may change the match; with the run, if the script was evaluated and
    /// asked for something.
    Match(Pair, bool, Option<PlannedRun>),
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
        let mut page = Page::new(range);
        let rule_sets = self.rule_sets.of([range.workspace_id].into_iter()).await?;
        if let Some(rule_set) = rule_sets.get(&range.workspace_id) {
            let rules = self.rules_of(range, rule_set, now).await?;
            let mut parts = match &range.part {
                Some(part) => vec![part.clone()],
                None => self.parts(range, &rules, now).await?,
            };
            if !parts.is_empty() {
                let part = parts.remove(0);
                page.begin(part, rules, now);
                self.look_at(&mut page, rule_set, batch, cautious).await?;
                page.rest.extend(parts);
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
        now: Timestamp,
    ) -> Result<BTreeMap<RuleId, Swept>, HandlerError> {
        let rules = range.rules.iter().filter_map(|id| rule_set.rule(*id));
        let mut rules: Vec<Arc<LoadedRule>> = rules.filter(|rule| rule.sweeps).collect();
        if range.purpose == SweepPurpose::Fire && !rules.is_empty() {
            let noting = sweeps::noting(&self.db, range.workspace_id).await?;
            rules.retain(|rule| !noting.contains(&rule.facts.id));
        }
        let programs = self.rule_sets.programs.of(rules.iter()).await?;
        let swept = rules.into_iter().filter_map(|rule| {
            let program = programs.of(&rule)?.clone();
            Some((rule.facts.id, Swept::new(rule, program, range, now)))
        });
        Ok(swept.collect())
    }

    async fn look_at(
        &self,
        page: &mut Page,
        rule_set: &Arc<RuleSet>,
        batch: &Batch,
        cautious: bool,
    ) -> Result<(), HandlerError> {
        let now = self.db.clock().now();
        let Some(part) = page.part.clone().filter(|_| !page.rules.is_empty()) else {
            return Ok(());
        };
        let reading = page.reading(&part, now);
        let (after, to) = (part.after, part.to);
        let tasks = match reading.page(&self.db, Stretch { after, to }, PAGE).await {
            // No index finds these few among very many, and a statement has its limit.
            Err(error) if error.is_cut_off() && part.sought == Sought::Candidates => {
                tracing::info!(%error, "candidates are looked for among all tasks");
                page.rest.push(SweepPart {
                    sought: Sought::All,
                    after: None,
                    to: None,
                    ..part
                });
                return Ok(());
            }
            tasks => tasks?,
        };
        let Some((last, _)) = tasks.last() else {
            return Ok(());
        };
        metrics::counter!("smarttasks_sweep_tasks_total").increment(tasks.len() as u64);
        let (last, full) = (*last, tasks.len() as u64 >= PAGE);
        let mut looks = self.first_looks(page, tasks, now).await?;
        let (jobs, started) = looks.jobs(page, rule_set, now);
        let terms = Terms {
            cautious,
            give_up_after: Some(FAILURES),
        };
        let evaluated = quarantine::evaluate(self, batch, jobs, terms).await?;
        page.versions = evaluated.versions;
        looks.take_in(started, evaluated.done);
        if looks.left() == Some(0) && page.rules.len() > 1 {
            page.seen.clear();
            page.rest = halves(&part);
            return Ok(());
        }
        let beyond = page.take_in(&mut looks, self.settings.max_depth);
        if let Some(beyond) = beyond {
            let after = looks.before(beyond).or(after);
            let to = Some(last);
            page.rest.push(SweepPart {
                after,
                to,
                ..part.clone()
            });
        }
        if full && !page.is_sample(&part) {
            let rest = self.split(&reading, last, &part).await?;
            page.rest.extend(rest);
        }
        Ok(())
    }

    /// What can be told of each task and rule without evaluating a script.
    async fn first_looks(
        &self,
        page: &Page,
        tasks: Vec<(Place, Task)>,
        now: Timestamp,
    ) -> Result<Looks> {
        let rules: Vec<RuleId> = page.rules.keys().copied().collect();
        let ids: Vec<TaskId> = tasks.iter().map(|(_, task)| task.id).collect();
        let known = matches::of(&self.db, &rules, &ids).await?;
        let waiting = self.left_out(page, &ids).await?;
        Ok(Looks::of(page, tasks, known, &waiting, now))
    }

    /// Of the rules that keep something, the tasks for which none may begin, because one waits: what it
    /// keeps would be kept for nothing.
    async fn left_out(&self, page: &Page, tasks: &[TaskId]) -> Result<HashSet<Pair>> {
        let rules = page.rules.values().map(Swept::rule);
        let rules = rules.filter(|rule| rule.overlap == Overlap::Skip && rule.uses_state);
        let mut pairs = Vec::new();
        for rule in rules {
            for task in tasks {
                pairs.push((rule.facts.id, Some(*task)));
            }
        }
        let waiting = runs::known_unfinished(&self.db, pairs).await?;
        Ok(waiting
            .into_keys()
            .filter_map(|(rule, task)| Some((rule, task?)))
            .collect())
    }

    /// Splits what comes after a page.
    async fn split(
        &self,
        reading: &Reading,
        last: Place,
        part: &SweepPart,
    ) -> Result<Vec<SweepPart>> {
        let beyond = Stretch {
            after: Some(last),
            to: part.to,
        };
        let (ends, more) = match reading.ends(&self.db, beyond, (PAGE, PAGES)).await {
            // It takes too long to look so far ahead.
            Err(error) if error.is_cut_off() => (Vec::new(), true),
            ends => {
                let ends = ends?;
                let more = ends.len() as u64 >= PAGES;
                (ends, more)
            }
        };
        let mut rest = Vec::new();
        let mut after = Some(last);
        for end in &ends {
            let to = Some(*end);
            rest.push(SweepPart {
                after,
                to,
                ..part.clone()
            });
            after = to;
        }
        if more {
            rest.push(SweepPart {
                after,
                ..part.clone()
            });
        }
        Ok(rest)
    }
}

/// The same for half the rules each: one task takes too long for all.
fn halves(part: &SweepPart) -> Vec<SweepPart> {
    let rules: Vec<(RuleId, i64)> = part.versions.iter().map(|(id, of)| (*id, *of)).collect();
    let halves = rules.chunks(rules.len().div_ceil(2).max(1));
    halves
        .map(|rules| SweepPart {
            versions: rules.iter().copied().collect(),
            ..part.clone()
        })
        .collect()
}

/// What tells the message of a range from others.
pub(crate) fn message_id(range: &SweepRange) -> EventId {
    EventId::derived(range.scheduled_at, &[range.key().as_bytes()])
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
    fn new(range: &SweepRange) -> Self {
        Self {
            range: range.clone(),
            part: None,
            rest: Vec::new(),
            tasks: HashMap::new(),
            rules: BTreeMap::new(),
            seen: Vec::new(),
            versions: HashMap::new(),
            unknown: BTreeSet::new(),
        }
    }

    /// Begins to look at a part. A rule that has changed since its tasks were sought is left to its
    /// next sweep, but where all tasks are looked at anyway.
    fn begin(&mut self, part: SweepPart, mut rules: BTreeMap<RuleId, Swept>, now: Timestamp) {
        let unchanged =
            |id: &RuleId, swept: &Swept| part.versions.get(id) == Some(&swept.version());
        let known = |id: &&RuleId| rules.get(id).is_some_and(|swept| unchanged(id, swept));
        let unknown = part.versions.keys().filter(|id| !known(id)).copied();
        self.unknown = unknown.collect();
        if now + sweeps::MARGIN < part.begun_at {
            // The clock went back: what it has passed since then it will pass again.
            self.unknown.extend(part.versions.keys());
        }
        rules.retain(|id, swept| match part.sought {
            Sought::All => part.versions.contains_key(id),
            Sought::Candidates | Sought::Changed { .. } => unchanged(id, swept),
        });
        self.rules = rules;
        self.part = Some(part);
    }

    /// Whether its tasks only show that its rules fail.
    fn is_sample(&self, part: &SweepPart) -> bool {
        part.sought == Sought::All && self.rules.values().all(Swept::never_acts)
    }

    /// How its tasks are read. Only of candidates it depends on the rule, of which there is one then.
    fn reading(&self, part: &SweepPart, now: Timestamp) -> Reading {
        let mut predicates = self.rules.values().filter_map(Swept::predicate);
        let predicate = match part.sought {
            Sought::Candidates => predicates.next(),
            Sought::All | Sought::Changed { .. } => None,
        };
        let predicate = predicate.unwrap_or(const { &Predicate::ALWAYS });
        sweeps::reading(&self.range, part, predicate, now)
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
