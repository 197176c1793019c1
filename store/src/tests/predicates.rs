//! What a database returns for a predicate is what passes it.
//!
//! Predicates and tasks are random, from values that meet often. A failure says the seed;
//! `SMARTTASKS_TEST_SEED` repeats it, and `SMARTTASKS_TEST_CASES` sets how many pairs of a predicate and a
//! task are tried.

use super::server::Database;
use super::{Directory, event, open};
use crate::Db;
use crate::candidates::{Reading, Stretch};
use crate::entity::tasks::{Column, Entity};
use crate::predicate::condition;
use crate::tasks::{by_ids, task_to_row};
use fastrand::Rng;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
};
use serde_json::{Map, Value as Json, json};
use smarttasks_model::predicate::{
    Bound, Bounds, Check, Facts, Field, Moment, Number, Predicate, Range, Subject, Value,
};
use smarttasks_model::{
    Priority, Span, Status, Task, TaskId, Timestamp, UserId, WorkspaceId, derive_id,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Tasks that each predicate is asked of.
const TASKS: usize = 250;
const CASES: usize = 200_000;
/// Of so many predicates one is read in pages too.
const PAGED: usize = 5;
/// Candidates of a page.
const PAGE: u64 = 7;

const TEXTS: [&str; 16] = [
    "",
    "gold",
    "Gold",
    "gol",
    "gold ",
    "a,b",
    ",",
    "it's \"so\"",
    "back\\slash",
    "100%_",
    "ß",
    "ſ",
    "ö",
    "o\u{308}",
    "\u{fffd}x",
    "𝕏\u{10ffff}",
];
const KEYS: [&str; 9] = [
    "plan", "seats", "0", "", "a b", "a.b", "q\"q", "b\\b", "ключ",
];

fn numbers() -> Vec<Json> {
    let whole = [
        0,
        1,
        -1,
        3,
        9_007_199_254_740_993,
        i64::MAX,
        i64::MAX - 1,
        i64::MIN,
    ];
    let fractions = [
        -0.0,
        0.1,
        0.3,
        0.1 + 0.2,
        3.0,
        3.000_000_000_000_000_4,
        1e15,
        9_007_199_254_740_992.0,
        9_223_372_036_854_775_807.0,
        1e300,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        f64::EPSILON,
    ];
    let whole = whole.into_iter().map(Json::from);
    let more = [json!(u64::MAX), json!(i64::MAX as u64 + 1)];
    whole
        .chain(fractions.into_iter().map(Json::from))
        .chain(more)
        .collect()
}

/// What random things are made of.
pub(super) struct Source {
    pub(super) rng: Rng,
    now: Timestamp,
    numbers: Vec<Json>,
}

impl Source {
    pub(super) fn new(seed: u64, now: Timestamp) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            now,
            numbers: numbers(),
        }
    }

    pub(super) fn text(&mut self) -> String {
        let text = self.rng.choice(TEXTS).unwrap().to_owned();
        match self.rng.u8(..8) {
            0 => text + self.rng.choice(TEXTS).unwrap(),
            _ => text,
        }
    }

    pub(super) fn id(&mut self) -> Uuid {
        derive_id(self.now, &[&[self.rng.u8(..4)]])
    }

    pub(super) fn time(&mut self) -> Timestamp {
        self.now + self.span()
    }

    fn span(&mut self) -> Span {
        Span::from_millis(self.rng.i64(-4..=4))
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        match self.rng.u8(..3) {
            0 => None,
            _ => Some(make(self)),
        }
    }

    pub(super) fn status(&mut self) -> Status {
        *self.rng.choice(Status::ALL).unwrap()
    }

    pub(super) fn priority(&mut self) -> Priority {
        *self.rng.choice(Priority::ALL).unwrap()
    }

    fn json(&mut self, depth: u8) -> Json {
        match self.rng.u8(..if depth == 0 { 8 } else { 10 }) {
            0 => Json::Null,
            1 => self.rng.bool().into(),
            2..5 => self.rng.choice(&self.numbers).unwrap().clone(),
            5..8 => self.text().into(),
            8 => (0..self.rng.usize(..3))
                .map(|_| self.json(depth - 1))
                .collect(),
            _ => self.object(depth - 1).into(),
        }
    }

    fn object(&mut self, depth: u8) -> Map<String, Json> {
        (0..self.rng.usize(..6))
            .map(|_| {
                let key = self.rng.choice(KEYS).unwrap().to_owned();
                (key, self.json(depth))
            })
            .collect()
    }

    pub(super) fn task(&mut self, number: usize, workspace: WorkspaceId) -> Task {
        let tags: BTreeSet<String> = (0..self.rng.usize(..4)).map(|_| self.text()).collect();
        Task {
            id: TaskId(derive_id(self.now, &[&number.to_be_bytes()])),
            workspace_id: workspace,
            project: self.maybe(Self::text),
            title: self.text(),
            description: self.text(),
            status: self.status(),
            priority: self.priority(),
            creator_id: UserId(self.id()),
            assignee_id: self.maybe(|of| UserId(of.id())),
            tags: tags.into_iter().collect(),
            due_at: self.maybe(Self::time),
            fields: self.object(2),
            parent_id: self.maybe(|of| TaskId(of.id())),
            version: self.rng.i64(1..4),
            created_at: self.time(),
            updated_at: self.time(),
            status_changed_at: self.time(),
            completed_at: self.maybe(Self::time),
        }
    }

    fn field(&mut self) -> Field {
        let mut fields = vec![
            Field::Id,
            Field::Project,
            Field::Title,
            Field::Description,
            Field::Status,
            Field::Priority,
            Field::CreatorId,
            Field::AssigneeId,
            Field::ParentId,
            Field::Tags,
            Field::DueAt,
            Field::CreatedAt,
            Field::UpdatedAt,
            Field::StatusChangedAt,
            Field::CompletedAt,
            Field::Version,
        ];
        let custom = fields.len();
        let path = (0..self.rng.usize(1..=2))
            .map(|_| self.rng.choice(KEYS).unwrap().to_owned())
            .collect();
        fields.push(Field::Custom(path));
        match self.rng.bool() {
            true => fields.swap_remove(custom),
            false => fields.swap_remove(self.rng.usize(..custom)),
        }
    }

    fn number(&mut self) -> Number {
        match self.rng.choice(&self.numbers).unwrap() {
            Json::Number(number) => Number::of_json(number).unwrap(),
            _ => unreachable!("they are numbers"),
        }
    }

    fn value(&mut self) -> Value {
        match self.rng.u8(..9) {
            0 => Value::Absent,
            1 => Value::Bool(self.rng.bool()),
            2 | 3 => Value::Number(self.number()),
            4 | 5 => Value::Text(self.text()),
            6 => Value::Status(self.status()),
            7 => Value::Priority(self.priority()),
            _ => Value::Id(self.id()),
        }
    }

    fn bounds<T>(&mut self, mut at: impl FnMut(&mut Self) -> T) -> Bounds<T> {
        let mut bound = |of: &mut Self| Bound {
            at: at(of),
            inclusive: of.rng.bool(),
        };
        let (min, max) = [(true, false), (false, true), (true, true)][self.rng.usize(..3)];
        Bounds {
            min: min.then(|| bound(self)),
            max: max.then(|| bound(self)),
        }
    }

    fn moment(&mut self) -> Moment {
        match self.rng.bool() {
            true => Moment::At(self.time()),
            false => Moment::Now(self.span()),
        }
    }

    /// Mostly one that can be true of the field.
    fn check(&mut self, field: &Field) -> Check {
        let kind = match field {
            _ if self.rng.u8(..10) == 0 => self.rng.u8(..6),
            Field::Custom(_) => [0, 0, 0, 2, 2, 3, 4][self.rng.usize(..7)],
            Field::Project | Field::Title | Field::Description => [0, 3, 4][self.rng.usize(..3)],
            Field::Tags => 5,
            Field::Version => [0, 2][self.rng.usize(..2)],
            Field::DueAt | Field::CompletedAt => [0, 1, 1][self.rng.usize(..3)],
            Field::CreatedAt | Field::UpdatedAt | Field::StatusChangedAt => 1,
            _ => 0,
        };
        match kind {
            0 => Check::one_of((0..self.rng.usize(1..6)).map(|_| self.value())),
            1 => Check::Range(Range::Time(self.bounds(Self::moment))),
            2 => Check::Range(Range::Number(self.bounds(Self::number))),
            3 => Check::Range(Range::Text(self.bounds(Self::text))),
            4 => Check::Holds(self.text()),
            _ => Check::Has(self.text()),
        }
    }

    fn predicate(&mut self, depth: u8) -> Predicate {
        let predicate = match self.rng.u8(..if depth == 0 { 1 } else { 4 }) {
            0 | 1 => {
                let field = self.field();
                let check = self.check(&field);
                Predicate::test(Subject::Task(field), check)
            }
            2 => Predicate::all((0..self.rng.usize(2..5)).map(|_| self.predicate(depth - 1))),
            _ => Predicate::any((0..self.rng.usize(2..5)).map(|_| self.predicate(depth - 1))),
        };
        match self.rng.bool() {
            true => predicate,
            false => predicate.negate(),
        }
    }
}

/// Whether SQL says exactly the same. Of numbers it does not, and SQLite finds no key that is
/// stored with escapes.
fn is_exact(predicate: &Predicate) -> bool {
    let test = match predicate {
        Predicate::All(parts) | Predicate::Any(parts) => return parts.iter().all(is_exact),
        Predicate::Test(test) => test,
    };
    let numbers = match &test.check {
        Check::OneOf(values) => values.iter().any(|value| matches!(value, Value::Number(_))),
        Check::Range(Range::Number(_)) => true,
        _ => false,
    };
    let escaped = match &test.of {
        Subject::Task(Field::Custom(path)) => path.iter().any(|key| key.contains(['"', '\\'])),
        _ => false,
    };
    !numbers && !escaped
}

pub(super) async fn returned(
    db: &Db,
    workspace: WorkspaceId,
    predicate: &Predicate,
    now: Timestamp,
) -> BTreeSet<TaskId> {
    let on = db.reader().get_database_backend();
    let ids: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::WorkspaceId.eq(workspace.0))
        .filter(condition(predicate, now, on))
        .into_tuple()
        .all(db.reader())
        .await
        .unwrap_or_else(|error| panic!("{predicate}: {error}"));
    ids.into_iter().map(TaskId).collect()
}

/// The same, a page at a time, once one after the other, and once each from where another ends.
async fn paged(
    db: &Db,
    workspace: WorkspaceId,
    predicate: &Predicate,
    now: Timestamp,
) -> BTreeSet<TaskId> {
    let reading = Reading::of(predicate, workspace, now);
    let page = async |stretch: Stretch, limit| {
        let page = reading.page(db, stretch, limit).await;
        page.unwrap_or_else(|error| panic!("{predicate}: {error}"))
    };
    let (mut stretch, mut places, mut last) = (Stretch::default(), Vec::new(), Vec::new());
    loop {
        let found = page(stretch, PAGE).await;
        places.extend(found.iter().map(|(place, _)| *place));
        let Some((end, _)) = found.last() else { break };
        stretch.after = Some(*end);
        last.push(*end);
    }
    assert!(places.is_sorted(), "{predicate}: {places:?}");
    let pages = (PAGE, places.len() as u64 + 1);
    let ends = reading.ends(db, Stretch::default(), pages).await.unwrap();
    assert_eq!(ends, last, "{predicate}");
    let mut after = None;
    let mut apart = Vec::new();
    for to in ends {
        let stretch = Stretch {
            after,
            to: Some(to),
        };
        let found = page(stretch, 2 * PAGE).await;
        apart.extend(found.iter().map(|(place, _)| *place));
        after = Some(to);
    }
    assert_eq!(apart, places, "{predicate}");
    let ids: BTreeSet<TaskId> = places.iter().map(|place| place.id).collect();
    assert!(
        ids.len() == places.len() || !is_exact(predicate),
        "twice: {predicate}"
    );
    ids
}

/// Writes tasks, and reads them as the database keeps them.
pub(super) async fn kept(db: &Db, tasks: Vec<Task>) -> BTreeMap<TaskId, Task> {
    let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    db.write(move |tx| {
        let tasks = tasks.clone();
        Box::pin(async move {
            for task in &tasks {
                tx.insert::<Entity>(task_to_row(task)?.into_active_model());
            }
            Ok(())
        })
    })
    .await
    .unwrap();
    by_ids(db, ids).await.unwrap().into_iter().collect()
}

pub(super) fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

async fn each_predicate_returns_what_passes_it(db: &Db) {
    let seed = setting("SMARTTASKS_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let cases = setting("SMARTTASKS_TEST_CASES").map_or(CASES, |cases| cases as usize);
    let now = db.clock().now();
    let mut source = Source::new(seed, now);
    let workspace = WorkspaceId(source.id());
    let tasks = (0..TASKS).map(|number| source.task(number, workspace));
    let tasks = kept(db, tasks.collect()).await;
    let event = event(1);
    let (mut exact, mut some) = (0, 0);
    for number in 0..cases.div_ceil(TASKS) {
        let predicate = source.predicate(2);
        let passes = |task: &Task| {
            predicate.holds(&Facts {
                task: Some(task),
                event: &event,
                now,
            })
        };
        let passing: BTreeSet<TaskId> = tasks
            .values()
            .filter(|task| passes(task))
            .map(|task| task.id)
            .collect();
        let returned = returned(db, workspace, &predicate, now).await;
        let told = |id: Option<&TaskId>| {
            let task = id.map(|id| serde_json::to_string(&tasks[id]).unwrap());
            let sql = condition(&predicate, now, db.reader().get_database_backend());
            format!(
                "SMARTTASKS_TEST_SEED={seed}, predicate {number}: {predicate}\n{sql:?}\n{task:?}"
            )
        };
        let missing = passing.difference(&returned).next();
        assert!(missing.is_none(), "not returned: {}", told(missing));
        if number.is_multiple_of(PAGED) {
            assert_eq!(paged(db, workspace, &predicate, now).await, returned);
        }
        if is_exact(&predicate) {
            let more = returned.difference(&passing).next();
            assert!(more.is_none(), "returned too: {}", told(more));
            exact += 1;
        }
        some += usize::from(!passing.is_empty() && passing.len() < tasks.len());
    }
    let predicates = cases.div_ceil(TASKS);
    assert!(exact > predicates / 10, "{exact} of {predicates} are exact");
    assert!(
        some > predicates / 10,
        "{some} of {predicates} tell tasks apart"
    );
}

#[tokio::test]
async fn a_file_returns_each_task_that_passes_a_predicate() {
    let directory = Directory::new();
    let db = open(&directory.0).await;
    each_predicate_returns_what_passes_it(&db).await;
}

#[tokio::test]
async fn a_server_returns_each_task_that_passes_a_predicate() {
    let database = Database::new().await;
    let db = database.open().await;
    each_predicate_returns_what_passes_it(&db).await;
}
