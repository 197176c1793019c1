//! The rules and subscriptions of a workspace, kept until the workspace says that they have changed.
//!
//! Asking for the versions of a batch's workspaces is one statement, so an engine never works
//! with a rule that has been replaced, however many engines there are.

use crate::programs::{Compiled, Programs, Script};
use crate::rule_index::RuleIndex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use smarttasks_bus::HandlerError;
use smarttasks_model::predicate::{Facts, Predicate};
use smarttasks_model::{
    Event, EventPattern, EventType, Overlap, RuleId, Trigger, User, UserId, WorkspaceId,
};
use smarttasks_rules::{Pool, RuleFacts, WorkspaceFacts};
use smarttasks_store::endpoints::{self, Endpoint};
use smarttasks_store::matches::Policy;
use smarttasks_store::rules::{self, Between, Rule, Version};
use smarttasks_store::runs::Waiting;
use smarttasks_store::workspaces::{self, Workspace};
use smarttasks_store::{Db, Result};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// Rules that are kept in memory, about two kilobytes each.
const KEPT_RULES: u64 = 2_000_000;
/// Of how many workspaces, about.
const KEPT: usize = 20_000;
/// In so many parts, each with its share of the rules.
const SHARDS: usize = 4;
/// What a workspace counts for besides its rules, and the most that it counts for: so that its part
/// has room for it whatever its size.
const WEIGHTS: (u64, u64) = (10, KEPT_RULES / (2 * SHARDS as u64));

/// Versions of rules that are kept for runs that wait.
const PINNED: usize = 2_000;

/// What is known of a rule without its program.
pub(crate) struct LoadedRule {
    pub(crate) facts: Arc<RuleFacts>,
    /// Which script is its own.
    pub(crate) script: Script,
    /// Whether the script may read or change what the rule keeps.
    pub(crate) uses_state: bool,
    /// What it does while another run of the same rule and task is suspended; one that never waits
    /// begins in any case.
    pub(crate) overlap: Overlap,
    /// For its sweeps.
    pub(crate) policy: Policy,
    /// Whether it has sweeps.
    pub(crate) sweeps: bool,
}

/// What listens to the events of one workspace.
pub(crate) struct RuleSet {
    version: i64,
    pub(crate) workspace: Arc<WorkspaceFacts>,
    rules: Arc<Rules>,
    weight: u64,
    /// The versions of rules of which no run is evaluated.
    pub(crate) quarantined: HashSet<(RuleId, i64)>,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    /// The members: the only people whom its scripts see.
    pub(crate) members: Arc<HashMap<UserId, User>>,
}

impl RuleSet {
    /// The rules that listen to an event and may act on it, in the order of their ids.
    pub(crate) fn concerned(&self, facts: &Facts<'_>) -> Vec<Arc<LoadedRule>> {
        let rules = self.rules.read();
        let candidates = rules.index.candidates(facts);
        metrics::counter!("smarttasks_rule_predicates_total", "outcome" => "may_match")
            .increment(candidates.rules.len() as u64);
        metrics::counter!("smarttasks_rule_predicates_total", "outcome" => "cannot_match")
            .increment((candidates.asked - candidates.rules.len()) as u64);
        candidates.rules.into_iter().cloned().collect()
    }

    /// Whether any rule may listen to an event.
    pub(crate) fn is_listened_to(&self, event: &Event) -> bool {
        event.rule_id.is_some() || self.rules.read().index.is_listened_to(&event.kind)
    }

    /// The rule that an event is addressed to, while it is enabled and, unless such events are for
    /// one rule anyway, listens.
    pub(crate) fn addressed(&self, id: RuleId, kind: &EventType) -> Option<Arc<LoadedRule>> {
        let listens = kind.is_addressed() || self.rules.read().index.listens(id, kind);
        self.rule(id).filter(|_| listens)
    }

    /// The rule with an id, while it is enabled.
    pub(crate) fn rule(&self, id: RuleId) -> Option<Arc<LoadedRule>> {
        self.rules.read().index.get(id).cloned()
    }

    /// The endpoints that subscribe to events of this type.
    pub(crate) fn subscribed(&self, kind: &EventType) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.iter().filter(move |endpoint| {
            endpoint.enabled && endpoint.event_types.iter().any(|of| of.matches(kind))
        })
    }
}

/// A rule set counts for as many as it had rules when it was made: the cache wants that to stay.
#[derive(Clone)]
struct Size;

impl Weighter<WorkspaceId, Arc<RuleSet>> for Size {
    fn weight(&self, _: &WorkspaceId, set: &Arc<RuleSet>) -> u64 {
        set.weight
    }
}

#[expect(
    clippy::expect_used,
    reason = "building fails only where an option is missing"
)]
fn kept() -> Cache<WorkspaceId, Arc<RuleSet>, Size> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(KEPT)
        .weight_capacity(KEPT_RULES)
        .shards(SHARDS)
        .build()
        .expect("all that is needed is set");
    Cache::with_options(
        options,
        Size,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

/// The rule sets of the workspaces that have work.
pub(crate) struct RuleSets {
    db: Db,
    pub(crate) programs: Programs,
    kept: Cache<WorkspaceId, Arc<RuleSet>, Size>,
    /// Rules as they were when runs began that wait.
    pinned: Cache<(RuleId, i64, UserId), Arc<LoadedRule>>,
}

impl RuleSets {
    pub(crate) fn new(db: Db, pool: Pool) -> Self {
        Self {
            programs: Programs::new(db.clone(), pool),
            db,
            kept: kept(),
            pinned: Cache::new(PINNED),
        }
    }

    /// The present rule sets of these workspaces; one that no longer exists has none.
    pub(crate) async fn of(
        &self,
        ids: impl Iterator<Item = WorkspaceId>,
    ) -> Result<HashMap<WorkspaceId, Arc<RuleSet>>, HandlerError> {
        let ids: HashSet<WorkspaceId> = ids.collect();
        let mut found = HashMap::with_capacity(ids.len());
        let mut changed = Vec::new();
        for (id, workspace) in workspaces::by_ids(&self.db, ids).await? {
            match self.kept.get(&id) {
                // Another batch may know of a later one.
                Some(kept) if kept.version >= workspace.rules_version => {
                    drop(found.insert(id, kept))
                }
                _ => changed.push(workspace),
            }
        }
        if !changed.is_empty() {
            for (id, loaded) in self.load(changed).await? {
                self.kept.insert(id, Arc::clone(&loaded));
                found.insert(id, loaded);
            }
        }
        Ok(found)
    }

    /// The rules of these runs as they were when they began, though they may have been changed or
    /// deleted since.
    pub(crate) async fn pinned(
        &self,
        runs: impl Iterator<Item = &Waiting>,
    ) -> Result<HashMap<(RuleId, i64, UserId), Arc<LoadedRule>>, HandlerError> {
        let (mut found, mut missing) = (HashMap::new(), HashSet::new());
        for waiting in runs {
            let version = waiting.rule();
            match self.pinned.get(&version) {
                Some(rule) => drop(found.insert(version, rule)),
                None => drop(missing.insert(version)),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let wanted: HashSet<_> = missing.iter().map(|(rule, of, _)| (*rule, *of)).collect();
        let versions = rules::pinned(&self.db, wanted).await?;
        let rules = missing.iter().filter_map(|(rule, number, owner)| {
            let is = |of: &&Version| of.rule_id == *rule && of.version == *number;
            Some(versions.iter().find(is)?.clone().into_rule(*owner))
        });
        for known in self.known(rules.collect()).await? {
            let rule = Arc::new(known.rule);
            let version = (rule.facts.id, rule.facts.version, rule.facts.owner_id);
            self.pinned.insert(version, Arc::clone(&rule));
            found.insert(version, rule);
        }
        Ok(found)
    }

    /// The version is read before the rules: a change in between is loaded again next time. Of a
    /// workspace whose rules are kept only those are read that have changed.
    async fn load(
        &self,
        workspaces: Vec<Workspace>,
    ) -> Result<Vec<(WorkspaceId, Arc<RuleSet>)>, HandlerError> {
        let ids: Vec<WorkspaceId> = workspaces.iter().map(|workspace| workspace.id).collect();
        let kept: HashMap<WorkspaceId, Arc<RuleSet>> = ids
            .iter()
            .filter_map(|id| Some((*id, self.kept.get(id)?)))
            .collect();
        let changed = rules::changed(&self.db, behind(&workspaces, &kept)).await?;
        let anew = ids.iter().filter(|id| !changed.contains_key(id)).copied();
        let mut rules = rules::enabled(&self.db, anew).await?;
        let ids_changed = changed.values().flatten().copied();
        rules.extend(rules::enabled_of(&self.db, ids_changed).await?);
        let endpoints = endpoints::of_workspaces(&self.db, ids.iter().copied()).await?;
        let mut quarantined = rules::quarantined(&self.db, ids.iter().copied()).await?;
        let mut members = workspaces::members_of(&self.db, ids).await?;
        let mut rules_of: HashMap<WorkspaceId, Vec<Known>> = HashMap::new();
        for known in self.known(rules).await? {
            rules_of.entry(known.workspace).or_default().push(known);
        }
        let mut endpoints_of: HashMap<WorkspaceId, Vec<Arc<Endpoint>>> = HashMap::new();
        for endpoint in endpoints {
            endpoints_of
                .entry(endpoint.workspace_id)
                .or_default()
                .push(Arc::new(endpoint));
        }
        let mut loaded = Vec::with_capacity(workspaces.len());
        for workspace in workspaces {
            let (id, version) = (workspace.id, workspace.rules_version);
            let known = rules_of.remove(&id).unwrap_or_default();
            let changed = kept.get(&id).zip(changed.get(&id));
            let rules = match changed {
                Some((kept, changed)) => {
                    kept.rules.exchange(version, changed, known);
                    Arc::clone(&kept.rules)
                }
                None => Arc::new(Rules::load(version, known).await?),
            };
            let (besides, most) = WEIGHTS;
            let weight = most.min(besides + rules.count());
            let rule_set = RuleSet {
                version,
                rules,
                weight,
                workspace: Arc::new(WorkspaceFacts {
                    id,
                    name: workspace.name,
                    timezone: workspace.timezone,
                }),
                quarantined: quarantined.remove(&id).unwrap_or_default(),
                endpoints: endpoints_of.remove(&id).unwrap_or_default(),
                members: Arc::new(members.remove(&id).unwrap_or_default()),
            };
            loaded.push((id, Arc::new(rule_set)));
        }
        Ok(loaded)
    }

    async fn known(&self, rules: Vec<Rule>) -> Result<Vec<Known>, HandlerError> {
        self.programs
            .each(rules, |rule| &rule.spec.script, known)
            .await
    }
}

/// A rule and what the index is to know of it.
struct Known {
    workspace: WorkspaceId,
    rule: LoadedRule,
    patterns: Vec<EventPattern>,
    predicate: Arc<Predicate>,
}

/// The rules of a workspace, shared by all rule sets of it that are in use: who has an earlier one
/// sees what has changed since as well.
struct Rules(RwLock<Versioned>);

struct Versioned {
    /// No rule here is older than it was in this version.
    version: i64,
    index: RuleIndex<Arc<LoadedRule>>,
}

impl Rules {
    /// Beside what goes on: there may be a hundred thousand.
    async fn load(version: i64, rules: Vec<Known>) -> Result<Self, HandlerError> {
        let filing = tokio::task::spawn_blocking(move || {
            let mut index = RuleIndex::default();
            rules.into_iter().for_each(|known| known.add_to(&mut index));
            index
        });
        let index = filing
            .await
            .map_err(|error| HandlerError::Failed(format!("rules could not be filed: {error}")))?;
        Ok(Self(RwLock::new(Versioned { version, index })))
    }

    fn count(&self) -> u64 {
        self.read().index.len() as u64
    }

    fn read(&self) -> RwLockReadGuard<'_, Versioned> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exchanges the rules that have changed up to a version for what was read of them since, unless
    /// another batch has done so meanwhile.
    fn exchange(&self, version: i64, changed: &HashSet<RuleId>, rules: Vec<Known>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.version >= version {
            return;
        }
        for id in changed {
            all.index.remove(*id);
        }
        for known in rules {
            known.add_to(&mut all.index);
        }
        all.version = version;
    }
}

impl Known {
    fn add_to(self, index: &mut RuleIndex<Arc<LoadedRule>>) {
        let (id, rule) = (self.rule.facts.id, Arc::new(self.rule));
        index.insert(id, &self.patterns, self.predicate, rule);
    }
}

/// By how much what is kept of workspaces is behind.
fn behind(
    workspaces: &[Workspace],
    kept: &HashMap<WorkspaceId, Arc<RuleSet>>,
) -> impl Iterator<Item = Between> {
    workspaces.iter().filter_map(|workspace| {
        Some(Between {
            workspace_id: workspace.id,
            after: kept.get(&workspace.id)?.version,
            to: workspace.rules_version,
        })
    })
}

fn known(rule: Rule, script: Script, compiled: &Compiled) -> Known {
    let patterns = rule
        .spec
        .triggers
        .iter()
        .filter_map(|trigger| match trigger {
            Trigger::Event(pattern) => Some(pattern.clone()),
            Trigger::Cron { .. } | Trigger::Due(_) => None,
        });
    let program = compiled.as_ref().ok();
    let loaded = LoadedRule {
        script,
        uses_state: program.is_some_and(|program| program.uses_state()),
        overlap: match program {
            Some(program) if program.suspends() => rule.spec.overlap,
            _ => Overlap::Parallel,
        },
        policy: Policy {
            repeat: rule.spec.repeat,
            hold: rule.spec.hold,
        },
        sweeps: rule.spec.triggers.iter().any(Trigger::is_sweep),
        facts: Arc::new(RuleFacts {
            id: rule.id,
            name: rule.spec.name,
            version: rule.version,
            owner_id: rule.author_id,
        }),
    };
    Known {
        workspace: rule.workspace_id,
        rule: loaded,
        patterns: patterns.collect(),
        // One that is refused fails whatever the event is, and one that never acts can only fail:
        // its owner is to learn of it.
        predicate: program
            .map(|program| program.predicate())
            .filter(|predicate| !predicate.is_never())
            .map_or_else(|| Arc::new(Predicate::ALWAYS), Arc::clone),
    }
}
