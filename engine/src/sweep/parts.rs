//! How the tasks of a sweep are found: by what is known already of which tasks match its rules.
//!
//! Between two sweeps the answer of a predicate can change only where a task was written or time went
//! past a threshold. So of a rule that acts just where its predicate holds, and of which it is known
//! up to when its matches are those tasks, only these are read, and the matches that are due. Of
//! another the tasks are read that pass its predicate now; of one without a predicate, all. Predicates
//! are asked as they are for the event of an occurrence.

use super::{SweepPart, occurrence};
use crate::Engine;
use crate::programs::Compiled;
use crate::rule_set::LoadedRule;
use smarttasks_model::predicate::{Facts, Predicate, Window};
use smarttasks_model::{Event, RuleId, Sought, SweepPurpose, SweepRange, Task, Timestamp};
use smarttasks_rules::Program;
use smarttasks_store::sweeps::marks::{self, Mark};
use smarttasks_store::{Result, matches, sweeps};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Rules whose matches are known up to instants so near to each other are swept together: they read
/// as far back as the first.
const TOGETHER: Duration = Duration::from_secs(5 * 60);

/// A mark that is older says little: more has changed since than passes most predicates. Rules with a
/// sweep a week are found by theirs still.
const OLDEST: Duration = Duration::from_secs(8 * 24 * 3600);

/// A rule that is swept.
pub(super) struct Swept {
    rule: Arc<LoadedRule>,
    program: Compiled,
    /// What starts its runs.
    event: Arc<Event>,
    /// Of which tasks it may act; absent where the script is refused.
    predicate: Option<Predicate>,
    /// For which tasks it acts, where nothing but a write or a threshold can change that.
    tracked: Option<Predicate>,
}

impl Swept {
    pub(super) fn new(
        rule: Arc<LoadedRule>,
        program: Compiled,
        range: &SweepRange,
        now: Timestamp,
    ) -> Self {
        let event = Arc::new(occurrence(&rule, range));
        let understood = program.as_ref().ok();
        let predicate = understood.map(|program| program.predicate().for_event(&event, now));
        let exact = understood.filter(|program| program.is_exact() && !never_acts(program));
        let tracked = exact.and_then(|program| program.predicate().for_occurrences(&event));
        Self {
            rule,
            predicate,
            tracked: tracked.filter(|of| of.windows(now, now).is_some()),
            program,
            event,
        }
    }

    pub(super) fn rule(&self) -> &Arc<LoadedRule> {
        &self.rule
    }

    pub(super) fn program(&self) -> &Compiled {
        &self.program
    }

    pub(super) fn event(&self) -> &Arc<Event> {
        &self.event
    }

    pub(super) fn version(&self) -> i64 {
        self.rule.facts.version
    }

    /// What holds wherever it acts.
    pub(super) fn predicate(&self) -> Option<&Predicate> {
        self.predicate.as_ref()
    }

    /// Whether it acts for no task whatever started it: it can only fail, and its owner is to learn of
    /// it.
    pub(super) fn never_acts(&self) -> bool {
        self.program
            .as_ref()
            .is_ok_and(|program| never_acts(program))
    }

    /// Whether it may act for a task, or fail.
    pub(super) fn may_act(&self, program: &Program, task: &Task, now: Timestamp) -> bool {
        let facts = Facts {
            task: Some(task),
            event: &self.event,
            now,
        };
        never_acts(program) || program.predicate().holds(&facts)
    }

    /// Whether nothing but a write or a threshold can change for which tasks it acts.
    pub(super) fn is_tracked(&self) -> bool {
        self.tracked.is_some()
    }

    fn windows(&self, since: Timestamp, now: Timestamp) -> Option<Vec<Window>> {
        self.tracked.as_ref()?.windows(since, now)
    }

    /// Whether it says nothing about its tasks.
    fn is_of_all(&self) -> bool {
        self.predicate.as_ref().is_none_or(Predicate::is_always)
    }
}

fn never_acts(program: &Program) -> bool {
    program.predicate().is_never()
}

impl Engine {
    /// The parts of a sweep at which nobody has looked.
    pub(super) async fn parts(
        &self,
        range: &SweepRange,
        rules: &BTreeMap<RuleId, Swept>,
        now: Timestamp,
    ) -> Result<Vec<SweepPart>> {
        if range.purpose == SweepPurpose::Note {
            return Ok(of_all(rules.values(), now));
        }
        let tracked = rules.iter().filter(|(_, swept)| swept.is_tracked());
        let marks = marks::of(&self.db, tracked.map(|(id, _)| *id)).await?;
        let (known, unknown) = by_mark(rules, &marks, now);
        let ids = known.iter().map(|(_, swept)| swept.rule.facts.id);
        let due = matches::due(&self.db, ids, range.scheduled_at).await?;
        let due: HashSet<RuleId> = due.into_iter().collect();
        let mut parts: Vec<SweepPart> = together(known)
            .into_iter()
            .map(|group| changed(&group, &due, now))
            .collect();
        let (all, some): (Vec<_>, Vec<_>) = unknown.into_iter().partition(|of| of.is_of_all());
        parts.extend(
            some.into_iter()
                .map(|swept| part([swept], Sought::Candidates, now)),
        );
        parts.extend(of_all(all.into_iter(), now));
        // Of those that can only fail, a page of any tasks is enough to show it.
        let fails = rules.values().filter(|of| of.never_acts());
        parts.extend(of_all(fails, now));
        Ok(parts)
    }
}

type Known<'a> = (Timestamp, &'a Swept);

/// Those of which it is known up to when, in that order, and the others. A mark that is to come is
/// of a clock that has gone back since, and says nothing of what was written then.
fn by_mark<'a>(
    rules: &'a BTreeMap<RuleId, Swept>,
    marks: &HashMap<RuleId, Mark>,
    now: Timestamp,
) -> (Vec<Known<'a>>, Vec<&'a Swept>) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for (id, swept) in rules {
        let is_of_use = |mark: &&Mark| {
            mark.version == swept.version()
                && mark.at <= now + sweeps::MARGIN
                && mark.at + OLDEST >= now
        };
        let mark = marks.get(id).filter(is_of_use);
        match mark {
            Some(mark) => known.push((mark.at, swept)),
            None => unknown.push(swept),
        }
    }
    known.sort_by_key(|(at, swept)| (*at, swept.rule.facts.id));
    (known, unknown)
}

fn together(known: Vec<Known<'_>>) -> Vec<Vec<Known<'_>>> {
    let mut groups: Vec<Vec<Known<'_>>> = Vec::new();
    for (at, swept) in known {
        let group = groups.last_mut();
        match group.filter(|group| group.first().is_some_and(|(of, _)| at <= *of + TOGETHER)) {
            Some(group) => group.push((at, swept)),
            None => groups.push(vec![(at, swept)]),
        }
    }
    groups
}

/// Of rules of which it is known up to when.
fn changed(group: &[Known<'_>], due: &HashSet<RuleId>, now: Timestamp) -> SweepPart {
    let oldest = group.first().map_or(now, |(at, _)| *at);
    let since = oldest.min(now) - sweeps::MARGIN;
    let rules = || group.iter().map(|(_, swept)| *swept);
    let windows = rules().filter_map(|swept| swept.windows(since, now));
    let sought = Sought::Changed {
        since,
        windows: Window::merged(windows.flatten()),
        due: rules()
            .map(|swept| swept.rule.facts.id)
            .filter(|id| due.contains(id))
            .collect(),
    };
    part(rules(), sought, now)
}

fn of_all<'a>(rules: impl Iterator<Item = &'a Swept>, now: Timestamp) -> Vec<SweepPart> {
    let part = part(rules, Sought::All, now);
    Some(part)
        .filter(|part| !part.versions.is_empty())
        .into_iter()
        .collect()
}

fn part<'a>(
    rules: impl IntoIterator<Item = &'a Swept>,
    sought: Sought,
    begun_at: Timestamp,
) -> SweepPart {
    let version = |swept: &Swept| (swept.rule.facts.id, swept.version());
    SweepPart {
        id: Default::default(),
        begun_at,
        versions: rules.into_iter().map(version).collect(),
        sought,
        after: None,
        to: None,
    }
}
