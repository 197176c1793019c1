//! What changes do to a task.

use super::*;

fn task() -> Task {
    let now = Timestamp::from_unix_millis(1_000);
    NewTask {
        title: "Pay invoice".into(),
        ..NewTask::default()
    }
    .into_task(
        TaskId::new(now),
        WorkspaceId::new(now),
        UserId::new(now),
        now,
    )
}

#[test]
fn absent_stays_and_null_clears() {
    let mut task = task();
    task.due_at = Some(Timestamp::from_unix_millis(9_000));
    task.project = Some("home".into());
    let changes: TaskChanges = serde_json::from_str(r#"{"due_at": null}"#).unwrap();
    assert_eq!(
        changes.apply(&mut task, Timestamp::from_unix_millis(2_000)),
        ["due_at"]
    );
    assert_eq!(task.due_at, None);
    assert_eq!(task.project.as_deref(), Some("home"));
    assert_eq!(task.version, 2);
}

#[test]
fn finishing_and_reopening_keeps_completed_at_true() {
    let mut task = task();
    let done = TaskChanges {
        status: Some(Status::Done),
        ..TaskChanges::default()
    };
    let now = Timestamp::from_unix_millis(2_000);
    assert_eq!(done.apply(&mut task, now), ["status"]);
    assert_eq!(task.completed_at, Some(now));
    assert!(done.apply(&mut task, now).is_empty());
    assert_eq!(task.version, 2);
    let reopened = TaskChanges {
        status: Some(Status::Todo),
        ..TaskChanges::default()
    };
    reopened.apply(&mut task, Timestamp::from_unix_millis(3_000));
    assert_eq!(task.completed_at, None);
}

#[test]
fn everything_wrong_is_said_at_once() {
    let changes = TaskChanges {
        title: Some("  ".into()),
        project: Some(Some("a\u{0}b".into())),
        tags: Some(vec!["ok".into(), "x".repeat(101)]),
        ..TaskChanges::default()
    };
    let pointers: Vec<_> = changes
        .checked()
        .unwrap_err()
        .into_iter()
        .map(|wrong| wrong.pointer)
        .collect();
    assert_eq!(pointers, ["/title", "/project", "/tags/1"]);
}

#[test]
fn what_a_task_must_have_cannot_be_cleared() {
    for field in ["title", "status", "priority"] {
        let patch = format!(r#"{{"{field}": null}}"#);
        assert!(serde_json::from_str::<TaskChanges>(&patch).is_err());
    }
}

#[test]
fn null_empties_description_tags_and_fields() {
    let mut task = task();
    task.description = "d".into();
    task.tags = vec!["a".into()];
    task.fields.insert("size".into(), 3.into());
    let patch = r#"{"description": null, "tags": null, "fields": null}"#;
    let changes: TaskChanges = serde_json::from_str(patch).unwrap();
    let kept = serde_json::to_string(&changes).unwrap();
    assert_eq!(
        serde_json::from_str::<TaskChanges>(&kept).unwrap(),
        changes,
        "what is kept of an action means the same when it is read again"
    );
    let changed = changes.apply(&mut task, Timestamp::from_unix_millis(2_000));
    assert_eq!(changed, ["description", "tags", "fields"]);
    assert_eq!(task.description, "");
    assert!(task.tags.is_empty() && task.fields.is_empty());
}

#[test]
fn fields_are_measured_with_the_patch_merged() {
    let mut task = task();
    let half = "x".repeat(FIELDS / 2);
    let set = |key: &str| -> TaskChanges {
        let patch = serde_json::json!({ "fields": { key: half } });
        serde_json::from_value(patch).unwrap()
    };
    set("a").fits(&task).unwrap();
    set("a").apply(&mut task, Timestamp::from_unix_millis(2_000));
    set("a").fits(&task).unwrap();
    assert_eq!(set("b").fits(&task).unwrap_err().pointer, "/fields");
}

#[test]
fn nulls_of_a_patch_are_dropped_at_every_depth() {
    let mut task = task();
    let patch = r#"{"fields": {"a": {"b": null, "c": {"d": null}}, "e": null}}"#;
    let changes: TaskChanges = serde_json::from_str(patch).unwrap();
    changes.apply(&mut task, Timestamp::from_unix_millis(2_000));
    let fields = serde_json::to_string(&task.fields).unwrap();
    assert_eq!(fields, r#"{"a":{"c":{}}}"#);
}

#[test]
fn fields_merge_key_by_key() {
    let mut task = task();
    let set: TaskChanges =
        serde_json::from_str(r#"{"fields": {"customer": "acme", "size": 3}}"#).unwrap();
    set.apply(&mut task, Timestamp::from_unix_millis(2_000));
    let cleared: TaskChanges = serde_json::from_str(r#"{"fields": {"size": null}}"#).unwrap();
    cleared.apply(&mut task, Timestamp::from_unix_millis(3_000));
    assert_eq!(
        serde_json::to_string(&task.fields).unwrap(),
        r#"{"customer":"acme"}"#
    );
}
