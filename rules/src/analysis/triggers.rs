//! What a script asks for and its triggers never give.

use crate::Diagnostic;
use crate::diagnostic::Code;
use rhai::Position;
use smarttasks_model::{ForEach, Trigger};

fn all(triggers: &[Trigger], which: impl Fn(&Trigger) -> bool) -> bool {
    !triggers.is_empty() && triggers.iter().all(which)
}

/// A rule that only the clock starts, once for all tasks, is about no task.
pub(super) fn without_task(at: Position, triggers: &[Trigger]) -> Option<Diagnostic> {
    let once = |trigger: &Trigger| {
        matches!(
            trigger,
            Trigger::Cron {
                for_each: ForEach::Once,
                ..
            }
        )
    };
    all(triggers, once).then(|| {
        Diagnostic::warning(
            Code::NoTask,
            at,
            "`task` is absent: a trigger with for_each \"once\" is about no task",
        )
        .hint("use for_each \"task\" to look at each task")
    })
}

/// A rule that only time starts sees no change.
pub(super) fn without_change(at: Position, what: &str, triggers: &[Trigger]) -> Option<Diagnostic> {
    let timed = |trigger: &Trigger| !matches!(trigger, Trigger::Event { .. });
    let message = match what {
        "`previous`" => "`previous` is always absent: time starts this rule, not a change",
        _ => "`changed(…)` is always false: time starts this rule, not a change",
    };
    all(triggers, timed).then(|| {
        Diagnostic::warning(Code::NoChange, at, message)
            .hint("add a trigger such as { event = \"task.updated\" }")
    })
}

/// Of an occurrence of a cron trigger there is nothing to tell but its time.
pub(super) fn without_data(at: Position, key: &str, triggers: &[Trigger]) -> Option<Diagnostic> {
    let cron = |trigger: &Trigger| matches!(trigger, Trigger::Cron { .. });
    all(triggers, cron).then(|| {
        Diagnostic::warning(
            Code::NoChange,
            at,
            format!("`event.data.{key}` is always absent: time starts this rule, not an event"),
        )
        .hint("add a trigger on the event that is meant")
    })
}
