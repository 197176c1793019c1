//! Runs in virtual time: what a rule would do, without doing it.
//!
//! The evaluator is the one that runs rules in earnest, with a real journal; only what is around it
//! is invented. Nothing is read here either: what the script asks about its workspace is handed out,
//! as it is to the engine.

mod given;
mod tasks;
mod told;
mod waits;

pub use given::{Coming, GivenAnswers, GivenDecision, GivenEvent, GivenResponse, GivenVerdict};
pub use told::{Moment, Timeline};

use crate::{Action, Answer, Inputs, Journal, Need, Outcome, Program, Query, ScriptError};
use serde_json::json;
use smarttasks_model::{ChangeId, Span, Task, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tasks::Tasks;
use told::Names;
use waits::{End, Halt};

/// Most segments of a simulated run.
const SEGMENTS: usize = 1_000;
/// Evaluation time of all of them.
const TIME: Duration = Duration::from_secs(2);

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
    /// The change of the event that it has begun with, or waited for last.
    seen: ChangeId,
    asked: Option<Query>,
    told: Timeline,
}

/// How far a simulation has come.
#[derive(Debug)]
pub enum Step {
    /// It has asked this of the stored tasks, as of its instant, and goes on with the answer.
    Ask(Box<Query>, Timestamp),
    /// It has ended.
    Done(Box<Timeline>),
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
            seen: inputs.event.change,
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
                return Step::Ask(Box::new(query.clone()), self.inputs.now);
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
