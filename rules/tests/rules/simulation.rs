//! Runs in virtual time.

use crate::support::{World, at};
use serde_json::{Value, json};
use smarttasks_model::{Priority, Status};
use smarttasks_rules::{Answer, Circumstances, Coming, Query, Simulation, Step, Timeline};
use std::sync::Arc;

const CHASE: &str = r#"
if task.is_open && task.priority >= HIGH {
    email(task.owner, `Overdue: ${task.title}`, "Please look.");
    sleep(days(1));
    if task.is_open {
        webhook("ops", #{ task: task.id, at: now() });
        task.update(#{ priority: URGENT });
    }
}
"#;

fn simulated(world: &World, script: &str, given: Value) -> Timeline {
    let program = Arc::new(world.language.compile(script).unwrap());
    let start = world.inputs.now;
    let events = given.get("events").cloned().unwrap_or(json!([]));
    let answers = given.get("answers").cloned().unwrap_or(json!({}));
    let until = given.get("until").and_then(Value::as_str);
    let mut simulation = Simulation::new(
        program,
        Circumstances {
            inputs: world.inputs.clone(),
            stored: world.inputs.task.clone(),
            until: until.map_or(at("2027-12-04T08:00:00Z"), at),
            events: Coming::all(start, serde_json::from_value(events).unwrap()),
            answers: serde_json::from_value(answers).unwrap(),
            deadlines: true,
            endpoints: None,
        },
    );
    loop {
        match simulation.step() {
            Step::Done(told) => return *told,
            Step::Ask(query, _) => simulation.answer(stored(world, &query)),
        }
    }
}

fn stored(world: &World, query: &Query) -> Answer {
    let now = world.inputs.now;
    let passing = |filter: &smarttasks_model::TaskFilter| {
        let tasks = world.stored.iter().filter(|task| filter.matches(task, now));
        tasks.cloned().collect::<Vec<_>>()
    };
    match query {
        Query::Tasks { filter, .. } => Answer::Tasks(passing(filter)),
        Query::Count(filter) => Answer::Count(passing(filter).len() as u64),
    }
}

fn told(timeline: &Timeline) -> Vec<String> {
    let moments = timeline.timeline.iter();
    moments
        .map(|moment| format!("{} {}", moment.after, moment.action))
        .collect()
}

fn urgent() -> World {
    World::new().with_task(|task| {
        task.priority = Priority::High;
        task.status = Status::Todo;
        task.due_at = None;
    })
}

#[test]
fn time_passes_while_a_run_sleeps() {
    let told_of = simulated(&urgent(), CHASE, json!({}));
    assert_eq!(told_of.error, None);
    assert_eq!((told_of.status, told_of.matched), ("succeeded", true));
    assert_eq!(
        told(&told_of),
        ["0 email", "0 sleep", "1d webhook", "1d task.update"]
    );
    let posted = &told_of.timeline[2];
    assert_eq!(posted.at, at("2026-12-05T08:00:00Z"));
    assert_eq!(posted.detail["payload"]["at"], "2026-12-05T08:00:00Z");
}

#[test]
fn an_event_changes_the_task_that_is_looked_at_later() {
    let events = json!([{ "after": "2h", "type": "task.completed", "task": { "status": "done" } }]);
    let told_of = simulated(&urgent(), CHASE, json!({ "events": events }));
    assert_eq!(told(&told_of), ["0 email", "0 sleep"]);
    let deleted = json!([{ "after": "2h", "type": "task.deleted" }]);
    let told_of = simulated(&urgent(), CHASE, json!({ "events": deleted }));
    assert_eq!(told_of.status, "cancelled");
}

#[test]
fn a_run_that_waits_for_an_event_gets_the_first_that_is_given() {
    let script = r#"let e = wait_for("task.*", days(3));
        log(if e == () { "nothing" } else { `${e.type} ${task.status} ${now()}` });
        let e = wait_for("ci.passed", hours(1)); log(e?.data ?? "none");"#;
    let nothing = simulated(&urgent(), script, json!({}));
    assert_eq!(nothing.log, ["nothing", "none"]);
    let events = json!([
        { "after": "1h", "type": "ci.passed", "data": 1 },
        { "after": "2h", "type": "task.updated", "task": { "status": "blocked" } },
        { "after": "150m", "type": "ci.passed", "data": 2 },
    ]);
    let met = simulated(&urgent(), script, json!({ "events": events }));
    assert_eq!(
        met.log,
        ["task.updated blocked 2026-12-04T11:00:00+01:00", "2"]
    );
    assert_eq!(met.timeline[0].detail["ended_by"], "event");
    assert!(
        met.timeline[0]
            .summary
            .ends_with("task.updated came after 2h"),
        "{}",
        met.timeline[0].summary
    );
}

#[test]
fn a_deadline_passes_in_virtual_time() {
    let world = urgent().with_task(|task| task.due_at = Some(at("2026-12-06T08:00:00Z")));
    let script = r#"wait_for("task.due_soon", days(9)); log(now()); wait_for("task.overdue", days(9)); log(task.is_overdue || now() == task.due_at);"#;
    let told_of = simulated(&world, script, json!({}));
    assert_eq!(told_of.log, ["2026-12-05T09:00:00+01:00", "true"]);
}

#[test]
fn another_system_and_people_answer_as_is_given() {
    let script = r#"let a = http(#{ url: "https://ci.example.com/" });
        log(a.status); log(a.json.ok); log(a.headers["x-a"]);
        log(approve(task.creator, "Close?", days(1)));
        log(approve(task.creator, "Really?", days(1)));
        log(approve(task.creator, "Well?", days(1)) ?? "silence");
        log(now());"#;
    let answers = json!({
        "http": [{ "status": 201, "json": { "ok": true }, "headers": { "X-A": "b" }, "after": "30m" }],
        "approve": [true, { "approved": false, "after": "2h" }],
    });
    let told_of = simulated(&urgent(), script, json!({ "answers": answers }));
    assert_eq!(
        told_of.log,
        [
            "201",
            "true",
            "b",
            "true",
            "false",
            "silence",
            "2026-12-05T11:30:00+01:00"
        ]
    );
    assert_eq!(
        told(&told_of),
        ["0 http", "30m approve", "30m approve", "150m approve"]
    );
    let open = simulated(&urgent(), script, json!({}));
    assert_eq!(open.status, "suspended");
    assert!(open.note.unwrap().contains("answers.http"));
}

#[test]
fn a_simulation_ends_where_it_is_told_to_and_before_it_is_too_long() {
    let ends = simulated(&urgent(), CHASE, json!({ "until": "2026-12-04T09:00:00Z" }));
    assert_eq!(ends.status, "suspended");
    assert_eq!(told(&ends), ["0 email", "0 sleep"]);
    let endless = "loop { sleep(minutes(1)); }";
    let ends = simulated(&urgent(), endless, json!({}));
    assert_eq!(ends.status, "failed");
    let code = ends.error.unwrap().code;
    assert!(code.starts_with("limit_"), "{code}");
}

#[test]
fn what_a_run_changes_is_what_it_finds_later() {
    let script = r#"task.update(#{ status: "done" });
        create_task(#{ title: "Follow up" });
        sleep(hours(1));
        log(count(#{ status: "done" })); log(tasks(#{ q: "follow up" }).len());
        for other in tasks(#{ status: "todo" }) { other.tag("seen"); }
        sleep(hours(1));
        log(count(#{ tag: "seen" }));"#;
    let before = urgent();
    let told_of = simulated(&before, script, json!({}));
    assert_eq!(told_of.error, None);
    let seen: usize = told_of.log[2].parse().unwrap();
    assert_eq!(told_of.log[..2], ["1", "1"]);
    assert_eq!(
        seen,
        told(&told_of)
            .iter()
            .filter(|of| of.ends_with("tag"))
            .count()
    );
    assert!(seen > 0);
}

#[test]
fn a_script_that_fails_says_where_and_what_came_before_stands() {
    let script = "task.tag(\"a\");\nsleep(hours(1));\ntask.tag(\"b\");\nthrow \"no\";";
    let told_of = simulated(&urgent(), script, json!({}));
    assert_eq!(told_of.status, "failed");
    assert_eq!(told_of.error.as_ref().unwrap().line, Some(4));
    assert_eq!(told(&told_of), ["0 task.tag", "0 sleep"]);
}
