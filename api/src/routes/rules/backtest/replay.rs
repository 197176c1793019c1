//! Recorded events, in their order, and the rule upon each.

use super::super::simulate::{compiled, run};
use super::super::trial::{Surroundings, Tried, facts};
use super::{Backtest, Replayed};
use crate::app::App;
use crate::problem::ApiError;
use crate::trials::Trial;
use serde_json::{Map, Value};
use smarttasks_model::{
    Event, EventPattern, Overlap, RuleSpec, RunId, Span, Task, TaskId, Timestamp, Trigger,
    WorkspaceId,
};
use smarttasks_rules::{
    Circumstances, Coming, GivenAnswers, Program, RuleFacts, Simulation, Timeline,
};
use smarttasks_store::rules::Rule;
use smarttasks_store::{events, tasks};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Matches that are shown.
pub(super) const SHOWN: usize = 100;
/// Events that are looked at.
const EVENTS: usize = 10_000;
/// Bytes of them, as they are stored.
const BYTES: usize = 64 * 1024 * 1024;
/// Events that are read at once.
const PART: u64 = 500;
/// Later events that a run about no task may meet.
const LATER: usize = 1_000;
/// How long the runs may take: half of what there is for a request, as the events are read first.
const TIME: Duration = Duration::from_millis(1_500);
/// How long a run may go on after the event that started it.
const LONGEST: Span = Span::from_millis(366 * 86_400_000);

/// The recorded events of a time, and a rule that is tried upon them.
pub(super) struct Replay<'a> {
    app: &'a App,
    trial: Trial,
    workspace: WorkspaceId,
    spec: RuleSpec,
    rule: Arc<RuleFacts>,
    program: Arc<Program>,
    around: Surroundings,
    events: Vec<Arc<Event>>,
    /// The places of those about each task.
    about: HashMap<TaskId, Vec<usize>>,
    truncated: bool,
    /// What the rule keeps: it begins with nothing.
    state: Arc<Map<String, Value>>,
    /// Tasks as the last event left them.
    tasks: HashMap<TaskId, Arc<Task>>,
    /// Until when a run for a task waits.
    busy: HashMap<Option<TaskId>, Timestamp>,
    /// Runs that there would have been.
    runs: HashSet<RunId>,
}

impl<'a> Replay<'a> {
    pub(super) async fn new(
        app: &'a App,
        rule: &Rule,
        spec: RuleSpec,
        time: (Timestamp, Timestamp),
    ) -> Result<Self, ApiError> {
        let trial = app.trials.begin().await?;
        let program = compiled(&trial, spec.script.clone()).await?;
        let (events, truncated) = recorded(app, rule.workspace_id, time).await?;
        Ok(Self {
            app,
            trial,
            workspace: rule.workspace_id,
            rule: facts(rule.id, &spec, rule.version, rule.author_id),
            program,
            around: Surroundings::of(app, rule.workspace_id).await?,
            spec,
            about: places(&events),
            events,
            truncated,
            state: Arc::default(),
            tasks: HashMap::new(),
            busy: HashMap::new(),
            runs: HashSet::new(),
        })
    }

    pub(super) async fn run(&mut self, told: &mut Backtest) -> Result<(), ApiError> {
        let started = Instant::now();
        let mut skipped = 0;
        for number in 0..self.events.len() {
            let Some(event) = self.events.get(number).cloned() else {
                break;
            };
            if let Some(task) = event.task() {
                self.tasks.insert(task.id, Arc::new(task.clone()));
            }
            if !self.listens(&event) {
                continue;
            }
            if started.elapsed() > TIME {
                self.truncated = true;
                break;
            }
            told.events += 1;
            let run_id = RunId::of(self.rule.id, event.change, event.task_id, event.time);
            if self.runs.contains(&run_id) {
                continue;
            }
            if self.waits(&event) {
                skipped += 1;
                continue;
            }
            let timeline = self.replayed(&event, number).await?;
            if let Some(replayed) = self.take(&event, run_id, timeline) {
                told.count(replayed);
            }
        }
        told.truncated = self.truncated;
        if skipped > 0 {
            told.notes.push(format!(
                "{skipped} events came while a run for the same task waited, and would have started nothing (overlap skip)"
            ));
        }
        Ok(())
    }

    fn listens(&self, event: &Event) -> bool {
        let patterns = self.spec.triggers.iter().filter_map(pattern);
        event.rule_id.is_none() && patterns.into_iter().any(|of| of.matches(&event.kind))
    }

    fn waits(&self, event: &Event) -> bool {
        let until = self.busy.get(&event.task_id);
        self.spec.overlap == Overlap::Skip && until.is_some_and(|until| event.time < *until)
    }

    /// What the rule would have done upon an event, with those that came after it.
    async fn replayed(&mut self, event: &Arc<Event>, number: usize) -> Result<Timeline, ApiError> {
        let task = self.task_of(event).await?;
        let tried = Tried {
            rule: Arc::clone(&self.rule),
            task: task.clone(),
            state: Arc::clone(&self.state),
        };
        let circumstances = Circumstances {
            inputs: self.around.inputs(&tried, (**event).clone(), event.time),
            stored: None,
            until: event.time + LONGEST,
            events: self.later(event, number),
            answers: GivenAnswers::default(),
            deadlines: false,
            endpoints: Some(self.around.endpoints.clone()),
        };
        let simulation = Simulation::new(Arc::clone(&self.program), circumstances);
        run(self.app, &self.trial, self.workspace, simulation).await
    }

    /// What a run that waits may meet after the event that started it.
    fn later(&self, event: &Event, number: usize) -> VecDeque<Coming> {
        let recorded = |of: &Arc<Event>| Coming::Recorded(Arc::clone(of));
        if !self.program.suspends() {
            return VecDeque::new();
        }
        match event.task_id {
            Some(task) => {
                let places = self.about.get(&task).into_iter().flatten();
                let later = places.filter(|place| **place > number);
                let events = later.filter_map(|place| self.events.get(*place));
                events.map(recorded).collect()
            }
            None => {
                let later = self.events.iter().skip(number + 1);
                later.take(LATER).map(recorded).collect()
            }
        }
    }

    /// The task as the event left it, or the last before it; or else as it is now.
    async fn task_of(&mut self, event: &Event) -> Result<Option<Arc<Task>>, ApiError> {
        let Some(id) = event.task_id else {
            return Ok(None);
        };
        if let Some(known) = self.tasks.get(&id) {
            return Ok(Some(Arc::clone(known)));
        }
        let found = tasks::by_ids(&self.app.db, [id]).await?.remove(&id);
        let found = found
            .filter(|task| task.workspace_id == self.workspace)
            .map(Arc::new);
        if let Some(task) = &found {
            self.tasks.insert(id, Arc::clone(task));
        }
        Ok(found)
    }

    fn take(&mut self, event: &Event, run_id: RunId, timeline: Timeline) -> Option<Replayed> {
        if let Some(state) = timeline.state {
            self.state = Arc::new(state);
        }
        if timeline.error.is_none() && !timeline.matched {
            return None;
        }
        self.runs.insert(run_id);
        self.busy.insert(event.task_id, timeline.ended_at);
        Some(Replayed {
            time: event.time,
            event_id: event.id,
            event_type: event.kind.clone(),
            task_id: event.task_id,
            status: timeline.status,
            timeline: timeline.timeline,
            error: timeline.error,
        })
    }
}

fn places(events: &[Arc<Event>]) -> HashMap<TaskId, Vec<usize>> {
    let mut places: HashMap<TaskId, Vec<usize>> = HashMap::new();
    for (place, event) in events.iter().enumerate() {
        if let Some(task) = event.task_id {
            places.entry(task).or_default().push(place);
        }
    }
    places
}

fn pattern(trigger: &Trigger) -> Option<&EventPattern> {
    match trigger {
        Trigger::Event(pattern) => Some(pattern),
        Trigger::Cron { .. } | Trigger::Due(_) => None,
    }
}

/// The events of a time, in their order, and whether there were more.
async fn recorded(
    app: &App,
    workspace: WorkspaceId,
    time: (Timestamp, Timestamp),
) -> Result<(Vec<Arc<Event>>, bool), ApiError> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    let mut truncated = false;
    loop {
        let after = found.last().map(|event: &Arc<Event>| event.id);
        let part = events::between(&app.db, workspace, time, after, PART).await?;
        let last = (part.len() as u64) < PART;
        for (event, size) in part {
            if found.len() >= EVENTS || bytes > BYTES {
                truncated = true;
                break;
            }
            bytes += size;
            found.push(Arc::new(event));
        }
        if last || truncated {
            break;
        }
    }
    found.sort_by_key(|event| (event.time, event.id));
    Ok((found, truncated))
}
