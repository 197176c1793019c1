//! Evaluates what an earlier process may have died with, so that a rule which ends the process is
//! found and disabled, and its event goes on to the other rules.
//!
//! Suspects run together, as anything else, but marked. When a process has died with those marks
//! too, they run first and one by one, each marked for as long as it takes; see
//! [`smarttasks_store::quarantine`]. First, because an innocent message of the batch may start the
//! same rule.

use crate::Engine;
use crate::evaluate::{Done, Evaluated, Job, Terms};
use crate::{resume, sweep};
use smarttasks_bus::{Batch, HandlerError};
use smarttasks_model::{ChangeId, EventId, Message, RuleId, RunId};
use smarttasks_rules::{Outcome, ScriptError};
use smarttasks_store::quarantine::{self, REASON, Suspect};
use smarttasks_store::runs::RunError;
use smarttasks_store::{Db, Result, Tx};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The code of the error with which a run ends whose evaluation was refused.
const REFUSED: &str = "quarantined";

/// The jobs of one rule for one message, with their places.
struct Group {
    suspect: Suspect,
    jobs: Vec<(usize, Job)>,
}

/// Evaluates what the messages of `batch` start.
pub(crate) async fn evaluate(
    engine: &Engine,
    batch: &Batch,
    jobs: Vec<Job>,
    terms: Terms,
) -> Result<Evaluated, HandlerError> {
    let messages = suspects(batch);
    let mut marks: HashMap<(RuleId, EventId), Suspect> = HashMap::new();
    for job in jobs.iter().filter(|job| messages.contains(&job.message)) {
        marks.entry(job.key()).or_insert_with(|| suspect(job));
    }
    if marks.is_empty() {
        return engine.evaluator.evaluate(jobs, terms).await;
    }
    let repeated = marks.len() as u64;
    let alone = take_up(&engine.db, marks.into_values().collect()).await?;
    // Once the marks are on disk, so that whoever counts may end the process.
    metrics::counter!("smarttasks_rule_evaluations_repeated_total").increment(repeated);
    let mut evaluated = Evaluated {
        done: jobs.iter().map(|_| Done::Left).collect(),
        versions: HashMap::new(),
    };
    let (groups, mut rest) = apart(jobs, &alone);
    let begun = one_by_one(engine, groups, terms, &mut evaluated).await?;
    rest.retain(|(_, job)| !begun.refused.contains(&job.version()) && !begun.is_before(job));
    let (places, rest): (Vec<usize>, Vec<Job>) = rest.into_iter().unzip();
    let told = engine.evaluator.evaluate(rest, terms).await?;
    evaluated.take_in(&places, told);
    Ok(evaluated)
}

/// Those that go alone, by rule and message in the order in which they come, and the others.
fn apart(jobs: Vec<Job>, alone: &HashSet<EventId>) -> (Vec<Group>, Vec<(usize, Job)>) {
    let (mut groups, mut rest) = (Vec::<Group>::new(), Vec::new());
    let mut numbers = HashMap::new();
    for (place, job) in jobs.into_iter().enumerate() {
        if !alone.contains(&job.message) {
            rest.push((place, job));
            continue;
        }
        let number = *numbers.entry(job.key()).or_insert_with(|| {
            groups.push(Group {
                suspect: suspect(&job),
                jobs: Vec::new(),
            });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(number) {
            group.jobs.push((place, job));
        }
    }
    (groups, rest)
}

/// Takes back the marks of a batch in the transaction that settles it.
pub(crate) async fn settle(tx: &mut Tx, batch: &Batch) -> Result<()> {
    let events = suspects(batch);
    if events.is_empty() {
        return Ok(());
    }
    quarantine::settle(tx, events).await
}

/// What has become of rules whose evaluations began alone.
#[derive(Default)]
struct Begun {
    evaluated: HashSet<RuleId>,
    /// The versions that are in quarantine from now on.
    refused: HashSet<(RuleId, i64)>,
}

impl Begun {
    /// Whether a job has to wait for what its rule keeps: that goes from run to run, and
    /// evaluations apart do not see each other.
    fn is_before(&self, job: &Job) -> bool {
        job.program.uses_state() && self.evaluated.contains(&job.key().0)
    }
}

async fn one_by_one(
    engine: &Engine,
    groups: Vec<Group>,
    terms: Terms,
    evaluated: &mut Evaluated,
) -> Result<Begun, HandlerError> {
    let mut begun = Begun::default();
    let mut ended = None;
    for Group { suspect, jobs } in groups {
        let version = (suspect.rule_id, suspect.version);
        let waits = jobs.iter().any(|(_, job)| begun.is_before(job));
        let (places, jobs): (Vec<usize>, Vec<Job>) = jobs.into_iter().unzip();
        if begun.refused.contains(&version) {
            evaluated.pass_over(&places);
        } else if waits {
            // They are left.
        } else if begin(&engine.db, ended.take(), suspect).await? {
            metrics::counter!("smarttasks_rule_evaluations_alone_total").increment(1);
            let told = engine.evaluator.evaluate(jobs, terms).await?;
            evaluated.take_in(&places, told);
            ended = Some(suspect);
            begun.evaluated.insert(suspect.rule_id);
        } else {
            begun.refused.insert(version);
            evaluated.pass_over(&places);
            if let Some(first) = places.first() {
                evaluated.put(*first, Done::Told(Box::new(refused())));
            }
        }
    }
    if let Some(ended) = ended {
        engine
            .db
            .write(move |tx| Box::pin(async move { quarantine::end(tx, &ended).await }))
            .await?;
    }
    Ok(begun)
}

/// The messages of a batch that a process may have died with.
fn suspects(batch: &Batch) -> HashSet<EventId> {
    let messages = batch.suspects().filter_map(|message| match message {
        Message::Event(event) => Some(event.id),
        Message::Sweep(range) => Some(sweep::message_id(range)),
        Message::Wake(wake) => Some(resume::message_id(wake)),
        Message::Notification(_)
        | Message::Delivery(_)
        | Message::Waiters(_)
        | Message::EndRuns(_) => None,
    });
    messages.collect()
}

fn suspect(job: &Job) -> Suspect {
    let inputs = &job.inputs;
    Suspect {
        workspace_id: inputs.workspace.id,
        rule_id: inputs.rule.id,
        version: inputs.rule.version,
        // Of a sweep, the same whichever task comes first.
        run_id: match job.message == inputs.event.id {
            true => inputs.run_id,
            false => RunId::of(
                inputs.rule.id,
                ChangeId(job.message.0),
                None,
                inputs.event.time,
            ),
        },
        event_id: job.message,
        depth: inputs.event.depth,
        traceparent: inputs.event.traceparent,
    }
}

async fn take_up(db: &Db, suspects: Vec<Suspect>) -> Result<HashSet<EventId>> {
    let suspects: Arc<[Suspect]> = suspects.into();
    db.write(move |tx| {
        let suspects = Arc::clone(&suspects);
        Box::pin(async move { quarantine::take_up(tx, &suspects).await })
    })
    .await
}

/// Whether it may be evaluated: the mark is on disk before it is.
async fn begin(db: &Db, ended: Option<Suspect>, next: Suspect) -> Result<bool> {
    db.write(move |tx| Box::pin(async move { quarantine::begin(tx, ended.as_ref(), &next).await }))
        .await
}

/// Why a run that waits does not go on.
pub(crate) fn pause() -> RunError {
    RunError {
        message: format!(
            "not evaluated: of its version of the rule, {REASON}; enable the rule, then let the \
             run go on"
        ),
        line: None,
        column: None,
    }
}

/// Whether an evaluation was refused.
pub(crate) fn is_refused(outcome: &Outcome) -> bool {
    outcome.error.as_ref().is_some_and(|of| of.code == REFUSED)
}

/// The run says why there is nothing of it.
fn refused() -> Outcome {
    let error = ScriptError {
        code: REFUSED.to_owned(),
        message: format!("not evaluated, and the rule is disabled: {REASON}"),
        line: None,
        column: None,
    };
    Outcome {
        error: Some(error),
        ..Outcome::default()
    }
}
