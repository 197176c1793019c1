//! Consumes events: finds the rules that listen, evaluates them, and commits what they ask for.
//!
//! Deciding and acting are apart: `plan` makes runs out of events and rules without touching
//! anything, `apply` writes them in one transaction together with the messages' receipts. A
//! message that comes twice meets the id of its run and does nothing.

mod apply;
mod plan;
mod rule_set;

use rule_set::RuleSets;
use smarttasks_bus::{Batch, Handler, HandlerError};
use smarttasks_model::{Event, Message};
use smarttasks_rules::{Inputs, Outcome, Pool, Program};
use smarttasks_store::{Db, Queue};
use std::sync::Arc;
use tokio::sync::oneshot;

/// How far rules may cause each other: an event that this many rules led to starts no more.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Rules between an event and the person or clock that began it.
    pub max_depth: u8,
}

/// The consumer of events.
pub struct Engine {
    db: Db,
    pool: Pool,
    rule_sets: RuleSets,
    settings: Settings,
}

impl Engine {
    /// An engine on `db` that evaluates on `pool`.
    pub fn new(db: Db, pool: Pool, settings: Settings) -> Self {
        let rule_sets = RuleSets::new(db.clone(), pool.clone());
        Self {
            db,
            pool,
            rule_sets,
            settings,
        }
    }

    /// One hand-over for the whole batch: it costs more than an evaluation.
    async fn evaluate(
        &self,
        evaluations: Vec<(Arc<Program>, Inputs)>,
    ) -> Result<Vec<Outcome>, HandlerError> {
        if evaluations.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, outcomes) = oneshot::channel();
        self.pool.evaluate(evaluations, move |outcomes| {
            let _ = reply.send(outcomes);
        });
        outcomes
            .await
            .map_err(|_| HandlerError::Failed("an evaluation was lost".to_owned()))
    }
}

impl Handler for Engine {
    const QUEUE: Queue = Queue::Events;

    async fn handle(&self, batch: Batch) -> Result<(), HandlerError> {
        let events: Vec<Arc<Event>> = batch
            .messages()
            .filter_map(|message| match message {
                Message::Event(event) => Some(Arc::clone(event)),
                Message::Notification(_) | Message::Delivery(_) => None,
            })
            .collect();
        let rule_sets = self
            .rule_sets
            .of(events.iter().map(|event| event.workspace_id))
            .await?;
        let candidates = plan::candidates(&events, &rule_sets);
        let context = plan::Context::load(&self.db, &candidates).await?;
        let max_depth = self.settings.max_depth;
        let mut planned = plan::Plan::of_subscriptions(&events, &rule_sets, max_depth);
        let (evaluations, candidates) = context.evaluations(candidates, &mut planned);
        let outcomes = self.evaluate(evaluations).await?;
        planned.add_outcomes(candidates, outcomes, max_depth);
        apply::apply(&self.db, planned, batch).await?;
        Ok(())
    }
}
