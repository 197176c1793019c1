//! Runs that wait for ever, grow for ever, or will not wait.

use super::{Script, own};

pub fn waiting() -> Vec<Script> {
    vec![
        (
            "endless waits of no time",
            "failed limit_journal",
            own("loop { sleep(seconds(0)); }"),
        ),
        (
            "endless waits under map",
            "failed limit_journal",
            own("let a = []; a.pad(2000, 1); a.map(|x| sleep(seconds(0)));"),
        ),
        (
            "a journal grown by what the rule keeps",
            "failed limit_journal",
            own(
                "let x = \"x\"; while x.len < 20000 { x += x; } state.set(\"x\", x); loop { state.get(\"x\"); sleep(seconds(0)); }",
            ),
        ),
        (
            "much work between many waits",
            "failed limit_replay|failed limit_time",
            own(
                "for n in 0..900 { let a = []; a.pad(4000, 1); for i in 0..20 { a.map(|x| x + 1); } sleep(days(1)); }",
            ),
        ),
        (
            "a wait that is caught",
            "ended 1",
            own(
                "try { sleep(days(1)); } catch { task.tag(\"caught\"); } try { sleep(days(1)); throw 1; } catch { task.tag(\"thrown\"); }",
            ),
        ),
        (
            "waits caught again and again",
            "failed limit_journal",
            own("loop { try { sleep(seconds(0)); throw 1; } catch { } }"),
        ),
        (
            "a wait that sorts",
            "failed runtime_error",
            own("[3, 1, 2].sort(|a, b| { sleep(days(1)); a - b });"),
        ),
        (
            "a wait that sorts and is caught",
            "ended 1",
            own(
                "try { [3, 1, 2].sort(|a, b| { sleep(days(1)); a - b }); } catch { task.tag(\"refused\"); }",
            ),
        ),
        (
            "a wait in the condition of a loop",
            "failed limit_journal",
            own("while wait_for(\"task.*\", days(1)) != () { }"),
        ),
        (
            "a wait by a made-up name",
            "failed runtime_error|failed unknown_function",
            own("let n = \"sl\" + \"eep\"; Fn(n).call(days(1));"),
        ),
        (
            "a request as large as it gets",
            "failed runtime_error",
            own(
                "let x = \"\\x01\"; while x.len < 60000 { x += x; } http(#{ url: \"https://a.example\", body: [x] });",
            ),
        ),
        (
            "a wait of a hundred years",
            "failed runtime_error",
            own("sleep(weeks(5000));"),
        ),
        (
            "a wait at the bottom of a recursion",
            "failed limit_call_depth|ended 0",
            own("fn f(n) { if n == 0 { sleep(days(1)); } else { f(n - 1); } } f(20); f(25);"),
        ),
    ]
}
