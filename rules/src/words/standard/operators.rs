//! Operators between values of the standard kinds.

use super::Told;

pub(super) const WORDS: &[Told] = &[
    (
        "number + number -> number",
        "The sum. Of two whole numbers it is whole; `x += y` adds to `x` itself, as with the other operators. Over the greatest number is an error.",
        "log(1 + 2.5); // 3.5",
    ),
    (
        "number - number -> number",
        "The difference.",
        "log(3 - 1); // 2",
    ),
    (
        "number * number -> number",
        "The product.",
        "log(3 * 2); // 6",
    ),
    (
        "number / number -> number",
        "The quotient; of two whole numbers it is whole. A whole number by zero is an error.",
        "log(7 / 2); // 3",
    ),
    (
        "number % number -> number",
        "The rest of a division.",
        "log(7 % 2); // 1",
    ),
    (
        "number ** number -> number",
        "The first to the power of the second.",
        "log(2 ** 10); // 1024",
    ),
    (
        "text + any -> text",
        "Both in a row, the second written out. A template literal does the same: `due ${task.due_at}`.",
        "log(\"Due \" + task.due_at.weekday); // Due Tuesday",
    ),
    (
        "text - text -> text",
        "The text without every occurrence of the other.",
        "log(\"a-b\" - \"-\"); // ab",
    ),
    (
        "list + list -> list",
        "Both in a row.",
        "log([1] + [2]); // [1, 2]",
    ),
    (
        "map + map -> map",
        "All entries of both; those of the second win.",
        "log(#{ a: 1 } + #{ a: 2 }); // #{\"a\": 2}",
    ),
    (
        "-number -> number",
        "With the other sign.",
        "log(-(2)); // -2",
    ),
    ("+number -> number", "The number itself.", "log(+2); // 2"),
    (
        "bool && bool -> bool",
        "Whether both are true. The second is not looked at when the first is false.",
        "log(task.is_open && task.is_overdue); // true",
    ),
    (
        "bool || bool -> bool",
        "Whether any is true. The second is not looked at when the first is true.",
        "log(task.is_overdue || task.priority == URGENT); // true",
    ),
    (
        "!bool -> bool",
        "Whether it is false.",
        "log(!task.is_open); // false",
    ),
    (
        "any in list -> bool",
        "Whether the value is in a list, a text, a range, or among the keys of a map; `!in` says the contrary.",
        "log(task.priority in [HIGH, URGENT]); // true",
    ),
    (
        "any ?? any -> any",
        "The first, or the second if that is absent.",
        "log(task.fields.colour ?? \"none\"); // none",
    ),
    (
        "any ?. field -> any",
        "The field, or `()` if what stands before it is absent.",
        "let nobody = ();\nlog(nobody?.name ?? \"nobody\"); // nobody",
    ),
    (
        "int .. int -> range",
        "The whole numbers from the first to the second, without that.",
        "for n in 0..2 { log(n); }\n// 0\n// 1",
    ),
    (
        "int ..= int -> range",
        "The same with the second.",
        "for n in 1..=2 { log(n); }\n// 1\n// 2",
    ),
    (
        "number & number -> number",
        "The bits that both have; of two truths, whether both are true.",
        "log(6 & 3); // 2",
    ),
    (
        "number | number -> number",
        "The bits that any has; of two truths, whether any is true.",
        "log(6 | 3); // 7",
    ),
    (
        "number ^ number -> number",
        "The bits that one has and the other has not.",
        "log(6 ^ 3); // 5",
    ),
    (
        "int << int -> int",
        "Shifted up by so many bits.",
        "log(1 << 4); // 16",
    ),
    (
        "int >> int -> int",
        "Shifted down by so many bits.",
        "log(16 >> 4); // 1",
    ),
];
