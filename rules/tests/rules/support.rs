//! A workspace with two members and one task, and scripts run in it.

use serde_json::{Value, json};
use smarttasks_model::{
    Actor, ChangeId, Event, EventData, EventId, EventType, NotifyBy, Priority, RuleId, RunId,
    Snapshot, Status, Task, TaskFilter, TaskId, TimeZone, Timestamp, User, UserId, WorkspaceId,
};
use smarttasks_rules::{
    Action, Answer, Diagnostic, Inputs, Journal, Language, Limits, Need, Outcome, Program, Query,
    RuleFacts, ScriptError, Segment, Severity, Wait, WorkspaceFacts,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Friday, 9:00 in Berlin.
pub const NOW: &str = "2026-12-04T08:00:00Z";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[derive(Clone)]
pub struct World {
    pub language: Arc<Language>,
    pub inputs: Inputs,
    pub ann: User,
    pub bob: User,
    /// What queries are answered from: the task, and one that Ann is to do.
    pub stored: Vec<Arc<Task>>,
}

impl World {
    /// With the usual limits, but for the wall clock, which a busy machine must not decide by.
    pub fn new() -> Self {
        Self::within(Limits {
            wall: Duration::from_secs(60),
            ..Limits::default()
        })
    }

    pub fn within(limits: Limits) -> Self {
        let now = at(NOW);
        let person = |name: &str| User {
            id: UserId::derived(now, &[name.as_bytes()]),
            name: name.to_owned(),
            email: format!("{}@example.com", name.to_lowercase())
                .parse()
                .unwrap(),
            timezone: TimeZone::default(),
            notify_by: NotifyBy::default(),
        };
        let (ann, bob) = (person("Ann"), person("Bob"));
        let workspace_id = WorkspaceId::derived(now, &[b"workspace"]);
        let task = task(workspace_id, &ann, &bob);
        let stored = vec![Arc::new(task.clone()), Arc::new(other(&task, &ann))];
        let event = created(&task, &ann);
        let inputs = Inputs {
            now,
            run_id: RunId::derived(now, &[b"run"]),
            workspace: Arc::new(WorkspaceFacts {
                id: workspace_id,
                name: "Home".to_owned(),
                timezone: "Europe/Berlin".parse().unwrap(),
            }),
            rule: Arc::new(RuleFacts {
                id: RuleId::derived(now, &[b"rule"]),
                name: "Chase".to_owned(),
                version: 3,
                owner_id: ann.id,
            }),
            event: Arc::new(event),
            task: Some(Arc::new(task)),
            users: Arc::new(HashMap::from([
                (ann.id, ann.clone()),
                (bob.id, bob.clone()),
            ])),
            state: Arc::default(),
            journal: Arc::default(),
            answers: Arc::default(),
            spent: Duration::ZERO,
        };
        Self {
            language: Language::new(limits),
            inputs,
            ann,
            bob,
            stored,
        }
    }

    pub fn with_task(mut self, change: impl FnOnce(&mut Task)) -> Self {
        let task = self.inputs.task.as_mut().expect("the fixture has a task");
        change(Arc::make_mut(task));
        self
    }

    pub fn with_event(mut self, change: impl FnOnce(&mut Event)) -> Self {
        change(Arc::make_mut(&mut self.inputs.event));
        self
    }

    pub fn run(&self, script: &str) -> Outcome {
        self.evaluate(&self.compiled(script))
    }

    fn compiled(&self, script: &str) -> Program {
        let compiled = self.language.compile(script);
        compiled.unwrap_or_else(|found| panic!("{script}: {found:?}"))
    }

    /// Evaluates a program to its end or its next wait, answering what it asks.
    pub fn evaluate(&self, program: &Program) -> Outcome {
        let mut inputs = self.inputs.clone();
        loop {
            let outcome = program.evaluate(inputs.clone());
            match &outcome.need {
                Some(Need::Query(query)) => {
                    Arc::make_mut(&mut inputs.answers).push(self.answer(query));
                }
                Some(Need::Wait(_)) | None => return outcome,
            }
        }
    }

    /// Runs a script to its end, over all its waits, each of which ends as it usually does.
    pub fn walk(&self, script: &str) -> Walk {
        self.walk_with(script, ended)
    }

    /// The same with what comes of each wait, and what changes meanwhile.
    pub fn walk_with(&self, script: &str, end: impl FnMut(&Wait, &mut World) -> Value) -> Walk {
        let program = self.compiled(script);
        self.clone().walked(&program, end)
    }

    /// Runs a program to its end, in a world that its actions change.
    pub fn walked(
        mut self,
        program: &Program,
        mut end: impl FnMut(&Wait, &mut World) -> Value,
    ) -> Walk {
        let mut walk = Walk::default();
        loop {
            let outcome = self.evaluate(program);
            walk.log.extend(outcome.log);
            if let Some(error) = outcome.error {
                assert_eq!((outcome.actions, outcome.segment), (Vec::new(), None));
                walk.error = Some(error);
                return walk;
            }
            assert_eq!(outcome.actions_before, walk.actions.len());
            self.commit(&outcome.actions, outcome.state);
            walk.actions.extend(outcome.actions);
            let Some(Need::Wait(wait)) = outcome.need else {
                walk.segments.extend(outcome.segment);
                return walk;
            };
            let segment = stored(&outcome.segment.expect("what waits is kept"));
            self.inputs.now = self.inputs.now.max(wait.until());
            let woken = end(&wait, &mut self);
            walk.waits.push(wait);
            walk.segments.push(segment.clone());
            let journal = Arc::make_mut(&mut self.inputs.journal);
            journal.bytes += bytes(&segment);
            journal.segments.push(segment);
            journal.woken = woken;
        }
    }

    /// Does what a segment has asked for to tasks and to what the rule keeps.
    fn commit(&mut self, actions: &[Action], state: Option<serde_json::Map<String, Value>>) {
        for task in self.inputs.task.iter_mut().chain(&mut self.stored) {
            for action in actions {
                if action.task_id() == Some(task.id)
                    && let Some(changes) = action.changes_for(task)
                {
                    changes.apply(Arc::make_mut(task), self.inputs.now);
                }
            }
        }
        if let Some(state) = state {
            self.inputs.state = Arc::new(state);
        }
    }

    /// What a script asks, in order.
    pub fn queries(&self, script: &str) -> Vec<Query> {
        let program = self.language.compile(script).unwrap();
        let mut inputs = self.inputs.clone();
        let mut asked = Vec::new();
        while let Some(Need::Query(query)) = program.evaluate(inputs.clone()).need {
            Arc::make_mut(&mut inputs.answers).push(self.answer(&query));
            asked.push(query);
        }
        asked
    }

    fn answer(&self, query: &Query) -> Answer {
        let found = |filter: &TaskFilter| {
            let tasks = self.stored.iter().filter(|task| {
                let open = filter.open.is_none_or(|open| open == task.status.is_open());
                let status = filter.status.is_empty() || filter.status.contains(&task.status);
                let assignee =
                    filter.assignee_id.is_none() || filter.assignee_id == task.assignee_id;
                let unassigned = filter
                    .unassigned
                    .is_none_or(|none| none == task.assignee_id.is_none());
                open && status && assignee && unassigned
            });
            tasks.cloned().collect::<Vec<_>>()
        };
        match query {
            Query::Tasks { filter, limit } => {
                let mut tasks = found(filter);
                tasks.truncate(usize::try_from(*limit).unwrap());
                Answer::Tasks(tasks)
            }
            Query::Count(filter) => Answer::Count(found(filter).len() as u64),
        }
    }

    /// The actions of a script that must succeed.
    pub fn actions(&self, script: &str) -> Vec<Action> {
        let outcome = self.run(script);
        assert_eq!(outcome.error, None, "{script}");
        outcome.actions
    }

    /// The value of an expression, as a payload shows it.
    pub fn value(&self, expression: &str) -> Value {
        let script = format!("webhook(\"test\", #{{ value: {{ {expression} }} }});");
        match self.actions(&script).pop() {
            Some(Action::Webhook { payload, .. }) => payload["value"].clone(),
            other => panic!("{other:?}"),
        }
    }

    /// The error of a script that must fail.
    pub fn error(&self, script: &str) -> ScriptError {
        let outcome = self.run(script);
        assert_eq!(
            outcome.actions,
            [],
            "a script that failed has asked for nothing"
        );
        outcome
            .error
            .unwrap_or_else(|| panic!("{script} did not fail"))
    }

    /// The errors of a script that must not be stored.
    pub fn refused(&self, script: &str) -> Vec<Diagnostic> {
        let mut found = self.language.analyse(script, &[]).diagnostics;
        found.retain(|found| found.severity == Severity::Error);
        assert!(!found.is_empty(), "{script} would be stored");
        found
    }
}

/// What came of a run, over all its segments.
#[derive(Default)]
pub struct Walk {
    pub actions: Vec<Action>,
    pub log: Vec<String>,
    pub waits: Vec<Wait>,
    pub segments: Vec<Segment>,
    pub error: Option<ScriptError>,
}

/// A journal, as it is when it has been read back.
pub fn journal(segments: &[Segment], woken: Value) -> Arc<Journal> {
    Arc::new(Journal {
        bytes: segments.iter().map(bytes).sum(),
        segments: segments.to_vec(),
        woken,
    })
}

fn bytes(segment: &Segment) -> usize {
    serde_json::to_string(segment).unwrap().len()
}

/// A segment, as it is when it has been stored and read back.
fn stored(segment: &Segment) -> Segment {
    serde_json::from_str(&serde_json::to_string(segment).unwrap()).unwrap()
}

/// How a wait usually ends: the event comes, the other system answers, the user approves.
pub fn ended(wait: &Wait, world: &mut World) -> Value {
    match wait {
        Wait::Until { .. } => Value::Null,
        Wait::Event { pattern, .. } => {
            let kind = pattern.as_str().replace('*', "completed");
            let mut event = created(&world.stored[0], &world.bob);
            event.kind = kind.parse().unwrap();
            serde_json::to_value(event).unwrap()
        }
        Wait::Http { .. } => {
            let json = json!({ "up": true });
            json!({ "status": 200, "headers": {}, "body": json.to_string(), "json": json })
        }
        Wait::Approval { user, .. } => json!({ "approved": true, "by": user }),
    }
}

fn task(workspace_id: WorkspaceId, ann: &User, bob: &User) -> Task {
    Task {
        id: TaskId::derived(at(NOW), &[b"task"]),
        workspace_id,
        project: Some("website".to_owned()),
        title: "Renew certificate".to_owned(),
        description: "Before it runs out.".to_owned(),
        status: Status::InProgress,
        priority: Priority::High,
        creator_id: ann.id,
        assignee_id: Some(bob.id),
        tags: vec!["tls".to_owned()],
        due_at: Some(at("2026-12-01T09:00:00Z")),
        fields:
            json!({ "customer": "acme", "seats": 12, "rate": 1.5, "nested": { "deep": [1, 2] } })
                .as_object()
                .cloned()
                .unwrap_or_default(),
        parent_id: None,
        version: 4,
        created_at: at("2026-11-24T08:00:00Z"),
        updated_at: at("2026-12-02T08:00:00Z"),
        status_changed_at: at("2026-12-02T08:00:00Z"),
        completed_at: None,
    }
}

/// A task of Ann's without a deadline.
fn other(task: &Task, ann: &User) -> Task {
    Task {
        id: TaskId::derived(at(NOW), &[b"other"]),
        title: "Book a room".to_owned(),
        status: Status::Todo,
        priority: Priority::Normal,
        assignee_id: Some(ann.id),
        tags: Vec::new(),
        due_at: None,
        ..task.clone()
    }
}

fn created(task: &Task, actor: &User) -> Event {
    Event {
        id: EventId::derived(at(NOW), &[b"event"]),
        workspace_id: task.workspace_id,
        kind: EventType::system("task.updated"),
        task_id: Some(task.id),
        time: at("2026-12-04T07:59:59Z"),
        traceparent: None,
        change: ChangeId::derived(at(NOW), &[b"change"]),
        depth: 0,
        actor_id: Some(actor.id),
        rule_id: None,
        data: EventData::System(Box::new(Snapshot {
            task: Some(task.clone()),
            previous: Some(Task {
                status: Status::Todo,
                title: "Renew".to_owned(),
                ..task.clone()
            }),
            changes: vec!["status".to_owned(), "title".to_owned()],
            actor: Some(Actor {
                id: actor.id,
                name: actor.name.clone(),
            }),
            more: serde_json::Map::new(),
        })),
    }
}
