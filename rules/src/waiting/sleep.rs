//! `sleep(duration)` and `sleep_until(time)`.

use super::{span, within};
use crate::Wait;
use crate::evaluation::{self, Host};
use crate::words::Words;
use crate::world::{Moment, kind_of};
use rhai::{Dynamic, NativeCallContext};
use smarttasks_model::Span;

pub(super) fn define(words: &mut Words) {
    words
        .function(
            "sleep(duration: Duration)",
            "Waits so long, at most 366 days; none or less than none goes on at once. What the script has asked for until here is done before. Afterwards `now()`, the task, users and what the rule keeps are as they are then, and all limits count anew.",
            r#"let before = now();
sleep(days(1));
if task.is_open { task.comment("Still open."); }
log(now() - before); // 1d"#,
        )
        .is(words, sleep);
    words
        .function(
            "sleep_until(time: Timestamp)",
            "Waits until then, at most 366 days; a time that has passed goes on at once.",
            r#"sleep_until(now() + business_days(1));
log(now().weekday); // Monday"#,
        )
        .is(words, sleep_until);
}

fn sleep(context: NativeCallContext, duration: Dynamic) -> Host<()> {
    evaluation::with(|e| {
        let span = span("sleep", "duration", &duration, e.limits.sleep)?;
        let at = e.inputs.now + span;
        let wait = Wait::Until { at };
        e.wait("sleep", wait, &span.millis(), context.call_position())?;
        Ok(())
    })
}

fn sleep_until(context: NativeCallContext, time: Dynamic) -> Host<()> {
    evaluation::with(|e| {
        let Some(at) = time.read_lock::<Moment>().map(|moment| moment.at) else {
            return Err(format!(
                "sleep_until: `time` must be a time, such as task.due_at, not {}",
                kind_of(&time)
            )
            .into());
        };
        let length = at.unix_millis() - e.inputs.now.unix_millis();
        within("sleep_until", Span::from_millis(length), e.limits.sleep)?;
        let wait = Wait::Until { at };
        e.wait("sleep_until", wait, &at, context.call_position())?;
        Ok(())
    })
}
