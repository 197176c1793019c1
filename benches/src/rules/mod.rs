//! Many rules alike, ready to be looked for and to be evaluated: through the index as the engine does
//! it, or every one in turn.

mod cases;
mod condition;
mod counts;

pub use cases::{CASES, Case, event};
pub use condition::Condition;
pub use counts::by_count;

use crate::{Failure, thread_time};
use smarttasks_engine::RuleIndex;
use smarttasks_model::predicate::{Facts, Predicate};
use smarttasks_model::{
    Event, EventPattern, RuleId, RunId, TimeZone, Timestamp, UserId, WorkspaceId,
};
use smarttasks_rules::{Inputs, Language, Program, RuleFacts, WorkspaceFacts};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

/// The rules of a case.
pub struct Rules {
    /// What it took to make them.
    pub costs: Costs,
    index: RuleIndex<Arc<Program>>,
    programs: Vec<Arc<Program>>,
    /// When their events are looked at.
    now: Timestamp,
    patterns: [EventPattern; 1],
}

/// What it took to make rules: processor time, and memory, in bytes, counted where the counting
/// allocator is installed.
pub struct Costs {
    /// Different scripts among those of the rules.
    pub scripts: usize,
    /// To compile and analyse them, on one thread.
    pub compiling: Duration,
    /// To put the rules into the index.
    pub indexing: Duration,
    /// The compiled scripts with their predicates.
    pub programs: isize,
    /// The predicates alone.
    pub predicates: isize,
    /// The index besides.
    pub index: isize,
}

/// How many rules an event concerns.
pub struct Found {
    /// Those whose predicate was asked.
    pub asked: usize,
    /// Those whose predicate holds.
    pub concerned: usize,
}

impl Rules {
    /// So many rules of a case. Those whose scripts are the same share what is compiled, as in the
    /// product.
    ///
    /// # Errors
    /// The language refuses a script.
    pub fn of(
        language: &Arc<Language>,
        case: &Case,
        count: usize,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let (held, started) = (smarttasks_heap::live(), thread_time()?);
        let (mut distinct, mut programs) = (HashMap::new(), Vec::with_capacity(count));
        for script in (0..count).map(|number| case.script(number)) {
            let program = match distinct.entry(script) {
                Entry::Occupied(known) => Arc::clone(known.get()),
                Entry::Vacant(new) => {
                    let program = language.compile(new.key());
                    let program = program.map_err(|found| format!("{found:?}"))?;
                    Arc::clone(new.insert(Arc::new(program)))
                }
            };
            programs.push(program);
        }
        let compiling = thread_time()? - started;
        let distinct: Vec<Arc<Program>> = distinct.into_values().collect();
        let mut rules = Self {
            now,
            costs: Costs {
                scripts: distinct.len(),
                compiling,
                indexing: Duration::ZERO,
                programs: smarttasks_heap::live() - held,
                predicates: bytes_of_predicates(distinct.iter()),
                index: 0,
            },
            index: RuleIndex::default(),
            programs,
            patterns: ["task.*".parse()?],
        };
        let (held, started) = (smarttasks_heap::live(), thread_time()?);
        for number in 0..count {
            rules.insert(number, number);
        }
        rules.costs.indexing = thread_time()? - started;
        rules.costs.index = smarttasks_heap::live() - held;
        Ok(rules)
    }

    /// How many rules there are.
    pub fn count(&self) -> usize {
        self.programs.len()
    }

    /// Puts a rule into the index, in the place of the one with its number, that asks what the one
    /// numbered `like` does.
    pub fn insert(&mut self, number: usize, like: usize) {
        if let Some(program) = self.programs.get(like) {
            let predicate = Arc::clone(program.predicate());
            let (id, program) = (id(number), Arc::clone(program));
            self.index.insert(id, &self.patterns, predicate, program);
        }
    }

    /// Takes a rule out of the index.
    pub fn remove(&mut self, number: usize) {
        self.index.remove(id(number));
    }

    /// Looks for the rules that an event concerns.
    ///
    /// # Errors
    /// It is no event.
    pub fn find(&self, json: &str) -> Result<Found, Failure> {
        let inputs = self.inputs(json)?;
        let candidates = self.index.candidates(&self.facts(&inputs));
        Ok(Found {
            asked: candidates.asked,
            concerned: candidates.rules.len(),
        })
    }

    /// Evaluates the rules that an event concerns: how many of them act.
    ///
    /// # Errors
    /// It is no event.
    pub fn evaluate(&self, json: &str) -> Result<usize, Failure> {
        let inputs = self.inputs(json)?;
        let candidates = self.index.candidates(&self.facts(&inputs));
        Ok(acting(&inputs, candidates.rules.into_iter()))
    }

    /// Evaluates every rule in turn: how many of them act.
    ///
    /// # Errors
    /// It is no event.
    pub fn evaluate_all(&self, json: &str) -> Result<usize, Failure> {
        Ok(acting(&self.inputs(json)?, self.programs.iter()))
    }

    /// What a script sees of an event.
    ///
    /// # Errors
    /// It is no event.
    pub fn inputs(&self, json: &str) -> Result<Inputs, Failure> {
        let event: Event = serde_json::from_str(json)?;
        Ok(Inputs {
            now: self.now,
            run_id: RunId(uuid::Uuid::nil()),
            workspace: Arc::new(WorkspaceFacts {
                id: WorkspaceId(uuid::Uuid::nil()),
                name: String::new(),
                timezone: TimeZone::default(),
            }),
            rule: Arc::new(RuleFacts {
                id: id(0),
                name: String::new(),
                version: 1,
                owner_id: UserId(uuid::Uuid::nil()),
            }),
            task: event.task().cloned().map(Arc::new),
            event: Arc::new(event),
            users: Arc::default(),
            state: Arc::default(),
            journal: Arc::default(),
            answers: Arc::default(),
            spent: Duration::ZERO,
        })
    }

    fn facts<'a>(&self, inputs: &'a Inputs) -> Facts<'a> {
        Facts {
            task: inputs.task.as_deref(),
            event: &inputs.event,
            now: self.now,
        }
    }
}

fn id(number: usize) -> RuleId {
    RuleId(uuid::Uuid::from_u128(number as u128))
}

fn acting<'a>(inputs: &Inputs, programs: impl Iterator<Item = &'a Arc<Program>>) -> usize {
    let outcomes = programs.map(|program| program.evaluate(inputs.clone()));
    outcomes
        .filter(|outcome| !outcome.actions.is_empty())
        .count()
}

fn bytes_of_predicates<'a>(programs: impl Iterator<Item = &'a Arc<Program>>) -> isize {
    let held = smarttasks_heap::live();
    let copies: Vec<Predicate> = programs
        .map(|program| Predicate::clone(program.predicate()))
        .collect();
    let bytes = smarttasks_heap::live() - held;
    drop(copies);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use smarttasks_rules::Limits;

    #[test]
    fn the_index_finds_the_rules_that_act_when_every_rule_is_evaluated() {
        let language = Language::new(Limits::default());
        let now = "2026-03-02T09:00:00Z".parse().unwrap();
        let found = CASES.iter().map(|case| {
            let rules = Rules::of(&language, case, 30, now).unwrap();
            let event = case.event(now).unwrap();
            let known = rules.find(&event).unwrap();
            assert_eq!(rules.evaluate(&event).unwrap(), known.concerned);
            assert_eq!(rules.evaluate_all(&event).unwrap(), known.concerned);
            known.concerned
        });
        assert_eq!(found.collect::<Vec<_>>(), [5, 0, 5, 5, 1, 1, 1]);
    }
}
