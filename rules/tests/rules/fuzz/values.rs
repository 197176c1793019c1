//! Extreme values of every type, as a script writes them.

/// The types of which there are values. A native may take `any` of them.
const TYPES: &[&str] = &[
    "absent",
    "bool",
    "int",
    "float",
    "char",
    "string",
    "bytes",
    "list",
    "map",
    "function",
    "range",
    "inclusive range",
    "priority",
    "timestamp",
    "duration",
    "task",
    "user",
    "event",
    "rule",
    "workspace",
    "business days",
    "state",
];

/// The values of a type; none where no script can hold one.
pub fn of_type(name: &str) -> Option<Vec<&'static str>> {
    Some(match name {
        "any" => TYPES.iter().flat_map(|name| some(name)).copied().collect(),
        "float32" | "range of floats" => Vec::new(),
        name if TYPES.contains(&name) => some(name).to_vec(),
        _ => return None,
    })
}

fn some(name: &str) -> &'static [&'static str] {
    match name {
        "absent" => &["()"],
        "bool" => &["true", "false"],
        "int" => INTS,
        "float" => FLOATS,
        "char" => &[
            "'x'",
            "' '",
            r"'\x00'",
            "'🦀'",
            r"'\u0301'",
            "'ŉ'",
            r"'\U0010FFFF'",
        ],
        "string" => STRINGS,
        "bytes" => &[
            r#""".to_blob()"#,
            r#"{ let s = ""; s.pad(4000, 'é'); s.to_blob() }"#,
        ],
        "list" => LISTS,
        "map" => MAPS,
        "function" => FUNCTIONS,
        "range" => &[
            "0..0",
            "5..1",
            "0..9223372036854775807",
            "-9223372036854775807..9223372036854775807",
            "-3..-1",
        ],
        "inclusive range" => &[
            "0..=0",
            "5..=1",
            "9223372036854775807..=9223372036854775807",
            "-9223372036854775807..=9223372036854775807",
            "-3..=-1",
        ],
        "priority" => &["LOW", "URGENT"],
        "timestamp" => TIMESTAMPS,
        "duration" => &[
            "days(0)",
            "seconds(1)",
            "days(36600)",
            "-days(36600)",
            "days(36600) * 9223372036854775807",
            "-(days(36600) * 9223372036854775807)",
        ],
        "task" => &[
            "task",
            "previous",
            "tasks(#{})[1]",
            r#"create_task(#{ title: "x" })"#,
        ],
        "user" => &["task.owner", "task.assignee"],
        "event" => &["event"],
        "rule" => &["rule"],
        "workspace" => &["workspace"],
        "business days" => &[
            "business_days(0)",
            "business_days(26100)",
            "-business_days(26100)",
        ],
        "state" => &["state"],
        _ => &[],
    }
}

const INTS: &[&str] = &[
    "(-9223372036854775807 - 1)",
    "9223372036854775807",
    "-9223372036854775807",
    "-1",
    "0",
    "1",
    "2",
    "63",
    "64",
    "4000",
    "65536",
    "2147483648",
];

const FLOATS: &[&str] = &[
    "0.0",
    "-0.0",
    "0.1",
    "1e308",
    "-1e308",
    "5e-324",
    "9.3e18",
    "-9.3e18",
    "(0.0 / 0.0)",
    "(1.0 / 0.0)",
    "(-1.0 / 0.0)",
];

const STRINGS: &[&str] = &[
    r#""""#,
    r#""x""#,
    r#"{ let s = ""; s.pad(60000, 'x'); s }"#,
    r#"{ let s = ""; s.pad(30000, 'é'); s }"#,
    r#"{ let s = ""; s.pad(15000, "🦀"); s }"#,
    r#"{ let s = ""; s.pad(40000, 'ΐ'); s }"#,
    r#"{ let s = ""; s.pad(60000, '\x00'); s }"#,
    r#""\x00""#,
    r#""\r\n.\r\n""#,
    r#""👩\u200d👩\u200d👧 e\u0301\u0301\u0301 \u202e""#,
    r#""(a+)+$.*[^\\]{1,99999}""#,
    r#""%Y-%m-%dT%H:%M:%S%:z %c %+ %""#,
    r#""2026-12-04T08:00:00Z""#,
    r#""9999-12-31T23:59:59.999Z""#,
    r#""Pacific/Apia""#,
    r#""9223372036854775808""#,
    r#""-1e400""#,
    r#""ann@example.com""#,
    r#""ci.failed""#,
    r#""title""#,
];

const LISTS: &[&str] = &[
    "[]",
    "[()]",
    "[1, 2, 3]",
    "{ let a = []; a.pad(4000, 1); a }",
    "{ let a = []; for i in 0..400 { a.push(400 - i); } a }",
    "{ let a = []; a.pad(4000, \"é🦀\"); a }",
    "{ let a = []; a.pad(300, task); a }",
    "{ let a = 1; for i in 0..200 { a = [a]; } a }",
    "{ let a = []; for i in 0..100 { a = [[], #{ a: a }]; } a }",
    "{ let s = \"\"; s.pad(60000, 'x'); [s, s] }",
    "[0.0 / 0.0, 1.0 / 0.0, -0.0]",
    "[1, 1.5, \"x\", 'c', (), true, [1], #{ a: 1 }, |x| x, 0..1, HIGH, now(), days(1), task, task.owner, event]",
];

const MAPS: &[&str] = &[
    "#{}",
    "#{ a: () }",
    "{ let m = #{}; for i in 0..300 { m[`k${i}`] = i; } m }",
    "{ let m = 1; for i in 0..200 { m = #{ a: m }; } m }",
    "{ let m = #{}; let s = \"\"; s.pad(60000, '\\\\'); m[s] = s; m[\"\\x00\"] = s; m }",
    "#{ title: \"x\", description: 5, tags: [()], due_at: now(), fields: #{ a: [#{}] } }",
    "#{ to: \"ann@example.com\", subject: \"\\r\\n\", text: \"\", html: \"<b>\" }",
    "#{ status: [\"todo\"], assignee: (), limit: 1000, q: \"\\x00%_\", due_before: now(), parent: task }",
    "#{ limit: -9223372036854775807, overdue: 1.5, priority: [[HIGH]], creator: task.owner }",
    "#{ a: task, b: event, c: |x| x, d: 0..1, e: HIGH, f: now(), g: 0.0 / 0.0 }",
];

const FUNCTIONS: &[&str] = &[
    "|| 1",
    "|x| x",
    "|x, y| x",
    "|x, y| x > y",
    "|x, y, z| throw z",
    "|x| { loop { } }",
    "|x| { this = []; x }",
    "|x| [x, x, x, x]",
    "|x, y| { let s = \"\"; s.pad(60000, 'x'); s }",
    "Fn(\"abs\")",
    "Fn(\"email\")",
    "Fn(\"nothing\")",
    "Fn(\"max\").curry(1).curry([])",
];

const TIMESTAMPS: &[&str] = &[
    "now()",
    "timestamp(\"1970-01-01T00:00:00Z\")",
    "timestamp(\"9999-12-31T23:59:59.999Z\")",
    "timestamp(\"9999-12-31T23:59:59.999Z\").in_zone(\"Pacific/Kiritimati\")",
    "timestamp(\"1970-01-01T00:00:00Z\").in_zone(\"Pacific/Pago_Pago\")",
    "timestamp(\"2026-03-29T01:00:00Z\")",
    "timestamp(\"2011-12-30T10:00:00Z\").in_zone(\"Pacific/Apia\")",
];
