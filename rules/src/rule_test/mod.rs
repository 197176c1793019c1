//! Tests of rules, as files beside them: what is given, and the actions that are expected.
//!
//! A rule decides about mails that cannot be unsent. Its author says here what it does to which
//! task, and the evaluator that runs it in earnest shows whether that is so.
//!
//! ```toml
//! now = "2026-12-04T08:00:00Z"
//!
//! [[test]]
//! name = "an urgent task that nobody has is shown to whoever made it"
//! task = { title = "Server down", priority = "urgent", creator = "ann@example.com" }
//! expect = [{ action = "email", to = ["ann@example.com"], subject = "Nobody has it: Server down" }]
//!
//! [[test]]
//! name = "one that somebody has is not"
//! task = { priority = "urgent", assignee = "bob@example.com" }
//! expect = []
//! ```

mod expect;
mod file;
mod given;

use crate::{Answer, Diagnostic, Inputs, Language, Need, Outcome, Program, Query};
use file::Test;
use given::Given;
use smarttasks_model::RuleSpec;
use std::sync::Arc;

/// Not a file of tests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuleTestError {
    /// What is wrong, and with which test.
    pub message: String,
    /// The line of the file, from 1, where it is known.
    pub line: Option<usize>,
}

/// The tests of a rule.
#[derive(Debug)]
pub struct RuleTests {
    tests: Vec<Test>,
}

/// What came of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The name of the test.
    pub name: String,
    /// How what happened differs from what was expected, line by line; empty when it does not.
    pub differences: Vec<String>,
}

impl RuleTests {
    /// Reads a file of tests.
    ///
    /// # Errors
    /// When it is not TOML, or its keys are not those of tests.
    pub fn parse(text: &str) -> Result<Self, RuleTestError> {
        Ok(Self {
            tests: file::read(text)?,
        })
    }

    /// Runs the tests with the evaluator of `language`; as for every script, on a
    /// [`Pool`](crate::Pool).
    ///
    /// # Errors
    /// When the script of the rule does not compile.
    pub fn run(
        &self,
        language: &Arc<Language>,
        rule: &RuleSpec,
    ) -> Result<Vec<TestResult>, Vec<Diagnostic>> {
        let program = language.compile(&rule.script)?;
        let results = self.tests.iter().map(|test| TestResult {
            name: test.name.clone(),
            differences: differences(&program, rule, test),
        });
        Ok(results.collect())
    }
}

fn differences(program: &Program, rule: &RuleSpec, test: &Test) -> Vec<String> {
    let given = match Given::of(test, rule) {
        Ok(given) => given,
        Err(wrong) => return vec![wrong],
    };
    let outcome = evaluate(program, &given);
    if let Some(error) = &outcome.error {
        let place = error
            .line
            .map_or_else(String::new, |line| format!("line {line}: "));
        return vec![format!("the script failed: {place}{}", error.message)];
    }
    let mut found = expect::differences(&test.expect, &outcome.actions, &given);
    if let Some(expected) = &test.expect_state {
        let kept = outcome.state.as_ref().unwrap_or(&test.state);
        found.extend(expect::of_state(expected, kept));
    }
    found
}

/// Evaluates, and answers what the script asks from the tasks that are given.
fn evaluate(program: &Program, given: &Given) -> Outcome {
    let mut inputs: Inputs = given.inputs.clone();
    loop {
        let outcome = program.evaluate(inputs.clone());
        let Some(Need::Query(query)) = &outcome.need else {
            return outcome;
        };
        Arc::make_mut(&mut inputs.answers).push(answer(query, given));
    }
}

fn answer(query: &Query, given: &Given) -> Answer {
    let passing = |filter| given.tasks_passing(filter);
    match query {
        Query::Tasks { filter, limit } => {
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            Answer::Tasks(passing(filter).take(limit).cloned().collect())
        }
        Query::Count(filter) => Answer::Count(passing(filter).count() as u64),
    }
}

#[cfg(test)]
mod tests;
