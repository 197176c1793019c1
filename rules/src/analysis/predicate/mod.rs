//! When a script may act, as a predicate: without running it, an index over rules and a database can
//! tell for which events and tasks it need not be run.
//!
//! What is found holds whenever the first act of a script is reached: an action, a wait, a change of
//! what the rule keeps, or a `throw`. It may hold where none is, never the other way round. So every condition
//! is a pair: when it may be true, and when it may be false. Of one that is not understood both are
//! "always", and negation only swaps the two. Up to the first act a script changes nothing outside
//! itself: `task`, `event` and `now()` are what they were when it began.
//!
//! A condition that fails goes on in neither way. Only `catch` goes on from there, and is therefore
//! reached whenever its `try` is.

mod acts;
mod calls;
mod compare;
mod flow;
mod names;
mod read;
mod switch;
mod times;
mod unclear;
mod value;

use crate::Language;
use acts::Acts;
use names::Names;
use rhai::AST;
use smarttasks_model::predicate::Predicate;
pub use unclear::Unclear;
use value::Value;

/// When a script may act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates {
    /// Holds whenever the script acts, waits, changes what its rule keeps, or throws.
    pub predicate: Predicate,
    /// Whether the script acts or fails wherever the predicate holds, as far as is known: what keeps
    /// something for later is not counted among these.
    pub exact: bool,
    /// The conditions that are not understood, in the order of the script; the first of very many.
    pub unclear: Vec<Unclear>,
}

impl Default for Candidates {
    /// Of what cannot be read.
    fn default() -> Self {
        Self {
            predicate: Predicate::ALWAYS,
            exact: false,
            unclear: Vec::new(),
        }
    }
}

/// Most steps of work on one script: nodes, and the squares of the sizes of what is put together.
/// A script that would take more may always act.
const MOST_WORK: usize = 100_000;

pub(crate) fn candidates(language: &Language, source: &str, ast: &AST) -> Candidates {
    let acts = Acts::of(ast);
    let names = Names::of(ast, &acts);
    let mut walk = Walk {
        language,
        source: source.strip_prefix('\u{feff}').unwrap_or(source),
        acts: &acts,
        names: &names,
        locals: Vec::new(),
        flow: Flow::BEGIN,
        unclear: Vec::new(),
        work: 0,
        loops: 0,
    };
    walk.statements(ast.statements());
    if walk.work > MOST_WORK {
        return Candidates {
            predicate: Predicate::ALWAYS,
            exact: false,
            unclear: vec![Unclear::too_long()],
        };
    }
    let exact = walk.is_exact() && walk.work <= MOST_WORK;
    Candidates {
        predicate: walk.flow.acts,
        exact,
        unclear: walk.unclear,
    }
}

/// The walk through the top level of a script.
struct Walk<'a> {
    language: &'a Language,
    source: &'a str,
    acts: &'a Acts,
    names: &'a Names,
    /// The variables in scope, the innermost last.
    locals: Vec<(String, Value)>,
    /// Since the beginning of the part that is walked through.
    flow: Flow,
    unclear: Vec<Unclear>,
    work: usize,
    /// How many loops this is in.
    loops: usize,
}

impl Walk<'_> {
    /// Whether the script surely acts where it may: where it may also end without, it does not.
    /// Both are known to hold at least where that is so, hence nowhere else when they have nothing in
    /// common.
    fn is_exact(&mut self) -> bool {
        let (ends, next) = (self.flow.ends.clone(), self.flow.next.clone());
        let idle = self.either(&ends, &next);
        let acts = self.flow.acts.clone();
        !self.acts.keeps() && (idle == acts.negate() || self.both(&acts, &idle).is_never())
    }
}

/// When the ends of a part of a script are reached, given that the part is.
#[derive(Clone)]
struct Flow {
    /// An act.
    acts: Predicate,
    /// The end of the script, without one.
    ends: Predicate,
    /// What follows.
    next: Predicate,
    /// A `break` of the loop round it.
    breaks: Predicate,
    /// A `continue` of the loop round it.
    continues: Predicate,
}

impl Flow {
    const BEGIN: Self = Self {
        acts: Predicate::NEVER,
        ends: Predicate::NEVER,
        next: Predicate::ALWAYS,
        breaks: Predicate::NEVER,
        continues: Predicate::NEVER,
    };

    /// Whether it simply goes on.
    fn is_plain(&self) -> bool {
        self.next.is_always() && self.never_leaves()
    }

    fn never_leaves(&self) -> bool {
        self.acts.is_never()
            && self.ends.is_never()
            && self.breaks.is_never()
            && self.continues.is_never()
    }
}
