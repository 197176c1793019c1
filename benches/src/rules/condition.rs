//! What rules of benchmarks ask of a task, as data: the same rules are written in several languages.

use smarttasks_model::Priority;
use std::ops::Range;

/// One thing that is asked.
#[derive(Clone, Debug)]
pub enum Condition {
    /// The status is not "done".
    IsNotDone,
    /// The status is one of those of open tasks.
    IsOpen,
    /// The priority is this one or more pressing.
    PriorityFrom(Priority),
    /// The project is this one.
    ProjectIs(String),
    /// The project is one of these.
    ProjectIn(Vec<String>),
    /// It has this tag.
    HasTag(String),
    /// The deadline is longer ago than so many minutes.
    LateByMinutes(usize),
    /// The field `amount` is within these.
    AmountIn(Range<usize>),
    /// One of these holds.
    Any(Vec<Condition>),
}

/// The script of a rule that acts when all of these hold.
pub fn script(conditions: &[Condition]) -> String {
    let guard = joined(conditions, " && ");
    format!("if {guard} {{ emit(\"bench.found\"); }}")
}

fn joined(conditions: &[Condition], between: &str) -> String {
    let written: Vec<String> = conditions.iter().map(written).collect();
    written.join(between)
}

fn written(condition: &Condition) -> String {
    match condition {
        Condition::IsNotDone => "task.status != \"done\"".to_owned(),
        Condition::IsOpen => "task.is_open".to_owned(),
        Condition::PriorityFrom(priority) => {
            format!("task.priority >= {}", priority.as_str().to_uppercase())
        }
        Condition::ProjectIs(project) => format!("task.project == {project:?}"),
        Condition::ProjectIn(projects) => format!("task.project in {projects:?}"),
        Condition::HasTag(tag) => format!("{tag:?} in task.tags"),
        Condition::LateByMinutes(0) => "task.due_at < now()".to_owned(),
        Condition::LateByMinutes(minutes) => format!("task.due_at < now() - minutes({minutes})"),
        Condition::AmountIn(Range { start, end }) => {
            format!("task.fields.amount >= {start} && task.fields.amount < {end}")
        }
        Condition::Any(conditions) => format!("({})", joined(conditions, " || ")),
    }
}
