//! Functions on texts. They count in characters.

use super::Told;

pub(super) const WORDS: &[Told] = &[
    (
        "text.len() -> int",
        "How many characters it has.",
        r#"log(task.title.len); // 17"#,
    ),
    (
        "text.is_empty() -> bool",
        "Whether it has no characters.",
        r#"log("".is_empty); // true"#,
    ),
    (
        "text.bytes() -> int",
        "How many bytes of UTF-8 it has.",
        r#"log("é".bytes); // 2"#,
    ),
    (
        "text.contains(part: text) -> bool",
        "Whether the part stands in it, case and all.",
        r#"log(task.title.to_lower().contains("cert")); // true"#,
    ),
    (
        "text.starts_with(part: text) -> bool",
        "Whether it begins so.",
        r#"log(task.title.starts_with("Renew")); // true"#,
    ),
    (
        "text.ends_with(part: text) -> bool",
        "Whether it ends so.",
        r#"log(task.owner.email.ends_with("@example.com")); // true"#,
    ),
    (
        "text.index_of(part: text, start?: int) -> int",
        "Where the part begins, counted from 0; -1 when it is not there.",
        r#"log("a-b-c".index_of("-", 2)); // 3"#,
    ),
    (
        "text.to_upper() -> text",
        "In capital letters.",
        r#"log("late".to_upper()); // LATE"#,
    ),
    (
        "text.to_lower() -> text",
        "In small letters.",
        r#"log("LATE".to_lower()); // late"#,
    ),
    (
        "text.make_upper()",
        "Turns the text itself into capital letters.",
        r#"let name = "ann";
name.make_upper();
log(name); // ANN"#,
    ),
    (
        "text.make_lower()",
        "Turns the text itself into small letters.",
        r#"let name = "ANN";
name.make_lower();
log(name); // ann"#,
    ),
    (
        "text.trim()",
        "Removes the blanks at both ends of the text itself.",
        r#"let name = "  ann ";
name.trim();
log(name); // ann"#,
    ),
    (
        "text.split(separator?: text, most?: int) -> list",
        "The parts between the separators; without one, between blanks. With a number, at most so many parts. With only a number, the two parts before and behind that place.",
        r#"log("a, b, c".split(", ")); // ["a", "b", "c"]"#,
    ),
    (
        "text.split_rev(separator: text, most?: int) -> list",
        "The same from the end, the last part first.",
        r#"log("a.b.c".split_rev(".", 2)); // ["c", "a.b"]"#,
    ),
    (
        "text.sub_string(start: int, length?: int) -> text",
        "The part from a place on, counted from 0, or from the end when negative. A range serves as well.",
        r#"log("SEC-12".sub_string(4)); // 12"#,
    ),
    (
        "text.crop(start: int, length?: int)",
        "Keeps only that part of the text itself.",
        r#"let key = "SEC-12";
key.crop(0, 3);
log(key); // SEC"#,
    ),
    (
        "text.truncate(length: int)",
        "Cuts the text itself off behind so many characters.",
        r#"let short = task.title;
short.truncate(5);
log(short); // Renew"#,
    ),
    (
        "text.remove(part: text)",
        "Removes every occurrence from the text itself.",
        r#"let name = "a-b-c";
name.remove("-");
log(name); // abc"#,
    ),
    (
        "text.append(more: any)",
        "Appends a text, or a value written out, to the text itself.",
        r#"let line = "due ";
line.append(task.due_at.weekday);
log(line); // due Tuesday"#,
    ),
    (
        "text.pop(length?: int) -> text",
        "Takes the last character, or so many, from the text itself, and returns them.",
        r#"let name = "abc";
log(name.pop()); // c"#,
    ),
    (
        "text.clear()",
        "Empties the text itself.",
        r#"let name = "abc";
name.clear();
log(name.is_empty); // true"#,
    ),
    (
        "text.get(at: int) -> text | ()",
        "The character at a place, counted from 0, or from the end when negative; `()` when there is none.",
        r#"log("abc".get(-1)); // c"#,
    ),
    (
        "text.set(at: int, letter: text)",
        "Replaces one character of the text itself. The letter stands in single quotes.",
        r#"let name = "abc";
name.set(0, 'A');
log(name); // Abc"#,
    ),
    (
        "text.chars(start?: int, length?: int) -> iterator",
        "Its characters, for a `for` loop.",
        r#"let dashes = 0;
for letter in "a-b-c".chars() { if letter == '-' { dashes += 1; } }
log(dashes); // 2"#,
    ),
    (
        "text.to_chars() -> list",
        "Its characters as a list.",
        r#"log("abc".to_chars().len); // 3"#,
    ),
    (
        "text.to_blob() -> bytes",
        "Its bytes of UTF-8, which can be appended to a text, and nothing else.",
        r#"let name = "caf";
name += "é".to_blob();
log(name); // café"#,
    ),
    (
        "text.parse_int(base?: int) -> int",
        "Reads a whole number, in base 10 unless said otherwise. Anything else is an error.",
        r#"log("42".parse_int() + 1); // 43"#,
    ),
    (
        "text.parse_float() -> float",
        "Reads a number. Anything else is an error.",
        r#"log("1.5".parse_float() * 2); // 3.0"#,
    ),
];
