//! The register of every word that a script may use.
//!
//! A word comes into the engine through here only, with its signature, what it does and an
//! example, so that none can be without. The analyser, the API's list and the reference in
//! `docs/` are all made from this register.

mod reference;
mod signature;
mod standard;

pub use reference::reference;
pub use signature::Parameter;

use crate::evaluation::Host;
use rhai::{
    Dynamic, Engine, EvalAltResult, FuncRegistration, ImmutableString, RhaiNativeFunc, Variant,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a word is to whoever writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WordKind {
    /// A name that stands for something of the run, such as `task`.
    Name,
    /// A name that stands for the same always, such as `HIGH`.
    Constant,
    /// What stands after a dot without parentheses.
    Field,
    /// Called by itself.
    Function,
    /// Called after a dot.
    Method,
    /// Called like either of them, and does something when the run ends.
    Action,
    /// Written between two values, or before one.
    Operator,
}

/// A word of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Word {
    /// What it is.
    pub kind: WordKind,
    /// The word itself.
    pub name: &'static str,
    /// The type before the dot of a method or field.
    pub of: Option<&'static str>,
    /// With the names and types of what it takes, and the type of what it gives.
    pub signature: &'static str,
    /// What it does, in which units, and when it fails.
    pub doc: &'static str,
    /// A script that runs. A comment behind a call of `log` is the line that this writes.
    pub example: &'static str,
    /// Where the reference tells of it.
    pub topic: &'static str,
}

/// A name that has been defined: what the engine does for it is registered with this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defined(&'static str);

/// An engine that learns words.
pub(crate) struct Words {
    engine: Engine,
    words: Vec<Word>,
    topic: &'static str,
}

impl Words {
    /// Of an engine that knows the standard packages.
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            words: Vec::new(),
            topic: "",
        }
    }

    /// The engine, with its words in the order of the reference.
    pub(crate) fn finish(mut self) -> (Engine, Vec<Word>) {
        standard::define(&mut self);
        (self.engine, self.words)
    }

    /// What is defined from here on belongs to this part of the reference.
    pub(crate) fn topic(&mut self, topic: &'static str) {
        self.topic = topic;
    }

    /// Tells the engine what a type is called.
    pub(crate) fn type_name<T: Variant + Clone>(&mut self, name: &'static str) {
        self.engine.register_type_with_name::<T>(name);
    }

    /// A name that stands for something of the run. It is resolved by `world::resolve`.
    pub(crate) fn name(
        &mut self,
        signature: &'static str,
        doc: &'static str,
        example: &'static str,
    ) {
        self.define(WordKind::Name, signature, doc, example);
    }

    /// A name that stands for the same always. It too is resolved by `world::resolve`.
    pub(crate) fn constant(
        &mut self,
        signature: &'static str,
        doc: &'static str,
        example: &'static str,
    ) {
        self.define(WordKind::Constant, signature, doc, example);
    }

    /// A function, or a method if its signature has a dot.
    pub(crate) fn function(
        &mut self,
        signature: &'static str,
        doc: &'static str,
        example: &'static str,
    ) -> Defined {
        let kind = match signature::of(signature) {
            Some(_) => WordKind::Method,
            None => WordKind::Function,
        };
        self.define(kind, signature, doc, example)
    }

    /// A function or method that is an action.
    pub(crate) fn action(
        &mut self,
        signature: &'static str,
        doc: &'static str,
        example: &'static str,
    ) -> Defined {
        self.define(WordKind::Action, signature, doc, example)
    }

    /// An operator.
    pub(crate) fn operator(
        &mut self,
        signature: &'static str,
        doc: &'static str,
        example: &'static str,
    ) -> Defined {
        self.define(WordKind::Operator, signature, doc, example)
    }

    /// A field that is read only.
    pub(crate) fn field<T: Variant + Clone, R: Variant + Clone>(
        &mut self,
        signature: &'static str,
        doc: &'static str,
        example: &'static str,
        get: impl Fn(&mut T) -> Host<R> + Send + Sync + 'static,
    ) {
        let Defined(name) = self.define(WordKind::Field, signature, doc, example);
        self.engine
            .register_get(name, move |of: &mut T| -> Host<R> { get(of) });
    }

    /// What is said of a field that a type does not have.
    pub(crate) fn other_fields<T: Variant + Clone>(
        &mut self,
        refuse: fn(&str) -> Box<EvalAltResult>,
    ) {
        self.engine.register_indexer_get(
            move |_: &mut T, name: ImmutableString| -> Host<Dynamic> { Err(refuse(&name)) },
        );
    }

    /// What assigning to a field does; without it, it is an error. Rhai also assigns the
    /// unchanged value after a call such as `task.tags.contains("…")`.
    pub(crate) fn assigned<T: Variant + Clone>(
        &mut self,
        assign: fn(&mut T, ImmutableString, Dynamic) -> Host<()>,
    ) {
        // "Pure", so that Rhai lets it speak for itself on a name of the language, which is a
        // constant.
        FuncRegistration::new_index_setter()
            .with_purity(true)
            .register_into_engine(&mut self.engine, assign);
    }

    /// How a type is written out, in template literals and in the log. By value: what is given by
    /// reference, Rhai assigns again to the field that it is of.
    pub(crate) fn written<T: Variant + Clone>(&mut self, write: fn(T) -> Host<ImmutableString>) {
        self.engine.register_fn("to_string", write);
        self.engine.register_fn("to_debug", write);
    }

    fn define(
        &mut self,
        kind: WordKind,
        signature: &'static str,
        doc: &'static str,
        example: &'static str,
    ) -> Defined {
        let name = signature::name(kind, signature);
        self.words.push(Word {
            kind,
            name,
            of: signature::of(signature).filter(|_| kind != WordKind::Operator),
            signature,
            doc,
            example,
            topic: self.topic,
        });
        Defined(name)
    }
}

impl Defined {
    /// Registers what the word does for these types of arguments. A word may have several.
    pub(crate) fn is<A: 'static, const N: usize, const X: bool, R, const F: bool>(
        self,
        words: &mut Words,
        function: impl RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    ) -> Self
    where
        R: Variant + Clone,
    {
        words.engine.register_fn(self.0, function);
        self
    }

    /// The same for what is given by reference and left as it is, so that constants can be given
    /// too.
    pub(crate) fn reads<A: 'static, const N: usize, const X: bool, R, const F: bool>(
        self,
        words: &mut Words,
        function: impl RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    ) where
        R: Variant + Clone,
    {
        FuncRegistration::new(self.0)
            .with_purity(true)
            .register_into_engine(&mut words.engine, function);
    }
}

/// What may be called, with the numbers of arguments, that before the dot included.
pub(crate) fn functions(words: &[Word]) -> BTreeMap<String, BTreeSet<usize>> {
    let mut functions: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for word in words {
        if let Some(parameters) = word.parameters() {
            let subject = usize::from(word.of.is_some());
            let needed = parameters.iter().filter(|of| !of.optional).count();
            functions
                .entry(word.name.to_owned())
                .or_default()
                .extend((needed..=parameters.len()).map(|count| count + subject));
        }
    }
    functions
}
