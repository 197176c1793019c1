//! Lists put in order by a function of the script, and neighbours that it calls the same.
//!
//! Rhai's own go on when that function fails, tens of thousands of times in one call which no
//! limit sees. Here every comparison is a step, and the first failure is that of the call.

use super::kind_of;
use crate::evaluation::{self, Host};
use crate::words::Words;
use rhai::{Array, Dynamic, FnPtr, ImmutableString, NativeCallContext};
use std::cmp::Ordering;

pub(super) fn define(words: &mut Words) {
    words.topic("Lists");
    define_sorting(words);
    words
        .function(
            "list.dedup(same?: closure)",
            "Removes from the list itself what equals its neighbour, or what the closure calls the same.",
            r#"let list = [1, 1, 2];
list.dedup();
log(list); // [1, 2]"#,
        )
        .is(words, dedup)
        .is(
            words,
            |context: NativeCallContext, list: &mut Array, same: ImmutableString| {
                dedup(context, list, FnPtr::new(same)?)
            },
        );
}

fn define_sorting(words: &mut Words) {
    words
        .function(
            "list.sort(compare?: closure)",
            "Sorts the list itself: texts or numbers by themselves, others by a closure that returns a number below, equal to or above 0, or whether its first argument comes first.",
            r#"let names = ["b", "a"];
names.sort();
log(names); // ["a", "b"]"#,
        )
        .is(words, sort)
        .is(
            words,
            |context: NativeCallContext, list: &mut Array, by: ImmutableString| {
                sort(context, list, FnPtr::new(by)?)
            },
        );
    words
        .function(
            "list.sort_by(compare: closure)",
            "Sorts the list itself by a closure.",
            r#"let found = tasks(#{});
found.sort_by(|a, b| a.title < b.title);
log(found[0].title); // Book a room"#,
        )
        .is(words, sort);
    for word in [
        words.function(
            "list.order(compare?: closure) -> list",
            "A sorted copy.",
            r#"log([2, 1].order()); // [1, 2]"#,
        ),
        words.function(
            "list.order_by(compare: closure) -> list",
            "A copy sorted by a closure.",
            r#"log([1, 2].order_by(|a, b| b - a)); // [2, 1]"#,
        ),
    ] {
        word.reads(
            words,
            |context: NativeCallContext, list: &mut Array, by: FnPtr| {
                comparing(&context, || sorted(&context, list.clone(), &by))
            },
        );
    }
}

fn sort(context: NativeCallContext, list: &mut Array, by: FnPtr) -> Host<()> {
    *list = comparing(&context, || sorted(&context, list.clone(), &by))?;
    Ok(())
}

/// Sorted by merging, which ends whatever the function answers: the standard library's sort may
/// panic where it contradicts itself.
fn sorted(context: &NativeCallContext, mut list: Array, by: &FnPtr) -> Host<Array> {
    if list.len() <= 1 {
        return Ok(list);
    }
    let second = list.split_off(list.len() / 2);
    let mut first = sorted(context, list, by)?.into_iter().peekable();
    let mut second = sorted(context, second, by)?.into_iter().peekable();
    let mut merged = Array::with_capacity(first.len() + second.len());
    while let (Some(a), Some(b)) = (first.peek(), second.peek()) {
        let next = match compare(context, a, b, by)? {
            Ordering::Greater => second.next(),
            Ordering::Less | Ordering::Equal => first.next(),
        };
        merged.extend(next);
    }
    merged.extend(first);
    merged.extend(second);
    Ok(merged)
}

fn compare(context: &NativeCallContext, a: &Dynamic, b: &Dynamic, by: &FnPtr) -> Host<Ordering> {
    let answer = call(context, by, a, b)?;
    if let Ok(number) = answer.as_int() {
        return Ok(number.cmp(&0));
    }
    match answer.as_bool() {
        Ok(true) => Ok(Ordering::Less),
        Ok(false) => Ok(Ordering::Greater),
        Err(_) => Err(format!(
            "to sort, a function must answer with a number, such as `a - b`, or with whether the \
             first comes first; it answered with {}",
            kind_of(&answer)
        )
        .into()),
    }
}

fn dedup(context: NativeCallContext, list: &mut Array, same: FnPtr) -> Host<()> {
    *list = comparing(&context, || without_repeats(&context, list, &same))?;
    Ok(())
}

fn without_repeats(context: &NativeCallContext, list: &Array, same: &FnPtr) -> Host<Array> {
    let mut kept: Array = Array::with_capacity(list.len());
    for item in list {
        let repeats = match kept.last() {
            Some(last) => call(context, same, last, item)?.as_bool().unwrap_or(false),
            None => false,
        };
        if !repeats {
            kept.push(item.clone());
        }
    }
    Ok(kept)
}

/// Functions by which lists are compared, within which a run cannot wait: how often they are
/// called depends on what they answer.
const COMPARING: &[&str] = &["sort", "sort_by", "order", "order_by", "dedup"];

fn comparing<T>(context: &NativeCallContext, compare: impl FnOnce() -> Host<T>) -> Host<T> {
    let within = COMPARING.iter().find(|name| **name == context.fn_name());
    let before = evaluation::comparing(within.copied());
    let compared = compare();
    evaluation::comparing(before);
    compared
}

fn call(context: &NativeCallContext, function: &FnPtr, a: &Dynamic, b: &Dynamic) -> Host<Dynamic> {
    evaluation::with(|_| Ok(()))?;
    function.call_raw(context, None, [a.clone(), b.clone()])
}
