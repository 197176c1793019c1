//! `task`, `previous` and the tasks that a script makes.

use super::people::user;
use super::time::{moment, moment_if};
use super::{fields, json, number, optional, text, unknown_field};
use crate::evaluation::{self, Host};
use rhai::{Dynamic, Engine, FuncRegistration, ImmutableString};
use smarttasks_model::Span;

/// A task that the evaluation holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TaskHandle {
    /// As the event left it, and as the script changed it since.
    Current,
    /// As it was before the event.
    Previous,
    /// Made by this script.
    Created(usize),
    /// Found by a query.
    Listed(usize),
}

fields! { FIELDS of TaskHandle as "task":
    "id" => |task, e| Dynamic::from(e.task(task)?.id.to_string());
    "workspace_id" => |task, e| Dynamic::from(e.task(task)?.workspace_id.to_string());
    "project" => |task, e| optional(e.task(task)?.project.as_deref());
    "title" => |task, e| text(e.task(task)?.title.as_str());
    "description" => |task, e| text(e.task(task)?.description.as_str());
    "status" => |task, e| text(e.task(task)?.status.as_str());
    "priority" => |task, e| Dynamic::from(e.task(task)?.priority);
    "creator_id" => |task, e| Dynamic::from(e.task(task)?.creator_id.to_string());
    "assignee_id" => |task, e| e.task(task)?.assignee_id
        .map_or(Dynamic::UNIT, |id| Dynamic::from(id.to_string()));
    "tags" => |task, e| Dynamic::from_array(
        e.task(task)?.tags.iter().map(|tag| text(tag)).collect(),
    );
    "due_at" => |task, e| moment_if(e, e.task(task)?.due_at);
    "fields" => |task, e| json::map_from_json(&e.task(task)?.fields);
    "parent_id" => |task, e| e.task(task)?.parent_id
        .map_or(Dynamic::UNIT, |id| Dynamic::from(id.to_string()));
    "version" => |task, e| number(e.task(task)?.version);
    "created_at" => |task, e| moment(e, e.task(task)?.created_at);
    "updated_at" => |task, e| moment(e, e.task(task)?.updated_at);
    "status_changed_at" => |task, e| moment(e, e.task(task)?.status_changed_at);
    "completed_at" => |task, e| moment_if(e, e.task(task)?.completed_at);
    "is_open" => |task, e| Dynamic::from(e.task(task)?.status.is_open());
    "is_overdue" => |task, e| {
        let (now, task) = (e.inputs.now, e.task(task)?);
        Dynamic::from(task.status.is_open() && task.due_at.is_some_and(|due| due <= now))
    };
    "age" => |task, e| since(e, e.task(task)?.created_at);
    "time_in_status" => |task, e| since(e, e.task(task)?.status_changed_at);
    "owner" => |task, e| user(e.task(task)?.owner_id());
    "assignee" => |task, e| e.task(task)?.assignee_id.map_or(Dynamic::UNIT, user);
    "creator" => |task, e| user(e.task(task)?.creator_id);
}

fn since(evaluation: &evaluation::Evaluation, earlier: smarttasks_model::Timestamp) -> Dynamic {
    let millis = evaluation.inputs.now.unix_millis() - earlier.unix_millis();
    Dynamic::from(Span::from_millis(millis))
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<TaskHandle>("Task");
    register_fields(engine);
    // "Pure", so that Rhai lets it speak for itself on `task`, which is a constant.
    FuncRegistration::new_index_setter()
        .with_purity(true)
        .register_into_engine(engine, assign_field);
    engine.register_fn("to_string", |task: &mut TaskHandle| title(*task));
    engine.register_fn("to_debug", |task: &mut TaskHandle| title(*task));
    engine.register_fn("changed", changed);
    engine.register_fn("==", |a: TaskHandle, b: TaskHandle| same(a, b));
    engine.register_fn("!=", |a: TaskHandle, b: TaskHandle| {
        same(a, b).map(|same| !same)
    });
}

fn title(task: TaskHandle) -> Host<ImmutableString> {
    evaluation::with(|e| Ok(e.task(task)?.title.as_str().into()))
}

fn same(a: TaskHandle, b: TaskHandle) -> Host<bool> {
    evaluation::with(|e| Ok(e.task(a)?.id == e.task(b)?.id))
}

/// `task.title = "…"` and `task.tags.push("…")` come here. Rhai also hands back the unchanged
/// value after a mere `task.tags.contains("…")`, which must pass.
fn assign_field(task: &mut TaskHandle, name: ImmutableString, value: Dynamic) -> Host<()> {
    if !FIELDS.contains(&name.as_str()) {
        return Err(unknown_field("task", &name, FIELDS));
    }
    let handle = *task;
    let unchanged = evaluation::with(|e| {
        let task = e.task(handle)?;
        let before = match name.as_str() {
            "tags" => serde_json::Value::from(task.tags.clone()),
            "fields" => task.fields.clone().into(),
            _ => return Ok(false),
        };
        Ok(before == json::to_json(e, &value)?)
    })?;
    if unchanged {
        return Ok(());
    }
    Err(format!(
        "`task.{name}` is changed by an action, not by assignment: write `task.update(#{{ {name}: … }})`"
    )
    .into())
}

/// Whether the event changed a field of the task.
fn changed(field: &str) -> Host<bool> {
    evaluation::with(|e| {
        if !FIELDS.contains(&field) {
            return Err(unknown_field("task", field, FIELDS));
        }
        Ok(match &e.inputs.event.data {
            smarttasks_model::EventData::System(snapshot) => snapshot
                .changes
                .iter()
                .any(|name| name == field || (field == "assignee" && name == "assignee_id")),
            smarttasks_model::EventData::Custom(_) => false,
        })
    })
}
