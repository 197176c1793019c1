//! What scripts need of lists and Rhai does not have, or not as a sandbox needs it.
//!
//! Rhai's `pad` of a list by a long list reckons the size of the result with numbers that overflow,
//! and then asks for that much memory, which ends the process.

use crate::evaluation::{self, Host};
use crate::words::Words;
use rhai::{Array, Dynamic, EvalAltResult, INT, ImmutableString, NativeCallContext, Position};

pub(super) fn define(words: &mut Words) {
    words.topic("Lists");
    words
        .function(
            "list.join(separator: text) -> text",
            "All elements written out, with the separator between them.",
            r#"log(["a", 2, HIGH].join(", ")); // a, 2, high"#,
        )
        .is(words, join);
    words
        .function(
            "list.pad(length: int, with: any)",
            "Appends an element to the list itself until it has so many.",
            r#"let list = [1];
list.pad(3, 0);
log(list); // [1, 0, 0]"#,
        )
        .is(words, pad);
}

fn pad(context: NativeCallContext, list: &mut Array, length: INT, item: Dynamic) -> Host<()> {
    let length = usize::try_from(length).unwrap_or(0);
    if length > context.engine().max_array_size() {
        return Err(too_large("Size of array/BLOB"));
    }
    while list.len() < length {
        // Each is a step, which looks at the heap: the item may be a long list itself.
        evaluation::with(|_| Ok(()))?;
        list.push(item.clone());
    }
    Ok(())
}

fn too_large(what: &str) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorDataTooLarge(
        what.to_owned(),
        Position::NONE,
    ))
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
            return Err(too_large("Length of string"));
        }
    }
    Ok(joined.into())
}
