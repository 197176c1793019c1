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
//!
//! A run that waits is followed in virtual time: `events` come, `answers` are given, and `timeline`
//! says what is done when.
//!
//! ```toml
//! [[test]]
//! name = "what is still open a day later goes to ops"
//! task = { priority = "high", assignee = "bob@example.com" }
//! timeline = [
//!     { after = "0", action = "email", to = ["bob@example.com"] },
//!     { after = "1d", action = "webhook", endpoint = "ops" },
//! ]
//! ```

mod expect;
mod file;
mod given;

use crate::{
    Action, Answer, Circumstances, Diagnostic, Language, Program, Query, Simulation, Step, Timeline,
};
use file::Test;
use given::Given;
use smarttasks_model::{RuleSpec, Span, Timestamp};
use std::sync::Arc;

/// How far a run is followed in virtual time.
const LONGEST: Span = Span::from_millis(366 * 86_400_000);

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
        let program = Arc::new(language.compile(&rule.script)?);
        let results = self.tests.iter().map(|test| TestResult {
            name: test.name.clone(),
            differences: differences(&program, rule, test),
        });
        Ok(results.collect())
    }
}

fn differences(program: &Arc<Program>, rule: &RuleSpec, test: &Test) -> Vec<String> {
    let given = match Given::of(test, rule) {
        Ok(given) => given,
        Err(wrong) => return vec![wrong],
    };
    let told = simulated(program, &given, test);
    if let Some(error) = &told.error {
        let place = error
            .line
            .map_or_else(String::new, |line| format!("line {line}: "));
        return vec![format!("the script failed: {place}{}", error.message)];
    }
    let mut found = Vec::new();
    let expected = test.status.as_deref().unwrap_or("succeeded");
    if told.status != expected {
        let note = told.note.as_deref().unwrap_or("the run has ended");
        found.push(format!(
            "the run is {}, expected {expected}: {note}",
            told.status
        ));
    }
    if let Some(expected) = &test.expect {
        let done = told
            .timeline
            .iter()
            .filter_map(|moment| moment.done.clone());
        let done: Vec<Action> = done.collect();
        found.extend(expect::differences(expected, &done, &given));
    }
    if let Some(expected) = &test.timeline {
        found.extend(expect::of_timeline(expected, &told.timeline, &given));
    }
    if let Some(expected) = &test.expect_state {
        let kept = told.state.as_ref().unwrap_or(&test.state);
        found.extend(expect::of_state(expected, kept));
    }
    found
}

/// Runs in virtual time, and answers what the script asks from the tasks that are given.
fn simulated(program: &Arc<Program>, given: &Given, test: &Test) -> Timeline {
    let inputs = given.inputs.clone();
    let mut simulation = Simulation::new(
        Arc::clone(program),
        Circumstances {
            stored: inputs.task.clone(),
            until: inputs.now + LONGEST,
            inputs,
            events: given.events.clone(),
            answers: test.answers.clone(),
            deadlines: true,
            endpoints: None,
        },
    );
    loop {
        match simulation.step() {
            Step::Done(told) => return *told,
            Step::Ask(query, now) => simulation.answer(answer(&query, given, now)),
        }
    }
}

fn answer(query: &Query, given: &Given, now: Timestamp) -> Answer {
    let passing = |filter| given.tasks_passing(filter, now);
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
