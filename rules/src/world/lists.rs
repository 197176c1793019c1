//! What scripts need of lists and Rhai does not have.

use crate::evaluation::Host;
use crate::words::Words;
use rhai::{Array, EvalAltResult, ImmutableString, NativeCallContext, Position};

pub(super) fn define(words: &mut Words) {
    words.topic("Lists");
    words
        .function(
            "list.join(separator: text) -> text",
            "All elements written out, with the separator between them.",
            r#"log(["a", 2, HIGH].join(", ")); // a, 2, high"#,
        )
        .is(words, join);
}

fn join(
    context: NativeCallContext,
    list: Array,
    separator: ImmutableString,
) -> Host<ImmutableString> {
    let longest = context.engine().max_string_size();
    let mut joined = String::new();
    for (number, item) in list.into_iter().enumerate() {
        if number > 0 {
            joined.push_str(&separator);
        }
        let text: ImmutableString = context.call_native_fn("to_string", (item,))?;
        joined.push_str(&text);
        if joined.len() > longest {
            return Err(Box::new(EvalAltResult::ErrorDataTooLarge(
                "Length of string".to_owned(),
                Position::NONE,
            )));
        }
    }
    Ok(joined.into())
}
