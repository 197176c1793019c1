//! Runs in virtual time: what a rule would do, without doing it.
//!
//! The evaluator is the one that runs rules in earnest, with a real journal; only what is around it
//! is invented. Nothing is read here either: what the script asks about its workspace is handed out,
//! as it is to the engine.

mod given;
mod tasks;
mod told;

pub use given::{Coming, GivenAnswers, GivenDecision, GivenEvent, GivenResponse, GivenVerdict};
pub use told::{Moment, Timeline};

use crate::{Action, Answer, Inputs, Journal, Need, Outcome, Program, Query, ScriptError, Wait};
use serde_json::{Value, json};
use smarttasks_model::{
    ChangeId, Event, EventData, EventId, EventType, Snapshot, Span, Task, TaskChanges, TaskId,
    Timestamp,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tasks::Tasks;
use told::Names;

/// Most segments of a simulated run.
const SEGMENTS: usize = 1_000;
/// Evaluation time of all of them.
const TIME: Duration = Duration::from_secs(2);
/// How long before a deadline it is told of.
const SOON: Duration = Duration::from_secs(24 * 3600);

/// What a run is simulated with.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// What its first segment is given; `now` is its start.
    pub inputs: Inputs,
    /// The task as it is stored, where it is.
    pub stored: Option<Arc<Task>>,
    /// It goes no further than this.
    pub until: Timestamp,
    /// The events that come, in order.
    pub events: VecDeque<Coming>,
    /// What is answered to it.
    pub answers: GivenAnswers,
    /// Whether tasks become due by themselves; recorded events say so anyway.
    pub deadlines: bool,
    /// The endpoints that there are, and whether they are enabled; all, when nobody knows.
    pub endpoints: Option<BTreeMap<String, bool>>,
}

/// A run in virtual time.
#[derive(Debug)]
pub struct Simulation {
    program: Arc<Program>,
    inputs: Inputs,
    start: Timestamp,
    until: Timestamp,
    events: VecDeque<Coming>,
    given: GivenAnswers,
    deadlines: bool,
    endpoints: Option<BTreeMap<String, bool>>,
    tasks: Tasks,
    spent: Duration,
    asked: Option<Query>,
    told: Timeline,
}

/// How far a simulation has come.
#[derive(Debug)]
pub enum Step {
    /// It has asked this of the stored tasks, as of its instant, and goes on with the answer.
    Ask(Query, Timestamp),
    /// It has ended.
    Done(Box<Timeline>),
}

/// How a wait ends.
struct End {
    at: Timestamp,
    woken: Value,
    /// In a word: `time`, `event`, `answer`, `timeout`.
    by: &'static str,
}

/// Why the run goes no further.
enum Halt {
    /// It still waits, for want of this.
    Waits(String),
    /// Its task is gone.
    Cancelled,
}

impl Simulation {
    /// A run that has not begun.
    pub fn new(program: Arc<Program>, circumstances: Circumstances) -> Self {
        let Circumstances {
            inputs,
            stored,
            until,
            events,
            answers,
            deadlines,
            endpoints,
        } = circumstances;
        Self {
            tasks: Tasks::with(inputs.task.clone(), stored),
            start: inputs.now,
            program,
            told: Timeline::begun(inputs.now),
            inputs,
            until,
            events,
            given: answers,
            deadlines,
            endpoints,
            spent: Duration::ZERO,
            asked: None,
        }
    }

    /// Goes on until it needs an answer, or has ended. As for [`Program::evaluate`], on a
    /// [`Pool`](crate::Pool).
    pub fn step(&mut self) -> Step {
        loop {
            let outcome = self.program.evaluate(self.inputs.clone());
            self.spent += outcome.duration.saturating_sub(self.inputs.spent);
            if let Some(Need::Query(query)) = &outcome.need {
                self.inputs.spent = outcome.duration.saturating_sub(outcome.replaying);
                self.asked = Some(query.clone());
                return Step::Ask(query.clone(), self.inputs.now);
            }
            if let Some(told) = self.take(outcome) {
                return Step::Done(Box::new(told));
            }
        }
    }

    /// Answers what was asked, as the stored tasks are.
    pub fn answer(&mut self, answer: Answer) {
        if let Some(query) = self.asked.take() {
            let answer = self.tasks.corrected(&query, answer, self.inputs.now);
            Arc::make_mut(&mut self.inputs.answers).push(answer);
        }
    }

    /// Takes in a segment; what there is to tell once the run has ended.
    fn take(&mut self, outcome: Outcome) -> Option<Timeline> {
        self.told.log.extend(outcome.log);
        if let Some(error) = outcome.error {
            self.told.status = match error.code.as_str() {
                "diverged" => "diverged",
                _ => "failed",
            };
            self.told.error = Some(error);
            return Some(self.told.clone());
        }
        for action in outcome.actions {
            self.act(action);
        }
        if let Some(state) = outcome.state {
            self.told.matched = true;
            self.inputs.state = Arc::new(state.clone());
            self.told.state = Some(state);
        }
        let Some(Need::Wait(wait)) = outcome.need else {
            return Some(self.told.clone());
        };
        self.told.matched = true;
        if let Some(segment) = outcome.segment {
            let journal = Arc::make_mut(&mut self.inputs.journal);
            journal.bytes += serde_json::to_string(&segment).map_or(0, |json| json.len());
            journal.segments.push(segment);
        }
        if let Some(error) = self.too_long() {
            self.told.status = "failed";
            self.told.error = Some(error);
            return Some(self.told.clone());
        }
        match self.wait(&wait) {
            Ok(end) => {
                self.go_on(end);
                None
            }
            Err(halt) => {
                match halt {
                    Halt::Cancelled => self.told.status = "cancelled",
                    Halt::Waits(why) => {
                        self.told.status = "suspended";
                        self.told.note = Some(why);
                    }
                }
                Some(self.told.clone())
            }
        }
    }

    fn too_long(&self) -> Option<ScriptError> {
        let Journal { segments, .. } = &*self.inputs.journal;
        let message = if segments.len() >= SEGMENTS {
            format!("a simulated run may wait {SEGMENTS} times at most")
        } else if self.spent > TIME {
            format!("a run may be simulated for {} s at most", TIME.as_secs())
        } else {
            return None;
        };
        Some(ScriptError {
            code: "limit_simulation".to_owned(),
            message,
            line: None,
            column: None,
        })
    }

    fn act(&mut self, action: Action) {
        self.told.matched = true;
        let inputs = &self.inputs;
        let suppressed = self.suppressed(&action);
        let task = action.task_id().and_then(|id| self.tasks.get(id));
        let names = Names {
            users: &inputs.users,
            task: task.map(|task| &**task),
        };
        let mut detail = action.whole();
        if let (Some(reason), Some(detail)) = (&suppressed, detail.as_object_mut()) {
            detail.insert("suppressed".to_owned(), json!(reason));
        }
        let moment = Moment {
            at: inputs.now,
            after: self.after(inputs.now),
            action: action.name(),
            summary: names.action(&action, suppressed.as_deref()),
            detail,
            done: Some(action.clone()),
        };
        let (answers, workspace, now) = (&inputs.answers, inputs.workspace.id, inputs.now);
        self.tasks.take(&action, answers, workspace, now);
        self.told.timeline.push(moment);
    }

    /// Why nothing would come of an action.
    fn suppressed(&self, action: &Action) -> Option<String> {
        match action {
            Action::Email { suppressed, .. } | Action::Notify { suppressed, .. } => {
                suppressed.clone()
            }
            Action::Webhook { endpoint, .. } => match self.endpoints.as_ref()?.get(endpoint) {
                Some(true) => None,
                Some(false) => Some("the endpoint is disabled".to_owned()),
                None if endpoint.contains("://") => None,
                None => Some("no endpoint of this name".to_owned()),
            },
            _ => None,
        }
    }

    fn after(&self, at: Timestamp) -> Span {
        Span::from_millis(at.unix_millis() - self.start.unix_millis())
    }

    /// Lets a wait pass, and tells of it.
    fn wait(&mut self, wait: &Wait) -> Result<End, Halt> {
        let began = self.inputs.now;
        let names = Names {
            users: &self.inputs.users,
            task: None,
        };
        let mut moment = Moment {
            at: began,
            after: self.after(began),
            action: told::name(wait),
            summary: names.wait(wait),
            detail: Value::Null,
            done: None,
        };
        let mut detail = names.wait_detail(wait);
        let end = self.end_of(wait);
        if let Ok(end) = &end {
            detail.insert("ended_at".to_owned(), json!(end.at));
            detail.insert("ended_by".to_owned(), json!(end.by));
            detail.insert("result".to_owned(), result(wait, &end.woken));
            let after = Span::from_millis(end.at.unix_millis() - began.unix_millis());
            moment.summary = format!("{}; {}", moment.summary, ended(wait, end, after));
        }
        moment.detail = Value::Object(detail);
        self.told.timeline.push(moment);
        end
    }

    fn end_of(&mut self, wait: &Wait) -> Result<End, Halt> {
        let now = self.inputs.now;
        let until = wait.until().max(now);
        match wait {
            Wait::Until { .. } => self.pass(until, "time"),
            Wait::Event { pattern, .. } => {
                let wanted = |event: &Event| pattern.matches(&event.kind);
                match self.events_until(until, &wanted)? {
                    Some(event) => Ok(End {
                        at: event.time.max(now),
                        woken: json!(event),
                        by: "event",
                    }),
                    None => self.pass(until, "timeout"),
                }
            }
            Wait::Http { .. } => {
                let Some(answer) = self.given.http.pop_front() else {
                    return Err(Halt::Waits(
                        "it waits for an answer to `http`; give one in `answers.http`, such as \
                         {\"status\": 200, \"json\": {}}"
                            .to_owned(),
                    ));
                };
                let at = now + answer.after;
                self.answered(at, until, answer.woken())
            }
            Wait::Approval { user, .. } => {
                let given = self.given.approve.pop_front();
                match given.map(GivenDecision::verdict) {
                    Some(GivenVerdict {
                        approved: Some(approved),
                        after,
                        by,
                    }) => {
                        let by = by.unwrap_or_else(|| json!(user));
                        let woken = json!({ "approved": approved, "by": by });
                        self.answered(now + after, until, woken)
                    }
                    _ => self.pass(until, "timeout"),
                }
            }
        }
    }

    fn answered(&mut self, at: Timestamp, until: Timestamp, woken: Value) -> Result<End, Halt> {
        if at >= until {
            return self.pass(until, "timeout");
        }
        let End { at, .. } = self.pass(at, "answer")?;
        Ok(End {
            at,
            woken,
            by: "answer",
        })
    }

    /// Lets time pass, with what comes meanwhile.
    fn pass(&mut self, at: Timestamp, by: &'static str) -> Result<End, Halt> {
        self.events_until(at, &|_| false)?;
        if at > self.until {
            return Err(Halt::Waits(format!(
                "it waits until {at}, and is simulated until {}",
                self.until
            )));
        }
        Ok(End {
            at,
            woken: Value::Null,
            by,
        })
    }

    /// Lets the events come that come until then, up to the first that is wanted.
    fn events_until(
        &mut self,
        at: Timestamp,
        wanted: &dyn Fn(&Event) -> bool,
    ) -> Result<Option<Event>, Halt> {
        let mut since = self.inputs.now;
        loop {
            let given = self.events.front().map(Coming::at).filter(|of| *of < at);
            let due = self.next_deadline(since, at);
            let event = match (given, due) {
                (Some(given), Some((due, _))) if given <= due => self.next_given(),
                (Some(_), None) => self.next_given(),
                (_, Some((due, kind))) => {
                    since = due;
                    Some(self.event(due, EventType::system(kind), &Value::Null, None))
                }
                (None, None) => return Ok(None),
            };
            let Some(event) = event else { continue };
            if event.kind.as_str() == "task.deleted" && event.task_id == self.task_id() {
                return Err(Halt::Cancelled);
            }
            if event.time <= self.until && wanted(&event) {
                return Ok(Some(event));
            }
        }
    }

    fn task_id(&self) -> Option<TaskId> {
        self.inputs.task.as_ref().map(|task| task.id)
    }

    fn next_given(&mut self) -> Option<Event> {
        match self.events.pop_front()? {
            Coming::Given { at, event } => {
                let GivenEvent {
                    kind, data, task, ..
                } = event;
                Some(self.event(at.max(self.inputs.now), kind, &data, task.as_ref()))
            }
            Coming::Recorded(event) => {
                if let Some(task) = event.task().filter(|task| Some(task.id) == self.task_id()) {
                    self.tasks.put(Arc::new(task.clone()));
                }
                Some((*event).clone())
            }
        }
    }

    /// What the deadline of the task raises next.
    fn next_deadline(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Option<(Timestamp, &'static str)> {
        let task = self.tasks.get(self.task_id()?)?;
        let due = task
            .due_at
            .filter(|_| self.deadlines && task.status.is_open())?;
        [(due - SOON, "task.due_soon"), (due, "task.overdue")]
            .into_iter()
            .find(|(at, _)| *at > since && *at < until)
    }

    /// An invented event about the task of the run.
    fn event(
        &mut self,
        at: Timestamp,
        kind: EventType,
        data: &Value,
        changes: Option<&TaskChanges>,
    ) -> Event {
        let task_id = self.task_id();
        let before = task_id.and_then(|id| self.tasks.get(id)).cloned();
        let mut changed = Vec::new();
        if let (Some(id), Some(changes)) = (task_id, changes) {
            changed = self.tasks.change(id, changes, at);
        }
        let task = task_id.and_then(|id| self.tasks.get(id));
        let key = [self.inputs.run_id.as_bytes(), kind.as_str().as_bytes()];
        let data = if kind.is_system() {
            EventData::System(Box::new(Snapshot {
                task: task.map(|task| (**task).clone()),
                previous: before
                    .filter(|_| !changed.is_empty())
                    .map(Arc::unwrap_or_clone),
                changes: changed.into_iter().map(str::to_owned).collect(),
                actor: None,
                more: data.as_object().cloned().unwrap_or_default(),
            }))
        } else {
            EventData::Custom(data.clone())
        };
        let (id, change) = (EventId::derived(at, &key), ChangeId::derived(at, &key));
        Event {
            id,
            workspace_id: self.inputs.workspace.id,
            kind,
            task_id,
            time: at,
            traceparent: None,
            change,
            depth: 0,
            actor_id: None,
            rule_id: None,
            data,
        }
    }

    fn go_on(&mut self, end: End) {
        let task = self.task_id().and_then(|id| self.tasks.get(id)).cloned();
        let inputs = &mut self.inputs;
        inputs.now = end.at;
        self.told.ended_at = end.at;
        inputs.task = task;
        inputs.answers = Arc::default();
        inputs.spent = Duration::ZERO;
        Arc::make_mut(&mut inputs.journal).woken = end.woken;
    }
}

/// What the script gets, without what is long.
fn result(wait: &Wait, woken: &Value) -> Value {
    match wait {
        Wait::Until { .. } => Value::Null,
        Wait::Event { .. } => woken.get("type").cloned().unwrap_or_default(),
        Wait::Http { .. } => match woken.get("status") {
            Some(status) => json!({ "status": status }),
            None => Value::Null,
        },
        Wait::Approval { .. } => woken.clone(),
    }
}

/// How a wait ended, in words.
fn ended(wait: &Wait, end: &End, after: Span) -> String {
    let after = match after {
        Span::ZERO => "at once".to_owned(),
        after => format!("after {after}"),
    };
    match (wait, end.by) {
        (Wait::Until { .. }, _) => format!("goes on {after}"),
        (_, "timeout") => format!("nothing came; goes on {after}"),
        (Wait::Event { .. }, _) => {
            let kind = end.woken.get("type").and_then(Value::as_str);
            format!("{} came {after}", kind.unwrap_or("it"))
        }
        (Wait::Http { .. }, _) => format!("answered {} {after}", end.woken["status"]),
        (Wait::Approval { .. }, _) => match end.woken["approved"] == json!(true) {
            true => format!("approved {after}"),
            false => format!("refused {after}"),
        },
    }
}
