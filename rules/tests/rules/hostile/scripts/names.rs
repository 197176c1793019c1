//! Names: of functions made at run time, of host functions taken over, of values within
//! themselves, and arguments held back without end.

use super::{MEMORY, Script, TIME, own};

pub fn names() -> Vec<Script> {
    let mut all = pointers();
    all.extend(taken());
    all.extend(selves());
    all
}

fn pointers() -> Vec<Script> {
    vec![
        (
            "a function by a name that grows",
            MEMORY,
            own("let n = \"f\"; loop { n += n; try { Fn(n).call(); } catch { } }"),
        ),
        (
            "functions by names that are none",
            "failed runtime_error",
            own(
                "for n in [\"\", \"get$title\", \"index$get$\", \"a b\", \"anon$0\", \"🦀\", \"\\x00\", \"task\", \"call\", \"Fn\", \"this\", \"if\", \"+\"] { try { Fn(n).call(task, 1); throw 1; } catch { } }",
            ),
        ),
        (
            "an anonymous function guessed by its name",
            "failed runtime_error|failed unknown_function",
            own("let f = |x| x; let n = f.name; Fn(n + \"0\").call(1);"),
        ),
        (
            "call of a call of a call",
            "failed limit_call_depth|failed runtime_error|failed unknown_function",
            own("let f = Fn(\"call\"); f.call(f, f, f, f);"),
        ),
        (
            "a function that makes its own pointer",
            "failed limit_call_depth",
            own("fn f(n) { Fn(\"f\").call(n + 1) } f(0);"),
        ),
        (
            "a host function by its name, for ever",
            "failed limit_actions",
            own("let f = Fn(\"emit\"); loop { f.call(\"a.b\", 1); }"),
        ),
        (
            "sleep by a made-up name",
            "failed unknown_function|failed runtime_error",
            own("let n = \"sl\" + \"eep\"; Fn(n).call(1000000000);"),
        ),
        (
            "replace and pad by their names",
            "failed limit_data",
            own(
                "let s = \"\"; s.pad(60000, 'x'); let f = Fn(\"replace\").curry(s); try { f.call(\"x\", s); } catch { } let g = Fn(\"pad\"); g.call(s, 9223372036854775807, 'x');",
            ),
        ),
        (
            "a curried function with more and more arguments",
            "failed limit_operations|failed limit_time|failed limit_memory|failed limit_data|failed runtime_error|failed unknown_function",
            own("let f = Fn(\"f\"); for i in 0..100000 { f = f.curry(i); } f.call();"),
        ),
        (
            "a curried function with large arguments",
            MEMORY,
            own("let a = []; a.pad(4000, 1); let f = Fn(\"f\"); loop { f = f.curry(a); }"),
        ),
        (
            "a curried function with itself in a list",
            MEMORY,
            own("let f = Fn(\"f\"); loop { f = f.curry([f, f]); }"),
        ),
        (
            "a curried function with itself in a map",
            MEMORY,
            own("let f = Fn(\"f\"); loop { f = f.curry(#{ a: f, b: f }); }"),
        ),
        (
            "curried functions compared and written out",
            MEMORY,
            own("let f = |x| x; loop { f = f.curry(f); log(f); log(`${[f]}`); log(f.name); }"),
        ),
        (
            "a long chain of curry in the source",
            "refused limit_expr_depth|failed runtime_error|failed unknown_function|ended 0",
            format!("Fn(\"f\"){}.call();", ".curry(1)".repeat(1_700)),
        ),
        (
            "a chain of curry that is called with everything",
            "failed unknown_function|failed runtime_error|failed limit_data",
            own("let f = Fn(\"abs\"); for i in 0..250 { f = f.curry(i); } f.call(1, 2, 3);"),
        ),
    ]
}

fn taken() -> Vec<Script> {
    // Of a loop and of `catch` it is the analysis that refuses them.
    let refused = "refused reserved_name|refused syntax|ended 0";
    vec![
        (
            "a variable called task",
            refused,
            own("let task = 1; log(task);"),
        ),
        ("a constant called HIGH", refused, own("const HIGH = LOW;")),
        (
            "a loop over task",
            refused,
            own("for task in [1, 2] { log(task); }"),
        ),
        (
            "a counter called event",
            refused,
            own("for (x, event) in [1, 2] { log(x); }"),
        ),
        (
            "a caught error called rule",
            refused,
            own("try { throw 1; } catch (rule) { log(rule); }"),
        ),
        (
            "a parameter called task",
            "refused reserved_name|refused syntax|ended 0",
            own("fn f(task) { task } log(f(1));"),
        ),
        (
            "a parameter of a closure called previous",
            "refused reserved_name|refused syntax|ended 0",
            own("log([1].map(|previous| previous));"),
        ),
        (
            "an assignment to task",
            "refused reserved_name|failed reserved_name",
            own("task = 1;"),
        ),
        (
            "an assignment to a field of rule",
            "refused reserved_name|failed runtime_error|failed unknown_field|refused unknown_field|failed reserved_name",
            own("rule.version = 9;"),
        ),
        (
            "an assignment to a constant through a method",
            "failed reserved_name",
            own("HIGH.max(LOW); HIGH += 1;"),
        ),
        (
            "a function called now that never ends",
            TIME,
            own("fn now() { loop { } } now();"),
        ),
        (
            "a function called email that does nothing",
            "ended 0|refused no_action|refused reserved_name",
            own("fn email(a, b, c) { log(a); } email(1, 2, 3);"),
        ),
        (
            "a function called to_string that never ends",
            "ended 0|failed limit_operations|failed limit_time",
            own("fn to_string(x) { loop { } } log(1); log(`${1}`); print(#{ a: 1 });"),
        ),
        (
            "a function called to_string that calls itself by print",
            "ended 0|failed limit_call_depth|failed limit_operations|failed limit_time",
            own("fn to_string(x) { print(x); log(x); `${x}` } log(task); print(1);"),
        ),
        (
            "a function called sort",
            TIME,
            own("fn sort(a, f) { 1 } let a = [2, 1]; a.sort(|x, y| { loop { } }); log(a);"),
        ),
        (
            "a function called eval",
            "refused syntax|refused no_eval",
            own("fn eval(x) { x } eval(\"loop {}\");"),
        ),
        (
            "a function called call",
            "refused syntax|ended 0",
            own("fn call(f) { 1 } call(|| 1);"),
        ),
        (
            "a method of numbers that calls itself",
            "refused syntax|refused unknown_function|failed limit_call_depth",
            own("fn int.down() { this.down() } 5.down();"),
        ),
    ]
}

fn selves() -> Vec<Script> {
    vec![
        (
            "an object that calls itself",
            "failed limit_call_depth",
            own("let m = #{ f: || this.f() }; m.f();"),
        ),
        (
            "objects that call each other",
            "failed limit_call_depth|failed unknown_function|failed runtime_error",
            own("let a = #{ f: |o| o.g(this) }; let b = #{ g: |o| o.f(this) }; a.f(b);"),
        ),
        (
            "an object that keeps itself in itself",
            MEMORY,
            own("let m = #{ f: || { this.me = this; } }; loop { m.f(); }"),
        ),
        (
            "a list that holds itself, changed through both",
            "ended 0|failed limit_data",
            own("let a = [1]; a.push(a); a[1].push(a); a[1][1] = a; log(a); a[1][0] += 1;"),
        ),
        (
            "an error that holds the error before",
            "failed limit_operations|failed limit_time|failed limit_memory|failed limit_data|failed limit_call_depth",
            own("let e = 1; loop { try { throw [e, e]; } catch (x) { e = x; } }"),
        ),
        (
            "an error thrown up through every call",
            "failed limit_call_depth|failed runtime_error|failed limit_data",
            own("fn f(n) { try { f(n + 1) } catch (e) { throw #{ e: e, n: n } } } f(0);"),
        ),
        (
            "a default that defaults to itself",
            MEMORY,
            own("let m = #{}; loop { m.a = m.a ?? m; m = #{ a: m, b: m.a ?? m }; }"),
        ),
    ]
}
