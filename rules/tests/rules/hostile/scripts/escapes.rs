//! Ways out of the sandbox: other functions, other names.

use super::{MEMORY, Script, TIME, own};

pub fn escapes() -> Vec<Script> {
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
        ("sleep", "failed runtime_error", own("sleep(1000000);")),
        (
            "sleep by its name",
            "failed runtime_error",
            own("Fn(\"sleep\").call(1000000);"),
        ),
        (
            "parsing of JSON",
            "failed unknown_function",
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
