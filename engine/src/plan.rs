//! Which rules an event concerns, what they need to be evaluated, and what follows from the
//! outcome: all decided before anything is written.

use crate::evaluate::{Done, Evaluated, Job};
use crate::rule_set::{LoadedRule, RuleSet};
use crate::turns::Turns;
use serde_json::{Map, Value, json};
use smarttasks_bus::HandlerError;
use smarttasks_model::{
    Content, Event, EventData, Message, Notification, NotificationId, RuleId, RunId, RunStatus,
    Task, TaskId, Timestamp, WebhookTarget, WorkspaceId,
};
use smarttasks_rules::{Action, Inputs, Outcome, WorkspaceFacts};
use smarttasks_store::runs::{ActionRecord, Run, RunError};
use smarttasks_store::{Db, Due, Timer, tasks};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Most changes of tasks that a transaction makes for rules, but for those of one run: it must
/// end in time.
pub(crate) const CHANGES: usize = 200;
/// How far apart what has to wait for its workspace's budget comes back.
const APART: Duration = Duration::from_millis(100);

type RuleSets = HashMap<WorkspaceId, Arc<RuleSet>>;

/// A rule that an event may start.
pub(crate) struct Candidate {
    event: Arc<Event>,
    rule: Arc<LoadedRule>,
    rule_set: Arc<RuleSet>,
}

impl Candidate {
    /// The run that it would be.
    pub(crate) fn run_id(&self) -> RunId {
        let event = &self.event;
        RunId::of(self.rule.facts.id, event.change, event.task_id, event.time)
    }

    pub(crate) fn uses_state(&self) -> bool {
        let program = self.rule.program.as_ref();
        program.is_ok_and(|program| program.uses_state())
    }
}

/// The rules that these events may start, in the order of the events.
pub(crate) fn candidates(events: &[Arc<Event>], rule_sets: &RuleSets) -> Vec<Candidate> {
    let mut found = Vec::new();
    for event in events {
        let Some(rule_set) = rule_sets.get(&event.workspace_id) else {
            continue;
        };
        let mut add = |rule: &Arc<LoadedRule>| {
            found.push(Candidate {
                event: Arc::clone(event),
                rule: Arc::clone(rule),
                rule_set: Arc::clone(rule_set),
            });
        };
        match event.rule_id {
            // One that has waited for its turn is for a rule that still listens.
            Some(id) => rule_set
                .rule(id)
                .filter(|rule| event.kind.is_addressed() || rule.listens(&event.kind))
                .into_iter()
                .for_each(&mut add),
            None => rule_set.listening(&event.kind).for_each(&mut add),
        }
    }
    found
}

/// What the evaluations of a batch read: one statement each, however many there are.
pub(crate) struct Context {
    now: Timestamp,
    tasks: HashMap<TaskId, Arc<Task>>,
}

impl Context {
    pub(crate) async fn load(db: &Db, candidates: &[Candidate]) -> Result<Self, HandlerError> {
        let missing: HashSet<TaskId> = candidates
            .iter()
            .filter(|candidate| candidate.event.task().is_none())
            .filter_map(|candidate| candidate.event.task_id)
            .collect();
        let tasks: HashMap<TaskId, Arc<Task>> = tasks::by_ids(db, missing)
            .await?
            .into_iter()
            .map(|(id, task)| (id, Arc::new(task)))
            .collect();
        Ok(Self {
            now: db.clock().now(),
            tasks,
        })
    }

    /// What is handed to the evaluator, and the candidates that belong to it, in the same order.
    /// A rule that cannot be evaluated is recorded as failed instead.
    pub(crate) fn jobs(
        &self,
        candidates: &[Candidate],
        plan: &mut Plan,
    ) -> (Vec<Job>, Vec<Started>) {
        let mut jobs = Vec::with_capacity(candidates.len());
        let mut started = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let task = self.task_of(&candidate.event);
            let run = Started::new(candidate, task.as_ref().map(|task| task.id), self.now);
            match &run.rule.program {
                Err(error) => plan.fail(&run, error.clone(), Vec::new(), 0),
                Ok(program) => {
                    jobs.push(Job {
                        withheld: false,
                        message: run.event.id,
                        program: Arc::clone(program),
                        rule: Arc::clone(&run.rule),
                        inputs: run.inputs(task),
                    });
                    started.push(run);
                }
            }
        }
        (jobs, started)
    }

    /// The task as the event left it; as it is now when the event does not tell.
    fn task_of(&self, event: &Event) -> Option<Arc<Task>> {
        match event.task() {
            Some(task) => Some(Arc::new(task.clone())),
            None => event
                .task_id
                .and_then(|id| self.tasks.get(&id))
                .filter(|task| task.workspace_id == event.workspace_id)
                .cloned(),
        }
    }
}

/// A run that is being evaluated.
pub(crate) struct Started {
    id: RunId,
    pub(crate) task_id: Option<TaskId>,
    started_at: Timestamp,
    event: Arc<Event>,
    pub(crate) rule: Arc<LoadedRule>,
    workspace: Arc<WorkspaceFacts>,
    rule_set: Arc<RuleSet>,
}

impl Started {
    fn new(candidate: &Candidate, task_id: Option<TaskId>, now: Timestamp) -> Self {
        let Candidate {
            event,
            rule,
            rule_set,
        } = candidate;
        Self::of(event, rule, rule_set, task_id, now)
    }

    /// The run of a rule for a task, which an event starts.
    pub(crate) fn of(
        event: &Arc<Event>,
        rule: &Arc<LoadedRule>,
        rule_set: &Arc<RuleSet>,
        task_id: Option<TaskId>,
        now: Timestamp,
    ) -> Self {
        Self {
            id: RunId::of(rule.facts.id, event.change, task_id, event.time),
            task_id,
            started_at: now,
            workspace: Arc::clone(&rule_set.workspace),
            event: Arc::clone(event),
            rule: Arc::clone(rule),
            rule_set: Arc::clone(rule_set),
        }
    }

    /// What its evaluation is given.
    pub(crate) fn inputs(&self, task: Option<Arc<Task>>) -> Inputs {
        Inputs {
            now: self.started_at,
            run_id: self.id,
            workspace: Arc::clone(&self.workspace),
            rule: Arc::clone(&self.rule.facts),
            event: Arc::clone(&self.event),
            task,
            users: Arc::clone(&self.rule_set.members),
            state: Arc::default(),
            journal: Arc::default(),
            answers: Arc::default(),
            spent: Duration::ZERO,
        }
    }

    fn record(&self, duration_us: i64, log: Vec<String>) -> Run {
        Run {
            id: self.id,
            workspace_id: self.workspace.id,
            rule_id: self.rule.facts.id,
            rule_version: self.rule.facts.version,
            task_id: self.task_id,
            event_id: self.event.id,
            status: RunStatus::Succeeded,
            trigger: trigger(&self.event),
            actions: Vec::new(),
            log,
            error: None,
            traceparent: self.event.traceparent,
            started_at: self.started_at,
            finished_at: Some(self.started_at),
            duration_us,
            resumes_at: None,
        }
    }
}

/// What started a run: the event, and what its own data say of the occasion.
fn trigger(event: &Event) -> Value {
    let mut trigger = json!({ "type": event.kind, "event_id": event.id, "at": event.time });
    if let (Some(trigger), EventData::System(snapshot)) = (trigger.as_object_mut(), &event.data) {
        for name in ["scheduled_at", "due_at", "offset"] {
            if let Some(value) = snapshot.more.get(name) {
                trigger.insert(name.to_owned(), value.clone());
            }
        }
    }
    trigger
}

/// A run to be written, with what it asks for.
#[derive(Clone)]
pub(crate) struct PlannedRun {
    pub(crate) run: Run,
    pub(crate) event: Arc<Event>,
    pub(crate) steps: Vec<Step>,
    /// What its rule keeps from then on.
    pub(crate) state: Option<Arc<Map<String, Value>>>,
    /// Whether there is to be a record of it.
    pub(crate) recorded: bool,
}

impl PlannedRun {
    /// How much it changes: what takes time in the transaction.
    pub(crate) fn changes(&self) -> usize {
        let steps = self.steps.iter();
        steps.filter(|step| matches!(step, Step::Do(_))).count()
    }

    /// Of this run only what its rule keeps, which is kept also when it does not fire.
    pub(crate) fn only_state(&self) -> Option<Self> {
        self.state.as_ref()?;
        Some(Self {
            steps: Vec::new(),
            recorded: false,
            ..self.clone()
        })
    }
}

/// One action, decided.
#[derive(Clone)]
pub(crate) enum Step {
    /// Something to say.
    Notify(Box<Notification>),
    /// Something to change.
    Do(Action),
    /// Nothing: the record says why.
    Suppressed(&'static str),
}

/// What a batch of events leads to.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    pub(crate) runs: Vec<PlannedRun>,
    pub(crate) notifications: Vec<Notification>,
    /// Events whose rules have not had their turn.
    pub(crate) put_off: Vec<PutOff>,
    /// The versions of what rules keep, as their evaluations read it.
    pub(crate) versions: HashMap<RuleId, i64>,
}

/// An event for one rule that waits.
#[derive(Clone)]
pub(crate) struct PutOff {
    event: Arc<Event>,
    rule_id: RuleId,
    until: Timestamp,
}

impl PutOff {
    /// The timer after which the event comes again, for this rule alone.
    pub(crate) fn timer(&self) -> Timer {
        let event = Event {
            rule_id: Some(self.rule_id),
            ..(*self.event).clone()
        };
        Timer {
            fire_at: self.until,
            workspace_id: Some(event.workspace_id),
            due: Due::Message {
                key: format!("{}:{}", event.id, self.rule_id),
                message: Box::new(Message::Event(Arc::new(event))),
            },
        }
    }
}

impl Plan {
    /// What the endpoints that subscribe to these events are told.
    pub(crate) fn of_subscriptions(
        events: &[Arc<Event>],
        rule_sets: &RuleSets,
        max_depth: u8,
    ) -> Self {
        let mut notifications = Vec::new();
        let told = |event: &&Arc<Event>| event.rule_id.is_none() && event.depth <= max_depth;
        for event in events.iter().filter(told) {
            let Some(rule_set) = rule_sets.get(&event.workspace_id) else {
                continue;
            };
            for endpoint in rule_set.subscribed(&event.kind) {
                let key = [event.id.as_bytes(), b"subscription", endpoint.id.as_bytes()];
                notifications.push(Notification {
                    id: NotificationId::derived(event.time, &key),
                    workspace_id: event.workspace_id,
                    run_id: None,
                    rule_id: None,
                    task_id: event.task_id,
                    created_at: event.time,
                    depth: event.depth,
                    traceparent: event.traceparent,
                    content: Content::Webhook {
                        target: WebhookTarget::Endpoint(endpoint.id),
                        kind: event.kind.to_string(),
                        timestamp: event.time,
                        data: event.data_json(),
                    },
                });
            }
        }
        Self {
            notifications,
            ..Self::default()
        }
    }

    /// Puts off what has to wait because its workspace has used its budget; the rest stays.
    pub(crate) fn keep_to_budgets(
        &mut self,
        candidates: Vec<Candidate>,
        turns: &Turns,
        now: Timestamp,
    ) -> Vec<Candidate> {
        let mut waits = HashMap::new();
        let mut kept = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let workspace = candidate.event.workspace_id;
            let wait = *waits
                .entry(workspace)
                .or_insert_with(|| turns.wait(workspace));
            match wait {
                // One after the other, so that they do not all come back to be put off again.
                Some(wait) => self.put_off.push(PutOff {
                    event: candidate.event,
                    rule_id: candidate.rule.facts.id,
                    until: now
                        + wait
                        + APART * u32::try_from(self.put_off.len()).unwrap_or(u32::MAX),
                }),
                None => kept.push(candidate),
            }
        }
        kept
    }

    /// Adds the runs that acted, kept something or failed, in the order in which they were to be
    /// evaluated; what did not get its turn is put off.
    pub(crate) fn add_evaluated(
        &mut self,
        started: Vec<Started>,
        evaluated: Evaluated,
        max_depth: u8,
    ) {
        self.versions = evaluated.versions;
        let mut changes = 0;
        // What a rule keeps goes from run to run, so after one that is left all of the rule are.
        let mut left = HashSet::new();
        for (run, done) in started.into_iter().zip(evaluated.done) {
            let rule_id = run.rule.facts.id;
            match done {
                Done::Nothing | Done::PassedOver => {}
                Done::Told(outcome) if !left.contains(&rule_id) => {
                    let planned = run.planned(*outcome, max_depth);
                    changes += planned.changes();
                    if changes > CHANGES && changes > planned.changes() {
                        left.insert(rule_id);
                        self.leave(run);
                    } else {
                        self.add(planned);
                    }
                }
                Done::Told(_) | Done::Left => self.leave(run),
            }
        }
    }

    fn leave(&mut self, run: Started) {
        self.put_off.push(PutOff {
            until: run.started_at,
            rule_id: run.rule.facts.id,
            event: run.event,
        });
    }

    pub(crate) fn fail(
        &mut self,
        started: &Started,
        error: RunError,
        log: Vec<String>,
        duration_us: i64,
    ) {
        self.add(started.failed(error, log, duration_us));
    }

    /// A rule fires once per change and task: of several events of one change, the first that
    /// it acts on counts.
    fn add(&mut self, planned: PlannedRun) {
        if self.runs.iter().all(|other| other.run.id != planned.run.id) {
            self.runs.push(planned);
        }
    }
}

impl Started {
    /// What follows from the outcome of its evaluation.
    pub(crate) fn planned(&self, outcome: Outcome, max_depth: u8) -> PlannedRun {
        let duration_us = i64::try_from(outcome.duration.as_micros()).unwrap_or(i64::MAX);
        if let Some(error) = outcome.error {
            let error = RunError {
                message: error.message,
                line: error.line,
                column: error.column,
            };
            return self.failed(error, outcome.log, duration_us);
        }
        if self.event.depth >= max_depth {
            return self.failed(looped(max_depth), outcome.log, duration_us);
        }
        let state = outcome.state.map(Arc::new);
        self.succeeded(outcome.actions, state, outcome.log, duration_us)
    }

    fn succeeded(
        &self,
        actions: Vec<Action>,
        state: Option<Arc<Map<String, Value>>>,
        log: Vec<String>,
        duration_us: i64,
    ) -> PlannedRun {
        let mut run = self.record(duration_us, log);
        let mut steps = Vec::with_capacity(actions.len());
        for (number, action) in actions.into_iter().enumerate() {
            let (name, mut detail) = (action.name(), action.detail());
            let step = decide(self, number, action);
            if let (Step::Suppressed(reason), Some(detail)) = (&step, detail.as_object_mut()) {
                // An e-mail already says in more detail why it goes to nobody.
                detail.entry("suppressed").or_insert_with(|| json!(reason));
            }
            run.actions.push(ActionRecord {
                action: name.to_owned(),
                detail,
            });
            steps.push(step);
        }
        if let Some(state) = &state {
            run.actions.push(ActionRecord {
                action: "state.set".to_owned(),
                detail: json!({ "keys": state.keys().collect::<Vec<_>>() }),
            });
        }
        PlannedRun {
            run,
            event: Arc::clone(&self.event),
            steps,
            state,
            recorded: true,
        }
    }

    pub(crate) fn failed(&self, error: RunError, log: Vec<String>, duration_us: i64) -> PlannedRun {
        let mut run = self.record(duration_us, log);
        run.status = RunStatus::Failed;
        run.error = Some(error);
        PlannedRun {
            run,
            event: Arc::clone(&self.event),
            steps: Vec::new(),
            state: None,
            recorded: true,
        }
    }
}

fn looped(max_depth: u8) -> RunError {
    RunError {
        message: format!(
            "stopped as a loop: {max_depth} rules in a row have caused each other; let one of \
             them check whether anything is left to do"
        ),
        line: None,
        column: None,
    }
}

fn decide(run: &Started, number: usize, action: Action) -> Step {
    let content = match action {
        Action::Email {
            suppressed: Some(_),
            ..
        }
        | Action::Notify {
            suppressed: Some(_),
            ..
        } => {
            return Step::Suppressed("no recipient");
        }
        Action::Email {
            to,
            subject,
            text,
            html,
            suppressed: None,
        } => Content::Email {
            to,
            subject,
            text,
            html,
        },
        Action::Notify {
            to,
            title,
            text,
            suppressed: None,
        } => Content::Email {
            to,
            subject: title,
            text,
            html: None,
        },
        Action::Webhook { endpoint, payload } => match target(run, &endpoint) {
            Ok(target) => Content::Webhook {
                target,
                kind: "rule.webhook".to_owned(),
                timestamp: run.started_at,
                data: payload,
            },
            Err(reason) => return Step::Suppressed(reason),
        },
        other => return Step::Do(other),
    };
    let number = number.to_be_bytes();
    Step::Notify(Box::new(Notification {
        id: NotificationId::derived(run.event.time, &[run.id.as_bytes(), &number]),
        workspace_id: run.workspace.id,
        run_id: Some(run.id),
        rule_id: Some(run.rule.facts.id),
        task_id: run.task_id,
        created_at: run.started_at,
        depth: run.event.depth.saturating_add(1),
        traceparent: run.event.traceparent,
        content,
    }))
}

/// A script names an endpoint, or gives a URL.
fn target(run: &Started, endpoint: &str) -> Result<WebhookTarget, &'static str> {
    let named = run.rule_set.endpoints.iter().find(|of| of.name == endpoint);
    match named {
        Some(named) if named.enabled => Ok(WebhookTarget::Endpoint(named.id)),
        Some(_) => Err("the endpoint is disabled"),
        None if endpoint.contains("://") => Ok(WebhookTarget::Url(endpoint.to_owned())),
        None => Err("no endpoint of this name"),
    }
}
