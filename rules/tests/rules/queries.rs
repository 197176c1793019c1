//! What a script asks about its workspace.

use crate::support::{World, at};
use serde_json::json;
use smarttasks_model::{Priority, Status, TaskFilter};
use smarttasks_rules::{Action, Limits, Need, Query};

fn filter(world: &World, map: &str) -> TaskFilter {
    match world.queries(&format!("count({map})")).pop() {
        Some(Query::Count(filter)) => filter,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tasks_are_asked_for_by_every_key_that_the_api_knows() {
    let world = World::new();
    let task = world.inputs.task.clone().unwrap();
    let asked = filter(
        &world,
        "#{ status: [\"todo\", \"blocked\"], open: true, priority: HIGH, project: task.project,
            tag: \"tls\", assignee: task.assignee, creator: \"ann@example.com\", parent: task,
            overdue: false, due_before: now(), due_after: now() - days(1), created_before: now(),
            created_after: \"2026-01-01T00:00:00Z\", completed_after: now(),
            status_changed_before: now() - days(3), updated_since: now(), q: \"cert\" }",
    );
    let now = world.inputs.now;
    let expected = TaskFilter {
        status: vec![Status::Todo, Status::Blocked],
        open: Some(true),
        priority: vec![Priority::High],
        project: Some("website".to_owned()),
        tag: Some("tls".to_owned()),
        assignee_id: Some(world.bob.id),
        unassigned: None,
        creator_id: Some(world.ann.id),
        parent_id: Some(task.id),
        due_before: Some(now),
        due_after: Some(at("2026-12-03T08:00:00Z")),
        overdue: Some(false),
        created_before: Some(now),
        created_after: Some(at("2026-01-01T00:00:00Z")),
        completed_after: Some(now),
        status_changed_before: Some(at("2026-12-01T08:00:00Z")),
        updated_since: Some(now),
        q: Some("cert".to_owned()),
    };
    assert_eq!(asked, expected);
    assert_eq!(filter(&world, "#{}"), TaskFilter::default());
    assert_eq!(filter(&world, "#{ assignee: () }").unassigned, Some(true));
    assert_eq!(
        filter(&world, "#{ status: \"done\" }").status,
        [Status::Done]
    );
    assert_eq!(
        filter(&world, "#{ priority: [HIGH, URGENT] }").priority,
        [Priority::High, Priority::Urgent]
    );
    assert_eq!(
        filter(&world, "#{ parent: task.id }").parent_id,
        Some(task.id)
    );
}

#[test]
fn a_query_that_cannot_be_asked_names_its_key() {
    let world = World::new().with_task(|task| task.project = None);
    for (script, says) in [
        ("tasks(#{ stauts: \"todo\" })", "did you mean `status`?"),
        ("count(#{ colour: 1 })", "there are status, open"),
        ("count(#{ limit: 5 })", "`limit`"),
        ("tasks(#{ status: \"finished\" })", "`status`"),
        ("tasks(#{ project: task.project })", "`project` is absent"),
        ("tasks(#{ assignee: \"carl@example.com\" })", "no member"),
        ("tasks(#{ parent: 5 })", "expected a task or its id"),
        ("tasks(#{ parent: \"x\" })", "not the id of a task"),
        ("tasks(#{ due_before: days(1) })", "`due_before`"),
        ("tasks(#{ open: 1 })", "`open`"),
        ("tasks(#{ limit: 0 })", "from 1 to 1000"),
        ("tasks(#{ limit: 1001 })", "from 1 to 1000"),
        ("tasks(#{ limit: \"all\" })", "from 1 to 1000"),
        ("user(5)", "takes an address"),
    ] {
        let error = world.error(script);
        assert!(error.message.contains(says), "{script}: {}", error.message);
        assert_eq!(error.line, Some(1), "{script}");
    }
}

#[test]
fn what_is_found_is_read_like_the_task() {
    let world = World::new();
    assert_eq!(
        world.value("tasks(#{ open: true }).map(|t| `${t.title}: ${t.owner.name}`)"),
        json!(["Renew certificate: Bob", "Book a room: Ann"])
    );
    assert_eq!(world.value("tasks(#{ limit: 1 }).len"), 1);
    assert_eq!(world.value("count(#{ status: \"todo\" }) + count(#{})"), 3);
    assert_eq!(
        world.value("tasks(#{ assignee: task.assignee })[0] == task"),
        true
    );
    assert_eq!(world.value("tasks(#{ status: \"done\" })"), json!([]));
    let other = serde_json::to_value(&*world.stored[1]).unwrap();
    assert_eq!(world.value("tasks(#{})[1]"), other);
}

#[test]
fn what_is_found_can_be_acted_upon_and_later_reads_see_it() {
    let world = World::new();
    let actions = world.actions(
        "for t in tasks(#{ open: true }) { if t.due_at == () { t.update(#{ priority: URGENT }); t.tag(\"seen\"); t.assign(()) } }
         let other = tasks(#{ open: true })[1];
         if other.priority == URGENT && other.tags == [\"seen\"] && other.assignee == () { other.comment(\"so it is\") }",
    );
    let names: Vec<_> = actions.iter().map(Action::name).collect();
    assert_eq!(
        names,
        ["task.update", "task.tag", "task.assign", "task.comment"]
    );
    for action in &actions {
        assert_eq!(action.task_id(), Some(world.stored[1].id));
    }
    assert_eq!(world.stored[1].priority, Priority::Normal);
}

#[test]
fn the_task_itself_among_what_is_found_is_one_and_the_same() {
    let world = World::new();
    assert_eq!(
        world.value(
            "let found = tasks(#{})[0]; task.tag(\"a\"); found.tag(\"b\");
             [task.tags, found.tags, tasks(#{})[0].tags]"
        ),
        json!([["a", "b", "tls"], ["a", "b", "tls"], ["a", "b", "tls"]])
    );
}

#[test]
fn users_are_found_by_address_and_members_come_in_the_order_of_their_names() {
    let world = World::new();
    assert_eq!(
        world.value(
            "[user(\"BOB@example.com\") == task.assignee, user(\"eve@elsewhere.org\"), user(()), user(task.owner).name]"
        ),
        json!([true, null, null, "Bob"])
    );
    assert_eq!(
        world.value("members().map(|m| m.name)"),
        json!(["Ann", "Bob"])
    );
    assert_eq!(
        world.value("members().filter(|m| count(#{ assignee: m }) > 0).len"),
        2
    );
}

#[test]
fn a_query_is_a_need_that_nothing_can_catch() {
    let world = World::new();
    let script = "task.tag(\"x\"); try { count(#{}) } catch { task.tag(\"caught\") } [1].map(|n| count(#{ open: true }));";
    assert_eq!(world.queries(script).len(), 2);
    let program = world.language.compile(script).unwrap();
    let first = program.evaluate(world.inputs.clone());
    assert_eq!((first.actions, first.error), (Vec::new(), None));
    assert!(matches!(first.need, Some(Need::Query(Query::Count(_)))));
    assert_eq!(world.actions(script).len(), 1);
}

#[test]
fn a_script_asks_only_so_often() {
    let world = World::within(Limits {
        queries: 5,
        ..Limits::default()
    });
    let error = world.error("while true { count(#{}) }");
    assert_eq!(error.code, "limit_queries");
    assert_eq!(
        world.value("let n = 0; for i in 0..5 { n += count(#{}) } n"),
        10
    );
}
