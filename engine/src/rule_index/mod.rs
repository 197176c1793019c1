//! The rules of a workspace by what they ask of events, so that an event costs what the rules cost
//! that it concerns, and not what all of them cost.
//!
//! Of a rule's predicate the test that lets the fewest events through is looked up: one of several
//! conditions that must all hold, one of each alternative. The rules found so, and those of which
//! nothing can be looked up, are asked their whole predicate, and only where it holds is a script
//! evaluated.

mod intervals;
mod listeners;
mod shapes;

use listeners::{Filed, Listeners};
use shapes::Shapes;
use smarttasks_model::predicate::{Facts, Predicate};
use smarttasks_model::{EventPattern, EventType, RuleId};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The place of a rule.
type Slot = u32;
type Slots = BTreeSet<Slot>;

/// Rules of one workspace, each with the patterns of events to which it listens and the predicate
/// that holds whenever it may act.
pub struct RuleIndex<R> {
    entries: Vec<Option<Entry<R>>>,
    free: Vec<Slot>,
    slots: HashMap<RuleId, Slot>,
    listeners: HashMap<Arc<str>, Listeners>,
    shapes: Shapes,
}

struct Entry<R> {
    id: RuleId,
    rule: R,
    predicate: Arc<Predicate>,
    /// To what it listens, and where it is filed there.
    filed: Box<[(Arc<str>, Filed)]>,
}

/// The rules that an event may concern.
pub struct Candidates<'a, R> {
    /// In the order of their ids.
    pub rules: Vec<&'a R>,
    /// How many rules were asked whether their predicate holds.
    pub asked: usize,
}

impl<R> Default for RuleIndex<R> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            slots: HashMap::new(),
            listeners: HashMap::new(),
            shapes: Shapes::default(),
        }
    }
}

impl<R> RuleIndex<R> {
    /// Adds a rule, in the place of the one with its id.
    pub fn insert(
        &mut self,
        id: RuleId,
        patterns: &[EventPattern],
        predicate: Arc<Predicate>,
        rule: R,
    ) {
        self.remove(id);
        let slot = self.free_slot();
        let patterns: BTreeSet<&str> = patterns.iter().map(EventPattern::as_str).collect();
        let filed = patterns.into_iter().map(|pattern| {
            let name = self.listened_to(pattern);
            let listeners = self.listeners.entry(Arc::clone(&name)).or_default();
            (name, listeners.insert(slot, &predicate))
        });
        let filed = filed.collect();
        if let Some(entry) = self.entries.get_mut(slot as usize) {
            *entry = Some(Entry {
                id,
                rule,
                predicate,
                filed,
            });
        }
        self.slots.insert(id, slot);
    }

    /// Takes a rule out.
    pub fn remove(&mut self, id: RuleId) -> Option<R> {
        let slot = self.slots.remove(&id)?;
        let entry = self.entries.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        for (pattern, filed) in &entry.filed {
            let Some(listeners) = self.listeners.get_mut(pattern) else {
                continue;
            };
            listeners.remove(slot, &entry.predicate, *filed);
            if listeners.is_empty() {
                self.listeners.remove(pattern);
                self.shapes.remove(pattern);
            }
        }
        Some(entry.rule)
    }

    /// The rule with an id.
    pub fn get(&self, id: RuleId) -> Option<&R> {
        self.entry(id).map(|entry| &entry.rule)
    }

    /// Every rule, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &R> {
        self.entries.iter().flatten().map(|entry| &entry.rule)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether any rule listens to events of this type.
    pub fn is_listened_to(&self, kind: &EventType) -> bool {
        self.listeners_of(kind).next().is_some()
    }

    /// Whether this rule listens to events of this type.
    pub fn listens(&self, id: RuleId, kind: &EventType) -> bool {
        self.entry(id).is_some_and(|entry| {
            let mut patterns = self.shapes.patterns_of(kind.as_str());
            patterns.any(|of| entry.filed.iter().any(|(pattern, _)| **pattern == *of))
        })
    }

    /// The rules that listen to an event and whose predicate holds of it.
    pub fn candidates(&self, facts: &Facts<'_>) -> Candidates<'_, R> {
        let mut slots = Vec::new();
        for listeners in self.listeners_of(&facts.event.kind) {
            listeners.collect(facts, &mut slots);
        }
        slots.sort_unstable();
        slots.dedup();
        let entries = slots
            .iter()
            .filter_map(|slot| self.entries.get(*slot as usize));
        let entries = entries.flatten();
        let mut found: Vec<_> = entries
            .filter(|entry| entry.predicate.holds(facts))
            .collect();
        found.sort_unstable_by_key(|entry| entry.id);
        Candidates {
            rules: found.into_iter().map(|entry| &entry.rule).collect(),
            asked: slots.len(),
        }
    }

    fn listeners_of<'a>(
        &'a self,
        kind: &'a EventType,
    ) -> impl Iterator<Item = &'a Listeners> + use<'a, R> {
        let patterns = self.shapes.patterns_of(kind.as_str());
        patterns.filter_map(|pattern| self.listeners.get(&*pattern))
    }

    fn entry(&self, id: RuleId) -> Option<&Entry<R>> {
        let slot = self.slots.get(&id)?;
        self.entries.get(*slot as usize)?.as_ref()
    }

    fn free_slot(&mut self) -> Slot {
        self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            Slot::try_from(self.entries.len() - 1).unwrap_or(Slot::MAX)
        })
    }

    /// A pattern's name, of which there is one for all rules.
    fn listened_to(&mut self, pattern: &str) -> Arc<str> {
        if let Some((name, _)) = self.listeners.get_key_value(pattern) {
            return Arc::clone(name);
        }
        self.shapes.add(pattern);
        pattern.into()
    }
}

#[cfg(test)]
mod tests;
