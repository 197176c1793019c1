//! Rhai alone, every rule in turn: without the product's types and limits.

use super::{Engine, LIKE_RUST};
use crate::task::{TAGS, Task};
use rhai::{AST, Array, Scope};
use smarttasks_benches::Failure;
use smarttasks_benches::rules::Case;
use smarttasks_model::Timestamp;

/// Compiled expressions, and an engine for all of them.
pub struct Rhai {
    engine: rhai::Engine,
    rules: Vec<AST>,
    now: Timestamp,
}

impl Engine for Rhai {
    const NAME: &'static str = "Rhai 1.27, every rule in turn";

    fn load(case: &Case, count: usize, now: Timestamp) -> Result<Self, Failure> {
        let engine = rhai::Engine::new();
        let compiled =
            (0..count).map(|number| engine.compile_expression(LIKE_RUST.guard(case, number)));
        let rules = compiled.collect::<Result<_, _>>()?;
        Ok(Self { engine, rules, now })
    }

    fn matching(&mut self, event: &str) -> Result<usize, Failure> {
        let task = Task::read(event, self.now)?;
        let mut scope = Scope::new();
        for (name, text) in task.texts() {
            scope.push_constant(name, rhai::ImmutableString::from(text));
        }
        for (name, number) in task.numbers() {
            scope.push_constant(name, number);
        }
        let tags: Array = task.tags().map(Into::into).collect();
        scope.push_constant(TAGS, tags);
        let mut found = 0;
        for rule in &self.rules {
            let matches = self
                .engine
                .eval_ast_with_scope::<bool>(&mut scope, rule)
                .map_err(|error| error.to_string())?;
            found += usize::from(matches);
        }
        Ok(found)
    }
}
