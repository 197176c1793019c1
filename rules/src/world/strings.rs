//! Replacements for functions on texts and lists that are no good in a sandbox.
//!
//! Rhai's `replace` of one letter by a long text builds the whole result before any limit looks
//! at it, and its `pad(10, "")` never returns. Its `pad` of a list by a long list reckons the size
//! of the result with numbers that overflow, and then asks for that much memory, which ends the
//! process. A host function of the same signature wins over one of a package.

use crate::evaluation::{self, Host};
use crate::words::Words;
use rhai::{Array, Dynamic, EvalAltResult, INT, ImmutableString, NativeCallContext, Position};

pub(super) fn define(words: &mut Words) {
    words.topic("Texts");
    words
        .function(
            "text.replace(find: text, by: text)",
            "Replaces every occurrence, in the text itself.",
            r#"let title = task.title;
title.replace("certificate", "key");
log(title); // Renew key"#,
        )
        .is(
            words,
            |context: NativeCallContext, text: &mut ImmutableString, find: &str, by: &str| {
                replace(&context, text, find, by)
            },
        )
        .is(
            words,
            |context: NativeCallContext, text: &mut ImmutableString, find: &str, by: char| {
                replace(&context, text, find, by.encode_utf8(&mut [0; 4]))
            },
        )
        .is(
            words,
            |context: NativeCallContext, text: &mut ImmutableString, find: char, by: &str| {
                replace(&context, text, find.encode_utf8(&mut [0; 4]), by)
            },
        )
        .is(
            words,
            |context: NativeCallContext, text: &mut ImmutableString, find: char, by: char| {
                let (mut a, mut b) = ([0; 4], [0; 4]);
                let (find, by) = (find.encode_utf8(&mut a), by.encode_utf8(&mut b));
                replace(&context, text, find, by)
            },
        );
    words
        .function(
            "text.pad(length: int, with: text)",
            "Appends a text, again and again, until so many characters are there.",
            r#"let line = "Total";
line.pad(8, ".");
log(line); // Total..."#,
        )
        .is(
            words,
            |context: NativeCallContext, text: &mut ImmutableString, length: INT, with: char| {
                pad(&context, text, length, with.encode_utf8(&mut [0; 4]))
            },
        )
        .is(
            words,
            |context: NativeCallContext, text: &mut ImmutableString, length: INT, with: &str| {
                pad(&context, text, length, with)
            },
        );
    words.topic("Lists");
    words
        .function(
            "list.pad(length: int, with: any)",
            "Appends an element to the list itself until it has so many.",
            r#"let list = [1];
list.pad(3, 0);
log(list); // [1, 0, 0]"#,
        )
        .is(words, pad_list);
}

fn too_long() -> Box<EvalAltResult> {
    too_large("Length of string")
}

fn too_large(what: &str) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorDataTooLarge(
        what.to_owned(),
        Position::NONE,
    ))
}

fn replace(
    context: &NativeCallContext,
    text: &mut ImmutableString,
    find: &str,
    by: &str,
) -> Host<()> {
    let longest = context.engine().max_string_size();
    let found = text.matches(find).count();
    let length = found
        .checked_mul(by.len())
        .and_then(|more| more.checked_add(text.len()))
        .ok_or_else(too_long)?
        .saturating_sub(found * find.len());
    if length > longest {
        return Err(too_long());
    }
    if found > 0 {
        *text = text.replace(find, by).into();
    }
    Ok(())
}

fn pad(
    context: &NativeCallContext,
    text: &mut ImmutableString,
    length: INT,
    with: &str,
) -> Host<()> {
    let longest = context.engine().max_string_size();
    let present = text.chars().count();
    let missing = usize::try_from(length).unwrap_or(0).saturating_sub(present);
    if missing == 0 || with.is_empty() {
        return Ok(());
    }
    if missing > longest {
        return Err(too_long());
    }
    let mut padded = String::from(text.as_str());
    for letter in with.chars().cycle().take(missing) {
        padded.push(letter);
        if padded.len() > longest {
            return Err(too_long());
        }
    }
    *text = padded.into();
    Ok(())
}

fn pad_list(context: NativeCallContext, list: &mut Array, length: INT, item: Dynamic) -> Host<()> {
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
