//! A compiled script, ready to be evaluated any number of times on any thread.

use crate::evaluation::{self, Inputs};
use crate::outcome::{Outcome, ScriptError, verdict};
use crate::{Language, meter};
use rhai::AST;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A compiled script. Share it by `Arc`.
pub struct Program {
    language: Arc<Language>,
    ast: AST,
}

impl Program {
    pub(crate) fn new(language: Arc<Language>, ast: AST) -> Self {
        Self { language, ast }
    }

    /// Evaluates the script: a pure function of what it is given.
    ///
    /// A hostile script needs more stack than an ordinary thread has: call this on a [`Pool`].
    ///
    /// [`Pool`]: crate::Pool
    pub fn evaluate(&self, inputs: Inputs) -> Outcome {
        let Language { engine, limits, .. } = &*self.language;
        evaluation::begin(Arc::clone(limits), inputs);
        meter::start();
        let result = catch_unwind(AssertUnwindSafe(|| engine.run_ast(&self.ast)));
        let reading = meter::finish();
        let (actions, log) = evaluation::end();
        let error = match result {
            Ok(result) => verdict(result, &reading, limits),
            Err(_) => Some(ScriptError::panicked()),
        };
        Outcome {
            actions: if error.is_none() { actions } else { Vec::new() },
            log,
            error,
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
