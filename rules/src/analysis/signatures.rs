//! Which functions and fields there are, with the types that they take: read from the engine
//! itself, so that nothing here has to be kept in step with what is registered.

use super::types::{Kind, any};
use rhai::Engine;
use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};

/// How Rhai names the function that reads a field.
const GETTER: &str = "get$";

/// Every function of an engine.
pub(crate) struct Signatures {
    overloads: BTreeMap<String, Vec<Vec<TypeId>>>,
}

/// What became of a call.
pub(super) enum Fit {
    /// It may succeed.
    Fits,
    /// No argument of these kinds is taken at this place, counted from 0; what is.
    Wrong(usize, Vec<Kind>),
    /// Each argument for itself is taken, all of them together are not.
    WrongTogether,
}

impl Signatures {
    pub(crate) fn of(engine: &Engine) -> Self {
        let all = engine.collect_fn_metadata(
            None,
            |function| {
                let metadata = function.metadata;
                Some((metadata.name.to_string(), metadata.param_types.to_vec()))
            },
            true,
        );
        let mut overloads: BTreeMap<String, Vec<Vec<TypeId>>> = BTreeMap::new();
        for (name, parameters) in all {
            overloads.entry(name).or_default().push(parameters);
        }
        Self { overloads }
    }

    /// Whether any value that is neither a map nor of the host has this field.
    pub(super) fn has_plain_field(&self, name: &str) -> bool {
        const HOST: &[Kind] = &[
            Kind::Priority,
            Kind::Moment,
            Kind::Span,
            Kind::BusinessDays,
            Kind::Task,
            Kind::User,
            Kind::Event,
            Kind::Rule,
            Kind::Workspace,
            Kind::State,
        ];
        let host = |of: &TypeId| HOST.iter().any(|kind| kind.type_id() == Some(*of));
        let overloads = self.overloads.get(&format!("{GETTER}{name}"));
        let mut overloads = overloads.into_iter().flatten();
        overloads.any(|parameters| !parameters.first().is_some_and(host))
    }

    /// The fields of a kind of value, in alphabetical order.
    pub(super) fn fields(&self, of: Kind) -> Vec<&str> {
        let Some(id) = of.type_id() else {
            return Vec::new();
        };
        self.overloads
            .range(GETTER.to_owned()..)
            .map_while(|(name, overloads)| Some((name.strip_prefix(GETTER)?, overloads)))
            .filter(|(_, overloads)| overloads.iter().any(|parameters| parameters[..] == [id]))
            .map(|(name, _)| name)
            .collect()
    }

    /// The methods of a kind of value, for hints.
    pub(super) fn methods(&self, of: Kind) -> impl Iterator<Item = &str> {
        let id = of.type_id();
        self.overloads
            .iter()
            .filter(|(name, _)| name.starts_with(char::is_alphabetic) && !name.contains('$'))
            .filter(move |(_, overloads)| {
                overloads
                    .iter()
                    .any(|parameters| parameters.first().copied() == id)
            })
            .map(|(name, _)| name.as_str())
    }

    /// Whether a call with arguments of these kinds may succeed. An argument of which nothing is
    /// known fits everywhere.
    pub(super) fn fit(&self, name: &str, arguments: &[Option<Vec<Kind>>]) -> Fit {
        let overloads: Vec<&[TypeId]> = self
            .overloads
            .get(name)
            .into_iter()
            .flatten()
            .map(Vec::as_slice)
            .filter(|parameters| parameters.len() == arguments.len())
            .collect();
        let takes = |parameter: TypeId, argument: &Option<Vec<Kind>>| {
            parameter == any()
                || argument
                    .as_ref()
                    .is_none_or(|kinds| kinds.iter().any(|kind| kind.type_id() == Some(parameter)))
        };
        let fits = |parameters: &[TypeId]| {
            parameters
                .iter()
                .zip(arguments)
                .all(|(parameter, argument)| takes(*parameter, argument))
        };
        if overloads.iter().any(|parameters| fits(parameters)) {
            return Fit::Fits;
        }
        for (place, argument) in arguments.iter().enumerate() {
            // Those that take everything before this argument.
            let candidates: Vec<TypeId> = overloads
                .iter()
                .filter(|parameters| {
                    let mut before = parameters.iter().zip(arguments).take(place);
                    before.all(|(parameter, argument)| takes(*parameter, argument))
                })
                .map(|parameters| parameters[place])
                .collect();
            if !candidates
                .iter()
                .any(|parameter| takes(*parameter, argument))
            {
                return Fit::Wrong(place, kinds(&candidates));
            }
        }
        Fit::WrongTogether
    }
}

/// What these parameters take, without repetition in words.
fn kinds(parameters: &[TypeId]) -> Vec<Kind> {
    let mut seen = BTreeSet::new();
    parameters
        .iter()
        .filter_map(|id| Kind::of_type(*id))
        .filter(|kind| seen.insert(kind.words()))
        .collect()
}
