//! `log(text)`, `print` and `debug`: lines of the run's log. No action: a script that only logs
//! did not match.

use crate::evaluation::{self, Host};
use rhai::{Dynamic, Engine, ImmutableString, NativeCallContext};

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn(
        "log",
        |context: NativeCallContext, value: Dynamic| -> Host<()> {
            let text: ImmutableString = context.call_native_fn("to_string", (value,))?;
            write(&text)
        },
    );
    // These run after Rhai has written the value out, where no error can be returned; one that
    // a stopped evaluation would raise comes with the next step.
    engine.on_print(|text| {
        let _ = write(text);
    });
    engine.on_debug(|text, _, _| {
        let _ = write(text);
    });
}

fn write(text: &str) -> Host<()> {
    evaluation::with(|e| {
        e.log(text);
        Ok(())
    })
}
