use super::*;
use serde_json::{Value as Json, json};
use smarttasks_model::predicate::{
    Bound, Bounds, Check, Field, Moment, Number, Range, Subject, Value,
};
use smarttasks_model::{
    ChangeId, Event, EventData, EventId, Priority, Snapshot, Span, Status, Task, TaskId, Timestamp,
    UserId, WorkspaceId,
};
use std::collections::BTreeMap;

const PATTERNS: &[&str] = &[
    "task.created",
    "task.updated",
    "task.*",
    "ci.*",
    "*.failed",
    "*.*",
];
const KINDS: &[&str] = &["task.created", "task.updated", "ci.failed", "ci.build.done"];

/// Everything is drawn from little, so that it often meets.
struct Draw(fastrand::Rng);

impl Draw {
    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.usize(..of.len())].clone()
    }

    fn maybe<T>(&mut self, of: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.0.bool().then(|| of(self))
    }

    fn id(&mut self) -> uuid::Uuid {
        uuid::Uuid::from_u128(self.0.u128(1..4))
    }

    fn text(&mut self) -> String {
        self.one(&["", "a", "ab", "b", "task.created", "ci.failed"])
            .to_owned()
    }

    fn instant(&mut self) -> Timestamp {
        match self.0.u8(..8) {
            0 => Timestamp::from_unix_millis(0),
            1 => Timestamp::MAX,
            _ => Timestamp::from_unix_millis(self.0.i64(1_000..1_020)),
        }
    }

    fn number(&mut self) -> Number {
        let near = [0.1 + 0.2, 0.3, 1.5, -0.0, 1e300, -2.5];
        match self.0.u8(..6) {
            0 => Number::fraction(self.one(&near)).unwrap(),
            1 => self.one(&[i64::MAX, i64::MAX - 1, i64::MIN]).into(),
            _ => self.0.i64(-2..4).into(),
        }
    }

    fn json(&mut self) -> Json {
        match self.0.u8(..6) {
            0 => Json::Null,
            1 => json!(self.0.bool()),
            2 => json!(self.text()),
            3 => json!({ "x": self.0.i64(-2..4), "y": self.text() }),
            4 => json!(self.one(&[0.1 + 0.2, 0.3, 1.5, -0.0, 1e300])),
            _ => json!(self.one(&[-2, 0, 1, 3, i64::MAX, i64::MAX - 1])),
        }
    }

    fn object(&mut self) -> serde_json::Map<String, Json> {
        let mut fields = serde_json::Map::new();
        for name in ["x", "y", "z"] {
            if self.0.bool() {
                fields.insert(name.to_owned(), self.json());
            }
        }
        fields
    }

    fn path(&mut self) -> Vec<String> {
        let path: &[&str] = self.one(&[&["x"], &["y"], &["z"], &["z", "x"], &["z", "y"]]);
        path.iter().map(ToString::to_string).collect()
    }

    fn field(&mut self) -> Field {
        let custom = Field::Custom(self.path());
        self.one(&[
            Field::Id,
            Field::Project,
            Field::Status,
            Field::Priority,
            Field::AssigneeId,
            Field::Tags,
            Field::DueAt,
            Field::UpdatedAt,
            Field::Version,
            custom.clone(),
            custom,
        ])
    }

    fn subject(&mut self) -> Subject {
        match self.0.u8(..12) {
            0 => Subject::Previous(self.field()),
            1 => Subject::EventType,
            2 => Subject::EventData(self.path()),
            3 => Subject::EventActor,
            4 => Subject::Changed("status".to_owned()),
            _ => Subject::Task(self.field()),
        }
    }

    fn value(&mut self) -> Value {
        match self.0.u8(..9) {
            0 => Value::Absent,
            1 => Value::Bool(self.0.bool()),
            2 | 3 => Value::Number(self.number()),
            4 => Value::Status(self.one(Status::ALL)),
            5 => Value::Priority(self.one(Priority::ALL)),
            6 => Value::Id(self.id()),
            _ => Value::Text(self.text()),
        }
    }

    fn bounds<T: Ord>(&mut self, at: impl Fn(&mut Self) -> T) -> Bounds<T> {
        let end = |draw: &mut Self| Bound {
            at: at(draw),
            inclusive: draw.0.bool(),
        };
        match self.0.u8(..3) {
            0 => Bounds {
                min: Some(end(self)),
                max: None,
            },
            1 => Bounds {
                min: None,
                max: Some(end(self)),
            },
            _ => Bounds {
                min: Some(end(self)),
                max: Some(end(self)),
            },
        }
    }

    fn moment(&mut self) -> Moment {
        match self.0.bool() {
            true => Moment::At(self.instant()),
            false => Moment::Now(Span::from_millis(self.0.i64(-10..10))),
        }
    }

    fn check(&mut self) -> Check {
        match self.0.u8(..10) {
            0 => Check::Has(self.text()),
            1 => Check::Holds(self.text()),
            2 | 3 => Check::Range(Range::Time(self.bounds(Self::moment))),
            4 => Check::Range(Range::Number(self.bounds(Self::number))),
            5 => Check::Range(Range::Text(self.bounds(Self::text))),
            _ => {
                let many = self.0.usize(1..3);
                Check::one_of((0..many).map(|_| self.value()))
            }
        }
    }

    fn predicate(&mut self, depth: usize) -> Predicate {
        let parts = |draw: &mut Self| -> Vec<Predicate> {
            let many = draw.0.usize(0..4);
            (0..many).map(|_| draw.predicate(depth - 1)).collect()
        };
        match self.0.u8(..8) {
            0 | 1 if depth > 0 => Predicate::any(parts(self)),
            2..5 if depth > 0 => Predicate::all(parts(self)),
            5 if depth > 0 => self.predicate(depth - 1).negate(),
            _ => Predicate::test(self.subject(), self.check()),
        }
    }

    fn task(&mut self) -> Task {
        Task {
            id: TaskId(self.id()),
            workspace_id: WorkspaceId(uuid::Uuid::nil()),
            project: self.maybe(Self::text),
            title: self.text(),
            description: String::new(),
            status: self.one(Status::ALL),
            priority: self.one(Priority::ALL),
            creator_id: UserId(self.id()),
            assignee_id: self.maybe(|draw| UserId(draw.id())),
            tags: self.maybe(Self::text).into_iter().collect(),
            due_at: self.maybe(Self::instant),
            fields: self.object(),
            parent_id: None,
            version: self.0.i64(0..4),
            created_at: self.instant(),
            updated_at: self.instant(),
            status_changed_at: self.instant(),
            completed_at: None,
        }
    }

    fn event(&mut self) -> Event {
        let at = Timestamp::from_unix_millis(1_000);
        let system = EventData::System(Box::new(Snapshot {
            task: None,
            previous: self.maybe(Self::task),
            changes: self.maybe(|_| "status".to_owned()).into_iter().collect(),
            actor: None,
            more: self.object(),
        }));
        Event {
            id: EventId::derived(at, &[]),
            workspace_id: WorkspaceId(uuid::Uuid::nil()),
            kind: self.one(KINDS).parse().unwrap(),
            task_id: None,
            time: at,
            traceparent: None,
            change: ChangeId::derived(at, &[]),
            depth: 0,
            actor_id: self.maybe(|draw| UserId(draw.id())),
            rule_id: None,
            data: match self.0.bool() {
                true => system,
                false => EventData::Custom(self.json()),
            },
        }
    }

    fn patterns(&mut self) -> Vec<EventPattern> {
        let many = self.0.usize(1..4);
        let patterns = (0..many).map(|_| self.one(PATTERNS).parse().unwrap());
        patterns.collect()
    }

    fn now(&mut self) -> Timestamp {
        let at = [1_000, 1_010, 1_015, 0, Timestamp::MAX.unix_millis()];
        Timestamp::from_unix_millis(self.one(&at))
    }
}

type Plain = BTreeMap<RuleId, (Vec<EventPattern>, Arc<Predicate>)>;

fn listening_where_it_holds(rules: &Plain, facts: &Facts<'_>) -> Vec<RuleId> {
    let concerned = rules.iter().filter(|(_, (patterns, predicate))| {
        patterns.iter().any(|of| of.matches(&facts.event.kind)) && predicate.holds(facts)
    });
    concerned.map(|(id, _)| *id).collect()
}

fn change(draw: &mut Draw, index: &mut RuleIndex<RuleId>, rules: &mut Plain) {
    let id = RuleId(uuid::Uuid::from_u128(draw.0.u128(1..150)));
    if draw.0.u8(..4) == 0 {
        assert_eq!(index.remove(id).is_some(), rules.remove(&id).is_some());
        return;
    }
    let patterns = draw.patterns();
    let predicate = Arc::new(draw.predicate(3));
    index.insert(id, &patterns, Arc::clone(&predicate), id);
    rules.insert(id, (patterns, predicate));
}

#[test]
fn the_rules_found_are_those_that_listen_and_whose_predicate_holds() {
    let asked_for = std::env::var("SMARTTASKS_TEST_SEED").ok();
    let seed = asked_for.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    let mut draw = Draw(fastrand::Rng::with_seed(seed));
    let (mut index, mut rules) = (RuleIndex::default(), Plain::new());
    let mut found = 0;
    for _ in 0..4_000 {
        change(&mut draw, &mut index, &mut rules);
        let (task, event, now) = (draw.maybe(Draw::task), draw.event(), draw.now());
        let facts = Facts {
            task: task.as_ref(),
            event: &event,
            now,
        };
        let expected = listening_where_it_holds(&rules, &facts);
        let candidates = index.candidates(&facts);
        let ids: Vec<RuleId> = candidates.rules.into_iter().copied().collect();
        assert_eq!(ids, expected, "SMARTTASKS_TEST_SEED={seed}: {facts:?}");
        assert!(candidates.asked >= ids.len());
        found += ids.len();
        let id = RuleId(uuid::Uuid::from_u128(draw.0.u128(1..150)));
        let listens = |(patterns, _): &(Vec<EventPattern>, _)| {
            patterns.iter().any(|of| of.matches(&event.kind))
        };
        assert_eq!(
            index.listens(id, &event.kind),
            rules.get(&id).is_some_and(listens),
            "SMARTTASKS_TEST_SEED={seed}"
        );
        assert_eq!(
            index.is_listened_to(&event.kind),
            rules.values().any(listens),
            "SMARTTASKS_TEST_SEED={seed}"
        );
    }
    assert!(found > 10_000, "{found} were found");
    for id in rules.into_keys() {
        assert_eq!(index.remove(id), Some(id));
    }
    assert!(index.listeners.is_empty(), "something is left");
}

fn test(field: Field, check: Check) -> Predicate {
    Predicate::test(Subject::Task(field), check)
}

fn is(field: Field, text: &str) -> Predicate {
    test(field, Check::is(Value::Text(text.to_owned())))
}

/// How many of a thousand rules are asked about a task.
fn asked(rule: impl Fn(i64) -> Predicate, change: impl Fn(&mut Task)) -> usize {
    let mut index = RuleIndex::default();
    for number in 0..1_000 {
        let id = RuleId(uuid::Uuid::from_u128(number));
        let predicate = rule(i64::try_from(number).unwrap());
        let patterns = ["task.*".parse().unwrap()];
        index.insert(id, &patterns, Arc::new(predicate), id);
    }
    let mut draw = Draw(fastrand::Rng::with_seed(1));
    let mut task = draw.task();
    change(&mut task);
    let mut event = draw.event();
    event.kind = EventType::system("task.updated");
    let facts = Facts {
        task: Some(&task),
        event: &event,
        now: Timestamp::from_unix_millis(1_000_000),
    };
    index.candidates(&facts).asked
}

fn amount(value: i64) -> impl Fn(&mut Task) {
    move |task| drop(task.fields.insert("amount".to_owned(), json!(value)))
}

#[test]
fn only_rules_that_share_what_few_events_have_are_asked() {
    let open = || {
        let open = Status::ALL
            .iter()
            .copied()
            .filter(|status| status.is_open());
        test(Field::Status, Check::one_of(open.map(Value::Status)))
    };
    let custom = || Field::Custom(vec!["amount".to_owned()]);
    let project = |number: i64| is(Field::Project, &format!("p{}", number / 10));
    let with_project = |task: &mut Task| task.project = Some("p7".to_owned());
    assert_eq!(asked(|of| open().and(project(of)), with_project), 10);

    let either = |of: i64| project(of).or(is(Field::Title, &format!("t{of}")));
    let with_either = |task: &mut Task| {
        task.project = Some("p7".to_owned());
        task.title = "t500".to_owned();
    };
    assert_eq!(asked(|of| open().and(either(of)), with_either), 11);

    let tag = |of: i64| test(Field::Tags, Check::Has(format!("tag{of}")));
    let tagged = |task: &mut Task| task.tags = vec!["tag1".to_owned(), "tag2".to_owned()];
    assert_eq!(asked(|of| open().and(tag(of)), tagged), 2);

    let at_least = |of: i64| {
        let range = Range::Number(Bounds::from(of.into(), true));
        test(custom(), Check::Range(range))
    };
    assert_eq!(asked(at_least, amount(4)), 5);

    let band = |of: i64| {
        let bounds = Bounds {
            min: Bounds::from(of.into(), true).min,
            max: Bounds::up_to((of + 2).into(), true).max,
        };
        test(custom(), Check::Range(Range::Number(bounds)))
    };
    assert_eq!(asked(band, amount(500)), 3);
    assert_eq!(
        asked(
            |of| test(custom(), Check::is(Value::Number(of.into()))),
            amount(9)
        ),
        1
    );

    let overdue_by = |of: i64| {
        let bounds = Bounds::up_to(Moment::Now(Span::from_millis(-of * 100)), true);
        test(Field::DueAt, Check::Range(Range::Time(bounds)))
    };
    let late = |task: &mut Task| task.due_at = Some(Timestamp::from_unix_millis(999_500));
    assert_eq!(asked(overdue_by, late), 6);
}

#[test]
fn a_value_that_most_rules_share_is_not_what_they_are_found_by() {
    let same = || is(Field::Project, "main");
    let rule = |of: i64| same().and(test(Field::Tags, Check::Has(format!("tag{of}"))));
    let asked = asked(rule, |task| {
        task.project = Some("main".to_owned());
        task.tags = vec!["tag900".to_owned()];
    });
    assert!(asked < 10, "{asked} of 1,000 were asked");
}
