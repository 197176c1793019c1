//! Rules: what starts them, what they may do, and that each does it once.

mod templates;
mod time;

use crate::harness::{Client, TestApp, hours};
use serde_json::{Value, json};
use smarttasks_model::{Event, EventPattern, Message};
use smarttasks_store::{Page, events};
use std::sync::Arc;

async fn runs_of(ann: &Client, rule: &Value) -> Vec<Value> {
    ann.list(&format!(
        "/api/v1/runs?rule_id={}",
        rule["id"].as_str().unwrap()
    ))
    .await
}

/// The recorded events of the workspace, oldest first.
async fn recorded(app: &TestApp, ann: &Client) -> Vec<Event> {
    let workspace = ann.user["personal_workspace_id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let page = Page {
        limit: 250,
        after: None,
    };
    let listed = events::list(app.db(), workspace, &events::Filter::default(), &page).await;
    let mut rows = listed.unwrap().rows;
    rows.reverse();
    rows
}

async fn deliver_again(app: &TestApp, event: &Event) {
    let event = Arc::new(event.clone());
    app.db()
        .write(move |tx| {
            let message = Message::Event(Arc::clone(&event));
            Box::pin(async move { tx.publish(message) })
        })
        .await
        .unwrap();
    app.settle().await;
}

#[tokio::test]
async fn an_event_delivered_twice_runs_a_rule_once() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.create_task(json!({ "title": "Pay invoice" })).await;
    app.settle().await;
    let events = recorded(&app, &ann).await;
    let created = events
        .iter()
        .find(|event| event.kind.as_str() == "task.created")
        .unwrap();
    deliver_again(&app, created).await;
    deliver_again(&app, created).await;
    assert_eq!(ann.list("/api/v1/runs").await.len(), 1);
    assert_eq!(app.subjects_to("ann"), ["New task: Pay invoice"]);
}

#[tokio::test]
async fn a_rule_edited_between_commit_and_acknowledgement_does_not_run_again() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let rule = ann
        .create_rule("tag", "task.created", "task.tag(\"seen\");")
        .await;
    ann.create_task(json!({ "title": "Pay invoice" })).await;
    app.settle().await;
    let events = recorded(&app, &ann).await;
    let created = events
        .iter()
        .find(|event| event.kind.as_str() == "task.created")
        .unwrap();

    // The engine has committed; the message comes again after an edit.
    let path = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap());
    let edited = ann
        .patch(&path, json!({ "script": "task.tag(\"edited\");" }))
        .await;
    assert_eq!(edited.status, 200, "{}", edited.body);
    deliver_again(&app, created).await;
    let runs = runs_of(&ann, &rule).await;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["rule_version"], 1);
    assert_eq!(ann.list("/api/v1/tasks").await[0]["tags"], json!(["seen"]));
}

#[tokio::test]
async fn two_relays_and_two_schedulers_on_one_database_do_everything_once() {
    let mut app = TestApp::start().await;
    app.service().add_relay();
    app.service().add_scheduler();
    let ann = app.register("ann").await;
    for number in 0..20 {
        let due_at = app.later(hours(1));
        ann.create_task(json!({ "title": format!("Task {number}"), "due_at": due_at }))
            .await;
    }
    app.pass(hours(2)).await;
    let subjects = app.subjects_to("ann");
    assert_eq!(subjects.len(), 40, "{subjects:?}");
    let mut distinct = subjects.clone();
    distinct.dedup();
    assert_eq!(distinct, subjects);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_buried_and_the_others_pass() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    app.settle().await;
    // What an older or newer version may have left: a system event without its data's shape.
    let mut broken = recorded(&app, &ann).await.remove(0);
    broken.data = smarttasks_model::EventData::Custom(json!("not a snapshot"));
    deliver_again(&app, &broken).await;
    ann.create_task(json!({ "title": "Pay invoice" })).await;
    app.settle().await;
    assert_eq!(app.subjects_to("ann"), ["New task: Pay invoice"]);
}

#[tokio::test]
async fn a_script_does_everything_that_it_may() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let script = r##"
        task.update(#{ priority: URGENT, fields: #{ seen: true } });
        task.assign(event.actor);
        task.tag("hot");
        task.untag("cold");
        task.comment(`Seen by ${rule.name}`);
        let follow_up = create_task(#{ title: `Follow up: ${task.title}`, parent_id: task.id });
        emit("shop.checked", #{ task: task.id, follow_up: follow_up.id });
        log(`priority is ${task.priority}`);
        email("outsider@example.org", "Seen", "As said.");
    "##;
    let rule = ann
        .create_rule(
            "everything",
            "task.created",
            &format!("if task.project == \"shop\" {{ {script} }}"),
        )
        .await;
    let task = json!({ "title": "Pay invoice", "project": "shop", "tags": ["cold"] });
    let task = ann.create_task(task).await;
    app.settle().await;

    let runs = runs_of(&ann, &rule).await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(runs[0]["status"], "succeeded", "{}", runs[0]);
    let actions: Vec<_> = runs[0]["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| &action["action"])
        .collect();
    assert_eq!(
        actions,
        [
            "task.update",
            "task.assign",
            "task.tag",
            "task.untag",
            "task.comment",
            "create_task",
            "emit",
            "email"
        ]
    );
    assert_eq!(runs[0]["log"], json!(["priority is urgent"]));

    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    let task = ann.get(&path).await.body;
    assert_eq!(task["priority"], "urgent");
    assert_eq!(task["fields"], json!({ "seen": true }));
    assert_eq!(task["assignee_id"], ann.user["id"]);
    assert_eq!(task["tags"], json!(["hot"]));
    let comments = ann.list(&format!("{path}/comments")).await;
    assert_eq!(comments[0]["text"], "Seen by everything");
    assert_eq!(comments[0]["rule_id"], rule["id"]);
    let tasks = ann.list("/api/v1/tasks?q=follow").await;
    assert_eq!(tasks[0]["title"], "Follow up: Pay invoice");
    assert_eq!(tasks[0]["parent_id"], task["id"]);
    let emitted = ann.list("/api/v1/events?type=shop.checked").await;
    assert_eq!(
        emitted[0]["data"],
        json!({ "task": task["id"], "follow_up": tasks[0]["id"] })
    );
    assert_eq!(emitted[0]["depth"], 1);
    assert_eq!(app.mails()[0].to, "outsider@example.org");
}

#[tokio::test]
async fn a_rule_that_does_not_match_leaves_no_row() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let script = "log(\"looking\"); if task.priority >= HIGH { task.tag(\"hot\"); }";
    let rule = ann.create_rule("hot", "task.created", script).await;
    ann.create_task(json!({ "title": "Calm" })).await;
    app.settle().await;
    assert!(runs_of(&ann, &rule).await.is_empty());
    ann.create_task(json!({ "title": "Pressing", "priority": "high" }))
        .await;
    app.settle().await;
    assert_eq!(runs_of(&ann, &rule).await.len(), 1);
    let path = format!("/api/v1/rules/{}", rule["id"].as_str().unwrap());
    let stats = ann.get(&path).await.body["stats"].clone();
    assert_eq!(
        (&stats["matches"], &stats["failures"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn a_script_that_fails_sends_nothing_and_says_where() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let script = "email(task.owner, \"Hello\", \"there\");\ntask.tag(\"hot\");\nlet n = 1 / (task.title.len - 4);\nlog(n);";
    let rule = ann.create_rule("broken", "task.created", script).await;
    let task = ann.create_task(json!({ "title": "Four" })).await;
    app.settle().await;
    let runs = runs_of(&ann, &rule).await;
    assert_eq!(runs[0]["status"], "failed");
    assert_eq!(runs[0]["error"]["line"], 3, "{}", runs[0]);
    assert!(runs[0]["error"]["column"].is_number());
    assert_eq!(runs[0]["actions"], json!([]));
    assert!(app.mails().is_empty());
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    assert_eq!(ann.get(&path).await.body["tags"], json!([]));
}

#[tokio::test]
async fn a_rule_fires_once_for_a_change_however_many_of_its_events_it_listens_to() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let rule = ann
        .create_rule(
            "all",
            "task.*",
            "if task.status == \"done\" { email(task.owner, event.type, \"\"); }",
        )
        .await;
    let task = ann.create_task(json!({ "title": "Pay invoice" })).await;
    app.settle().await;
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    ann.patch(&path, json!({ "status": "done", "title": "Paid" }))
        .await;
    app.settle().await;
    assert_eq!(runs_of(&ann, &rule).await.len(), 1);
    assert_eq!(app.subjects_to("ann"), ["task.completed"]);
    let kinds: Vec<String> = recorded(&app, &ann)
        .await
        .into_iter()
        .map(|event| event.kind.to_string())
        .collect();
    for kind in [
        "task.created",
        "task.completed",
        "task.status_changed",
        "task.updated",
    ] {
        assert_eq!(
            kinds.iter().filter(|of| *of == kind).count(),
            1,
            "{kind} in {kinds:?}"
        );
    }
}

#[tokio::test]
async fn a_rule_that_triggers_itself_is_stopped_as_a_loop() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let script = "task.update(#{ title: task.title + \"!\" });";
    let rule = ann.create_rule("loop", "task.*", script).await;
    ann.create_task(json!({ "title": "Round" })).await;
    app.settle().await;
    let runs = runs_of(&ann, &rule).await;
    let failed: Vec<_> = runs
        .iter()
        .filter(|run| run["status"] == "failed")
        .collect();
    assert_eq!((runs.len(), failed.len()), (9, 1));
    assert!(
        failed[0]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("loop")
    );
    assert_eq!(ann.list("/api/v1/tasks").await[0]["title"], "Round!!!!!!!!");
}

#[tokio::test]
async fn a_rule_run_by_hand_runs_for_real() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let script = "task.comment(`run by hand: ${event.type}`);";
    let rule = ann.create_rule("by hand", "shop.closed", script).await;
    let task = ann.create_task(json!({ "title": "Pay invoice" })).await;
    let path = format!("/api/v1/rules/{}/run", rule["id"].as_str().unwrap());
    let started = ann.post(&path, json!({ "task_id": task["id"] })).await;
    assert_eq!(started.status, 202, "{}", started.body);
    app.settle().await;
    let run = ann
        .get(&format!("/api/v1/runs/{}", started.text("run_id")))
        .await;
    assert_eq!(run.status, 200);
    assert_eq!(run.body["status"], "succeeded");
    let comments = format!("/api/v1/tasks/{}/comments", task["id"].as_str().unwrap());
    assert_eq!(
        ann.list(&comments).await[0]["text"],
        "run by hand: rule.run_requested"
    );
}

#[tokio::test]
async fn a_custom_event_starts_the_rules_that_listen_to_its_pattern() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let pattern: EventPattern = "ci.*".parse().unwrap();
    let script = "create_task(#{ title: `Fix ${event.data.branch}` });";
    ann.create_rule("ci", pattern.as_str(), script).await;
    let event = json!({ "type": "ci.build_failed", "data": { "branch": "main" } });
    let posted = ann.post("/api/v1/events", event).await;
    assert_eq!(posted.status, 201, "{}", posted.body);
    app.settle().await;
    assert_eq!(ann.list("/api/v1/tasks").await[0]["title"], "Fix main");
    assert_eq!(app.subjects_to("ann"), ["New task: Fix main"]);
}

#[tokio::test]
async fn hostile_rules_hurt_nobody_and_their_owner_learns_the_line() {
    let app = TestApp::start().await;
    let eve = app.register("eve").await;
    let ann = app.register("ann").await;
    let hostile = [
        ("loop", "let n = 0;\nloop { n += 1; }"),
        (
            "closure loop",
            "let a = [];\na.pad(4000, 1);\na.map(|x| { let y = 0; while y < 1000000 { y += 1; } y });",
        ),
        ("memory", "let s = \"x\";\nloop { s += s; }"),
        ("nested lists", "let a = [];\nloop { a.push(a); }"),
        ("recursion", "fn f(n) { f(n + 1) }\nf(0);"),
        ("actions", "loop { email(task.owner, \"spam\", \"spam\"); }"),
        ("catch", "loop { try { throw 1; } catch { } }"),
    ];
    for (name, script) in hostile {
        eve.create_rule(name, "task.created", script).await;
    }
    eve.create_task(json!({ "title": "Bomb" })).await;
    ann.create_task(json!({ "title": "Calm" })).await;
    app.settle().await;
    assert_eq!(app.subjects_to("ann"), ["New task: Calm"]);
    assert_eq!(app.subjects_to("eve"), ["New task: Bomb"]);
    let failed = eve.list("/api/v1/runs?status=failed").await;
    assert_eq!(failed.len(), hostile.len(), "{failed:#?}");
    for run in failed {
        assert!(run["error"]["message"].is_string(), "{run}");
        assert!(run["error"]["line"].is_number(), "{run}");
    }
}

#[tokio::test]
async fn mails_to_outsiders_are_capped_by_workspace_and_hour() {
    let app = TestApp::start_with(&[("mail.external_per_hour", "2")]).await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let script = r#"email(["ann@example.com", "a@example.org", "b@example.org", "c@example.org"], "Hi", "there");"#;
    ann.create_rule("spam", "task.created", script).await;
    ann.create_task(json!({ "title": "One" })).await;
    app.settle().await;
    assert_eq!(app.mails().len(), 3);
    let suppressed = ann.list("/api/v1/deliveries?status=suppressed").await;
    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0]["recipient"], "c@example.org");
    app.pass(hours(2)).await;
    ann.create_task(json!({ "title": "Two" })).await;
    app.settle().await;
    assert_eq!(app.mails().len(), 6);
}

#[tokio::test]
async fn what_cannot_be_saved_is_refused_with_line_and_column() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let rule = |script: &str| json!({ "name": "r", "triggers": [{ "event": "task.created" }], "script": script });
    let refused = ann
        .post(
            "/api/v1/rules",
            rule("if task.is_open {\n  task.tag(\"x\"\n}"),
        )
        .await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.body["code"], "invalid_script");
    assert_eq!(refused.body["errors"][0]["line"], 3, "{}", refused.body);
    assert!(refused.body["errors"][0]["column"].is_number());
    let typo = ann
        .post(
            "/api/v1/rules",
            rule("if tsak.is_open { task.tag(\"x\"); }"),
        )
        .await;
    assert_eq!(typo.status, 422);
    assert!(
        typo.body["errors"][0].to_string().contains("task"),
        "{}",
        typo.body
    );

    let checked = json!({ "script": "email(task.assignee, \"a\", \"b\");", "triggers": [{ "event": "task.created" }] });
    let checked = ann.post("/api/v1/rules/validate", checked).await;
    assert_eq!(checked.status, 200);
    assert_eq!(checked.body["actions"], json!(["email"]));
    assert_eq!(checked.body["suspends"], false);
    let broken = ann
        .post("/api/v1/rules/validate", json!({ "script": "let x = ;" }))
        .await;
    assert_eq!(broken.status, 200);
    assert_eq!(
        broken.body["diagnostics"][0]["severity"], "error",
        "{}",
        broken.body
    );
    assert_eq!(broken.body["diagnostics"][0]["line"], 1);
}

#[tokio::test]
async fn two_comments_of_one_run_are_two_comments() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let script = "task.comment(\"one\"); task.comment(\"two\"); task.tag(\"a\"); task.tag(\"b\");";
    ann.create_rule("talkative", "task.created", script).await;
    let task = ann.create_task(json!({ "title": "Pay invoice" })).await;
    app.settle().await;
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    let comments = ann.list(&format!("{path}/comments")).await;
    assert_eq!(comments.len(), 2);
    assert_eq!(ann.get(&path).await.body["tags"], json!(["a", "b"]));
    assert_eq!(app.subjects_to("ann"), ["New task: Pay invoice"]);
}

#[tokio::test]
async fn what_a_run_cannot_do_fails_that_run_alone_and_all_of_it() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let script = "email(task.owner, \"Half\", \"done\"); task.tag(\"half\");\ntask.update(#{ parent_id: task.id });";
    let rule = ann.create_rule("circle", "task.created", script).await;
    let task = ann.create_task(json!({ "title": "Pay invoice" })).await;
    app.settle().await;
    let runs = runs_of(&ann, &rule).await;
    assert_eq!(runs[0]["status"], "failed");
    assert!(
        runs[0]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("own parent"),
        "{}",
        runs[0]
    );
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    assert_eq!(ann.get(&path).await.body["tags"], json!([]));
    assert_eq!(
        app.subjects_to("ann"),
        ["New task: Pay invoice"],
        "the starter rule is not hurt"
    );
}

#[tokio::test]
async fn a_task_made_by_a_rule_may_be_the_parent_of_another() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    let script = "if task.parent_id == () && task.project == \"shop\" {\nlet epic = create_task(#{ title: \"Epic\" });\ntask.update(#{ parent_id: epic.id });\n}";
    let rule = ann.create_rule("epic", "task.created", script).await;
    let task = ann
        .create_task(json!({ "title": "Pay invoice", "project": "shop" }))
        .await;
    app.settle().await;
    let runs = runs_of(&ann, &rule).await;
    assert_eq!(runs[0]["status"], "succeeded", "{}", runs[0]);
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    assert_eq!(
        ann.get(&path).await.body["parent_id"],
        runs[0]["actions"][0]["detail"]["task_id"]
    );
}

#[tokio::test]
async fn scripts_see_only_the_people_of_their_workspace() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    let bob = app.register("bob").await;
    bob.remove_starter_rules().await;
    let script = "task.assign(\"ann@example.com\"); log(task.assignee.name);";
    let spy = bob.create_rule("spy", "task.created", script).await;
    let mailer = bob
        .create_rule(
            "mail",
            "task.created",
            "email(\"ann@example.com\", \"Hi\", \"Ann\");",
        )
        .await;
    // Both events are in one batch.
    let (_, task) = tokio::join!(
        ann.create_task(json!({ "title": "Ann's" })),
        bob.create_task(json!({ "title": "Bob's" })),
    );
    app.settle().await;
    let run = &runs_of(&bob, &spy).await[0];
    assert_eq!(run["status"], "failed");
    assert!(!run.to_string().contains(ann.id()), "{run}");
    assert_eq!(runs_of(&bob, &mailer).await[0]["status"], "succeeded");
    assert_eq!(task["assignee_id"], Value::Null);
}

#[tokio::test]
async fn a_rule_and_a_deadline_that_are_made_together_meet() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    for round in 0..10 {
        let rule = json!({
            "name": format!("at the deadline {round}"),
            "triggers": [{ "due": "0" }],
            "script": format!("email(task.owner, `${{task.title}} {round}`, \"\");"),
        });
        let task = json!({ "title": format!("Task {round}"), "due_at": app.later(hours(1)) });
        let (rule, _) = tokio::join!(ann.post("/api/v1/rules", rule), ann.create_task(task));
        assert_eq!(rule.status, 201);
    }
    app.pass(hours(2)).await;
    let subjects = app.subjects_to("ann");
    assert_eq!(
        subjects.len(),
        100,
        "each of ten rules for each of ten tasks"
    );
}
