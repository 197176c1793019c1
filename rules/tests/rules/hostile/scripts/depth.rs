//! Nesting: of the source, of calls, of values.

use super::{Script, own};

pub fn depth() -> Vec<Script> {
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
