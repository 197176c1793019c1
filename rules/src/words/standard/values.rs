//! Functions on values of any kind, and on closures.

use super::Told;

pub(super) const WORDS: &[Told] = &[
    (
        "type_of(value: any) -> text",
        "What a value is, as Rhai names it.",
        r#"log(type_of(now())); // Timestamp"#,
    ),
    (
        "closure.curry(value: any) -> closure",
        "The closure with its first argument given. A closure does not see the variables around it; this hands one over.",
        "let least = HIGH;
let found = tasks(#{}).filter((|least, t| t.priority >= least).curry(least));
log(found.len); // 1",
    ),
    (
        "closure.call(value?: any) -> any",
        "Calls a closure, with as many values as it takes.",
        "let double = |n| n * 2;
log(double.call(4)); // 8",
    ),
    (
        "closure.name() -> text",
        "The name of the function that a closure stands for.",
        r#"log(Fn("min").name); // min"#,
    ),
    (
        "closure.is_anonymous() -> bool",
        "Whether it was written as a closure.",
        "log((|n| n).is_anonymous); // true",
    ),
    (
        "Fn(name: text) -> closure",
        "A function of the script, by its name, as a closure.",
        r#"fn double(n) { n * 2 }
log([1, 2].map(Fn("double"))); // [2, 4]"#,
    ),
    (
        "is_def_var(name: text) -> bool",
        "Whether there is such a variable here.",
        r#"let seen = 1;
log(is_def_var("seen")); // true"#,
    ),
    (
        "is_def_fn(name: text, arguments: int) -> bool",
        "Whether the script defines such a function.",
        r#"fn double(n) { n * 2 }
log(is_def_fn("double", 1)); // true"#,
    ),
];
