//! Which actions some way through the script reaches, and which none does.

use super::body::is_closure;
use crate::waiting;
use rhai::Position;
use std::collections::{BTreeMap, BTreeSet};

/// What one body does.
#[derive(Default)]
pub(super) struct Deeds {
    /// The actions, with the names that the record of a run gives them, and the waits.
    actions: Vec<(&'static str, Position)>,
    /// The functions that it calls or speaks of.
    calls: BTreeSet<String>,
    /// It calls functions that only running it would name.
    calls_any: bool,
    /// It changes what the rule keeps.
    keeps: bool,
    /// It has an action where nothing reaches it; of that, something is said already.
    dead_action: bool,
}

impl Deeds {
    pub(super) fn acts(&mut self, action: &'static str, at: Position, dead: bool) {
        if dead {
            self.dead_action = true;
        } else {
            self.actions.push((action, at));
        }
    }

    pub(super) fn keeps(&mut self) {
        self.keeps = true;
    }

    pub(super) fn calls(&mut self, function: &str, dead: bool) {
        if !dead {
            self.calls.insert(function.to_owned());
        }
    }

    pub(super) fn calls_any(&mut self) {
        self.calls_any = true;
    }
}

/// What the whole script does.
#[derive(Default)]
pub(super) struct Reached {
    pub(super) actions: BTreeSet<&'static str>,
    /// The calls at which the run may wait.
    pub(super) waits: BTreeSet<&'static str>,
    /// Actions and waits of functions that are never called: action, place, function.
    pub(super) unreached: Vec<(&'static str, Position, String)>,
    /// Nothing at all is done, and nothing has been said of it.
    pub(super) idle: bool,
}

/// Follows the calls from the top level, whose name is absent.
pub(super) fn reached(bodies: Vec<(Option<String>, Deeds)>) -> Reached {
    let mut calls: BTreeMap<&str, Vec<&Deeds>> = BTreeMap::new();
    let mut waiting: Vec<&Deeds> = Vec::new();
    for (name, deeds) in &bodies {
        match name {
            Some(name) => calls.entry(name).or_default().push(deeds),
            None => waiting.push(deeds),
        }
    }
    let any = bodies.iter().any(|(_, deeds)| deeds.calls_any);
    let mut live: BTreeSet<&str> = match any {
        true => calls.keys().copied().collect(),
        false => BTreeSet::new(),
    };
    while let Some(deeds) = waiting.pop() {
        for name in &deeds.calls {
            if calls.contains_key(name.as_str()) && live.insert(name) {
                waiting.extend(calls[name.as_str()].iter().copied());
            }
        }
    }
    let mut reached = Reached::default();
    let mut keeps = false;
    let mut done: BTreeSet<&'static str> = BTreeSet::new();
    for (name, deeds) in &bodies {
        if name.as_deref().is_none_or(|name| live.contains(name)) {
            keeps |= deeds.keeps;
            done.extend(deeds.actions.iter().map(|(action, _)| action));
        } else if let Some(name) = name.as_deref().filter(|name| !is_closure(name)) {
            let unreached = deeds.actions.iter();
            reached
                .unreached
                .extend(unreached.map(|(action, at)| (*action, *at, name.to_owned())));
        }
    }
    let said = !reached.unreached.is_empty() || bodies.iter().any(|(_, deeds)| deeds.dead_action);
    reached.idle = done.is_empty() && !keeps && !said;
    (reached.waits, reached.actions) = done
        .into_iter()
        .partition(|call| waiting::CALLS.contains(call));
    reached
}
