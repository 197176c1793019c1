//! What is seen of the tasks of a page: without a script as far as that goes, and by evaluating it
//! where that matters.

use super::parts::Swept;
use super::{Page, Seen, message_id};
use crate::evaluate::{Done, Job, acts};
use crate::plan::CHANGES;
use crate::rule_set::RuleSet;
use crate::run::{PlannedRun, Started};
use smarttasks_model::{Place, RuleId, SweepPurpose, Task, Timestamp};
use smarttasks_rules::Program;
use smarttasks_store::matches::{Change, Match, Pair, decide};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The tasks of a page, and what is seen of each and each rule.
pub(super) struct Looks {
    tasks: Vec<(Place, Arc<Task>)>,
    known: HashMap<Pair, Match>,
    /// In the order of the tasks.
    looks: Vec<Look>,
}

/// What is seen of a task and a rule.
struct Look {
    /// The place of the task in the page.
    number: usize,
    rule: RuleId,
    told: Told,
}

enum Told {
    /// Whether it matches is known.
    Matches(bool),
    /// The script is to be evaluated.
    Asked,
    /// It has been.
    Evaluated(Box<Started>, Done),
}

impl Looks {
    /// The first looks: what the predicates say. A task that several ways lead to is looked at once.
    pub(super) fn of(
        page: &Page,
        tasks: Vec<(Place, Task)>,
        known: HashMap<Pair, Match>,
        waiting: &HashSet<Pair>,
        now: Timestamp,
    ) -> Self {
        let mut read = HashSet::new();
        let tasks = tasks.into_iter().filter(|(_, task)| read.insert(task.id));
        let tasks: Vec<_> = tasks.map(|(place, task)| (place, Arc::new(task))).collect();
        let mut looks = Vec::new();
        for (number, (_, task)) in tasks.iter().enumerate() {
            for (rule, swept) in &page.rules {
                let pair = (*rule, task.id);
                let before = known.get(&pair);
                let told = match swept.program() {
                    Ok(program) => page.first_look(swept, program, task, before, now),
                    Err(_) => None,
                };
                let told = told.filter(|told| !told.is_asked() || !waiting.contains(&pair));
                looks.extend(told.map(|told| Look {
                    number,
                    rule: *rule,
                    told,
                }));
            }
        }
        Self {
            tasks,
            known,
            looks,
        }
    }

    /// The evaluations that are to be made, and what is to become of rules that no longer compile.
    pub(super) fn jobs(
        &self,
        page: &mut Page,
        rule_set: &Arc<RuleSet>,
        now: Timestamp,
    ) -> (Vec<Job>, Vec<Started>) {
        let broken = page.rules.values().filter_map(|swept| {
            let error = swept.program().as_ref().err()?;
            let run = Started::of(swept.event(), swept.rule(), rule_set, None, now);
            Some(Seen::Run(run.failed(error.clone(), Vec::new(), 0)))
        });
        let broken: Vec<Seen> = broken.collect();
        let message = message_id(&page.range);
        let (mut jobs, mut started) = (Vec::new(), Vec::new());
        for look in self.looks.iter().filter(|look| look.told.is_asked()) {
            let (_, task) = &self.tasks[look.number];
            let Some(swept) = page.rules.get(&look.rule) else {
                continue;
            };
            let Ok(program) = swept.program() else {
                continue;
            };
            let run = Started::of(swept.event(), swept.rule(), rule_set, Some(task.id), now);
            let before = self.known.get(&(look.rule, task.id));
            let acting = page.change(before, look.rule, true);
            jobs.push(Job {
                begins: true,
                withheld: !matches!(acting, Change::Fire(_)),
                message,
                rule: Arc::clone(swept.rule()),
                program: Arc::clone(program),
                inputs: run.inputs(Some(Arc::clone(task))),
            });
            started.push(run);
        }
        page.seen.extend(broken);
        (jobs, started)
    }

    /// Takes in what became of the evaluations.
    pub(super) fn take_in(&mut self, started: Vec<Started>, done: Vec<Done>) {
        let asked = self.looks.iter_mut().filter(|look| look.told.is_asked());
        for (look, (run, done)) in asked.zip(started.into_iter().zip(done)) {
            look.told = Told::Evaluated(Box::new(run), done);
        }
    }

    /// The first task of which an evaluation did not get its turn.
    pub(super) fn left(&self) -> Option<usize> {
        let is_left = |look: &&Look| matches!(look.told, Told::Evaluated(_, Done::Left));
        self.looks.iter().find(is_left).map(|look| look.number)
    }

    /// Where the task before this one stands.
    pub(super) fn before(&self, number: usize) -> Option<Place> {
        let before = self.tasks.get(number.checked_sub(1)?);
        before.map(|(place, _)| *place)
    }
}

impl Told {
    fn is_asked(&self) -> bool {
        matches!(self, Self::Asked)
    }
}

impl Page {
    /// What can be told without evaluating the script; nothing when nothing can come of it.
    fn first_look(
        &self,
        swept: &Swept,
        program: &Program,
        task: &Task,
        before: Option<&Match>,
        now: Timestamp,
    ) -> Option<Told> {
        if !swept.may_act(program, task, now) {
            return before.map(|_| Told::Matches(false));
        }
        if before.is_none() || swept.never_acts() || !program.is_exact() {
            return Some(Told::Asked);
        }
        match self.change(before, swept.rule().facts.id, true) {
            Change::Stay => None,
            Change::Fire(_) => Some(Told::Asked),
            Change::Begin(_) | Change::Await(_) | Change::End { .. } => Some(Told::Matches(true)),
        }
    }

    /// Takes in what was seen of the tasks, up to the first that is left or the one with which it
    /// would be too much for one transaction: all from there on are left.
    pub(super) fn take_in(&mut self, looks: &mut Looks, max_depth: u8) -> Option<usize> {
        let mut beyond = looks.left();
        let (mut changes, mut of_task) = (0, (0, self.seen.len()));
        let known = std::mem::take(&mut looks.known);
        for Look { number, rule, told } in std::mem::take(&mut looks.looks) {
            if beyond.is_some_and(|beyond| number >= beyond) {
                break;
            }
            if of_task.0 != number {
                if changes > CHANGES && of_task.0 != 0 {
                    self.seen.truncate(of_task.1);
                    beyond = Some(of_task.0);
                    break;
                }
                of_task = (number, self.seen.len());
            }
            let pair = (rule, looks.tasks[number].1.id);
            changes += self.see(pair, told, known.get(&pair), max_depth);
        }
        let tasks = looks.tasks.iter().take(beyond.unwrap_or(usize::MAX));
        self.tasks = tasks.map(|(_, task)| (task.id, Arc::clone(task))).collect();
        beyond
    }

    /// Takes in what was seen of a task and a rule; how much that changes.
    fn see(&mut self, pair: Pair, told: Told, before: Option<&Match>, max_depth: u8) -> usize {
        let (run, done) = match told {
            Told::Matches(matches) => {
                self.seen.push(Seen::Match(pair, matches, None));
                return 0;
            }
            Told::Asked => return 0,
            Told::Evaluated(run, done) => (run, done),
        };
        let planned = match done {
            Done::Left | Done::PassedOver => {
                self.miss(pair.0, before);
                return 0;
            }
            Done::Nothing => None,
            Done::Told(mut outcome) => {
                if self.range.purpose == SweepPurpose::Note {
                    outcome.state = None;
                }
                let (failed, acts) = (outcome.error.is_some(), acts(&outcome));
                let planned = run.planned(*outcome, max_depth);
                if failed {
                    self.miss(pair.0, before);
                    self.seen.push(Seen::Run(planned));
                    return 0;
                }
                if !acts {
                    self.seen.extend(planned.only_state().map(Seen::Run));
                }
                acts.then_some(planned)
            }
        };
        let matches = planned.is_some();
        if !matches {
            // It was to, if the predicate says all.
            self.unknown.insert(pair.0);
        }
        if self.change(before, pair.0, matches) == Change::Stay {
            return 0;
        }
        let changes = planned.as_ref().map_or(0, PlannedRun::changes);
        self.seen.push(Seen::Match(pair, matches, planned));
        changes
    }

    /// A task passes the predicate of a rule, and yet does not begin to match. One that matches does
    /// so still, and stays due if it is.
    fn miss(&mut self, rule: RuleId, before: Option<&Match>) {
        if before.is_none() {
            self.unknown.insert(rule);
        }
    }

    pub(super) fn change(&self, before: Option<&Match>, rule: RuleId, matches: bool) -> Change {
        let policy = self.rules.get(&rule).map(|swept| swept.rule().policy);
        decide(
            before,
            matches,
            self.range.scheduled_at,
            policy.unwrap_or_default(),
            self.range.purpose,
        )
    }
}
