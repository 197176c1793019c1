//! Functions on lists.

use super::Told;

pub(super) const WORDS: &[Told] = &[
    (
        "list.len() -> int",
        "How many elements it has.",
        r#"log(task.tags.len); // 1"#,
    ),
    (
        "list.is_empty() -> bool",
        "Whether it has no elements.",
        r#"log(task.tags.is_empty); // false"#,
    ),
    (
        "list.contains(value: any) -> bool",
        "Whether the value is among the elements; `value in list` says the same.",
        r#"log(task.tags.contains("tls")); // true"#,
    ),
    (
        "list.index_of(value: any, start?: int) -> int",
        "Where the value is, or the first element for which a closure holds, counted from 0; -1 when it is nowhere.",
        r#"log(["a", "b"].index_of("b")); // 1"#,
    ),
    (
        "list.filter(test: closure) -> list",
        "The elements for which the closure is true.",
        r#"log([1, 2, 3].filter(|n| n > 1)); // [2, 3]"#,
    ),
    (
        "list.map(change: closure) -> list",
        "What the closure makes of each element.",
        r#"log(members().map(|member| member.name)); // ["Ann", "Bob"]"#,
    ),
    (
        "list.for_each(act: closure)",
        "Calls the closure for each element, which is `this` in it.",
        r#"tasks(#{ open: true }).for_each(|| this.tag("seen"));"#,
    ),
    (
        "list.reduce(combine: closure, first?: any) -> any",
        "Combines all elements into one value, from the front.",
        r#"log([1, 2, 3].reduce(|sum, n| sum + n, 0)); // 6"#,
    ),
    (
        "list.reduce_rev(combine: closure, first?: any) -> any",
        "The same from the end.",
        r#"log(["a", "b"].reduce_rev(|text, part| text + part, "")); // ba"#,
    ),
    (
        "list.some(test: closure) -> bool",
        "Whether the closure is true for any element.",
        r#"log(task.tags.some(|tag| tag.starts_with("t"))); // true"#,
    ),
    (
        "list.all(test: closure) -> bool",
        "Whether the closure is true for every element.",
        r#"log([1, 2].all(|n| n > 0)); // true"#,
    ),
    (
        "list.find(test: closure, start?: int) -> any",
        "The first element for which the closure is true; `()` when there is none.",
        r#"log(tasks(#{}).find(|t| t.due_at == ()).title); // Book a room"#,
    ),
    (
        "list.find_map(change: closure, start?: int) -> any",
        "The first thing that the closure makes of an element and that is not `()`.",
        r#"log(tasks(#{}).find_map(|t| if t.due_at == () { t.title })); // Book a room"#,
    ),
    (
        "list.sort_desc()",
        "Sorts the list itself, the greatest first.",
        r#"let sizes = [1, 3, 2];
sizes.sort_desc();
log(sizes); // [3, 2, 1]"#,
    ),
    (
        "list.order_desc() -> list",
        "A sorted copy, the greatest first.",
        r#"log([1, 2].order_desc()); // [2, 1]"#,
    ),
    (
        "list.reverse()",
        "Turns the list itself round.",
        r#"let list = [1, 2, 3];
list.reverse();
log(list); // [3, 2, 1]"#,
    ),
    (
        "list.zip(other: list, combine: closure) -> list",
        "What the closure makes of the elements of both lists, pair by pair.",
        r#"log([1, 2].zip([10, 20], |a, b| a + b)); // [11, 22]"#,
    ),
];

/// What adds, removes and cuts.
pub(super) const CUTTING: &[Told] = &[
    (
        "list.push(value: any)",
        "Adds an element at the end of the list itself.",
        r#"let list = [1];
list.push(2);
log(list); // [1, 2]"#,
    ),
    (
        "list.append(more: list)",
        "Adds all elements of another list to the list itself.",
        r#"let list = [1];
list.append([2, 3]);
log(list); // [1, 2, 3]"#,
    ),
    (
        "list.insert(at: int, value: any)",
        "Puts an element in at a place of the list itself.",
        r#"let list = [1, 3];
list.insert(1, 2);
log(list); // [1, 2, 3]"#,
    ),
    (
        "list.pop() -> any",
        "Takes the last element from the list itself; `()` when it is empty.",
        r#"let list = [1, 2];
log(list.pop()); // 2"#,
    ),
    (
        "list.shift() -> any",
        "Takes the first element from the list itself; `()` when it is empty.",
        r#"let list = [1, 2];
log(list.shift()); // 1"#,
    ),
    (
        "list.remove(at: int) -> any",
        "Takes the element at a place from the list itself; `()` when there is none.",
        r#"let list = ["a", "b"];
log(list.remove(0)); // a"#,
    ),
    (
        "list.clear()",
        "Empties the list itself.",
        r#"let list = [1, 2];
list.clear();
log(list.len); // 0"#,
    ),
    (
        "list.get(at: int) -> any",
        "The element at a place, counted from 0, or from the end when negative; `()` when there is none.",
        r#"log([1, 2].get(5) == ()); // true"#,
    ),
    (
        "list.set(at: int, value: any)",
        "Replaces an element of the list itself.",
        r#"let list = [1, 2];
list.set(0, 5);
log(list); // [5, 2]"#,
    ),
    (
        "list.extract(start: int, length?: int) -> list",
        "A copy of a part. A range serves as well.",
        r#"log([1, 2, 3].extract(1)); // [2, 3]"#,
    ),
    (
        "list.truncate(length: int)",
        "Cuts the list itself off behind so many elements.",
        r#"let list = [1, 2, 3];
list.truncate(2);
log(list); // [1, 2]"#,
    ),
    (
        "list.chop(length: int)",
        "Keeps only the last so many elements of the list itself.",
        r#"let list = [1, 2, 3];
list.chop(2);
log(list); // [2, 3]"#,
    ),
    (
        "list.split(at: int) -> list",
        "Cuts the list itself off at a place, and returns what was behind it.",
        r#"let list = [1, 2, 3];
log(list.split(1)); // [2, 3]"#,
    ),
    (
        "list.splice(start: int, length: int, by: list)",
        "Replaces a part of the list itself by another list. A range serves as well, instead of start and length.",
        r#"let list = [1, 2, 3];
list.splice(1, 1, [8, 9]);
log(list); // [1, 8, 9, 3]"#,
    ),
    (
        "list.splice(range: range, by: list)",
        "The same by a range.",
        r#"let list = [1, 2, 3];
list.splice(0..2, []);
log(list); // [3]"#,
    ),
    (
        "list.drain(test: closure | range) -> list",
        "Takes the elements for which a closure is true, or those of a range, from the list itself.",
        r#"let list = [1, 2, 3];
log(list.drain(|n| n > 1)); // [2, 3]"#,
    ),
    (
        "list.drain(start: int, length: int) -> list",
        "Takes a part from the list itself.",
        r#"let list = [1, 2, 3];
log(list.drain(0, 2)); // [1, 2]"#,
    ),
    (
        "list.retain(test: closure | range) -> list",
        "Keeps only those elements of the list itself, and returns the others.",
        r#"let list = [1, 2, 3];
log(list.retain(|n| n > 1)); // [1]"#,
    ),
    (
        "list.retain(start: int, length: int) -> list",
        "Keeps only a part of the list itself, and returns the others.",
        r#"let list = [1, 2, 3];
log(list.retain(0, 2)); // [3]"#,
    ),
];
