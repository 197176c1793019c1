//! Zen expressions, of GoRules, every rule in turn.

use super::{Dialect, Engine};
use crate::task::{TAGS, Task};
use smarttasks_benches::Failure;
use smarttasks_benches::rules::Case;
use smarttasks_model::Timestamp;
use zen_expression::expression::Standard;
use zen_expression::variable::{Symbol, ToVariable, Variable, VariableMap};
use zen_expression::vm::VM;
use zen_expression::{Expression, Isolate, Scope};

const DIALECT: Dialect = Dialect {
    and: " and ",
    or: " or ",
    is: "==",
    is_not: "!=",
    one_of: |name, texts| format!("{name} in {texts}"),
    has_tag: |tag| format!("{tag} in tags"),
};

/// Compiled expressions, and a machine for all of them.
pub struct Zen {
    rules: Vec<Expression<Standard>>,
    machine: VM,
    now: Timestamp,
}

impl Engine for Zen {
    const NAME: &'static str = "zen-expression 2.1, every rule in turn";

    fn load(case: &Case, count: usize, now: Timestamp) -> Result<Self, Failure> {
        let mut isolate = Isolate::new();
        let compiled =
            (0..count).map(|number| isolate.compile_standard(&DIALECT.guard(case, number)));
        let rules: Result<_, _> = compiled.collect();
        Ok(Self {
            rules: rules.map_err(|error| error.to_string())?,
            machine: VM::new(),
            now,
        })
    }

    fn matching(&mut self, event: &str) -> Result<usize, Failure> {
        let task = Task::read(event, self.now)?;
        let tags = task.tags().map(ToVariable::to_variable).collect();
        let texts = task.texts().map(|(name, of)| (name, of.to_variable()));
        let numbers = task.numbers().map(|(name, of)| (name, of.to_variable()));
        let tags = (TAGS, Variable::from_array(tags));
        let all = texts.chain(numbers).chain([tags]);
        let all: VariableMap = all
            .map(|(name, value)| (Symbol::from_static(name), value))
            .collect();
        let scope = Scope::new(Variable::from_object(all));
        let mut found = 0;
        for rule in &self.rules {
            let matches = rule
                .evaluate_with_scope(&scope, &mut self.machine)
                .map_err(|error| error.to_string())?;
            found += usize::from(matches.as_bool() == Some(true));
        }
        Ok(found)
    }
}
