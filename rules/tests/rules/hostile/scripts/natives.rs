//! Natives given what they were not made for: each is over before anybody counts.

use super::{MEMORY, Script, TIME, own};

/// A text of 100,000 letters as `s`.
fn with_long_text(rest: &str) -> String {
    format!("let s = \"\"; s.pad(100000, 'x'); {rest}")
}

/// A list of 4,000 numbers as `a`.
fn with_long_list(rest: &str) -> String {
    format!("let a = []; a.pad(4000, 1); {rest}")
}

pub fn natives() -> Vec<Script> {
    let mut all = texts();
    all.extend(lists());
    all.extend(numbers());
    all.extend(ranges());
    all
}

fn texts() -> Vec<Script> {
    vec![
        (
            "capitals that are longer",
            "failed limit_data",
            own("let s = \"\"; s.pad(43000, 'ΐ'); loop { s = s.to_upper(); }"),
        ),
        (
            "capitals in place",
            "failed limit_data",
            own(
                "let s = \"\"; s.pad(43000, 'ŉ'); loop { s.make_upper(); s.make_lower(); s += s; }",
            ),
        ),
        (
            "a search that starts over at every letter",
            TIME,
            with_long_text(
                "let t = s.sub_string(0, 50000) + \"y\"; loop { s.index_of(t); s.contains(t); s.index_of(t, -90000); }",
            ),
        ),
        (
            "a replacement that doubles, for ever",
            "failed limit_data",
            own("let s = \"xx\"; loop { s.replace(\"x\", \"xx\"); }"),
        ),
        (
            "a replacement that grows within a list",
            "failed limit_data",
            own(
                "let a = [\"xx\", \"xx\"]; loop { a[0].replace('x', \"xxx\"); a[1].replace(\"x\", 'y'); }",
            ),
        ),
        (
            "a text split into letters",
            "failed limit_data",
            with_long_text("let a = s.split(\"\"); a.len();"),
        ),
        (
            "a text split at every letter, from behind",
            "failed limit_data",
            with_long_text("s.split_rev('x').len();"),
        ),
        (
            "a text split into as many as there are numbers",
            "failed limit_data",
            with_long_text("s.split('x', 9223372036854775807).len();"),
        ),
        (
            "a text split by itself, for ever",
            TIME,
            with_long_text("let t = s; loop { s.split(t); s.split(t, -1); s.split(0); }"),
        ),
        (
            "letters of a long text, kept",
            "failed limit_data|failed limit_memory",
            with_long_text("let a = []; loop { a.push(s.to_chars()); }"),
        ),
        (
            "letters one by one",
            TIME,
            with_long_text(
                "loop { for c in s.chars(9000000, 9223372036854775807) { } for c in s { } }",
            ),
        ),
        (
            "a letter at a time by its index",
            TIME,
            with_long_text("loop { let c = s[99999]; let d = s[-100000]; s[50000] = 'é'; }"),
        ),
        (
            "a pad of a list with long texts",
            "failed limit_data",
            with_long_text("let a = []; a.pad(4000, s);"),
        ),
        (
            "a text made of a list of texts",
            MEMORY,
            with_long_list("let s = \"\"; loop { s += a; }"),
        ),
        (
            "a list written out, each time longer",
            "failed limit_data",
            with_long_list("loop { a = [a.to_string(), a.to_debug()]; }"),
        ),
        (
            "a map written as JSON, again and again",
            "failed limit_data",
            own("let m = #{ a: \"\\\"\" }; loop { m.a = m.to_json(); }"),
        ),
        (
            "control characters written out",
            "failed limit_data|ended 0",
            own(
                "let s = \"\"; s.pad(120000, '\\x01'); let a = [s]; let t = a.to_debug(); let u = `${a}`;",
            ),
        ),
        (
            "a difference of long texts",
            TIME,
            with_long_text("loop { let t = s - \"xy\"; let u = s - 'y'; s.remove(\"y\"); }"),
        ),
        (
            "cuts past every end",
            "ended 0",
            own(
                "let s = \"héllo\"; s.crop(-9223372036854775807, 9223372036854775807); s.crop(2..-2); s.crop(9223372036854775807); s.truncate(9223372036854775807); s.pop(9223372036854775807); s.sub_string(-1, -1); s.sub_string(9223372036854775807..=0);",
            ),
        ),
        (
            "marks that combine without end",
            "failed limit_data",
            own(
                "let s = \"e\"; loop { s += \"\\u0301\\u0301\\u0301\\u0301\"; s += s; s.to_upper(); }",
            ),
        ),
        (
            "spaces by the million",
            TIME,
            own("let s = \"\"; s.pad(100000, ' '); loop { let t = s; t.trim(); s.split(); }"),
        ),
    ]
}

fn lists() -> Vec<Script> {
    vec![
        (
            "a pad whose size is reckoned with an overflow",
            "failed limit_data",
            own("let a = []; let item = []; item.pad(63, 1); a.pad(288230376151711744, item);"),
        ),
        (
            "a splice that doubles",
            "failed limit_data",
            own("let a = [1, 2]; loop { a.splice(0, 0, a); }"),
        ),
        (
            "a splice within a range past the end",
            "failed limit_data",
            own("let a = [1, 2]; loop { a.splice(9223372036854775807..=9223372036854775807, a); }"),
        ),
        (
            "an append of itself",
            "failed limit_data",
            own("let a = [1]; loop { a.append(a); }"),
        ),
        (
            "an insert at every place",
            "failed limit_data",
            own(
                "let a = [1]; loop { a.insert(9223372036854775807, a.len()); a.insert(-9223372036854775807, 0); }",
            ),
        ),
        (
            "a sum of lists",
            "failed limit_data",
            with_long_list("let b = a + a; b = b + b;"),
        ),
        (
            "a sum of lists within a call",
            "failed limit_data",
            with_long_list("fn f(x) { x + x } f(f(f(a)));"),
        ),
        (
            "a pad of lists with lists",
            "failed limit_data",
            own("let a = [[1, 2, 3, 4]]; loop { a.pad(a.len() * 2, a[0]); }"),
        ),
        (
            "lists kept by the entries of a map",
            "failed limit_data|failed limit_memory",
            with_long_list("let m = #{}; for i in 0..1000 { m[`k${i}`] = a; }"),
        ),
        (
            "maps that fill each other",
            "failed limit_data",
            own(
                "let m = #{ a: 1 }; loop { let n = #{}; n.x = m; n.y = m; m.fill_with(n); m += n; m.mixin(n); m = m + n; }",
            ),
        ),
        (
            "keys and values, again and again",
            TIME,
            own(
                "let m = #{}; for i in 0..1000 { m[`k${i}`] = i; } loop { m.keys(); m.values(); m.to_json(); }",
            ),
        ),
        (
            "deep lists compared",
            "ended 0|failed limit_data|failed limit_operations|failed limit_time",
            own(
                "let a = 1; for i in 0..4000 { a = [a]; } let b = a; for i in 0..100 { if a != b { throw 1; } }",
            ),
        ),
        (
            "deep lists searched",
            TIME,
            own(
                "let a = 1; for i in 0..2000 { a = [a]; } let b = [a]; loop { b.contains(a); b.index_of(a); a in b; b.dedup(); }",
            ),
        ),
        (
            "deep lists written out",
            "ended 0|failed limit_data|failed limit_operations|failed limit_time",
            own("let a = 1; for i in 0..4000 { a = [a]; } log(a); print(a); debug(a);"),
        ),
        (
            "a long text far down in lists, written out",
            "failed limit_data|failed limit_operations|failed limit_time",
            with_long_text(
                "let a = s; for i in 0..800 { a = [a]; } loop { log(a); s = `${a}`; a = [a]; }",
            ),
        ),
        (
            "a long text far down in maps, written out",
            "failed limit_data|failed limit_operations|failed limit_time",
            with_long_text("let a = s; for i in 0..800 { a = #{ a: a }; } loop { a.to_debug(); }"),
        ),
        (
            "a long text far down in maps, as JSON",
            "failed runtime_error",
            with_long_text("let a = s; for i in 0..800 { a = #{ a: a }; } loop { a.to_json(); }"),
        ),
        (
            "deep maps and lists by turns",
            "failed limit_data|ended 0",
            own(
                "let a = 1; for i in 0..900 { a = [#{ a: a }, 1, 2]; } let b = a; log(a == b); log(a); let c = #{ a: a }; c.to_json();",
            ),
        ),
        (
            "a deep value in a message",
            "failed runtime_error",
            own("let a = 1; for i in 0..900 { a = [a]; } throw a;"),
        ),
        (
            "a value too deep to be left behind",
            "ended 0|failed limit_data|failed limit_operations|failed limit_time",
            own("for j in 0..100 { let a = 1; for i in 0..4000 { a = [a]; } }"),
        ),
        (
            "cuts of lists past every end",
            "ended 0",
            own(
                "let a = [1, 2, 3]; a.extract(-9223372036854775807, 9223372036854775807); a.drain(-1, -1); a.retain(5, 9223372036854775807); a.chop(-1); a.truncate(-1); a.remove(9223372036854775807); a.split(-9223372036854775807); a.splice(-1..-5, [1]); a.get(-9223372036854775807); a.set(9223372036854775807, 1);",
            ),
        ),
        (
            "a sort by a function that there is not, of a very long name",
            "failed unknown_function",
            with_long_text(
                "let a = []; for i in 0..4000 { a.push(-i); } loop { try { a.sort(s); a.dedup(s); } catch { a.sort(Fn(s)); } }",
            ),
        ),
        (
            "neighbours compared by a native that works hard",
            TIME,
            with_long_text(
                "let a = []; for i in 0..4000 { a.push(`${i}`); } loop { a.dedup(Fn(\"replace\").curry(s)); }",
            ),
        ),
        (
            "a sort of things that cannot be compared",
            "failed runtime_error|ended 0|failed type_mismatch|failed unknown_function",
            own("let a = [1, \"x\", (), [1], #{}, 1.5, 'c', |x| x]; a.sort(); a.order_desc();"),
        ),
        (
            "a sort of what is not a number",
            "ended 0|failed runtime_error",
            own(
                "let nan = 0.0 / 0.0; let a = []; for i in 0..4000 { a.push(if i % 2 == 0 { nan } else { 1.0 / i }); } a.sort(); a.order_desc(); a.sort(|x, y| if x < y { -1 } else { 1 });",
            ),
        ),
    ]
}

fn numbers() -> Vec<Script> {
    vec![
        (
            "a power without end",
            "failed arithmetic",
            own("let x = 2; loop { x **= x; }"),
        ),
        (
            "the smallest number by minus one",
            "failed arithmetic",
            own("let x = -9223372036854775807 - 1; x / -1"),
        ),
        (
            "the rest of the smallest number by minus one",
            "ended 0|failed arithmetic",
            own("let x = -9223372036854775807 - 1; log(x % -1); log(abs(x)); -x"),
        ),
        (
            "a division by nothing",
            "failed arithmetic",
            own("let f = 1.0 / 0.0; log(f); log(f.to_int());"),
        ),
        (
            "numbers out of texts",
            "failed runtime_error|failed arithmetic",
            own(
                "let s = \"9\"; s.pad(100000, '9'); try { parse_float(s); parse_float(\"nan\"); } catch { } try { parse_int(s); } catch { } try { parse_int(\"z\", 37); } catch { } try { parse_int(\"z\", -9223372036854775807); } catch { } parse_int(\"\", 0);",
            ),
        ),
        (
            "counts that are no counts",
            "failed limit_data|failed runtime_error|failed arithmetic|ended 0",
            own(
                "let s = \"x\"; s.pad(-9223372036854775807, 'x'); let a = []; a.pad(-9223372036854775807, 1); s.pad(9223372036854775807, 'x');",
            ),
        ),
        (
            "bits that are not there",
            "ended 0|failed runtime_error|failed arithmetic|failed unknown_function",
            own(
                "let x = 5; let b = x[63]; let c = x[-64]; for bit in bits(x, -64, 9223372036854775807) { } x[64] = true;",
            ),
        ),
        (
            "hexadecimals of everything",
            "ended 0|failed runtime_error",
            own("log((-9223372036854775807).to_hex()); log((-1).to_binary()); log(0.to_octal());"),
        ),
    ]
}

fn ranges() -> Vec<Script> {
    vec![
        (
            "ranges that end beyond the end",
            TIME,
            own(
                "for i in -9223372036854775807..=9223372036854775807 { } for i in 9223372036854775806..=9223372036854775807 { }",
            ),
        ),
        (
            "a range of fractions too small to count",
            "failed limit_operations|failed limit_time|failed arithmetic|failed runtime_error|failed unknown_function",
            own("for x in range(0.0, 1e300, 1e-300) { }"),
        ),
        (
            "a range that goes by nothing",
            "failed limit_operations|failed limit_time|failed arithmetic|failed runtime_error|ended 0",
            own("for x in range(0, 10, 0) { }"),
        ),
        (
            "ranges searched for what they hold",
            TIME,
            own("loop { 5 in 0..9223372036854775807; (0..9223372036854775807).contains(-1); }"),
        ),
        (
            "a range kept as a list of ranges",
            "failed limit_data",
            own("let a = []; loop { a.push(0..9223372036854775807); }"),
        ),
        (
            "a range within a range within a range",
            TIME,
            own("for i in 0..1000 { for j in 0..1000 { for k in 0..1000 { } } }"),
        ),
    ]
}
