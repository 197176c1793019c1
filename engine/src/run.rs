//! One run: what its evaluation is given, and what follows from the outcome.

use crate::rule_set::{LoadedRule, RuleSet};
use serde_json::{Map, Value, json};
use smarttasks_model::{
    ChangeId, Content, Event, EventData, Notification, NotificationId, Overlap, Recipient, RunId,
    RunStatus, Task, TaskId, TimeZone, Timestamp, UserId, Wake, WebhookTarget,
};
use smarttasks_rules::{Action, Inputs, Journal, Need, Outcome, Segment, Wait, WorkspaceFacts};
use smarttasks_store::runs::{ActionRecord, Run, RunError, Start, Waiting};
use smarttasks_store::waits::Since;
use std::sync::Arc;
use std::time::Duration;

/// A run of which a segment is being evaluated.
pub(crate) struct Started {
    id: RunId,
    pub(crate) task_id: Option<TaskId>,
    /// The instant of the segment.
    now: Timestamp,
    event: Arc<Event>,
    pub(crate) rule: Arc<LoadedRule>,
    workspace: Arc<WorkspaceFacts>,
    rule_set: Arc<RuleSet>,
    /// Of one that goes on.
    past: Option<Box<Past>>,
}

/// What a run has been through.
pub(crate) struct Past {
    /// As it stood while it waited.
    pub(crate) run: Run,
    pub(crate) start: Start,
    pub(crate) journal: Arc<Journal>,
    /// What lets it go on.
    pub(crate) wake: Wake,
    /// The event for which it has waited.
    pub(crate) event: Option<(Timestamp, ChangeId)>,
}

impl Past {
    /// The run, as it waited.
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting {
            run: self.run.clone(),
            start: self.start.clone(),
        }
    }
}

impl Started {
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
            now,
            workspace: Arc::clone(&rule_set.workspace),
            event: Arc::clone(event),
            rule: Arc::clone(rule),
            rule_set: Arc::clone(rule_set),
            past: None,
        }
    }

    /// One that goes on: with its rule as it was, and with what it has seen of the workspace.
    pub(crate) fn again(
        past: Past,
        rule: &Arc<LoadedRule>,
        rule_set: &Arc<RuleSet>,
        now: Timestamp,
    ) -> Self {
        let start = &past.start;
        let workspace = WorkspaceFacts {
            id: past.run.workspace_id,
            name: start.workspace_name.clone(),
            timezone: start.timezone,
        };
        Self {
            id: past.run.id,
            task_id: past.run.task_id,
            now,
            workspace: Arc::new(workspace),
            event: Arc::clone(&start.event),
            rule: Arc::clone(rule),
            rule_set: Arc::clone(rule_set),
            past: Some(Box::new(past)),
        }
    }

    pub(crate) fn event(&self) -> &Arc<Event> {
        &self.event
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn past(&self) -> Option<&Past> {
        self.past.as_deref()
    }

    /// What its evaluation is given.
    pub(crate) fn inputs(&self, task: Option<Arc<Task>>) -> Inputs {
        let journal = self.past().map(|past| Arc::clone(&past.journal));
        Inputs {
            now: self.now,
            run_id: self.id,
            workspace: Arc::clone(&self.workspace),
            rule: Arc::clone(&self.rule.facts),
            event: Arc::clone(&self.event),
            task,
            users: Arc::clone(&self.rule_set.members),
            state: Arc::default(),
            journal: journal.unwrap_or_default(),
            answers: Arc::default(),
            spent: Duration::ZERO,
        }
    }

    /// The run as it stands at the end of a segment in which all went well.
    fn record(&self, duration_us: i64, log: Vec<String>) -> Run {
        let Some(past) = &self.past else {
            return Run {
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
                started_at: self.now,
                finished_at: Some(self.now),
                duration_us,
                resumes_at: None,
                retry_of: None,
                waits: 0,
                waiting: None,
            };
        };
        let mut run = past.run.clone();
        run.status = RunStatus::Succeeded;
        run.error = None;
        run.log.extend(log);
        run.finished_at = Some(self.now);
        run.duration_us += duration_us;
        run.resumes_at = None;
        run.waiting = None;
        run
    }

    fn start(&self) -> Start {
        match &self.past {
            Some(past) => past.start.clone(),
            None => Start {
                event: Arc::clone(&self.event),
                rule_name: self.rule.facts.name.clone(),
                owner_id: self.rule.facts.owner_id,
                workspace_name: self.workspace.name.clone(),
                timezone: self.workspace.timezone,
            },
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

/// Who is asked a question, about what.
pub(crate) struct Asked {
    pub(crate) to: Option<(Recipient, TimeZone)>,
    pub(crate) task_title: Option<String>,
}

/// A run to be written, with what it asks for.
#[derive(Clone)]
pub(crate) struct PlannedRun {
    pub(crate) run: Run,
    pub(crate) event: Arc<Event>,
    /// The instant of the segment.
    pub(crate) now: Timestamp,
    pub(crate) steps: Vec<Step>,
    /// Actions of the segments before, which number these.
    pub(crate) actions_before: usize,
    /// What its rule keeps from then on.
    pub(crate) state: Option<Arc<Map<String, Value>>>,
    /// Whether there is to be a record of it.
    pub(crate) recorded: bool,
    /// What it began with.
    pub(crate) start: Arc<Start>,
    /// What has happened in the segment, as JSON, where it matters.
    pub(crate) segment: Option<Arc<str>>,
    /// What it waits for, and since when that counts.
    pub(crate) wait: Option<Arc<(Wait, Since)>>,
    /// Whom it asks, when it waits for an answer.
    pub(crate) asked: Option<Arc<Asked>>,
    /// What let it go on.
    pub(crate) wake: Option<Arc<Wake>>,
    /// As it stood before this segment, of one that goes on.
    pub(crate) before: Option<Arc<Run>>,
    /// What it does while another of its rule and task is suspended.
    pub(crate) overlap: Overlap,
}

impl PlannedRun {
    /// How many actions the segments before have recorded.
    pub(crate) fn records_before(&self) -> usize {
        self.before.as_ref().map_or(0, |run| run.actions.len())
    }

    /// Whether it goes on after no more than a time.
    pub(crate) fn slept(&self) -> bool {
        let waiting = self.before.as_ref().and_then(|run| run.waiting.as_ref());
        waiting.is_some_and(|wait| wait["wait"] == "until")
    }

    /// Whether it goes on without the answer of a person.
    pub(crate) fn asked_in_vain(&self) -> bool {
        let waiting = self.before.as_ref().and_then(|run| run.waiting.as_ref());
        let told = self.wake.as_ref().is_some_and(|of| of.because.is_told());
        !told && waiting.is_some_and(|wait| wait["wait"] == "approval")
    }

    /// How many waits it had begun before this segment.
    pub(crate) fn waits_before(&self) -> u32 {
        self.before.as_ref().map_or(0, |run| run.waits)
    }

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

impl Started {
    /// What follows from the outcome of its evaluation.
    pub(crate) fn planned(&self, outcome: Outcome, max_depth: u8) -> PlannedRun {
        let duration_us = i64::try_from(outcome.duration.as_micros()).unwrap_or(i64::MAX);
        if let Some(error) = outcome.error {
            let status = match error.code.as_str() {
                "diverged" => RunStatus::Diverged,
                _ => RunStatus::Failed,
            };
            let error = RunError {
                message: error.message,
                line: error.line,
                column: error.column,
            };
            return self.ended(status, error, outcome.log, duration_us);
        }
        if self.event.depth >= max_depth {
            return self.failed(looped(max_depth), outcome.log, duration_us);
        }
        self.went_well(outcome, duration_us)
    }

    fn went_well(&self, outcome: Outcome, duration_us: i64) -> PlannedRun {
        let mut planned = self.plan(self.record(duration_us, outcome.log));
        planned.actions_before = outcome.actions_before;
        planned.state = outcome.state.map(Arc::new);
        for (number, action) in outcome.actions.into_iter().enumerate() {
            let (name, mut detail) = (action.name(), action.detail());
            let step = decide(self, outcome.actions_before + number, action);
            if let (Step::Suppressed(reason), Some(detail)) = (&step, detail.as_object_mut()) {
                // An e-mail already says in more detail why it goes to nobody.
                detail.entry("suppressed").or_insert_with(|| json!(reason));
            }
            planned.run.actions.push(ActionRecord {
                action: name.to_owned(),
                detail,
            });
            planned.steps.push(step);
        }
        if let Some(state) = &planned.state {
            planned.run.actions.push(ActionRecord {
                action: "state.set".to_owned(),
                detail: json!({ "keys": state.keys().collect::<Vec<_>>() }),
            });
        }
        if let Some(segment) = &outcome.segment {
            planned.keep(self, segment, outcome.need);
        }
        planned
    }

    /// From when on events count that come for a wait of this segment: as if its evaluation had
    /// taken no time.
    fn since(&self, until: Timestamp, segment: &Segment) -> Since {
        let (at, seen) = match &self.past {
            None => (self.event.time, Some(self.event.change)),
            Some(past) => match past.event {
                Some((at, change)) => (at, Some(change)),
                None => (self.now, None),
            },
        };
        let mut except: Vec<ChangeId> = seen.into_iter().collect();
        except.push(change(&self.event, self.id, self.waits()));
        Since {
            at,
            version: self.seen(segment).map(|task| task.version),
            except,
            until,
        }
    }

    /// The task as it was at the beginning of a segment.
    fn seen<'a>(&'a self, segment: &'a Segment) -> Option<&'a Task> {
        let before = self.past().map(|past| &*past.journal.segments);
        let before = before.unwrap_or_default().iter().rev();
        let mut seen = std::iter::once(segment).chain(before);
        seen.find_map(|segment| segment.task.as_deref())
    }

    /// Whom a question goes to, and in which zone they live; nobody who has left the workspace.
    fn asked(&self, user: UserId, segment: &Segment) -> Asked {
        let member = self.rule_set.members.get(&user);
        Asked {
            to: member.map(|user| {
                let to = Recipient {
                    email: user.email.clone(),
                    name: Some(user.name.clone()),
                    user_id: Some(user.id),
                };
                (to, user.timezone)
            }),
            task_title: self.seen(segment).map(|task| task.title.clone()),
        }
    }

    /// How many waits it had begun before this segment.
    fn waits(&self) -> u32 {
        self.past().map_or(0, |past| past.run.waits)
    }

    fn plan(&self, run: Run) -> PlannedRun {
        let wake = self.past().map(|past| Arc::new(past.wake.clone()));
        PlannedRun {
            run,
            event: Arc::clone(&self.event),
            now: self.now,
            steps: Vec::new(),
            actions_before: 0,
            state: None,
            recorded: true,
            start: Arc::new(self.start()),
            segment: None,
            wait: None,
            asked: None,
            wake,
            before: self.past().map(|past| Arc::new(past.run.clone())),
            overlap: self.rule.overlap,
        }
    }

    pub(crate) fn failed(&self, error: RunError, log: Vec<String>, duration_us: i64) -> PlannedRun {
        self.ended(RunStatus::Failed, error, log, duration_us)
    }

    /// Ends in another way than well: nothing of the segment is done.
    pub(crate) fn ended(
        &self,
        status: RunStatus,
        error: RunError,
        log: Vec<String>,
        duration_us: i64,
    ) -> PlannedRun {
        let mut run = self.record(duration_us, log);
        run.status = status;
        run.error = Some(error);
        run.waiting = self.past().and_then(|past| past.run.waiting.clone());
        self.plan(run)
    }
}

impl PlannedRun {
    /// Keeps what has happened, and waits.
    fn keep(&mut self, run: &Started, segment: &Segment, need: Option<Need>) {
        self.segment = serde_json::to_string(segment).ok().map(Arc::from);
        let Some(Need::Wait(wait)) = need else {
            return;
        };
        let until = wait.until();
        self.run.status = RunStatus::Suspended;
        self.run.finished_at = None;
        self.run.resumes_at = Some(until);
        self.run.waiting = serde_json::to_value(wait.without_secrets()).ok();
        self.run.waits += 1;
        if let Wait::Approval { user, .. } = &wait {
            self.asked = Some(Arc::new(run.asked(*user, segment)));
        }
        let mut since = run.since(until, segment);
        for (number, step) in self.steps.iter().enumerate() {
            if matches!(step, Step::Do(Action::Emit { .. })) {
                let number = self.actions_before + number;
                since.except.push(fact(self.now, self.run.id, number));
            }
        }
        self.wait = Some(Arc::new((wait, since)));
    }
}

/// The change that an emitted event is: each is a fact of its own, and a rule may fire for each.
pub(crate) fn fact(now: Timestamp, run: RunId, number: usize) -> ChangeId {
    ChangeId::derived(now, &[run.as_bytes(), &number.to_be_bytes()])
}

/// The change that the actions of a segment make together.
pub(crate) fn change(event: &Event, run: RunId, waits: u32) -> ChangeId {
    let number = waits.to_be_bytes();
    let mut key: Vec<&[u8]> = vec![run.as_bytes(), b"change"];
    if waits > 0 {
        key.push(&number);
    }
    ChangeId::derived(event.time, &key)
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
                timestamp: run.now,
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
        created_at: run.now,
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
