//! Functions on maps.

use super::Told;

pub(super) const WORDS: &[Told] = &[
    (
        "map.len() -> int",
        "How many entries it has. The parentheses are needed: `map.len` is the entry of that name.",
        r#"log(task.fields.len()); // 4"#,
    ),
    (
        "map.is_empty() -> bool",
        "Whether it has no entries.",
        r#"log(#{}.is_empty()); // true"#,
    ),
    (
        "map.contains(key: text) -> bool",
        "Whether it has such an entry; `key in map` says the same.",
        r#"log(task.fields.contains("customer")); // true"#,
    ),
    (
        "map.get(key: text) -> any",
        "The entry of this key, also one that is no name; `()` when there is none.",
        r#"log(task.fields.get("customer")); // acme"#,
    ),
    (
        "map.set(key: text, value: any)",
        "Sets an entry of the map itself.",
        r#"let open = #{};
for member in members() { open.set(member.name, count(#{ open: true, assignee: member })); }
log(open); // #{"Ann": 1, "Bob": 1}"#,
    ),
    (
        "map.remove(key: text) -> any",
        "Takes an entry from the map itself; `()` when there is none.",
        r#"let map = #{ a: 1, b: 2 };
log(map.remove("a")); // 1"#,
    ),
    (
        "map.clear()",
        "Empties the map itself.",
        r#"let map = #{ a: 1 };
map.clear();
log(map.len()); // 0"#,
    ),
    (
        "map.keys() -> list",
        "Its keys, in alphabetical order.",
        r#"log(#{ b: 2, a: 1 }.keys()); // ["a", "b"]"#,
    ),
    (
        "map.values() -> list",
        "Its values, in the order of their keys.",
        r#"log(#{ b: 2, a: 1 }.values()); // [1, 2]"#,
    ),
    (
        "map.mixin(more: map)",
        "Sets all entries of another map in the map itself.",
        r#"let map = #{ a: 1, b: 2 };
map.mixin(#{ b: 3 });
log(map.b); // 3"#,
    ),
    (
        "map.fill_with(more: map)",
        "Sets those entries of another map that the map itself does not have.",
        r#"let map = #{ a: 1 };
map.fill_with(#{ a: 2, b: 3 });
log(map); // #{"a": 1, "b": 3}"#,
    ),
    (
        "map.map(change: closure) -> map",
        "What the closure makes of each entry, by key and value.",
        r#"log(#{ a: 1 }.map(|key, value| value + 1)); // #{"a": 2}"#,
    ),
    (
        "map.filter(test: closure) -> map",
        "The entries for which the closure is true, by key.",
        r#"log(#{ a: 1, b: 2 }.filter(|key| key != "a")); // #{"b": 2}"#,
    ),
    (
        "map.drain(test: closure) -> map",
        "Takes the entries for which the closure is true from the map itself.",
        r#"let map = #{ a: 1, b: 2 };
log(map.drain(|key| key == "a")); // #{"a": 1}"#,
    ),
    (
        "map.retain(test: closure) -> map",
        "Keeps only the entries for which the closure is true in the map itself, and returns the others.",
        r#"let map = #{ a: 1, b: 2 };
log(map.retain(|key| key == "a")); // #{"b": 2}"#,
    ),
];
