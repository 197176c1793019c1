//! `create_task(#{…})`.

use super::refused;
use super::task::fields;
use crate::evaluation::{self, Host};
use crate::words::Words;
use crate::world::TaskHandle;
use rhai::{Map, NativeCallContext};
use smarttasks_model::NewTask;

pub(super) fn define(words: &mut Words) {
    words
        .action(
            "create_task(fields: map) -> Task",
            "Makes a task: `title`, and whatever else `task.update` takes. Its creator is the owner of the rule. It can be read and acted upon at once. A field that is wrong or unknown is an error.",
            r#"let check = create_task(#{ title: `Check ${task.title}`, parent_id: task.id, assignee: task.owner });
check.tag("auto");"#,
        )
        .is(words, create_task);
}

fn create_task(context: NativeCallContext, map: Map) -> Host<TaskHandle> {
    evaluation::with(|e| {
        if !map.contains_key("title") {
            return Err("create_task: `title` is missing".into());
        }
        let new: NewTask = fields(e, "create_task", map)?;
        let new = new
            .checked()
            .map_err(|wrong| refused("create_task", &wrong))?;
        e.create(new, context.call_position())
    })
}
