//! Random scripts, tasks and events, for tests that hold the predicate of a script against what the
//! script does: here, and wherever a predicate becomes something else.

mod conditions;
mod scripts;
mod world;

pub use scripts::script;
pub use world::World;

use crate::{Answer, Inputs, Need, Program, Query};
use std::sync::Arc;

/// Whether an evaluation that begins a run acts, waits, or changes what the rule keeps. What it asks
/// is answered: there are no other tasks.
pub fn acts(program: &Program, mut inputs: Inputs) -> bool {
    loop {
        let outcome = program.evaluate(inputs.clone());
        match &outcome.need {
            Some(Need::Query(Query::Tasks { .. })) => {
                let found = inputs.task.iter().cloned().collect();
                Arc::make_mut(&mut inputs.answers).push(Answer::Tasks(found));
            }
            Some(Need::Query(Query::Count(_))) => {
                Arc::make_mut(&mut inputs.answers).push(Answer::Count(1));
            }
            Some(Need::Wait(_)) => return true,
            None => return !outcome.actions.is_empty() || outcome.state.is_some(),
        }
    }
}

/// One of several.
fn one<'a, T: ?Sized>(random: &mut fastrand::Rng, of: &[&'a T]) -> &'a T {
    of[random.usize(..of.len())]
}
