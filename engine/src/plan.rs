//! Which rules an event concerns, what they need to be evaluated, and what follows from the
//! outcome: all decided before anything is written.

use crate::evaluate::{Done, Evaluated, Job};
use crate::programs::Ready;
use crate::rule_set::{LoadedRule, RuleSet};
use crate::run::{PlannedRun, Started};
use crate::turns::Turns;
use smarttasks_bus::HandlerError;
use smarttasks_model::predicate::Facts;
use smarttasks_model::{
    Content, Event, Message, Notification, NotificationId, RuleId, RunId, Task, TaskId, Timestamp,
    WebhookTarget, WorkspaceId,
};
use smarttasks_store::runs::RunError;
use smarttasks_store::{Db, Due, Timer, tasks};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Most changes of tasks that a transaction makes for rules, but for those of one run: it must
/// end in time.
pub(crate) const CHANGES: usize = 200;
/// How far apart what has to wait for its workspace's budget comes back.
const APART: Duration = Duration::from_millis(100);

pub(crate) type RuleSets = HashMap<WorkspaceId, Arc<RuleSet>>;

/// A rule that an event may start.
pub(crate) struct Candidate {
    event: Arc<Event>,
    task: Option<Arc<Task>>,
    rule: Arc<LoadedRule>,
    rule_set: Arc<RuleSet>,
}

impl Candidate {
    /// The run that it would be.
    pub(crate) fn run_id(&self) -> RunId {
        let event = &self.event;
        RunId::of(self.rule.facts.id, event.change, event.task_id, event.time)
    }

    fn start(&self, now: Timestamp) -> Started {
        let task_id = self.task.as_ref().map(|task| task.id);
        Started::of(&self.event, &self.rule, &self.rule_set, task_id, now)
    }

    /// The rule, and the task that the run would be about.
    pub(crate) fn pair(&self) -> (RuleId, Option<TaskId>) {
        (self.rule.facts.id, self.event.task_id)
    }

    pub(crate) fn rule(&self) -> &Arc<LoadedRule> {
        &self.rule
    }
}

/// What it takes to tell which rules the events of a batch concern, and to evaluate those: one
/// statement, however many there are, and one instant for all.
pub(crate) struct Context {
    pub(crate) now: Timestamp,
    /// The events that somebody listens to. Whoever begins to listen meanwhile begins with later ones:
    /// the tasks of the others have not been read.
    heard: Vec<Arc<Event>>,
    tasks: HashMap<TaskId, Arc<Task>>,
}

impl Context {
    pub(crate) async fn load(
        db: &Db,
        events: &[Arc<Event>],
        rule_sets: &RuleSets,
    ) -> Result<Self, HandlerError> {
        let listened_to = |event: &&Arc<Event>| {
            let rule_set = rule_sets.get(&event.workspace_id);
            rule_set.is_some_and(|rule_set| rule_set.is_listened_to(event))
        };
        let heard: Vec<Arc<Event>> = events.iter().filter(listened_to).cloned().collect();
        let missing: HashSet<TaskId> = heard
            .iter()
            .filter(|event| event.task().is_none())
            .filter_map(|event| event.task_id)
            .collect();
        let tasks: HashMap<TaskId, Arc<Task>> = tasks::by_ids(db, missing)
            .await?
            .into_iter()
            .map(|(id, task)| (id, Arc::new(task)))
            .collect();
        Ok(Self {
            now: db.clock().now(),
            heard,
            tasks,
        })
    }

    /// The rules that the events may start, in their order.
    pub(crate) fn candidates(&self, rule_sets: &RuleSets) -> Vec<Candidate> {
        let mut found = Vec::new();
        for event in &self.heard {
            let Some(rule_set) = rule_sets.get(&event.workspace_id) else {
                continue;
            };
            let task = self.task_of(event);
            let rules = match event.rule_id {
                // One that has waited for its turn is for a rule that still listens.
                Some(id) => rule_set.addressed(id, &event.kind).into_iter().collect(),
                None => rule_set.concerned(&Facts {
                    task: task.as_deref(),
                    event,
                    now: self.now,
                }),
            };
            found.extend(rules.into_iter().map(|rule| Candidate {
                event: Arc::clone(event),
                task: task.clone(),
                rule,
                rule_set: Arc::clone(rule_set),
            }));
        }
        found
    }

    /// What is handed to the evaluator, and the candidates that belong to it, in the same order.
    /// A rule that cannot be evaluated is recorded as failed instead; one that has gone meanwhile is
    /// left out.
    pub(crate) fn jobs(
        &self,
        candidates: &[Candidate],
        programs: &Ready,
        plan: &mut Plan,
    ) -> (Vec<Job>, Vec<Started>) {
        let mut jobs = Vec::with_capacity(candidates.len());
        let mut started = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let run = candidate.start(self.now);
            match programs.of(&run.rule) {
                None => {}
                Some(Err(error)) => plan.fail(&run, error.clone(), Vec::new(), 0),
                Some(Ok(program)) => {
                    jobs.push(Job {
                        begins: true,
                        withheld: false,
                        message: run.event().id,
                        program: Arc::clone(program),
                        rule: Arc::clone(&run.rule),
                        inputs: run.inputs(candidate.task.clone()),
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

/// What a batch of events leads to.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    /// The events, which runs may wait for.
    pub(crate) events: Vec<Arc<Event>>,
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
            events: events.to_vec(),
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
            until: run.now(),
            rule_id: run.rule.facts.id,
            event: Arc::clone(run.event()),
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
