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
use smarttasks_model::{EventId, Overlap, RuleId, RunId, TaskId, WorkspaceId};
use smarttasks_rules::{Answer, Inputs, Need, Outcome, Pool, Program, Query, ScriptError};
use smarttasks_store::state::{self, State};
use smarttasks_store::{Db, tasks};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long the evaluations of a batch may take before the next batch has its turn.
const TURN: Duration = Duration::from_millis(500);
/// Bytes of the answers that a batch holds; with more, the rest is left.
const ANSWERS: usize = 64 * 1024 * 1024;

/// An evaluation to be made.
pub(crate) struct Job {
    /// What tells the message that it belongs to from others.
    pub(crate) message: EventId,
    pub(crate) rule: Arc<LoadedRule>,
    pub(crate) program: Arc<Program>,
    pub(crate) inputs: Inputs,
    /// Whether an event or a sweep begins its run, and it does not merely go on.
    pub(crate) begins: bool,
    /// Whether nothing is done should the script act, and so nothing kept: the match has not held
    /// yet, or has been told.
    pub(crate) withheld: bool,
}

impl Job {
    fn workspace(&self) -> WorkspaceId {
        self.inputs.workspace.id
    }

    fn rule_id(&self) -> RuleId {
        self.rule.facts.id
    }

    fn pair(&self) -> (RuleId, Option<TaskId>) {
        (
            self.rule_id(),
            self.inputs.task.as_ref().map(|task| task.id),
        )
    }

    /// Its rule and its message.
    pub(crate) fn key(&self) -> (RuleId, EventId) {
        (self.rule_id(), self.message)
    }

    /// Its rule, as it was when its run began.
    pub(crate) fn version(&self) -> (RuleId, i64) {
        (self.rule_id(), self.rule.facts.version)
    }

    fn failed(&self, code: &str, message: String) -> Outcome {
        Outcome {
            error: Some(ScriptError {
                code: code.to_owned(),
                message,
                line: None,
                column: None,
            }),
            duration: self.inputs.spent,
            ..Outcome::default()
        }
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
    /// Nothing goes on from what a run keeps whose changes may yet be refused.
    pub(crate) cautious: bool,
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
    /// Rules and tasks of which a run waits from here on, and no other begins.
    closed: HashSet<(RuleId, Option<TaskId>)>,
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

    /// Evaluates a batch. The first job is brought to its end however long it takes, so that every
    /// batch comes further.
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
        let mut answers = Answers::default();
        while !turns.is_empty() {
            let taken = self.take(turns, deadline, terms).await?;
            turns = Vec::with_capacity(taken.len());
            for mut taken in taken {
                let jobs = self.answer(&mut taken, deadline, &mut answers).await?;
                for (number, what) in taken.done {
                    if let Some(place) = done.get_mut(number) {
                        *place = what;
                    }
                }
                if !jobs.is_empty() {
                    turns.push(Turn {
                        jobs,
                        rules: taken.rules,
                    });
                }
            }
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
        terms: Terms,
    ) -> Result<Vec<Taken>, HandlerError> {
        let mut taking = Vec::with_capacity(turns.len());
        for turn in turns {
            let (reply, taken) = oneshot::channel();
            let used = Arc::clone(&self.turns);
            self.pool.run(move || {
                let _ = reply.send(turn.run(&used, deadline, terms));
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

    /// Answers what was asked, the same question once, and returns the jobs that go on, in their
    /// order. What cannot be answered within the turn is left.
    async fn answer(
        &self,
        taken: &mut Taken,
        deadline: Instant,
        answers: &mut Answers,
    ) -> Result<Vec<(usize, Job)>, HandlerError> {
        if taken.asking.is_empty() {
            return Ok(Vec::new());
        }
        let mut jobs = std::mem::take(&mut taken.behind);
        for (number, mut job, query) in std::mem::take(&mut taken.asking) {
            if number > 0 && (Instant::now() >= deadline || answers.bytes > ANSWERS) {
                taken.done.push((number, Done::Left));
                continue;
            }
            let workspace = job.workspace();
            let key = (workspace, query);
            let known = answers.known.get(&key).cloned();
            let answer = match known {
                Some(answer) => Ok(answer),
                None => {
                    let asked = Instant::now();
                    let answer = self.ask(&job, &key.1).await;
                    self.turns.charge(workspace, asked.elapsed());
                    answer?
                }
            };
            match answer.and_then(|answer| job.take_answer(&answer).map(|()| answer)) {
                Ok(answer) => {
                    answers.keep(key, answer);
                    jobs.push((number, job));
                }
                Err(outcome) => {
                    measure(&outcome);
                    taken.rules.note(&job, &outcome, false);
                    taken.done.push((number, Done::Told(outcome)));
                }
            }
        }
        jobs.sort_by_key(|(number, _)| *number);
        Ok(jobs)
    }

    /// The answer, or how the run fails for want of it. A question that the database gives up is the
    /// script's fault, while the database answers others.
    async fn ask(
        &self,
        job: &Job,
        query: &Query,
    ) -> Result<Result<Answer, Box<Outcome>>, HandlerError> {
        let (workspace, now) = (job.workspace(), job.inputs.now);
        let found = match query {
            Query::Tasks { filter, limit } => {
                let most = self.pool.language().limits().heap_bytes;
                let found = tasks::gather(&self.db, workspace, filter, *limit, now, most).await;
                found.map(Answer::Tasks)
            }
            Query::Count(filter) => tasks::count(&self.db, workspace, filter, now)
                .await
                .map(Answer::Count),
        };
        match found {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) if self.db.ping().await.is_ok() => {
                tracing::warn!(rule.id = %job.rule_id(), %error, "a question of a rule has no answer");
                let message = "a question about the workspace took too long; ask for less, such as \
                               one project or status";
                Ok(Err(Box::new(job.failed("limit_query", message.to_owned()))))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What has been answered in a batch.
#[derive(Default)]
struct Answers {
    known: HashMap<(WorkspaceId, Query), Answer>,
    bytes: usize,
}

impl Answers {
    fn keep(&mut self, key: (WorkspaceId, Query), answer: Answer) {
        if let Entry::Vacant(place) = self.known.entry(key) {
            self.bytes += answer.held_bytes();
            place.insert(answer);
        }
    }
}

impl Job {
    /// Takes an answer, unless the script has been told more than it may hold.
    fn take_answer(&mut self, answer: &Answer) -> Result<(), Box<Outcome>> {
        let most = self.program.limits().heap_bytes;
        let held = self
            .inputs
            .answers
            .iter()
            .map(Answer::held_bytes)
            .sum::<usize>();
        if held + answer.held_bytes() > most {
            let message = format!(
                "the answers to the script's questions hold more than {} MiB; ask for fewer tasks",
                most / (1024 * 1024)
            );
            return Err(Box::new(self.failed("limit_memory", message)));
        }
        Arc::make_mut(&mut self.inputs.answers).push(answer.clone());
        Ok(())
    }
}

impl Turn {
    fn run(self, used: &Turns, deadline: Instant, terms: Terms) -> Taken {
        let mut taken = Taken {
            done: Vec::with_capacity(self.jobs.len()),
            asking: Vec::new(),
            behind: Vec::new(),
            rules: self.rules,
        };
        let mut waiting = HashSet::new();
        for (number, job) in self.jobs {
            let rules = &taken.rules;
            let late = number > 0 && Instant::now() >= deadline;
            if waiting.contains(&job.rule_id()) {
                taken.behind.push((number, job));
            } else if late || rules.unsure.contains(&job.rule_id()) {
                taken.done.push((number, Done::Left));
            } else if rules.are_done_with(&job, terms.give_up_after) {
                taken.done.push((number, Done::PassedOver));
            } else {
                taken.evaluate(number, job, used, terms.cautious, &mut waiting);
            }
        }
        taken
    }
}

impl Rules {
    fn are_done_with(&self, job: &Job, give_up_after: Option<usize>) -> bool {
        let failures = self.failing.get(&job.rule_id()).copied().unwrap_or(0);
        give_up_after.is_some_and(|most| failures >= most)
            || self.told.contains(&job.inputs.run_id)
            || (job.begins && self.closed.contains(&job.pair()))
    }

    /// Takes note of what an evaluation led to; whether it is to be told.
    fn note(&mut self, job: &Job, outcome: &Outcome, cautious: bool) -> bool {
        let rule = job.rule_id();
        match &outcome.error {
            Some(_) => *self.failing.entry(rule).or_default() += 1,
            None => drop(self.failing.remove(&rule)),
        }
        if let Some(state) = &outcome.state {
            self.states.insert(rule, Arc::new(state.clone()));
        }
        if cautious
            && job.program.uses_state()
            && outcome.actions.iter().any(|of| of.task_id().is_some())
        {
            self.unsure.insert(rule);
        }
        if matches!(outcome.need, Some(Need::Wait(_))) && job.rule.overlap == Overlap::Skip {
            self.closed.insert(job.pair());
        }
        // A run that has waited is told of though it may only end.
        let told = outcome.error.is_some()
            || acts(outcome)
            || outcome.state.is_some()
            || outcome.segment.is_some();
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
        cautious: bool,
        waiting: &mut HashSet<RuleId>,
    ) {
        if let Some(state) = self.rules.states.get(&job.rule_id()) {
            job.inputs.state = Arc::clone(state);
        }
        let mut outcome = job.program.evaluate(job.inputs.clone());
        let took = outcome.duration.saturating_sub(job.inputs.spent);
        used.charge(job.workspace(), took);
        if job.withheld && acts(&outcome) {
            outcome.state = None;
        }
        if let Some(Need::Query(query)) = &outcome.need {
            let query = query.clone();
            if job.program.uses_state() {
                waiting.insert(job.rule_id());
            }
            job.inputs.spent = outcome.duration.saturating_sub(outcome.replaying);
            self.asking.push((number, job, query));
            return;
        }
        measure(&outcome);
        let done = match self.rules.note(&job, &outcome, cautious) {
            true => Done::Told(Box::new(outcome)),
            false => Done::Nothing,
        };
        self.done.push((number, done));
    }
}

/// Whether a script has matched: it asks for something, or waits.
pub(crate) fn acts(outcome: &Outcome) -> bool {
    !outcome.actions.is_empty() || matches!(outcome.need, Some(Need::Wait(_)))
}

fn measure(outcome: &Outcome) {
    let label = match (&outcome.error, !acts(outcome)) {
        (Some(_), _) => "failed",
        (None, true) => "not_matched",
        (None, false) => "matched",
    };
    metrics::counter!("smarttasks_rule_evaluations_total", "outcome" => label).increment(1);
    metrics::histogram!("smarttasks_rule_evaluation_duration_seconds").record(outcome.duration);
}
