//! What a test gives, as the inputs of an evaluation.

use super::file::{Member, StartedBy, Test};
use crate::{Coming, GivenEvent, Inputs, RuleFacts, WorkspaceFacts};
use serde_json::{Map, Value, json};
use smarttasks_model::{
    Actor, ChangeId, Event, EventData, EventId, EventType, ForEach, NewTask, NotifyBy, RuleId,
    RuleSpec, RunId, Snapshot, Span, Task, TaskFilter, TaskId, TimeZone, Timestamp, Trigger, User,
    UserId, WorkspaceId,
};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What a test gives.
pub(super) struct Given {
    pub(super) inputs: Inputs,
    /// What comes while the run waits.
    pub(super) events: VecDeque<Coming>,
    /// The tasks of the workspace, oldest first.
    tasks: Vec<Arc<Task>>,
    /// The names of tasks by their ids.
    names: HashMap<TaskId, String>,
}

/// What is needed to read the tasks of a test.
struct Workspace {
    now: Timestamp,
    id: WorkspaceId,
    members: Vec<User>,
}

impl Given {
    pub(super) fn of(test: &Test, rule: &RuleSpec) -> Result<Self, String> {
        let now = test
            .now
            .ok_or("`now` is missing, such as now = \"2026-12-04T08:00:00Z\"")?;
        let workspace = Workspace::of(now, test.members.as_deref())?;
        let mut names = HashMap::new();
        let mut read = |fields: &Map<String, Value>, name: &str| {
            let task = workspace.task(fields, name)?;
            names.insert(task.id, name_of(fields, name));
            Ok::<_, String>(Arc::new(task))
        };
        let task = match &test.task {
            Some(fields) => Some(read(fields, "task")?),
            None => None,
        };
        let mut tasks: Vec<Arc<Task>> = task.iter().cloned().collect();
        for (number, fields) in test.tasks.iter().enumerate() {
            tasks.push(read(fields, &format!("tasks {}", number + 1))?);
        }
        tasks.sort_by_key(|task| (task.created_at, task.id));
        let event = workspace.event(test, rule, task.as_deref())?;
        let events = test.events.iter().enumerate();
        let events: Result<Vec<GivenEvent>, String> = events
            .map(|(number, event)| {
                let wrong = |error| format!("events {}: {error}", number + 1);
                workspace.coming(event).map_err(wrong)
            })
            .collect();
        Ok(Self {
            events: Coming::all(now, events?),
            inputs: workspace.inputs(test, rule, event, task),
            tasks,
            names,
        })
    }

    /// The tasks that pass, oldest first.
    pub(super) fn tasks_passing<'a>(
        &'a self,
        filter: &'a TaskFilter,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Arc<Task>> {
        self.tasks
            .iter()
            .filter(move |task| filter.matches(task, now))
    }

    /// What the test calls a task, where it is one of those given.
    pub(super) fn name(&self, task: TaskId) -> Option<&str> {
        self.names.get(&task).map(String::as_str)
    }

    /// The address of a member.
    pub(super) fn address(&self, user: UserId) -> Option<&str> {
        self.inputs.users.get(&user).map(|user| user.email.as_str())
    }
}

/// Its `id`, or else what it is in the file.
fn name_of(fields: &Map<String, Value>, otherwise: &str) -> String {
    match fields.get("id").and_then(Value::as_str) {
        Some(id) => id.to_owned(),
        None => otherwise.to_owned(),
    }
}

impl Workspace {
    fn of(now: Timestamp, members: Option<&[Member]>) -> Result<Self, String> {
        let user = |name: &str, email| User {
            id: UserId::derived(now, &[name.as_bytes()]),
            name: name.to_owned(),
            email,
            timezone: TimeZone::default(),
            notify_by: NotifyBy::default(),
        };
        let mut all = Vec::new();
        match members {
            Some(members) => {
                all.extend(members.iter().map(|m| user(&m.name, m.email.clone())));
            }
            None => {
                for (name, address) in [("Ann", "ann@example.com"), ("Bob", "bob@example.com")] {
                    let email = address.parse().map_err(|error| format!("{error}"))?;
                    all.push(user(name, email));
                }
            }
        }
        if all.is_empty() {
            return Err("`members` is empty; a workspace has at least one".to_owned());
        }
        Ok(Self {
            now,
            id: WorkspaceId::derived(now, &[b"workspace"]),
            members: all,
        })
    }

    fn owner(&self) -> UserId {
        self.members[0].id
    }

    fn member(&self, key: &str, value: &Value) -> Result<Option<UserId>, String> {
        let address = match value {
            Value::Null => return Ok(None),
            Value::String(address) => address,
            other => {
                return Err(format!(
                    "`{key}` must be the address of a member, not {other}"
                ));
            }
        };
        let wanted = address.to_ascii_lowercase();
        let found = self.members.iter().find(|user| user.email.key() == wanted);
        match found {
            Some(user) => Ok(Some(user.id)),
            None => Err(format!("`{key}`: no member has the address {address}")),
        }
    }

    fn task_id(&self, name: &str) -> TaskId {
        name.parse()
            .unwrap_or_else(|_| TaskId::derived(self.now, &[name.as_bytes()]))
    }

    /// A time as RFC 3339, or as a length of time from now such as `-26h`.
    fn time(&self, key: &str, value: &Value) -> Result<Option<Timestamp>, String> {
        let text = match value {
            Value::Null => return Ok(None),
            Value::String(text) => text,
            other => return Err(format!("`{key}` must be a time, not {other}")),
        };
        let at = text.parse::<Timestamp>().ok();
        let from_now = || text.parse::<Span>().ok().map(|span| self.now + span);
        at.or_else(from_now).map(Some).ok_or_else(|| {
            format!(
                "`{key}`: \"{text}\" is neither a time such as 2026-12-04T08:00:00Z nor a length of time from now such as -26h"
            )
        })
    }

    /// A task of the test. People are named by their addresses, other tasks by their ids, which
    /// may be any text; times may be told from now.
    fn task(&self, fields: &Map<String, Value>, name: &str) -> Result<Task, String> {
        let wrong = |error: String| format!("{name}: {error}");
        let mut fields = fields.clone();
        let mut take = |key: &str| fields.remove(key).unwrap_or(Value::Null);
        let id = match take("id") {
            Value::String(id) => self.task_id(&id),
            _ => self.task_id(name),
        };
        let creator = self.member("creator", &take("creator")).map_err(wrong)?;
        let assignee = self.member("assignee", &take("assignee")).map_err(wrong)?;
        let parent = take("parent");
        let mut time = |key: &str| {
            let value = take(key);
            self.time(key, &value).map_err(wrong)
        };
        let due_at = time("due_at")?;
        let created_at = time("created_at")?.unwrap_or(self.now);
        let updated_at = time("updated_at")?.unwrap_or(created_at);
        let status_changed_at = time("status_changed_at")?.unwrap_or(created_at);
        let completed_at = time("completed_at")?;
        fields.entry("title").or_insert_with(|| "A task".into());
        let new: NewTask = serde_json::from_value(Value::Object(fields))
            .map_err(|error| wrong(error.to_string()))?;
        let new = NewTask {
            assignee_id: assignee,
            due_at,
            parent_id: parent.as_str().map(|parent| self.task_id(parent)),
            ..new
        };
        let new = new.checked().map_err(|invalid| {
            let all = invalid
                .iter()
                .map(|i| format!("{} {}", i.pointer, i.detail));
            wrong(all.collect::<Vec<_>>().join("; "))
        })?;
        let open = new.status.is_open();
        let creator = creator.unwrap_or(self.owner());
        let task = new.into_task(id, self.id, creator, created_at);
        Ok(Task {
            updated_at,
            status_changed_at,
            completed_at: completed_at.or((!open).then_some(status_changed_at)),
            ..task
        })
    }

    /// An event that comes later; what it changes about the task is told as the task itself is.
    fn coming(&self, event: &Map<String, Value>) -> Result<GivenEvent, String> {
        let mut event = event.clone();
        if let Some(Value::Object(changes)) = event.get_mut("task") {
            if let Some(assignee) = changes.remove("assignee") {
                let id = self.member("task.assignee", &assignee)?;
                changes.insert("assignee_id".to_owned(), json!(id));
            }
            if let Some(due) = changes.get("due_at") {
                let due = self.time("task.due_at", due)?;
                changes.insert("due_at".to_owned(), json!(due));
            }
        }
        serde_json::from_value(Value::Object(event)).map_err(|error| error.to_string())
    }

    fn event(&self, test: &Test, rule: &RuleSpec, task: Option<&Task>) -> Result<Event, String> {
        let kind = started_by(&test.event, rule)?;
        let actor_id = match &test.event.actor {
            Some(address) => self.member("event.actor", &json!(address))?,
            None => None,
        };
        let data = if kind.is_system() {
            EventData::System(Box::new(self.snapshot(test, task, actor_id)?))
        } else {
            EventData::Custom(test.event.data.clone())
        };
        Ok(Event {
            id: EventId::derived(self.now, &[b"event"]),
            workspace_id: self.id,
            kind,
            task_id: task.map(|task| task.id),
            time: self.now,
            traceparent: None,
            change: ChangeId::derived(self.now, &[b"change"]),
            depth: 0,
            actor_id,
            rule_id: None,
            data,
        })
    }

    fn snapshot(
        &self,
        test: &Test,
        task: Option<&Task>,
        actor_id: Option<UserId>,
    ) -> Result<Snapshot, String> {
        let (mut previous, mut changes) = (None, Vec::new());
        if let Some(before) = &test.event.previous {
            let now = test
                .task
                .as_ref()
                .ok_or("`event.previous` is of a task, and there is no [test.task]")?;
            let mut fields = now.clone();
            fields.extend(before.clone());
            previous = Some(self.task(&fields, "task")?);
            changes = before.keys().map(|key| changed(key).to_owned()).collect();
        }
        let actor = self.members.iter().find(|user| Some(user.id) == actor_id);
        Ok(Snapshot {
            task: task.cloned(),
            previous,
            changes,
            actor: actor.map(|user| Actor {
                id: user.id,
                name: user.name.clone(),
            }),
            more: match &test.event.data {
                Value::Object(more) => more.clone(),
                _ => Map::new(),
            },
        })
    }

    fn inputs(
        &self,
        test: &Test,
        rule: &RuleSpec,
        event: Event,
        task: Option<Arc<Task>>,
    ) -> Inputs {
        let users = self.members.iter().map(|user| (user.id, user.clone()));
        Inputs {
            now: self.now,
            run_id: RunId::derived(self.now, &[b"run"]),
            workspace: Arc::new(WorkspaceFacts {
                id: self.id,
                name: "Workspace".to_owned(),
                timezone: test.timezone.unwrap_or_default(),
            }),
            rule: Arc::new(RuleFacts {
                id: RuleId::derived(self.now, &[b"rule"]),
                name: rule.name.clone(),
                version: 1,
                owner_id: self.owner(),
            }),
            event: Arc::new(event),
            task,
            users: Arc::new(users.collect()),
            state: Arc::new(test.state.clone()),
            journal: Arc::default(),
            answers: Arc::default(),
            spent: Duration::ZERO,
        }
    }
}

/// The name of a field in the list of changes.
fn changed(key: &str) -> &str {
    match key {
        "assignee" => "assignee_id",
        "parent" => "parent_id",
        other => other,
    }
}

/// The type of the event, which must be one that starts the rule.
fn started_by(event: &StartedBy, rule: &RuleSpec) -> Result<EventType, String> {
    let Some(kind) = &event.kind else {
        return rule.triggers.iter().find_map(first_type).ok_or_else(|| {
            "`event.type` is missing: the rule is started by several types of events".to_owned()
        });
    };
    let starts = rule.triggers.iter().any(|trigger| match trigger {
        Trigger::Event(pattern) => pattern.matches(kind),
        Trigger::Cron { .. } | Trigger::Due(_) => first_type(trigger).as_ref() == Some(kind),
    });
    if starts {
        Ok(kind.clone())
    } else {
        Err(format!("no trigger of the rule waits for {kind}"))
    }
}

/// The one type of event that a trigger waits for.
fn first_type(trigger: &Trigger) -> Option<EventType> {
    match trigger {
        Trigger::Event(pattern) => pattern.as_str().parse().ok(),
        Trigger::Cron {
            for_each: ForEach::Task | ForEach::Once,
            ..
        } => Some(EventType::system("rule.scheduled")),
        Trigger::Due(_) => Some(EventType::system("rule.due")),
    }
}
