//! `event`, `rule` and `workspace`.

use super::people::user;
use super::time::moment;
use super::{fields, json, number, text, unknown_field};
use crate::words::Words;
use rhai::Dynamic;

/// An event that the evaluation holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EventHandle {
    /// What started the run.
    Trigger,
    /// What the run has waited for.
    Received(usize),
}

/// The rule itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RuleHandle;

/// The workspace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WorkspaceHandle;

mod event {
    use super::*;
    fields! { FIELDS of EventHandle as "Event":
        id: "text", "The id.",
            "webhook(\"ops\", #{ event: event.id });"
            => |event, e| Dynamic::from(e.event(event)?.id.to_string());
        type: "text", "What kind of event, such as \"task.completed\" or the type of a custom event.",
            "log(event.type); // task.updated"
            => |event, e| text(e.event(event)?.kind.as_str());
        time: "Timestamp", "When it happened.",
            "log(now() - event.time); // 1s"
            => |event, e| moment(e, e.event(event)?.time);
        actor: "User | ()", "Who caused it; `()` when nobody did, as when the clock or a rule did.",
            "if event.actor != task.owner { log(event.actor.name); } // Ann"
            => |event, e| e.event(event)?.actor_id.map_or(Dynamic::UNIT, user);
        data: "map | list | text | int | float | bool | ()", "What it carries: of a custom event what was posted, of one of the system's its task, what that was before, and the names of the changed fields. Times in it are texts, for `timestamp(…)`.",
            "log(event.data.changes); // [\"status\", \"title\"]"
            => |event, e| json::from_json(&e.event(event)?.data_json());
    }
    pub(super) fn define(words: &mut Words) {
        words.topic("Event");
        define_fields(words);
        words.other_fields::<EventHandle>(|name| unknown_field("event", name, FIELDS));
    }
}

mod rule {
    use super::*;
    fields! { FIELDS of RuleHandle as "Rule":
        id: "text", "The id.",
            "webhook(\"ops\", #{ rule: rule.id });"
            => |_rule, e| Dynamic::from(e.inputs.rule.id.to_string());
        name: "text", "What it is called.",
            "log(rule.name); // Chase"
            => |_rule, e| text(e.inputs.rule.name.as_str());
        version: "int", "The version that runs. Every edit makes a new one.",
            "log(rule.version); // 3"
            => |_rule, e| number(e.inputs.rule.version);
    }
    pub(super) fn define(words: &mut Words) {
        words.topic("Rule and workspace");
        define_fields(words);
        words.other_fields::<RuleHandle>(|name| unknown_field("rule", name, FIELDS));
    }
}

mod workspace {
    use super::*;
    fields! { FIELDS of WorkspaceHandle as "Workspace":
        id: "text", "The id.",
            "webhook(\"ops\", #{ workspace: workspace.id });"
            => |_workspace, e| Dynamic::from(e.inputs.workspace.id.to_string());
        name: "text", "What it is called.",
            "log(workspace.name); // Home"
            => |_workspace, e| text(e.inputs.workspace.name.as_str());
        timezone: "text", "The IANA name of the zone in which a script's times are shown and taken apart.",
            "log(workspace.timezone); // Europe/Berlin"
            => |_workspace, e| Dynamic::from(e.inputs.workspace.timezone.to_string());
    }
    pub(super) fn define(words: &mut Words) {
        define_fields(words);
        words.other_fields::<WorkspaceHandle>(|name| unknown_field("workspace", name, FIELDS));
    }
}

pub(super) fn define(words: &mut Words) {
    event::define(words);
    rule::define(words);
    workspace::define(words);
}
