//! What a script sees.

use crate::support::World;
use serde_json::json;
use smarttasks_model::{EventData, EventType, Status};

#[test]
fn a_script_reads_every_field_of_its_task() {
    let world = World::new();
    let task = world.inputs.task.clone().unwrap();
    assert_eq!(world.value("task.id"), json!(task.id));
    assert_eq!(world.value("task.workspace_id"), json!(task.workspace_id));
    assert_eq!(world.value("task.project"), "website");
    assert_eq!(world.value("task.title"), "Renew certificate");
    assert_eq!(world.value("task.description"), "Before it runs out.");
    assert_eq!(world.value("task.status"), "in_progress");
    assert_eq!(world.value("task.priority"), "high");
    assert_eq!(world.value("task.creator_id"), json!(world.ann.id));
    assert_eq!(world.value("task.assignee_id"), json!(world.bob.id));
    assert_eq!(world.value("task.tags"), json!(["tls"]));
    assert_eq!(world.value("task.due_at"), "2026-12-01T09:00:00Z");
    assert_eq!(world.value("task.parent_id"), json!(null));
    assert_eq!(world.value("task.version"), 4);
    assert_eq!(world.value("task.completed_at"), json!(null));
    assert_eq!(
        world.value("[task.created_at, task.updated_at, task.status_changed_at]"),
        json!([
            "2026-11-24T08:00:00Z",
            "2026-12-02T08:00:00Z",
            "2026-12-02T08:00:00Z"
        ])
    );
}

#[test]
fn a_script_reads_what_follows_from_the_task() {
    let world = World::new();
    assert_eq!(
        world.value("[task.is_open, task.is_overdue]"),
        json!([true, true])
    );
    assert_eq!(
        world.value("[task.age, task.time_in_status]"),
        json!([864_000, 172_800])
    );
    assert_eq!(world.value("task.age == days(10)"), true);
    let done = World::new().with_task(|task| task.status = Status::Done);
    assert_eq!(
        done.value("[task.is_open, task.is_overdue]"),
        json!([false, false])
    );
    let open_end = World::new().with_task(|task| task.due_at = None);
    assert_eq!(
        open_end.value("[task.is_overdue, task.due_at]"),
        json!([false, null])
    );
}

#[test]
fn people_have_a_name_and_an_address_and_the_owner_is_assignee_or_creator() {
    let world = World::new();
    assert_eq!(
        world.value("[task.owner.name, task.assignee.email, task.creator.name]"),
        json!(["Bob", "bob@example.com", "Ann"])
    );
    assert_eq!(
        world.value("task.owner == task.assignee && task.owner != task.creator"),
        true
    );
    assert_eq!(world.value("event.actor == task.creator"), true);
    let free = World::new().with_task(|task| task.assignee_id = None);
    assert_eq!(
        free.value("[task.owner.name, task.assignee == (), task.assignee?.name]"),
        json!(["Ann", true, null])
    );
    assert_eq!(
        world.value("task.owner"),
        json!({ "id": world.bob.id, "name": "Bob", "email": "bob@example.com" })
    );
}

#[test]
fn custom_fields_are_read_by_name_and_a_missing_one_is_absent() {
    let world = World::new();
    assert_eq!(world.value("task.fields.customer"), "acme");
    assert_eq!(world.value("task.fields.seats + 1"), 13);
    assert_eq!(world.value("task.fields.rate * 2.0"), 3.0);
    assert_eq!(world.value("task.fields.nested.deep[1]"), 2);
    assert_eq!(world.value("task.fields.colour"), json!(null));
    assert_eq!(world.value("\"customer\" in task.fields"), true);
    assert_eq!(world.value("task.fields.keys().len"), 4);
}

#[test]
fn a_missing_field_of_the_task_is_an_error_with_the_nearest_name() {
    let world = World::new();
    let found = &world.refused("if task.titel == \"x\" {\n  log(task.colour);\n}");
    assert_eq!(
        (found[0].code, found[0].line, found[0].column),
        ("unknown_field", Some(1), Some(9))
    );
    assert_eq!(found[0].hint.as_deref(), Some("did you mean `title`?"));
    assert_eq!((found[1].code, found[1].line), ("unknown_field", Some(2)));
    assert!(found[1].hint.as_ref().unwrap().contains("due_at"));
    // What only shows at run time is found there.
    let error = world.error("let t = task;\nlog(t.titel);");
    assert_eq!(
        (error.code.as_str(), error.line),
        ("unknown_field", Some(2))
    );
    assert!(
        error.message.contains("did you mean `title`?"),
        "{}",
        error.message
    );
    assert_eq!(world.refused("log(event.kind)")[0].code, "unknown_field");
    assert_eq!(world.refused("log(rule.titel)")[0].code, "unknown_field");
    assert!(
        world
            .error("let o = task.owner; log(o.mail)")
            .message
            .contains("`email`")
    );
}

#[test]
fn what_stands_on_an_absent_value_says_so() {
    let world = World::new().with_task(|task| task.assignee_id = None);
    let error = world.error("log(task.assignee.name)");
    assert_eq!(error.code, "unknown_field");
    assert!(error.message.contains("absent"), "{}", error.message);
    let mut world = World::new();
    world.inputs.task = None;
    assert_eq!(
        world.value("[task == (), previous.title]"),
        json!([true, "Renew"])
    );
    assert!(world.error("log(task.title)").message.contains("absent"));
}

#[test]
fn previous_is_the_task_before_and_changed_tells_which_fields_differ() {
    let world = World::new();
    assert_eq!(
        world.value("[previous.status, previous.title, task.status]"),
        json!(["todo", "Renew", "in_progress"])
    );
    assert_eq!(
        world.value("[changed(\"status\"), changed(\"due_at\"), changed(\"assignee\")]"),
        json!([true, false, false])
    );
    assert!(
        world
            .error("log(changed(\"stauts\"))")
            .message
            .contains("`status`")
    );
    let world =
        World::new().with_event(|event| event.data = EventData::Custom(json!({ "build": 7 })));
    assert_eq!(
        world.value("[previous == (), changed(\"status\"), event.data.build]"),
        json!([true, false, 7])
    );
}

#[test]
fn the_event_the_rule_and_the_workspace_can_be_read() {
    let world = World::new();
    let event = &world.inputs.event;
    assert_eq!(
        world.value("[event.id, event.type, event.time]"),
        json!([event.id, "task.updated", "2026-12-04T07:59:59Z"])
    );
    assert_eq!(
        world.value("event.data.changes"),
        json!(["status", "title"])
    );
    assert_eq!(
        world.value("[rule.name, rule.version]"),
        json!(["Chase", 3])
    );
    assert_eq!(
        world.value("[workspace.name, workspace.timezone]"),
        json!(["Home", "Europe/Berlin"])
    );
    let world =
        World::new().with_event(|event| event.kind = EventType::custom("ci.failed").unwrap());
    assert_eq!(world.value("event.type == \"ci.failed\""), true);
}

#[test]
fn host_names_resolve_in_functions_and_closures_too() {
    let world = World::new();
    assert_eq!(
        world.value("[1, 2].map(|n| `${task.title} ${n} ${now().year}`)"),
        json!(["Renew certificate 1 2026", "Renew certificate 2 2026"])
    );
    let actions =
        world.actions("fn say() { if task.priority >= HIGH { task.tag(rule.name) } }\nsay();");
    assert_eq!(actions[0].name(), "task.tag");
}

#[test]
fn host_names_cannot_be_assigned_or_shadowed() {
    let world = World::new();
    for script in [
        "let task = 1;",
        "const HIGH = 1;",
        "task = 1;",
        "HIGH += 1;",
        "for task in [1] { log(task) }",
        "for (x, event) in [1] { log(x) }",
        "fn f(task) { task } f(1);",
        "[1].map(|rule| rule);",
        "try { log(1) } catch (event) { log(2) }",
        "if true { let workspace = 1; }",
    ] {
        let found = world.refused(script);
        assert_eq!(found[0].code, "reserved_name", "{script}: {found:?}");
        assert_eq!(found[0].line, Some(1), "{script}");
    }
}

#[test]
fn times_are_added_subtracted_and_compared() {
    let world = World::new();
    assert_eq!(world.value("now()"), crate::support::NOW);
    assert_eq!(world.value("now() - task.due_at"), 3 * 86_400 - 3_600);
    assert_eq!(
        world.value("now() + days(1) - hours(2)"),
        "2026-12-05T06:00:00Z"
    );
    assert_eq!(world.value("minutes(30) + now()"), "2026-12-04T08:30:00Z");
    assert_eq!(
        world.value("[seconds(5), minutes(2), hours(1), days(1), weeks(1)]"),
        json!([5, 120, 3_600, 86_400, 604_800])
    );
    assert_eq!(world.value("hours(1.5)"), 5_400);
    assert_eq!(
        world.value("[hours(1) * 3, 2 * hours(1), hours(3) / 2, -hours(1), days(1) - hours(1)]"),
        json!([10_800, 7_200, 5_400, -3_600, 82_800])
    );
    assert_eq!(world.value("days(1) / hours(6)"), 4.0);
    assert_eq!(
        world.value("[days(2).hours, hours(30).days, minutes(90).hours, weeks(1).days]"),
        json!([48, 1, 1, 7])
    );
    assert_eq!(
        world.value("task.due_at < now() && now() >= now() && now() != task.due_at"),
        true
    );
    assert_eq!(
        world.value("hours(25) > days(1) && days(1) == hours(24) && days(1) <= weeks(1)"),
        true
    );
    assert_eq!(
        world.value("let t = now(); t += days(1); t -= hours(1); t"),
        "2026-12-05T07:00:00Z"
    );
    assert_eq!(
        world.value("`${hours(50) + minutes(5)} ${-minutes(1)} ${seconds(0)}`"),
        "2d 2h 5m -1m 0s"
    );
    assert_eq!(
        world.value("timestamp(\"2026-12-05T00:00:00+01:00\") - now()"),
        54_000
    );
    assert_eq!(
        world.value("max(now(), task.due_at) == now() && (-hours(1)).abs() == hours(1)"),
        true
    );
}

#[test]
fn times_are_taken_apart_in_the_workspace_zone_unless_another_is_said() {
    let world = World::new();
    assert_eq!(
        world.value("let t = now(); [t.year, t.month, t.day, t.hour, t.minute, t.second]"),
        json!([2026, 12, 4, 9, 0, 0])
    );
    assert_eq!(
        world.value("[now().weekday, now().is_weekend, now().zone]"),
        json!(["Friday", false, "Europe/Berlin"])
    );
    assert_eq!(world.value("now().in_zone(\"Asia/Tokyo\").hour"), 17);
    assert_eq!(
        world.value("(now().in_zone(\"Pacific/Auckland\") + hours(12)).weekday"),
        "Saturday"
    );
    assert_eq!(world.value("now().in_zone(\"UTC\") == now()"), true);
    assert_eq!(world.value("now().format(\"%d %b %H:%M\")"), "04 Dec 09:00");
    assert_eq!(
        world.value("now().in_zone(\"America/New_York\").format(\"%A %I %p\")"),
        "Friday 03 AM"
    );
    assert_eq!(world.value("`${task.due_at}`"), "2026-12-01T10:00:00+01:00");
}

#[test]
fn a_bad_pattern_zone_or_length_is_an_error_and_nothing_worse() {
    let world = World::new();
    for script in [
        "log(now().format(\"%Q\"))",
        "log(now().format(\"%\"))",
        "let p = \"%c\"; p.pad(70, \"%c\"); log(now().format(p))",
        "log(now().in_zone(\"Mars/Olympus\"))",
        "log(timestamp(\"tomorrow\"))",
        "log(days(99999999999999999))",
        "log(hours(1e300))",
        "log(hours(\"1\"))",
        "log(days(1) / 0)",
        "log(days(1) / days(0))",
    ] {
        assert_eq!(world.error(script).code, "runtime_error", "{script}");
    }
    assert_eq!(
        world.value("now() + days(36600) + days(36600) * 1000000000"),
        "9999-12-31T23:59:59.999Z"
    );
}

#[test]
fn priorities_are_ordered_and_print_as_their_text() {
    let world = World::new();
    assert_eq!(
        world.value("LOW < NORMAL && NORMAL < HIGH && HIGH < URGENT && task.priority >= HIGH"),
        true
    );
    assert_eq!(
        world.value("[LOW, NORMAL, HIGH, URGENT, `${HIGH}`]"),
        json!(["low", "normal", "high", "urgent", "high"])
    );
    assert_eq!(world.value("task.priority in [HIGH, URGENT]"), true);
    assert_eq!(
        world.value("task.priority == HIGH && task.priority != LOW && max(LOW, HIGH) == HIGH"),
        true
    );
}

#[test]
fn what_cannot_be_compared_is_an_error_rather_than_false() {
    let world = World::new();
    for (script, code) in [
        (
            "if task.priority == \"high\" { log(1) }",
            "mixed_comparison",
        ),
        (
            "if \"urgent\" != task.priority { log(1) }",
            "mixed_comparison",
        ),
        ("if task.priority >= 3 { log(1) }", "mixed_comparison"),
        ("if task.due_at < 5 { log(1) }", "mixed_comparison"),
        ("if task.age > 86400 { log(1) }", "mixed_comparison"),
        (
            "if task.status == \"finished\" { log(1) }",
            "unknown_status",
        ),
        ("if task.status != \"dnoe\" { log(1) }", "unknown_status"),
    ] {
        let found = world.refused(script);
        assert_eq!((found.len(), found[0].code), (1, code), "{script}");
        assert!(found[0].hint.is_some(), "{script}");
    }
    for script in [
        "let p = \"high\"; if task.priority == p { log(1) }",
        "let p = 3; if p < task.priority { log(1) }",
        "let n = 5; if task.due_at > n { log(1) }",
        "let n = \"2026-12-01\"; if n != task.due_at { log(1) }",
        "let n = 5; if task.age > n { log(1) }",
        "let who = \"bob\"; if task.owner == who { log(1) }",
        "if task.priority == now() { log(1) }",
        "if [1, \"a\"].contains(HIGH) { log(1) }",
    ] {
        let error = world.error(script);
        assert!(
            error.message.contains("cannot be compared with"),
            "{script}: {}",
            error.message
        );
        assert_eq!(error.line, Some(1), "{script}");
    }
}

#[test]
fn an_absent_value_equals_nothing_and_is_neither_less_nor_more() {
    let world = World::new().with_task(|task| {
        task.due_at = None;
        task.assignee_id = None;
    });
    assert_eq!(
        world.value(
            "[task.due_at == (), task.due_at != (), task.due_at == now(), task.due_at != now()]"
        ),
        json!([true, false, false, true])
    );
    assert_eq!(
        world.value("[task.due_at < now(), task.due_at >= now(), now() > task.due_at]"),
        json!([false, false, false])
    );
    assert_eq!(
        world.value("[HIGH != (), () == HIGH, task != (), task.owner != ()]"),
        json!([true, false, true, true])
    );
}
