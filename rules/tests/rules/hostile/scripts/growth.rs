//! Values that grow: texts, lists, maps.

use super::{MEMORY, Script, TIME, own};

pub fn growth() -> Vec<Script> {
    vec![
        (
            "a doubling text",
            MEMORY,
            own("let s = \"x\"; loop { s += s; }"),
        ),
        (
            "a doubling text, caught",
            MEMORY,
            own("let s = \"x\"; loop { try { s += s; } catch { } }"),
        ),
        (
            "a doubling text in a template",
            MEMORY,
            own("let s = \"x\"; loop { s = `${s}${s}`; }"),
        ),
        (
            "a growing list",
            MEMORY,
            own("let a = []; loop { a.push(1); }"),
        ),
        (
            "a doubling list",
            MEMORY,
            own("let a = [1]; loop { a += a; }"),
        ),
        (
            "a list of lists",
            MEMORY,
            own("let a = []; loop { a = [a, a]; }"),
        ),
        (
            "a list within itself",
            MEMORY,
            own("let a = [1]; loop { a.push(a); }"),
        ),
        (
            "a map within itself",
            MEMORY,
            own("let m = #{}; loop { m.m = m; m.n = m; }"),
        ),
        (
            "a growing map",
            MEMORY,
            own("let m = #{}; let i = 0; loop { m[`k${i}`] = i; i += 1; }"),
        ),
        (
            "many long texts",
            MEMORY,
            own(
                "let a = []; let s = \"x\"; s.pad(100000, 'x'); for i in 0..4000 { a.push(s + i); }",
            ),
        ),
        ("many long variables", MEMORY, {
            let mut script = own("let s = \"x\"; s.pad(130000, 'x');\n");
            for i in 0..250 {
                script += &format!("let v{i}=s+{i};");
            }
            script
                + "let l = []; l.pad(4000, 1); fn deep(n, s) { let a = s + n; let b = s + a.len; if n > 0 { deep(n - 1, s) } } loop { deep(28, s); }"
        }),
        (
            "large values in every frame",
            MEMORY,
            own(
                "fn f(n) { let a = []; a.pad(4000, 1); let b = a; let c = a; let d = a; let e = a; if n > 0 { f(n - 1); } a.len } loop { f(29); }",
            ),
        ),
        (
            "a replace bomb",
            "failed limit_data",
            own("let s = \"\"; s.pad(60000, 'x'); let t = s; s.replace(\"x\", t);"),
        ),
        (
            "a replace bomb of letters",
            "failed limit_data",
            own("let s = \"\"; s.pad(60000, 'x'); let t = s; s.replace('x', t);"),
        ),
        (
            "a replace of nothing",
            "failed limit_data",
            own("let s = \"\"; s.pad(60000, 'x'); let t = s; s.replace(\"\", t);"),
        ),
        (
            "a replace bomb, caught in a closure",
            MEMORY,
            own(
                "let s = \"\"; s.pad(60000, 'x'); loop { try { [s].map(|s| { let t = s; s.replace(\"x\", t); s }); } catch { } }",
            ),
        ),
        (
            "a pad that never ends",
            "ended 0",
            own("let s = \"x\"; s.pad(10, \"\"); log(s);"),
        ),
        (
            "a pad bomb",
            "failed limit_data",
            own("let s = \"x\"; s.pad(9000000000000000000, \"xyz\");"),
        ),
        (
            "a pad bomb of letters",
            "failed limit_data",
            own("let s = \"x\"; s.pad(130000, '🦀');"),
        ),
        (
            "a list pad bomb",
            "failed limit_data",
            own("let a = []; a.pad(9000000000000000000, 1);"),
        ),
        (
            "a list pad bomb of lists",
            "failed limit_data|failed limit_memory",
            own("let a = []; a.pad(4000, 1); let b = []; b.pad(4000, a);"),
        ),
        (
            "split into letters",
            MEMORY,
            own(
                "let s = \"\"; s.pad(100000, ','); loop { try { [s].map(|s| s.split(\",\")); [s].map(|s| s.to_chars()); } catch { } }",
            ),
        ),
        (
            "a payload that names one long task a thousand times",
            "failed limit_memory|failed limit_time",
            own(
                "task.update(#{ description: { let d = \"\"; d.pad(20000, 'x'); d } }); let a = []; a.pad(4000, task); webhook(\"x\", a);",
            ),
        ),
        (
            "many large payloads",
            "failed limit_memory|failed limit_time|failed limit_actions|failed limit_output",
            own(
                "let s = \"\"; s.pad(130000, '\"'); let a = []; loop { webhook(\"x\", [s]); email(task.owner, \"s\", s); task.update(#{ fields: #{ x: 1 } }); }",
            ),
        ),
        (
            "patterns of the clock",
            TIME,
            own("let p = \"\"; p.pad(64, \"%c\"); loop { let x = now().format(p); }"),
        ),
        (
            "the largest numbers",
            "failed arithmetic",
            own("let x = 9223372036854775807; log(2 ** 9000000000000000000); x + 1"),
        ),
        (
            "shifts and powers",
            "ended 0|failed arithmetic",
            own(
                "log(1 << 9000000000000000000); log(1 >> -9000000000000000000); log(-9223372036854775807 - 1 % -1);",
            ),
        ),
        (
            "ranges and slices past the end",
            "ended 0",
            own(
                "let s = \"abc\"; log(s.sub_string(-9223372036854775807, 9223372036854775807)); log(s[0..9223372036854775807]); let a = [1]; log(a.extract(-9223372036854775807..9223372036854775807)); a.splice(0, 9223372036854775807, [2]); a.drain(0..9223372036854775807); s.crop(-5); s.truncate(-5);",
            ),
        ),
        (
            "steps past the end",
            MEMORY,
            own(
                "for x in range(0, 9223372036854775807, 9223372036854775806) { log(x); } for x in range(0, 10, -1) { log(x); } loop { for x in range(9223372036854775807, 0, -1) { } }",
            ),
        ),
    ]
}
