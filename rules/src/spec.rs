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
            && let Err(error) = CronExpression::parse_at_least(cron, limits.cron_interval)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn how_often_cron_may_fire_is_a_limit() {
        let spec = RuleSpec {
            name: "n".to_owned(),
            description: String::new(),
            enabled: true,
            triggers: vec![Trigger::Cron {
                cron: "*/5 * * * *".to_owned(),
                timezone: None,
                for_each: Default::default(),
            }],
            script: "log(1);".to_owned(),
            repeat: Default::default(),
            hold: None,
            overlap: Default::default(),
            misfire: Default::default(),
        };
        assert_eq!(check_rule(&spec, &Limits::default()), []);
        let slower = Limits {
            cron_interval: Duration::from_secs(900),
            ..Limits::default()
        };
        let wrong = check_rule(&spec, &slower);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert_eq!(wrong[0].pointer, "/triggers/0/cron");
        assert!(wrong[0].detail.contains("at least 900 s"), "{wrong:?}");
    }
}
