//! What a script asks for.

use crate::support::{World, at};
use serde_json::json;
use smarttasks_model::{NotifyBy, Priority, TaskChanges};
use smarttasks_rules::Action;

#[test]
fn email_goes_to_users_addresses_and_lists_of_them_each_mailbox_once() {
    let world = World::new();
    let to = |script: &str| match world.actions(script).pop() {
        Some(Action::Email {
            to,
            suppressed: None,
            ..
        }) => to
            .iter()
            .map(|to| (to.email.to_string(), to.name.clone(), to.user_id))
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let bob = (
        "bob@example.com".to_owned(),
        Some("Bob".to_owned()),
        Some(world.bob.id),
    );
    let stranger = ("eve@elsewhere.org".to_owned(), None, None);
    assert_eq!(
        to("email(task.owner, \"s\", \"t\")"),
        std::slice::from_ref(&bob)
    );
    assert_eq!(
        to("email(\"BOB@example.com\", \"s\", \"t\")"),
        std::slice::from_ref(&bob)
    );
    assert_eq!(
        to("email(\"eve@elsewhere.org\", \"s\", \"t\")"),
        std::slice::from_ref(&stranger)
    );
    assert_eq!(
        to(
            "email([task.owner, task.assignee, \"eve@elsewhere.org\", (), \"Eve@elsewhere.org\"], \"s\", \"t\")"
        ),
        [bob, stranger]
    );
}

#[test]
fn email_takes_a_map_with_html_and_keeps_its_subject_to_one_line() {
    let world = World::new();
    let actions = world.actions(
        "email(#{ to: task.owner, subject: \"Hi\\r\\nBcc: eve@example.com\", text: \"a\\nb\", html: \"<b>a</b>\" })",
    );
    let Action::Email {
        subject,
        text,
        html,
        ..
    } = &actions[0]
    else {
        panic!()
    };
    assert_eq!(subject, "Hi  Bcc: eve@example.com");
    assert_eq!(text, "a\nb");
    assert_eq!(html.as_deref(), Some("<b>a</b>"));
    assert_eq!(actions[0].name(), "email");
    assert_eq!(actions[0].detail()["to"], json!(["bob@example.com"]));
}

#[test]
fn an_email_without_a_recipient_is_suppressed_and_does_not_fail_the_run() {
    let world = World::new().with_task(|task| task.assignee_id = None);
    for script in [
        "email(task.assignee, \"s\", \"t\"); task.tag(\"told\")",
        "email([], \"s\", \"t\"); task.tag(\"told\")",
        "email([(), task.assignee], \"s\", \"t\"); task.tag(\"told\")",
        "email(#{ subject: \"s\", text: \"t\" }); task.tag(\"told\")",
    ] {
        let actions = world.actions(script);
        assert!(
            matches!(&actions[0], Action::Email { to, suppressed: Some(_), .. } if to.is_empty()),
            "{script}: {actions:?}"
        );
        assert_eq!(actions[1].name(), "task.tag");
        assert!(actions[0].detail()["suppressed"].is_string());
    }
    let mut gone = World::new();
    gone.inputs.users = Default::default();
    assert!(matches!(
        &gone.actions("email(task.owner, \"s\", \"t\")")[0],
        Action::Email { suppressed: Some(reason), .. } if reason.contains("no longer")
    ));
}

#[test]
fn a_mail_that_cannot_be_is_an_error() {
    let world = World::new();
    for (script, says) in [
        (
            "email(\"not an address\", \"s\", \"t\")",
            "not an e-mail address",
        ),
        ("email(5, \"s\", \"t\")", "not a number"),
        ("email(task.owner, 5, \"t\")", "`subject` must be a text"),
        (
            "email(task.owner, \"s\", now())",
            "`text` must be a text, not a time",
        ),
        ("email(task.owner, \"  \", \"t\")", "must not be empty"),
        (
            "email(#{ to: task.owner, subjekt: \"s\", text: \"t\" })",
            "did you mean `subject`?",
        ),
        (
            "let to = []; for n in 0..101 { to.push(`u${n}@example.com`) } email(to, \"s\", \"t\")",
            "at most 100",
        ),
    ] {
        let error = world.error(script);
        assert!(error.message.contains(says), "{script}: {}", error.message);
        assert_eq!(error.line, Some(1));
    }
}

#[test]
fn a_webhook_carries_any_value_as_the_api_would_show_it() {
    let world = World::new();
    let task = world.inputs.task.clone().unwrap();
    assert_eq!(
        world.value("#{ p: HIGH, t: now(), d: minutes(3), n: (), x: [1, 2.5, true, 'c'] }"),
        json!({ "p": "high", "t": crate::support::NOW, "d": 180, "n": null, "x": [1, 2.5, true, "c"] })
    );
    assert_eq!(world.value("task"), serde_json::to_value(&*task).unwrap());
    assert_eq!(
        world.value("rule"),
        json!({ "id": world.inputs.rule.id, "name": "Chase", "version": 3 })
    );
    assert_eq!(
        world.value("event.actor"),
        json!({ "id": world.ann.id, "name": "Ann", "email": "ann@example.com" })
    );
    assert!(matches!(&world.actions("webhook(\"ops\", task)")[0],
        Action::Webhook { endpoint, .. } if endpoint == "ops"));
    assert!(
        world
            .error("webhook(\"ops\", |x| x)")
            .message
            .contains("cannot be written as JSON")
    );
    assert!(
        world
            .error("webhook(\"\", 1)")
            .message
            .contains("must not be empty")
    );
    assert!(
        world
            .error("webhook(5, 1)")
            .message
            .contains("must be a text")
    );
}

#[test]
fn task_update_records_checked_changes_and_later_reads_see_them() {
    let world = World::new();
    let actions = world.actions(
        "task.update(#{ priority: URGENT, due_at: now() + days(1), project: (), assignee: task.creator,
                        fields: #{ seats: 13, customer: () }, tags: [\"b\", \"a\", \"b\"], title: \" New \" });
         if task.priority == URGENT && task.assignee.name == \"Ann\" && task.fields.seats == 13
            && task.fields.customer == () && task.title == \"New\" && task.version == 5 && task.project == ()
            && task.tags == [\"a\", \"b\"] { task.comment(\"seen\") }",
    );
    let Action::UpdateTask { task_id, changes } = &actions[0] else {
        panic!()
    };
    assert_eq!(*task_id, world.inputs.task.as_ref().unwrap().id);
    assert_eq!(
        *changes,
        TaskChanges {
            priority: Some(Priority::Urgent),
            due_at: Some(Some(at("2026-12-05T08:00:00Z"))),
            project: Some(None),
            assignee_id: Some(Some(world.ann.id)),
            fields: Some(
                json!({ "seats": 13, "customer": null })
                    .as_object()
                    .cloned()
            ),
            tags: Some(vec!["a".to_owned(), "b".to_owned()]),
            title: Some("New".to_owned()),
            ..TaskChanges::default()
        }
    );
    assert_eq!(actions[1].name(), "task.comment");
    // The caller's task is its own.
    assert_eq!(world.inputs.task.as_ref().unwrap().version, 4);
}

#[test]
fn a_change_that_cannot_be_names_its_field() {
    let world = World::new();
    for (script, says) in [
        ("task.update(#{ titel: \"x\" })", "did you mean `title`?"),
        ("task.update(#{ title: 5 })", "`title`"),
        ("task.update(#{ title: \"\" })", "`title` must not be empty"),
        ("task.update(#{ status: \"finished\" })", "`status`"),
        ("task.update(#{ priority: \"highest\" })", "`priority`"),
        (
            "task.update(#{ due_at: \"tomorrow\", title: \"x\" })",
            "`due_at`",
        ),
        ("task.update(#{ due_at: days(1) })", "`due_at`"),
        ("task.update(#{ tags: \"a\" })", "`tags`"),
        ("task.update(#{ assignee: 5 })", "`assignee`"),
        (
            "task.update(#{ assignee: \"carl@example.com\" })",
            "no member",
        ),
        ("task.update(#{ version: 5 })", "no field `version`"),
        ("task.assign(\"carl@example.com\")", "no member"),
        ("task.comment(\"\")", "must not be empty"),
        ("task.comment(5)", "must be a text"),
        ("task.tag(\"\")", "must not be empty"),
        ("previous.update(#{ title: \"x\" })", "`previous`"),
        ("previous.tag(\"x\")", "`previous`"),
        ("create_task(#{})", "`title` is missing"),
        ("create_task(#{ title: \"a\", due: now() })", "`due`"),
        ("emit(\"task.created\", 1)", "system's own"),
        ("emit(\"Nonsense\", 1)", "expected two to eight segments"),
    ] {
        let error = world.error(script);
        assert!(error.message.contains(says), "{script}: {}", error.message);
    }
}

#[test]
fn assignment_to_a_field_says_how_it_is_done() {
    let world = World::new();
    for script in [
        "task.title = \"x\"",
        "task.tags.push(\"x\")",
        "task.fields.seats = 1",
        "task.tags[0] = \"x\"",
        "task.version += 1",
    ] {
        let error = world.error(script);
        assert!(
            error.message.contains("task.update"),
            "{script}: {}",
            error.message
        );
    }
    // Methods that only look must work all the same.
    assert_eq!(world.value("[task.tags.contains(\"tls\"), \"tls\" in task.tags, task.tags.len(), task.fields.len()]"),
        json!([true, true, 1, 4]));
}

#[test]
fn assign_comment_tag_and_untag_act_and_are_seen() {
    let world = World::new();
    let actions = world.actions(
        "task.assign(task.creator); task.comment(\"a\\nb\"); task.tag(\" new \"); task.tag(\"tls\"); task.untag(\"tls\");
         if task.assignee == task.creator && task.tags == [\"new\"] { task.assign(()) }
         if task.assignee == () { task.assign(\"bob@example.com\") }
         if task.owner.name == \"Bob\" { log(\"ok\") }",
    );
    let names: Vec<_> = actions.iter().map(Action::name).collect();
    assert_eq!(
        names,
        [
            "task.assign",
            "task.comment",
            "task.tag",
            "task.tag",
            "task.untag",
            "task.assign",
            "task.assign"
        ]
    );
    assert!(matches!(&actions[2], Action::TagTask { tag, .. } if tag == "new"));
    assert!(matches!(
        &actions[5],
        Action::AssignTask { user_id: None, .. }
    ));
    assert!(
        matches!(&actions[6], Action::AssignTask { user_id: Some(id), .. } if *id == world.bob.id)
    );
    let mut task = (**world.inputs.task.as_ref().unwrap()).clone();
    task.tags = vec!["later".to_owned()];
    let changes = actions[2].changes_for(&task).unwrap();
    assert_eq!(
        changes.tags,
        Some(vec!["later".to_owned(), "new".to_owned()])
    );
}

#[test]
fn a_made_task_has_an_id_of_its_run_and_can_be_acted_on() {
    let world = World::new();
    let script = "let sub = create_task(#{ title: \"Check\", parent_id: task.id, assignee: task.owner, priority: LOW });
         sub.tag(\"auto\"); let other = create_task(#{ title: \"Other\" });
         if sub.id != other.id && sub.tags == [\"auto\"] && sub.owner.name == \"Bob\" && other.owner.name == \"Ann\"
            && sub != other && sub == sub && sub.is_open { webhook(\"ops\", sub) }";
    let actions = world.actions(script);
    assert_eq!(actions.len(), 4);
    let Action::CreateTask {
        id,
        creator_id,
        task,
    } = &actions[0]
    else {
        panic!()
    };
    assert_eq!((task.title.as_str(), *creator_id), ("Check", world.ann.id));
    assert_eq!(actions[1].task_id(), Some(*id));
    assert!(matches!(&actions[3], Action::Webhook { payload, .. } if payload["id"] == json!(id)));
    assert_eq!(
        world.actions(script),
        actions,
        "the same run makes the same tasks"
    );
    let mut other = World::new();
    other.inputs.run_id = smarttasks_model::RunId::derived(at(crate::support::NOW), &[b"another"]);
    assert_ne!(other.actions(script)[0].task_id(), Some(*id));
}

#[test]
fn emit_raises_a_custom_event() {
    let actions =
        World::new().actions("emit(\"ci.retry\", #{ task: task.id }); emit(\"ci.done\");");
    assert!(
        matches!(&actions[0], Action::Emit { kind, data } if kind.as_str() == "ci.retry" && data["task"].is_string())
    );
    assert!(matches!(&actions[1], Action::Emit { data, .. } if data.is_null()));
}

#[test]
fn a_notification_reaches_a_user_by_the_channel_that_they_prefer() {
    let mut world = World::new();
    let script = "notify(task.owner, \"Late\\nagain\", `${task.title} is late`); notify(\"ann@example.com\", \"a\", \"b\")";
    let actions = world.actions(script);
    assert!(
        matches!(&actions[0], Action::Notify { to, title, text, suppressed: None }
        if to[0].user_id == Some(world.bob.id) && title == "Late again" && text == "Renew certificate is late")
    );
    assert_eq!(actions[0].name(), "notify");
    assert_eq!(
        actions[0].detail(),
        json!({ "to": ["bob@example.com"], "title": "Late again" })
    );
    let users = std::sync::Arc::make_mut(&mut world.inputs.users);
    users.get_mut(&world.bob.id).unwrap().notify_by = NotifyBy::Off;
    let actions = world.actions(script);
    assert!(
        matches!(&actions[0], Action::Notify { to, suppressed: Some(reason), .. }
        if to.is_empty() && reason.contains("turned notifications off"))
    );
    assert!(matches!(
        &actions[1],
        Action::Notify {
            suppressed: None,
            ..
        }
    ));
    assert!(matches!(
        &world.actions("email(task.owner, \"a\", \"b\")")[0],
        Action::Email {
            suppressed: None,
            ..
        }
    ));
}

#[test]
fn a_notification_that_cannot_be_is_suppressed_or_an_error() {
    let world = World::new().with_task(|task| task.assignee_id = None);
    assert!(matches!(
        &world.actions("notify(task.assignee, \"a\", \"b\")")[0],
        Action::Notify { suppressed: Some(reason), .. } if reason.contains("absent")
    ));
    for (script, says) in [
        ("notify([task.owner], \"a\", \"b\")", "one user, not a list"),
        ("notify(\"eve@elsewhere.org\", \"a\", \"b\")", "no member"),
        ("notify(5, \"a\", \"b\")", "expected a user"),
        (
            "notify(task.owner, \"\", \"b\")",
            "`title` must not be empty",
        ),
        ("notify(task.owner, \"a\", 5)", "`text` must be a text"),
    ] {
        let error = world.error(script);
        assert!(error.message.contains(says), "{script}: {}", error.message);
    }
}
