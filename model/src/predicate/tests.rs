use super::*;
use crate::{
    Actor, ChangeId, Event, EventData, EventId, EventType, Priority, Snapshot, Span, Status, Task,
    TaskId, Timestamp, UserId, WorkspaceId,
};
use serde_json::json;

fn now() -> Timestamp {
    "2026-12-04T08:00:00Z".parse().unwrap()
}

fn task() -> Task {
    let id = |name: &str| crate::derive_id(now(), &[name.as_bytes()]);
    Task {
        id: TaskId(id("task")),
        workspace_id: WorkspaceId(id("workspace")),
        project: None,
        title: "Renew certificate".to_owned(),
        description: String::new(),
        status: Status::Blocked,
        priority: Priority::High,
        creator_id: UserId(id("ann")),
        assignee_id: None,
        tags: vec!["tls".to_owned()],
        due_at: Some(now() + Span::from_millis(-1)),
        fields: json!({ "seats": 3, "rate": 1.5, "plan": "gold", "deep": { "on": true } })
            .as_object()
            .cloned()
            .unwrap(),
        parent_id: None,
        version: 4,
        created_at: now() + "-7d".parse::<Span>().unwrap(),
        updated_at: now(),
        status_changed_at: now(),
        completed_at: None,
    }
}

fn event() -> Event {
    Event {
        id: EventId::derived(now(), &[b"event"]),
        workspace_id: task().workspace_id,
        kind: EventType::system("task.updated"),
        task_id: Some(task().id),
        time: now(),
        traceparent: None,
        change: ChangeId::derived(now(), &[b"change"]),
        depth: 0,
        actor_id: None,
        rule_id: None,
        data: EventData::System(Box::new(Snapshot {
            task: Some(task()),
            previous: Some(Task {
                status: Status::Todo,
                ..task()
            }),
            changes: vec!["status".to_owned()],
            actor: Some(Actor {
                id: task().creator_id,
                name: "Ann".to_owned(),
            }),
            more: json!({ "comment": { "text": "late" } })
                .as_object()
                .cloned()
                .unwrap(),
        })),
    }
}

fn is(field: Field, value: Value) -> Predicate {
    Predicate::test(Subject::Task(field), Check::is(value))
}

fn status(names: &[Status]) -> Predicate {
    let values = names.iter().copied().map(Value::Status);
    Predicate::test(Subject::Task(Field::Status), Check::one_of(values))
}

fn due(bounds: Bounds<Moment>) -> Predicate {
    Predicate::test(
        Subject::Task(Field::DueAt),
        Check::Range(Range::Time(bounds)),
    )
}

fn late() -> Predicate {
    due(Bounds::up_to(Moment::Now(Span::ZERO), false))
}

fn number(field: &str, bounds: Bounds<Number>) -> Predicate {
    Predicate::test(
        Subject::Task(Field::Custom(vec![field.to_owned()])),
        Check::Range(Range::Number(bounds)),
    )
}

fn holds(predicate: &Predicate) -> bool {
    let (task, event) = (task(), event());
    predicate.holds(&Facts {
        task: Some(&task),
        event: &event,
        now: now(),
    })
}

fn custom(path: &[&str], value: Value) -> Predicate {
    let path = path.iter().map(ToString::to_string).collect();
    is(Field::Custom(path), value)
}

#[test]
fn each_subject_is_found_where_it_is() {
    let data = |path: &[&str], value: Value| {
        let path = path.iter().map(ToString::to_string).collect();
        Predicate::test(Subject::EventData(path), Check::is(value))
    };
    let text = |text: &str| Value::Text(text.to_owned());
    for (predicate, expected) in [
        (status(&[Status::Blocked]), true),
        (status(&[Status::Todo]), false),
        (is(Field::Project, Value::Absent), true),
        (is(Field::Project, text("web")), false),
        (is(Field::Version, Value::Number(4.into())), true),
        (is(Field::Id, Value::Id(task().id.0)), true),
        (late(), true),
        (custom(&["plan"], text("gold")), true),
        (custom(&["plan", "inner"], Value::Absent), true),
        (custom(&["deep", "on"], Value::Bool(true)), true),
        (custom(&["seats"], text("3")), false),
        (data(&["comment", "text"], text("late")), true),
        (data(&["task", "title"], text("Renew certificate")), true),
        (data(&["changes"], text("status")), false),
        (
            Predicate::test(
                Subject::Previous(Field::Status),
                Check::is(Value::Status(Status::Todo)),
            ),
            true,
        ),
        (
            Predicate::test(
                Subject::Changed("status".to_owned()),
                Check::is(Value::Bool(true)),
            ),
            true,
        ),
        (
            Predicate::test(Subject::EventActor, Check::is(Value::Absent)),
            true,
        ),
        (
            Predicate::test(Subject::Task(Field::Tags), Check::Has("tls".to_owned())),
            true,
        ),
    ] {
        assert_eq!(holds(&predicate), expected, "{predicate}");
        assert_eq!(holds(&predicate.negate()), !expected, "not {predicate}");
        assert_eq!(predicate.negate().negate(), predicate);
    }
}

#[test]
fn numbers_compare_as_in_a_script() {
    let fraction = |value| Number::fraction(value).unwrap();
    assert_eq!(fraction(3.0), 3.into());
    assert!(fraction(0.1 + 0.2).equals(fraction(0.3)));
    assert!(!fraction(0.1 + 0.2).is_less(fraction(0.3)));
    assert!(!fraction(0.3).is_less(fraction(0.1 + 0.2)));
    assert!(Number::from(1).is_less(fraction(1.5)));
    assert!(Number::from(i64::MAX - 1).is_less(i64::MAX.into()));
    assert!(fraction(f64::EPSILON).equals(0.into()));
    assert!(Number::fraction(f64::NAN).is_none());
}

#[test]
fn what_says_the_same_is_written_the_same() {
    use Status::{Blocked, Done, InProgress, Todo};
    let gold = || custom(&["plan"], Value::Text("gold".to_owned()));
    let soon = due(Bounds::up_to(Moment::Now("2d".parse().unwrap()), true));
    let there = || is(Field::DueAt, Value::Absent).negate();
    for (predicate, words) in [
        (Predicate::all([]), "always"),
        (Predicate::any([]), "never"),
        (status(&[Todo]).and(status(&[Done])), "never"),
        (status(&[Todo]).or(status(&[Todo]).negate()), "always"),
        (
            status(&[Todo, Blocked]).and(status(&[Blocked, Done])),
            "the status is blocked",
        ),
        (
            status(&[Done]).negate(),
            "the status is todo, in_progress, blocked or cancelled",
        ),
        (
            status(&[InProgress]).or(status(&[Blocked])),
            "the status is in_progress or blocked",
        ),
        (late().and(soon.clone()), "the deadline is before now"),
        (
            late().or(soon.clone()),
            "the deadline is at or before now + 2d",
        ),
        (late().and(late().negate()), "never"),
        (late().or(late().negate()), "always"),
        (late().negate(), "the deadline is not before now"),
        (
            late().negate().and(there()),
            "the deadline is at or after now",
        ),
        (
            late().negate().and(soon),
            "the deadline is at or after now and at or before now + 2d",
        ),
        (late().and(there()), "the deadline is before now"),
        (gold().and(late().or(gold())), "the field plan is \"gold\""),
        (
            gold().or(gold().negate().and(late())),
            "the deadline is before now, or the field plan is \"gold\"",
        ),
        (
            gold().and(late()).or(gold().and(status(&[Todo]))),
            "the field plan is \"gold\", and (the status is todo, or the deadline is before now)",
        ),
        (
            gold().and(late()).or(gold().negate().and(late())),
            "the deadline is before now",
        ),
        (
            number("seats", Bounds::from(3.into(), false))
                .and(number("seats", Bounds::from(5.into(), true))),
            "the field seats is at least 5",
        ),
        (
            number("seats", Bounds::up_to(3.into(), false))
                .and(number("seats", Bounds::from(5.into(), true))),
            "never",
        ),
        (
            gold().and(custom(&["plan"], Value::Text("tin".to_owned())).negate()),
            "the field plan is \"gold\"",
        ),
        (
            gold()
                .negate()
                .and(custom(&["plan"], Value::Absent).negate()),
            "the field plan is there, and not \"gold\"",
        ),
    ] {
        assert_eq!(predicate.to_string(), words);
    }
}

#[test]
fn of_every_status_and_priority_together_it_is_always() {
    assert!(
        status(Status::ALL)
            .or(is(Field::Status, Value::Absent))
            .is_always()
    );
    let priorities = Priority::ALL.iter().copied().map(Value::Priority);
    let all = Check::one_of(priorities.chain([Value::Absent]));
    assert!(Predicate::test(Subject::Task(Field::Priority), all).is_always());
}

#[test]
fn what_would_grow_too_large_is_wider() {
    let field = |number: usize| custom(&[&format!("f{number}")], Value::Bool(true));
    let all = Predicate::all((0..100).map(field));
    assert_eq!(all.size(), 64);
    let any = Predicate::any((0..100).map(field));
    assert!(any.is_always());
    let pairs = |number| {
        field(number)
            .and(field(number + 1000))
            .and(field(number + 2000))
    };
    let any = Predicate::any((0..30).map(pairs));
    assert!(!any.is_always() && any.size() <= 64);
    for number in 0..30 {
        assert!(pairs(number).and(any.clone().negate()).is_never());
    }
}

#[test]
fn of_what_only_the_event_knows_a_task_tells_nothing() {
    let changed = Predicate::test(
        Subject::Changed("status".to_owned()),
        Check::is(Value::Bool(true)),
    );
    let both = changed.clone().and(late());
    assert_eq!(both.of_task(), late());
    assert!(changed.clone().or(late()).of_task().is_always());
    let (mut event, unchanged) = (event(), changed.negate());
    assert_eq!(both.for_event(&event, now()), late());
    assert!(unchanged.and(late()).for_event(&event, now()).is_never());
    event.data = EventData::Custom(json!({ "by": "hand" }));
    assert!(both.for_event(&event, now()).is_never());
    assert_eq!(changed.or(late()).for_event(&event, now()), late());
}

#[test]
fn what_is_of_another_kind_is_on_neither_side_of_a_bound() {
    let bounds = || Range::Text(Bounds::up_to("m".to_owned(), false));
    let text = |field| Predicate::test(Subject::Task(field), Check::Range(bounds()));
    for field in [Field::Priority, Field::DueAt, Field::Version] {
        let not_before = text(field.clone()).negate();
        assert!(not_before.to_string().contains(" not "), "{not_before}");
        assert!(holds(&not_before));
        assert!(holds(&not_before.and(is(field, Value::Absent).negate())));
    }
    assert!(!holds(&text(Field::Title).negate()));
}
