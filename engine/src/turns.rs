//! Whose turn it is: how much evaluation time each workspace has used lately.
//!
//! A leaky bucket for each workspace. What evaluations take goes in, and it leaks at the rate of the
//! budget: whoever has used its budget waits until some of it has leaked away. Beside it, what was
//! used fades by half every half a minute, and whoever has used least goes first: the bucket of one
//! that is slow now and then is as empty as that of one that is always fast. It counts the time of this process's own threads, so it goes by the
//! monotonic clock and is kept in memory.

use smarttasks_model::WorkspaceId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time over which a budget is counted.
const MINUTE: Duration = Duration::from_secs(60);
/// What is taken as the budget where none is set, to tell who has used more.
const UNLIMITED: Duration = Duration::from_secs(10);
/// The time in which what was used counts for half.
const HALF: Duration = Duration::from_secs(30);
/// What is too little to be remembered, in seconds.
const NOTHING: f64 = 1e-6;
/// Workspaces that are remembered; beyond them those are forgotten that have nothing left to leak.
const REMEMBERED: usize = 10_000;

/// How much evaluation time each workspace has used lately.
pub(crate) struct Turns {
    budget: Duration,
    limited: bool,
    used: Mutex<HashMap<WorkspaceId, Used>>,
}

#[derive(Clone, Copy)]
struct Used {
    level: Duration,
    /// Seconds, faded.
    lately: f64,
    at: Instant,
}

impl Turns {
    /// `budget` is evaluation time per minute; without one nobody waits.
    pub(crate) fn new(budget: Option<Duration>) -> Self {
        Self {
            limited: budget.is_some(),
            budget: budget.unwrap_or(UNLIMITED),
            used: Mutex::default(),
        }
    }

    /// What a workspace has used lately.
    pub(crate) fn used(&self, workspace: WorkspaceId) -> Duration {
        self.used_at(workspace, Instant::now())
    }

    /// Adds what an evaluation took.
    pub(crate) fn charge(&self, workspace: WorkspaceId, took: Duration) {
        self.charge_at(workspace, took, Instant::now());
    }

    /// How long a workspace that has used its budget has to wait.
    pub(crate) fn wait(&self, workspace: WorkspaceId) -> Option<Duration> {
        self.wait_at(workspace, Instant::now())
    }

    fn level(&self, workspace: WorkspaceId, now: Instant) -> Duration {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.get(&workspace)
            .map_or(Duration::ZERO, |used| self.leaked(*used, now))
    }

    fn used_at(&self, workspace: WorkspaceId, now: Instant) -> Duration {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.get(&workspace).map_or(Duration::ZERO, |used| {
            Duration::from_secs_f64(used.faded(now))
        })
    }

    fn leaked(&self, used: Used, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(used.at);
        let leak = self
            .budget
            .mul_f64(passed.as_secs_f64() / MINUTE.as_secs_f64());
        used.level.saturating_sub(leak)
    }

    fn charge_at(&self, workspace: WorkspaceId, took: Duration, now: Instant) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= REMEMBERED && !used.contains_key(&workspace) {
            used.retain(|_, used| !self.leaked(*used, now).is_zero() || used.faded(now) > NOTHING);
        }
        let (level, lately) = used.get(&workspace).map_or((Duration::ZERO, 0.0), |used| {
            (self.leaked(*used, now), used.faded(now))
        });
        let of_workspace = Used {
            level: level.saturating_add(took),
            lately: lately + took.as_secs_f64(),
            at: now,
        };
        used.insert(workspace, of_workspace);
    }

    /// It waits until a tenth of the budget is free, so that it does not stop at each step.
    fn wait_at(&self, workspace: WorkspaceId, now: Instant) -> Option<Duration> {
        let level = self.level(workspace, now);
        if !self.limited || level < self.budget {
            return None;
        }
        let over = level.saturating_sub(self.budget.mul_f64(0.9));
        let share = over.as_secs_f64() / self.budget.as_secs_f64().max(f64::EPSILON);
        Some(MINUTE.mul_f64(share.min(60.0)))
    }
}

impl Used {
    fn faded(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at);
        self.lately * 0.5_f64.powf(passed.as_secs_f64() / HALF.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn workspace(number: u128) -> WorkspaceId {
        WorkspaceId(Uuid::from_u128(number))
    }

    #[test]
    fn a_budget_that_is_used_up_comes_back_with_time() {
        let turns = Turns::new(Some(Duration::from_secs(6)));
        let (busy, idle, start) = (workspace(1), workspace(2), Instant::now());
        turns.charge_at(busy, Duration::from_secs(3), start);
        assert_eq!(turns.wait_at(busy, start), None);
        turns.charge_at(busy, Duration::from_secs(3), start);
        // A tenth of six seconds leaks in six.
        let wait = turns.wait_at(busy, start).unwrap();
        assert_eq!(wait.as_secs_f64().round(), 6.0);
        assert_eq!(turns.wait_at(busy, start + wait), None);
        assert_eq!(turns.wait_at(idle, start), None);
        assert_eq!(turns.level(busy, start + MINUTE), Duration::ZERO);
        // Who is slow now and then comes after who is fast, for minutes.
        let faded = turns.used_at(busy, start + MINUTE).as_secs_f64();
        assert_eq!((faded * 10.0).round(), 15.0);
        assert_eq!(turns.used_at(idle, start + MINUTE), Duration::ZERO);
    }

    #[test]
    fn without_a_budget_nobody_waits_and_it_is_known_who_used_more() {
        let turns = Turns::new(None);
        let (busy, idle, start) = (workspace(1), workspace(2), Instant::now());
        turns.charge_at(busy, Duration::from_secs(600), start);
        assert_eq!(turns.wait_at(busy, start), None);
        assert!(turns.used_at(busy, start) > turns.used_at(idle, start));
    }
}
