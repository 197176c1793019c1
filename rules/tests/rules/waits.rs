//! What each of the waits is given, what it waits for, and what it returns.

use crate::support::{World, at, ended};
use serde_json::{Value, json};
use smarttasks_rules::{Action, Wait};

#[test]
fn a_wait_says_what_it_waits_for() {
    let world = World::new();
    let now = world.inputs.now;
    let waits = |script: &str| {
        let walk = world.walk(script);
        assert_eq!(walk.error, None, "{script}");
        walk.waits
    };
    let until = |text: &str| Wait::Until { at: at(text) };
    assert_eq!(
        waits(
            "sleep(hours(1)); sleep_until(timestamp(\"2027-01-01T00:00:00Z\")); sleep_until(task.due_at); sleep(-days(1));"
        ),
        [
            until("2026-12-04T09:00:00Z"),
            until("2027-01-01T00:00:00Z"),
            until("2026-12-01T09:00:00Z"),
            until("2026-12-31T00:00:00Z"),
        ]
    );
    assert_eq!(
        waits("wait_for(\"ci.*\", days(2));"),
        [Wait::Event {
            pattern: "ci.*".parse().unwrap(),
            until: at("2026-12-06T08:00:00Z"),
        }]
    );
    for user in ["task.owner", "\"bob@example.com\"", "task.assignee_id"] {
        assert_eq!(
            waits(&format!("approve({user}, \" Really? \", hours(1));")),
            [Wait::Approval {
                user: world.bob.id,
                question: "Really?".to_owned(),
                until: at("2026-12-04T09:00:00Z"),
            }]
        );
    }
    let asked = |script: &str| match &waits(script)[..] {
        [Wait::Http { request, until }] => (
            serde_json::to_value(request).unwrap(),
            until.since(now).as_secs(),
        ),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        asked("http(#{ url: \"https://example.com/a\" });"),
        (
            json!({ "method": "GET", "url": "https://example.com/a" }),
            3_600
        )
    );
    assert_eq!(
        asked(
            "http(#{ url: \"https://example.com\", body: #{ by: task.priority }, headers: #{ Authorization: \"Bearer x\" }, timeout: days(7) });"
        ),
        (
            json!({
                "method": "POST", "url": "https://example.com/", "body": "{\"by\":\"high\"}",
                "headers": { "authorization": "Bearer x", "content-type": "application/json" },
            }),
            7 * 86_400
        )
    );
    let (text, _) = asked(
        "http(#{ method: \"put\", url: \"http://example.com\", body: \"x\", headers: #{ \"Content-Type\": \"text/csv\" } });",
    );
    assert_eq!(text["method"], "PUT");
    assert_eq!(text["headers"], json!({ "content-type": "text/csv" }));
    let (text, _) =
        asked("http(#{ url: \"http://example.com\", body: \"x\", timeout: (), method: () });");
    assert_eq!(
        text["headers"],
        Value::Null,
        "the client sees what a text is"
    );
}

#[test]
fn a_wait_returns_how_it_ended() {
    let world = World::new();
    let value = |call: &str, woken: Value| -> Value {
        let script = format!("let x = {call}; webhook(\"w\", #{{ x: x }});");
        let walk = world.walk_with(&script, |_, _| woken.clone());
        assert_eq!(walk.error, None, "{call}");
        match walk.actions.into_iter().next() {
            Some(Action::Webhook { payload, .. }) => payload["x"].clone(),
            other => panic!("{other:?}"),
        }
    };
    let approve = "approve(task.owner, \"Well?\", days(1))";
    assert_eq!(value(approve, json!({ "approved": true, "by": "x" })), true);
    assert_eq!(value(approve, json!({ "approved": false })), false);
    assert_eq!(value(approve, Value::Null), Value::Null);
    assert_eq!(value("sleep(days(1))", Value::Null), Value::Null);
    assert_eq!(
        value("wait_for(\"a.b\", days(1))", Value::Null),
        Value::Null
    );
    let http = "http(#{ url: \"https://example.com\" })";
    let answer = json!({ "status": 200, "headers": { "a": "b" }, "body": "[1]", "json": [1.5] });
    assert_eq!(value(http, answer.clone()), answer);
    assert_eq!(
        value(http, Value::Null),
        json!({ "status": 0, "headers": {}, "body": "", "json": null, "error": "there was no answer" })
    );
}

#[test]
fn an_event_that_was_waited_for_is_read_like_the_first() {
    let world = World::new();
    let script = "let a = wait_for(\"ci.failed\", days(1)); let b = wait_for(\"task.*\", days(1));
        log(`${event.type} ${a.type} ${b.type} ${a.actor.name} ${event.actor.name}`);
        log(a.data.branch); log(b.data.changes); log(a.time < b.time);
        webhook(\"w\", [a, b, event]);";
    let walk = world.walk_with(script, |wait, world| {
        let mut event: Value = ended(wait, world);
        if event["type"] == "ci.failed" {
            event["data"] = json!({ "branch": "main" });
            event["time"] = json!("2026-12-04T08:00:30Z");
        } else {
            event["time"] = json!("2026-12-04T08:01:00Z");
        }
        event
    });
    assert_eq!(walk.error, None);
    assert_eq!(
        walk.log,
        [
            "task.updated ci.failed task.completed Bob Ann",
            "main",
            "[\"status\", \"title\"]",
            "true"
        ]
    );
    let Some(Action::Webhook { payload, .. }) = walk.actions.first() else {
        panic!("{:?}", walk.actions);
    };
    let kinds: Vec<_> = payload
        .as_array()
        .unwrap()
        .iter()
        .map(|of| &of["type"])
        .collect();
    assert_eq!(kinds, ["ci.failed", "task.completed", "task.updated"]);
}

#[test]
fn a_wait_that_is_wrong_says_what_is() {
    let world = World::new().with_task(|task| task.assignee_id = None);
    for (script, says) in [
        (
            "sleep(5)",
            "sleep: `duration` must be a duration, such as hours(4), not a number",
        ),
        ("sleep(\"1h\")", "such as hours(4), not a text"),
        ("sleep(task.due_at)", "such as hours(4), not a time"),
        ("sleep(business_days(1))", "not a number of business days"),
        (
            "sleep(days(367))",
            "sleep: a run may wait for 366 days at most",
        ),
        (
            "sleep_until(days(1))",
            "sleep_until: `time` must be a time, such as task.due_at, not a duration",
        ),
        ("sleep_until(())", "not an absent value"),
        (
            "sleep_until(now() + days(367))",
            "sleep_until: a run may wait for 366 days at most",
        ),
        (
            "wait_for(5, days(1))",
            "wait_for: `pattern` must be a text, not a number",
        ),
        (
            "wait_for(\"task\", days(1))",
            "wait_for(\"task\"): expected two to eight segments",
        ),
        (
            "wait_for(\"task.exploded\", days(1))",
            "no event of the system is named task.exploded",
        ),
        (
            "wait_for(\"rule.due\", days(1))",
            "no event of the system is named rule.due",
        ),
        (
            "wait_for(\"task.*\", 5)",
            "wait_for: `timeout` must be a duration, such as hours(4), not a number",
        ),
        (
            "wait_for(\"task.*\", days(367))",
            "wait_for: a run may wait for 366 days at most",
        ),
        (
            "approve(task.assignee, \"x\", days(1))",
            "approve: `user` is absent",
        ),
        (
            "approve(\"eve@elsewhere.org\", \"x\", days(1))",
            "approve: no member of the workspace is `eve@elsewhere.org`",
        ),
        (
            "approve(5, \"x\", days(1))",
            "approve: expected a user, not a number",
        ),
        ("approve(task.owner, \"\", days(1))", "approve: `question`"),
        (
            "approve(task.owner, [], days(1))",
            "approve: `question` must be a text, not a list",
        ),
        (
            "let q = \"\"; q.pad(1001, 'x'); approve(task.owner, q, days(1))",
            "approve: `question`",
        ),
        (
            "approve(task.owner, \"x\", 5)",
            "approve: `timeout` must be a duration",
        ),
        (
            "approve(task.owner, \"x\", days(0))",
            "approve: `timeout` must be more than nothing",
        ),
        ("http(#{})", "http: `url` is missing"),
        (
            "http(#{ url: 5 })",
            "http: `url` must be a text, not a number",
        ),
        ("http(#{ url: \"example.com\" })", "http: `url`: not a URL"),
        (
            "http(#{ url: \"ftp://example.com\" })",
            "http: `url`: has the scheme \"ftp\"",
        ),
        (
            "http(#{ url: \"https://a:b@example.com\" })",
            "http: `url`: holds a user name",
        ),
        (
            "http(#{ ulr: \"https://example.com\" })",
            "http: there is no `ulr`; did you mean `url`?",
        ),
        (
            "http(#{ url: \"https://example.com\", retries: 5 })",
            "http: there is no `retries`; it takes method, url",
        ),
        (
            "http(#{ url: \"https://example.com\", method: \"POTS\" })",
            "http: `method`: there is no POTS; did you mean `POST`?",
        ),
        (
            "http(#{ url: \"https://example.com\", method: 5 })",
            "http: `method` must be a text",
        ),
        (
            "http(#{ url: \"https://example.com\", method: \"GET\", body: 1 })",
            "http: a GET carries no `body`",
        ),
        (
            "http(#{ url: \"https://example.com\", headers: 5 })",
            "http: `headers` must be a map of texts, not a number",
        ),
        (
            "http(#{ url: \"https://example.com\", headers: #{ a: 5 } })",
            "http: `headers.a` must be a text, not a number",
        ),
        (
            "http(#{ url: \"https://example.com\", headers: #{ host: \"x\" } })",
            "http: `headers/host` is set by SmartTasks",
        ),
        (
            "http(#{ url: \"https://example.com\", headers: #{ \"content-type\": \"a\\r\\nb\" } })",
            "http: `headers/content-type` holds a character that a header cannot carry",
        ),
        (
            "http(#{ url: \"https://example.com\", headers: #{ a: \"a\\r\\nb\" } })",
            "holds a character that a header cannot carry",
        ),
        (
            "http(#{ url: \"https://example.com\", body: || 1 })",
            "cannot be written as JSON",
        ),
        (
            "http(#{ url: \"https://example.com\", timeout: days(8) })",
            "http: a run may wait for 7 days at most",
        ),
        (
            "http(#{ url: \"https://example.com\", timeout: 30 })",
            "http: `timeout` must be a duration",
        ),
        (
            "http(#{ url: \"https://example.com\", timeout: hours(-1) })",
            "http: `timeout` must be more than nothing",
        ),
        (
            "let f = \"sl\" + \"eep\"; Fn(f).call(days(1))",
            "sleep: a function that waits must be called by its name",
        ),
    ] {
        let error = world.error(script);
        assert!(error.message.contains(says), "{script}: {}", error.message);
        assert_eq!(error.line, Some(1), "{script}");
    }
}
