//! The fields of a rule as they are sent, and what fills those in that are not.

use super::view::TriggerSchema;
use crate::extract::fit;
use crate::problem::{ApiError, Code, FieldError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smarttasks_model::{Invalid, Misfire, Overlap, Repeat, RuleSpec, Span, Trigger, WorkspaceId};
use smarttasks_rules::{Place, header_fields, header_place};

/// The fields of a rule; each may also stand in the `//!` header of the script.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WriteRule)]
pub(super) struct RuleFields {
    /// The workspace; your personal one when absent.
    #[schema(value_type = Option<Uuid>)]
    pub(super) workspace_id: Option<WorkspaceId>,
    /// Unique in the workspace; required, here or in the header.
    #[schema(example = "Chase overdue work")]
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    /// `true` when absent.
    pub(super) enabled: Option<bool>,
    /// What starts it; at least one is required, here or in the header.
    #[schema(value_type = Option<Vec<TriggerSchema>>)]
    pub(super) triggers: Option<Vec<Trigger>>,
    /// Rhai source, at most 16 KiB.
    #[schema(example = "email(task.owner, `Overdue: ${task.title}`, \"Please look.\");")]
    pub(super) script: Option<String>,
    /// For state sweeps: `once` (when absent) fires when a task starts to match, `always` at every
    /// occurrence, and a duration such as `24h` again after that time.
    #[schema(value_type = Option<String>, example = "once")]
    pub(super) repeat: Option<Repeat>,
    /// For state sweeps: how long a task must match before the rule fires, such as `30m`.
    #[schema(value_type = Option<String>)]
    pub(super) hold: Option<Span>,
    /// While a run of the same rule and task is suspended, another does not begin (`skip`, when
    /// absent), begins in its place (`restart`), or beside it (`parallel`).
    #[schema(value_type = Option<String>, example = "skip")]
    pub(super) overlap: Option<Overlap>,
    /// Occurrences missed while the system was down: `last` (when absent), `skip` or `all`.
    #[schema(value_type = Option<String>, example = "last")]
    pub(super) misfire: Option<Misfire>,
    /// Whether its sweeps are for the tasks that match already, too; `true` when absent. Said with
    /// each save, and not kept: with `false`, such tasks start nothing until they have stopped to
    /// match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) apply_to_existing: Option<bool>,
    /// What becomes of its suspended runs when it is disabled: `finish` (when absent), or `cancel`.
    /// Said with a save that disables, and not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "finish")]
    pub(super) suspended_runs: Option<SuspendedRuns>,
}

/// What becomes of the suspended runs of a rule that is disabled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SuspendedRuns {
    Finish,
    Cancel,
}

/// What is said with a save, and not kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saving {
    /// Whether the rule is for what matches already.
    pub(super) apply_to_existing: bool,
    /// What becomes of its suspended runs when it is disabled.
    pub(super) suspended_runs: Option<SuspendedRuns>,
}

impl RuleFields {
    /// The rule: what is absent comes from the header of the script, or else is the default.
    pub(super) fn complete(self) -> Result<RuleSpec, ApiError> {
        let Some(script) = self.script.clone() else {
            return Err(Invalid::at("/script", "is required").into());
        };
        let header = Self::from_header(&script)
            .map_err(|error| ApiError::refused_values(Code::InvalidScript, [error]))?;
        self.or(header).into_spec(script).map_err(ApiError::from)
    }

    /// What is said with the save.
    pub(super) fn saving(&self) -> Saving {
        Saving {
            apply_to_existing: self.apply_to_existing.unwrap_or(true),
            suspended_runs: self.suspended_runs,
        }
    }

    /// What the header of a script sets.
    fn from_header(script: &str) -> Result<Self, FieldError> {
        let header: Self =
            fit(Value::Object(header_of(script)?)).map_err(|error| in_header(script, error))?;
        let said = [
            ("/apply_to_existing", header.apply_to_existing.is_some()),
            ("/suspended_runs", header.suspended_runs.is_some()),
        ];
        if let Some((pointer, _)) = said.into_iter().find(|(_, said)| *said) {
            let detail = "is said with each save, in the body of the request";
            return Err(in_header(script, FieldError::at(pointer, detail)));
        }
        Ok(header)
    }

    /// These fields, and those of `other` where they are absent.
    fn or(self, other: Self) -> Self {
        Self {
            workspace_id: self.workspace_id,
            name: self.name.or(other.name),
            description: self.description.or(other.description),
            enabled: self.enabled.or(other.enabled),
            triggers: self.triggers.or(other.triggers),
            script: self.script,
            repeat: self.repeat.or(other.repeat),
            hold: self.hold.or(other.hold),
            overlap: self.overlap.or(other.overlap),
            misfire: self.misfire.or(other.misfire),
            apply_to_existing: self.apply_to_existing,
            suspended_runs: self.suspended_runs,
        }
    }

    pub(super) fn into_spec(self, script: String) -> Result<RuleSpec, Vec<Invalid>> {
        let required = |field: &str| {
            let detail = "is required, in the body or in the //! header of the script";
            Invalid::at(field, detail)
        };
        match (self.name, self.triggers) {
            (Some(name), Some(triggers)) => Ok(RuleSpec {
                name: name.trim().to_owned(),
                description: self.description.unwrap_or_default().trim().to_owned(),
                enabled: self.enabled.unwrap_or(true),
                triggers,
                script,
                repeat: self.repeat.unwrap_or_default(),
                hold: self.hold,
                overlap: self.overlap.unwrap_or_default(),
                misfire: self.misfire.unwrap_or_default(),
            }),
            (name, triggers) => {
                let name = name.is_none().then(|| required("/name"));
                let triggers = triggers.is_none().then(|| required("/triggers"));
                Err([name, triggers].into_iter().flatten().collect())
            }
        }
    }
}

/// The header of a script as JSON. The file itself and where it is stored are not in it.
pub(super) fn header_of(script: &str) -> Result<Map<String, Value>, FieldError> {
    let header = header_fields(script)
        .map_err(|error| placed(FieldError::at("/script", error.to_string()), error.place))?;
    let foreign = ["script", "workspace_id"];
    match foreign.into_iter().find(|name| header.contains_key(*name)) {
        Some(name) => {
            let error = FieldError::at(format!("/{name}"), "cannot be set here");
            Err(in_header(script, error))
        }
        None => Ok(header),
    }
}

/// An error in the header is one in the script.
pub(super) fn in_header(script: &str, error: FieldError) -> FieldError {
    let field = error.pointer.trim_start_matches('/').replace('/', ".");
    let detail = format!(
        "the //! header is not that of a rule: {field}: {}",
        error.detail
    );
    let place = header_place(script, &error.pointer);
    placed(FieldError::at("/script", detail), place)
}

fn placed(error: FieldError, place: Option<Place>) -> FieldError {
    match place {
        Some(Place { line, column }) => error.in_text(line, column),
        None => error,
    }
}

/// The fields of `present` with a merge patch applied: `null` takes a field away.
pub(super) fn patched(
    present: &RuleSpec,
    patch: Map<String, Value>,
) -> Result<RuleFields, ApiError> {
    // First alone, so that an unknown field is refused even when it is null.
    let invalid = |error| ApiError::invalid::<FieldError>([error]);
    let _: RuleFields = fit(Value::Object(patch.clone())).map_err(invalid)?;
    let mut merged = match serde_json::to_value(present).map_err(ApiError::internal)? {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (name, value) in patch {
        match value {
            Value::Null => merged.remove(&name),
            value => merged.insert(name, value),
        };
    }
    fit(Value::Object(merged)).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SCRIPT: &str = "//! name = \"Chase\"\n//! description = \"d\"\n\
        //! triggers = [{ event = \"task.overdue\" }]\nlog(\"x\");\n";

    fn fields(json: Value) -> RuleFields {
        serde_json::from_value(json).unwrap()
    }

    fn pointers(error: ApiError) -> Vec<String> {
        match error {
            ApiError::Refused { errors, .. } => errors.into_iter().map(|of| of.pointer).collect(),
            other => panic!("{other}"),
        }
    }

    fn patch(json: Value) -> Map<String, Value> {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_header_fills_in_what_the_request_leaves_out() {
        let spec = fields(json!({ "script": SCRIPT, "name": " Mine " }))
            .complete()
            .unwrap();
        assert_eq!((&*spec.name, &*spec.description), ("Mine", "d"));
        assert_eq!((spec.triggers.len(), spec.enabled), (1, true));
        assert_eq!(spec.script, SCRIPT);
    }

    #[test]
    fn what_neither_says_is_named() {
        let error = fields(json!({ "script": "log(1);" })).complete();
        assert_eq!(pointers(error.unwrap_err()), ["/name", "/triggers"]);
        let error = fields(json!({})).complete();
        assert_eq!(pointers(error.unwrap_err()), ["/script"]);
    }

    #[test]
    fn a_header_that_is_not_that_of_a_rule_is_an_error_in_the_script() {
        for header in [
            "name =",
            "colour = 1",
            "script = \"x\"",
            "triggers = [1]",
            "apply_to_existing = false",
            "suspended_runs = \"cancel\"",
        ] {
            let script = format!("//! {header}\nlog(1);");
            let given = json!({ "script": script, "name": "n", "triggers": [{ "due": "0" }] });
            let error = fields(given).complete().unwrap_err();
            assert_eq!(error.code(), Code::InvalidScript, "{header}");
            let ApiError::Refused { errors, .. } = error else {
                panic!("{error}");
            };
            let places: Vec<_> = errors.iter().map(|of| (&*of.pointer, of.line)).collect();
            assert_eq!(places, [("/script", Some(1))], "{header}");
        }
    }

    #[test]
    fn a_patch_keeps_what_it_does_not_name_and_null_resets() {
        let before = fields(json!({ "script": SCRIPT, "enabled": false, "description": "mine" }));
        let before = before.complete().unwrap();
        let after = patched(&before, patch(json!({ "name": "Other" }))).unwrap();
        let after = after.complete().unwrap();
        assert_eq!(after.name, "Other");
        assert_eq!((after.enabled, &*after.description), (false, "mine"));
        let reset = json!({ "enabled": null, "description": null });
        let after = patched(&before, patch(reset)).unwrap().complete().unwrap();
        assert_eq!((after.enabled, &*after.description), (true, "d"));
    }

    #[test]
    fn a_patch_with_a_wrong_or_unknown_field_is_refused_at_it() {
        let before = fields(json!({ "script": SCRIPT })).complete().unwrap();
        for (wrong, pointer) in [
            (json!({ "colour": null }), "/colour"),
            (json!({ "enabled": "yes" }), "/enabled"),
            (json!({ "triggers": [{ "due": "0" }, {}] }), "/triggers/1"),
        ] {
            let error = patched(&before, patch(wrong)).unwrap_err();
            assert_eq!(pointers(error), [pointer]);
        }
        let error = patched(&before, patch(json!({ "script": null }))).unwrap();
        assert_eq!(pointers(error.complete().unwrap_err()), ["/script"]);
    }
}
