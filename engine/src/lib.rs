//! Consumes events and sweeps: finds the rules that are concerned, evaluates them, and commits what
//! they ask for.
//!
//! Deciding and acting are apart: `plan` and `sweep` make runs out of events, tasks and rules
//! without touching anything, `apply` writes them in one transaction together with the messages'
//! receipts. A message that comes twice meets the id of its run and does nothing.

mod apply;
mod evaluate;
mod pause;
mod plan;
mod programs;
mod quarantine;
mod resume;
mod rule_index;
mod rule_set;
mod run;
mod suspend;
mod sweep;
mod turns;

pub use resume::Runner;
pub use rule_index::{Candidates, RuleIndex};
pub use sweep::Sweeper;

use evaluate::{Evaluator, Terms};
use plan::{Candidate, Plan};
use rule_set::RuleSets;
use smarttasks_bus::{Batch, Handler, HandlerError};
use smarttasks_model::{Event, Message, Overlap};
use smarttasks_rules::Pool;
use smarttasks_store::{Db, Error, Queue, runs};
use std::sync::Arc;
use std::time::Duration;

/// How often a batch is decided again because others changed what its rules keep.
const PATIENCE: usize = 50;

/// What the rules of others may cost.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Rules between an event and the person or clock that began it: an event that this many rules
    /// led to starts no more.
    pub max_depth: u8,
    /// Evaluation time of one workspace in a minute, in this process; beyond it, it waits.
    pub workspace_budget: Option<Duration>,
}

/// The consumer of events.
pub struct Engine {
    db: Db,
    evaluator: Evaluator,
    rule_sets: RuleSets,
    settings: Settings,
}

impl Engine {
    /// An engine on `db` that evaluates on `pool`.
    pub fn new(db: Db, pool: Pool, settings: Settings) -> Self {
        Self {
            rule_sets: RuleSets::new(db.clone(), pool.clone()),
            evaluator: Evaluator::new(db.clone(), pool, settings.workspace_budget),
            db,
            settings,
        }
    }

    /// What these events lead to, as rules and tasks are now.
    async fn plan(
        &self,
        batch: &Batch,
        events: &[Arc<Event>],
        cautious: bool,
    ) -> Result<Plan, HandlerError> {
        let rule_sets = self
            .rule_sets
            .of(events.iter().map(|event| event.workspace_id))
            .await?;
        let max_depth = self.settings.max_depth;
        let mut planned = Plan::of_subscriptions(events, &rule_sets, max_depth);
        let context = plan::Context::load(&self.db, events, &rule_sets).await?;
        let candidates = context.candidates(&rule_sets);
        let candidates = planned.keep_to_budgets(candidates, &self.evaluator.turns, context.now);
        let candidates = self.not_done_yet(candidates).await?;
        let rules = candidates.iter().map(Candidate::rule);
        let programs = self.rule_sets.programs.of(rules).await?;
        let (jobs, started) = context.jobs(&candidates, &programs, &mut planned);
        let terms = Terms {
            cautious,
            give_up_after: None,
        };
        let evaluated = quarantine::evaluate(self, batch, jobs, terms).await?;
        planned.add_evaluated(started, evaluated, max_depth);
        Ok(planned)
    }

    /// Without those that keep something and whose run there is already, or must not begin beside one
    /// that waits: what they keep would be kept twice, or for nothing.
    async fn not_done_yet(
        &self,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<Candidate>, HandlerError> {
        let stateful = candidates.iter().filter(|of| of.rule().uses_state);
        let existing = runs::known(&self.db, stateful.clone().map(Candidate::run_id)).await?;
        let left_out = stateful.filter(|of| of.rule().overlap == Overlap::Skip);
        let waiting = runs::known_unfinished(&self.db, left_out.map(Candidate::pair)).await?;
        Ok(candidates
            .into_iter()
            .filter(|candidate| {
                !existing.contains(&candidate.run_id()) && !waiting.contains_key(&candidate.pair())
            })
            .collect())
    }
}

impl Handler for Engine {
    const QUEUE: Queue = Queue::Events;

    async fn handle(&self, batch: Batch) -> Result<(), HandlerError> {
        let events: Vec<Arc<Event>> = batch
            .messages()
            .filter_map(|message| match message {
                Message::Event(event) => Some(Arc::clone(event)),
                _ => None,
            })
            .collect();
        for time in 0..PATIENCE {
            let planned = self.plan(&batch, &events, time > 0).await?;
            match apply::apply(&self.db, planned, batch.clone(), time > 0).await {
                Err(Error::Overtaken) => {}
                done => return Ok(done?),
            }
        }
        Err(HandlerError::Unavailable(
            "others keep changing what the rules keep".to_owned(),
        ))
    }
}
