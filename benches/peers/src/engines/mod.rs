//! The engines that are compared, each in the form in which it is fastest: rules compiled once, what
//! can be used again used again, and times given as numbers.

mod a_tree;
mod cel;
mod ours;
mod rhai;
mod zen;

pub use a_tree::ATree;
pub use cel::Cel;
pub use ours::{Acting, Matching};
pub use rhai::Rhai;
pub use zen::Zen;

use crate::task::rank;
use smarttasks_benches::Failure;
use smarttasks_benches::rules::{Case, Condition};
use smarttasks_model::Timestamp;

/// An engine with the rules of a case.
pub trait Engine: Sized {
    /// What it is called in the table.
    const NAME: &'static str;

    /// Takes so many rules of a case.
    ///
    /// # Errors
    /// It does not read one.
    fn load(case: &Case, count: usize, now: Timestamp) -> Result<Self, Failure>;

    /// How many rules an event matches.
    ///
    /// # Errors
    /// The event cannot be read, or a rule not be evaluated.
    fn matching(&mut self, event: &str) -> Result<usize, Failure>;
}

/// How a language says what rules ask.
struct Dialect {
    and: &'static str,
    or: &'static str,
    is: &'static str,
    is_not: &'static str,
    /// Whether a name is one of some texts, which are given in brackets.
    one_of: fn(&str, &str) -> String,
    /// Whether the tags hold a text, which is given in quotes.
    has_tag: fn(&str) -> String,
}

/// As Rhai and the Common Expression Language say it.
const LIKE_RUST: Dialect = Dialect {
    and: " && ",
    or: " || ",
    is: "==",
    is_not: "!=",
    one_of: |name, texts| format!("{name} in {texts}"),
    has_tag: |tag| format!("{tag} in tags"),
};

impl Dialect {
    /// What one rule of a case asks.
    fn guard(&self, case: &Case, number: usize) -> String {
        self.joined(&(case.conditions)(number), self.and)
    }

    fn joined(&self, conditions: &[Condition], between: &str) -> String {
        let written: Vec<String> = conditions.iter().map(|one| self.write(one)).collect();
        written.join(between)
    }

    fn write(&self, condition: &Condition) -> String {
        let Self {
            and, is, is_not, ..
        } = self;
        match condition {
            Condition::IsNotDone => format!("status {is_not} \"done\""),
            Condition::IsOpen => {
                (self.one_of)("status", "[\"todo\", \"in_progress\", \"blocked\"]")
            }
            Condition::PriorityFrom(priority) => format!("priority >= {}", rank(*priority)),
            Condition::ProjectIs(project) => format!("project {is} {project:?}"),
            Condition::ProjectIn(projects) => (self.one_of)("project", &format!("{projects:?}")),
            Condition::HasTag(tag) => (self.has_tag)(&format!("{tag:?}")),
            Condition::LateByMinutes(minutes) => format!("late > {}", minutes * 60_000),
            Condition::AmountIn(amounts) => {
                format!("amount >= {}{and}amount < {}", amounts.start, amounts.end)
            }
            Condition::Any(conditions) => format!("({})", self.joined(conditions, self.or)),
        }
    }
}
