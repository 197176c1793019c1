//! An evaluation of a script that may wait: what is recorded of it, how it stops at a wait, and how
//! it comes to be where it was.

use super::record::{Call, Met, Record, View};
use super::{Evaluation, Halt, Host, terminated};
use crate::limits::Stop;
use crate::world::EventHandle;
use crate::{Need, Wait, meter};
use rhai::{EvalAltResult, Position};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smarttasks_model::Event;
use std::cell::OnceCell;
use std::time::Duration;

/// An event that began a segment. It is read when the script looks into it, because a replay
/// comes by all of them.
pub(super) struct Received {
    segment: usize,
    event: OnceCell<Event>,
}

impl Evaluation {
    pub(super) fn is_replaying(&self) -> bool {
        self.record.as_ref().is_some_and(Record::is_replaying)
    }

    /// What has been used of the time of the segment that the script is in.
    pub(super) fn spent(&self) -> Duration {
        match self.is_replaying() {
            true => Duration::ZERO,
            false => self.inputs.spent,
        }
    }

    /// Lets the script see what there is to see in its segment.
    pub(super) fn look(&mut self) {
        if let Some(record) = &mut self.record {
            let View {
                now,
                task,
                users,
                state,
            } = record.view();
            self.inputs.now = now;
            self.inputs.task = task;
            self.inputs.users = users;
            self.inputs.state = state;
        }
    }

    /// Stops for good.
    fn halt(&mut self, why: Stop, at: Position, message: Option<String>) -> Box<EvalAltResult> {
        self.halted.get_or_insert(Halt { at, message });
        terminated(meter::stop(why))
    }

    /// Comes by a call that is recorded where the script may wait.
    pub(super) fn meet(
        &mut self,
        name: &'static str,
        arguments: &impl Serialize,
        at: Position,
    ) -> Host<Met> {
        let Some(record) = &mut self.record else {
            return Ok(Met::Unrecorded);
        };
        record
            .meet(Call::new(name, arguments, at))
            .map_err(|diverged| self.halt(Stop::Diverged, at, Some(diverged)))
    }

    /// Records a call that is made now.
    pub(super) fn note(&mut self, call: Call, result: Value, at: Position) -> Host<()> {
        let limits = &self.limits;
        let fits = self
            .record
            .as_mut()
            .is_none_or(|record| record.add(call, result, limits));
        match fits {
            true => Ok(()),
            false => Err(self.halt(Stop::Journal, at, None)),
        }
    }

    /// Waits: if the wait has ended, goes on in the next segment, which [`woken`](Self::woken)
    /// says how it began; or else the evaluation stops and says what it needs. `asked` is what the
    /// script has said of it.
    pub(crate) fn wait(
        &mut self,
        name: &'static str,
        wait: Wait,
        asked: &impl Serialize,
        at: Position,
    ) -> Host<()> {
        if let Some(within) = self.comparing {
            return Err(format!(
                "{name}: a function by which `{within}` compares cannot wait; wait before `{within}` is called"
            )
            .into());
        }
        match self.meet(name, asked, at)? {
            Met::Replayed => self.turn(at),
            Met::New(call) => {
                self.note(call, Value::Null, at)?;
                self.suspend(wait, at)
            }
            Met::Unrecorded => Err(format!(
                "{name}: a function that waits must be called by its name, not by a text that is made up while the script runs"
            )
            .into()),
        }
    }

    fn suspend(&mut self, wait: Wait, at: Position) -> Host<()> {
        if meter::steps() > self.limits.replay_operations {
            return Err(self.halt(Stop::Replay, at, None));
        }
        let written = self.log.written();
        if let Some(record) = &self.record {
            let segment = record.segment(written);
            if !record.has_room(&segment, &self.limits) {
                return Err(self.halt(Stop::Journal, at, None));
            }
            self.segment = Some(segment);
        }
        self.need = Some(Need::Wait(wait));
        Err(terminated(meter::stop(Stop::Need)))
    }

    /// Goes on from a wait that has ended, in the next segment, which brings its own surroundings.
    fn turn(&mut self, at: Position) -> Host<()> {
        let turned = self.record.as_mut().map_or(Ok(()), Record::turn);
        turned.map_err(|diverged| self.halt(Stop::Diverged, at, Some(diverged)))?;
        self.actions_before += self.actions.len();
        self.actions.clear();
        self.output = 0;
        self.asked = 0;
        self.state = None;
        meter::turn(self.spent());
        self.look();
        Ok(())
    }

    /// How the last wait ended.
    pub(crate) fn woken(&self) -> &Value {
        match &self.record {
            Some(record) => record.woken(record.number()),
            None => &Value::Null,
        }
    }

    /// Holds the event that ended the last wait.
    pub(crate) fn receive(&mut self) -> EventHandle {
        self.received.push(Received {
            segment: self.record.as_ref().map_or(0, Record::number),
            event: OnceCell::new(),
        });
        EventHandle::Received(self.received.len() - 1)
    }

    /// The event behind a handle.
    pub(crate) fn event(&self, handle: EventHandle) -> Host<&Event> {
        let EventHandle::Received(number) = handle else {
            return Ok(&self.inputs.event);
        };
        let (Some(received), Some(record)) = (self.received.get(number), &self.record) else {
            return Err("there is no such event".into());
        };
        if let Some(event) = received.event.get() {
            return Ok(event);
        }
        let event = Event::deserialize(record.woken(received.segment))
            .map_err(|error| format!("what has been waited for is no event: {error}"))?;
        Ok(received.event.get_or_init(|| event))
    }
}
