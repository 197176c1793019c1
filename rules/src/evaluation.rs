//! The evaluation that this thread is in the middle of: what host functions read and record.
//!
//! One engine serves all threads, so what belongs to one evaluation cannot be in it; and the
//! handles that a script holds (`task`, `event`) are mere names for what is kept here.

use crate::action::Action;
use crate::limits::Stop;
use crate::world::TaskHandle;
use crate::{Answer, Journal, Limits, Query, meter};
use rhai::EvalAltResult;
use serde_json::{Map, Value};
use smarttasks_model::{
    Event, NewTask, RuleId, RunId, Task, TaskId, TimeZone, Timestamp, User, UserId, WorkspaceId,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What an evaluation sees of its workspace.
#[derive(Clone, Debug)]
pub struct WorkspaceFacts {
    /// Its id.
    pub id: WorkspaceId,
    /// What it is called.
    pub name: String,
    /// The zone in which times are shown and taken apart, unless the script says another.
    pub timezone: TimeZone,
}

/// What an evaluation sees of its rule.
#[derive(Clone, Debug)]
pub struct RuleFacts {
    /// Its id.
    pub id: RuleId,
    /// What it is called.
    pub name: String,
    /// The version that is evaluated.
    pub version: i64,
    /// Who answers for it: the creator of the tasks that it makes.
    pub owner_id: UserId,
}

/// All that a script can see. Cheap to clone and to send.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The instant of the evaluation; it stands still throughout.
    pub now: Timestamp,
    /// The run that it belongs to; ids made by the script derive from it.
    pub run_id: RunId,
    /// The workspace.
    pub workspace: Arc<WorkspaceFacts>,
    /// The rule.
    pub rule: Arc<RuleFacts>,
    /// What started it. `previous` and `changed` read it too.
    pub event: Arc<Event>,
    /// The task that it is about.
    pub task: Option<Arc<Task>>,
    /// The members of the workspace, among whom the script finds assignees and creators.
    pub users: Arc<HashMap<UserId, User>>,
    /// What the rule has kept from earlier runs.
    pub state: Arc<Map<String, Value>>,
    /// What the run has been through; nothing when it begins.
    pub journal: Arc<Journal>,
    /// What has been answered in this segment so far, in the order in which the script asks.
    pub answers: Arc<Vec<Answer>>,
    /// The time that evaluations of the same run took, up to the questions that are answered now:
    /// asking gives a script no more time.
    pub spent: Duration,
}

/// What a host function returns.
pub(crate) type Host<T> = Result<T, Box<EvalAltResult>>;

pub(crate) struct Evaluation {
    pub(crate) limits: Arc<Limits>,
    pub(crate) inputs: Inputs,
    created: Vec<Arc<Task>>,
    /// Found by queries.
    listed: Vec<Arc<Task>>,
    actions: Vec<Action>,
    /// Bytes of the actions.
    output: usize,
    log: Log,
    /// How many queries have been asked.
    asked: usize,
    /// The query that has no answer yet, because of which the evaluation stops.
    need: Option<Query>,
    /// The rule's state, once this evaluation has changed it.
    state: Option<Map<String, Value>>,
}

/// What an evaluation leaves.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) actions: Vec<Action>,
    pub(crate) log: Vec<String>,
    pub(crate) need: Option<Query>,
    pub(crate) state: Option<Map<String, Value>>,
}

#[derive(Default)]
struct Log {
    lines: Vec<String>,
    bytes: usize,
    full: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Evaluation>> = const { RefCell::new(None) };
}

/// Begins an evaluation on this thread.
pub(crate) fn begin(limits: Arc<Limits>, inputs: Inputs) {
    let evaluation = Evaluation {
        limits,
        inputs,
        created: Vec::new(),
        listed: Vec::new(),
        actions: Vec::new(),
        output: 0,
        log: Log::default(),
        asked: 0,
        need: None,
        state: None,
    };
    CURRENT.with(|current| current.replace(Some(evaluation)));
}

/// Ends it.
pub(crate) fn end() -> Left {
    CURRENT
        .with(RefCell::take)
        .map(|evaluation| Left {
            actions: evaluation.actions,
            log: evaluation.log.lines,
            need: evaluation.need,
            // What was changed and changed back has not been changed.
            state: evaluation
                .state
                .filter(|state| *state != *evaluation.inputs.state),
        })
        .unwrap_or_default()
}

/// Gives a host function the evaluation, once it is known that this has not been stopped.
pub(crate) fn with<T>(host: impl FnOnce(&mut Evaluation) -> Host<T>) -> Host<T> {
    CURRENT.with(|current| match current.borrow_mut().as_mut() {
        Some(evaluation) => {
            meter::step(&evaluation.limits).map_err(terminated)?;
            host(evaluation)
        }
        None => Err("a host function was called outside an evaluation".into()),
    })
}

/// The error that no script can catch.
pub(crate) fn terminated(_: Stop) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorTerminated(
        rhai::Dynamic::UNIT,
        rhai::Position::NONE,
    ))
}

impl Evaluation {
    /// The task behind a handle.
    pub(crate) fn task(&self, handle: TaskHandle) -> Host<&Task> {
        let task = match handle {
            TaskHandle::Current => self.inputs.task.as_deref(),
            TaskHandle::Previous => self.inputs.event.previous(),
            TaskHandle::Created(number) => self.created.get(number).map(|task| &**task),
            TaskHandle::Listed(number) => self.listed.get(number).map(|task| &**task),
        };
        task.ok_or_else(|| "this run is about no task".into())
    }

    /// The task behind a handle, for an action upon it.
    pub(crate) fn task_to_change(&self, handle: TaskHandle, call: &str) -> Host<&Task> {
        if handle == TaskHandle::Previous {
            return Err(format!(
                "{call}: `previous` is what the task was and cannot be changed; use `task`"
            )
            .into());
        }
        self.task(handle)
    }

    /// The answer to a query: the next of those that were given, or else the evaluation stops and
    /// says what it needs.
    pub(crate) fn ask(&mut self, query: Query) -> Host<Answer> {
        let number = self.asked;
        self.asked += 1;
        if self.asked > self.limits.queries {
            return Err(terminated(meter::stop(Stop::Queries)));
        }
        match self.inputs.answers.get(number) {
            Some(answer) => Ok(answer.clone()),
            None => {
                self.need = Some(query);
                Err(terminated(meter::stop(Stop::Need)))
            }
        }
    }

    /// What the rule keeps, as this evaluation has left it so far.
    pub(crate) fn state(&self) -> &Map<String, Value> {
        self.state.as_ref().unwrap_or(&self.inputs.state)
    }

    /// The same, to be changed.
    pub(crate) fn state_mut(&mut self) -> &mut Map<String, Value> {
        self.state
            .get_or_insert_with(|| (*self.inputs.state).clone())
    }

    /// Holds the tasks that a query found, as what the script has asked for so far leaves them.
    pub(crate) fn list(&mut self, found: &[Arc<Task>]) -> Vec<TaskHandle> {
        let first = self.listed.len();
        let now = self.inputs.now;
        for task in found {
            let mut task = Arc::clone(task);
            for action in &self.actions {
                effect(action, &mut task, now);
            }
            self.listed.push(task);
        }
        (first..self.listed.len()).map(TaskHandle::Listed).collect()
    }

    /// Records an action, in its turn, and lets later reads see what it does to tasks.
    pub(crate) fn act(&mut self, action: Action) -> Host<()> {
        if self.actions.len() >= self.limits.actions {
            return Err(terminated(meter::stop(Stop::Actions)));
        }
        self.output += action.weight();
        if self.output > self.limits.output_bytes {
            return Err(terminated(meter::stop(Stop::Output)));
        }
        self.show(&action);
        self.actions.push(action);
        Ok(())
    }

    /// A task may be held more than once: as `task`, and as what queries found.
    fn show(&mut self, action: &Action) {
        let held = self.inputs.task.iter_mut();
        let held = held.chain(&mut self.created).chain(&mut self.listed);
        for task in held {
            effect(action, task, self.inputs.now);
        }
    }

    /// Makes a task whose id follows from the run and the number of the action, so that the
    /// same run makes the same task however often it is evaluated.
    pub(crate) fn create(&mut self, new: NewTask) -> Host<TaskHandle> {
        let number = (self.actions.len() as u64).to_be_bytes();
        let inputs = &self.inputs;
        let key: [&[u8]; 3] = [inputs.run_id.as_bytes(), b"task", &number];
        let id = TaskId::derived(inputs.now, &key);
        let creator_id = inputs.rule.owner_id;
        let task = new
            .clone()
            .into_task(id, inputs.workspace.id, creator_id, inputs.now);
        self.act(Action::CreateTask {
            id,
            creator_id,
            task: new,
        })?;
        self.created.push(Arc::new(task));
        Ok(TaskHandle::Created(self.created.len() - 1))
    }

    /// Adds a line to the log, or drops it where the log is full.
    pub(crate) fn log(&mut self, line: &str) {
        let log = &mut self.log;
        if log.full {
            return;
        }
        // The line's own end counts too, so that empty lines are not free.
        log.bytes += line.len() + 1;
        if log.bytes > self.limits.log_bytes {
            log.full = true;
            log.lines.push("… the log is full".to_owned());
            return;
        }
        log.lines.push(line.to_owned());
    }

    pub(crate) fn user(&self, id: UserId) -> Option<&User> {
        self.inputs.users.get(&id)
    }
}

/// Does to a copy of a task what an action does, if it is about that task.
fn effect(action: &Action, task: &mut Arc<Task>, now: Timestamp) {
    if action.task_id() == Some(task.id)
        && let Some(changes) = action.changes_for(task)
    {
        changes.apply(Arc::make_mut(task), now);
    }
}
