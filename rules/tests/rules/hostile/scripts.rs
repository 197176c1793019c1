//! The scripts, by what they aim at.

/// Name, what may become of it, script.
pub fn scripts() -> Vec<(&'static str, &'static str, String)> {
    let mut all = loops();
    all.extend(growth());
    all.extend(depth());
    all.extend(escapes());
    all
}

const TIME: &str = "failed limit_operations|failed limit_time";
const MEMORY: &str =
    "failed limit_operations|failed limit_time|failed limit_memory|failed limit_data";

fn own(script: &str) -> String {
    script.to_owned()
}

fn loops() -> Vec<(&'static str, &'static str, String)> {
    vec![
        ("endless loop", TIME, own("loop { }")),
        (
            "endless while",
            TIME,
            own("let x = 0; while true { x += 1; }"),
        ),
        ("endless do", TIME, own("do { } while true;")),
        (
            "long range",
            TIME,
            own("for i in 0..9223372036854775807 { }"),
        ),
        (
            "closures under map",
            TIME,
            own(
                "let a = []; a.pad(4000, 1); for i in 0..100000 { a.map(|x| x + 1).filter(|x| x > 0); }",
            ),
        ),
        (
            "closures under for_each",
            TIME,
            own(
                "let a = []; a.pad(4000, 1); a.for_each(|| { for i in 0..100000 { let y = i; } });",
            ),
        ),
        (
            "caught again and again",
            TIME,
            own("loop { try { loop { } } catch { } }"),
        ),
        (
            "caught within closures",
            TIME,
            own(
                "let a = []; a.pad(4000, 1); loop { try { a.map(|x| { loop { } }); } catch (e) { log(e); } }",
            ),
        ),
        (
            "a comparator that swallows errors",
            TIME,
            own(
                "let a = []; for i in 0..4000 { a.push(i); } loop { a.sort(|x, y| { for i in 0..1000 { } throw 1; }); }",
            ),
        ),
        (
            "dedup swallows errors",
            TIME,
            own("let a = []; a.pad(4000, 1); loop { a.dedup(|x, y| { loop { } }); }"),
        ),
        (
            "acts after it was stopped",
            TIME,
            own(
                "try { [1, 2].map(|x| { loop { } }); } catch { } email(task.owner, \"still\", \"here\"); loop { }",
            ),
        ),
        (
            "sort hides the stop and the script goes on to its end",
            TIME,
            own(
                "let a = [3, 2, 1]; a.sort(|x, y| { loop { } }); email(task.owner, \"still\", \"here\");",
            ),
        ),
        (
            "reduce",
            TIME,
            own(
                "let a = []; a.pad(4000, 1); loop { a.reduce(|sum, x| sum + x, 0); a.some(|x| x > 5); a.all(|x| x > 0); }",
            ),
        ),
        (
            "endless recursion through itself",
            "failed limit_call_depth",
            own("fn f() { f() } f();"),
        ),
        (
            "recursion through a closure",
            "failed limit_call_depth",
            own("let f = |f, n| f.call(f, n + 1); f.call(f, 0);"),
        ),
        (
            "recursion caught and tried again",
            "failed limit_call_depth",
            own(
                "fn f(n) { try { f(n + 1); f(n + 1); } catch { f(n + 1); } } loop { try { f(0); } catch { } }",
            ),
        ),
        (
            "a tree of calls",
            TIME,
            own("fn f(n) { if n > 0 { f(n - 1); f(n - 1); } } f(30);"),
        ),
        (
            "actions without end",
            "failed limit_actions",
            own("loop { task.tag(\"x\"); }"),
        ),
        (
            "actions caught without end",
            "failed limit_actions",
            own("loop { try { task.comment(\"x\"); } catch { } }"),
        ),
        (
            "log without end",
            TIME,
            own("loop { log(\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"); }"),
        ),
        (
            "print of nothing without end",
            TIME,
            own("loop { print(\"\"); }"),
        ),
    ]
}

fn growth() -> Vec<(&'static str, &'static str, String)> {
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
            "failed limit_data",
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

fn depth() -> Vec<(&'static str, &'static str, String)> {
    let nested = |open: &str, middle: &str, close: &str, times: usize| {
        format!("{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    let mut cases = own("switch task.version { ");
    for i in 0..1_100 {
        cases += &format!("{i} => log(1),");
    }
    vec![
        (
            "deep parentheses",
            "refused limit_expr_depth",
            nested("(", "1", ")", 7_000),
        ),
        (
            "deep blocks",
            "refused limit_expr_depth",
            nested("{", "1", "}", 7_000),
        ),
        (
            "deep lists",
            "refused limit_expr_depth",
            nested("[", "1", "]", 7_000),
        ),
        (
            "deep maps",
            "refused limit_expr_depth",
            nested("#{a:", "1", "}", 3_000),
        ),
        (
            "deep ifs",
            "refused limit_expr_depth",
            nested("if 1==1{", "", "}", 1_700),
        ),
        (
            "deep closures",
            "refused limit_expr_depth|refused limit_functions",
            nested("|x| ", "x", "", 4_000),
        ),
        (
            "deep templates",
            "refused limit_expr_depth|refused syntax",
            nested("`${", "1", "}`", 3_000),
        ),
        (
            "deep negations",
            "refused limit_expr_depth|refused syntax",
            nested("-", "1", "", 16_000),
        ),
        (
            "deep nots",
            "refused limit_expr_depth|refused syntax",
            nested("!", "true", "", 16_000),
        ),
        (
            "a long sum",
            "ended 0|refused limit_expr_depth|failed limit_data",
            nested("1+", "1", "", 8_000),
        ),
        (
            "a long chain of dots",
            "refused limit_expr_depth|refused unknown_field|failed unknown_field|ended 0",
            nested("", "task", ".a", 8_000),
        ),
        (
            "a long chain of indexes",
            "refused limit_expr_depth|failed runtime_error|ended 0",
            nested("", "let a=[1];a", "[0]", 5_000),
        ),
        (
            "a long chain of else",
            "refused limit_expr_depth|ended 0",
            nested("", "if 1==2{}", "else if 1==2{}", 1_100),
        ),
        (
            "a long chain of or",
            "ended 0|refused limit_expr_depth",
            nested("", "let x=1==2", "||1==2", 2_600),
        ),
        (
            "a long chain of assignments",
            "refused syntax|refused limit_expr_depth",
            nested("", "let a=1;a", "=a", 8_000),
        ),
        (
            "nested as deep as is allowed, calling as deep as is allowed",
            "failed limit_call_depth",
            {
                let inner = nested("(0+", "f(n+1)", ")", 28);
                format!("fn f(n) {{ {inner} }} f(0);")
            },
        ),
        (
            "a value nested by a loop",
            "failed runtime_error|failed limit_data",
            own("let a = 1; for i in 0..100 { a = [a]; } webhook(\"x\", a);"),
        ),
        (
            "a value nested by a loop, compared and printed",
            "ended 0|failed limit_data",
            own(
                "let a = 1; for i in 0..1000 { a = #{ a: a }; if i > 900 { break; } } let b = a; log(a == b); log(`${a}`.len); debug(a);",
            ),
        ),
        ("a huge switch", "ended 0", cases + "_ => log(2) }"),
        (
            "many functions",
            "refused limit_functions",
            (0..800).map(|i| format!("fn f{i}(){{{i}}}")).collect(),
        ),
        (
            "many variables",
            "failed limit_variables",
            (0..1_000).map(|i| format!("let v{i}={i};")).collect(),
        ),
        (
            "too long a script",
            "refused limit_source",
            "x".repeat(17_000),
        ),
        (
            "nothing but opening brackets",
            "refused limit_expr_depth|refused syntax",
            "([{".repeat(5_000),
        ),
        (
            "nothing but quotes",
            "refused syntax|refused limit_expr_depth",
            "`\"'".repeat(5_000),
        ),
        (
            "a comment that never ends",
            "refused syntax|ended 0",
            own("/* /* /*"),
        ),
        ("a byte-order mark and nothing", "ended 0", own("\u{feff}")),
        (
            "control characters",
            "refused syntax",
            own("\0\u{1}\u{2}let x = 1;"),
        ),
    ]
}

fn escapes() -> Vec<(&'static str, &'static str, String)> {
    vec![
        ("eval", "refused no_eval", own("eval(\"loop {}\");")),
        (
            "eval by its name",
            "failed unknown_function|failed runtime_error",
            own("let f = Fn(\"eval\"); f.call(\"loop { }\");"),
        ),
        (
            "eval by a made-up name",
            "failed unknown_function|failed runtime_error",
            own("let n = \"ev\" + \"al\"; Fn(n).call(\"task.tag(1)\");"),
        ),
        (
            "eval as a method",
            "refused syntax",
            own("\"loop {}\".eval();"),
        ),
        (
            "import",
            "refused syntax",
            own("import \"/etc/passwd\" as x;"),
        ),
        ("sleep", "refused unknown_function", own("sleep(1000000);")),
        (
            "sleep by its name",
            "failed unknown_function",
            own("Fn(\"sleep\").call(1000000);"),
        ),
        (
            "parsing of JSON",
            "refused unknown_function",
            own("parse_json(\"[[[[\");"),
        ),
        (
            "a closure that keeps itself",
            "refused captured_variable|refused unknown_variable",
            own("let f = || f; let g = #{ f: || g };"),
        ),
        (
            "a curried closure that grows",
            MEMORY,
            own("let f = |x| x; loop { f = f.curry(f); }"),
        ),
        (
            "an action by its name, when stopped",
            TIME,
            own(
                "try { [1].map(|x| { loop { } }); } catch { } loop { try { Fn(\"email\").call(task.owner, \"a\", \"b\"); } catch { } }",
            ),
        ),
        (
            "throwing strange values",
            "failed runtime_error",
            own("throw #{ a: task, b: [now(), |x| x] };"),
        ),
        (
            "catching everything that fails",
            "ended 0",
            own(
                "for f in [|| 1 / 0, || task.due_at + 1, || [1][5], || throw 1, || now().format(\"%Q\"), || task.update(#{ a: 1 })] { try { f.call(); throw 5; } catch { } }",
            ),
        ),
        (
            "handing host values to anything",
            "failed runtime_error|failed unknown_function|failed type_mismatch",
            own(
                "let all = [task, now(), HIGH, days(1), event, rule, workspace, task.owner, |x| x]; all.sort(); for a in all { for b in all { try { log(a == b); } catch { } try { log(a + b); } catch { } try { log(`${a}`); } catch { } } } all.sort(|a, b| a - b); throw 1;",
            ),
        ),
    ]
}
