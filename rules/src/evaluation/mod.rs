//! The evaluation that this thread is in the middle of: what host functions read and record.
//!
//! One engine serves all threads, so what belongs to one evaluation cannot be in it; and the
//! handles that a script holds (`task`, `event`) are mere names for what is kept here.

mod record;
mod waiting;

use crate::action::Action;
use crate::limits::Stop;
use crate::world::TaskHandle;
use crate::{Answer, Journal, Limits, Need, Query, Segment, meter};
use record::{Met, Record};
use rhai::{EvalAltResult, Position};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use smarttasks_model::{
    Event, NewTask, RuleId, RunId, Task, TaskId, TimeZone, Timestamp, User, UserId, WorkspaceId,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use waiting::Received;

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
    /// Of the segment that the script is in.
    pub(crate) inputs: Inputs,
    created: Vec<Arc<Task>>,
    /// Found by queries.
    listed: Vec<Arc<Task>>,
    /// Waited for.
    received: Vec<Received>,
    /// Of the segment that the script is in.
    actions: Vec<Action>,
    /// Of the segments before.
    actions_before: usize,
    /// Bytes of the actions.
    output: usize,
    log: Log,
    /// How many queries have been asked.
    asked: usize,
    /// What has no answer yet, because of which the evaluation stops.
    need: Option<Need>,
    /// The rule's state, once this segment has changed it.
    state: Option<Map<String, Value>>,
    /// Of a script that may wait.
    record: Option<Record>,
    /// The segment that has ended in a wait.
    segment: Option<Segment>,
    /// The function within whose comparisons the script is, where it cannot wait.
    comparing: Option<&'static str>,
    halted: Option<Halt>,
}

/// Where and why an evaluation was stopped, as far as the reason does not say it.
pub(crate) struct Halt {
    pub(crate) at: Position,
    pub(crate) message: Option<String>,
}

/// What an evaluation leaves.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) actions: Vec<Action>,
    pub(crate) actions_before: usize,
    pub(crate) log: Vec<String>,
    pub(crate) need: Option<Need>,
    pub(crate) state: Option<Map<String, Value>>,
    pub(crate) segment: Option<Segment>,
    pub(crate) halted: Option<Halt>,
    /// What the journal has that the script, though it has ended, has not come by.
    pub(crate) unread: Option<String>,
}

#[derive(Default)]
struct Log {
    lines: Vec<String>,
    bytes: usize,
    /// Of the segments before.
    bytes_before: usize,
    full: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Evaluation>> = const { RefCell::new(None) };
}

/// Begins an evaluation on this thread; `records` where the script may wait.
pub(crate) fn begin(limits: Arc<Limits>, inputs: Inputs, records: bool) {
    let mut evaluation = Evaluation::new(limits, inputs, records);
    meter::start(evaluation.spent());
    evaluation.look();
    CURRENT.with(|current| current.replace(Some(evaluation)));
}

/// Ends it.
pub(crate) fn end() -> Left {
    CURRENT
        .with(RefCell::take)
        .map(Evaluation::left)
        .unwrap_or_default()
}

/// Says within whose comparisons the script is from here on, and gives what was said before.
pub(crate) fn comparing(within: Option<&'static str>) -> Option<&'static str> {
    CURRENT.with(|current| {
        let mut current = current.borrow_mut();
        let evaluation = current.as_mut()?;
        std::mem::replace(&mut evaluation.comparing, within)
    })
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
        Position::NONE,
    ))
}

impl Evaluation {
    fn new(limits: Arc<Limits>, inputs: Inputs, records: bool) -> Self {
        let journal = &inputs.journal;
        let logged = journal.segments.iter().map(|of| of.log_bytes).sum();
        let records = records || !journal.segments.is_empty();
        Self {
            record: records.then(|| Record::new(&inputs)),
            log: Log {
                lines: Vec::new(),
                bytes: logged,
                bytes_before: logged,
                full: logged > limits.log_bytes,
            },
            limits,
            inputs,
            created: Vec::new(),
            listed: Vec::new(),
            received: Vec::new(),
            actions: Vec::new(),
            actions_before: 0,
            output: 0,
            asked: 0,
            need: None,
            state: None,
            segment: None,
            comparing: None,
            halted: None,
        }
    }

    fn left(mut self) -> Left {
        let record = self.record.as_ref();
        let segment = match (&self.need, record) {
            (None, Some(record)) if record.has_waited() => Some(record.segment(self.log.written())),
            _ => self.segment.take(),
        };
        Left {
            unread: record.and_then(Record::unread),
            segment,
            // What was changed and changed back has not been changed.
            state: self.state.filter(|state| *state != *self.inputs.state),
            actions: self.actions,
            actions_before: self.actions_before,
            log: self.log.lines,
            need: self.need,
            halted: self.halted,
        }
    }

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
    /// `asked` is what the script has said of it.
    pub(crate) fn ask(
        &mut self,
        query: Query,
        asked: &impl Serialize,
        at: Position,
    ) -> Host<Answer> {
        let number = self.asked;
        self.asked += 1;
        if self.asked > self.limits.queries {
            return Err(terminated(meter::stop(Stop::Queries)));
        }
        let call = match self.meet(query.name(), asked, at)? {
            Met::Replayed => return self.answered(&query),
            Met::New(call) => Some(call),
            Met::Unrecorded => None,
        };
        let Some(answer) = self.inputs.answers.get(number).cloned() else {
            self.need = Some(Need::Query(query));
            return Err(terminated(meter::stop(Stop::Need)));
        };
        if let Some(call) = call {
            self.note(call, json!(answer), at)?;
        }
        Ok(answer)
    }

    /// What the journal has as the answer to the query that it has just come by.
    fn answered(&self, query: &Query) -> Host<Answer> {
        let recorded = self.record.as_ref().and_then(Record::last_result);
        query
            .read_answer(recorded.unwrap_or(&Value::Null))
            .map_err(|error| format!("the run's journal cannot be read: {error}").into())
    }

    /// What the rule keeps, as this evaluation has left it so far.
    pub(crate) fn state(&self) -> &Map<String, Value> {
        if let Some(record) = &self.record {
            record.saw_state();
        }
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

    /// Takes up an action, in its turn, and lets later reads see what it does to tasks. In a
    /// replay it has been done; what it showed is shown again.
    pub(crate) fn act(&mut self, action: Action, at: Position) -> Host<()> {
        if self.actions.len() >= self.limits.actions {
            return Err(terminated(meter::stop(Stop::Actions)));
        }
        self.output += action.weight();
        if self.output > self.limits.output_bytes {
            return Err(terminated(meter::stop(Stop::Output)));
        }
        if self.record.is_some() {
            self.keep(&action, at)?;
        }
        self.show(&action);
        self.actions.push(action);
        Ok(())
    }

    fn keep(&mut self, action: &Action, at: Position) -> Host<()> {
        let (met, result) = match action {
            // The id is a result: a run that is tried anew, with what another has done, would
            // make one of its own.
            Action::CreateTask {
                id,
                creator_id,
                task,
            } => {
                let arguments = (creator_id, task);
                (self.meet(action.name(), &arguments, at)?, json!(id))
            }
            other => (self.meet(other.name(), other, at)?, Value::Null),
        };
        match met {
            Met::New(call) => self.note(call.recorded_as(&action.detail()), result, at),
            Met::Replayed | Met::Unrecorded => Ok(()),
        }
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
    pub(crate) fn create(&mut self, new: NewTask, at: Position) -> Host<TaskHandle> {
        let id = self.made_before().unwrap_or_else(|| self.next_id());
        let inputs = &self.inputs;
        let creator_id = inputs.rule.owner_id;
        let task = new
            .clone()
            .into_task(id, inputs.workspace.id, creator_id, inputs.now);
        let action = Action::CreateTask {
            id,
            creator_id,
            task: new,
        };
        self.act(action, at)?;
        self.created.push(Arc::new(task));
        Ok(TaskHandle::Created(self.created.len() - 1))
    }

    /// The id of the task that a replayed call has made.
    fn made_before(&self) -> Option<TaskId> {
        let result = self.record.as_ref()?.next_result()?;
        TaskId::deserialize(result).ok()
    }

    fn next_id(&self) -> TaskId {
        let number = (self.actions_before + self.actions.len()) as u64;
        let number = number.to_be_bytes();
        let key: [&[u8]; 3] = [self.inputs.run_id.as_bytes(), b"task", &number];
        TaskId::derived(self.inputs.now, &key)
    }

    /// Adds a line to the log, or drops it where the log is full, or has it from before.
    pub(crate) fn log(&mut self, line: &str) {
        let replaying = self.is_replaying();
        let log = &mut self.log;
        if log.full || replaying {
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

    /// A member, who is known from now on to have been looked at.
    pub(crate) fn user(&self, id: UserId) -> Option<&User> {
        let found = self.inputs.users.get(&id)?;
        self.saw(id);
        Some(found)
    }

    /// The member with this address.
    pub(crate) fn user_at(&self, address: &str) -> Option<&User> {
        let key = address.to_ascii_lowercase();
        let mut users = self.inputs.users.values();
        let found = users.find(|user| user.email.key() == key)?;
        self.saw(found.id);
        Some(found)
    }

    /// All members, in no order.
    pub(crate) fn members(&self) -> impl Iterator<Item = &User> {
        let users = self.inputs.users.values();
        users.inspect(|user| self.saw(user.id))
    }

    fn saw(&self, user: UserId) {
        if let Some(record) = &self.record {
            record.saw(user);
        }
    }
}

impl Log {
    /// Bytes that this segment has written.
    fn written(&self) -> usize {
        self.bytes - self.bytes_before
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
