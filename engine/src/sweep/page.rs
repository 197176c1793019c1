//! What a page of a sweep leads to, decided upon the matches as they are now and written.

use super::parts::Swept;
use super::{Page, Seen};
use crate::apply::perform_all;
use crate::run::PlannedRun;
use serde_json::{Map, json};
use smarttasks_model::{
    ChangeId, Event, EventData, EventId, EventType, RuleId, RunId, Snapshot, SweepPurpose, TaskId,
    Timestamp, derive_id,
};
use smarttasks_store::matches::{self, Change, Match, Pair};
use smarttasks_store::sweeps::Standing;
use smarttasks_store::sweeps::marks::{self, Told};
use smarttasks_store::{Error, Result, Tx, rules, sweeps, tasks};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The matches that change, by how.
#[derive(Default)]
struct Changes<'a> {
    begun: Vec<(Pair, Match)>,
    changed: Vec<(Pair, Match)>,
    ended: Vec<Pair>,
    /// The runs to be done, and how their matches stand then.
    runs: Vec<PlannedRun>,
    fired: Vec<(&'a PlannedRun, Pair, Match, bool)>,
    told: Vec<Pair>,
    /// The rules of which a match is not what was seen after all.
    unknown: BTreeSet<RuleId>,
}

/// What has not been deleted since it was read.
struct Present {
    rules: HashSet<RuleId>,
    tasks: HashSet<TaskId>,
}

impl Present {
    fn has(&self, seen: &Seen) -> bool {
        match seen {
            Seen::Match((rule, task), ..) => self.rules.contains(rule) && self.tasks.contains(task),
            Seen::Run(planned) => self.rules.contains(&planned.run.rule_id),
        }
    }
}

impl Seen {
    fn pair(&self) -> Option<Pair> {
        match self {
            Self::Match(pair, ..) => Some(*pair),
            Self::Run(_) => None,
        }
    }
}

impl Page {
    /// The rules and tasks of this page that are there still, and stay so until the commit.
    async fn present(&self, tx: &Tx) -> Result<Present> {
        let workspace = self.range.workspace_id;
        let tasks = self.seen.iter().filter_map(Seen::pair).map(|pair| pair.1);
        Ok(Present {
            rules: rules::hold(tx, workspace, self.rules.keys().copied()).await?,
            tasks: tasks::hold_all(tx, workspace, tasks).await?,
        })
    }

    /// Writes what the page leads to, unless it was looked at before.
    pub(super) async fn write(&self, tx: &mut Tx, cautious: bool) -> Result<()> {
        let Some(standing) = sweeps::finish(tx, &self.range).await? else {
            return Ok(());
        };
        let rest = self.rest.iter().cloned().enumerate();
        let rest = rest.map(|(number, part)| self.range.leave(number, part));
        // Nothing may fire for what is still to be noted, however late that is.
        let fires = self.range.purpose == SweepPurpose::Fire;
        let left = if fires { standing } else { Standing::Awaited };
        sweeps::leave(tx, rest, left).await?;
        let mut unknown = self.unknown.clone();
        if !self.seen.is_empty() {
            unknown.extend(self.write_seen(tx, cautious).await?);
        }
        match &self.part {
            // Later sweeps may have said since what they know.
            Some(part) if fires && standing == Standing::Awaited => {
                let told = self.told(part.begun_at, unknown);
                marks::tell(tx, &self.range, &told).await
            }
            _ => Ok(()),
        }
    }

    /// Of which rules it is known now what matches, and of which not.
    fn told(&self, begun_at: Timestamp, unknown: BTreeSet<RuleId>) -> Told {
        let tracked = self.rules.iter().filter(|(_, swept)| swept.is_tracked());
        let known = tracked
            .filter(|(id, _)| !unknown.contains(id))
            .map(|(id, swept)| (*id, swept.version()));
        let known = known.collect();
        let is_tracked = |id: &RuleId| self.rules.get(id).is_none_or(Swept::is_tracked);
        Told {
            begun_at,
            known,
            unknown: unknown.into_iter().filter(is_tracked).collect(),
        }
    }

    /// Writes what was seen; the rules of which a match is not what was seen after all.
    async fn write_seen(&self, tx: &mut Tx, cautious: bool) -> Result<BTreeSet<RuleId>> {
        let present = self.present(tx).await?;
        let pairs = self.seen.iter().filter_map(Seen::pair);
        let now_known = matches::lock(tx, pairs).await?;
        let mut changes = self.changes(&now_known, &present)?;
        let runs = std::mem::take(&mut changes.runs);
        let succeeded = perform_all(tx, &runs, &self.versions, cautious).await?;
        for (planned, pair, found, new) in std::mem::take(&mut changes.fired) {
            if !succeeded.contains(&planned.run.id) {
                // A match that there was stands as it did.
                changes.unknown.extend(new.then_some(pair.0));
                continue;
            }
            if new {
                changes.begun.push((pair, found));
            } else {
                changes.changed.push((pair, found));
            }
            let first = now_known.get(&pair).is_none_or(|of| of.fired_at.is_none());
            if first {
                self.raise(tx, "rule.matched", pair, planned.run.id)?;
            }
        }
        for pair in &changes.told {
            let key = derive_id(
                self.range.scheduled_at,
                &[pair.0.as_bytes(), pair.1.as_bytes()],
            );
            self.raise(tx, "rule.resolved", *pair, RunId(key))?;
        }
        for (pair, found) in changes.begun {
            matches::begin(tx, self.range.workspace_id, pair, found);
        }
        matches::change(tx, self.range.workspace_id, changes.changed).await?;
        matches::end(tx, changes.ended).await?;
        Ok(changes.unknown)
    }

    /// What is to be done, decided upon the matches as they are now.
    /// Should a run that keeps something not fire after all, others have gone on from what is not
    /// kept, and it has to be looked at again.
    fn changes(&self, known: &HashMap<Pair, Match>, present: &Present) -> Result<Changes<'_>> {
        let mut changes = Changes::default();
        for seen in self.seen.iter().filter(|seen| present.has(seen)) {
            let (pair, matches, planned) = match seen {
                Seen::Match(pair, matches, planned) => (*pair, *matches, planned.as_ref()),
                Seen::Run(run) => {
                    changes.runs.push(run.clone());
                    continue;
                }
            };
            let before = known.get(&pair);
            let change = self.change(before, pair.0, matches);
            if let (Change::Fire(found), Some(planned)) = (change, planned) {
                changes.runs.push(planned.clone());
                changes.fired.push((planned, pair, found, before.is_none()));
                continue;
            }
            if planned.is_some_and(|planned| planned.state.is_some()) {
                return Err(Error::Overtaken);
            }
            match change {
                Change::Begin(found) | Change::Await(found) if before.is_some() => {
                    changes.changed.push((pair, found));
                }
                Change::Begin(found) if planned.is_some() => changes.begun.push((pair, found)),
                Change::End { told } => {
                    changes.ended.push(pair);
                    changes.told.extend(told.then_some(pair));
                }
                Change::Stay => {}
                // Another has ended it meanwhile, and the script was not asked.
                Change::Fire(_) | Change::Begin(_) | Change::Await(_) => {
                    changes.unknown.insert(pair.0);
                }
            }
        }
        Ok(changes)
    }

    /// Tells that a match began or ended.
    fn raise(
        &self,
        tx: &mut Tx,
        kind: &'static str,
        (rule, task): Pair,
        cause: RunId,
    ) -> Result<()> {
        let now = tx.now();
        let key = derive_id(now, &[kind.as_bytes(), cause.as_bytes()]);
        let name = self.rules.get(&rule);
        let name = name.map(|swept| swept.rule().facts.name.clone());
        let mut more = Map::new();
        more.insert("rule".to_owned(), json!({ "id": rule, "name": name }));
        more.insert("scheduled_at".to_owned(), json!(self.range.scheduled_at));
        tx.raise(Event {
            id: EventId(key),
            workspace_id: self.range.workspace_id,
            kind: EventType::system(kind),
            task_id: Some(task),
            time: now,
            traceparent: None,
            change: ChangeId(key),
            depth: 1,
            actor_id: None,
            rule_id: None,
            data: EventData::System(Box::new(Snapshot {
                task: self.tasks.get(&task).map(|task| (**task).clone()),
                more,
                ..Snapshot::default()
            })),
        })
    }
}
