//! Random scripts, tasks and events, for tests that hold the predicate of a script against what the
//! script does: here, and wherever a predicate becomes something else.

mod conditions;
mod scripts;
mod world;

pub use scripts::script;
pub use world::World;

use crate::{Answer, Inputs, Need, Outcome, Program, Query};
use std::sync::Arc;

/// Whether an evaluation that begins a run acts, waits, or changes what the rule keeps. What it asks
/// is answered: there are no other tasks.
pub fn acts(program: &Program, inputs: Inputs) -> bool {
    has_acted(&evaluated(program, inputs))
}

/// Likewise, or whether it fails.
pub fn acts_or_fails(program: &Program, inputs: Inputs) -> bool {
    let outcome = evaluated(program, inputs);
    outcome.error.is_some() || has_acted(&outcome)
}

fn has_acted(outcome: &Outcome) -> bool {
    matches!(outcome.need, Some(Need::Wait(_)))
        || !outcome.actions.is_empty()
        || outcome.state.is_some()
}

fn evaluated(program: &Program, mut inputs: Inputs) -> Outcome {
    loop {
        let outcome = program.evaluate(inputs.clone());
        let Some(Need::Query(query)) = &outcome.need else {
            return outcome;
        };
        let answer = match query {
            Query::Tasks { .. } => Answer::Tasks(inputs.task.iter().cloned().collect()),
            Query::Count(_) => Answer::Count(1),
        };
        Arc::make_mut(&mut inputs.answers).push(answer);
    }
}

/// One of several.
fn one<'a, T: ?Sized>(random: &mut fastrand::Rng, of: &[&'a T]) -> &'a T {
    of[random.usize(..of.len())]
}
