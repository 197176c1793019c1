//! `task`, `previous` and the tasks that a script makes.

use super::people::user;
use super::time::{moment, moment_if};
use super::{fields, json, number, optional, text, unknown_field};
use crate::evaluation::{self, Host};
use crate::words::Words;
use rhai::{Dynamic, ImmutableString};
use smarttasks_model::{EventData, Span};

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

fields! { FIELDS of TaskHandle as "Task":
    id: "text", "The id.",
        "webhook(\"ops\", #{ task: task.id });"
        => |task, e| Dynamic::from(e.task(task)?.id.to_string());
    workspace_id: "text", "The id of the workspace that it belongs to.",
        "log(task.workspace_id == workspace.id); // true"
        => |task, e| Dynamic::from(e.task(task)?.workspace_id.to_string());
    project: "text | ()", "A free grouping within the workspace.",
        "log(task.project); // website"
        => |task, e| optional(e.task(task)?.project.as_deref());
    title: "text", "One line.",
        "log(task.title.contains(\"certificate\")); // true"
        => |task, e| text(e.task(task)?.title.as_str());
    description: "text", "Free text; empty when there is none.",
        "log(task.description.is_empty); // false"
        => |task, e| text(e.task(task)?.description.as_str());
    status: "text", "Where it stands: \"todo\", \"in_progress\", \"blocked\", \"done\" or \"cancelled\".",
        "if task.status == \"in_progress\" { log(task.time_in_status); } // 2d"
        => |task, e| text(e.task(task)?.status.as_str());
    priority: "Priority", "How pressing it is: LOW, NORMAL, HIGH or URGENT.",
        "if task.priority >= HIGH { log(task.priority); } // high"
        => |task, e| Dynamic::from(e.task(task)?.priority);
    owner: "User", "Who answers for it: the assignee, or else the creator.",
        "email(task.owner, `About ${task.title}`, \"How does it go?\");"
        => |task, e| user(e.task(task)?.owner_id());
    assignee: "User | ()", "Who is to do it.",
        "if task.assignee != () { log(task.assignee.name); } // Bob"
        => |task, e| e.task(task)?.assignee_id.map_or(Dynamic::UNIT, user);
    assignee_id: "text | ()", "The id of the assignee.",
        "log(task.assignee_id == task.assignee.id); // true"
        => |task, e| e.task(task)?.assignee_id
            .map_or(Dynamic::UNIT, |id| Dynamic::from(id.to_string()));
    creator: "User", "Who made it.",
        "log(task.creator.name); // Ann"
        => |task, e| user(e.task(task)?.creator_id);
    creator_id: "text", "The id of the creator.",
        "log(task.creator_id == task.creator.id); // true"
        => |task, e| Dynamic::from(e.task(task)?.creator_id.to_string());
    tags: "list", "Its labels, sorted.",
        "log(\"tls\" in task.tags); // true"
        => |task, e| Dynamic::from_array(
            e.task(task)?.tags.iter().map(|tag| text(tag)).collect(),
        );
    due_at: "Timestamp | ()", "The deadline.",
        "if task.due_at != () { log(task.due_at.weekday); } // Tuesday"
        => |task, e| moment_if(e, e.task(task)?.due_at);
    fields: "map", "Its custom fields, each by its name; `()` for one that it does not have.",
        "log(task.fields.customer); // acme"
        => |task, e| json::map_from_json(&e.task(task)?.fields);
    parent_id: "text | ()", "The id of the task that it is part of.",
        "log(task.parent_id == ()); // true"
        => |task, e| e.task(task)?.parent_id
            .map_or(Dynamic::UNIT, |id| Dynamic::from(id.to_string()));
    is_open: "bool", "Whether work is still to be done: it is neither done nor cancelled.",
        "log(task.is_open); // true"
        => |task, e| Dynamic::from(e.task(task)?.status.is_open());
    is_overdue: "bool", "Whether it is open and its deadline has passed.",
        "if task.is_overdue { log(now() - task.due_at); } // 2d 23h"
        => |task, e| {
            let (now, task) = (e.inputs.now, e.task(task)?);
            Dynamic::from(task.is_overdue(now))
        };
    age: "Duration", "How long ago it was made.",
        "log(task.age > weeks(1)); // true"
        => |task, e| since(e, e.task(task)?.created_at);
    time_in_status: "Duration", "How long it has had its status.",
        "if task.is_open && task.time_in_status > days(1) { task.tag(\"stuck\"); }"
        => |task, e| since(e, e.task(task)?.status_changed_at);
    version: "int", "Counts its writes, from 1.",
        "log(task.version); // 4"
        => |task, e| number(e.task(task)?.version);
    created_at: "Timestamp", "When it was made.",
        "log(task.created_at.format(\"%d %b\")); // 24 Nov"
        => |task, e| moment(e, e.task(task)?.created_at);
    updated_at: "Timestamp", "When it was last written.",
        "log(task.updated_at < now()); // true"
        => |task, e| moment(e, e.task(task)?.updated_at);
    status_changed_at: "Timestamp", "When its status last changed.",
        "log(task.status_changed_at.weekday); // Wednesday"
        => |task, e| moment(e, e.task(task)?.status_changed_at);
    completed_at: "Timestamp | ()", "When it was done or cancelled; `()` while it is open.",
        "log(task.completed_at == ()); // true"
        => |task, e| moment_if(e, e.task(task)?.completed_at);
}

fn since(evaluation: &evaluation::Evaluation, earlier: smarttasks_model::Timestamp) -> Dynamic {
    let millis = evaluation.inputs.now.unix_millis() - earlier.unix_millis();
    Dynamic::from(Span::from_millis(millis))
}

pub(super) fn define(words: &mut Words) {
    words.topic("Task");
    define_fields(words);
    words.other_fields::<TaskHandle>(|name| unknown_field("task", name, FIELDS));
    words.assigned::<TaskHandle>(assign_field);
    words.written::<TaskHandle>(title);
    words
        .function(
            "changed(field: text) -> bool",
            "Whether the event changed a field of the task, by its name; of any custom field, \"fields\". What nobody sets, such as `is_overdue`, cannot be asked for.",
            "if changed(\"status\") && task.status == \"in_progress\" { log(\"begun\"); } // begun",
        )
        .is(words, changed);
}

fn title(task: TaskHandle) -> Host<ImmutableString> {
    evaluation::with(|e| Ok(e.task(task)?.title.as_str().into()))
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

/// What an event may name as changed.
pub(crate) const CHANGEABLE: &[&str] = &[
    "title",
    "description",
    "project",
    "status",
    "priority",
    "assignee",
    "assignee_id",
    "tags",
    "due_at",
    "fields",
    "parent_id",
];

/// Whether the event changed a field of the task.
fn changed(field: &str) -> Host<bool> {
    if !FIELDS.contains(&field) {
        return Err(unknown_field("task", field, FIELDS));
    }
    if !CHANGEABLE.contains(&field) {
        return Err(format!(
            "changed(\"{field}\"): nobody changes `{field}` by itself; compare `previous.{field}` with `task.{field}`"
        )
        .into());
    }
    let stored = if field == "assignee" {
        "assignee_id"
    } else {
        field
    };
    evaluation::with(|e| {
        Ok(match &e.inputs.event.data {
            EventData::System(snapshot) => snapshot.changes.iter().any(|name| name == stored),
            EventData::Custom(_) => false,
        })
    })
}
