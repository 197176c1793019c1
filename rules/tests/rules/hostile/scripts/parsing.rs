//! Sources that aim at the parser and at the analysis.

use super::{Script, own};

const REFUSED: &str = "refused limit_expr_depth|refused syntax";

pub fn parsing() -> Vec<Script> {
    let mut all = chains();
    all.extend(unfinished());
    all.extend(large());
    all
}

fn chains() -> Vec<Script> {
    let chain = |first: &str, more: &str, times: usize| format!("{first}{}", more.repeat(times));
    vec![
        (
            "a long chain of and",
            "ended 0|refused limit_expr_depth",
            chain("let x = 1==1", "&&1==1", 2_500),
        ),
        (
            "a long chain of what is absent",
            "ended 0|refused limit_expr_depth",
            chain("let x = ()", "??()", 3_900),
        ),
        (
            "a long chain of in",
            "ended 0|refused limit_expr_depth|refused syntax|failed unknown_function|failed runtime_error",
            chain("let a = []; a", " in a", 3_000),
        ),
        (
            "a long chain of powers",
            "ended 0|refused limit_expr_depth|failed arithmetic",
            chain("let x = 1", "**1", 5_000),
        ),
        (
            "a long chain of minus and not",
            REFUSED,
            chain("let x = ", "-!", 8_000) + "1",
        ),
        (
            "a long chain of comparisons",
            "ended 0|refused limit_expr_depth|failed unknown_function|failed type_mismatch",
            chain("let x = 1", "==1", 5_000),
        ),
        (
            "a long chain of calls",
            "refused limit_expr_depth|ended 0",
            chain("let s = 1; s", ".to_string()", 1_200),
        ),
        (
            "a long chain of dots that may be absent",
            "refused limit_expr_depth|refused syntax|ended 0",
            chain("let m = #{}; m", "?.a", 5_000),
        ),
        (
            "a long chain of indexes that may be absent",
            "refused limit_expr_depth|refused syntax|ended 0",
            chain("let m = (); m", "?[0]", 4_000),
        ),
        (
            "calls within calls",
            "refused limit_expr_depth",
            format!("{}1{}", "abs(".repeat(3_000), ")".repeat(3_000)),
        ),
        (
            "indexes within indexes",
            "refused limit_expr_depth",
            format!("let a = [0]; {}0{}", "a[".repeat(5_000), "]".repeat(5_000)),
        ),
        (
            "switches within switches",
            "refused limit_expr_depth",
            format!("{}1{}", "switch 1 { 1 => ".repeat(900), "}".repeat(900)),
        ),
        (
            "loops within loops",
            "refused limit_expr_depth",
            format!("{}break;{}", "loop{".repeat(2_500), "}".repeat(2_500)),
        ),
        (
            "attempts within attempts",
            "refused limit_expr_depth",
            format!("{}{}", "try{".repeat(1_000), "}catch{}".repeat(1_000)),
        ),
        (
            "functions within functions",
            "refused syntax|refused limit_expr_depth",
            format!("{}{}", "fn f(){".repeat(1_500), "}".repeat(1_500)),
        ),
        (
            "an else that comes a thousand times, each deeper",
            "refused limit_expr_depth",
            format!("{}{}", "if 1==2{}else{".repeat(1_000), "}".repeat(1_000)),
        ),
        (
            "templates within templates within maps",
            REFUSED,
            format!("{}1{}", "`${#{a:".repeat(1_200), "}}`".repeat(1_200)),
        ),
        (
            "comments within comments",
            "refused syntax|ended 0",
            format!("{}{}", "/*".repeat(4_000), "*/".repeat(4_000)),
        ),
    ]
}

fn unfinished() -> Vec<Script> {
    vec![
        (
            "a text that never ends",
            "refused syntax",
            own("let s = \"abc"),
        ),
        (
            "a template that never ends",
            "refused syntax",
            own("let s = `abc ${1 +"),
        ),
        (
            "a letter that never ends",
            "refused syntax",
            own("let c = 'a"),
        ),
        (
            "a block that never ends",
            "refused syntax",
            own("if true { if true { loop {"),
        ),
        (
            "a call that never ends",
            "refused syntax",
            own("email(task.owner, [1, #{ a: ("),
        ),
        (
            "a closure that never ends",
            "refused syntax",
            own("let f = |a, b, c"),
        ),
        (
            "an escape that never ends",
            "refused syntax",
            own("let s = \"\\u{12\"; let t = \"\\U00"),
        ),
        (
            "letters that are none",
            "refused syntax",
            own("let s = \"\\uD800\\uDFFF\\U00110000\";"),
        ),
        (
            "a number that never ends",
            "ended 0",
            format!("let x = {};", "9".repeat(16_000)),
        ),
        (
            "a fraction that never ends",
            "ended 0|refused syntax",
            format!("let x = 0.{}1;", "0".repeat(16_000)),
        ),
        (
            "a power of ten that never ends",
            "ended 0|refused syntax",
            format!("let x = 1e{};", "9".repeat(16_000)),
        ),
        (
            "a hexadecimal that never ends",
            "refused syntax",
            format!("let x = 0x{};", "f".repeat(16_000)),
        ),
        (
            "underscores for ever",
            "ended 0|refused syntax|refused unknown_variable",
            format!("let x = 1{};", "_".repeat(16_000)),
        ),
        (
            "a name that never ends",
            "ended 0|refused syntax",
            format!("let {} = 1;", "x".repeat(16_000)),
        ),
        (
            "a field that never ends",
            "failed unknown_field|refused syntax",
            format!("log(task.{});", "x".repeat(16_000)),
        ),
        (
            "a function that never ends",
            "failed unknown_function",
            format!("{}(1);", "x".repeat(16_000)),
        ),
        (
            "semicolons only",
            "ended 0|refused syntax",
            ";".repeat(16_000),
        ),
        (
            "newlines only",
            "ended 0|refused limit_source",
            "\n".repeat(16_000),
        ),
        (
            "spaces that are none",
            "refused syntax",
            "\u{2003}\u{200b}\u{2028}".repeat(1_500),
        ),
        (
            "names in letters that look alike",
            "refused unknown_variable",
            own("tаsk.title"),
        ),
        (
            "a text turned round",
            "ended 0",
            own("let s = \"\u{202e}}; loop { \u{2066}\";"),
        ),
        (
            "half of everything",
            "refused syntax",
            "if fn let try |x| ${ `".repeat(700),
        ),
    ]
}

fn large() -> Vec<Script> {
    let many = |count: usize, each: &str| -> String {
        (0..count)
            .map(|number| each.replace('#', &number.to_string()))
            .collect()
    };
    vec![
        (
            "a list of five thousand",
            "refused limit_literal",
            format!("let a = [{}];", "1,".repeat(5_000)),
        ),
        (
            "a map of two thousand",
            "refused limit_literal",
            format!("let m = {}{} }};", "#{ ", many(1_900, "a#:1,")),
        ),
        (
            "a map of one key a thousand times",
            "refused syntax",
            format!("let m = {}{} }};", "#{ ", "a:1,".repeat(1_000)),
        ),
        (
            "a call of two thousand arguments",
            "refused wrong_arguments|refused unknown_function|refused syntax|failed unknown_function|refused arity",
            format!("log({}1);", "1,".repeat(2_000)),
        ),
        (
            "a function of two thousand parameters",
            "refused syntax|ended 0",
            format!("fn f({}z) {{ 1 }}", many(2_000, "a#,")),
        ),
        (
            "a closure of two thousand parameters",
            "refused syntax|ended 0",
            format!("let f = |{}z| 1;", many(2_000, "a#,")),
        ),
        (
            "many closures",
            "refused limit_functions",
            format!("let a = [{}];", "|x|x,".repeat(2_000)),
        ),
        (
            "as many closures as are allowed, each with variables",
            "ended 0|refused limit_functions",
            format!("let a = [{}];", "|x|{let y=x;let z=y;z},".repeat(63)),
        ),
        (
            "a switch of ranges that overlap",
            "ended 0",
            format!("switch 5000 {{ {} _ => 2 }}", many(900, "0..#=>1,")),
        ),
        (
            "a switch of conditions",
            "ended 0",
            format!("switch 1 {{ {} _ => 2 }}", many(700, "1 if #==9999=>1,")),
        ),
        (
            "a switch of one case a thousand times",
            "refused syntax|ended 0",
            format!("switch 1 {{ {} _ => 2 }}", "1=>1,".repeat(2_000)),
        ),
        (
            "a switch of long texts",
            "ended 0",
            format!(
                "switch \"x\" {{ {} _ => 2 }}",
                many(80, &format!("\"#{}\"=>1,", "y".repeat(150)))
            ),
        ),
        (
            "many constants",
            "failed limit_variables",
            many(900, "const C#=#;"),
        ),
        (
            "many unknown fields",
            "failed unknown_field",
            many(900, "log(task.a#);"),
        ),
        (
            "many unknown functions",
            "failed unknown_function",
            many(1_500, "a#(1);"),
        ),
        (
            "many conditions on the task",
            "ended 0",
            many(250, "if task.title==\"#\"&&task.priority>HIGH{log(#);}"),
        ),
        (
            "one deep condition on the task",
            "refused limit_expr_depth|ended 0",
            format!(
                "if {}task.is_open{} {{ log(1); }}",
                "!(".repeat(4_000),
                ")".repeat(4_000)
            ),
        ),
        (
            "many alternatives on the task",
            "ended 0|ended 1|refused limit_expr_depth",
            format!(
                "if {} false {{ task.tag(\"x\"); }}",
                many(500, "task.title==\"#\"||")
            ),
        ),
        (
            "much that is unreachable",
            "ended 0",
            format!("return; {}", many(900, "log(#);")),
        ),
        (
            "a header that never ends",
            "ended 0",
            many(800, "//! a# = [[[[[[\n"),
        ),
    ]
}
