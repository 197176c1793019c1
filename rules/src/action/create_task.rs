//! `create_task(#{…})`.

use super::refused;
use super::task::fields;
use crate::evaluation::{self, Host};
use crate::world::TaskHandle;
use rhai::{Engine, Map};
use smarttasks_model::NewTask;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("create_task", create_task);
}

fn create_task(map: Map) -> Host<TaskHandle> {
    evaluation::with(|e| {
        if !map.contains_key("title") {
            return Err("create_task: `title` is missing".into());
        }
        let new: NewTask = fields(e, "create_task", map)?;
        let new = new
            .checked()
            .map_err(|wrong| refused("create_task", &wrong))?;
        e.create(new)
    })
}
