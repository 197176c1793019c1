//! What ends the waits of a simulated run: time, the events that come, and what is answered.

use super::told::{self, Moment, Names};
use super::{Coming, GivenDecision, GivenEvent, GivenVerdict, Simulation};
use crate::Wait;
use serde_json::{Value, json};
use smarttasks_model::{
    ChangeId, Event, EventData, EventId, EventType, Snapshot, Span, TaskChanges, TaskId, Timestamp,
};
use std::sync::Arc;
use std::time::Duration;

/// How long before a deadline it is told of.
const SOON: Duration = Duration::from_secs(24 * 3600);

/// How a wait ends.
pub(super) struct End {
    pub(super) at: Timestamp,
    pub(super) woken: Value,
    /// In a word: `time`, `event`, `answer`, `timeout`.
    by: &'static str,
}

/// Why the run goes no further.
pub(super) enum Halt {
    /// It still waits, for want of this.
    Waits(String),
    /// Its task is gone.
    Cancelled,
}

impl Simulation {
    /// Lets a wait pass, and tells of it.
    pub(super) fn wait(&mut self, wait: &Wait) -> Result<End, Halt> {
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
                // What came of one change is one occasion.
                let seen = self.seen;
                let wanted = |event: &Event| pattern.matches(&event.kind) && event.change != seen;
                match self.events_until(until, &wanted)? {
                    Some(event) => {
                        self.seen = event.change;
                        Ok(End {
                            at: event.time.max(now),
                            woken: json!(event),
                            by: "event",
                        })
                    }
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

    pub(super) fn task_id(&self) -> Option<TaskId> {
        self.inputs.task.as_ref().map(|task| task.id)
    }

    fn next_given(&mut self) -> Option<Event> {
        match self.events.pop_front()? {
            Coming::Given { at, event } => {
                let GivenEvent {
                    kind, data, task, ..
                } = *event;
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
        let number = self.events.len().to_be_bytes();
        let key: [&[u8]; 3] = [
            self.inputs.run_id.as_bytes(),
            kind.as_str().as_bytes(),
            &number,
        ];
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
