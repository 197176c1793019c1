//! `log(text)`, `print` and `debug`: lines of the run's log. No action: a script that only logs
//! did not match.

use crate::evaluation::{self, Host};
use crate::words::Words;
use rhai::{Dynamic, Engine, ImmutableString, NativeCallContext};

pub(super) fn define(words: &mut Words) {
    words.topic("Log");
    words
        .function(
            "log(value: any)",
            "A line in the log of the run. By itself it is no match, and without any action the line is dropped. A log holds 16 KiB; what comes after them is dropped.",
            r#"log(`${task.title} is ${task.age} old`); // Renew certificate is 10d old"#,
        )
        .is(words, log)
        // Of a float, Rhai would take the logarithm.
        .is(words, |context: NativeCallContext, number: f64| {
            log(context, Dynamic::from_float(number))
        });
}

/// `print` and `debug` run after Rhai has written the value out, where no error can be returned;
/// one that a stopped evaluation would raise comes with the next step.
pub(crate) fn listen(engine: &mut Engine) {
    engine.on_print(|text| {
        let _ = write(text);
    });
    engine.on_debug(|text, _, _| {
        let _ = write(text);
    });
}

fn log(context: NativeCallContext, value: Dynamic) -> Host<()> {
    let text: ImmutableString = context.call_native_fn("to_string", (value,))?;
    write(&text)
}

fn write(text: &str) -> Host<()> {
    evaluation::with(|e| {
        e.log(text);
        Ok(())
    })
}
