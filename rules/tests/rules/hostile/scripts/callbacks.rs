//! Closures that natives call back: Rhai forgets what they used, and turns the errors that nobody
//! may catch into ones that anybody may.

use super::{Script, TIME, own};

pub fn callbacks() -> Vec<Script> {
    let mut all = vec![
        (
            "filter, caught for ever",
            TIME,
            own("loop { try { [1, 2].filter(|x| { loop { } }); } catch { } }"),
        ),
        (
            "retain that never decides",
            TIME,
            own("let a = []; a.pad(4000, 1); loop { a.retain(|x| { for i in 0..999 { } true }); }"),
        ),
        (
            "drain that throws after work",
            TIME,
            own(
                "let a = []; a.pad(4000, 1); loop { try { a.drain(|x| { for i in 0..99 { } throw x; }); } catch { } }",
            ),
        ),
        (
            "a find that finds nothing, for ever",
            TIME,
            own(
                "let a = []; a.pad(4000, 1); loop { a.find(|x| x == 2); a.find_map(|x| ()); a.index_of(|x| x == 2); }",
            ),
        ),
        (
            "reductions of reductions",
            TIME,
            own(
                "let a = []; a.pad(4000, 1); a.reduce(|s, x| [1, 2, 3].reduce(|t, y| { loop { } }, 0), 0); a.reduce_rev(|s, x| { loop { } });",
            ),
        ),
        (
            "zip of long lists, for ever",
            TIME,
            own("let a = []; a.pad(4000, 1); loop { a.zip(a, |x, y| x + y); }"),
        ),
        (
            "an order that contradicts itself",
            TIME,
            own(
                "let a = []; for i in 0..4000 { a.push(i); } loop { a.sort(|x, y| if x % 3 == 0 { 1 } else { -1 }); a = a.order(|x, y| 1); }",
            ),
        ),
        (
            "an order by things that are no numbers",
            "failed runtime_error",
            own(
                "let a = [3, 1, 2]; a.sort(|x, y| \"less\"); a.sort_by(|x, y| ()); a.sort(|x, y| 9223372036854775807); a.sort(|x, y| -9223372036854775807);",
            ),
        ),
        (
            "maps that call back for ever",
            TIME,
            own(
                "let m = #{}; for i in 0..1000 { m[`k${i}`] = i; } loop { m.map(|k, v| v).filter(|k, v| true).len(); m.retain(|k, v| true); }",
            ),
        ),
        (
            "a drain of a map that throws",
            TIME,
            own(
                "loop { let m = #{ a: 1, b: 2 }; try { m.drain(|k, v| { loop { } }); } catch { } m.len(); }",
            ),
        ),
        (
            "callbacks within callbacks",
            TIME,
            own(
                "let a = []; a.pad(60, 1); a.map(|x| { let b = []; b.pad(60, 1); b.map(|y| { let c = []; c.pad(60, 1); c.map(|z| { for i in 0..60 { } z }) }) });",
            ),
        ),
        (
            "recursion through map",
            "failed limit_call_depth|failed runtime_error",
            own("fn down(x) { [[x]].map(|y| down(y)) } down(1);"),
        ),
        (
            "recursion through sort",
            "failed limit_call_depth",
            own("fn down(x) { let a = [2, 1]; a.sort(|x, y| { down(x); 0 }); a } down(1);"),
        ),
        (
            "two recursions through sort",
            "failed limit_call_depth",
            own(
                "fn down(x) { let a = [3, 2, 1]; a.sort(|x, y| { down(x); down(y); 0 }); a } down(1);",
            ),
        ),
        (
            "a closure that is given itself by map",
            "failed limit_call_depth|failed runtime_error",
            own("let f = |g| [g].map(g); f.call(f);"),
        ),
        (
            "a callback that acts on without end",
            "failed limit_actions",
            own("let a = []; a.pad(4000, 1); a.for_each(|x| { task.tag(\"x\"); });"),
        ),
        (
            "a callback that is an action",
            "failed limit_actions|failed runtime_error|failed unknown_function",
            own("let a = []; a.pad(4000, \"x\"); a.map(Fn(\"emit\")); a.for_each(Fn(\"print\"));"),
        ),
        (
            "a callback of too many arguments",
            "failed runtime_error|failed unknown_function",
            own("[1].map(|a, b, c, d, e, f, g, h| a);"),
        ),
        (
            "a callback that changes what is walked",
            "ended 0|failed runtime_error",
            own(
                "let a = [1, 2, 3]; a.for_each(|| { this += 1; }); a.map(|x| { this = []; x }); a.filter(|x| { this.push(1); true });",
            ),
        ),
    ];
    all.extend(each_native());
    all
}

/// A callback that does not end, for each native that takes one.
fn each_native() -> impl Iterator<Item = Script> {
    [
        ("map", "a.map(|x| { loop { } })"),
        ("filter", "a.filter(|x| { loop { } })"),
        ("some", "a.some(|x| { loop { } })"),
        ("all", "a.all(|x| { loop { } })"),
        ("find", "a.find(|x| { loop { } })"),
        ("find_map", "a.find_map(|x| { loop { } })"),
        ("index_of", "a.index_of(|x| { loop { } })"),
        ("reduce_rev", "a.reduce_rev(|x, y| { loop { } }, 1)"),
        ("retain", "a.retain(|x| { loop { } })"),
        ("drain", "a.drain(|x| { loop { } })"),
        ("dedup", "a.dedup(|x, y| { loop { } })"),
        ("order", "a.order(|x, y| { loop { } })"),
        ("sort_by", "a.sort_by(|x, y| { loop { } })"),
        ("zip", "a.zip(a, |x, y| { loop { } })"),
    ]
    .into_iter()
    .map(|(name, call)| {
        let script = format!("let a = [3, 1, 2]; try {{ {call}; }} catch {{ }} task.tag(\"on\");");
        (name, TIME, script)
    })
}
