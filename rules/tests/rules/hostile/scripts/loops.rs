//! Loops that do not end, and whatever goes on after it was stopped.

use super::{Script, TIME, own};

pub fn loops() -> Vec<Script> {
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
            "a comparator that fails, in a sort that would swallow it",
            "failed runtime_error",
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
