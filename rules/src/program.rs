//! A compiled script, ready to be evaluated any number of times on any thread.

use crate::evaluation::{self, Inputs, Left};
use crate::limits::Stop;
use crate::outcome::{Outcome, ScriptError, verdict};
use crate::{Candidates, Language, Limits, Need, analysis, meter};
use rhai::AST;
use smarttasks_model::predicate::Predicate;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A compiled script. Share it by `Arc`.
pub struct Program {
    language: Arc<Language>,
    ast: AST,
    uses_state: bool,
    suspends: bool,
    predicate: Arc<Predicate>,
    is_exact: bool,
    source_bytes: usize,
}

impl Program {
    pub(crate) fn new(
        language: Arc<Language>,
        source: &str,
        ast: AST,
        candidates: Candidates,
    ) -> Self {
        Self {
            predicate: Arc::new(candidates.predicate),
            is_exact: candidates.exact,
            source_bytes: source.len(),
            uses_state: analysis::mentions(&ast, "state"),
            suspends: analysis::may_wait(&ast),
            language,
            ast,
        }
    }

    /// Whether the script may read or change what its rule keeps, so that its evaluations must
    /// follow one another.
    pub fn uses_state(&self) -> bool {
        self.uses_state
    }

    /// Whether the script may wait, so that what it does must be recorded.
    pub fn suspends(&self) -> bool {
        self.suspends
    }

    /// Holds whenever an evaluation that begins a run acts, waits, changes what the rule keeps, or
    /// throws: where it does not, the script need not be evaluated.
    pub fn predicate(&self) -> &Arc<Predicate> {
        &self.predicate
    }

    /// Whether the script acts, waits or fails wherever [`predicate`](Self::predicate) holds, and what
    /// its rule keeps is nothing to it: then the predicate alone says when it acts.
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// About the bytes that it holds in memory: a syntax tree takes some 20 times as much as the
    /// text.
    pub fn held_bytes(&self) -> usize {
        size_of::<Self>() + 20 * self.source_bytes
    }

    /// The limits under which it runs.
    pub fn limits(&self) -> &Limits {
        &self.language.limits
    }

    /// Evaluates the script: a pure function of what it is given.
    ///
    /// A hostile script needs more stack than an ordinary thread has: call this on a [`Pool`].
    ///
    /// [`Pool`]: crate::Pool
    pub fn evaluate(&self, inputs: Inputs) -> Outcome {
        let Language { engine, limits, .. } = &*self.language;
        let waited = !inputs.journal.segments.is_empty();
        evaluation::begin(Arc::clone(limits), inputs, self.suspends);
        let result = catch_unwind(AssertUnwindSafe(|| engine.run_ast(&self.ast)));
        let reading = meter::finish();
        let left = evaluation::end();
        let outside = result.is_err() || matches!(reading.stop, Some(Stop::Wall | Stop::Heap));
        let error = match result {
            _ if left.need.is_some() => None,
            Ok(result) => verdict(result, &reading, left.halted.as_ref(), limits)
                .or_else(|| left.unread.clone().map(ScriptError::diverged)),
            Err(_) => Some(ScriptError::panicked()),
        };
        Outcome {
            later: waited && outside && error.is_some(),
            operations: reading.operations,
            duration: reading.duration,
            replaying: reading.replaying,
            ..outcome(left, error)
        }
    }
}

/// What is kept of what an evaluation has left.
fn outcome(left: Left, error: Option<ScriptError>) -> Outcome {
    let asks = matches!(left.need, Some(Need::Query(_)));
    let kept = error.is_none() && !asks;
    Outcome {
        actions: if kept { left.actions } else { Vec::new() },
        actions_before: left.actions_before,
        log: left.log,
        state: left.state.filter(|_| kept),
        segment: left.segment.filter(|_| kept),
        need: left.need,
        error,
        ..Outcome::default()
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}
