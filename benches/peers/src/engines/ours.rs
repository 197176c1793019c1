//! The product's own index and scripts, as its engine uses them.

use super::Engine;
use smarttasks_benches::Failure;
use smarttasks_benches::rules::{Case, Rules};
use smarttasks_model::Timestamp;
use smarttasks_rules::{Language, Limits};

/// The index, and the scripts of the rules that it finds.
pub struct Ours(Rules);

impl Engine for Ours {
    const NAME: &'static str = "SmartTasks";

    fn load(case: &Case, count: usize, now: Timestamp) -> Result<Self, Failure> {
        let language = Language::new(Limits::default());
        Ok(Self(Rules::of(&language, case, count, now)?))
    }

    fn matching(&mut self, event: &str) -> Result<usize, Failure> {
        self.0.evaluate(event)
    }
}
