//! Evaluates batches: in fair turns, with the answers that scripts ask for, and with what rules keep
//! handed from one evaluation to the next.
//!
//! Evaluations of one workspace follow one another on one thread. Those of different workspaces
//! run beside each other, and whoever has used least goes first; what does not get its turn in
//! time is left to the caller, who puts it off.

use crate::rule_set::LoadedRule;
use crate::turns::Turns;
use serde_json::{Map, Value};
use smarttasks_bus::HandlerError;
use smarttasks_model::{EventId, RuleId, RunId, WorkspaceId};
use smarttasks_rules::{Answer, Inputs, Outcome, Pool, Program, Query};
use smarttasks_store::state::{self, State};
use smarttasks_store::{Db, tasks};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long the evaluations of a batch may take before the next batch has its turn.
const TURN: Duration = Duration::from_millis(500);

/// An evaluation to be made.
pub(crate) struct Job {
    /// What tells the message that it belongs to from others.
    pub(crate) message: EventId,
    pub(crate) rule: Arc<LoadedRule>,
    pub(crate) program: Arc<Program>,
    pub(crate) inputs: Inputs,
}

impl Job {
    fn workspace(&self) -> WorkspaceId {
        self.inputs.workspace.id
    }

    fn rule_id(&self) -> RuleId {
        self.rule.facts.id
    }

    /// Its rule and its message.
    pub(crate) fn key(&self) -> (RuleId, EventId) {
        (self.rule_id(), self.message)
    }

    /// Whether it has been evaluated as far as a question; then it is brought to its end.
    fn has_begun(&self) -> bool {
        !self.inputs.answers.is_empty()
    }
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Done {
    /// The script asked for nothing and kept nothing.
    Nothing,
    /// It asked for something, kept something, or failed.
    Told(Box<Outcome>),
    /// Its rule has failed too often in this batch, or its run is there already.
    PassedOver,
    /// It did not get its turn.
    Left,
}

/// How a batch is evaluated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// So many of the jobs are done however long they take, so that every batch comes further.
    pub(crate) at_least: usize,
    /// A rule that fails so often in a row is not tried again in this batch.
    pub(crate) give_up_after: Option<usize>,
}

/// What the evaluations of a batch led to, in the order of the jobs.
pub(crate) struct Evaluated {
    pub(crate) done: Vec<Done>,
    /// The versions of what the rules kept, as it was read.
    pub(crate) versions: HashMap<RuleId, i64>,
}

impl Evaluated {
    pub(crate) fn put(&mut self, place: usize, what: Done) {
        if let Some(done) = self.done.get_mut(place) {
            *done = what;
        }
    }

    /// Puts what became of some of the jobs into their places.
    pub(crate) fn take_in(&mut self, places: &[usize], told: Self) {
        for (place, what) in places.iter().zip(told.done) {
            self.put(*place, what);
        }
        self.versions.extend(told.versions);
    }

    pub(crate) fn pass_over(&mut self, places: &[usize]) {
        for place in places {
            self.put(*place, Done::PassedOver);
        }
    }
}

/// Evaluates on a pool.
pub(crate) struct Evaluator {
    db: Db,
    pool: Pool,
    pub(crate) turns: Arc<Turns>,
}

/// The jobs of one workspace, on one thread.
#[derive(Default)]
struct Turn {
    jobs: Vec<(usize, Job)>,
    rules: Rules,
}

/// What the evaluations of a workspace have led to for its rules so far.
#[derive(Default)]
struct Rules {
    /// What those keep that keep something.
    states: HashMap<RuleId, Arc<Map<String, Value>>>,
    /// How often in a row they have failed.
    failing: HashMap<RuleId, usize>,
    /// Those whose last run may yet fail as it is written, and with it what it keeps: nothing may
    /// go on from there.
    unsure: HashSet<RuleId>,
    /// The runs that there are: of several events of one change, the first that a rule acts on
    /// counts.
    told: HashSet<RunId>,
}

/// What a turn leads to.
struct Taken {
    done: Vec<(usize, Done)>,
    /// Jobs that wait for an answer.
    asking: Vec<(usize, Job, Query)>,
    /// Jobs that wait for those, because they go on from what their rule keeps.
    behind: Vec<(usize, Job)>,
    rules: Rules,
}

impl Evaluator {
    pub(crate) fn new(db: Db, pool: Pool, budget: Option<Duration>) -> Self {
        Self {
            db,
            pool,
            turns: Arc::new(Turns::new(budget)),
        }
    }

    /// Evaluates a batch.
    pub(crate) async fn evaluate(
        &self,
        jobs: Vec<Job>,
        terms: Terms,
    ) -> Result<Evaluated, HandlerError> {
        let mut done: Vec<Done> = jobs.iter().map(|_| Done::Left).collect();
        let deadline = Instant::now() + TURN;
        let kept = self.states_of(&jobs).await?;
        let versions = kept.iter().map(|(id, state)| (*id, state.version));
        let versions = versions.collect();
        let mut turns = self.turns_of(jobs, &kept);
        let mut at_least = terms.at_least;
        let mut answered = HashMap::new();
        while !turns.is_empty() {
            let taken = self.take(turns, deadline, at_least, terms).await?;
            turns = Vec::with_capacity(taken.len());
            for taken in taken {
                for (number, what) in taken.done {
                    if let Some(place) = done.get_mut(number) {
                        *place = what;
                    }
                }
                if taken.asking.is_empty() {
                    continue;
                }
                let jobs = self
                    .answer(taken.asking, taken.behind, &mut answered)
                    .await?;
                turns.push(Turn {
                    jobs,
                    rules: taken.rules,
                });
            }
            at_least = 0;
        }
        Ok(Evaluated { done, versions })
    }

    async fn states_of(&self, jobs: &[Job]) -> Result<HashMap<RuleId, State>, HandlerError> {
        let rules: HashSet<RuleId> = jobs
            .iter()
            .filter(|job| job.program.uses_state())
            .map(Job::rule_id)
            .collect();
        let mut kept = state::of(&self.db, rules.iter().copied()).await?;
        for rule in rules {
            kept.entry(rule).or_default();
        }
        Ok(kept)
    }

    /// One turn for each workspace, in the order in which they come.
    fn turns_of(&self, jobs: Vec<Job>, kept: &HashMap<RuleId, State>) -> Vec<Turn> {
        let mut of: HashMap<WorkspaceId, Turn> = HashMap::new();
        for (number, job) in jobs.into_iter().enumerate() {
            let turn: &mut Turn = of.entry(job.workspace()).or_default();
            if let Some(state) = kept.get(&job.rule_id()) {
                turn.rules
                    .states
                    .entry(job.rule_id())
                    .or_insert_with(|| Arc::clone(&state.values));
            }
            turn.jobs.push((number, job));
        }
        let mut turns: Vec<(WorkspaceId, Turn)> = of.into_iter().collect();
        turns.sort_by_cached_key(|(workspace, _)| (self.turns.used(*workspace), *workspace));
        turns.into_iter().map(|(_, turn)| turn).collect()
    }

    async fn take(
        &self,
        turns: Vec<Turn>,
        deadline: Instant,
        at_least: usize,
        terms: Terms,
    ) -> Result<Vec<Taken>, HandlerError> {
        let mut taking = Vec::with_capacity(turns.len());
        let mut owed = at_least;
        for turn in turns {
            let (reply, taken) = oneshot::channel();
            let used = Arc::clone(&self.turns);
            // The first in the order is owed progress; the others take what time is left.
            let at_least = owed.min(turn.jobs.len());
            owed -= at_least;
            self.pool.run(move || {
                let _ = reply.send(turn.run(&used, deadline, at_least, terms.give_up_after));
            });
            taking.push(taken);
        }
        let mut all = Vec::with_capacity(taking.len());
        for taken in taking {
            let taken = taken.await;
            all.push(taken.map_err(|_| HandlerError::Failed("an evaluation was lost".to_owned()))?);
        }
        Ok(all)
    }

    /// Answers what was asked, the same question once, and puts the jobs into their order again.
    async fn answer(
        &self,
        asking: Vec<(usize, Job, Query)>,
        behind: Vec<(usize, Job)>,
        answered: &mut HashMap<(WorkspaceId, Query), Answer>,
    ) -> Result<Vec<(usize, Job)>, HandlerError> {
        let mut jobs = behind;
        for (number, mut job, query) in asking {
            let workspace = job.workspace();
            let key = (workspace, query);
            let answer = match answered.get(&key) {
                Some(answer) => answer.clone(),
                None => {
                    let answer = self.ask(workspace, &key.1, &job.inputs).await?;
                    answered.insert(key, answer.clone());
                    answer
                }
            };
            Arc::make_mut(&mut job.inputs.answers).push(answer);
            jobs.push((number, job));
        }
        jobs.sort_by_key(|(number, _)| *number);
        Ok(jobs)
    }

    async fn ask(
        &self,
        workspace: WorkspaceId,
        query: &Query,
        inputs: &Inputs,
    ) -> Result<Answer, HandlerError> {
        Ok(match query {
            Query::Tasks { filter, limit } => {
                let found = tasks::select(&self.db, workspace, filter, *limit, inputs.now).await?;
                Answer::Tasks(found.into_iter().map(Arc::new).collect())
            }
            Query::Count(filter) => {
                Answer::Count(tasks::count(&self.db, workspace, filter, inputs.now).await?)
            }
        })
    }
}

impl Turn {
    fn run(
        self,
        used: &Turns,
        deadline: Instant,
        at_least: usize,
        give_up_after: Option<usize>,
    ) -> Taken {
        let mut taken = Taken {
            done: Vec::with_capacity(self.jobs.len()),
            asking: Vec::new(),
            behind: Vec::new(),
            rules: self.rules,
        };
        let mut waiting = HashSet::new();
        for (position, (number, job)) in self.jobs.into_iter().enumerate() {
            let rules = &taken.rules;
            let late = position >= at_least && !job.has_begun() && Instant::now() >= deadline;
            if waiting.contains(&job.rule_id()) {
                taken.behind.push((number, job));
            } else if late || rules.unsure.contains(&job.rule_id()) {
                taken.done.push((number, Done::Left));
            } else if rules.are_done_with(&job, give_up_after) {
                taken.done.push((number, Done::PassedOver));
            } else {
                taken.evaluate(number, job, used, &mut waiting);
            }
        }
        taken
    }
}

impl Rules {
    fn are_done_with(&self, job: &Job, give_up_after: Option<usize>) -> bool {
        let failures = self.failing.get(&job.rule_id()).copied().unwrap_or(0);
        give_up_after.is_some_and(|most| failures >= most) || self.told.contains(&job.inputs.run_id)
    }

    /// Takes note of what an evaluation led to; whether it is to be told.
    fn note(&mut self, job: &Job, outcome: &Outcome) -> bool {
        let rule = job.rule_id();
        match &outcome.error {
            Some(_) => *self.failing.entry(rule).or_default() += 1,
            None => drop(self.failing.remove(&rule)),
        }
        if let Some(state) = &outcome.state {
            self.states.insert(rule, Arc::new(state.clone()));
        }
        if job.program.uses_state() && outcome.actions.iter().any(|of| of.task_id().is_some()) {
            self.unsure.insert(rule);
        }
        let told =
            outcome.error.is_some() || !outcome.actions.is_empty() || outcome.state.is_some();
        if told {
            self.told.insert(job.inputs.run_id);
        }
        told
    }
}

impl Taken {
    fn evaluate(
        &mut self,
        number: usize,
        mut job: Job,
        used: &Turns,
        waiting: &mut HashSet<RuleId>,
    ) {
        if let Some(state) = self.rules.states.get(&job.rule_id()) {
            job.inputs.state = Arc::clone(state);
        }
        let mut outcome = job.program.evaluate(job.inputs.clone());
        used.charge(job.workspace(), outcome.duration);
        if let Some(query) = outcome.need.take() {
            if job.program.uses_state() {
                waiting.insert(job.rule_id());
            }
            self.asking.push((number, job, query));
            return;
        }
        measure(&outcome);
        let done = match self.rules.note(&job, &outcome) {
            true => Done::Told(Box::new(outcome)),
            false => Done::Nothing,
        };
        self.done.push((number, done));
    }
}

fn measure(outcome: &Outcome) {
    let label = match (&outcome.error, outcome.actions.is_empty()) {
        (Some(_), _) => "failed",
        (None, true) => "not_matched",
        (None, false) => "matched",
    };
    metrics::counter!("smarttasks_rule_evaluations_total", "outcome" => label).increment(1);
    metrics::histogram!("smarttasks_rule_evaluation_duration_seconds").record(outcome.duration);
}
