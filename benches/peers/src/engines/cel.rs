//! The Common Expression Language, every rule in turn.

use super::{Engine, LIKE_RUST};
use crate::task::{TAGS, Task};
use cel::common::types::{CelInt, CelList, CelString};
use cel::common::value::Val;
use cel::{Context, Env, Program, Value};
use smarttasks_benches::Failure;
use smarttasks_benches::rules::Case;
use smarttasks_model::Timestamp;
use std::sync::Arc;

/// Compiled programs, and an environment for all of them.
pub struct Cel {
    rules: Vec<Program>,
    environment: Arc<Env>,
    now: Timestamp,
}

impl Engine for Cel {
    const NAME: &'static str = "cel 0.15, every rule in turn";

    fn load(case: &Case, count: usize, now: Timestamp) -> Result<Self, Failure> {
        let environment = Arc::new(Env::stdlib());
        let compiled = (0..count).map(|number| environment.compile(&LIKE_RUST.guard(case, number)));
        let rules: Result<_, _> = compiled.collect();
        Ok(Self {
            rules: rules.map_err(|error| error.to_string())?,
            environment,
            now,
        })
    }

    fn matching(&mut self, event: &str) -> Result<usize, Failure> {
        let task = Task::read(event, self.now)?;
        let mut context = Context::with_env(Arc::clone(&self.environment));
        for (name, text) in task.texts() {
            context.add_variable_as_val(name, Box::new(CelString::from(text)));
        }
        for (name, number) in task.numbers() {
            context.add_variable_as_val(name, Box::new(CelInt::from(number)));
        }
        let tags = task
            .tags()
            .map(|tag| Box::new(CelString::from(tag)) as Box<dyn Val>);
        let tags: Vec<Box<dyn Val + '_>> = tags.collect();
        context.add_variable_as_val(TAGS, Box::new(CelList::from(tags)));
        let mut found = 0;
        for rule in &self.rules {
            let matches = rule.execute(&context).map_err(|error| error.to_string())?;
            found += usize::from(matches == Value::Bool(true));
        }
        Ok(found)
    }
}
