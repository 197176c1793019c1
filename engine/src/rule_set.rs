//! The rules and subscriptions of a workspace, compiled and kept until the workspace says that
//! they have changed.
//!
//! Asking for the versions of a batch's workspaces is one statement, so an engine never works
//! with a rule that has been replaced, however many engines there are.

use quick_cache::sync::Cache;
use smarttasks_bus::HandlerError;
use smarttasks_model::{
    EventPattern, EventType, ForEach, Overlap, RuleId, Trigger, User, UserId, WorkspaceId,
};
use smarttasks_rules::{Diagnostic, Pool, Program, RuleFacts, WorkspaceFacts};
use smarttasks_store::endpoints::{self, Endpoint};
use smarttasks_store::matches::Policy;
use smarttasks_store::rules::{self, Rule, Version};
use smarttasks_store::runs::{RunError, Waiting};
use smarttasks_store::workspaces::{self, Workspace};
use smarttasks_store::{Db, Result};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Workspaces whose rules are kept in memory.
const KEPT: usize = 10_000;

/// Versions of rules that are kept for runs that wait.
const PINNED: usize = 2_000;

/// A rule ready to be evaluated.
pub(crate) struct LoadedRule {
    pub(crate) facts: Arc<RuleFacts>,
    /// The program, or why this version of the language refuses the script.
    pub(crate) program: Result<Arc<Program>, RunError>,
    patterns: Vec<EventPattern>,
    /// For its sweeps.
    pub(crate) policy: Policy,
    /// Whether it has sweeps.
    pub(crate) sweeps: bool,
    overlap: Overlap,
}

/// What listens to the events of one workspace.
pub(crate) struct RuleSet {
    version: i64,
    pub(crate) workspace: Arc<WorkspaceFacts>,
    rules: Vec<Arc<LoadedRule>>,
    by_id: HashMap<RuleId, Arc<LoadedRule>>,
    /// The versions of rules of which no run is evaluated.
    pub(crate) quarantined: HashSet<(RuleId, i64)>,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    /// The members: the only people whom its scripts see.
    pub(crate) members: Arc<HashMap<UserId, User>>,
}

impl LoadedRule {
    /// What it does while another run of the same rule and task is suspended; one that never waits
    /// begins in any case.
    pub(crate) fn overlap(&self) -> Overlap {
        match &self.program {
            Ok(program) if program.suspends() => self.overlap,
            _ => Overlap::Parallel,
        }
    }

    /// Whether it has a trigger for events of this type.
    pub(crate) fn listens(&self, kind: &EventType) -> bool {
        self.patterns.iter().any(|of| of.matches(kind))
    }
}

impl RuleSet {
    /// The rules with a trigger for events of this type.
    pub(crate) fn listening(&self, kind: &EventType) -> impl Iterator<Item = &Arc<LoadedRule>> {
        self.rules.iter().filter(move |rule| rule.listens(kind))
    }

    /// The rule that an event is addressed to, while it is enabled.
    pub(crate) fn rule(&self, id: RuleId) -> Option<&Arc<LoadedRule>> {
        self.by_id.get(&id)
    }

    /// The endpoints that subscribe to events of this type.
    pub(crate) fn subscribed(&self, kind: &EventType) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.iter().filter(move |endpoint| {
            endpoint.enabled && endpoint.event_types.iter().any(|of| of.matches(kind))
        })
    }
}

/// The rule sets of the workspaces that have work.
pub(crate) struct RuleSets {
    db: Db,
    pool: Pool,
    kept: Cache<WorkspaceId, Arc<RuleSet>>,
    /// Rules as they were when runs began that wait.
    pinned: Cache<(RuleId, i64, UserId), Arc<LoadedRule>>,
}

impl RuleSets {
    pub(crate) fn new(db: Db, pool: Pool) -> Self {
        Self {
            db,
            pool,
            kept: Cache::new(KEPT),
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
                Some(kept) if kept.version == workspace.rules_version => {
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
        for (_, rule) in self.compile(rules.collect()).await? {
            let rule = Arc::new(rule);
            let version = (rule.facts.id, rule.facts.version, rule.facts.owner_id);
            self.pinned.insert(version, Arc::clone(&rule));
            found.insert(version, rule);
        }
        Ok(found)
    }

    /// The version is read before the rules: a change in between is loaded again next time.
    async fn load(
        &self,
        workspaces: Vec<Workspace>,
    ) -> Result<Vec<(WorkspaceId, Arc<RuleSet>)>, HandlerError> {
        let ids: Vec<WorkspaceId> = workspaces.iter().map(|workspace| workspace.id).collect();
        let rules = rules::enabled(&self.db, ids.iter().copied()).await?;
        let endpoints = endpoints::of_workspaces(&self.db, ids.iter().copied()).await?;
        let mut quarantined = rules::quarantined(&self.db, ids.iter().copied()).await?;
        let mut members = workspaces::members_of(&self.db, ids).await?;
        let rules = self.compile(rules).await?;
        let mut rules_of: HashMap<WorkspaceId, Vec<Arc<LoadedRule>>> = HashMap::new();
        for (workspace, rule) in rules {
            rules_of.entry(workspace).or_default().push(Arc::new(rule));
        }
        let mut endpoints_of: HashMap<WorkspaceId, Vec<Arc<Endpoint>>> = HashMap::new();
        for endpoint in endpoints {
            endpoints_of
                .entry(endpoint.workspace_id)
                .or_default()
                .push(Arc::new(endpoint));
        }
        let rule_set = |workspace: Workspace| {
            let id = workspace.id;
            let rules = rules_of.remove(&id).unwrap_or_default();
            let rule_set = RuleSet {
                version: workspace.rules_version,
                workspace: Arc::new(WorkspaceFacts {
                    id,
                    name: workspace.name,
                    timezone: workspace.timezone,
                }),
                by_id: by_id(&rules),
                rules,
                quarantined: quarantined.remove(&id).unwrap_or_default(),
                endpoints: endpoints_of.remove(&id).unwrap_or_default(),
                members: Arc::new(members.remove(&id).unwrap_or_default()),
            };
            (id, Arc::new(rule_set))
        };
        Ok(workspaces.into_iter().map(rule_set).collect())
    }

    async fn compile(
        &self,
        rules: Vec<Rule>,
    ) -> Result<Vec<(WorkspaceId, LoadedRule)>, HandlerError> {
        let (reply, compiled) = oneshot::channel();
        let language = Arc::clone(self.pool.language());
        self.pool.run(move || {
            let compiled = rules.into_iter().map(|rule| {
                let program = language.compile(&rule.spec.script).map(Arc::new);
                (rule.workspace_id, loaded(rule, program))
            });
            let _ = reply.send(compiled.collect());
        });
        compiled
            .await
            .map_err(|_| HandlerError::Failed("a compilation was lost".to_owned()))
    }
}

fn by_id(rules: &[Arc<LoadedRule>]) -> HashMap<RuleId, Arc<LoadedRule>> {
    let with_id = |rule: &Arc<LoadedRule>| (rule.facts.id, Arc::clone(rule));
    rules.iter().map(with_id).collect()
}

fn loaded(rule: Rule, program: Result<Arc<Program>, Vec<Diagnostic>>) -> LoadedRule {
    let patterns = rule
        .spec
        .triggers
        .iter()
        .filter_map(|trigger| match trigger {
            Trigger::Event(pattern) => Some(pattern.clone()),
            Trigger::Cron { .. } | Trigger::Due(_) => None,
        });
    let sweeps = |trigger: &Trigger| {
        matches!(
            trigger,
            Trigger::Cron {
                for_each: ForEach::Task,
                ..
            }
        )
    };
    LoadedRule {
        policy: Policy {
            repeat: rule.spec.repeat,
            hold: rule.spec.hold,
        },
        sweeps: rule.spec.triggers.iter().any(sweeps),
        overlap: rule.spec.overlap,
        patterns: patterns.collect(),
        program: program.map_err(|diagnostics| refused(&diagnostics)),
        facts: Arc::new(RuleFacts {
            id: rule.id,
            name: rule.spec.name,
            version: rule.version,
            owner_id: rule.author_id,
        }),
    }
}

/// A script was accepted when it was saved; another version of the language may see it otherwise.
fn refused(diagnostics: &[Diagnostic]) -> RunError {
    let first = diagnostics.first();
    RunError {
        message: first.map_or_else(
            || "the script does not compile".to_owned(),
            |first| format!("the script does not compile: {}", first.message),
        ),
        line: first.and_then(|first| first.line),
        column: first.and_then(|first| first.column),
    }
}
