//! Lists and maps written out as text: in templates, logs and messages.
//!
//! Rhai writes a list within a list anew for every level around it, all in one call, so that a
//! long text a thousand lists deep takes seconds before any limit looks. Here every value is
//! written once and is a step. What grows too long ends there: the limit on the size of texts
//! then refuses it.

use crate::evaluation::{self, Host};
use crate::words::Words;
use rhai::{Array, Dynamic, ImmutableString, Map, NativeCallContext};
use std::fmt::Write;

pub(super) fn define(words: &mut Words) {
    words.topic("Values");
    for word in [
        words.function(
            "to_string(value: any) -> text",
            "The value written out, as in a template literal: `${value}`.",
            r#"log(task.priority.to_string() + "!"); // high!"#,
        ),
        words.function(
            "to_debug(value: any) -> text",
            "The value written out as it would stand in a script.",
            r#"log("a".to_debug()); // "a""#,
        ),
        words.function(
            "print(value?: any)",
            "Writes a line to the log of the run, like `log`.",
            "print(task.title); // Renew certificate",
        ),
        words.function(
            "debug(value?: any)",
            "Writes a line to the log of the run, the value as it would stand in a script.",
            r#"debug("a"); // "a""#,
        ),
    ] {
        word.reads(
            words,
            |context: NativeCallContext, list: &mut Array| -> Host<ImmutableString> {
                written(|text| write_list(&context, list, text))
            },
        );
        word.reads(
            words,
            |context: NativeCallContext, map: &mut Map| -> Host<ImmutableString> {
                written(|text| write_map(&context, map, text))
            },
        );
    }
}

fn written(write: impl FnOnce(&mut String) -> Host<()>) -> Host<ImmutableString> {
    let mut text = String::new();
    write(&mut text)?;
    Ok(text.into())
}

fn write_list(context: &NativeCallContext, list: &Array, text: &mut String) -> Host<()> {
    text.push('[');
    for (number, value) in list.iter().enumerate() {
        if number > 0 {
            text.push_str(", ");
        }
        write_value(context, value, text)?;
    }
    text.push(']');
    Ok(())
}

fn write_map(context: &NativeCallContext, map: &Map, text: &mut String) -> Host<()> {
    text.push_str("#{");
    for (number, (key, value)) in map.iter().enumerate() {
        if number > 0 {
            text.push_str(", ");
        }
        // Writing into a String cannot fail.
        let _ = write!(text, "{key:?}: ");
        write_value(context, value, text)?;
    }
    text.push('}');
    Ok(())
}

fn write_value(context: &NativeCallContext, value: &Dynamic, text: &mut String) -> Host<()> {
    evaluation::with(|_| Ok(()))?;
    if text.len() > context.engine().max_string_size() {
        return Ok(());
    }
    if let Ok(list) = value.as_array_ref() {
        return write_list(context, &list, text);
    }
    if let Ok(map) = value.as_map_ref() {
        return write_map(context, &map, text);
    }
    let part: ImmutableString = context.call_native_fn("to_debug", (value.clone(),))?;
    text.push_str(&part);
    Ok(())
}
