use super::*;
use crate::{Limits, RuleFacts, WorkspaceFacts};
use serde_json::json;
use smarttasks_model::{
    ChangeId, Event, EventData, EventId, EventType, NewTask, RuleId, RunId, TaskId, Timestamp,
    UserId, WorkspaceId,
};
use std::time::Duration;

fn inputs() -> Inputs {
    let now: Timestamp = "2026-12-04T08:00:00Z".parse().unwrap();
    let workspace = WorkspaceId::derived(now, &[b"w"]);
    let owner_id = UserId::derived(now, &[b"u"]);
    let new: NewTask =
        serde_json::from_value(json!({ "title": "Renew", "tags": ["tls"] })).unwrap();
    let task = new.into_task(TaskId::derived(now, &[b"t"]), workspace, owner_id, now);
    Inputs {
        now,
        run_id: RunId::derived(now, &[b"run"]),
        workspace: Arc::new(WorkspaceFacts {
            id: workspace,
            name: "Home".to_owned(),
            timezone: Default::default(),
        }),
        rule: Arc::new(RuleFacts {
            id: RuleId::derived(now, &[b"rule"]),
            name: "Chase".to_owned(),
            version: 1,
            owner_id,
        }),
        event: Arc::new(Event {
            id: EventId::derived(now, &[b"event"]),
            workspace_id: workspace,
            kind: EventType::system("task.created"),
            task_id: Some(task.id),
            time: now,
            traceparent: None,
            change: ChangeId::derived(now, &[b"change"]),
            depth: 0,
            actor_id: None,
            rule_id: None,
            data: EventData::System(Box::default()),
        }),
        task: Some(Arc::new(task)),
        users: Arc::default(),
        state: Arc::default(),
        journal: Arc::default(),
        answers: Arc::default(),
        spent: Duration::ZERO,
    }
}

fn traced(script: &str) -> Traced {
    let language = Language::new(Limits {
        wall: Duration::from_secs(60),
        ..Limits::default()
    });
    let traced = language.tracer(script).unwrap().evaluate(inputs());
    let plain = language.compile(script).unwrap().evaluate(inputs());
    assert_eq!(traced.outcome.actions, plain.actions, "{script}");
    assert_eq!(traced.outcome.log, plain.log, "{script}");
    assert_eq!(traced.outcome.error, plain.error, "{script}");
    traced
}

fn sentence(script: &str) -> String {
    let decisive = traced(script).decisive;
    decisive.map_or_else(String::new, |guard| guard.sentence())
}

const ACT: &str = "{ task.tag(\"seen\"); }";

#[test]
fn the_part_that_is_false_is_told_with_its_values() {
    for (condition, expected) in [
        (
            "task.priority >= HIGH",
            "`task.priority >= HIGH` on line 2 is false (task.priority is normal)",
        ),
        (
            "task.is_open && task.title == \"x\"",
            "`task.title == \"x\"` on line 2 is false (task.title is \"Renew\")",
        ),
        (
            "task.is_open && (task.priority > HIGH || task.assignee != ())",
            "`task.assignee != ()` on line 2 is false (task.assignee is ())",
        ),
        (
            "!task.is_open",
            "`!task.is_open` on line 2 is false (task.is_open is true)",
        ),
        (
            "\"ops\" in task.tags",
            "`\"ops\" in task.tags` on line 2 is false (task.tags is [\"tls\"])",
        ),
        (
            "now() - task.created_at > hours(2)",
            "`now() - task.created_at > hours(2)` on line 2 is false (now() - task.created_at is 0, hours(2) is 2h)",
        ),
        (
            "changed(\"status\")",
            "`changed(\"status\")` on line 2 is false",
        ),
    ] {
        let script = format!("// why\nif {condition} {ACT}");
        assert_eq!(sentence(&script), expected);
    }
}

#[test]
fn what_was_left_out_is_not_told_and_what_was_not_reached_is_said_to_be_so() {
    let script = format!("if task.tags == [] && task.age > days(1) {{\n if task.is_open {ACT} }}");
    let guards = traced(&script).guards;
    let held: Vec<_> = guards
        .iter()
        .map(|guard| (guard.reached, guard.holds))
        .collect();
    assert_eq!(held, [(true, Some(false)), (false, None)]);
    assert_eq!(guards[0].parts[1].holds, None);
    assert_eq!(guards[0].parts[1].operands, []);
    assert_eq!(guards[1].line, Some(2));
}

#[test]
fn an_early_end_a_switch_and_a_condition_with_a_name_are_told() {
    let early = format!("if task.is_open {{ return; }}\n{}", &ACT[2..ACT.len() - 2]);
    assert_eq!(sentence(&early), "`task.is_open` on line 1 is true");
    let switch = "switch task.status { \"done\" => task.tag(\"seen\"), _ => () }";
    assert_eq!(
        sentence(switch),
        "`switch task.status` on line 1 found \"todo\""
    );
    let named = format!("let late = task.is_overdue && task.is_open;\nif late {ACT}");
    let guards = traced(&named).guards;
    assert_eq!(guards[0].condition, "task.is_overdue && task.is_open");
    assert_eq!(sentence(&named), "`late` on line 2 is false");
}

#[test]
fn a_condition_in_a_loop_shows_its_last_evaluation() {
    let script = format!("for n in 0..3 {{ if n > 5 || n == 7 {ACT} }}");
    let guards = traced(&script).guards;
    assert_eq!(guards[0].evaluations, 3);
    assert_eq!(guards[0].parts[1].operands[0].value, "2");
}

#[test]
fn scripts_of_every_form_come_to_the_same_as_without_telling() {
    for script in [
        "fn late(t) { t.is_overdue } if late(task) { task.tag(\"a\"); } else if task.is_open { task.tag(\"b\"); } else { task.tag(\"c\"); }",
        "let n = 0; while n < 3 && task.is_open { n += 1; if n == 2 { continue; } log(n); }",
        "let x = if task.is_open { 1 } else { 2 }; log(x);",
        "let a = [1, 2].filter(|n| n > 1); if a.len() == 1 { task.tag(\"one\"); }",
        "if told(1, 2) { task.tag(\"x\"); }",
        "if (task.title ?? \"\") == \"Renew\" && !(task.is_overdue || task.assignee != ()) { task.tag(\"x\"); }",
        "try { if task.nothing == 1 { } } catch { task.tag(\"caught\"); }",
        "do { task.tag(\"x\"); } while task.is_overdue;",
        "switch task.priority { NORMAL => 1, _ => 2 }",
        "if task.fields.x == 1 { } log(if 1 in [1] { \"in\" } else { \"out\" });",
    ] {
        traced_or_refused(script);
    }
}

fn traced_or_refused(script: &str) {
    let language = Language::new(Limits::default());
    if language.compile(script).is_ok() {
        traced(script);
    } else {
        assert!(language.tracer(script).is_err(), "{script}");
    }
}

#[test]
fn a_script_cannot_tell_by_itself() {
    let told = traced("if task.is_open { told(0, \"invented\"); }");
    assert!(told.outcome.error.is_some());
}
