//! The product's own index and scripts, as its engine uses them.

use super::Engine;
use smarttasks_benches::Failure;
use smarttasks_benches::rules::{Case, Rules};
use smarttasks_model::Timestamp;
use smarttasks_rules::{Language, Limits};

/// The index: which rules match, which is all that the others say.
pub struct Matching(Rules);

/// The index, and the scripts of the rules that it finds, each of which emits an event.
pub struct Acting(Rules);

fn load(case: &Case, count: usize, now: Timestamp) -> Result<Rules, Failure> {
    Rules::of(&Language::new(Limits::default()), case, count, now)
}

impl Engine for Matching {
    const NAME: &'static str = "SmartTasks";

    fn load(case: &Case, count: usize, now: Timestamp) -> Result<Self, Failure> {
        Ok(Self(load(case, count, now)?))
    }

    fn matching(&mut self, event: &str) -> Result<usize, Failure> {
        Ok(self.0.find(event)?.concerned)
    }
}

impl Engine for Acting {
    const NAME: &'static str = "SmartTasks, and what they do";

    fn load(case: &Case, count: usize, now: Timestamp) -> Result<Self, Failure> {
        Ok(Self(load(case, count, now)?))
    }

    fn matching(&mut self, event: &str) -> Result<usize, Failure> {
        self.0.evaluate(event)
    }
}
