//! The rule language: compile, analyse, evaluate; cron expressions; the library of rules.
//!
//! Everything here is pure: a [`Program`] and its [`Inputs`] give an [`Outcome`], and nothing
//! is read or done on the way. Scripts are written by strangers, so the other purpose of this
//! crate is the sandbox in which they run: see [`Limits`] and [`Pool`].

mod action;
mod analysis;
mod cron;
mod diagnostic;
mod evaluation;
mod journal;
mod language;
mod library;
mod limits;
mod meter;
mod native;
mod nearest;
mod outcome;
mod pool;
mod program;
mod query;
mod rule_file;
mod rule_test;
#[cfg(feature = "samples")]
pub mod samples;
mod simulation;
mod source;
mod spec;
mod trace;
mod waiting;
mod words;
mod world;

pub use action::Action;
pub use analysis::{Analysis, Candidates, Reference, Unclear};
pub use cron::{CronError, CronExpression};
pub use diagnostic::{Diagnostic, Severity};
pub use evaluation::{Inputs, RuleFacts, WorkspaceFacts};
pub use journal::{Entry, HttpRequest, Journal, Need, Segment, Wait};
pub use language::Language;
pub use library::{LibraryRule, library};
pub use limits::Limits;
pub use native::Native;
pub use outcome::{Outcome, ScriptError};
pub use pool::Pool;
pub use program::Program;
pub use query::{Answer, Query};
pub use rule_file::{
    Place, RuleFileError, header_fields, header_place, parse_rule_file, rule_file, script_body,
};
pub use rule_test::{RuleTestError, RuleTests, TestResult};
pub use simulation::{
    Circumstances, Coming, GivenAnswers, GivenDecision, GivenEvent, GivenResponse, GivenVerdict,
    Moment, Simulation, Step, Timeline,
};
pub use spec::check_rule;
pub use trace::{Guard, GuardPart, Operand, Traced, Tracer};
pub use words::{Parameter, Word, WordKind, reference};
