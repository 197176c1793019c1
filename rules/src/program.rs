//! A compiled script, ready to be evaluated any number of times on any thread.

use crate::evaluation::{self, Inputs, Left};
use crate::outcome::{Outcome, ScriptError, verdict};
use crate::{Language, Limits, Need, analysis, meter};
use rhai::AST;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A compiled script. Share it by `Arc`.
pub struct Program {
    language: Arc<Language>,
    ast: AST,
    uses_state: bool,
}

impl Program {
    pub(crate) fn new(language: Arc<Language>, ast: AST) -> Self {
        Self {
            uses_state: analysis::mentions(&ast, "state"),
            language,
            ast,
        }
    }

    /// Whether the script may read or change what its rule keeps, so that its evaluations must
    /// follow one another.
    pub fn uses_state(&self) -> bool {
        self.uses_state
    }

    /// Whether the script may wait.
    pub fn suspends(&self) -> bool {
        false
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
        let spent = inputs.spent;
        evaluation::begin(Arc::clone(limits), inputs);
        meter::start(spent);
        let result = catch_unwind(AssertUnwindSafe(|| engine.run_ast(&self.ast)));
        let reading = meter::finish();
        let Left {
            actions,
            log,
            need,
            state,
        } = evaluation::end();
        let error = match result {
            _ if need.is_some() => None,
            Ok(result) => verdict(result, &reading, limits),
            Err(_) => Some(ScriptError::panicked()),
        };
        let kept = error.is_none() && need.is_none();
        Outcome {
            actions: if kept { actions } else { Vec::new() },
            log,
            state: state.filter(|_| kept),
            error,
            need: need.map(Need::Query),
            segment: None,
            actions_before: 0,
            later: false,
            operations: reading.operations,
            duration: reading.duration,
        }
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}
