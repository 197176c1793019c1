//! Whether a rule as its author wrote it can be stored, apart from its script.

use crate::{CronExpression, Limits};
use smarttasks_model::{Invalid, RuleSpec, Span, Trigger, text_within};

/// Longest name, in characters.
const NAME: usize = 200;
/// Longest description, in characters.
const DESCRIPTION: usize = 5_000;
/// Most triggers of one rule.
const TRIGGERS: usize = 20;

/// Everything that is wrong with a rule but for what [`Language::analyse`] finds in its script,
/// with JSON pointers into it.
///
/// [`Language::analyse`]: crate::Language::analyse
pub fn check_rule(spec: &RuleSpec, limits: &Limits) -> Vec<Invalid> {
    let mut wrong = Vec::new();
    wrong.extend(text_within("/name", &spec.name, 1, NAME, &[]).err());
    let description = text_within(
        "/description",
        &spec.description,
        0,
        DESCRIPTION,
        &['\n', '\r', '\t'],
    );
    wrong.extend(description.err());
    if spec.triggers.is_empty() {
        wrong.push(Invalid::at("/triggers", "at least one trigger is needed"));
    }
    if spec.triggers.len() > TRIGGERS {
        wrong.push(Invalid::at(
            "/triggers",
            format!("at most {TRIGGERS} triggers are allowed"),
        ));
    }
    for (index, trigger) in spec.triggers.iter().enumerate() {
        if let Trigger::Cron { cron, .. } = trigger
            && let Err(error) = CronExpression::parse(cron)
        {
            wrong.push(Invalid::at(
                format!("/triggers/{index}/cron"),
                error.to_string(),
            ));
        }
    }
    if spec.hold.is_some_and(|hold| hold <= Span::ZERO) {
        wrong.push(Invalid::at(
            "/hold",
            "must be longer than nothing, such as 30m",
        ));
    }
    if spec.script.trim().is_empty() {
        wrong.push(Invalid::at("/script", "must not be empty"));
    }
    if spec.script.len() > limits.source_bytes {
        wrong.push(Invalid::at(
            "/script",
            format!(
                "has {} bytes; at most {} are allowed",
                spec.script.len(),
                limits.source_bytes
            ),
        ));
    }
    wrong
}
