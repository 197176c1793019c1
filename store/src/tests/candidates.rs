//! Along which index the candidates of each common shape are read.

use super::server::Database;
use super::{Directory, open};
use crate::Db;
use crate::candidates::plan;
use crate::sweeps;
use smarttasks_model::predicate::{
    Bounds, Check, Field, Moment, Passing, Predicate, Range, Subject, Value, Window,
};
use smarttasks_model::{
    Priority, RuleId, Sought, Status, SweepPart, SweepPurpose, SweepRange, Timestamp, WorkspaceId,
};
use std::time::Duration;
use uuid::Uuid;

fn test(field: Field, check: Check) -> Predicate {
    Predicate::test(Subject::Task(field), check)
}

fn is(field: Field, value: Value) -> Predicate {
    test(field, Check::is(value))
}

fn open_tasks() -> Predicate {
    let open = Status::ALL.iter().copied().filter(|of| of.is_open());
    test(Field::Status, Check::one_of(open.map(Value::Status)))
}

fn before(field: Field, span: &str) -> Predicate {
    let bound = Moment::Now(span.parse().unwrap());
    test(
        field,
        Check::Range(Range::Time(Bounds::up_to(bound, false))),
    )
}

fn after(field: Field, span: &str) -> Predicate {
    let bound = Moment::Now(span.parse().unwrap());
    test(field, Check::Range(Range::Time(Bounds::from(bound, true))))
}

/// Predicates as rules often have them, and the indexes that find their candidates.
fn shapes() -> Vec<(Predicate, Vec<&'static str>)> {
    let (overdue, high) = (
        || before(Field::DueAt, "0"),
        || {
            let high = [Priority::High, Priority::Urgent].map(Value::Priority);
            test(Field::Priority, Check::one_of(high))
        },
    );
    let assignee = || is(Field::AssigneeId, Value::Id(Uuid::from_u128(7)));
    let blocked = || is(Field::Status, Value::Status(Status::Blocked));
    let project = || is(Field::Project, Value::Text("web".to_owned()));
    let plan = || {
        let plan = Field::Custom(vec!["plan".to_owned()]);
        is(plan, Value::Text("gold".to_owned()))
    };
    let open = open_tasks;
    vec![
        (open().and(overdue()), vec!["tasks_open_by_deadline"]),
        (blocked().and(overdue()), vec!["tasks_open_by_deadline"]),
        (
            open()
                .and(after(Field::DueAt, "0"))
                .and(before(Field::DueAt, "2d"))
                .and(plan()),
            vec!["tasks_open_by_deadline"],
        ),
        (overdue(), vec!["tasks_by_deadline"]),
        (
            blocked().and(before(Field::StatusChangedAt, "-3d")),
            vec!["tasks_by_time_in_status"],
        ),
        (
            open().and(before(Field::StatusChangedAt, "-7d")),
            vec!["tasks_by_time_in_status"; 3],
        ),
        (open().and(assignee()), vec!["tasks_by_assignee"]),
        (
            open().and(is(Field::AssigneeId, Value::Absent)),
            vec!["tasks_by_assignee"],
        ),
        (project().and(plan()), vec!["tasks_by_project"]),
        (open().and(high()), vec!["tasks_open_by_priority"; 2]),
        (blocked().and(plan()), vec!["tasks_by_status"]),
        (open(), vec!["tasks_by_status"; 3]),
        (after(Field::UpdatedAt, "-1m"), vec!["tasks_by_update"]),
        (
            open().and(before(Field::CreatedAt, "-30d")),
            vec!["tasks_by_status"; 3],
        ),
        (
            assignee().and(before(Field::UpdatedAt, "-30d")),
            vec!["tasks_by_assignee"],
        ),
        (
            open().and(after(Field::CreatedAt, "-1m")),
            vec!["tasks_by_creation"],
        ),
        (
            open().and(overdue().or(after(Field::UpdatedAt, "-1m"))),
            vec!["tasks_open_by_deadline", "tasks_by_update"],
        ),
        (
            open().and(overdue().or(high())),
            vec![
                "tasks_open_by_priority",
                "tasks_open_by_priority",
                "tasks_open_by_deadline",
            ],
        ),
        (
            open().and(plan()).or(project()),
            vec![
                "tasks_by_status",
                "tasks_by_status",
                "tasks_by_status",
                "tasks_by_project",
            ],
        ),
    ]
}

async fn each_common_shape_is_read_along_its_index(db: &Db) {
    let (workspace, now) = (WorkspaceId(Uuid::nil()), db.clock().now());
    for (predicate, expected) in shapes() {
        let plan = plan(db, workspace, &predicate, now).await.unwrap();
        let mut indexes: Vec<&str> = plan
            .steps
            .iter()
            .map(|step| step.index.as_deref().unwrap_or("none"))
            .collect();
        indexes.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(indexes, expected, "{predicate}: {plan:#?}");
        for step in &plan.steps {
            assert!(!step.detail.to_lowercase().contains("sort"), "{plan:#?}");
            assert!(!step.detail.contains("TEMP B-TREE"), "{plan:#?}");
        }
    }
    let text = is(Field::Title, Value::Text("T".to_owned()));
    let some = plan(db, workspace, &text.or(open_tasks()), now)
        .await
        .unwrap();
    assert!(!some.is_indexed(), "{some:#?}");
    let never = plan(db, workspace, &Predicate::NEVER, now).await.unwrap();
    assert_eq!((never.steps.len(), &never.condition[..]), (0, "FALSE"));
}

#[tokio::test]
async fn a_file_reads_each_common_shape_along_its_index() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    each_common_shape_is_read_along_its_index(&db).await;
}

#[tokio::test]
async fn a_server_reads_each_common_shape_along_its_index() {
    let database = Database::new().await;
    let db = database.open().await;
    each_common_shape_is_read_along_its_index(&db).await;
}

fn sweep(sought: Sought, rule: RuleId, now: Timestamp) -> SweepRange {
    SweepRange {
        sweep_id: Uuid::nil(),
        workspace_id: WorkspaceId(Uuid::nil()),
        scheduled_at: now,
        rules: vec![rule],
        purpose: SweepPurpose::Fire,
        part: Some(SweepPart {
            id: Uuid::nil(),
            begun_at: now,
            versions: [(rule, 1)].into(),
            sought,
            after: None,
            to: None,
        }),
    }
}

/// What a sweep reads of tasks, and the index that must find it, by the plan's words.
async fn expect_indexes(db: &Db, range: &SweepRange, predicate: &Predicate, expected: &[&str]) {
    let part = range.part.as_ref().unwrap();
    let reading = sweeps::reading(range, part, predicate, db.clock().now());
    let steps = reading.steps(db).await.unwrap();
    assert_eq!(steps.len(), expected.len(), "{steps:#?}");
    for (step, index) in steps.iter().zip(expected) {
        assert!(step.detail.contains(index), "not by {index}: {step:#?}");
        assert!(!step.detail.to_lowercase().contains("sort"), "{step:#?}");
        assert!(!step.detail.contains("TEMP B-TREE"), "{step:#?}");
        assert!(!step.detail.contains("SCAN"), "{step:#?}");
    }
}

async fn a_sweep_reads_along_indexes(db: &Db) {
    let now = db.clock().now();
    let rule = RuleId(Uuid::from_u128(1));
    let minute = Duration::from_secs(60);
    let window = |of, open| Window {
        of,
        open,
        from: now - 3 * minute,
        to: now - 2 * minute,
    };
    let changed = Sought::Changed {
        since: now - minute,
        windows: vec![
            window(Passing::DueAt, true),
            window(Passing::DueAt, false),
            window(Passing::StatusChangedAt, true),
            window(Passing::UpdatedAt, false),
            window(Passing::CreatedAt, false),
        ],
        due: vec![rule],
    };
    let range = sweep(changed, rule, now);
    let indexes = [
        "tasks_by_update",
        "tasks_open_by_deadline",
        "tasks_by_deadline",
        "tasks_by_time_in_status",
        "tasks_by_time_in_status",
        "tasks_by_time_in_status",
        "tasks_by_update",
        "tasks_by_creation",
        "matches_due",
    ];
    expect_indexes(db, &range, &Predicate::ALWAYS, &indexes).await;
    let matched = match db.is_embedded() {
        true => "sqlite_autoindex_matches_1",
        false => "matches_pkey",
    };
    let range = sweep(Sought::Candidates, rule, now);
    let overdue = open_tasks().and(before(Field::DueAt, "0"));
    let indexes = ["tasks_open_by_deadline", matched];
    expect_indexes(db, &range, &overdue, &indexes).await;
}

#[tokio::test]
async fn a_file_reads_the_tasks_of_a_sweep_along_indexes() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    a_sweep_reads_along_indexes(&db).await;
}

#[tokio::test]
async fn a_server_reads_the_tasks_of_a_sweep_along_indexes() {
    let database = Database::new().await;
    let db = database.open().await;
    a_sweep_reads_along_indexes(&db).await;
}

#[tokio::test]
async fn a_condition_is_said_as_a_person_reads_it() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    let (workspace, now) = (WorkspaceId(Uuid::nil()), db.clock().now());
    let predicate = open_tasks().and(before(Field::DueAt, "0"));
    let plan = plan(&db, workspace, &predicate, now).await.unwrap();
    assert_eq!(
        plan.condition,
        r#""status" IN ('todo', 'in_progress', 'blocked') AND "due_at" < 1772442000000"#
    );
}
