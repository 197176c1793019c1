//! Counts what the evaluation on this thread uses.
//!
//! Rhai's own `max_operations` forgets what closures called by `map`, `filter` or `sort` used,
//! it has no deadline, and array callbacks turn errors that nobody may catch into ones that
//! anybody may. So the counting is ours, and its verdict is sticky: once stopped, every further
//! step and every host function fails until the evaluation ends. The state is the thread's
//! because `Engine::on_progress` is given nothing else to find it by.

use crate::Limits;
use crate::limits::Stop;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How many steps pass between two looks at the clock, which costs as much as several steps.
const STEPS_PER_LOOK: u64 = 8;

struct Meter {
    /// Steps of the segment.
    operations: Cell<u64>,
    /// Steps of the segments before.
    replayed: Cell<u64>,
    heap_at_start: Cell<isize>,
    /// When the evaluation began.
    begun: Cell<Option<Instant>>,
    /// When the segment would have begun if all of its time had been spent at once.
    started: Cell<Option<Instant>>,
    /// When the last segment began, unless it is the first.
    turned: Cell<Option<Instant>>,
    stop: Cell<Option<Stop>>,
}

thread_local! {
    static METER: Meter = const {
        Meter {
            operations: Cell::new(0),
            replayed: Cell::new(0),
            heap_at_start: Cell::new(0),
            begun: Cell::new(None),
            started: Cell::new(None),
            turned: Cell::new(None),
            stop: Cell::new(None),
        }
    };
}

/// What an evaluation used.
pub(crate) struct Reading {
    /// Of all segments that it went through.
    pub(crate) operations: u64,
    /// Of all segments that it went through, with what had been spent on the last before.
    pub(crate) duration: Duration,
    /// Of the segments before the last.
    pub(crate) replaying: Duration,
    pub(crate) stop: Option<Stop>,
}

/// Begins an evaluation on this thread, on whose first segment `spent` has been used before.
pub(crate) fn start(spent: Duration) {
    METER.with(|meter| {
        meter.operations.set(0);
        meter.replayed.set(0);
        meter.heap_at_start.set(smarttasks_heap::live());
        let now = Instant::now();
        meter.begun.set(Some(now));
        meter.started.set(Some(before(now, spent)));
        meter.turned.set(None);
        meter.stop.set(None);
    });
}

/// Begins to count anew for the next segment of the run, on which `spent` has been used before.
/// What is held stays held.
pub(crate) fn turn(spent: Duration) {
    METER.with(|meter| {
        meter.replayed.set(meter.steps());
        meter.operations.set(0);
        let now = Instant::now();
        meter.started.set(Some(before(now, spent)));
        meter.turned.set(Some(now));
    });
}

/// Steps of all segments so far.
pub(crate) fn steps() -> u64 {
    METER.with(Meter::steps)
}

fn before(now: Instant, spent: Duration) -> Instant {
    now.checked_sub(spent).unwrap_or(now)
}

/// Ends it.
pub(crate) fn finish() -> Reading {
    METER.with(|meter| {
        let begun = meter.begun.take();
        let turned = meter.turned.take();
        let replaying = match (begun, turned) {
            (Some(begun), Some(turned)) => turned.duration_since(begun),
            _ => Duration::ZERO,
        };
        let last = meter.started.take().map(|at| at.elapsed());
        Reading {
            operations: meter.steps(),
            duration: replaying + last.unwrap_or_default(),
            replaying,
            stop: meter.stop.take(),
        }
    })
}

/// Counts one step. The first limit that it finds exceeded stays the answer.
pub(crate) fn step(limits: &Limits) -> Result<(), Stop> {
    METER.with(|meter| {
        if let Some(stop) = meter.stop.get() {
            return Err(stop);
        }
        let operations = meter.operations.get() + 1;
        meter.operations.set(operations);
        let exceeded = if operations > limits.operations {
            Some(Stop::Operations)
        } else if smarttasks_heap::live() - meter.heap_at_start.get()
            > limits.heap_bytes.cast_signed()
        {
            Some(Stop::Heap)
        } else if operations % STEPS_PER_LOOK == 0 && meter.is_late(limits) {
            Some(Stop::Wall)
        } else {
            None
        };
        match exceeded {
            Some(stop) => {
                meter.stop.set(Some(stop));
                Err(stop)
            }
            None => Ok(()),
        }
    })
}

/// Stops the evaluation for a reason found elsewhere.
pub(crate) fn stop(why: Stop) -> Stop {
    METER.with(|meter| {
        let first = meter.stop.get().unwrap_or(why);
        meter.stop.set(Some(first));
        first
    })
}

impl Meter {
    fn steps(&self) -> u64 {
        self.replayed.get().saturating_add(self.operations.get())
    }

    fn is_late(&self, limits: &Limits) -> bool {
        self.started
            .get()
            .is_some_and(|started| started.elapsed() > limits.wall)
    }
}
