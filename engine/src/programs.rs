//! Compiled scripts: made when they are needed, shared by rules whose scripts are the same, and kept
//! within a bound, so that a rule at rest costs no more than what is known of it.

use crate::rule_set::LoadedRule;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use smarttasks_bus::HandlerError;
use smarttasks_rules::{Diagnostic, Language, Pool, Program};
use smarttasks_store::Db;
use smarttasks_store::rules;
use smarttasks_store::runs::RunError;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Bytes of compiled scripts that are kept.
const KEPT_BYTES: u64 = 128 * 1024 * 1024;
/// How many those are, about.
const KEPT: usize = 20_000;
/// Scripts that are handed over to the pool together.
const TOGETHER: usize = 256;
/// How often at once: the pool has others to serve, too.
const HAND_OVERS: usize = 4;

/// Tells a script from others: its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Script([u8; 32]);

impl Script {
    pub(crate) fn of(source: &str) -> Self {
        Self(Sha256::digest(source).into())
    }
}

/// A program, or why this version of the language refuses the script.
pub(crate) type Compiled = Result<Arc<Program>, RunError>;

#[derive(Clone)]
struct Bytes;

impl Weighter<Script, Compiled> for Bytes {
    fn weight(&self, _: &Script, compiled: &Compiled) -> u64 {
        let bytes = match compiled {
            Ok(program) => program.held_bytes(),
            Err(error) => error.message.len(),
        };
        (size_of::<Script>() + size_of::<Compiled>() + bytes) as u64
    }
}

/// The programs of rules.
pub(crate) struct Programs {
    db: Db,
    pool: Pool,
    kept: Arc<Cache<Script, Compiled, Bytes>>,
}

/// The programs of some rules.
pub(crate) struct Ready(HashMap<Script, Compiled>);

impl Ready {
    /// The program of one of the rules. None when the rule has gone meanwhile, with all of its
    /// versions.
    pub(crate) fn of(&self, rule: &LoadedRule) -> Option<&Compiled> {
        self.0.get(&rule.script)
    }
}

impl Programs {
    pub(crate) fn new(db: Db, pool: Pool) -> Self {
        Self {
            db,
            pool,
            kept: Arc::new(Cache::with_weighter(KEPT, KEPT_BYTES, Bytes)),
        }
    }

    /// Those of these rules: from memory, or compiled from what the store has of their versions.
    pub(crate) async fn of(
        &self,
        rules: impl Iterator<Item = &Arc<LoadedRule>>,
    ) -> Result<Ready, HandlerError> {
        let (mut ready, mut missing) = (HashMap::new(), HashSet::new());
        for rule in rules {
            if ready.contains_key(&rule.script) {
                continue;
            }
            match self.kept.get(&rule.script) {
                Some(compiled) => drop(ready.insert(rule.script, compiled)),
                // Every one, though they be the same: another may be deleted just now.
                None => drop(missing.insert((rule.facts.id, rule.facts.version))),
            }
        }
        if !missing.is_empty() {
            let found = rules::pinned(&self.db, missing).await?;
            let scripts: HashSet<String> = found
                .into_iter()
                .map(|version| version.spec.script)
                .collect();
            let scripts = scripts.into_iter();
            let kept = Arc::clone(&self.kept);
            let compiled = each(&self.pool, scripts.collect(), move |language, source| {
                let script = Script::of(&source);
                (script, kept_or_compiled(&kept, language, script, &source))
            });
            ready.extend(compiled.await?);
        }
        Ok(Ready(ready))
    }

    /// Something of each program of these scripts, which need not be kept.
    pub(crate) async fn each<T: Send + 'static, U: Send + 'static>(
        &self,
        scripts: Vec<T>,
        source: fn(&T) -> &str,
        made: fn(T, Script, &Compiled) -> U,
    ) -> Result<Vec<U>, HandlerError> {
        let kept = Arc::clone(&self.kept);
        each(&self.pool, scripts, move |language, of| {
            let script = Script::of(source(&of));
            let compiled = kept_or_compiled(&kept, language, script, source(&of));
            made(of, script, &compiled)
        })
        .await
    }
}

/// What a pool makes of each, in the same order.
async fn each<T: Send + 'static, U: Send + 'static>(
    pool: &Pool,
    all: Vec<T>,
    make: impl Fn(&Arc<Language>, T) -> U + Clone + Send + 'static,
) -> Result<Vec<U>, HandlerError> {
    let mut all = all.into_iter().peekable();
    let (mut under_way, mut made) = (VecDeque::new(), Vec::new());
    loop {
        while all.peek().is_some() && under_way.len() < HAND_OVERS {
            let part: Vec<T> = all.by_ref().take(TOGETHER).collect();
            let (reply, part_made) = oneshot::channel();
            let (language, make) = (Arc::clone(pool.language()), make.clone());
            pool.run(move || {
                let made = part.into_iter().map(|one| make(&language, one));
                let _ = reply.send(made.collect::<Vec<U>>());
            });
            under_way.push_back(part_made);
        }
        let Some(part) = under_way.pop_front() else {
            return Ok(made);
        };
        let part = part.await;
        made.extend(part.map_err(|_| HandlerError::Failed("a compilation was lost".to_owned()))?);
    }
}

fn kept_or_compiled(
    kept: &Cache<Script, Compiled, Bytes>,
    language: &Arc<Language>,
    script: Script,
    source: &str,
) -> Compiled {
    if let Some(compiled) = kept.get(&script) {
        return compiled;
    }
    let compiled = language.compile(source).map(Arc::new);
    let compiled = compiled.map_err(|diagnostics| refused(&diagnostics));
    kept.insert(script, compiled.clone());
    compiled
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
