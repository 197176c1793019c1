//! What the tests of a script have established on the way to a statement.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether a value that may be absent is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    Absent,
}

/// What is known of values by their paths.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    known: BTreeMap<Arc<str>, Presence>,
    /// A test that is not understood may have established anything.
    doubtful: bool,
}

impl Facts {
    pub(super) fn learn(&mut self, path: Arc<str>, presence: Presence) {
        self.known.insert(path, presence);
    }

    /// From here on a value may have come to be there.
    pub(super) fn doubt(&mut self) {
        self.doubtful = true;
        self.known
            .retain(|_, presence| *presence == Presence::Present);
    }

    /// From here on the task may be another than the one that was tested.
    pub(super) fn forget_task(&mut self) {
        self.known.retain(|path, _| !path.starts_with("task."));
    }

    /// What is known; a doubt counts for the value.
    pub(super) fn of(&self, path: &str) -> Option<Presence> {
        let known = self.known.get(path).copied();
        known.or(self.doubtful.then_some(Presence::Present))
    }

    /// What holds on two ways that come together.
    pub(super) fn join(mut self, other: &Self) -> Self {
        self.known
            .retain(|path, presence| other.of(path) == Some(*presence));
        self.doubtful |= other.doubtful;
        self
    }
}
