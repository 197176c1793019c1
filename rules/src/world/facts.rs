//! `event`, `rule` and `workspace`.

use super::people::user;
use super::time::moment;
use super::{fields, json, number, text};
use rhai::{Dynamic, Engine};

/// The event that started the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EventHandle;

/// The rule itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RuleHandle;

/// The workspace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WorkspaceHandle;

mod event {
    use super::*;
    fields! { FIELDS of EventHandle as "event":
        "id" => |_event, e| Dynamic::from(e.inputs.event.id.to_string());
        "type" => |_event, e| text(e.inputs.event.kind.as_str());
        "time" => |_event, e| moment(e, e.inputs.event.time);
        "actor" => |_event, e| e.inputs.event.actor_id.map_or(Dynamic::UNIT, user);
        "data" => |_event, e| json::from_json(&e.inputs.event.data_json());
    }
    pub(super) fn register(engine: &mut Engine) {
        engine.register_type_with_name::<EventHandle>("Event");
        register_fields(engine);
    }
}

mod rule {
    use super::*;
    fields! { FIELDS of RuleHandle as "rule":
        "id" => |_rule, e| Dynamic::from(e.inputs.rule.id.to_string());
        "name" => |_rule, e| text(e.inputs.rule.name.as_str());
        "version" => |_rule, e| number(e.inputs.rule.version);
    }
    pub(super) fn register(engine: &mut Engine) {
        engine.register_type_with_name::<RuleHandle>("Rule");
        register_fields(engine);
    }
}

mod workspace {
    use super::*;
    fields! { FIELDS of WorkspaceHandle as "workspace":
        "id" => |_workspace, e| Dynamic::from(e.inputs.workspace.id.to_string());
        "name" => |_workspace, e| text(e.inputs.workspace.name.as_str());
        "timezone" => |_workspace, e| Dynamic::from(e.inputs.workspace.timezone.to_string());
    }
    pub(super) fn register(engine: &mut Engine) {
        engine.register_type_with_name::<WorkspaceHandle>("Workspace");
        register_fields(engine);
    }
}

pub(super) fn register(engine: &mut Engine) {
    event::register(engine);
    rule::register(engine);
    workspace::register(engine);
}
