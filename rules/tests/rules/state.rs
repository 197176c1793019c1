//! What a rule keeps from one run to the next.

use crate::support::World;
use serde_json::{Value, json};
use smarttasks_rules::Limits;
use std::sync::Arc;

fn keeping(kept: Value) -> World {
    let mut world = World::new();
    world.inputs.state = Arc::new(kept.as_object().cloned().unwrap());
    world
}

#[test]
fn what_is_set_is_kept_and_is_no_action() {
    let world = keeping(json!({ "count": 2, "old": [1] }));
    let outcome = world.run(
        "state.set(\"count\", (state.get(\"count\") ?? 0) + 1);
         state.set(\"seen\", #{ at: now(), by: HIGH, who: task.owner });
         state.remove(\"old\");
         if state.get(\"missing\") != () || state.get(\"count\") != 3 { throw \"no\" }
         log(state.keys());",
    );
    assert_eq!((outcome.error, outcome.actions), (None, Vec::new()));
    let bob = json!({ "id": world.bob.id, "name": "Bob", "email": "bob@example.com" });
    let kept =
        json!({ "count": 3, "seen": { "at": crate::support::NOW, "by": "high", "who": bob } });
    assert_eq!(outcome.state.map(Value::Object), Some(kept));
    assert_eq!(outcome.log, ["[\"count\", \"seen\"]"]);
}

#[test]
fn what_is_set_to_the_same_or_back_again_has_not_changed() {
    let world = keeping(json!({ "count": 2, "list": [1, "a"] }));
    for script in [
        "state.get(\"count\")",
        "state.set(\"count\", 2); state.set(\"list\", [1, \"a\"])",
        "state.set(\"count\", 3); state.set(\"count\", 2)",
        "state.set(\"new\", 1); state.set(\"new\", ())",
        "state.remove(\"none\")",
    ] {
        assert_eq!(world.run(script).state, None, "{script}");
    }
    assert!(world.run("state.set(\"count\", ())").state.is_some());
}

#[test]
fn a_script_that_fails_keeps_nothing() {
    let outcome = World::new().run("state.set(\"a\", 1); throw \"no\"");
    assert!(outcome.error.is_some());
    assert_eq!(outcome.state, None);
}

#[test]
fn what_is_kept_has_its_bounds() {
    let world = World::within(Limits {
        state_bytes: 1_000,
        ..Limits::default()
    });
    let fill = "let text = \"\"; text.pad(900, \"x\"); state.set(\"text\", text);";
    assert!(world.run(fill).state.is_some());
    let over = format!("{fill} try {{ state.set(\"more\", text) }} catch {{ task.tag(\"x\") }}");
    assert_eq!(world.error(&over).code, "limit_state");
    let instead = format!("{fill} state.set(\"text\", 1); state.set(\"more\", text)");
    assert!(world.run(&instead).state.is_some());
    for (script, says) in [
        (
            "let key = \"\"; key.pad(101, \"x\"); state.set(key, 1)",
            "1 to 100 characters",
        ),
        ("state.set(\"\", 1)", "1 to 100 characters"),
        ("state.set(\"f\", |x| x)", "cannot be written as JSON"),
        ("state.count", "state.get(\"count\")"),
        ("state.count = 1", "state.set(\"count\""),
        ("state[\"count\"]", "state.get(\"count\")"),
    ] {
        let error = world.error(script);
        assert!(error.message.contains(says), "{script}: {}", error.message);
    }
}

#[test]
fn state_is_a_name_of_the_language() {
    let world = World::new();
    assert_eq!(world.refused("let state = 1;")[0].code, "reserved_name");
    let kept = world
        .run("fn note() { state.set(\"a\", 1) } note(); [1].for_each(|| state.set(\"b\", this));");
    assert_eq!(kept.error, None);
    assert_eq!(
        kept.state.map(Value::Object),
        Some(json!({ "a": 1, "b": 1 }))
    );
    let uses_state = |script| world.language.compile(script).unwrap().uses_state();
    assert!(uses_state("state.get(\"a\")"));
    assert!(!uses_state("task.tag(\"state\")"));
}
