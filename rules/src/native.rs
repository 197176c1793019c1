//! What the engine can call, one by one: for whoever calls them all, such as a test that gives
//! each the most extreme arguments.

use crate::Language;
use crate::world::{
    BusinessDays, EventHandle, Moment, RuleHandle, StateHandle, TaskHandle, UserHandle,
    WorkspaceHandle,
};
use rhai::{Array, Blob, Dynamic, FLOAT, FnPtr, INT, ImmutableString, Map};
use smarttasks_model::{Priority, Span};
use std::any::TypeId;
use std::ops::{Range, RangeInclusive};

/// A function that the engine knows: of the host, of the language, an operator, or the getter or
/// setter of a field or of an index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Native {
    /// Its name; that of a getter begins with `get$`, that of a setter with `set$`, and those of
    /// an index are `index$get$` and `index$set$`.
    pub name: String,
    /// The types of its parameters, `any` where it takes every type, `other` where it takes one
    /// that this crate does not know of.
    pub parameters: Vec<&'static str>,
}

impl Language {
    /// Every function that a script may call, each overload for itself, in order.
    pub fn natives(&self) -> Vec<Native> {
        let mut natives = self.engine.collect_fn_metadata(
            None,
            |function| {
                let metadata = function.metadata;
                Some(Native {
                    name: metadata.name.to_string(),
                    parameters: metadata.param_types.iter().map(type_name).collect(),
                })
            },
            true,
        );
        natives.sort();
        natives.dedup();
        natives
    }
}

fn type_name(id: &TypeId) -> &'static str {
    let known: [(TypeId, &str); 27] = [
        (TypeId::of::<Dynamic>(), "any"),
        (TypeId::of::<()>(), "absent"),
        (TypeId::of::<bool>(), "bool"),
        (TypeId::of::<INT>(), "int"),
        (TypeId::of::<FLOAT>(), "float"),
        (TypeId::of::<f32>(), "float32"),
        (TypeId::of::<char>(), "char"),
        (TypeId::of::<ImmutableString>(), "string"),
        (TypeId::of::<&str>(), "string"),
        (TypeId::of::<String>(), "string"),
        (TypeId::of::<Blob>(), "bytes"),
        (TypeId::of::<Array>(), "list"),
        (TypeId::of::<Map>(), "map"),
        (TypeId::of::<FnPtr>(), "function"),
        (TypeId::of::<Range<INT>>(), "range"),
        (TypeId::of::<RangeInclusive<INT>>(), "inclusive range"),
        (TypeId::of::<Range<FLOAT>>(), "range of floats"),
        (TypeId::of::<Priority>(), "priority"),
        (TypeId::of::<Moment>(), "timestamp"),
        (TypeId::of::<Span>(), "duration"),
        (TypeId::of::<BusinessDays>(), "business days"),
        (TypeId::of::<TaskHandle>(), "task"),
        (TypeId::of::<UserHandle>(), "user"),
        (TypeId::of::<EventHandle>(), "event"),
        (TypeId::of::<RuleHandle>(), "rule"),
        (TypeId::of::<WorkspaceHandle>(), "workspace"),
        (TypeId::of::<StateHandle>(), "state"),
    ];
    known
        .iter()
        .find(|(known, _)| known == id)
        .map_or("other", |(_, name)| name)
}
