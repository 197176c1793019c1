//! The functions of the world and the actions, given too much and too strange things.

use super::{MEMORY, Script, TIME, own};

const LATER: &str = "9999-12-31T23:59:59.999Z";
const FIRST: &str = "1970-01-01T00:00:00Z";

pub fn host() -> Vec<Script> {
    let mut all = times();
    all.extend(payloads());
    all.extend(floods());
    all.extend(memory());
    all
}

fn times() -> Vec<Script> {
    vec![
        (
            "the last instant and more",
            "ended 0",
            format!(
                "let t = timestamp(\"{LATER}\"); for i in 0..100 {{ t += days(36000); t = t + weeks(5000); }} log(t); log(t.in_zone(\"Pacific/Kiritimati\")); log(t.in_zone(\"Pacific/Kiritimati\").format(\"%c %+ %s %G-W%V\")); log(t.in_zone(\"Pacific/Kiritimati\").year);"
            ),
        ),
        (
            "the first instant and less",
            "ended 0",
            format!(
                "let t = timestamp(\"{FIRST}\"); for i in 0..100 {{ t -= days(36000); }} let z = t.in_zone(\"Pacific/Pago_Pago\"); log(z); log(z.format(\"%c %+ %s %G-W%V %U %W %j\")); log(z.weekday); log(z.is_weekend);"
            ),
        ),
        (
            "a distance greater than all",
            "ended 0|failed runtime_error",
            format!(
                "let d = timestamp(\"{LATER}\") - timestamp(\"{FIRST}\"); for i in 0..100 {{ d *= 9223372036854775807; d += d; d = -d; }} log(d); log(d / d); log(d.abs()); log(now() + d); log(now() - d); log(d.weeks);"
            ),
        ),
        (
            "durations of what is no count",
            "ended 0",
            own(
                "for n in [9223372036854775807, -9223372036854775807, 1e308, -1e308, 0.0 / 0.0, 1.0 / 0.0, \"1\", (), [], HIGH] { for f in [Fn(\"seconds\"), Fn(\"minutes\"), Fn(\"hours\"), Fn(\"days\"), Fn(\"weeks\")] { try { log(f.call(n)); throw 1; } catch { } } }",
            ),
        ),
        (
            "a duration divided by nothing",
            "failed runtime_error",
            own("let d = days(1) - days(1); try { d / d } catch { } days(1) / 0"),
        ),
        (
            "patterns of every letter",
            "ended 0",
            own(
                "let t = now(); for c in \"aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpPqQrRsStTuUvVwWxXyYzZ+%:.-_0123456789 \\x00é🦀\" { for p in [\"%\", \"%:\", \"%::\", \"%-\", \"%_\", \"%0\", \"%.\", \"%3\", \"%.3\", \"%E\", \"%O\", \"%#\"] { try { t.format(p + c); } catch { } } }",
            ),
        ),
        (
            "patterns that end too early",
            "ended 0",
            own(
                "for p in [\"%\", \"%%\", \"%%%\", \"\", \"%:\", \"%.\", \"%Y%\", \"%{}\", \"%n%t%%\", \"\\x00\", \"{}{:?}\"] { try { log(now().format(p)); } catch { } }",
            ),
        ),
        (
            "a pattern as long as a text may be",
            "failed runtime_error",
            own("let p = \"\"; p.pad(100000, \"%c\"); now().format(p)"),
        ),
        (
            "times that are none",
            "ended 0",
            own(
                "let long = \"\"; long.pad(100000, '9'); for t in [\"\", \"now\", \"2026-13-01T00:00:00Z\", \"2026-02-30T00:00:00Z\", \"2026-01-01T24:00:00Z\", \"+262143-12-31T23:59:59Z\", \"-9999-01-01T00:00:00Z\", \"9999-12-31T23:59:59-23:59\", \"1970-01-01T00:00:00+23:59\", \"2026-01-01T23:59:60Z\", long] { try { timestamp(t); } catch { } }",
            ),
        ),
        (
            "zones that are none",
            "ended 0",
            own(
                "let long = \"\"; long.pad(100000, 'x'); for z in [\"\", \"/etc/passwd\", \"../../UTC\", \"Europe/Berlin\\x00\", \"europe/berlin\", \"UTC+25\", long] { try { now().in_zone(z); } catch { } }",
            ),
        ),
        (
            "times shown for ever",
            TIME,
            own(
                "let t = now(); loop { t = t + days(1); t.in_zone(\"Africa/Casablanca\").format(\"%c\"); }",
            ),
        ),
    ]
}

fn payloads() -> Vec<Script> {
    let long = "let s = \"\"; s.pad(100000, 'x');";
    vec![
        (
            "a payload of many long texts",
            "failed limit_memory|failed limit_time|failed limit_output|failed limit_data",
            format!("{long} let m = #{{}}; loop {{ m[`k${{m.len}}`] = s; webhook(\"x\", m); }}"),
        ),
        (
            "a payload of keys",
            "failed limit_memory|failed limit_data|failed limit_output|failed limit_actions",
            format!("{long} loop {{ let m = #{{}}; m[s] = 1; webhook(\"x\", m); }}"),
        ),
        (
            "a payload nested as deep as a list may be",
            "failed runtime_error|failed limit_data",
            own("let a = []; for i in 0..4000 { a = [a]; } emit(\"deep.one\", a);"),
        ),
        (
            "a payload nested just as deep as is allowed",
            "ended 1",
            own("let a = []; for i in 0..60 { a = [a]; } emit(\"deep.one\", a);"),
        ),
        (
            "a payload of functions and ranges",
            "failed runtime_error",
            own(
                "for p in [|x| x, 0..5, Fn(\"abs\")] { try { webhook(\"x\", p); } catch { } } webhook(\"x\", [|x| x]);",
            ),
        ),
        (
            "a payload of numbers that JSON does not have",
            "ended 1",
            own(
                "webhook(\"x\", [0.0 / 0.0, 1.0 / 0.0, -1.0 / 0.0, -0.0, 1e308, 9223372036854775807, '\\x00', \"\\x00\"]);",
            ),
        ),
        (
            "an event in an event in an event",
            "failed limit_actions|failed limit_output|failed limit_time|failed limit_memory|failed limit_data",
            own(
                "let m = event.data; loop { m = #{ a: m, b: event, c: event.data }; emit(\"a.b\", m); }",
            ),
        ),
        (
            "tasks by the thousand in every payload",
            "failed limit_output|failed limit_memory|failed limit_time|failed limit_actions",
            own("let a = []; a.pad(4000, task); loop { emit(\"a.b\", a); }"),
        ),
        (
            "fields that grow with every update",
            "failed runtime_error|failed limit_data|failed limit_actions|failed limit_memory|failed limit_time",
            own(
                "let f = #{ a: \"x\" }; loop { f = #{ a: f, b: f }; task.update(#{ fields: f }); }",
            ),
        ),
        (
            "a description that doubles",
            "failed runtime_error|failed limit_data",
            own("loop { task.update(#{ description: task.description + task.description }); }"),
        ),
        (
            "fields of every wrong kind",
            "ended 4",
            format!(
                "{long} let deep = 1; for i in 0..500 {{ deep = [deep]; }} for f in [\"title\", \"description\", \"project\", \"status\", \"priority\", \"assignee\", \"assignee_id\", \"tags\", \"due_at\", \"fields\", \"parent_id\", \"id\", \"\", s] {{ for v in [s, deep, [[]], #{{ a: #{{}} }}, -1, 0.5, |x| x, 0..1, task, event, \"\\x00\", \"\", days(1)] {{ let m = #{{}}; m[f] = v; try {{ task.update(m); }} catch {{ }} }} }}"
            ),
        ),
        (
            "a log of everything",
            "ended 0|failed limit_data|failed limit_time|failed limit_operations",
            format!(
                "{long} let a = []; a.pad(4000, task); log(a); print(a); debug(a); log(#{{ a: a, s: s }}); log(event.data); log(s);"
            ),
        ),
        (
            "a mail of control characters",
            "ended 1",
            own(
                "email(task.owner, \"a\\r\\nBcc: eve@example.com\\r\\n\\r\\nbody\\x00\", \"\\r\\n.\\r\\n\\x00\\x1b[2J\");",
            ),
        ),
        (
            "recipients that are none",
            "ended 0",
            format!(
                "{long} for to in [\"\", \"@\", \"a@b\\r\\nc@d\", \"a@b,c@d\", \"<script>@x.y\", s.sub_string(0, 20000) + \"@example.com\", s, 5, task, [[]], [[[\"a@example.com\"]]], #{{}}] {{ try {{ email(to, \"a\", \"b\"); throw 1; }} catch {{ }} }}"
            ),
        ),
        (
            "endpoints that are none",
            "ended 0",
            format!(
                "{long} for e in [\"\", \"\\x00\", \"\\r\\n\", s, (), 5, [], task] {{ try {{ webhook(e, 1); throw 1; }} catch {{ }} }}"
            ),
        ),
        (
            "events that are not the script's",
            "ended 0",
            format!(
                "{long} for e in [\"\", \"task.created\", \"user.created\", \"rule.disabled\", \"*\", \"a.*\", \"a\\x00.b\", \"A.B\", s, (), 5] {{ try {{ emit(e, 1); throw 1; }} catch {{ }} }}"
            ),
        ),
    ]
}

fn floods() -> Vec<Script> {
    vec![
        (
            "a flood of events",
            "failed limit_actions",
            own("for i in 0..100000 { emit(`a.b${i % 10}`, #{ i: i }); }"),
        ),
        (
            "a flood of tasks",
            "failed limit_actions",
            own("let t = task; loop { t = create_task(#{ title: t.title + \"!\" }); }"),
        ),
        (
            "a flood of assignments and labels",
            "failed limit_actions",
            own(
                "let i = 0; loop { task.tag(`t${i % 7}`); task.untag(`t${i % 7}`); task.assign(()); i += 1; }",
            ),
        ),
        (
            "labels without end",
            "failed limit_actions|failed runtime_error",
            own("let i = 0; loop { task.tag(`t${i}`); i += 1; }"),
        ),
        (
            "a mail to thousands",
            "failed runtime_error",
            own(
                "let to = []; for i in 0..1000 { to.push(`a${i}@example.com`); } email(to, \"a\", \"b\");",
            ),
        ),
        (
            "a mail to one, thousands of times",
            "failed runtime_error|ended 1",
            own("let to = []; to.pad(4000, task.owner); email(to, \"a\", \"b\");"),
        ),
        (
            "large mails to as many as are allowed",
            "failed limit_output|failed limit_memory",
            own(
                "let s = \"\"; s.pad(120000, 'x'); let to = []; for i in 0..90 { to.push(`a${i}@example.com`); } email(to, \"a\", s);",
            ),
        ),
        (
            "large comments",
            "failed limit_output|failed limit_actions|failed limit_memory|failed runtime_error",
            own("let s = \"\"; s.pad(20000, '\\U0010FFFF'); loop { task.comment(s); }"),
        ),
        (
            "actions while everything is caught",
            "failed limit_actions",
            own(
                "loop { try { emit(\"a.b\"); throw 1; } catch { try { task.tag(\"x\"); } catch { } } }",
            ),
        ),
        (
            "an action by way of a field",
            "refused no_assignment|failed runtime_error|refused unknown_field|refused syntax|refused reserved_name|failed reserved_name",
            own("task.tags.push(\"x\");"),
        ),
        (
            "reading without end",
            MEMORY,
            own(
                "let a = []; loop { a = [task.fields, task.tags, event.data, task.owner.email, previous.fields]; }",
            ),
        ),
    ]
}

fn memory() -> Vec<Script> {
    vec![
        (
            "queries without end",
            "failed limit_queries",
            own("loop { tasks(#{}); }"),
        ),
        (
            "queries without end, caught",
            "failed limit_queries",
            own("loop { try { count(#{ open: true }); throw 1; } catch { } }"),
        ),
        (
            "queries in a callback that swallows errors",
            "failed limit_queries",
            own(
                "let a = []; a.pad(300, 1); a.sort(|x, y| { count(#{}); 0 }); a.dedup(|x, y| { count(#{}); true });",
            ),
        ),
        (
            "queries by everything strange",
            "ended 0",
            own(
                "let long = \"\"; long.pad(60000, '%'); for q in [#{ q: long }, #{ limit: 0 }, #{ limit: 1001 }, #{ limit: -1 }, #{ limit: 1.5 }, #{ status: \"none\" }, #{ status: [[]] }, #{ assignee: \"nobody\" }, #{ parent: \"\\x00\" }, #{ due_before: \"soon\" }, #{ project: () }, #{ q: \"\" }, #{ created_after: timestamp(\"9999-12-31T23:59:59Z\") }] { try { tasks(q); } catch { } }",
            ),
        ),
        (
            "tasks found, kept and shown",
            "failed limit_output|failed limit_memory|failed limit_time|failed limit_queries|failed limit_actions|failed limit_data",
            own("let all = []; loop { all += tasks(#{}); webhook(\"x\", all); all += all; }"),
        ),
        (
            "a state that doubles",
            "failed limit_state|failed limit_data",
            own("let s = \"x\"; loop { s += s; state.set(\"s\", s); }"),
        ),
        (
            "a state of many keys",
            "failed limit_state|failed limit_time",
            own("let i = 0; loop { state.set(`key ${i}`, `${i}`); i += 1; }"),
        ),
        (
            "a state that keeps itself",
            "failed limit_state|failed runtime_error|failed limit_data",
            own("loop { state.set(\"me\", [state.get(\"me\"), state.get(\"me\")]); }"),
        ),
        (
            "a state written and removed for ever",
            TIME,
            own(
                "loop { state.set(\"a\", 1); state.remove(\"a\"); state.keys(); state.get(\"a\"); }",
            ),
        ),
        (
            "a state too deep",
            "failed runtime_error",
            own("let a = 1; for i in 0..200 { a = #{ a: a }; } state.set(\"a\", a);"),
        ),
        (
            "a state caught when it is full",
            "failed limit_state",
            own(
                "let s = \"\"; s.pad(65000, 'x'); loop { try { state.set(\"s\", s); state.set(s, s); state.set(\"t\", s); } catch { } }",
            ),
        ),
        (
            "working days to the end of time",
            "ended 0",
            own(
                "let t = timestamp(\"9999-12-31T23:59:59.999Z\").in_zone(\"Pacific/Kiritimati\"); for i in 0..50 { t = t + business_days(26100); } let f = timestamp(\"1970-01-01T00:00:00Z\").in_zone(\"Pacific/Pago_Pago\"); for i in 0..50 { f = f - business_days(26100); } log(t); log(f); try { business_days(9223372036854775807); } catch { } try { business_days(-9223372036854775807 - 1); } catch { }",
            ),
        ),
        (
            "mentions of nobody",
            "ended 0",
            own(
                "for u in [\"\", \"nobody@example.com\", [task.owner], task, 5, #{}] { try { notify(u, \"a\", \"b\"); throw 1; } catch { } }",
            ),
        ),
    ]
}
