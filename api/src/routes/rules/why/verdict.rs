//! The sentence that says why a rule fires, or does not.

use super::Occasion;
use smarttasks_model::{Overlap, Repeat, RunStatus, Span, SweepPurpose, Task, Timestamp, Trigger};
use smarttasks_rules::{Need, ScriptError, Traced};
use smarttasks_store::matches::{Change, Match, Policy, decide};
use smarttasks_store::rules::Rule;
use smarttasks_store::runs::Run;
use std::sync::Arc;

/// What is known of a rule and a task.
pub(super) struct Known {
    pub(super) rule: Rule,
    pub(super) task: Option<Arc<Task>>,
    pub(super) standing: Option<Match>,
    /// Newest first.
    pub(super) runs: Vec<Run>,
    pub(super) now: Timestamp,
}

/// Whether it fires, and why.
pub(super) struct Verdict {
    pub(super) fires: bool,
    pub(super) sentence: String,
}

fn no(sentence: impl Into<String>) -> Verdict {
    Verdict {
        fires: false,
        sentence: sentence.into(),
    }
}

fn yes(sentence: impl Into<String>) -> Verdict {
    Verdict {
        fires: true,
        sentence: sentence.into(),
    }
}

impl Known {
    /// The run beside which another may not begin, or which another would end.
    pub(super) fn unfinished(&self) -> Option<&Run> {
        let waits = |run: &&Run| matches!(run.status, RunStatus::Suspended | RunStatus::Paused);
        self.runs.iter().find(waits)
    }

    pub(super) fn verdict(
        &self,
        occasion: &Occasion,
        traced: &Result<Traced, ScriptError>,
    ) -> Verdict {
        let verdict = match traced {
            Err(error) => no(failed(error)),
            Ok(traced) => self.of_script(occasion, traced),
        };
        if self.rule.spec.enabled {
            return verdict;
        }
        let reason = match &self.rule.disabled_reason {
            Some(reason) => format!("the system has disabled the rule: {reason}"),
            None => "the rule is disabled".to_owned(),
        };
        no(format!(
            "it does nothing, because {reason}; were it enabled: {}",
            verdict.sentence
        ))
    }

    fn of_script(&self, occasion: &Occasion, traced: &Traced) -> Verdict {
        let outcome = &traced.outcome;
        if let Some(error) = &outcome.error {
            return no(failed(error));
        }
        let waits = matches!(outcome.need, Some(Need::Wait(_)));
        if outcome.actions.is_empty() && !waits {
            let because = match &traced.decisive {
                Some(guard) => guard.sentence(),
                None => "the script ends without having called an action".to_owned(),
            };
            return no(format!("it does not act: {because}"));
        }
        let mut done: Vec<&str> = outcome.actions.iter().map(|action| action.name()).collect();
        done.dedup();
        if waits {
            done.push("then it waits");
        }
        self.of_circumstances(occasion, &done.join(", "))
    }

    /// The script acts; whether that is done depends on what was before.
    fn of_circumstances(&self, occasion: &Occasion, done: &str) -> Verdict {
        if let Some(Trigger::Due(_)) = occasion.trigger {
            match &self.task {
                Some(task) if task.due_at.is_none() => {
                    return no(
                        "it would act, but the task has no deadline, by which the rule is started",
                    );
                }
                Some(task) if !task.status.is_open() => {
                    return no(
                        "it would act, but the task is closed, and deadlines of closed tasks start nothing",
                    );
                }
                _ => {}
            }
        }
        if let Some(blocked) = self.blocked() {
            return blocked;
        }
        if occasion.trigger.as_ref().is_some_and(Trigger::is_sweep) {
            return self.of_sweep(done);
        }
        if occasion.recorded {
            let acted = |run: &&Run| run.event_id == occasion.event.id;
            return match self.runs.iter().find(acted) {
                Some(run) => no(format!(
                    "it has acted on {} of {} already: run {}; when it comes again: {done}",
                    occasion.event.kind, occasion.event.time, run.id
                )),
                None => yes(format!("it acts on {}: {done}", occasion.event.kind)),
            };
        }
        yes(format!("it acts: {done}"))
    }

    fn blocked(&self) -> Option<Verdict> {
        let run = self.unfinished()?;
        match self.rule.spec.overlap {
            Overlap::Skip => Some(no(format!(
                "it would act, but its run {} of {} waits still, and with overlap skip no other begins beside it",
                run.id, run.started_at
            ))),
            Overlap::Restart | Overlap::Parallel => None,
        }
    }

    fn of_sweep(&self, done: &str) -> Verdict {
        let policy = Policy {
            repeat: self.rule.spec.repeat,
            hold: self.rule.spec.hold,
        };
        let before = self.standing.as_ref();
        match decide(before, true, self.now, policy, SweepPurpose::Fire) {
            Change::Fire(_) => yes(format!("it acts at its next occurrence: {done}")),
            Change::Begin(_) => no(format!(
                "it would act, but must match for {} before it fires (hold); that begins at its next occurrence",
                policy.hold.unwrap_or(Span::ZERO)
            )),
            Change::Stay | Change::Await(_) | Change::End { .. } => match before {
                Some(standing) => no(stays(standing, policy)),
                None => no("it would act, but has not been found to match yet"),
            },
        }
    }
}

fn stays(standing: &Match, policy: Policy) -> String {
    if standing.noted {
        return format!(
            "it would act, but the task matched already when the rule was saved ({}), and says nothing until it has stopped to match",
            standing.since
        );
    }
    match (standing.fired_at, policy.repeat) {
        (Some(fired), Repeat::Every(span)) => format!(
            "it would act, but has fired for this match at {fired}, and does again from {} on (repeat {span})",
            fired + span
        ),
        (Some(fired), repeat) => format!(
            "it would act, but has already fired for this match at {fired} (repeat {repeat}); it does again once the task has stopped to match"
        ),
        (None, _) => {
            let hold = policy.hold.unwrap_or(Span::ZERO);
            format!(
                "it would act, but has matched only since {}, and must match for {hold}, until {} (hold)",
                standing.since,
                standing.since + hold
            )
        }
    }
}

fn failed(error: &ScriptError) -> String {
    match error.line {
        Some(line) => format!("it fails on line {line}: {}", error.message),
        None => format!("it fails: {}", error.message),
    }
}
